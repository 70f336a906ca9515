//! CloudFront: creates invalidations, and reads invalidations and distributions.
//!
//! `errors` classifies the errors of the service. `invalidations` and `listing` read what exists, `resolve` finds
//! distributions by domain name, `sites` and `configuration` turn a distribution's configuration into a `Site`, `features`
//! reads what concerns the distribution as a whole, `staging` finds staging distributions.

mod configuration;
mod errors;
mod features;
mod invalidations;
mod listing;
mod resolve;
mod sites;
mod staging;

use aws_sdk_cloudfront::error::BuildError;
use aws_sdk_cloudfront::types::{InvalidationBatch, Paths};
use aws_types::SdkConfig;
use tokio::time::{Instant, timeout_at};

use self::errors::{Call, is_reference_used};
#[cfg(feature = "cli")]
pub use self::invalidations::InvalidationSummary;
use self::invalidations::existing;
pub use self::listing::DistributionSummary;
pub use self::sites::{ListedDistribution, ListedSite, SiteReader};
pub use self::staging::Staging;
use crate::account::Account;
use crate::aws::sdk_error::{aws_message, with_causes};
use crate::error::Error;
use crate::plan::{Batch, ExistingInvalidation};

/// A client of CloudFront for one account.
#[derive(Clone, Debug)]
pub struct CloudFront {
    client: aws_sdk_cloudfront::Client,
    account: Account,
}

/// What CloudFront did with a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Submission {
    /// It returned this invalidation: a new one, or the one that it created for the same request before.
    Created(ExistingInvalidation),
    /// It refused the caller reference as used before. The invalidation, if it is among the newest.
    AlreadyExists(Option<ExistingInvalidation>),
}

impl Submission {
    /// Returns the invalidation, if it is known.
    pub fn into_invalidation(self) -> Option<ExistingInvalidation> {
        match self {
            Self::Created(invalidation) => Some(invalidation),
            Self::AlreadyExists(invalidation) => invalidation,
        }
    }
}

impl CloudFront {
    /// Creates a client; sends nothing. `account` is the one that error messages name in ARNs.
    pub fn new(sdk: &SdkConfig, account: Account) -> Self {
        Self {
            client: aws_sdk_cloudfront::Client::new(sdk),
            account,
        }
    }

    /// Creates an invalidation of the batch, or finds the one that exists under its caller reference.
    ///
    /// # Errors
    ///
    /// [`Error`] if CloudFront does not accept the batch before `deadline`.
    pub async fn create_invalidation(
        &self,
        batch: &Batch,
        deadline: Instant,
    ) -> Result<Submission, Error> {
        let call = Call::CreateInvalidation(batch.distribution());
        let request = self
            .client
            .create_invalidation()
            .distribution_id(batch.distribution().as_str())
            .invalidation_batch(
                invalidation_batch(batch).map_err(|error| call.unavailable(with_causes(&error)))?,
            );
        let response = timeout_at(deadline, request.send())
            .await
            .map_err(|_elapsed| call.no_response())?;
        match response {
            Ok(output) => (output.invalidation.as_ref())
                .map(|invalidation| Submission::Created(existing(invalidation)))
                .ok_or_else(|| call.unavailable("the response holds no invalidation")),
            Err(error) if is_reference_used(&error) => {
                // The invalidation exists, whatever the search for its id returns.
                let found = timeout_at(deadline, self.find_by_reference(batch)).await;
                Ok(Submission::AlreadyExists(found.ok().flatten()))
            }
            Err(error) => {
                let message = aws_message(&error);
                match call.error(&error, &self.account) {
                    error if error.is_no_such_distribution() => {
                        let distribution = batch.distribution();
                        Err(self
                            .no_such_distribution(distribution, message, deadline)
                            .await)
                    }
                    error => Err(error),
                }
            }
        }
    }
}

fn invalidation_batch(batch: &Batch) -> Result<InvalidationBatch, BuildError> {
    let items: Vec<_> = batch
        .paths()
        .iter()
        .map(|path| path.as_str().to_owned())
        .collect();
    // CloudFront refuses a batch of more than i32::MAX paths for its size.
    let quantity = i32::try_from(items.len()).unwrap_or(i32::MAX);
    let paths = Paths::builder()
        .quantity(quantity)
        .set_items(Some(items))
        .build()?;
    InvalidationBatch::builder()
        .paths(paths)
        .caller_reference(batch.reference().as_str())
        .build()
}
