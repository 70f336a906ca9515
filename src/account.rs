//! `Account`: the AWS account that owns the function and the distributions.

use crate::distribution::DistributionId;

/// An account, for the ARNs in error messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    partition: String,
    id: String,
}

impl Account {
    /// Creates an account; without an id, its ARNs have `*` in its place.
    pub(crate) fn new(partition: &str, id: Option<&str>) -> Self {
        Self {
            partition: partition.to_owned(),
            id: id.unwrap_or("*").to_owned(),
        }
    }

    /// Returns the partition, such as `aws`.
    #[cfg(feature = "cli")]
    pub(crate) fn partition(&self) -> &str {
        &self.partition
    }

    /// Returns the id, if it is known.
    #[cfg(feature = "cli")]
    pub(crate) fn id(&self) -> Option<&str> {
        Some(self.id.as_str()).filter(|id| *id != "*")
    }

    /// Reads partition and account from an ARN; a part that is missing becomes `aws` or `*`.
    pub fn from_arn(arn: &str) -> Self {
        let mut parts = arn.split(':').skip(1);
        let mut part = |index| parts.nth(index).filter(|part: &&str| !part.is_empty());
        Self {
            partition: part(0).unwrap_or("aws").to_owned(),
            id: part(2).unwrap_or("*").to_owned(),
        }
    }

    /// Returns the ARN of a distribution of this account.
    pub fn distribution_arn(&self, distribution: &DistributionId) -> String {
        self.cloudfront_arn("distribution", distribution.as_str())
    }

    /// Returns the ARN of a continuous deployment policy of this account.
    pub fn continuous_deployment_policy_arn(&self, policy: &str) -> String {
        self.cloudfront_arn("continuous-deployment-policy", policy)
    }

    /// Returns the ARN of a resource of this account in a region; without a region, it has `*` in its place.
    pub(crate) fn regional_arn(
        &self,
        service: &str,
        region: Option<&str>,
        resource: &str,
    ) -> String {
        let Self { partition, id } = self;
        let region = region.unwrap_or("*");
        format!("arn:{partition}:{service}:{region}:{id}:{resource}")
    }

    fn cloudfront_arn(&self, kind: &str, resource: &str) -> String {
        let Self { partition, id } = self;
        format!("arn:{partition}:cloudfront::{id}:{kind}/{resource}")
    }

    /// Returns the ARN of a cache policy of this account.
    pub fn cache_policy_arn(&self, cache_policy: &str) -> String {
        let Self { partition, id } = self;
        format!("arn:{partition}:cloudfront::{id}:cache-policy/{cache_policy}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_account_from_the_functions_arn() {
        let id = DistributionId::parse("E2EXAMPLE1ABC").expect("an id");
        for (arn, distribution_arn) in [
            (
                "arn:aws:lambda:eu-west-1:111122223333:function:invalidator",
                "arn:aws:cloudfront::111122223333:distribution/E2EXAMPLE1ABC",
            ),
            (
                "arn:aws-cn:lambda:cn-north-1:111122223333:function:invalidator:live",
                "arn:aws-cn:cloudfront::111122223333:distribution/E2EXAMPLE1ABC",
            ),
            ("", "arn:aws:cloudfront::*:distribution/E2EXAMPLE1ABC"),
        ] {
            assert_eq!(
                Account::from_arn(arn).distribution_arn(&id),
                distribution_arn
            );
        }
    }
}
