//! SQS: sends a message, and changes when a received one is visible again.
//!
//! Lambda receives and deletes messages itself; the command line does it with `batches`. The URL of a queue is the
//! one that CloudFormation returns. It names the queue in the request, and the service and region to send it to, unless
//! the environment configures an endpoint.
//!
//! API: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>

#[cfg(feature = "cli")]
pub mod batches;

use std::fmt;
use std::time::Duration;

use aws_types::SdkConfig;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::sdk::{domains, partition};
use super::signed_json::{self, CallError, Endpoint, SignedJson};
use crate::account::Account;
#[cfg(feature = "cli")]
use crate::aws::call_log::CallLog;
use crate::clock::Clock;
use crate::error::Error;

/// How long SQS can delay a message.
pub const MAX_DELAY: Duration = Duration::from_secs(900);

/// How long a received message can stay invisible.
pub const MAX_VISIBILITY_TIMEOUT: Duration = Duration::from_secs(43_200);

/// The URL of a standard queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueUrl {
    text: String,
    /// Scheme and host.
    origin: String,
    host: String,
    account: String,
    name: String,
}

impl QueueUrl {
    /// Parses a URL. Surrounding white space is ignored.
    ///
    /// # Errors
    ///
    /// [`Error`] that has the form of such a URL.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        Self::read(text).ok_or_else(|| {
            Error::invalid_input(format!(
                "{text:?} is not the URL of a standard queue: write one such as \
                 https://sqs.eu-west-1.amazonaws.com/111122223333/queue"
            ))
        })
    }

    fn read(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let (host, path) = rest.split_once('/')?;
        let (account, name) = path.split_once('/')?;
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let is_valid = matches!(scheme, "https" | "http")
            && !host.is_empty()
            && host.bytes().all(is_host)
            && account.len() == 12
            && account.bytes().all(|byte| byte.is_ascii_digit())
            && (1..=80).contains(&name.len())
            && name.bytes().all(is_name);
        is_valid.then(|| Self {
            text: text.to_owned(),
            origin: format!("{scheme}://{host}"),
            host: host.to_owned(),
            account: account.to_owned(),
            name: name.to_owned(),
        })
    }

    /// Returns the URL.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the name of the queue.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns whether both URLs name the same queue. A host without a region can be in any region.
    #[cfg(feature = "cli")]
    pub(crate) fn is_same_queue(&self, other: &Self) -> bool {
        let is_same_region = match (self.region(), other.region()) {
            (Some(region), Some(other)) => region == other,
            _ => true,
        };
        is_same_region && (&self.account, &self.name) == (&other.account, &other.name)
    }

    /// Returns the region that the host names, such as `sqs.eu-west-1.amazonaws.com` or that of a VPC endpoint. `None` outside the
    /// domains of AWS.
    fn region(&self) -> Option<&str> {
        let labels = |domain| self.host.strip_suffix(domain)?.strip_suffix('.');
        let labels = domains().find_map(labels)?;
        labels.rsplit('.').find(|label| is_region(label))
    }

    /// Returns whether the host is the one that every client uses.
    fn has_usual_host(&self, region: &str) -> bool {
        let partition = partition(region);
        let domains = [partition.domain, partition.dual_stack_domain];
        let hosts = domains.map(|domain| format!("sqs.{region}.{domain}"));
        self.origin.starts_with("https://") && hosts.contains(&self.host)
    }

    /// Returns the ARN of the queue; `region` is used if the URL names none.
    fn arn(&self, region: Option<&str>) -> String {
        let region = self.region().or(region);
        let partition = partition(region.unwrap_or_default()).name;
        let account = Account::new(partition, Some(&self.account));
        account.regional_arn("sqs", region, &self.name)
    }
}

impl fmt::Display for QueueUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Returns whether a part of a host has the form of a region: words and a number.
fn is_region(label: &str) -> bool {
    let Some((words, number)) = label.rsplit_once('-') else {
        return false;
    };
    let is_word =
        |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    words.contains('-')
        && words.split('-').all(is_word)
        && !number.is_empty()
        && number.len() <= 2
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// A client of SQS.
#[derive(Clone, Debug)]
pub struct Sqs {
    client: SignedJson,
}

impl Sqs {
    /// Creates a client; sends nothing.
    pub fn new(sdk: &SdkConfig) -> Self {
        Self::with_clock(sdk, Clock::system())
    }

    /// Creates a client that reads this clock for its signatures, and pauses with it before a second attempt.
    pub fn with_clock(sdk: &SdkConfig, clock: Clock) -> Self {
        Self {
            client: SignedJson::new(&signed_json::SQS, sdk, clock),
        }
    }

    /// Prints each call.
    #[cfg(feature = "cli")]
    pub fn with_call_log(self, calls: CallLog) -> Self {
        Self {
            client: self.client.with_call_log(calls),
        }
    }

    /// Sends a message, which can be received after `delay`: at most 15 minutes, and in whole seconds. If an attempt gets no
    /// response, the message can be in the queue twice, or be in it although this returns an error.
    ///
    /// # Errors
    ///
    /// [`Error`] if SQS did not accept it before `deadline`.
    pub async fn send_message(
        &self,
        queue: &QueueUrl,
        body: &str,
        delay: Duration,
        deadline: Instant,
    ) -> Result<(), Error> {
        let input = json!({
            "QueueUrl": queue.as_str(),
            "MessageBody": body,
            "DelaySeconds": whole_seconds(delay, MAX_DELAY),
        });
        let sent = self.call(queue, "SendMessage", &input, deadline).await;
        sent.map_err(|error| {
            let purpose = format!("send a message to queue {}", queue.name());
            self.error(error, queue, "SendMessage", purpose)
        })
    }

    /// Makes a received message visible again after `visible_in`: at most 12 hours, and in whole seconds.
    ///
    /// # Errors
    ///
    /// [`Error`] if SQS did not accept it before `deadline`. The message is then visible when its visibility timeout ends.
    pub async fn change_visibility(
        &self,
        queue: &QueueUrl,
        receipt_handle: &str,
        visible_in: Duration,
        deadline: Instant,
    ) -> Result<(), Error> {
        let input = json!({
            "QueueUrl": queue.as_str(),
            "ReceiptHandle": receipt_handle,
            "VisibilityTimeout": whole_seconds(visible_in, MAX_VISIBILITY_TIMEOUT),
        });
        let operation = "ChangeMessageVisibility";
        let changed = self.call(queue, operation, &input, deadline).await;
        changed.map_err(|error| {
            let purpose = format!(
                "change the visibility timeout of a message of queue {}",
                queue.name()
            );
            self.error(error, queue, operation, purpose)
        })
    }

    async fn call(
        &self,
        queue: &QueueUrl,
        operation: &'static str,
        input: &Value,
        deadline: Instant,
    ) -> Result<(), CallError> {
        let endpoint = self.endpoint(queue)?;
        let output = self
            .client
            .call(&endpoint, operation, input, deadline)
            .await;
        output.map(|_output| ())
    }

    /// Returns where calls about a queue are sent. A host that is not the usual one, such as that of a VPC endpoint, stays.
    fn endpoint(&self, queue: &QueueUrl) -> Result<Endpoint, CallError> {
        let region = queue.region().or(self.client.region());
        let endpoint = self.client.endpoint_in(region)?;
        let is_usual = queue.has_usual_host(&endpoint.region);
        if self.client.has_configured_endpoint() || is_usual {
            return Ok(endpoint);
        }
        Ok(Endpoint {
            url: queue.origin.clone(),
            ..endpoint
        })
    }

    fn error(&self, error: CallError, queue: &QueueUrl, operation: &str, purpose: String) -> Error {
        let arn = || queue.arn(self.client.region());
        let code = match &error {
            CallError::Rejected(rejection) => rejection.code.as_str(),
            _ => "",
        };
        let denied = match code {
            // The message names no key.
            "KmsAccessDenied" => {
                let action = match operation {
                    "ReceiveMessage" => "kms:Decrypt",
                    _ => "kms:GenerateDataKey",
                };
                (action.to_owned(), format!("the KMS key of {}", arn()))
            }
            // The action of an operation allows the operation for a batch too.
            _ => {
                let action = operation.strip_suffix("Batch").unwrap_or(operation);
                (format!("sqs:{action}"), arn())
            }
        };
        let remedy = match code {
            "QueueDoesNotExist" | "InvalidAddress" => {
                Some(format!("check that {queue} is the URL of a queue"))
            }
            "MessageNotInflight" | "ReceiptHandleIsInvalid" => {
                Some("the message was received again or deleted meanwhile".to_owned())
            }
            _ => None,
        };
        error.into_error(purpose, (&denied.0, denied.1), remedy)
    }
}

/// Returns the seconds, rounded up, so that nothing happens too early.
fn whole_seconds(duration: Duration, max: Duration) -> u64 {
    let duration = duration.min(max);
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_has_its_account_and_name_in_the_path() {
        for (text, region, arn) in [
            (
                " https://sqs.eu-west-1.amazonaws.com/111122223333/slack-Queue_1 ",
                Some("eu-west-1"),
                "arn:aws:sqs:eu-west-1:111122223333:slack-Queue_1",
            ),
            (
                "https://sqs.cn-north-1.amazonaws.com.cn/111122223333/slack",
                Some("cn-north-1"),
                "arn:aws-cn:sqs:cn-north-1:111122223333:slack",
            ),
            (
                "https://sqs-fips.us-gov-west-1.amazonaws.com/111122223333/slack",
                Some("us-gov-west-1"),
                "arn:aws-us-gov:sqs:us-gov-west-1:111122223333:slack",
            ),
            (
                "https://eu-west-1.queue.amazonaws.com/111122223333/slack",
                Some("eu-west-1"),
                "arn:aws:sqs:eu-west-1:111122223333:slack",
            ),
            (
                "https://vpce-0123456789abcdef0-12345678.sqs.eu-west-1.vpce.amazonaws.com/111122223333/slack",
                Some("eu-west-1"),
                "arn:aws:sqs:eu-west-1:111122223333:slack",
            ),
            (
                "http://localhost:4566/000000000000/slack",
                None,
                "arn:aws:sqs:eu-north-1:000000000000:slack",
            ),
        ] {
            let queue = QueueUrl::parse(text).expect("a URL");
            assert_eq!(queue.as_str(), text.trim());
            assert_eq!(queue.region(), region, "{text}");
            assert_eq!(queue.arn(Some("eu-north-1")), arn, "{text}");
        }
    }

    #[test]
    fn the_error_of_another_text_has_the_form_of_the_url() {
        for text in [
            "",
            "slack",
            "arn:aws:sqs:eu-west-1:111122223333:slack",
            "ftp://sqs.eu-west-1.amazonaws.com/111122223333/slack",
            "https://sqs.eu-west-1.amazonaws.com/slack",
            "https://sqs.eu-west-1.amazonaws.com/1111/slack",
            "https://sqs.eu-west-1.amazonaws.com/111122223333/",
            "https://sqs.eu-west-1.amazonaws.com/111122223333/a/b",
            "https://sqs.eu-west-1.amazonaws.com/111122223333/slack.fifo",
            "https://user@sqs.eu-west-1.amazonaws.com/111122223333/slack",
        ] {
            let error = QueueUrl::parse(text).expect_err(text).to_string();
            let expected = format!(
                "{text:?} is not the URL of a standard queue: write one such as \
                 https://sqs.eu-west-1.amazonaws.com/111122223333/queue"
            );
            assert_eq!(error, expected);
        }
    }

    fn endpoint(url: &str, configure: impl Fn(&mut aws_types::sdk_config::Builder)) -> String {
        let region = aws_sdk_cloudfront::config::Region::new("eu-north-1");
        let mut sdk = SdkConfig::builder().region(region);
        configure(&mut sdk);
        let sqs = Sqs::new(&sdk.build());
        match sqs.endpoint(&QueueUrl::parse(url).expect("a URL")) {
            Ok(Endpoint { url, region }) => format!("{url} {region}"),
            Err(error) => format!("{error:?}"),
        }
    }

    #[test]
    fn a_call_is_sent_to_the_host_and_signed_for_the_region_of_the_queue() {
        let usual = "https://sqs.eu-west-1.amazonaws.com/111122223333/slack";
        let vpc = "https://vpce-0.sqs.eu-west-1.vpce.amazonaws.com/111122223333/slack";
        for (url, expected) in [
            (usual, "https://sqs.eu-west-1.amazonaws.com eu-west-1"),
            (
                vpc,
                "https://vpce-0.sqs.eu-west-1.vpce.amazonaws.com eu-west-1",
            ),
            (
                "http://localhost:4566/111122223333/slack",
                "http://localhost:4566 eu-north-1",
            ),
        ] {
            assert_eq!(endpoint(url, |_| {}), expected);
        }
        let fips = |sdk: &mut aws_types::sdk_config::Builder| {
            sdk.set_use_fips(Some(true));
        };
        let expected = "https://sqs-fips.eu-west-1.amazonaws.com eu-west-1";
        assert_eq!(endpoint(usual, fips), expected);
        let dual_stack = |sdk: &mut aws_types::sdk_config::Builder| {
            sdk.set_use_dual_stack(Some(true));
        };
        let expected = "https://sqs.eu-west-1.api.aws eu-west-1";
        assert_eq!(endpoint(usual, dual_stack), expected);
        let configured = |sdk: &mut aws_types::sdk_config::Builder| {
            sdk.set_endpoint_url(Some("http://127.0.0.1:1".to_owned()));
        };
        for url in [usual, vpc] {
            assert_eq!(endpoint(url, configured), "http://127.0.0.1:1 eu-west-1");
        }
        let both = |sdk: &mut aws_types::sdk_config::Builder| {
            fips(sdk);
            configured(sdk);
        };
        let expected = "NotSent(\"a FIPS endpoint and an endpoint URL are both configured\")";
        assert_eq!(endpoint(usual, both), expected);
    }

    #[test]
    fn seconds_are_rounded_up_and_limited() {
        for (duration, seconds) in [
            (Duration::ZERO, 0),
            (Duration::from_millis(1), 1),
            (Duration::from_secs(5), 5),
            (Duration::from_millis(899_001), 900),
            (Duration::from_secs(1_000), 900),
        ] {
            assert_eq!(whole_seconds(duration, MAX_DELAY), seconds);
        }
    }
}
