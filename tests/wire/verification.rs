//! A pipeline job that requests URLs as a viewer does, after its invalidations are completed, on a frozen clock.

use std::net::TcpListener;
use std::time::Duration;

use cloudfront_invalidator::aws::edge::EdgeEndpoints;
use serde_json::{Value, json};

use crate::edge::get_from;
use crate::fixture::{
    ALWAYS, BUCKET, FIRST, Fixture, SECOND, configuration, configuration_with,
    denial_with_statement, distribution_arn, failure_details, invocation, logged_at, one_minute,
    summary,
};
use crate::standin::{
    Clock, EdgeDistribution, EdgeOptions, Fault, Job, JobResult, JobState, Operation, Options,
    OriginResponse, Refusal, SiteOrigin,
};
use crate::waiting::run;

pub const HOST: &str = "d1example.cloudfront.net";
const ALIAS: &str = "www.example.com";
const OTHER_HOST: &str = "d2example.cloudfront.net";

/// An account whose distributions are sites, with invalidations that are in progress for this many seconds.
pub fn account(completes_after: u64) -> Fixture {
    account_with(completes_after, Options::default())
}

fn account_with(completes_after: u64, options: Options) -> Fixture {
    let fixture = Fixture::with(Options {
        clock: Clock::frozen(),
        completes_after: Duration::from_secs(completes_after),
        throttle: false,
        edge: Some(EdgeOptions::default()),
        ..options
    });
    for (id, hosts) in [(FIRST, &[HOST, ALIAS][..]), (SECOND, &[OTHER_HOST])] {
        fixture.standin.set_site(SiteOrigin {
            distribution: EdgeDistribution::new(id, hosts),
            bucket: BUCKET.to_owned(),
            ..SiteOrigin::default()
        });
    }
    let url = fixture.standin.url();
    fixture.set("EDGE_ENDPOINT_URL", &url)
}

/// Lets a viewer fetch the URLs a minute before the job.
pub fn cache(fixture: &Fixture, urls: &[(&str, &str)]) {
    for (host, target) in urls {
        get_from(&fixture.standin.url(), host, target);
    }
    fixture.standin.advance(Duration::from_secs(60));
}

/// Returns the text with the age of the invalidation that it has if no time passes between two responses.
pub fn on_time(text: &str) -> String {
    let age = regex::Regex::new(r"created \d+ s ago").expect("a regular expression");
    age.replace_all(text, "created 0 s ago").into_owned()
}

async fn run_once(fixture: &Fixture, parameters: Value) -> JobResult {
    let (jobs, result) = run(fixture, &parameters, 1).await;
    assert_eq!(jobs.len(), 1);
    result
}

fn variables(result: &JobResult) -> [&str; 3] {
    ["Status", "Verified", "StaleUrls"].map(|name| {
        result.body["outputVariables"][name]
            .as_str()
            .unwrap_or("missing")
    })
}

/// Returns the host, the target and `Accept-Encoding` of each request of a viewer since the start.
fn requests(fixture: &Fixture) -> Vec<(String, String, String)> {
    let received = fixture.standin.viewer_requests().into_iter();
    received
        .map(|request| {
            let encoding = request.accept_encoding().unwrap_or("none").to_owned();
            (request.host, request.target, encoding)
        })
        .collect()
}

/// Returns the text about one submitted path.
fn submitted(fixture: &Fixture, path: &str) -> String {
    format!(
        "{FIRST}: submitted as {} (1 path: {path})",
        fixture.first_id()
    )
}

#[tokio::test]
async fn requests_the_invalidated_paths_with_and_without_compression() {
    let fixture = account(5);
    fixture.standin.put_object(BUCKET, "a.html", "old");
    cache(&fixture, &[(HOST, "/a.html")]);
    fixture.standin.reset();
    fixture.standin.put_object(BUCKET, "a.html", "new");
    let parameters = json!({"paths": ["/a.html", "/blog/*"], "wait": true, "verify": true});
    fixture
        .standin
        .put_object(BUCKET, "blog/", "a page of a folder");
    let result = run_once(&fixture, parameters).await;
    let id = fixture.first_id();
    assert_eq!(
        summary(&result),
        format!(
            "completed after 6 s; verification: 2 fresh; {FIRST}: submitted as {id} (2 paths: /a.html /blog/*)"
        )
    );
    assert_eq!(
        result.body["outputVariables"],
        json!({
            "InvalidationIds": id,
            "DistributionIds": FIRST,
            "Paths": "/a.html,/blog/*",
            "PathCount": "2",
            "WaitedSeconds": "6",
            "Status": "Completed",
            "Verified": "true",
            "StaleUrls": "none",
        })
    );
    let expected = ["/blog/", "/a.html"].map(|target| {
        ["gzip, br", "none"]
            .map(|encoding| (HOST.to_owned(), target.to_owned(), encoding.to_owned()))
    });
    let mut requests = requests(&fixture);
    requests.sort_by(|a, b| (&b.1, &a.2).cmp(&(&a.1, &b.2)));
    assert_eq!(requests, expected.concat());
}

#[tokio::test]
async fn a_copy_that_the_invalidation_did_not_drop_fails_the_job() {
    let fixture = account(0);
    fixture.standin.put_object(BUCKET, "a+b.html", "old");
    cache(&fixture, &[(HOST, "/a%2Bb.html")]);
    logged_at("WARN");
    let parameters = json!({"paths": ["/a+b.html"], "wait": true, "verify": true});
    let result = run_once(&fixture, parameters).await;
    let id = fixture.first_id();
    // S3 reads the plus as a space, and has no object with this key.
    let stale = format!(
        "1 stale, 1 unknown; https://{HOST}/a%2Bb.html is stale: the copy is 60 s old, but {id} was created 0 s ago; \
         https://{HOST}/a+b.html is unknown: an error, and it is not known whether the object was deleted (status 403)"
    );
    let message = format!(
        "viewers still get old content: {stale}; invalidate what covers these URLs, such as \
         \"/*\", or set \"onStale\" to \"succeed\"; {}",
        submitted(&fixture, "/a+b.html")
    );
    let (kind, text) = failure_details(&result);
    assert_eq!((kind, on_time(text)), ("JobFailed", message));
    assert_eq!(result.body["failureDetails"]["externalExecutionId"], id);
    let warnings = logged_at("WARN");
    let [warning] = &warnings[..] else {
        panic!("{warnings:#?}")
    };
    assert_eq!(
        on_time(warning["message"].as_str().expect("a text")),
        format!(
            "viewers still get old content at https://{HOST}/a%2Bb.html: the copy is 60 s old, but {id} was created 0 s ago; \
             behavior *; cache key: path and encoding, without the query string; {id} possibly missed \
             it with /a+b.html, which is another spelling, created 2026-01-01T00:01:00Z"
        )
    );
}

#[tokio::test]
async fn a_job_that_succeeds_on_stale_names_the_urls() {
    let fixture = account(0);
    fixture.standin.put_object(BUCKET, "a+b,c.html", "old");
    cache(&fixture, &[(HOST, "/a%2Bb,c.html")]);
    let parameters = json!({
        "paths": ["/a+b,c.html"], "wait": true, "verify": ["/a%2Bb,c.html"], "onStale": "succeed"
    });
    let result = run_once(&fixture, parameters).await;
    let id = fixture.first_id();
    assert_eq!(
        on_time(summary(&result)),
        format!(
            "completed after 0 s; verification: 1 stale, 1 fresh; https://{HOST}/a%2Bb,c.html is stale: the copy is 60 s \
             old, but {id} was created 0 s ago; {}",
            submitted(&fixture, "/a+b,c.html")
        )
    );
    let old = format!("https://{HOST}/a%2Bb%2Cc.html");
    assert_eq!(variables(&result), ["Completed", "false", &old]);
}

#[tokio::test]
async fn names_what_proves_nothing_and_succeeds() {
    let old = |fixture: &Fixture| fixture.standin.put_object(BUCKET, "a.html", "text");
    let delete = |fixture: &Fixture| fixture.standin.delete_object(BUCKET, "a.html");
    let refuse = |fixture: &Fixture| {
        let refusal = Some(Refusal::Blocked);
        fixture.standin.refuse_viewers(FIRST, "*", refusal);
    };
    let send_age = |fixture: &Fixture| {
        let response = OriginResponse {
            status: 200,
            headers: vec![("Age".to_owned(), "7".to_owned())],
            body: "text".into(),
        };
        fixture
            .standin
            .set_response(FIRST, "/a.html", Some(response));
    };
    type Prepare<'a> = &'a dyn Fn(&Fixture);
    let cases: [(Prepare<'_>, &str, &str, &str); 4] = [
        // The function cannot read the bucket, so a broken site looks the same.
        (
            &delete,
            "/a.html",
            "unknown",
            "1 unknown; {url} is unknown: an error, and it is not known whether the object was deleted (status 403)",
        ),
        (
            &refuse,
            "/a.html",
            "unknown",
            "1 unseen; {url} is unseen: CloudFront refused the request before its cache (status 403; possibly a function \
             or AWS WAF)",
        ),
        (
            &send_age,
            "/a.html",
            "unknown",
            "1 unknown; {url} is unknown: the origin sends Age itself, so the age of the copy is unknown",
        ),
        (
            &old,
            "/b.html",
            "unknown",
            "1 unknown; {url} is unknown: none of the newest completed invalidations covers it",
        ),
    ];
    for (prepare, invalidated, verified, verdicts) in cases {
        let fixture = account(0);
        old(&fixture);
        cache(&fixture, &[(HOST, "/a.html")]);
        prepare(&fixture);
        let parameters = json!({"paths": invalidated, "wait": true, "verify": "/a.html"});
        let result = run_once(&fixture, parameters).await;
        let verdicts = verdicts.replace("{url}", &format!("https://{HOST}/a.html"));
        assert_eq!(
            summary(&result),
            format!(
                "completed after 0 s; verification: {verdicts}; {}",
                submitted(&fixture, invalidated)
            )
        );
        assert_eq!(variables(&result), ["Completed", verified, "none"]);
    }
}

#[tokio::test]
async fn a_function_without_a_route_to_the_edge_succeeds() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let fixture = account(0).set("EDGE_ENDPOINT_URL", &format!("http://{address}"));
    let parameters = json!({"paths": "/a.html", "wait": true, "verify": true});
    let result = run_once(&fixture, parameters).await;
    assert_eq!(
        summary(&result),
        format!(
            "completed after 0 s; verification: 1 unseen; https://{HOST}/a.html is unseen: no response: io error: client error \
             (Connect): tcp connect error: Connection refused (os error 111); {}",
            submitted(&fixture, "/a.html")
        )
    );
    assert_eq!(variables(&result), ["Completed", "unknown", "none"]);
}

#[tokio::test]
async fn the_distributions_of_a_job_share_the_urls() {
    let fixture = account(0);
    let names: Vec<_> = (0..15).map(|number| format!("a{number:02}")).collect();
    for name in &names {
        fixture.standin.put_object(BUCKET, name, "text");
    }
    let parameters = json!({
        "distribution": [FIRST, SECOND], "paths": "/*", "wait": true,
        "verify": names.iter().map(|name| format!("https://{ALIAS}/{name}")).collect::<Vec<_>>(),
    });
    let result = run_once(&fixture, parameters).await;
    let sample = "10 of 15 URLs: 10 of 15 other URLs";
    let ids: Vec<_> = fixture
        .standin
        .invalidations()
        .into_iter()
        .map(|invalidation| {
            let id = invalidation.outcome.expect("an id");
            format!(
                "{}: submitted as {id} (1 path: /*)",
                invalidation.distribution
            )
        })
        .collect();
    let mut ids = ids;
    ids.sort();
    assert_eq!(
        summary(&result),
        format!(
            "completed after 0 s; verification: 20 fresh; of {FIRST}: {sample}; of {SECOND}: {sample}; {}",
            ids.join("; ")
        )
    );
    let requests = requests(&fixture);
    for host in [HOST, OTHER_HOST] {
        let of_host = requests.iter().filter(|request| request.0 == host);
        assert_eq!(of_host.count(), 20, "{host}");
    }
}

#[tokio::test]
async fn verifies_nothing_without_a_wait_and_sends_nothing() {
    for wait in [json!(null), json!(false)] {
        let fixture = account(0);
        let parameters = json!({"wait": wait, "verify": true});
        let reported = fixture.run_job(Some(&parameters.to_string())).await;
        let message = "UserParameters: verify needs a wait: add \"wait\": \"5m\"";
        assert_eq!(reported.failure(), ("ConfigurationError", message));
        assert_eq!(fixture.standin.calls(), [Operation::PutJobFailureResult]);
    }
    // The wait of the settings is one, too.
    let fixture = account(0).set("WAIT", "5m");
    fixture.standin.put_object(BUCKET, "a.html", "text");
    let result = run_once(&fixture, json!({"paths": "/a.html", "verify": true})).await;
    assert_eq!(variables(&result), ["Completed", "true", "none"]);
}

#[tokio::test]
async fn verifies_nothing_that_is_not_completed_in_time() {
    for (verify, note, verified) in [
        (
            true,
            "verification: not done, because it is not completed; ",
            "unknown",
        ),
        (false, "", "none"),
    ] {
        let fixture = account(1_000_000);
        let parameters = json!({"paths": "/a", "wait": "20s", "verify": verify});
        let (_, result) = run(&fixture, &parameters, 1).await;
        let waited = &result.body["outputVariables"]["WaitedSeconds"];
        let waited = waited.as_str().expect("seconds");
        assert_eq!(
            summary(&result),
            format!(
                "not completed after {waited} s, but CloudFront still completes it; {note}{}",
                submitted(&fixture, "/a")
            )
        );
        assert_eq!(variables(&result), ["InProgress", verified, "none"]);
        assert_eq!(requests(&fixture), []);
    }
}

/// Runs a job with this much time, and returns it after its result.
async fn run_for(fixture: &Fixture, job: &Job, left: Duration) -> (Job, JobResult) {
    let invalidator = fixture.invalidator_without_pauses();
    let handled = invalidator.handle(&job.event, &invocation(left)).await;
    handled.expect("a result");
    let results = fixture.standin.job_results();
    let result = results.last().expect("a result").clone();
    (fixture.standin.job(&job.id).expect("the job"), result)
}

#[tokio::test]
async fn the_next_job_verifies_if_little_time_is_left_and_a_slow_edge_costs_no_result() {
    let hanging = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = hanging.local_addr().expect("an address");
    let fixture = account(0).set("EDGE_ENDPOINT_URL", &format!("http://{address}"));
    let parameters = json!({"paths": "/a.html", "wait": true, "verify": true}).to_string();
    let job = fixture.standin.start_job(Some(&parameters));
    // The reserves for the result take 4.3 seconds of these, so that less than five are left.
    let (first, result) = run_for(&fixture, &job, Duration::from_millis(9_200)).await;
    assert_eq!(first.state, JobState::Continued);
    let token = &result.body["continuationToken"];
    let token = token.as_str().expect("a token");
    let id = fixture.first_id();
    assert!(token.ends_with(&format!(" {FIRST}:{id}+")), "{token}");
    let next = fixture.standin.next_job(&job.id).expect("the next job");
    let (last, result) = run_for(&fixture, &next, Duration::from_millis(5_000)).await;
    assert_eq!(last.state, JobState::Succeeded);
    assert_eq!(
        summary(&result),
        format!(
            "completed after 0 s; verification: 1 unseen; https://{HOST}/a.html is unseen: no response: no response in \
             time; {}",
            submitted(&fixture, "/a.html")
        )
    );
    assert_eq!(variables(&result), ["Completed", "unknown", "none"]);
    assert_eq!(fixture.calls(Operation::CreateInvalidation), 1);
}

#[tokio::test]
async fn a_distribution_that_cannot_be_read_or_requested_is_a_note() {
    let read =
        |action: &str| denial_with_statement("AccessDenied", action, &distribution_arn(FIRST));
    let with_alias = configuration_with(&format!(
        "<Aliases><Quantity>1</Quantity><Items><CNAME>{ALIAS}</CNAME></Items></Aliases>"
    ));
    let without_alias = configuration(BUCKET, "", "");
    let disabled = without_alias.replace("<Enabled>true", "<Enabled>false");
    let (get, get_config) = (Operation::GetDistribution, Operation::GetDistributionConfig);
    for (document, denied, verdicts, notes) in [
        (&with_alias, &[get][..], "1 fresh".to_owned(), String::new()),
        (
            &without_alias,
            &[get],
            format!(
                "no URLs; {FIRST} is not verified: no alias names one host, and its domain name is unknown: allow \
                 cloudfront:GetDistribution on {}",
                distribution_arn(FIRST)
            ),
            String::new(),
        ),
        (
            &with_alias,
            &[get, get_config],
            format!(
                "no URLs; {FIRST} is not verified: {}",
                read("cloudfront:GetDistributionConfig")
            ),
            format!(
                "; not checked whether it has a staging distribution with a cache of its own: {}",
                read("cloudfront:GetDistributionConfig")
            ),
        ),
        (
            &disabled,
            &[],
            format!("no URLs; {FIRST} is not verified: it is disabled"),
            String::new(),
        ),
    ] {
        let document_name = format!("distribution/{FIRST}/config");
        let options = Options::default().with_document(&document_name, document);
        let fixture = account_with(0, options);
        fixture.standin.put_object(BUCKET, "a.html", "text");
        for operation in denied {
            fixture
                .standin
                .fail(*operation, Fault::AccessDenied, ALWAYS);
        }
        let parameters = json!({"paths": "/a.html", "wait": true, "verify": true});
        let result = run_once(&fixture, parameters).await;
        assert_eq!(
            summary(&result),
            format!(
                "completed after 0 s; verification: {verdicts}; {}{notes}",
                submitted(&fixture, "/a.html")
            )
        );
        let (verified, hosts) = match verdicts.as_str() {
            "1 fresh" => ("true", vec![ALIAS; 2]),
            _ => ("unknown", vec![]),
        };
        assert_eq!(variables(&result), ["Completed", verified, "none"]);
        let requests = requests(&fixture);
        let requested: Vec<_> = requests.iter().map(|request| request.0.as_str()).collect();
        assert_eq!(requested, hosts);
    }
}

#[tokio::test]
async fn a_panic_of_the_verification_costs_no_result() {
    let fixture = account(0);
    let parameters = json!({"paths": "/a.html", "wait": true, "verify": true}).to_string();
    let job = fixture.standin.start_job(Some(&parameters));
    let invalidator = fixture
        .invalidator_without_pauses()
        .with_edge(EdgeEndpoints::new(|name| panic!("{name}")));
    let handled = invalidator.handle(&job.event, &one_minute()).await;
    handled.expect("a result");
    let result = fixture.only_result().result;
    assert_eq!(
        summary(&result),
        format!(
            "completed after 0 s; verification: no URLs; the function panicked, which is a bug in it: see its log, and try \
             again; {}",
            submitted(&fixture, "/a.html")
        )
    );
    assert_eq!(variables(&result), ["Completed", "unknown", "none"]);
}

#[tokio::test]
async fn a_short_summary_has_the_counts_of_the_verdicts() {
    let fixture = account(0);
    fixture.standin.put_object(BUCKET, "a.html", "text");
    let rejection = Fault::ValidationException;
    fixture
        .standin
        .fail(Operation::PutJobSuccessResult, rejection, 1);
    let parameters = json!({"paths": "/a.html", "wait": true, "verify": true});
    let result = run_once(&fixture, parameters).await;
    assert_eq!(
        summary(&result),
        "submitted for 1 of 1 distribution, status Completed; verification: 1 fresh; CodePipeline rejected the full \
         summary, which the log of the function contains"
    );
    assert_eq!(variables(&result), ["Completed", "true", "none"]);
}

#[tokio::test]
async fn the_job_that_ends_the_action_verifies() {
    let fixture = account(0).set("DISTRIBUTION_ID", &format!("{FIRST},{SECOND}"));
    fixture.standin.put_object(BUCKET, "a.html", "text");
    // The other distribution of the settings is possibly a staging distribution.
    let read = Operation::GetDistributionConfig;
    fixture.standin.fail(read, Fault::Throttling, 4);
    let parameters =
        json!({"distribution": FIRST, "paths": "/a.html", "wait": "5m", "verify": true});
    let job = fixture.standin.start_job(Some(&parameters.to_string()));
    let minute = Duration::from_secs(60);
    let (first, _) = run_for(&fixture, &job, minute).await;
    assert_eq!(first.state, JobState::Continued);
    assert_eq!(requests(&fixture), []);
    let next = fixture.standin.next_job(&job.id).expect("the next job");
    let (last, result) = run_for(&fixture, &next, minute).await;
    assert_eq!(last.state, JobState::Succeeded);
    assert_eq!(variables(&result), ["Completed", "true", "none"]);
    assert_eq!(requests(&fixture).len(), 2);
}

#[tokio::test]
async fn an_invalidation_that_cannot_be_read_again_is_a_note() {
    for (fault, reason) in [
        (
            Fault::AccessDenied,
            denial_with_statement(
                "AccessDenied",
                "cloudfront:GetInvalidation",
                &distribution_arn(FIRST),
            ),
        ),
        (Fault::Hang, "CloudFront did not respond in time".to_owned()),
    ] {
        let fixture = account(0);
        let parameters = json!({"paths": "/a.html", "wait": true, "verify": true}).to_string();
        let job = fixture.standin.start_job(Some(&parameters));
        let (first, _) = run_for(&fixture, &job, Duration::from_millis(9_200)).await;
        assert_eq!(first.state, JobState::Continued);
        let read = Operation::GetInvalidation;
        fixture.standin.fail(read, fault, ALWAYS);
        let next = fixture.standin.next_job(&job.id).expect("the next job");
        let (last, result) = run_for(&fixture, &next, Duration::from_millis(5_000)).await;
        assert_eq!(last.state, JobState::Succeeded);
        assert_eq!(
            summary(&result),
            format!(
                "completed after 0 s; verification: no URLs; {FIRST} is not verified: {reason}; {}",
                submitted(&fixture, "/a.html")
            )
        );
        assert_eq!(variables(&result), ["Completed", "unknown", "none"]);
    }
}

#[tokio::test]
async fn a_wildcard_without_a_page_proves_nothing() {
    let fixture = account(0);
    fixture.standin.put_object(BUCKET, "blog/a.html", "text");
    let parameters = json!({"paths": "/blog/*", "wait": true, "verify": true});
    let result = run_once(&fixture, parameters).await;
    assert_eq!(
        summary(&result),
        format!(
            "completed after 0 s; verification: no URLs; {FIRST} is not verified: no page was found under the wildcards, so \
             list URLs in \"verify\"; {}",
            submitted(&fixture, "/blog/*")
        )
    );
    assert_eq!(variables(&result), ["Completed", "unknown", "none"]);
}
