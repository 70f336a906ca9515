//! Finds the staging distributions that a continuous deployment policy sends viewers to.
//!
//! A staging distribution has a cache and an id of its own
//! ([documentation](https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/understanding-continuous-deployment.html#staging-and-primary-no-shared-cache)).
//! The configuration of the primary distribution names the policy, the policy names the domain name of the staging
//! distribution, and only ListDistributions has its id.

use tokio::time::{Instant, timeout_at};

use super::CloudFront;
use super::errors::Call;
use super::listing::listed_id;
use crate::distribution::DistributionId;
use crate::error::Error;

/// The staging distributions of a distribution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Staging {
    /// There is no continuous deployment policy, or it was deleted.
    None,
    /// The policy is disabled: all viewers get copies of the primary distribution.
    Disabled,
    /// The policy is enabled.
    Found(Vec<DistributionId>),
    /// Not all could be found.
    Unresolved {
        /// The policy's id.
        policy: String,
        /// Their domain names; empty if the policy could not be read, which is then possibly disabled.
        domain_names: Vec<String>,
        /// What could not be read.
        error: Error,
    },
}

impl CloudFront {
    /// Finds the staging distributions of a continuous deployment policy before `deadline`. Without a policy, this takes
    /// no call.
    pub async fn staging(&self, policy: Option<&str>, deadline: Instant) -> Staging {
        let Some(policy) = policy else {
            return Staging::None;
        };
        let unresolved = |domain_names, error| Staging::Unresolved {
            policy: policy.to_owned(),
            domain_names,
            error,
        };
        let call = Call::GetContinuousDeploymentPolicyConfig(policy);
        let request = self
            .client
            .get_continuous_deployment_policy_config()
            .id(policy);
        let response = match timeout_at(deadline, request.send()).await {
            Err(_elapsed) => return unresolved(vec![], call.no_response()),
            Ok(Err(error))
                if error
                    .as_service_error()
                    .is_some_and(|error| error.is_no_such_continuous_deployment_policy()) =>
            {
                return Staging::None;
            }
            Ok(Err(error)) => return unresolved(vec![], call.error(&error, &self.account)),
            Ok(Ok(response)) => response,
        };
        let Some(config) = response.continuous_deployment_policy_config else {
            let error = call.unavailable("the response holds no configuration");
            return unresolved(vec![], error);
        };
        if !config.enabled {
            return Staging::Disabled;
        }
        let names = config.staging_distribution_dns_names;
        let names = names.and_then(|names| names.items).unwrap_or_default();
        match self.with_domain_names(&names, deadline).await {
            Ok(ids) => Staging::Found(ids),
            Err(error) => unresolved(names, error),
        }
    }

    /// Returns the ids of the distributions that CloudFront gave these domain names.
    async fn with_domain_names(
        &self,
        names: &[String],
        deadline: Instant,
    ) -> Result<Vec<DistributionId>, Error> {
        let call = Call::ListDistributions;
        let summaries = timeout_at(deadline, self.distribution_summaries())
            .await
            .map_err(|_elapsed| call.no_response())??;
        let find = |name: &String| {
            let summary = summaries
                .iter()
                .find(|summary| summary.domain_name.eq_ignore_ascii_case(name))
                .ok_or_else(|| Error::invalid_input(format!("the account does not list {name}")))?;
            listed_id(&summary.id)
        };
        names.iter().map(find).collect()
    }
}
