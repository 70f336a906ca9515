//! CloudFront: creates invalidations, and reads invalidations and distributions.
//!
//! `errors` classifies the errors of the service. `invalidations` and `listing` read what exists, `resolve` finds
//! distributions by domain name, `sites` and `configuration` turn a distribution's configuration into a `Site`, `features`
//! reads what concerns the distribution as a whole, `staging` finds staging distributions, `viewers` reads how viewers reach a
//! distribution.

mod configuration;
mod errors;
mod features;
mod invalidations;
mod listing;
mod resolve;
mod sites;
mod staging;
mod viewers;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_cloudfront::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
use aws_sdk_cloudfront::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_cloudfront::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_cloudfront::error::{BoxError, BuildError};
use aws_sdk_cloudfront::types::{InvalidationBatch, Paths};
use aws_types::SdkConfig;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use tokio::time::{Instant, timeout_at};

use self::errors::{Call, is_reference_used};
pub use self::invalidations::InvalidationSummary;
use self::invalidations::{MAX_LISTED, existing};
pub use self::listing::DistributionSummary;
pub(crate) use self::resolve::{Match, has_domain, most_specific};
pub use self::sites::{ListedDistribution, ListedSite, SiteReader};
pub use self::staging::Staging;
use crate::account::Account;
#[cfg(feature = "cli")]
use crate::aws::call_log::CallLog;
use crate::aws::http::http_date;
use crate::aws::sdk::service_endpoint;
use crate::aws::sdk_error::{aws_message, with_causes};
use crate::error::{Conflict, Error};
use crate::plan::limits::MAX_INVALIDATIONS_READ;
use crate::plan::reuse::{self, RequestTimes};
use crate::plan::{Batch, ExistingInvalidation};

/// Returns the URL to which a client with this configuration sends its requests; `None` if there is none.
pub fn endpoint_url(sdk: &SdkConfig) -> Option<String> {
    let params = Params::builder()
        .set_region(sdk.region().map(ToString::to_string))
        .set_use_fips(sdk.use_fips())
        .set_use_dual_stack(sdk.use_dual_stack())
        .set_endpoint(service_endpoint(sdk, "CloudFront"))
        .build();
    let resolver = DefaultResolver::new();
    let endpoint = resolver.resolve_endpoint(&params.ok()?).now_or_never()?;
    Some(endpoint.ok()?.url().to_owned())
}

/// A client of CloudFront for one account.
#[derive(Clone, Debug)]
pub struct CloudFront {
    client: aws_sdk_cloudfront::Client,
    account: Account,
    server_time: ServerTime,
}

/// What CloudFront did with a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Submission {
    /// It returned this invalidation: a new one, or the one that it created for an earlier attempt.
    Created(ExistingInvalidation),
    /// It has this invalidation from an earlier request of the user, under the same name and with the same paths. It created
    /// none.
    Reused {
        /// The invalidation.
        invalidation: ExistingInvalidation,
        /// How long ago it was created, by CloudFront's clock.
        age: TimeDelta,
    },
    /// It refused the derived caller reference as used before, by an earlier attempt. The invalidation, if it is among
    /// the newest.
    AlreadyExists(Option<ExistingInvalidation>),
}

impl Submission {
    /// Returns the age of the invalidation, if an earlier request of the user created it.
    pub fn reused(&self) -> Option<TimeDelta> {
        match self {
            Self::Reused { age, .. } => Some(*age),
            Self::Created(_) | Self::AlreadyExists(_) => None,
        }
    }

    /// Returns the invalidation, if it is known.
    pub fn into_invalidation(self) -> Option<ExistingInvalidation> {
        match self {
            Self::Created(invalidation) | Self::Reused { invalidation, .. } => Some(invalidation),
            Self::AlreadyExists(invalidation) => invalidation,
        }
    }
}

impl CloudFront {
    /// Creates a client; sends nothing. `account` is the one that error messages name in ARNs.
    pub fn new(sdk: &SdkConfig, account: Account) -> Self {
        Self::with_config(aws_sdk_cloudfront::config::Builder::from(sdk), account)
    }

    /// Creates a client that prints its calls.
    #[cfg(feature = "cli")]
    pub fn with_call_log(sdk: &SdkConfig, account: Account, calls: CallLog) -> Self {
        let config = aws_sdk_cloudfront::config::Builder::from(sdk).interceptor(calls);
        Self::with_config(config, account)
    }

    fn with_config(config: aws_sdk_cloudfront::config::Builder, account: Account) -> Self {
        let server_time = ServerTime::default();
        let config = config.interceptor(server_time.clone());
        Self {
            client: aws_sdk_cloudfront::Client::from_conf(config.build()),
            account,
            server_time,
        }
    }

    /// Returns the time by CloudFront's clock, which sets the time of invalidations: that of its last response, and what has
    /// passed since then. `None` before the first response.
    pub fn now(&self) -> Option<DateTime<Utc>> {
        let (date, received) = (*self
            .server_time
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner))?;
        date.checked_add_signed(TimeDelta::from_std(received.elapsed()).ok()?)
    }

    /// Returns whether a request that was first sent at this time created the invalidation, and not an earlier one. It counts
    /// as created if CloudFront's clock is unknown.
    pub fn is_created_since(&self, first_sent: Instant, known: &ExistingInvalidation) -> bool {
        let elapsed = TimeDelta::from_std(first_sent.elapsed());
        let sent = self.now().zip(elapsed.ok());
        sent.is_none_or(|(now, elapsed)| reuse::is_created_by(now - elapsed, known))
    }

    /// Creates an invalidation of the batch, or finds the one that exists under its caller reference. `first_sent` is when
    /// the caller sent the batch for the first time: an invalidation that is older is not its own.
    ///
    /// # Errors
    ///
    /// [`Error`] if CloudFront does not accept the batch before `deadline`, or if the user gave another request the same
    /// name ([`reuse::check`]).
    pub async fn create_invalidation(
        &self,
        batch: &Batch,
        first_sent: Instant,
        deadline: Instant,
    ) -> Result<Submission, Error> {
        let call = Call::CreateInvalidation(batch.distribution());
        let date = ResponseDate::default();
        let request = self
            .client
            .create_invalidation()
            .distribution_id(batch.distribution().as_str())
            .invalidation_batch(
                invalidation_batch(batch).map_err(|error| call.unavailable(with_causes(&error)))?,
            )
            .customize()
            .interceptor(date.clone());
        let response = timeout_at(deadline, request.send())
            .await
            .map_err(|_elapsed| call.no_response())?;
        let times = date.times(first_sent.elapsed());
        match response {
            Ok(output) => {
                let invalidation = output.invalidation.as_ref().map(existing);
                let invalidation = invalidation
                    .ok_or_else(|| call.unavailable("the response holds no invalidation"))?;
                match batch.name() {
                    Some(name) => reused(name, batch, invalidation, times),
                    None => Ok(Submission::Created(invalidation)),
                }
            }
            Err(error) if is_reference_used(&error) => {
                self.already_exists(batch, times, deadline).await
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

    /// Searches the invalidation with the batch's caller reference, which CloudFront refused as used before.
    async fn already_exists(
        &self,
        batch: &Batch,
        times: Option<RequestTimes>,
        deadline: Instant,
    ) -> Result<Submission, Error> {
        let maximum = match batch.name() {
            Some(_) => MAX_LISTED,
            None => MAX_INVALIDATIONS_READ,
        };
        let found = timeout_at(deadline, self.find_by_reference(batch, maximum)).await;
        let found = found.unwrap_or_else(|_elapsed| {
            Err(Call::ListInvalidations(batch.distribution()).no_response())
        });
        match (batch.name(), found) {
            // The invalidation exists, whatever the search for its id returns.
            (None, found) => Ok(Submission::AlreadyExists(found.ok().flatten())),
            (Some(name), Ok(Some(invalidation))) => reused(name, batch, invalidation, times),
            (Some(name), found) => {
                let error = found.err();
                let error = reuse::conflict(name, Conflict::Unknown { error });
                Err(error.context(batch.distribution()))
            }
        }
    }
}

/// Returns whether an earlier request of the user created the invalidation, and checks that it satisfies this one.
fn reused(
    name: &str,
    batch: &Batch,
    invalidation: ExistingInvalidation,
    times: Option<RequestTimes>,
) -> Result<Submission, Error> {
    let call = Call::CreateInvalidation(batch.distribution());
    let unclear = |missing: &str| {
        let id = &invalidation.id;
        call.unavailable(format!(
            "the response has no {missing}, so it is unknown whether {id} is new"
        ))
    };
    if invalidation.paths.is_empty() {
        return Err(unclear("paths"));
    }
    let times = times.ok_or_else(|| unclear("date"))?;
    let age = reuse::check(name, batch, &invalidation, times)
        .map_err(|error| error.context(batch.distribution()))?;
    Ok(match age {
        Some(age) => Submission::Reused { invalidation, age },
        None => Submission::Created(invalidation),
    })
}

/// The header `Date` of the last response: CloudFront's clock, which also sets CreateTime.
#[derive(Clone, Debug, Default)]
struct ResponseDate(Arc<Mutex<Option<DateTime<Utc>>>>);

impl ResponseDate {
    /// Returns the times of a request that took this long with its retries; `None` without the header.
    fn times(&self, elapsed: Duration) -> Option<RequestTimes> {
        let responded = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        let elapsed = TimeDelta::from_std(elapsed).ok()?;
        Some(RequestTimes {
            sent: responded.checked_sub_signed(elapsed)?,
            responded,
        })
    }
}

impl Intercept for ResponseDate {
    fn name(&self) -> &'static str {
        "ResponseDate"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = date(context);
        Ok(())
    }
}

/// The header `Date` of the client's last response that had one, and when it was received.
#[derive(Clone, Debug, Default)]
struct ServerTime(Arc<Mutex<Option<ReceivedDate>>>);

/// The header `Date` of a response, and when it was received.
type ReceivedDate = (DateTime<Utc>, Instant);

impl Intercept for ServerTime {
    fn name(&self) -> &'static str {
        "ServerTime"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(date) = date(context) {
            let received = (date, Instant::now());
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(received);
        }
        Ok(())
    }
}

fn date(context: &BeforeDeserializationInterceptorContextRef<'_>) -> Option<DateTime<Utc>> {
    http_date(context.response().headers().get("date")?)
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
