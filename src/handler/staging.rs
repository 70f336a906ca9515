//! Staging distributions: which to invalidate together with the distributions of an event, and what to report of others.
//!
//! While a continuous deployment policy is enabled, some viewers get copies of a staging distribution, which has a cache
//! of its own. It is invalidated if the settings allow it, or name it. Otherwise the outcome and the log name it, so that
//! nobody takes the invalidation for complete.

use futures_util::future::join_all;
use tokio::time::Instant;

use super::Invalidator;
use crate::aws::cloudfront::Staging;
use crate::distribution::DistributionId;
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

/// What follows for an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FindingKind {
    /// Invalidate this staging distribution too.
    Invalidate(DistributionId),
    /// Report this; nothing is missing.
    Note(String),
    /// Report and log this: viewers may get old copies.
    Warning(String),
}

/// What decides about staging distributions.
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
        // A staging distribution does not name its primary distribution. Whoever names one in DistributionId means this.
        Staging::Unresolved {
            policy,
            domain_names,
            ..
        } if domain_names.is_empty() && !rules.known_staging.is_empty() => {
            let ids: Vec<_> = rules
                .known_staging
                .iter()
                .map(DistributionId::as_str)
                .collect();
            vec![FindingKind::Note(format!(
                "{} is taken for its staging distribution, because its continuous deployment policy {policy} cannot be \
                 read",
                ids.join(" or ")
            ))]
        }
        Staging::Unresolved {
            policy,
            domain_names,
            error,
        } => {
            let advice = if rules.invalidate_all {
                String::new()
            } else {
                format!("; {ADVICE}")
            };
            let subject = if domain_names.is_empty() {
                format!(
                    "the staging distribution of its continuous deployment policy {policy} has a cache of its own and is \
                     not invalidated if the policy is enabled"
                )
            } else {
                let names = domain_names.join(" and ");
                format!(
                    "its staging distribution {names} has a cache of its own and is not invalidated"
                )
            };
            vec![FindingKind::Warning(format!("{subject}: {error}{advice}"))]
        }
    };
    let primary = |kind| StagingFinding {
        primary: primary.clone(),
        kind,
    };
    kinds.into_iter().map(primary).collect()
}
