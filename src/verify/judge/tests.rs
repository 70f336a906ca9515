use super::*;
use crate::path::SubmittedPath;
use crate::plan::InvalidationStatus;

/// The time of the responses: 20 seconds after the invalidation.
const NOW: i64 = 1_020;

fn time(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).expect("a time")
}

fn invalidation() -> ExistingInvalidation {
    ExistingInvalidation {
        id: InvalidationId::new("I1"),
        created: time(1_000),
        status: InvalidationStatus::Completed,
        caller_reference: String::new(),
        paths: vec![SubmittedPath::from("/a".to_owned())],
    }
}

/// Returns a response of S3 through the edge; headers with a hyphen are missing.
fn response(status: u16, x_cache: &str, age: &str, etag: &str) -> EdgeResponse {
    let present = |text: &str| Some(text.to_owned()).filter(|text| text != "-");
    EdgeResponse {
        status,
        x_cache: present(x_cache).map(|word| format!("{word} from cloudfront")),
        age: present(age).map(|age| age.parse().expect("a number")),
        etag: present(etag),
        server: Some("AmazonS3".into()),
        ..EdgeResponse::default()
    }
}

fn check(response: &EdgeResponse, evidence: &Evidence<'_>) -> (Verdict, String) {
    let judged = judge(&Answer::Response(response.clone()), evidence);
    (judged.verdict, judged.reason.to_string())
}

fn evidence<'a>(
    invalidation: Option<&'a ExistingInvalidation>,
    access: &'a ViewerAccess,
) -> Evidence<'a> {
    Evidence {
        content: None,
        origin: None,
        existence: Existence::Unknown,
        invalidation,
        now: time(NOW),
        signed: None,
        access,
        origin_sends_age: false,
    }
}

#[test]
fn the_age_of_the_copy_decides_whatever_x_cache_shows() {
    use Verdict::{Fresh, Stale, Unknown};
    let (invalidation, access) = (invalidation(), ViewerAccess::default());
    let evidence = evidence(Some(&invalidation), &access);
    for (status, x_cache, age, verdict, reason) in [
        (
            200,
            "Hit",
            "26",
            Stale,
            "the copy is 26 s old, but I1 was created 20 s ago",
        ),
        (
            200,
            "Miss",
            "26",
            Stale,
            "the copy is 26 s old, but I1 was created 20 s ago",
        ),
        (
            200,
            "RefreshHit",
            "26",
            Stale,
            "the copy is 26 s old, but I1 was created 20 s ago",
        ),
        (
            200,
            "-",
            "26",
            Stale,
            "the copy is 26 s old, but I1 was created 20 s ago",
        ),
        (
            200,
            "Hit",
            "25",
            Fresh,
            "the copy is 25 s old, I1 was created 20 s ago",
        ),
        (
            200,
            "Hit",
            "0",
            Fresh,
            "the copy is 0 s old, I1 was created 20 s ago",
        ),
        (
            301,
            "Hit",
            "26",
            Stale,
            "the copy is 26 s old, but I1 was created 20 s ago",
        ),
        (
            301,
            "Hit",
            "3",
            Fresh,
            "the copy is 3 s old, I1 was created 20 s ago",
        ),
        (
            200,
            "Miss",
            "-",
            Fresh,
            "CloudFront asked the origin (Miss) after I1",
        ),
        (
            200,
            "RefreshHit",
            "-",
            Fresh,
            "CloudFront asked the origin (RefreshHit) after I1",
        ),
        (
            200,
            "Hit",
            "-",
            Unknown,
            "the response has no Age (Hit from cloudfront)",
        ),
        (
            200,
            "-",
            "-",
            Unknown,
            "the response has neither X-Cache nor Age",
        ),
        (
            200,
            "FunctionGeneratedResponse",
            "-",
            Unknown,
            "the edge generated the response for this request (FunctionGeneratedResponse from cloudfront)",
        ),
        (
            301,
            "Redirect",
            "-",
            Unknown,
            "the edge generated the response for this request (Redirect from cloudfront)",
        ),
    ] {
        let response = response(status, x_cache, age, "-");
        let expected = (verdict, reason.to_owned());
        assert_eq!(check(&response, &evidence), expected, "{x_cache} {age}");
    }
}

#[test]
fn nothing_is_known_without_an_invalidation() {
    let access = ViewerAccess::default();
    let evidence = evidence(None, &access);
    for (x_cache, age) in [("Hit", "1000"), ("Miss", "-"), ("-", "-")] {
        let judged = check(&response(200, x_cache, age, "-"), &evidence);
        let expected = "no completed invalidation covers it".to_owned();
        assert_eq!(judged, (Verdict::Unknown, expected));
    }
}

#[test]
fn an_age_of_the_origin_proves_nothing() {
    let (invalidation, access) = (invalidation(), ViewerAccess::default());
    let evidence = Evidence {
        origin_sends_age: true,
        ..evidence(Some(&invalidation), &access)
    };
    let mut own_age = response(200, "Miss", "26", "-");
    assert!(!has_age_of_origin(&own_age), "S3 sends none");
    assert_eq!(check(&own_age, &evidence).0, Verdict::Stale);
    own_age.server = Some("nginx".into());
    assert!(has_age_of_origin(&own_age));
    let expected = "the origin sends Age itself, so the age of the copy is unknown".to_owned();
    assert_eq!(check(&own_age, &evidence), (Verdict::Unknown, expected));
    own_age.x_cache = Some("Hit from cloudfront".into());
    assert!(!has_age_of_origin(&own_age));
    let uncertain = Evidence {
        origin_sends_age: false,
        ..evidence
    };
    let expected =
        "the copy is 26 s old, but I1 was created 20 s ago (unless the origin sends Age itself)";
    let judged = check(&own_age, &uncertain);
    assert_eq!(judged, (Verdict::Stale, expected.to_owned()));
    // Another cache is before CloudFront.
    own_age.proxies = 2;
    assert!(has_age_of_origin(&own_age));
}

#[test]
fn the_local_file_decides_before_everything_else() {
    let (invalidation, access) = (invalidation(), ViewerAccess::default());
    let origin = OriginObject::Found {
        etag: "\"new\"".into(),
        modified: None,
    };
    for (content, age, verdict, reason) in [
        (
            ContentMatch::Same,
            "1000",
            Verdict::Fresh,
            "it is the local file",
        ),
        (
            ContentMatch::Different,
            "0",
            Verdict::Stale,
            "it is not the local file",
        ),
    ] {
        let evidence = Evidence {
            content: Some(content),
            origin: Some(&origin),
            ..evidence(Some(&invalidation), &access)
        };
        let judged = check(&response(200, "Hit", age, "\"other\""), &evidence);
        assert_eq!(judged, (verdict, reason.to_owned()));
    }
}

#[test]
fn the_object_of_the_origin_decides_before_the_age() {
    let (invalidation, access) = (invalidation(), ViewerAccess::default());
    let origin = OriginObject::Found {
        etag: "\"new\"".into(),
        modified: Some(time(1_010)),
    };
    let differs = "it is not the object in the bucket, which was written at 1970-01-01T00:16:50Z";
    for (status, etag, age, verdict, reason) in [
        (
            200,
            "\"new\"",
            "1000",
            Verdict::Fresh,
            "it is the object in the bucket",
        ),
        (
            200,
            "W/\"new\"",
            "0",
            Verdict::Fresh,
            "it is the object in the bucket",
        ),
        (200, "\"old\"", "0", Verdict::Stale, differs),
        (200, "W/\"old\"", "0", Verdict::Stale, differs),
        // Without an ETag, a copy that is older than the object is stale, although it is newer than the invalidation.
        (200, "-", "16", Verdict::Stale, differs),
        (
            200,
            "-",
            "15",
            Verdict::Fresh,
            "the copy is 15 s old, I1 was created 20 s ago",
        ),
        (
            301,
            "\"old\"",
            "1",
            Verdict::Fresh,
            "the copy is 1 s old, I1 was created 20 s ago",
        ),
    ] {
        let evidence = Evidence {
            origin: Some(&origin),
            ..evidence(Some(&invalidation), &access)
        };
        let judged = check(&response(status, "Hit", age, etag), &evidence);
        assert_eq!(
            judged,
            (verdict, reason.to_owned()),
            "{status} {etag} {age}"
        );
    }
}

#[test]
fn an_error_of_the_origin_means_that_a_deleted_object_is_gone() {
    use Existence::{Deleted, Exists, MustBeGone, Unknown};
    let (invalidation, access) = (invalidation(), ViewerAccess::default());
    let found = OriginObject::Found {
        etag: "\"new\"".into(),
        modified: None,
    };
    let older = "the copy is 30 s old, but I1 was created 20 s ago";
    let in_place = "status 404 in place of the object";
    for (existence, origin, age, verdict, reason) in [
        (Deleted, None, "1", Verdict::Gone, "status 404"),
        (Deleted, None, "-", Verdict::Gone, "status 404"),
        (Unknown, None, "1", Verdict::Gone, "status 404"),
        (MustBeGone, Some(&found), "1", Verdict::Gone, "status 404"),
        (
            Exists,
            Some(&OriginObject::Missing),
            "1",
            Verdict::Gone,
            "status 404",
        ),
        (Exists, None, "1", Verdict::Stale, in_place),
        (Unknown, Some(&found), "1", Verdict::Stale, in_place),
        // A cached error that the invalidation should have dropped.
        (Unknown, None, "30", Verdict::Stale, older),
        (Deleted, None, "30", Verdict::Stale, older),
    ] {
        let evidence = Evidence {
            existence,
            origin,
            ..evidence(Some(&invalidation), &access)
        };
        let judged = check(&response(404, "Error", age, "-"), &evidence);
        assert_eq!(
            judged,
            (verdict, reason.to_owned()),
            "{existence:?} {origin:?} {age}"
        );
    }
    let evidence = evidence(None, &access);
    let judged = check(&response(404, "Error", "1", "-"), &evidence);
    let expected = "status 404, and it is not known whether the object was deleted".to_owned();
    assert_eq!(judged, (Verdict::Unknown, expected));
}

#[test]
fn an_error_without_the_headers_of_cloudfront_proves_nothing() {
    let access = ViewerAccess::default();
    let evidence = evidence(None, &access);
    let expected = "the response has neither X-Cache nor Age".to_owned();
    let judged = check(&response(404, "-", "-", "-"), &evidence);
    assert_eq!(judged, (Verdict::Unknown, expected));
}

#[test]
fn content_that_has_to_be_gone_must_not_be_served() {
    let (invalidation, access) = (invalidation(), ViewerAccess::default());
    let evidence = Evidence {
        existence: Existence::MustBeGone,
        ..evidence(Some(&invalidation), &access)
    };
    for (status, age, verdict, reason) in [
        (
            200,
            "30",
            Verdict::Stale,
            "the copy is 30 s old, but I1 was created 20 s ago",
        ),
        (
            200,
            "1",
            Verdict::OldAtOrigin,
            "the origin still has it: delete it there, then take it down again",
        ),
        (403, "1", Verdict::Gone, "status 403"),
        (
            301,
            "1",
            Verdict::Fresh,
            "the copy is 1 s old, I1 was created 20 s ago",
        ),
    ] {
        let judged = check(&response(status, "Hit", age, "-"), &evidence);
        assert_eq!(judged, (verdict, reason.to_owned()), "{status} {age}");
    }
}

#[test]
fn what_is_refused_before_the_cache_is_unseen() {
    let invalidation = invalidation();
    let open = ViewerAccess::default();
    let guarded = ViewerAccess {
        web_acl: true,
        geo_restriction: true,
        ..ViewerAccess::default()
    };
    let refused = |by: &str| {
        format!("CloudFront refused the request before its cache (status 403; possibly {by})")
    };
    for (access, signed, server, age, expected) in [
        (
            &open,
            None,
            "CloudFront",
            "-",
            (Verdict::Unseen, refused("a function or AWS WAF")),
        ),
        (
            &guarded,
            None,
            "CloudFront",
            "-",
            (
                Verdict::Unseen,
                refused("AWS WAF or the geographic restriction"),
            ),
        ),
        (
            &guarded,
            Some("private/*"),
            "CloudFront",
            "-",
            (
                Verdict::Unseen,
                "the behavior private/* requires signed URLs or cookies".to_owned(),
            ),
        ),
        // An error of S3 is behind the cache.
        (
            &guarded,
            None,
            "AmazonS3",
            "-",
            (Verdict::Gone, "status 403".to_owned()),
        ),
        (
            &guarded,
            None,
            "AmazonS3",
            "30",
            (
                Verdict::Stale,
                "the copy is 30 s old, but I1 was created 20 s ago".to_owned(),
            ),
        ),
    ] {
        let mut response = response(403, "Error", age, "-");
        response.server = Some(server.to_owned());
        let evidence = Evidence {
            signed,
            ..evidence(Some(&invalidation), access)
        };
        assert_eq!(check(&response, &evidence), expected);
    }
    let evidence = evidence(Some(&invalidation), &open);
    for (status, reason) in [
        (401, "the site requires authentication (status 401)"),
        (407, "the site requires authentication (status 407)"),
        (400, "the request failed with status 400"),
        (429, "the request failed with status 429"),
        (503, "the request failed with status 503"),
    ] {
        let judged = check(&response(status, "Error", "30", "-"), &evidence);
        assert_eq!(judged, (Verdict::Unseen, reason.to_owned()));
    }
    let judged = judge(&Answer::NoResponse("timed out".into()), &evidence);
    assert_eq!(judged.verdict, Verdict::Unseen);
    assert_eq!(judged.reason.to_string(), "no response: timed out");
}
