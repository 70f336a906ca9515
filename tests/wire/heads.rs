//! HeadObject of S3: what a bucket has under a key, with the real SDK against the stand-in.
#![cfg(feature = "cli")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use cloudfront_invalidator::aws::call_log::CallLog;
use cloudfront_invalidator::aws::s3::{FoundObject, HeadObject, S3};
use cloudfront_invalidator::error::{Category, Error};
use cloudfront_invalidator::verify::judge::OriginObject;
use cloudfront_invalidator::verify::origin::BucketObject;
use tokio::time::Instant;

use crate::fixture::{ALWAYS, Fixture};
use crate::standin::{BucketOptions, Clock, Fault, Object, Operation, Options};

const BUCKET: &str = "example-site";

/// The MD5 of `text`.
const MD5: &str = "\"1cb251ec0d568de6a929b520c4aed8d1\"";

/// Starts a stand-in whose bucket has the object `a b+c/ü.html`.
fn start() -> Fixture {
    let fixture = Fixture::with(Options {
        clock: Clock::frozen(),
        ..Options::default()
    })
    .set("AWS_REGION", "eu-west-1");
    fixture.standin.put_object(BUCKET, KEY, "text");
    fixture
}

const KEY: &str = "a b+c/ü.html";

fn object(bucket: &str, key: &str) -> BucketObject {
    BucketObject {
        bucket: bucket.to_owned(),
        region: None,
        key: key.to_owned(),
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

async fn head(s3: &S3, object: &BucketObject) -> Result<HeadObject, Error> {
    s3.head(object, soon()).await
}

fn modified() -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(1_767_225_600, 0)
}

fn found() -> FoundObject {
    FoundObject {
        etag: MD5.to_owned(),
        modified: modified(),
        size: Some(4),
        content_encoding: None,
        is_md5: true,
    }
}

#[tokio::test]
async fn an_object_is_found_with_its_etag_size_and_encoding() {
    let fixture = start();
    let s3 = S3::new(&fixture.sdk());
    let actual = head(&s3, &object(BUCKET, KEY)).await;
    assert_eq!(actual, Ok(HeadObject::Found(found())));
    let origin_object = actual.map(|found| found.origin_object());
    let expected = OriginObject::Found {
        etag: MD5.to_owned(),
        modified: modified(),
    };
    assert_eq!(origin_object, Ok(expected));
    let encrypted = |name| {
        let header = "x-amz-server-side-encryption";
        Object::from("text").with_header(header, name)
    };
    let of_customer = Object::from("text")
        .with_header("x-amz-server-side-encryption-customer-algorithm", "AES256");
    let multipart = "\"1cb251ec0d568de6a929b520c4aed8d1-2\"";
    for (stored, expected) in [
        (encrypted("AES256"), found()),
        (
            Object::from("text").with_header("content-encoding", "gzip"),
            FoundObject {
                content_encoding: Some("gzip".to_owned()),
                ..found()
            },
        ),
        (
            encrypted("aws:kms"),
            FoundObject {
                is_md5: false,
                ..found()
            },
        ),
        (
            encrypted("aws:kms:dsse"),
            FoundObject {
                is_md5: false,
                ..found()
            },
        ),
        (
            encrypted("aws:future"),
            FoundObject {
                is_md5: false,
                ..found()
            },
        ),
        (
            of_customer,
            FoundObject {
                is_md5: false,
                ..found()
            },
        ),
        (
            Object::from("text").with_etag(multipart),
            FoundObject {
                etag: multipart.to_owned(),
                is_md5: false,
                ..found()
            },
        ),
    ] {
        fixture.standin.put_object(BUCKET, "a", stored.clone());
        let actual = head(&s3, &object(BUCKET, "a")).await;
        assert_eq!(actual, Ok(HeadObject::Found(expected)), "{stored:?}");
    }
    assert_eq!(fixture.standin.calls(), [Operation::HeadObject; 8]);
}

#[tokio::test]
async fn an_object_is_missing_if_its_bucket_exists() {
    let fixture = start();
    let s3 = S3::new(&fixture.sdk());
    let missing = object(BUCKET, "missing");
    for _ in 0..2 {
        assert_eq!(head(&s3, &missing).await, Ok(HeadObject::Missing));
    }
    assert_eq!(HeadObject::Missing.origin_object(), OriginObject::Missing);
    let calls = [
        Operation::HeadObject,
        Operation::GetObject,
        Operation::HeadObject,
    ];
    assert_eq!(fixture.standin.calls(), calls, "the bucket is checked once");
    let s3 = S3::new(&fixture.sdk());
    assert_eq!(
        head(&s3, &object(BUCKET, KEY)).await,
        Ok(HeadObject::Found(found()))
    );
    assert_eq!(head(&s3, &missing).await, Ok(HeadObject::Missing));
    assert_eq!(fixture.standin.calls()[3..], [Operation::HeadObject; 2]);
}

#[tokio::test]
async fn a_missing_bucket_is_an_error() {
    let fixture = start();
    let s3 = S3::new(&fixture.sdk());
    let error = head(&s3, &object("none", "a"))
        .await
        .expect_err("no bucket");
    let expected = "S3 rejected the request to read s3://none/a: NoSuchBucket: The specified bucket does not exist";
    assert_eq!(error.to_string(), expected);
    assert_eq!(error.category(), Category::InvalidInput);
}

#[tokio::test]
async fn a_denial_names_the_action_and_the_object() {
    let fixture = start();
    let s3 = S3::new(&fixture.sdk());
    for (options, action, resource) in [
        (
            BucketOptions {
                denies_head_object: true,
                ..BucketOptions::default()
            },
            "s3:GetObject",
            "arn:aws:s3:::example-site/missing",
        ),
        (
            BucketOptions {
                denies_list_bucket: true,
                ..BucketOptions::default()
            },
            "s3:ListBucket",
            "arn:aws:s3:::example-site",
        ),
    ] {
        fixture.standin.set_bucket_options(BUCKET, options);
        let error = head(&s3, &object(BUCKET, "missing")).await;
        let error = error.expect_err("a denial");
        let expected = format!(
            "not allowed to call {action} on {resource}: AccessDenied: User: \
             arn:aws:sts::111122223333:assumed-role/standin/standin is not authorized to perform: {action} on resource: \
             \"{resource}\" because no identity-based policy allows the {action} action; add this statement to a policy of \
             the function's role: {{\"Effect\":\"Allow\",\"Action\":\"{action}\",\"Resource\":\"{resource}\"}}"
        );
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.category(), Category::Permission);
    }
}

#[tokio::test]
async fn rejected_credentials_are_not_a_denial() {
    let fixture = start();
    let s3 = S3::new(&fixture.sdk());
    for fault in [Fault::ExpiredToken, Fault::SignatureDoesNotMatch] {
        fixture.standin.fail(Operation::HeadObject, fault, 1);
        fixture.standin.fail(Operation::GetObject, fault, 1);
        let error = head(&s3, &object(BUCKET, KEY)).await.expect_err("a fault");
        let text = error.to_string();
        let start = format!(
            "could not read s3://example-site/{KEY}: AWS rejected the credentials: {fault:?}: "
        );
        assert!(text.starts_with(&start), "{text}");
    }
}

#[tokio::test]
async fn a_bucket_of_another_region_is_read_there() {
    let fixture = start();
    let options = BucketOptions {
        region: Some("us-west-2".to_owned()),
        ..BucketOptions::default()
    };
    fixture.standin.set_bucket_options(BUCKET, options);
    let lines = Arc::new(Mutex::new(Vec::new()));
    let printed = Arc::clone(&lines);
    let calls = CallLog::new(move |line| printed.lock().expect("no panic").push(line.to_owned()));
    let s3 = S3::with_call_log(&fixture.sdk(), calls);
    for _ in 0..2 {
        let actual = head(&s3, &object(BUCKET, KEY)).await;
        assert_eq!(actual, Ok(HeadObject::Found(found())));
    }
    let missing = head(&s3, &object(BUCKET, "missing")).await;
    assert_eq!(missing, Ok(HeadObject::Missing));
    let lines = lines.lock().expect("no panic");
    let results: Vec<_> = lines
        .iter()
        .map(|line| line.split(" after ").next().unwrap_or_default())
        .collect();
    let expected = [
        "HeadObject: 301",
        "HeadObject: 200",
        "HeadObject: 200",
        "HeadObject: 404",
    ];
    assert_eq!(results, expected);
}

#[tokio::test]
async fn an_object_whose_region_is_known_needs_one_call() {
    let fixture = start();
    let options = BucketOptions {
        region: Some("us-west-2".to_owned()),
        ..BucketOptions::default()
    };
    fixture.standin.set_bucket_options(BUCKET, options);
    let s3 = S3::new(&fixture.sdk());
    let with_region = BucketObject {
        region: Some("us-west-2".to_owned()),
        ..object(BUCKET, KEY)
    };
    let actual = head(&s3, &with_region).await;
    assert_eq!(actual, Ok(HeadObject::Found(found())));
    assert_eq!(fixture.standin.calls(), [Operation::HeadObject]);
}

#[tokio::test]
async fn a_failure_of_the_service_does_not_make_an_object_missing() {
    for (fault, category, calls, text) in [
        (
            Fault::SlowDown,
            Category::Throttled,
            4,
            "could not read s3://example-site/missing now: HTTP status 503; try again in a minute",
        ),
        (
            Fault::InternalError,
            Category::Unavailable,
            4,
            "could not read s3://example-site/missing: HTTP status 500; try again",
        ),
        (
            Fault::BadGateway,
            Category::Unavailable,
            4,
            "could not read s3://example-site/missing: HTTP status 502; try again",
        ),
        // GetObject, which gets the reason, succeeds, so the first one proves nothing.
        (
            Fault::NoSuchDistribution,
            Category::Unavailable,
            2,
            "could not read s3://example-site/a b+c/ü.html: HeadObject failed and GetObject did not; try again",
        ),
    ] {
        let fixture = start();
        let s3 = S3::new(&fixture.sdk());
        fixture.standin.fail(Operation::HeadObject, fault, ALWAYS);
        let key = if calls == 2 { KEY } else { "missing" };
        let error = head(&s3, &object(BUCKET, key)).await;
        let error = error.expect_err("a fault");
        assert_eq!(error.category(), category, "{fault:?}");
        assert_eq!(error.to_string(), text);
        assert_eq!(fixture.standin.calls().len(), calls, "attempts, {fault:?}");
    }
}

#[tokio::test]
async fn a_call_ends_at_the_deadline() {
    let fixture = start();
    let s3 = S3::new(&fixture.sdk());
    fixture.standin.fail(Operation::HeadObject, Fault::Hang, 1);
    let started = Instant::now();
    let deadline = started + Duration::from_millis(50);
    let error = s3.head(&object(BUCKET, KEY), deadline).await;
    let error = error.expect_err("no response");
    let expected =
        format!("could not read s3://example-site/{KEY}: no response in time; try again");
    assert_eq!(error.to_string(), expected);
    assert!(started.elapsed() < Duration::from_secs(4));
    // A missing object for which S3 gives no reason.
    fixture.standin.fail(Operation::GetObject, Fault::Hang, 1);
    let deadline = Instant::now() + Duration::from_millis(200);
    let error = s3.head(&object(BUCKET, "missing"), deadline).await;
    assert!(error.is_err(), "{error:?}");
}
