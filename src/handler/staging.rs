//! Staging distributions: which to invalidate together with the distributions of an event, and what to report of others.
//!
//! While a continuous deployment policy is enabled, some viewers get copies of a staging distribution, which has a cache
//! of its own. It is invalidated if the settings allow it, or name it. Otherwise the outcome and the log name it, so that
//! the invalidation does not look complete.

use futures_util::future::join_all;
use tokio::time::Instant;

use super::Invalidator;
use crate::aws::cloudfront::Staging;
use crate::distribution::DistributionId;
use crate::error::Error;
use crate::invocation::Invocation;
use crate::site::Features;

const ADVICE: &str = "set the stack's InvalidateStaging (INVALIDATE_STAGING) to true, or add the staging distribution to \
                      DistributionId (DISTRIBUTION_ID)";

/// A fact about the staging distribution of `primary`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StagingFinding {
    pub(super) primary: DistributionId,
    pub(super) kind: FindingKind,
}

impl StagingFinding {
    /// Returns the staging distribution to invalidate too, if there is one.
    pub(super) fn to_invalidate(&self) -> Option<&DistributionId> {
        match &self.kind {
            FindingKind::Invalidate(id) => Some(id),
            FindingKind::Note(_) | FindingKind::Warning(_) | FindingKind::Retry { .. } => None,
        }
    }

    /// Returns why a staging distribution that has to be invalidated could not be found for the moment.
    pub(super) fn retry(&self) -> Option<&Error> {
        match &self.kind {
            FindingKind::Retry { error, .. } => Some(error),
            FindingKind::Invalidate(_) | FindingKind::Note(_) | FindingKind::Warning(_) => None,
        }
    }

    /// Returns the note for users, and the distribution whose report has it.
    pub(super) fn note(&self) -> (&DistributionId, String) {
        let Self { primary, kind } = self;
        match kind {
            FindingKind::Invalidate(staging) => {
                (staging, format!("staging distribution of {primary}"))
            }
            FindingKind::Note(text)
            | FindingKind::Warning(text)
            | FindingKind::Retry { warning: text, .. } => (primary, text.clone()),
        }
    }

    /// Returns whether viewers may get old copies, so that the note is logged as a warning, too.
    pub(super) fn is_warning(&self) -> bool {
        matches!(
            self.kind,
            FindingKind::Warning(_) | FindingKind::Retry { .. }
        )
    }
}

/// What follows for an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FindingKind {
    /// Invalidate this staging distribution too.
    Invalidate(DistributionId),
    /// Report this; nothing is missing.
    Note(String),
    /// Report and log this: viewers may get old copies.
    Warning(String),
    /// The same, and search again: a staging distribution that has to be invalidated could not be found because of this
    /// transient error.
    Retry { warning: String, error: Error },
}

/// What decides whether a staging distribution is invalidated.
#[derive(Clone, Copy, Debug)]
struct StagingRules<'a> {
    /// Whether all staging distributions are invalidated.
    invalidate_all: bool,
    /// The distributions that are invalidated already.
    invalidated: &'a [DistributionId],
    /// The distributions of the settings, which the role may invalidate.
    allowed: &'a [DistributionId],
    /// Staging distributions among those that are invalidated already.
    known_staging: &'a [DistributionId],
}

impl StagingRules<'_> {
    /// Returns whether a staging distribution that was not found possibly has to be invalidated.
    fn may_require_another(&self) -> bool {
        let mut allowed = self.allowed.iter();
        self.invalidate_all || allowed.any(|id| !self.invalidated.contains(id))
    }
}

impl Invalidator {
    /// Finds the staging distributions of `distributions` before `deadline`. `invalidated` are all distributions of the
    /// event. Without a continuous deployment policy, this takes no call.
    pub(super) async fn find_staging(
        &self,
        distributions: &[(DistributionId, Features)],
        invalidated: &[DistributionId],
        deadline: Instant,
        invocation: &Invocation,
    ) -> Vec<StagingFinding> {
        let cloudfront = self.cloudfront(invocation);
        let find = async |(primary, features): &(DistributionId, Features)| {
            let policy = features.continuous_deployment_policy.as_deref();
            (primary.clone(), cloudfront.staging(policy, deadline).await)
        };
        let found = join_all(distributions.iter().map(find)).await;
        let known_staging: Vec<_> = distributions
            .iter()
            .filter(|(_, features)| features.staging)
            .map(|(distribution, _)| distribution.clone())
            .collect();
        // Invalid settings are an error of those events that need them.
        let settings = self.settings().ok();
        let rules = StagingRules {
            invalidate_all: settings.is_some_and(|settings| settings.invalidate_staging),
            invalidated,
            allowed: settings.map_or(&[], |settings| &settings.distributions),
            known_staging: &known_staging,
        };
        found
            .into_iter()
            .flat_map(|(primary, staging)| findings(&primary, staging, rules))
            .collect()
    }
}

/// Decides what follows from the staging distributions of a distribution.
fn findings(
    primary: &DistributionId,
    staging: Staging,
    rules: StagingRules<'_>,
) -> Vec<StagingFinding> {
    let kinds = match staging {
        Staging::None | Staging::Disabled => vec![],
        Staging::Found(ids) => {
            let new = ids.into_iter().filter(|id| !rules.invalidated.contains(id));
            new.map(|id| {
                if rules.invalidate_all || rules.allowed.contains(&id) {
                    FindingKind::Invalidate(id)
                } else {
                    FindingKind::Warning(format!(
                        "its staging distribution {id} has a cache of its own and is not invalidated: {ADVICE}"
                    ))
                }
            })
            .collect()
        }
        Staging::Unresolved {
            policy,
            domain_names,
            error,
        } => vec![unresolved(&policy, &domain_names, &error, rules)],
    };
    let primary = |kind| StagingFinding {
        primary: primary.clone(),
        kind,
    };
    kinds.into_iter().map(primary).collect()
}

/// Decides what follows if the staging distributions of a policy could not be found.
fn unresolved(
    policy: &str,
    domain_names: &[String],
    error: &Error,
    rules: StagingRules<'_>,
) -> FindingKind {
    // A staging distribution does not name its primary distribution. An operator who lists both in DistributionId has
    // paired them. Where all are invalidated, a retry finds the right one.
    let is_retried = error.is_transient() && rules.invalidate_all;
    if domain_names.is_empty() && !rules.known_staging.is_empty() && !is_retried {
        let ids = rules.known_staging.iter().map(DistributionId::as_str);
        let ids: Vec<_> = ids.collect();
        return FindingKind::Note(format!(
            "{} is assumed to be its staging distribution, because continuous deployment policy {policy} cannot be read",
            ids.join(" or ")
        ));
    }
    let subject = if domain_names.is_empty() {
        format!("if continuous deployment policy {policy} is enabled, its staging distribution")
    } else {
        format!("its staging distribution {}", domain_names.join(" and "))
    };
    let advice = if rules.invalidate_all {
        String::new()
    } else {
        format!("; {ADVICE}")
    };
    let warning =
        format!("{subject} has a cache of its own and is not invalidated: {error}{advice}");
    if error.is_transient() && rules.may_require_another() {
        let error = error.clone();
        FindingKind::Retry { warning, error }
    } else {
        FindingKind::Warning(warning)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> DistributionId {
        DistributionId::parse(text).expect("an id")
    }

    #[test]
    fn decides_what_follows_from_a_staging_distribution() {
        let (primary, staging) = (id("E1EXAMPLE1ABC"), id("E8EXAMPLE1ABC"));
        let (only_primary, both) = ([primary.clone()], [primary.clone(), staging.clone()]);
        let only_staging = [staging.clone()];
        let none: [DistributionId; 0] = [];
        let found = || Staging::Found(vec![staging.clone()]);
        let unresolved_by = |error: &Error, domain_names: &[&str]| Staging::Unresolved {
            policy: "policy".into(),
            domain_names: domain_names.iter().map(ToString::to_string).collect(),
            error: error.clone(),
        };
        let unresolved =
            |domain_names: &[&str]| unresolved_by(&Error::invalid_input("reason"), domain_names);
        let transient = Error::deadline_exceeded();
        let interrupted = |domain_names: &[&str]| unresolved_by(&transient, domain_names);
        let invalidate = FindingKind::Invalidate(staging.clone());
        let warning = |text: &str| vec![FindingKind::Warning(text.to_owned())];
        let transiently = |text: &str| text.replace("reason", &transient.to_string());
        let retry = |text: &str| {
            let (warning, error) = (transiently(text), transient.clone());
            vec![FindingKind::Retry { warning, error }]
        };
        let unread = "if continuous deployment policy policy is enabled, its staging distribution has a cache of its own \
                      and is not invalidated: reason";
        let unlisted = "its staging distribution d8.cloudfront.net has a cache of its own and is not invalidated: reason";
        let rules = StagingRules {
            invalidate_all: false,
            invalidated: &only_primary,
            allowed: &none,
            known_staging: &none,
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
            known_staging: &only_staging,
            ..rules
        };
        let all_with_staging = StagingRules {
            invalidate_all: true,
            ..invalidated
        };
        for (staging, rules, kinds) in [
            (Staging::None, all, vec![]),
            (Staging::Disabled, all, vec![]),
            (found(), all, vec![invalidate.clone()]),
            (found(), allowed, vec![invalidate]),
            (found(), invalidated, vec![]),
            (
                found(),
                rules,
                warning(&format!(
                    "its staging distribution E8EXAMPLE1ABC has a cache of its own and is not invalidated: {ADVICE}"
                )),
            ),
            (unresolved(&[]), all, warning(unread)),
            (unresolved(&[]), rules, warning(&format!("{unread}; {ADVICE}"))),
            (
                unresolved(&[]),
                invalidated,
                vec![FindingKind::Note(
                    "E8EXAMPLE1ABC is assumed to be its staging distribution, because continuous deployment policy \
                     policy cannot be read"
                        .into(),
                )],
            ),
            (unresolved(&["d8.cloudfront.net"]), all, warning(unlisted)),
            (
                unresolved(&["d8.cloudfront.net"]),
                invalidated,
                warning(&format!("{unlisted}; {ADVICE}")),
            ),
            // What possibly has to be invalidated is searched again if the error is transient.
            (interrupted(&[]), all, retry(unread)),
            (interrupted(&["d8.cloudfront.net"]), all, retry(unlisted)),
            (interrupted(&[]), all_with_staging, retry(unread)),
            (
                interrupted(&[]),
                allowed,
                retry(&format!("{unread}; {ADVICE}")),
            ),
            (
                interrupted(&[]),
                rules,
                warning(&transiently(&format!("{unread}; {ADVICE}"))),
            ),
        ] {
            let case = format!("{staging:?} {rules:?}");
            let found: Vec<_> = findings(&primary, staging, rules)
                .into_iter()
                .map(|finding| finding.kind)
                .collect();
            assert_eq!(found, kinds, "{case}");
        }
    }
}
