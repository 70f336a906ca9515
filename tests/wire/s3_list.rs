//! ListObjectsV2 of S3: some keys below a prefix, with the real SDK against the stand-in.
#![cfg(feature = "cli")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloudfront_invalidator::aws::call_log::CallLog;
use cloudfront_invalidator::aws::s3::{HeadObject, S3};
use cloudfront_invalidator::error::{Category, Error};
use cloudfront_invalidator::verify::origin::{BucketObject, BucketPrefix};
use tokio::time::Instant;

use crate::fixture::{ALWAYS, Fixture};
use crate::standin::{BucketOptions, Clock, Fault, Operation, Options};

const BUCKET: &str = "example-site";

/// Starts a stand-in whose bucket has these objects; a key that ends with a slash is that of a folder.
fn start(keys: &[&str]) -> Fixture {
    let fixture = Fixture::with(Options {
        clock: Clock::frozen(),
        ..Options::default()
    })
    .set("AWS_REGION", "eu-west-1");
    for key in keys {
        let content = if key.ends_with('/') { "" } else { "text" };
        fixture.standin.put_object(BUCKET, key, content);
    }
    fixture
}

fn below(prefix: &str) -> BucketPrefix {
    BucketPrefix {
        bucket: BUCKET.to_owned(),
        region: None,
        prefix: prefix.to_owned(),
        origin_path: String::new(),
    }
}

async fn list(s3: &S3, prefix: &BucketPrefix, max: usize) -> Result<Vec<String>, Error> {
    s3.list(prefix, max, Instant::now() + Duration::from_secs(60))
        .await
}

#[tokio::test]
async fn the_keys_below_a_prefix_are_listed_without_folders() {
    let fixture = start(&[
        "a.html",
        "blog",
        "blog/",
        "blog/a.html",
        "blog/old/",
        "blog/old/b.html",
        "blogs",
    ]);
    let s3 = S3::new(&fixture.sdk());
    for (prefix, max, expected) in [
        ("blog/", 10, &["blog/a.html", "blog/old/b.html"][..]),
        ("blog/", 1, &["blog/a.html"]),
        ("blog", 2, &["blog", "blog/a.html"]),
        (
            "",
            usize::MAX,
            &["a.html", "blog", "blog/a.html", "blog/old/b.html", "blogs"],
        ),
        ("news/", 10, &[]),
    ] {
        let keys = list(&s3, &below(prefix), max).await;
        let expected = expected.iter().map(|key| (*key).to_owned()).collect();
        assert_eq!(keys, Ok(expected), "{prefix} {max}");
    }
    // The content of a page, although its key ends with a slash.
    fixture.standin.put_object(BUCKET, "blog/", "text");
    let keys = list(&s3, &below("blog/"), 1).await;
    assert_eq!(keys, Ok(vec!["blog/".to_owned()]));
    assert_eq!(fixture.standin.calls(), [Operation::ListObjectsV2; 6]);
}

#[tokio::test]
async fn keys_are_listed_as_they_are_stored() {
    let keys = [
        "a b+c/%20.html",
        "a b+c/&amp;<x>.html",
        "a b+c/\u{1}\r\n.html",
        "a b+c/~*'().html",
        "a b+c/ü😀.html",
    ];
    let fixture = start(&keys);
    let s3 = S3::new(&fixture.sdk());
    let mut listed = list(&s3, &below("a b+c/"), 10).await.expect("a list");
    listed.sort();
    let mut expected = keys.map(str::to_owned);
    expected.sort();
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn a_denial_names_the_action_and_the_bucket() {
    let fixture = start(&["a"]);
    let s3 = S3::new(&fixture.sdk());
    let options = BucketOptions {
        denies_list_bucket: true,
        ..BucketOptions::default()
    };
    fixture.standin.set_bucket_options(BUCKET, options);
    let error = list(&s3, &below("blog/"), 10).await;
    let error = error.expect_err("a denial");
    let expected = "not allowed to call s3:ListBucket on arn:aws:s3:::example-site: AccessDenied: User: \
         arn:aws:sts::111122223333:assumed-role/standin/standin is not authorized to perform: s3:ListBucket on resource: \
         \"arn:aws:s3:::example-site\" because no identity-based policy allows the s3:ListBucket action; add this statement \
         to a policy of the function's role: {\"Effect\":\"Allow\",\"Action\":\"s3:ListBucket\",\
         \"Resource\":\"arn:aws:s3:::example-site\"}";
    assert_eq!(error.to_string(), expected);
    assert_eq!(error.category(), Category::Permission);
}

#[tokio::test]
async fn a_bucket_of_another_region_is_listed_there() {
    let fixture = start(&["a"]);
    let options = BucketOptions {
        region: Some("us-west-2".to_owned()),
        ..BucketOptions::default()
    };
    fixture.standin.set_bucket_options(BUCKET, options);
    let lines = Arc::new(Mutex::new(Vec::new()));
    let printed = Arc::clone(&lines);
    let calls = CallLog::new(move |line| printed.lock().expect("no panic").push(line.to_owned()));
    let s3 = S3::with_call_log(&fixture.sdk(), calls);
    assert_eq!(list(&s3, &below(""), 10).await, Ok(vec!["a".to_owned()]));
    // The bucket exists, and its region is known.
    let missing = BucketObject {
        bucket: BUCKET.to_owned(),
        region: None,
        key: "missing".to_owned(),
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    assert_eq!(s3.head(&missing, deadline).await, Ok(HeadObject::Missing));
    let lines = lines.lock().expect("no panic");
    let results: Vec<_> = lines
        .iter()
        .map(|line| line.split(" after ").next().unwrap_or_default())
        .collect();
    let expected = [
        "ListObjectsV2: 301 PermanentRedirect",
        "ListObjectsV2: 200",
        "HeadObject: 404",
    ];
    assert_eq!(results, expected);
}

#[tokio::test]
async fn a_failure_is_not_an_empty_list() {
    for (bucket, fault, category, text) in [
        (
            "none",
            None,
            Category::InvalidInput,
            "S3 rejected the request to list s3://none/blog/: NoSuchBucket: The specified bucket does not exist",
        ),
        (
            BUCKET,
            Some(Fault::SlowDown),
            Category::Throttled,
            "could not list s3://example-site/blog/ now: SlowDown: Please reduce your request rate.; try again in a minute",
        ),
        (
            BUCKET,
            Some(Fault::InternalError),
            Category::Unavailable,
            "could not list s3://example-site/blog/: InternalError: An internal error occurred.; try again",
        ),
        (
            BUCKET,
            Some(Fault::ExpiredToken),
            Category::Permission,
            "could not list s3://example-site/blog/: AWS rejected the credentials: ExpiredToken: The security token included \
             in the request is expired; Lambda renews the credentials of its role: try again",
        ),
        (
            BUCKET,
            Some(Fault::Garbage),
            Category::Unavailable,
            "could not list s3://example-site/blog/: HTTP status 200: service error: unhandled error: error parsing XML: no root \
             element; try again",
        ),
    ] {
        let fixture = start(&["blog/a"]);
        if let Some(fault) = fault {
            let standin = &fixture.standin;
            standin.fail(Operation::ListObjectsV2, fault, ALWAYS);
        }
        let s3 = S3::new(&fixture.sdk());
        let prefix = BucketPrefix {
            bucket: bucket.to_owned(),
            ..below("blog/")
        };
        let error = list(&s3, &prefix, 10).await.expect_err("a failure");
        assert_eq!(error.to_string(), text, "{fault:?}");
        assert_eq!(error.category(), category, "{fault:?}");
    }
}

#[tokio::test]
async fn a_list_ends_at_the_deadline() {
    let fixture = start(&["a"]);
    let s3 = S3::new(&fixture.sdk());
    let standin = &fixture.standin;
    standin.fail(Operation::ListObjectsV2, Fault::Hang, 1);
    let started = Instant::now();
    let deadline = started + Duration::from_millis(50);
    let error = s3.list(&below("a"), 10, deadline).await;
    let error = error.expect_err("no response");
    let expected = "could not list s3://example-site/a: no response in time; try again";
    assert_eq!(error.to_string(), expected);
    assert!(started.elapsed() < Duration::from_secs(4));
}
