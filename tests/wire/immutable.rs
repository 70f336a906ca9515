//! Files that never change need no invalidation, unless viewers can have cached that they do not exist.
//!
//! Each test sends notifications of S3, and compares what CloudFront received and what the function returned. Rules:
//! `docs/how-paths-are-chosen.md#files-that-never-change`.

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};

use crate::fixture::{BUCKET, FIRST, Fixture, configuration, configuration_with, logged};
use crate::queue::batch_sent;
use crate::standin::{Fault, Operation, Options};

const CHUNK: &str = "_next/static/chunks/main-c9d26e0caf71ac90.js";
const KEPT: &str = "1 without a path, because the content under these names never changes: _next/static/chunks/main-c9d26e0caf71ac90.js";

/// Returns a notification with one record for each change: an event name without its prefix, and a key.
fn notification(changes: &[(&str, &str)]) -> Value {
    let record = |(index, (name, key)): (usize, &(&str, &str))| {
        json!({
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "eventName": name,
            "eventTime": "2026-11-20T15:00:00Z",
            "userIdentity": {},
            "requestParameters": {},
            "responseElements": {},
            "s3": {
                "bucket": {"name": BUCKET},
                "object": {"key": key, "sequencer": format!("{index:04X}")},
            },
        })
    };
    json!({"Records": changes.iter().enumerate().map(record).collect::<Vec<_>>()})
}

fn written(keys: &[&str]) -> Value {
    let changes: Vec<_> = keys.iter().map(|key| ("ObjectCreated:Put", *key)).collect();
    notification(&changes)
}

fn removed(keys: &[&str]) -> Value {
    let changes: Vec<_> = keys
        .iter()
        .map(|key| ("ObjectRemoved:Delete", *key))
        .collect();
    notification(&changes)
}

fn fixture(configuration: &str) -> Fixture {
    let path = format!("distribution/{FIRST}/config");
    Fixture::with(Options::default().with_document(&path, configuration))
}

/// Returns a distribution that answers errors so.
fn with_errors(responses: &[&str]) -> Fixture {
    let items: String = responses
        .iter()
        .map(|response| format!("<CustomErrorResponse>{response}</CustomErrorResponse>"))
        .collect();
    fixture(&configuration_with(&format!(
        "<CustomErrorResponses><Quantity>{}</Quantity><Items>{items}</Items></CustomErrorResponses>",
        responses.len()
    )))
}

/// Handles the event; returns the paths that were sent, and the text of the result.
async fn handle(fixture: &Fixture, event: &Value) -> (Vec<String>, String) {
    let answer = fixture.handle(event).await.expect("a result");
    let paths = fixture.accepted().into_iter().flat_map(|(_, paths)| paths);
    (paths.collect(), answer.as_str().expect("a text").to_owned())
}

#[tokio::test]
async fn written_and_removed_files_that_never_change_are_kept() {
    for (event, note) in [
        (written(&[CHUNK]), KEPT.to_owned()),
        (
            removed(&[CHUNK]),
            format!(
                "1 removed without a path, because open pages can still need these files (KeepRemovedImmutable, --takedown): {CHUNK}"
            ),
        ),
    ] {
        let fixture = fixture(&configuration(BUCKET, "", "index.html"));
        let (paths, text) = handle(&fixture, &event).await;
        assert_eq!(paths, Vec::<String>::new());
        assert_eq!(text, format!("{FIRST}: nothing to invalidate; {note}"));
        assert_eq!(fixture.calls(Operation::CreateInvalidation), 0);
    }
}

#[tokio::test]
async fn entry_pages_are_invalidated_without_the_files_that_never_change() {
    let fixture = fixture(&configuration(BUCKET, "", "index.html"));
    let event = notification(&[
        ("ObjectCreated:Put", CHUNK),
        ("ObjectCreated:Put", "index.html"),
        (
            "ObjectRemoved:Delete",
            "_next/static/css/1212233ee98d7dc5.css",
        ),
        (
            "ObjectRemoved:Delete",
            "_next/static/main/_buildManifest.js",
        ),
    ]);
    let (paths, text) = handle(&fixture, &event).await;
    assert_eq!(
        paths,
        ["/", "/_next/static/main/_buildManifest.js", "/index.html"]
    );
    assert_eq!(
        text,
        format!(
            "{FIRST}: submitted as {} (2 objects became 3 paths: / /_next/static/main/_buildManifest.js /index.html); {KEPT}; \
             1 removed without a path, because open pages can still need these files (KeepRemovedImmutable, --takedown): \
             _next/static/css/1212233ee98d7dc5.css; index.html is also / (default root object)",
            fixture.first_id()
        )
    );
}

#[tokio::test]
async fn the_settings_decide_what_never_changes() {
    let none: &[&str] = &[];
    for (paths, keep_removed, event, expected) in [
        (
            "none",
            "true",
            written(&[CHUNK]),
            &["/_next/static/chunks/main-c9d26e0caf71ac90.js"][..],
        ),
        ("auto", "true", written(&["assets/a.js"]), &["/assets/a.js"]),
        ("/assets/*", "true", written(&["assets/a.js", CHUNK]), none),
        ("/assets/*", "true", removed(&["assets/a.js", CHUNK]), none),
        (
            "/assets/*",
            "false",
            removed(&["assets/a.js"]),
            &["/assets/a.js"],
        ),
        ("/assets/*", "false", written(&["assets/a.js"]), none),
    ] {
        let fixture = fixture(&configuration(BUCKET, "", ""))
            .set("IMMUTABLE_PATHS", paths)
            .set("KEEP_REMOVED_IMMUTABLE", keep_removed);
        let (sent, _) = handle(&fixture, &event).await;
        assert_eq!(sent, expected, "{paths} {keep_removed}");
    }
}

#[tokio::test]
async fn patterns_are_compared_with_the_paths_of_viewers() {
    for (key, expected) in [
        // The origin path is not a part of the path.
        ("prod/assets/a.js", vec![]),
        ("prod/_next/static/css/1212233ee98d7dc5.css", vec![]),
        ("prod/docs/_next/static/css/1212233ee98d7dc5.css", vec![]),
        ("prod/prod/assets/a.js", vec!["/prod/assets/a.js"]),
    ] {
        let fixture =
            fixture(&configuration(BUCKET, "/prod", "")).set("IMMUTABLE_PATHS", "/assets/*");
        let (sent, _) = handle(&fixture, &written(&[key])).await;
        assert_eq!(sent, expected, "{key}");
    }
    // An index document is a page.
    let fixture = fixture(&configuration(BUCKET, "", ""))
        .set("IMMUTABLE_PATHS", "/v1/*")
        .set("INDEX_DOCUMENTS", "always");
    let (sent, _) = handle(&fixture, &written(&["v1/a.html", "v1/a/index.html"])).await;
    assert_eq!(sent, ["/v1/a", "/v1/a/", "/v1/a/index", "/v1/a/index.html"]);
}

#[tokio::test]
async fn written_files_are_invalidated_if_errors_are_cached_for_long() {
    const PAGE: &str = "<ResponsePagePath>/index.html</ResponsePagePath>";
    let invalidated = |reason: &str| {
        Some(format!(
            "objects that are possibly new are invalidated, because {reason}"
        ))
    };
    for (responses, note) in [
        (
            vec![
                "<ErrorCode>404</ErrorCode><ErrorCachingMinTTL>60</ErrorCachingMinTTL>".to_owned(),
            ],
            None,
        ),
        (
            vec![format!(
                "<ErrorCode>404</ErrorCode>{PAGE}<ResponseCode>404</ResponseCode>"
            )],
            None,
        ),
        (
            vec![
                "<ErrorCode>500</ErrorCode><ErrorCachingMinTTL>600</ErrorCachingMinTTL>".to_owned(),
            ],
            None,
        ),
        (
            vec![
                "<ErrorCode>404</ErrorCode><ErrorCachingMinTTL>61</ErrorCachingMinTTL>".to_owned(),
            ],
            invalidated("error 404 is cached for 61 s"),
        ),
        (
            vec![
                "<ErrorCode>404</ErrorCode><ErrorCachingMinTTL>0</ErrorCachingMinTTL>".to_owned(),
                "<ErrorCode>403</ErrorCode><ErrorCachingMinTTL>300</ErrorCachingMinTTL>".to_owned(),
            ],
            invalidated("error 403 is cached for 300 s"),
        ),
        (
            vec![format!(
                "<ErrorCode>403</ErrorCode>{PAGE}<ResponseCode>200</ResponseCode><ErrorCachingMinTTL>0</ErrorCachingMinTTL>"
            )],
            invalidated("a page with a status of success is shown for error 403"),
        ),
    ] {
        let responses: Vec<_> = responses.iter().map(String::as_str).collect();
        let fixture = with_errors(&responses);
        let (sent, text) = handle(&fixture, &written(&[CHUNK])).await;
        let is_kept = note.is_none();
        assert_eq!(sent.is_empty(), is_kept, "{responses:?}");
        assert!(text.contains(note.as_deref().unwrap_or(KEPT)), "{text}");
        // A removed one did exist.
        let fixture = with_errors(&responses);
        assert_eq!(
            handle(&fixture, &removed(&[CHUNK])).await.0,
            Vec::<String>::new()
        );
    }
}

#[tokio::test]
async fn written_files_are_invalidated_if_another_origin_can_answer() {
    let chunk = format!("/{CHUNK}");
    let group = configuration(BUCKET, "", "")
        .replace(
            "</Origin></Items></Origins>",
            "</Origin><Origin><Id>other</Id><DomainName>other.s3.us-east-1.amazonaws.com</DomainName><OriginPath/></Origin>\
             </Items></Origins><OriginGroups><Quantity>1</Quantity><Items><OriginGroup><Id>group</Id><FailoverCriteria>\
             <StatusCodes><Quantity>1</Quantity><Items><StatusCode>404</StatusCode></Items></StatusCodes></FailoverCriteria>\
             <Members><Quantity>2</Quantity><Items><OriginGroupMember><OriginId>bucket</OriginId></OriginGroupMember>\
             <OriginGroupMember><OriginId>other</OriginId></OriginGroupMember></Items></Members></OriginGroup></Items>\
             </OriginGroups>",
        )
        .replace("<TargetOriginId>bucket<", "<TargetOriginId>group<");
    let server = configuration(BUCKET, "", "").replace(
        &format!("{BUCKET}.s3.us-east-1.amazonaws.com"),
        "www.example.com",
    );
    for (configuration, reason) in [
        (
            group,
            "an origin group has another origin that can have an object of that name",
        ),
        (
            server,
            "what origin www.example.com returns for missing objects is not known",
        ),
    ] {
        let (sent, text) = handle(&fixture(&configuration), &written(&[CHUNK])).await;
        assert_eq!(sent, [chunk.as_str()], "{reason}");
        let note = format!("objects that are possibly new are invalidated, because {reason}");
        assert!(text.contains(&note), "{text}");
    }
}

#[tokio::test]
async fn written_files_are_invalidated_if_the_configuration_cannot_be_read() {
    let fixture = Fixture::start();
    fixture.standin.fail(
        Operation::GetDistributionConfig,
        Fault::AccessDenied,
        u64::MAX,
    );
    let event = notification(&[
        ("ObjectCreated:Put", CHUNK),
        (
            "ObjectRemoved:Delete",
            "_next/static/css/1212233ee98d7dc5.css",
        ),
    ]);
    let (sent, text) = handle(&fixture, &event).await;
    assert_eq!(sent, [format!("/{CHUNK}")]);
    let note = "objects that are possibly new are invalidated, because how long errors are cached is not known";
    assert!(text.contains(note), "{text}");
}

#[tokio::test]
async fn many_hashed_names_elsewhere_are_invalidated_with_a_hint() {
    let keys: Vec<_> = (0..24)
        .map(|n| format!("assets/chunk-a{:07x}.js", n * 1_000_003))
        .collect();
    let mut keys: Vec<_> = keys.iter().map(String::as_str).collect();
    keys.push("index.html");
    let hint = "the names of 24 changed objects look like hashes of their content: ImmutablePaths or --immutable '/assets/*' \
                would save 1 of 2 paths, if all files there have such names";
    let with_limit = || fixture(&configuration(BUCKET, "", "")).set("MAX_PATHS", "2");
    let fixture = with_limit();
    let (sent, text) = handle(&fixture, &written(&keys)).await;
    assert_eq!(sent, ["/assets/chunk-a*", "/index.html"]);
    assert!(text.contains(hint), "{text}");
    // With the pattern, there is nothing to hint at.
    let fixture = with_limit().set("IMMUTABLE_PATHS", "/assets/*");
    let (sent, text) = handle(&fixture, &written(&keys)).await;
    assert_eq!(sent, ["/index.html"]);
    assert!(!text.contains("look like hashes"), "{text}");
    // Fewer names are no pattern.
    let fixture = with_limit();
    let (_, text) = handle(&fixture, &written(&keys[5..])).await;
    assert!(!text.contains("look like hashes"), "{text}");
}

#[tokio::test]
async fn a_wildcard_that_drops_removed_files_is_reported() {
    let fallback = "<ErrorCode>404</ErrorCode><ResponsePagePath>/index.html</ResponsePagePath><ResponseCode>200</ResponseCode>";
    let event = notification(&[
        ("ObjectRemoved:Delete", CHUNK),
        (
            "ObjectRemoved:Delete",
            "_next/static/css/1212233ee98d7dc5.css",
        ),
        ("ObjectCreated:Put", "index.html"),
    ]);
    let note = "wildcards drop the copies of removed files that open pages can still need (2): leave such files in the bucket \
                for some time after a deploy";
    let fixture = with_errors(&[fallback]);
    let (sent, text) = handle(&fixture, &event).await;
    assert_eq!(sent, ["/*"]);
    assert!(text.contains(note), "{text}");
    let fixture = with_errors(&[]);
    let (sent, text) = handle(&fixture, &event).await;
    assert_eq!(sent, ["/index.html"]);
    assert!(!text.contains("wildcards drop"), "{text}");
}

#[tokio::test]
async fn the_wildcard_of_a_backlog_drops_removed_files_too() {
    let fixture = fixture(&configuration(BUCKET, "", ""));
    let event = notification(&[
        ("ObjectRemoved:Delete", CHUNK),
        ("ObjectCreated:Put", "a.html"),
        ("ObjectCreated:Put", "b.html"),
    ]);
    let long_ago = Utc::now() - TimeDelta::hours(1);
    let batch = batch_sent(&[event.to_string()], long_ago);
    fixture.handle(&batch).await.expect("a batch response");
    let sent = fixture.accepted();
    assert_eq!(sent, [(FIRST.to_owned(), vec!["/*".to_owned()])]);
    let note = "wildcards drop the copies of removed files that open pages can still need (1)";
    let logged = logged();
    assert!(logged.iter().any(|line| line.contains(note)), "{logged:?}");
}
