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

/// How many distributions of the settings are read if a continuous deployment policy cannot be read.
const MAX_OTHERS_READ: usize = 10;

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
            FindingKind::Invalidate { staging, .. } => Some(staging),
            FindingKind::Note(_) | FindingKind::Warning(_) | FindingKind::Retry { .. } => None,
        }
    }

    /// Returns why a staging distribution that has to be invalidated could not be found for the moment, and has to be
    /// searched again.
    pub(super) fn retry(&self) -> Option<Error> {
        match &self.kind {
            FindingKind::Retry { error, .. } => {
                let place = format_args!("staging distribution of {}", self.primary);
                Some(error.clone().context(place))
            }
            FindingKind::Invalidate { .. } | FindingKind::Note(_) | FindingKind::Warning(_) => None,
        }
    }

    /// Returns the note for users, and the distribution whose report has it.
    pub(super) fn note(&self) -> (&DistributionId, String) {
        let Self { primary, kind } = self;
        match kind {
            FindingKind::Invalidate { staging, note } => (staging, note.clone()),
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
    /// Invalidate this staging distribution too; the note is for its report.
    Invalidate {
        staging: DistributionId,
        note: String,
    },
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
    /// The distributions of the event, which are invalidated already.
    invalidated: &'a [DistributionId],
    /// The distributions of the settings, which the role may invalidate.
    allowed: &'a [DistributionId],
}

impl StagingRules<'_> {
    /// Returns the distributions of the settings that are not part of the event.
    fn others(&self) -> impl Iterator<Item = &DistributionId> {
        let allowed = self.allowed.iter();
        allowed.filter(|id| !self.invalidated.contains(id))
    }

    /// Returns whether a staging distribution that was not found possibly has to be invalidated.
    fn may_require_another(&self) -> bool {
        self.invalidate_all || self.others().next().is_some()
    }

    /// Returns whether the staging distribution is searched again after this error. Then nothing is assumed.
    fn is_searched_again(&self, error: &Error) -> bool {
        self.invalidate_all && error.is_transient()
    }
}

/// What is assumed about those distributions whose continuous deployment policy cannot be read.
///
/// A staging distribution does not name its primary distribution. An operator who lists both in DistributionId has paired
/// them.
#[derive(Clone, Debug, Default)]
struct Assumption {
    /// Those of the event, then others of the settings with a policy, which is not read.
    primaries: Vec<DistributionId>,
    /// The staging distributions that are invalidated, without those that a policy names.
    staging: Vec<DistributionId>,
    /// Why other distributions of the settings were not read: they are possibly staging distributions, or have one.
    unread: Option<Error>,
}

impl Assumption {
    /// Returns whether all are read, and there are enough staging distributions for all of the distributions.
    fn is_complete(&self) -> bool {
        let has_enough = !self.staging.is_empty() && self.primaries.len() <= self.staging.len();
        has_enough && self.unread.is_none()
    }

    /// Returns the finding about a staging distribution that is not part of the event.
    fn finding(&self, staging: &DistributionId) -> Option<StagingFinding> {
        let ids = self.primaries.iter().map(DistributionId::as_str);
        let primaries = ids.collect::<Vec<_>>().join(" or ");
        Some(StagingFinding {
            primary: self.primaries.first()?.clone(),
            kind: FindingKind::Invalidate {
                staging: staging.clone(),
                note: format!("assumed to be the staging distribution of {primaries}"),
            },
        })
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
        let rules = self.staging_rules(invalidated);
        let unread = found.iter().filter_map(|(primary, staging)| {
            let error = unread_policy_error(staging)?;
            Some((primary, error))
        });
        let (mut others, mut assumption) = (Vec::new(), Assumption::default());
        if unread
            .clone()
            .any(|(_, error)| !rules.is_searched_again(error))
        {
            (others, assumption.unread) = self.read_others(rules, deadline, invocation).await;
        }
        let with_policy = others
            .iter()
            .filter(|(_, features)| features.continuous_deployment_policy.is_some());
        let primaries = unread.map(|(primary, _)| primary);
        let primaries = primaries.chain(with_policy.map(|(id, _)| id));
        assumption.primaries = primaries.cloned().collect();
        let is_named = |id: &&DistributionId| {
            let mut found = found.iter();
            found.any(|(_, staging)| matches!(staging, Staging::Found(ids) if ids.contains(id)))
        };
        let assumed = staging_among(&others);
        let staging = staging_among(distributions).chain(assumed.clone());
        assumption.staging = staging.filter(|id| !is_named(id)).cloned().collect();
        let mut all: Vec<_> = found
            .into_iter()
            .flat_map(|(primary, staging)| findings(&primary, staging, rules, &assumption))
            .collect();
        let new = assumed.filter(|id| !all.iter().any(|other| other.to_invalidate() == Some(*id)));
        let new: Vec<_> = new.filter_map(|id| assumption.finding(id)).collect();
        all.extend(new);
        all
    }

    /// Returns the finding about the staging distribution of `primary` that could not be searched because of an error.
    pub(super) fn not_found(
        &self,
        primary: DistributionId,
        warning: String,
        error: Error,
        invalidated: &[DistributionId],
    ) -> StagingFinding {
        let is_required = self.staging_rules(invalidated).may_require_another();
        let kind = warning_or_retry(warning, &error, is_required);
        StagingFinding { primary, kind }
    }

    fn staging_rules<'a>(&'a self, invalidated: &'a [DistributionId]) -> StagingRules<'a> {
        // Invalid settings are an error of those events that need them.
        let settings = self.settings().ok();
        StagingRules {
            invalidate_all: settings.is_some_and(|settings| settings.invalidate_staging),
            invalidated,
            allowed: settings.map_or(&[], |settings| &settings.distributions),
        }
    }

    /// Reads the distributions of the settings that are not part of the event. Returns also why others were not read.
    async fn read_others(
        &self,
        rules: StagingRules<'_>,
        deadline: Instant,
        invocation: &Invocation,
    ) -> (Vec<(DistributionId, Features)>, Option<Error>) {
        let cloudfront = self.cloudfront(invocation);
        let read = async |id: &DistributionId| {
            let features = cloudfront.features(id, deadline).await?;
            Ok((id.clone(), features))
        };
        let read = join_all(rules.others().take(MAX_OTHERS_READ).map(read)).await;
        let (mut others, mut errors) = (Vec::new(), Vec::new());
        for result in read {
            match result {
                Ok(other) => others.push(other),
                Err(error) => errors.push(error),
            }
        }
        let count = rules.others().count();
        if count > MAX_OTHERS_READ {
            errors.push(Error::invalid_input(format!(
                "only {MAX_OTHERS_READ} of the {count} other distributions of DISTRIBUTION_ID were read"
            )));
        }
        (others, Error::join(errors))
    }
}

fn staging_among(
    distributions: &[(DistributionId, Features)],
) -> impl Iterator<Item = &DistributionId> + Clone {
    let staging = distributions
        .iter()
        .filter(|(_, features)| features.staging);
    staging.map(|(id, _)| id)
}

/// Returns why a continuous deployment policy could not be read.
fn unread_policy_error(staging: &Staging) -> Option<&Error> {
    match staging {
        Staging::Unresolved {
            domain_names,
            error,
            ..
        } if domain_names.is_empty() => Some(error),
        _ => None,
    }
}

/// Decides what follows from the staging distributions of a distribution.
fn findings(
    primary: &DistributionId,
    staging: Staging,
    rules: StagingRules<'_>,
    assumption: &Assumption,
) -> Vec<StagingFinding> {
    let kinds = match staging {
        Staging::None | Staging::Disabled => vec![],
        Staging::Found(ids) => {
            let new = ids.into_iter().filter(|id| !rules.invalidated.contains(id));
            new.map(|staging| {
                if rules.invalidate_all || rules.allowed.contains(&staging) {
                    let note = format!("staging distribution of {primary}");
                    FindingKind::Invalidate { staging, note }
                } else {
                    FindingKind::Warning(format!(
                        "its staging distribution {staging} has a cache of its own and is not invalidated: {ADVICE}"
                    ))
                }
            })
            .collect()
        }
        Staging::Unresolved {
            policy,
            domain_names,
            error,
        } => vec![if domain_names.is_empty() {
            unread_policy(&policy, &error, rules, assumption)
        } else {
            let subject = format!("its staging distribution {}", domain_names.join(" and "));
            let warning = not_invalidated(&subject, "is not invalidated", &error, rules);
            warning_or_retry(warning, &error, rules.may_require_another())
        }],
    };
    let primary = |kind| StagingFinding {
        primary: primary.clone(),
        kind,
    };
    kinds.into_iter().map(primary).collect()
}

/// Decides what follows if a continuous deployment policy could not be read.
fn unread_policy(
    policy: &str,
    error: &Error,
    rules: StagingRules<'_>,
    assumption: &Assumption,
) -> FindingKind {
    let ids = assumption.staging.iter().map(DistributionId::as_str);
    let staging = ids.collect::<Vec<_>>().join(" or ");
    let is_searched_again = rules.is_searched_again(error);
    if assumption.is_complete() && !is_searched_again {
        return FindingKind::Note(format!(
            "{staging} is assumed to be its staging distribution, because continuous deployment policy {policy} cannot be \
             read"
        ));
    }
    let subject =
        format!("if continuous deployment policy {policy} is enabled, its staging distribution");
    let gap = if staging.is_empty() {
        "is not invalidated".to_owned()
    } else {
        format!("is only invalidated if it is {staging}")
    };
    let errors = || {
        [Some(error), assumption.unread.as_ref()]
            .into_iter()
            .flatten()
    };
    let all = Error::join(errors().cloned());
    let warning = not_invalidated(&subject, &gap, all.as_ref().unwrap_or(error), rules);
    let transient = errors().find(|error| error.is_transient());
    let is_required = is_searched_again || assumption.unread.is_some();
    warning_or_retry(warning, transient.unwrap_or(error), is_required)
}

fn not_invalidated(subject: &str, gap: &str, error: &Error, rules: StagingRules<'_>) -> String {
    let advice = if rules.invalidate_all {
        String::new()
    } else {
        format!("; {ADVICE}")
    };
    format!("{subject} has a cache of its own and {gap}: {error}{advice}")
}

/// Returns what follows from an error. `is_required` is whether the staging distribution possibly has to be invalidated.
fn warning_or_retry(warning: String, error: &Error, is_required: bool) -> FindingKind {
    if error.is_transient() && is_required {
        let error = error.clone();
        FindingKind::Retry { warning, error }
    } else {
        FindingKind::Warning(warning)
    }
}

#[cfg(test)]
mod tests;
