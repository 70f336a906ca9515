use super::*;
use crate::path::SubmittedPath;
use crate::plan::{InvalidationId, InvalidationStatus};

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
        is_from_cloudfront: true,
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
        fallback: Fallback::None,
        existence: Existence::Unknown,
        invalidation,
        in_progress: None,
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
        let expected = "none of the newest completed invalidations covers it".to_owned();
        assert_eq!(judged, (Verdict::Unknown, expected));
    }
}

#[test]
fn an_age_that_is_no_number_proves_nothing() {
    let (invalidation, access) = (invalidation(), ViewerAccess::default());
    let evidence = evidence(Some(&invalidation), &access);
    let invalid = EdgeResponse {
        has_invalid_age: true,
        ..response(200, "Miss", "-", "-")
    };
    let expected = "the Age of the response is not a number".to_owned();
    assert_eq!(check(&invalid, &evidence), (Verdict::Unknown, expected));
}

#[test]
fn an_error_that_cloudfront_has_cached_is_no_refusal() {
    let (invalidation, access) = (invalidation(), ViewerAccess::default());
    let evidence = Evidence {
        existence: Existence::Deleted,
        ..evidence(Some(&invalidation), &access)
    };
    for (status, age, verdict) in [
        (403, "30", Verdict::Stale),
        (403, "1", Verdict::Gone),
        (410, "1", Verdict::Gone),
        (403, "-", Verdict::Unseen),
    ] {
        let mut response = response(status, "Error", age, "-");
        response.server = Some("CloudFront".into());
        assert_eq!(check(&response, &evidence).0, verdict, "{status} {age}");
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
    // Another cache is before CloudFront, such as another distribution that has the bucket as its origin.
    own_age.proxies = 2;
    assert!(has_age_of_origin(&own_age));
    own_age.server = Some("AmazonS3".into());
    assert!(has_age_of_origin(&own_age));
    assert_eq!(check(&own_age, &uncertain).1, expected);
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
            "15",
            Verdict::Fresh,
            "it is the object in the bucket",
        ),
        // The object was written again, so the headers of the copy are possibly old.
        (
            200,
            "\"new\"",
            "26",
            Verdict::Stale,
            "the copy is 26 s old, but I1 was created 20 s ago",
        ),
        // It was, but the copy is newer than the invalidation.
        (
            200,
            "\"new\"",
            "16",
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
            Verdict::Unknown,
            "another response in place of the object (status 301)",
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
fn an_error_of_the_origin_means_gone_only_if_the_object_is_known_to_be_deleted() {
    use Existence::{Deleted, Exists, MustBeGone, PossiblyDeleted, Unknown};
    let (invalidation, access) = (invalidation(), ViewerAccess::default());
    let found = OriginObject::Found {
        etag: "\"new\"".into(),
        modified: None,
    };
    let missing = OriginObject::Missing;
    let older = "the copy is 30 s old, but I1 was created 20 s ago";
    let in_place = "an error in place of the object (status 404)";
    let deleted = "deleted (status 404)";
    for (existence, origin, age, verdict, reason) in [
        (Deleted, None, "1", Verdict::Gone, deleted),
        (PossiblyDeleted, None, "1", Verdict::Gone, deleted),
        (Deleted, Some(&missing), "-", Verdict::Gone, deleted),
        (Deleted, Some(&found), "1", Verdict::Stale, in_place),
        (MustBeGone, None, "1", Verdict::Gone, deleted),
        (MustBeGone, Some(&found), "1", Verdict::Gone, deleted),
        (
            Unknown,
            None,
            "1",
            Verdict::Unknown,
            "an error, and it is not known whether the object was deleted (status 404)",
        ),
        (
            Unknown,
            Some(&missing),
            "1",
            Verdict::Gone,
            "the bucket does not have it either (status 404)",
        ),
        (Unknown, Some(&found), "1", Verdict::Stale, in_place),
        (Exists, None, "1", Verdict::Stale, in_place),
        (
            Exists,
            Some(&missing),
            "1",
            Verdict::OldAtOrigin,
            "the bucket does not have it: upload it first",
        ),
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
        let expected = (verdict, reason.to_owned());
        assert_eq!(judged, expected, "{existence:?} {origin:?} {age}");
    }
}

#[test]
fn a_response_that_is_not_from_cloudfront_proves_nothing() {
    let (invalidation, access) = (invalidation(), ViewerAccess::default());
    let evidence = evidence(Some(&invalidation), &access);
    for (status, age) in [(200, "1"), (200, "300"), (301, "1"), (404, "-")] {
        let mut response = response(status, "-", age, "-");
        response.is_from_cloudfront = false;
        let expected = format!("the response is not from CloudFront (status {status})");
        assert_eq!(check(&response, &evidence), (Verdict::Unknown, expected));
    }
}

#[test]
fn an_object_that_does_not_exist_must_not_be_served() {
    use Existence::{Deleted, Exists, MustBeGone, PossiblyDeleted, Unknown};
    let (invalidation, access) = (invalidation(), ViewerAccess::default());
    let missing = OriginObject::Missing;
    let served = "the object is deleted, but viewers still get a copy";
    let another =
        "the object is missing or deleted, but the origin has returned something else there";
    let still = "the origin still has an object there: delete it and take it down again, unless it is a replacement";
    let page = "deleted: viewers get the error page (status 200)";
    let upload = "the bucket does not have it: upload it first";
    let (none, app) = (Fallback::None, Fallback::Page(Some("\"page\"")));
    let unread = Fallback::Page(None);
    let possibly = "it is possibly the error page (status 200)";
    for (existence, origin, fallback, x_cache, age, etag, verdict, reason) in [
        (Deleted, None, none, "Hit", "1", "-", Verdict::Stale, served),
        (
            Deleted,
            None,
            none,
            "Miss",
            "-",
            "-",
            Verdict::Unknown,
            another,
        ),
        (
            Unknown,
            Some(&missing),
            none,
            "Hit",
            "1",
            "-",
            Verdict::Stale,
            served,
        ),
        (
            Unknown,
            Some(&missing),
            none,
            "RefreshHit",
            "-",
            "-",
            Verdict::Unknown,
            another,
        ),
        (
            Unknown,
            Some(&missing),
            none,
            "Miss",
            "-",
            "-",
            Verdict::Unknown,
            another,
        ),
        (
            Exists,
            Some(&missing),
            none,
            "Hit",
            "1",
            "-",
            Verdict::Stale,
            served,
        ),
        (
            Exists,
            Some(&missing),
            none,
            "Miss",
            "-",
            "-",
            Verdict::OldAtOrigin,
            upload,
        ),
        (
            MustBeGone,
            None,
            none,
            "Miss",
            "-",
            "-",
            Verdict::OldAtOrigin,
            still,
        ),
        (
            MustBeGone,
            None,
            none,
            "Hit",
            "1",
            "-",
            Verdict::OldAtOrigin,
            still,
        ),
        (
            MustBeGone,
            Some(&missing),
            none,
            "Hit",
            "1",
            "-",
            Verdict::Stale,
            served,
        ),
        // The page of a single-page application.
        (
            Deleted,
            None,
            unread,
            "Error",
            "1",
            "-",
            Verdict::Gone,
            page,
        ),
        (
            Unknown,
            Some(&missing),
            app,
            "Error",
            "1",
            "\"page\"",
            Verdict::Fresh,
            "the bucket does not have it, and viewers get the current error page (status 200)",
        ),
        (
            Unknown,
            Some(&missing),
            app,
            "Error",
            "1",
            "\"old\"",
            Verdict::Unknown,
            possibly,
        ),
        (
            Exists,
            Some(&missing),
            app,
            "Error",
            "1",
            "\"page\"",
            Verdict::OldAtOrigin,
            upload,
        ),
        // No page replaces a missing object, so the origin failed; or one replaces failures, too.
        (
            MustBeGone,
            None,
            none,
            "Error",
            "1",
            "-",
            Verdict::Unknown,
            possibly,
        ),
        (
            MustBeGone,
            None,
            Fallback::AlsoForFailures,
            "Error",
            "1",
            "-",
            Verdict::Unknown,
            possibly,
        ),
        (
            PossiblyDeleted,
            None,
            none,
            "Hit",
            "1",
            "-",
            Verdict::Unknown,
            another,
        ),
        (
            Deleted,
            None,
            app,
            "Hit",
            "1",
            "W/\"page\"",
            Verdict::Gone,
            page,
        ),
        (
            Deleted,
            None,
            app,
            "Hit",
            "1",
            "\"old\"",
            Verdict::Stale,
            served,
        ),
        (
            MustBeGone,
            None,
            app,
            "Hit",
            "1",
            "\"page\"",
            Verdict::Gone,
            page,
        ),
        (
            Deleted,
            None,
            unread,
            "Hit",
            "1",
            "\"page\"",
            Verdict::Unknown,
            possibly,
        ),
        (
            Unknown,
            None,
            unread,
            "Error",
            "1",
            "-",
            Verdict::Unknown,
            possibly,
        ),
    ] {
        let evidence = Evidence {
            existence,
            origin,
            fallback,
            ..evidence(Some(&invalidation), &access)
        };
        let judged = check(&response(200, x_cache, age, etag), &evidence);
        let expected = (verdict, reason.to_owned());
        assert_eq!(
            judged, expected,
            "{existence:?} {origin:?} {fallback:?} {x_cache}"
        );
    }
    // A copy that is older than the invalidation is stale, whatever replaces it.
    let evidence = Evidence {
        existence: MustBeGone,
        fallback: unread,
        ..evidence(Some(&invalidation), &access)
    };
    assert_eq!(
        check(&response(200, "Hit", "30", "-"), &evidence).0,
        Verdict::Stale
    );
}

#[test]
fn a_young_copy_is_not_fresh_if_it_is_possibly_not_the_page() {
    let (invalidation, access) = (invalidation(), ViewerAccess::default());
    for (status, content, age, expected) in [
        (
            200,
            ContentMatch::Other,
            "1",
            "it is not the local file, to which the configuration leads only possibly",
        ),
        (
            200,
            ContentMatch::NotCompared,
            "1",
            "it could not be compared with the local file",
        ),
        (
            302,
            ContentMatch::NotCompared,
            "1",
            "another response in place of the object (status 302)",
        ),
        (
            200,
            ContentMatch::Other,
            "30",
            "the copy is 30 s old, but I1 was created 20 s ago",
        ),
    ] {
        let evidence = Evidence {
            content: Some(content),
            ..evidence(Some(&invalidation), &access)
        };
        let judged = check(&response(status, "Hit", age, "-"), &evidence);
        let verdict = if age == "1" {
            Verdict::Unknown
        } else {
            Verdict::Stale
        };
        assert_eq!(judged, (verdict, expected.to_owned()));
    }
}

#[test]
fn a_copy_that_an_invalidation_in_progress_will_drop_is_unknown() {
    let (invalidation, access) = (invalidation(), ViewerAccess::default());
    let newer = ExistingInvalidation {
        id: InvalidationId::new("I2"),
        created: time(1_010),
        status: InvalidationStatus::InProgress,
        ..invalidation.clone()
    };
    let waiting = "I2 is in progress: verify again when it is completed";
    for (completed, age, verdict, reason) in [
        (Some(&invalidation), "16", Verdict::Unknown, waiting),
        // Clocks differ, so this copy possibly is the one that the invalidation will drop.
        (Some(&invalidation), "5", Verdict::Unknown, waiting),
        (
            Some(&invalidation),
            "4",
            Verdict::Fresh,
            "the copy is 4 s old, I1 was created 20 s ago",
        ),
        (
            Some(&invalidation),
            "26",
            Verdict::Stale,
            "the copy is 26 s old, but I1 was created 20 s ago",
        ),
        (None, "1", Verdict::Unknown, waiting),
    ] {
        let evidence = Evidence {
            in_progress: Some(&newer),
            ..evidence(completed, &access)
        };
        let judged = check(&response(200, "Hit", age, "-"), &evidence);
        assert_eq!(judged, (verdict, reason.to_owned()), "{age}");
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
            (
                Verdict::Unknown,
                "an error, and it is not known whether the object was deleted (status 403)"
                    .to_owned(),
            ),
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
        (400, "the request failed (status 400)"),
        (429, "the request failed (status 429)"),
        (503, "the request failed (status 503)"),
    ] {
        let judged = check(&response(status, "Error", "30", "-"), &evidence);
        assert_eq!(judged, (Verdict::Unseen, reason.to_owned()));
    }
    let judged = judge(&Answer::NoResponse("timed out".into()), &evidence);
    assert_eq!(judged.verdict, Verdict::Unseen);
    assert_eq!(judged.reason.to_string(), "no response: timed out");
}

#[test]
fn a_signed_behavior_and_a_page_for_refusals_hide_the_copy() {
    let invalidation = invalidation();
    let guarded = ViewerAccess {
        web_acl: true,
        forbidden_page: true,
        ..ViewerAccess::default()
    };
    let evidence = evidence(Some(&invalidation), &guarded);
    let refused = "CloudFront refused the request before its cache (status 403; possibly AWS WAF)";
    let judged = check(&response(403, "Error", "30", "-"), &evidence);
    assert_eq!(judged, (Verdict::Unseen, refused.to_owned()));
    let signed = Evidence {
        signed: Some("private/*"),
        content: Some(ContentMatch::Different),
        ..evidence
    };
    for status in [200, 302, 403, 404] {
        let judged = check(&response(status, "Hit", "30", "-"), &signed);
        let expected = "the behavior private/* requires signed URLs or cookies".to_owned();
        assert_eq!(judged, (Verdict::Unseen, expected));
    }
}

#[test]
fn what_a_web_acl_or_a_function_returns_does_not_show_the_copy() {
    let invalidation = invalidation();
    let guarded = ViewerAccess {
        web_acl: true,
        ..ViewerAccess::default()
    };
    let replaced = ViewerAccess {
        forbidden_page: true,
        ..guarded.clone()
    };
    let page = Fallback::Page(Some("\"page\""));
    let refused = |status| {
        format!(
            "CloudFront refused the request before its cache (status {status}; possibly AWS WAF)"
        )
    };
    for (access, fallback, status, server, x_cache, verdict, reason) in [
        // A challenge, and the custom response of a block.
        (&guarded, Fallback::None, 202, "CloudFront", "Error", Verdict::Unseen, refused(202)),
        (&guarded, Fallback::None, 404, "CloudFront", "Error", Verdict::Unseen, refused(404)),
        (&guarded, Fallback::None, 404, "AmazonS3", "Error", Verdict::Gone, "deleted (status 404)".into()),
        // The error page in place of the refusal.
        (&replaced, Fallback::None, 404, "AmazonS3", "Error", Verdict::Unseen, refused(404)),
        (&replaced, Fallback::None, 200, "AmazonS3", "Error", Verdict::Unseen, refused(200)),
        (&replaced, page, 200, "AmazonS3", "Hit", Verdict::Unseen, refused(200)),
        (
            &guarded,
            Fallback::None,
            404,
            "CloudFront",
            "FunctionGeneratedResponse",
            Verdict::Unknown,
            "the edge generated the response for this request (FunctionGeneratedResponse from cloudfront)".into(),
        ),
    ] {
        let evidence = Evidence {
            existence: Existence::MustBeGone,
            fallback,
            ..evidence(Some(&invalidation), access)
        };
        let response = EdgeResponse {
            server: Some(server.into()),
            ..response(status, x_cache, "-", "\"page\"")
        };
        assert_eq!(check(&response, &evidence), (verdict, reason), "{status} {server}");
    }
}

#[test]
fn a_redirect_does_not_show_that_a_written_object_is_seen() {
    let (invalidation, access) = (invalidation(), ViewerAccess::default());
    let redirect = "another response in place of the object (status 302)";
    for (existence, verdict) in [
        (Existence::Exists, Verdict::Unknown),
        (Existence::MustBeGone, Verdict::Unknown),
        (Existence::Unknown, Verdict::Fresh),
    ] {
        let evidence = Evidence {
            existence,
            ..evidence(Some(&invalidation), &access)
        };
        let judged = check(&response(302, "Miss", "-", "-"), &evidence);
        assert_eq!(judged.0, verdict, "{existence:?}");
        assert_eq!(judged.1 == redirect, verdict == Verdict::Unknown);
    }
}

#[test]
fn an_object_that_cloudfront_must_not_read_is_no_old_content() {
    let (invalidation, access) = (invalidation(), ViewerAccess::default());
    let origin = OriginObject::Found {
        etag: "\"new\"".into(),
        modified: Some(time(1_005)),
    };
    let reason = |status| format!("an error in place of the object (status {status})");
    for (existence, status, age, verdict) in [
        (Existence::Unknown, 403, "-", Verdict::Unknown),
        (Existence::Unknown, 403, "1", Verdict::Unknown),
        // The error is older than the object, or S3 would not have sent it.
        (Existence::Unknown, 403, "21", Verdict::Stale),
        (Existence::Unknown, 404, "-", Verdict::Stale),
        (Existence::Exists, 403, "-", Verdict::Stale),
    ] {
        let evidence = Evidence {
            existence,
            origin: Some(&origin),
            ..evidence(Some(&invalidation), &access)
        };
        let judged = check(&response(status, "Error", age, "-"), &evidence);
        assert_eq!(judged, (verdict, reason(status)), "{status} {age}");
    }
}
