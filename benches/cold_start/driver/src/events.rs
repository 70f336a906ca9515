//! The events that the functions receive, as AWS writes them.
//!
//! Each invocation has ids and keys of its own, and the time at which it is sent. So none is a repetition of another
//! one, which the function would recognize. The keys have neither spaces nor other characters that need two paths.

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

/// The distribution of the setting `DISTRIBUTION_ID`.
pub const DISTRIBUTION: &str = "E2EXAMPLE1ABCD";
/// The origin of that distribution; `distribution.xml` has the same.
const BUCKET: &str = "example-site";
const ACCOUNT: &str = "111122223333";
/// The greatest payload of a synchronous invocation:
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>.
const MAX_PAYLOAD_BYTES: usize = 6 * 1024 * 1024;
/// Placeholders, as long as the times that replace them when the event is sent.
const TIME: &str = "0000-00-00T00:00:00.000Z";
const TIMESTAMP_MS: &str = "0000000000000";

/// What invokes the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A CodePipeline job with two paths.
    PipelineJob,
    /// A notification of S3 with one record.
    S3Record,
    /// Ten notifications of S3 from SQS.
    SqsBatch,
    /// As many notifications of S3 from SQS as an invocation can have.
    LargestBatch,
}

impl Kind {
    /// Returns the title of its table.
    pub fn title(self) -> &'static str {
        match self {
            Self::PipelineJob => "Pipeline job",
            Self::S3Record => "One record of S3",
            Self::SqsBatch => "SQS batch of 10",
            Self::LargestBatch => "Largest SQS batch",
        }
    }
}

/// What a function has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The job that gets a success result.
    pub job: Option<String>,
    /// How many paths CloudFront has to get. `None`: how many is the function's decision.
    pub paths: Option<usize>,
    /// What the function has to return, if it is known.
    pub response: Option<Value>,
}

/// An event and what has to result from it.
#[derive(Clone, Debug)]
pub struct Event {
    text: String,
    /// What has to result from it.
    pub expected: Expected,
}

impl Event {
    /// Makes the event of an invocation.
    pub fn new(kind: Kind, invocation: usize) -> Self {
        match kind {
            Kind::PipelineJob => pipeline_job(invocation),
            Kind::S3Record => Self {
                text: json!({"Records": [record(&format!("blog/post-{invocation}.html"))]})
                    .to_string(),
                expected: changes(Some(1), None),
            },
            Kind::SqsBatch => sqs_batch(invocation, Some(10)),
            Kind::LargestBatch => sqs_batch(invocation, None),
        }
    }

    /// Returns the JSON with the current time as the time of all changes.
    pub fn at(&self, now: DateTime<Utc>) -> Bytes {
        let time = now.to_rfc3339_opts(SecondsFormat::Millis, true);
        self.text
            .replace(TIME, &time)
            .replace(TIMESTAMP_MS, &now.timestamp_millis().to_string())
            .into()
    }

    /// Returns the length of the JSON in bytes.
    pub fn len(&self) -> usize {
        self.text.len()
    }
}

fn changes(paths: Option<usize>, response: Option<Value>) -> Expected {
    Expected {
        job: None,
        paths,
        response,
    }
}

fn pipeline_job(invocation: usize) -> Event {
    let id = format!("11111111-abcd-4111-abcd-{invocation:012x}");
    let user_parameters =
        json!({"distribution": DISTRIBUTION, "paths": ["/index.html", "/blog/*"]});
    let job = json!({"CodePipeline.job": {
        "id": id,
        "accountId": ACCOUNT,
        "data": {
            "actionConfiguration": {"configuration": {
                "FunctionName": "cloudfront-invalidator",
                "UserParameters": user_parameters.to_string(),
            }},
            "inputArtifacts": [{
                "name": "BuildOutput",
                "revision": null,
                "location": {"type": "S3", "s3Location": {
                    "bucketName": "codepipeline-eu-west-1-example",
                    "objectKey": "example-pipeline/BuildOutp/Ab12Cd3",
                }},
            }],
            "outputArtifacts": [],
            "artifactCredentials": {
                "accessKeyId": "EXAMPLEACCESSKEYID",
                "secretAccessKey": "EXAMPLESECRETACCESSKEY",
                "sessionToken": "EXAMPLESESSIONTOKEN".repeat(40),
                "expirationTime": 1_795_168_800_000_u64,
            },
        },
    }});
    Event {
        text: job.to_string(),
        expected: Expected {
            job: Some(id),
            paths: Some(2),
            response: None,
        },
    }
}

/// A record of S3's notifications:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>.
fn record(key: &str) -> Value {
    json!({
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "eu-west-1",
        "eventTime": TIME,
        "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "AWS:AROAEXAMPLEEXAMPLE01:deploy"},
        "requestParameters": {"sourceIPAddress": "203.0.113.17"},
        "responseElements": {
            "x-amz-request-id": "5582815E1AEA5ADF",
            "x-amz-id-2": "8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3eKxsPzbB9wrR+YstdA6Knx4Ip8EXAMPLE",
        },
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "InvalidateCloudFront",
            "bucket": {
                "name": BUCKET,
                "ownerIdentity": {"principalId": "A3NL1KOZZKExample"},
                "arn": format!("arn:aws:s3:::{BUCKET}"),
            },
            "object": {
                "key": key,
                "size": 18_231,
                "eTag": "b1946ac92492d2347c6235b4d2611184",
                "sequencer": "0068A1B2C3D4E5F607",
            },
        },
    })
}

/// A message of a batch: <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>.
fn message(invocation: usize, index: usize) -> String {
    let key = format!(
        "blog/{}-{invocation}/post-{index:05}.html",
        2000 + index % 27
    );
    json!({
        "messageId": format!("2e1424d4-f796-459a-{invocation:04x}-{index:012x}"),
        "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a".repeat(7),
        "body": json!({"Records": [record(&key)]}).to_string(),
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": TIMESTAMP_MS,
            "SenderId": "AROAEXAMPLEEXAMPLE02:S3-PROD-END",
            "ApproximateFirstReceiveTimestamp": TIMESTAMP_MS,
        },
        "messageAttributes": {},
        "md5OfBody": "c6c20bdd9f76566f8ac0395cf0ab309c",
        "eventSource": "aws:sqs",
        "eventSourceARN": format!("arn:aws:sqs:eu-west-1:{ACCOUNT}:cloudfront-invalidator-Queue-EXAMPLE"),
        "awsRegion": "eu-west-1",
    })
    .to_string()
}

/// A batch of `messages`, or of as many as an invocation can have.
fn sqs_batch(invocation: usize, messages: Option<usize>) -> Event {
    let mut text = "{\"Records\":[".to_owned();
    for index in 0..messages.unwrap_or(usize::MAX) {
        let message = message(invocation, index);
        if text.len() + message.len() + ",]}".len() > MAX_PAYLOAD_BYTES {
            break;
        }
        if index > 0 {
            text.push(',');
        }
        text.push_str(&message);
    }
    text.push_str("]}");
    Event {
        text,
        // The function may choose wildcards. With ten keys it does not have to.
        expected: changes(messages, Some(json!({"batchItemFailures": []}))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_batch_fills_an_invocation_and_does_not_exceed_it() {
        let event = Event::new(Kind::LargestBatch, 1).at(Utc::now());
        let parsed: Value = serde_json::from_slice(&event).expect("JSON");
        let messages = parsed["Records"].as_array().map(Vec::len);
        assert_eq!(
            (messages, event.len() <= MAX_PAYLOAD_BYTES),
            (Some(4_117), true)
        );
    }

    #[test]
    fn a_change_has_the_time_at_which_it_is_sent() {
        let now = DateTime::from_timestamp(1_795_187_882, 7_000_000).expect("a time");
        let event = Event::new(Kind::S3Record, 3).at(now);
        let parsed: Value = serde_json::from_slice(&event).expect("JSON");
        let record = &parsed["Records"][0];
        assert_eq!(
            (&record["eventTime"], &record["s3"]["object"]["key"]),
            (
                &json!("2026-11-20T15:18:02.007Z"),
                &json!("blog/post-3.html")
            )
        );
    }
}
