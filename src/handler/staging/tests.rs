//! What follows from staging distributions, as tables.

use super::*;

fn id(text: &str) -> DistributionId {
    DistributionId::parse(text).expect("an id")
}

fn kinds(staging: Staging, rules: StagingRules<'_>, assumption: &Assumption) -> Vec<FindingKind> {
    let findings = findings(&id("E1EXAMPLE1ABC"), staging, rules, assumption);
    findings.into_iter().map(|finding| finding.kind).collect()
}

#[test]
fn decides_what_follows_from_a_staging_distribution() {
    let (primary, staging) = (id("E1EXAMPLE1ABC"), id("E8EXAMPLE1ABC"));
    let (only_primary, both) = ([primary.clone()], [primary, staging.clone()]);
    let found = || Staging::Found(vec![staging.clone()]);
    let unlisted = |error: &Error| Staging::Unresolved {
        policy: "policy".into(),
        domain_names: vec!["d8.cloudfront.net".into()],
        error: error.clone(),
    };
    let (denied, transient) = (Error::invalid_input("reason"), Error::deadline_exceeded());
    let invalidate = FindingKind::Invalidate {
        staging: staging.clone(),
        note: "staging distribution of E1EXAMPLE1ABC".into(),
    };
    let not_found = |error: &Error| {
        format!(
            "its staging distribution d8.cloudfront.net has a cache of its own and is not invalidated: {error}"
        )
    };
    let warning = |text: &str| FindingKind::Warning(text.to_owned());
    let rules = StagingRules {
        invalidate_all: false,
        invalidated: &only_primary,
        allowed: &[],
    };
    let all = StagingRules {
        invalidate_all: true,
        ..rules
    };
    let allowed = StagingRules {
        allowed: &both,
        ..rules
    };
    let invalidated = StagingRules {
        invalidated: &both,
        ..allowed
    };
    for (staging, rules, expected) in [
        (Staging::None, all, vec![]),
        (Staging::Disabled, all, vec![]),
        (found(), all, vec![invalidate.clone()]),
        (found(), allowed, vec![invalidate]),
        (found(), invalidated, vec![]),
        (
            found(),
            rules,
            vec![warning(&format!(
                "its staging distribution E8EXAMPLE1ABC has a cache of its own and is not invalidated: {ADVICE}"
            ))],
        ),
        (unlisted(&denied), all, vec![warning(&not_found(&denied))]),
        (
            unlisted(&denied),
            invalidated,
            vec![warning(&format!("{}; {ADVICE}", not_found(&denied)))],
        ),
        // What possibly has to be invalidated is searched again.
        (
            unlisted(&transient),
            all,
            vec![FindingKind::Retry {
                warning: not_found(&transient),
                error: transient.clone(),
            }],
        ),
        (
            unlisted(&transient),
            allowed,
            vec![FindingKind::Retry {
                warning: format!("{}; {ADVICE}", not_found(&transient)),
                error: transient.clone(),
            }],
        ),
        (
            unlisted(&transient),
            invalidated,
            vec![warning(&format!("{}; {ADVICE}", not_found(&transient)))],
        ),
    ] {
        let case = format!("{staging:?} {rules:?}");
        assert_eq!(
            kinds(staging, rules, &Assumption::default()),
            expected,
            "{case}"
        );
    }
}

#[test]
fn decides_what_follows_from_a_policy_that_cannot_be_read() {
    let (denied, transient) = (Error::invalid_input("denied"), Error::deadline_exceeded());
    let limited = Error::invalid_input("limited");
    let some = StagingRules {
        invalidate_all: false,
        invalidated: &[],
        allowed: &[],
    };
    let all = StagingRules {
        invalidate_all: true,
        ..some
    };
    let text = |gap: &str, errors: &str| {
        format!(
            "if continuous deployment policy policy is enabled, its staging distribution has a cache of its own and \
             {gap}: {errors}"
        )
    };
    let no = |errors: &str| text("is not invalidated", errors);
    let partly = |errors: &str| text("is only invalidated if it is E8EXAMPLE1ABC", errors);
    let advised = |warning: String| format!("{warning}; {ADVICE}");
    let retry = |warning: String| FindingKind::Retry {
        warning,
        error: transient.clone(),
    };
    let warning = FindingKind::Warning;
    let note = || {
        FindingKind::Note(
            "E8EXAMPLE1ABC is assumed to be its staging distribution, because continuous deployment policy policy \
             cannot be read"
                .into(),
        )
    };
    let late = transient.to_string();
    let both = format!("denied; {late}");
    // How many primary and known staging distributions there are, and why another one is unknown.
    for (error, rules, primaries, staging, unread, expected) in [
        (&denied, all, 1, 0, None, warning(no("denied"))),
        (&denied, some, 1, 0, None, warning(advised(no("denied")))),
        (&denied, some, 1, 1, None, note()),
        (&denied, all, 1, 1, None, note()),
        (
            &denied,
            some,
            2,
            1,
            None,
            warning(advised(partly("denied"))),
        ),
        (&transient, all, 1, 0, None, retry(no(&late))),
        (&transient, all, 1, 1, None, retry(partly(&late))),
        (&transient, some, 1, 0, None, warning(advised(no(&late)))),
        (&transient, some, 1, 1, None, note()),
        (
            &denied,
            some,
            1,
            0,
            Some(&transient),
            retry(advised(no(&both))),
        ),
        // One that is not read is possibly the staging distribution instead.
        (
            &denied,
            some,
            1,
            1,
            Some(&transient),
            retry(advised(partly(&both))),
        ),
        (
            &denied,
            some,
            1,
            1,
            Some(&limited),
            warning(advised(partly("denied; limited"))),
        ),
    ] {
        let assumption = Assumption {
            primaries: vec![id("E1EXAMPLE1ABC"); primaries],
            staging: vec![id("E8EXAMPLE1ABC"); staging],
            unread: unread.cloned(),
        };
        let unresolved = Staging::Unresolved {
            policy: "policy".into(),
            domain_names: vec![],
            error: error.clone(),
        };
        assert_eq!(
            kinds(unresolved, rules, &assumption),
            [expected],
            "{error} {rules:?} {assumption:?}"
        );
    }
}
