//! Reads the configuration of a distribution, and from it its [`Features`].
//!
//! CreateInvalidation answers NoSuchDistribution for a distribution that does not exist, and for one that viewers reach
//! through distribution tenants only (observed, one report). Only their configurations differ. For this purpose it is
//! read after the error only, so that CloudFront itself decides whether it accepts an invalidation.

use std::time::Duration;

use aws_sdk_cloudfront::types::{CacheTagConfig, ConnectionMode, DistributionConfig};
use tokio::time::{Instant, timeout_at};

use super::CloudFront;
use super::errors::Call;
use crate::distribution::DistributionId;
use crate::error::{Error, ErrorKind};
use crate::site::Features;

/// How long finding the reason for NoSuchDistribution may take.
const MAX_EXPLANATION_TIME: Duration = Duration::from_secs(3);

impl CloudFront {
    /// Reads what the configuration of a distribution decides about its invalidations.
    ///
    /// # Errors
    ///
    /// [`Error`] if the distribution does not exist, or cannot be read before `deadline`.
    pub async fn features(
        &self,
        distribution: &DistributionId,
        deadline: Instant,
    ) -> Result<Features, Error> {
        let config = self.config_before(distribution, deadline).await?;
        Ok(features(&config))
    }

    /// Returns the alternate domain names of a distribution.
    ///
    /// # Errors
    ///
    /// [`Error`] if its configuration cannot be read before `deadline`.
    pub async fn aliases(
        &self,
        distribution: &DistributionId,
        deadline: Instant,
    ) -> Result<Vec<String>, Error> {
        let config = self.config_before(distribution, deadline).await?;
        let aliases = config.aliases.and_then(|aliases| aliases.items);
        Ok(aliases.unwrap_or_default())
    }

    async fn config_before(
        &self,
        distribution: &DistributionId,
        deadline: Instant,
    ) -> Result<DistributionConfig, Error> {
        let read = timeout_at(deadline, self.distribution_config(distribution)).await;
        read.unwrap_or_else(|_elapsed| Err(Call::GetDistributionConfig(distribution).no_response()))
    }

    /// Reads the configuration of a distribution.
    pub(super) async fn distribution_config(
        &self,
        distribution: &DistributionId,
    ) -> Result<DistributionConfig, Error> {
        let call = Call::GetDistributionConfig(distribution);
        let request = self
            .client
            .get_distribution_config()
            .id(distribution.as_str());
        let response = request.send().await;
        response
            .map_err(|error| call.error(&error, &self.account))?
            .distribution_config
            .ok_or_else(|| call.unavailable("the response holds no configuration"))
    }

    /// Returns the error of a CreateInvalidation that CloudFront answered with NoSuchDistribution and this message.
    pub(super) async fn no_such_distribution(
        &self,
        distribution: &DistributionId,
        message: String,
        deadline: Instant,
    ) -> Error {
        let deadline = deadline.min(Instant::now() + MAX_EXPLANATION_TIME);
        let distribution = distribution.clone();
        let unclear = match self.features(&distribution, deadline).await {
            Ok(features) if features.tenants_only => {
                return ErrorKind::TenantsOnly {
                    distribution,
                    message,
                }
                .into();
            }
            // A later call can succeed, because the configuration shows no reason for the error.
            Ok(_) => {
                return Call::CreateInvalidation(&distribution).unavailable(format!(
                    "CloudFront answered NoSuchDistribution although the distribution exists ({message})"
                ));
            }
            Err(error) if error.is_no_such_distribution() => None,
            // A later call finds the reason, or succeeds.
            Err(error) if error.is_transient() => {
                return error.context(format_args!(
                    "CloudFront answered NoSuchDistribution for {distribution} ({message}), and the reason could not be \
                     found"
                ));
            }
            Err(error) => Some(error),
        };
        ErrorKind::NoSuchDistribution {
            distribution,
            message,
            unclear,
        }
        .into()
    }
}

/// Returns what a configuration decides about invalidations. An empty element means "none" as a missing one does.
pub(super) fn features(config: &DistributionConfig) -> Features {
    let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let cache_tags = config.cache_tag_config();
    Features {
        cache_tag_header: cache_tags.map(CacheTagConfig::header_name).and_then(text),
        continuous_deployment_policy: config.continuous_deployment_policy_id().and_then(text),
        staging: config.staging().unwrap_or_default(),
        tenants_only: config.connection_mode() == Some(&ConnectionMode::TenantOnly),
    }
}
