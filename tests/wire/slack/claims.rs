//! What replies and posts claim: never more than CloudFront confirmed. And what a person mistypes purges nothing else.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::bed::{Delivered, SlackBed, command_task, millis, reply_of};
use crate::fixture::{ALWAYS, FIRST, Fixture, SECOND, configuration_with, logged, one_minute};
use crate::s3::event;
use crate::standin::{Clock, Fault, Operation, Options};

const STAGING: &str = "E8EXAMPLE1ABC";
const STAGING_DOMAIN: &str = "d888888abcdef8.cloudfront.net";
const POLICY: &str = "11111111-2222-3333-4444-555555555555";
const MINUTE: Duration = Duration::from_secs(60);

fn options() -> Options {
    Options {
        clock: Clock::frozen(),
        throttle: false,
        completes_after: Duration::ZERO,
        ..Options::default()
    }
}

fn both_sites(bed: SlackBed) -> SlackBed {
    bed.set("SLACK_DISTRIBUTIONS", &format!("{FIRST},{SECOND}"))
        .set("SLACK_SITE_NAMES", "blog,shop")
}

fn two_sites() -> SlackBed {
    both_sites(SlackBed::with(Fixture::with(options())))
}

/// An account whose first distribution has a staging distribution.
fn with_staging() -> Fixture {
    let config = |id: &str| format!("distribution/{id}/config");
    let policy = format!("<ContinuousDeploymentPolicyId>{POLICY}</ContinuousDeploymentPolicyId>");
    let policy_document = format!(
        "<ContinuousDeploymentPolicyConfig xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\">\
         <StagingDistributionDnsNames><Quantity>1</Quantity><Items><DnsName>{STAGING_DOMAIN}</DnsName></Items>\
         </StagingDistributionDnsNames><Enabled>true</Enabled></ContinuousDeploymentPolicyConfig>"
    );
    let summary = |id: &str, domain: &str, staging: bool| {
        let configuration = configuration_with("");
        let (_, configuration) = configuration.split_once("<Origins>").expect("origins");
        let configuration = configuration.replace("</DistributionConfig>", "");
        format!(
            "<DistributionSummary><Id>{id}</Id><DomainName>{domain}</DomainName><Staging>{staging}</Staging>\
             <Origins>{configuration}</DistributionSummary>"
        )
    };
    let list = format!(
        "<DistributionList xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\"><Marker></Marker><MaxItems>100\
         </MaxItems><IsTruncated>false</IsTruncated><Quantity>2</Quantity><Items>{}{}</Items></DistributionList>",
        summary(FIRST, "d111111abcdef8.cloudfront.net", false),
        summary(STAGING, STAGING_DOMAIN, true)
    );
    Fixture::with(
        options()
            .with_distribution(STAGING)
            .with_document(&config(FIRST), &configuration_with(&policy))
            .with_document(
                &config(STAGING),
                &configuration_with("<Staging>true</Staging>"),
            )
            .with_document(
                &format!("continuous-deployment-policy/{POLICY}/config"),
                &policy_document,
            )
            .with_document("distribution", &list),
    )
}

fn with_alias(alias: &str) -> String {
    configuration_with(&format!(
        "<Aliases><Quantity>1</Quantity><Items><CNAME>{alias}</CNAME></Items></Aliases>"
    ))
}

fn text(message: &Value) -> &str {
    message["text"].as_str().expect("a text")
}

/// Returns the text of the only post.
fn only_post(bed: &SlackBed) -> String {
    let posts = bed.posts();
    let [post] = posts.as_slice() else {
        panic!("not one post but {posts:?}");
    };
    text(post).to_owned()
}

/// Delivers the messages that a command put into the queue.
async fn deliver_queued(bed: &SlackBed) {
    for message in bed.queued() {
        bed.deliver(&mut bed.message(&message.body)).await;
    }
}

// 1. Silently wrong.

#[tokio::test]
async fn the_completion_of_a_purge_names_the_staging_distribution_that_was_not_purged() {
    let bed = SlackBed::with(with_staging()).set("INVALIDATE_STAGING", "true");
    (bed.fixture.standin).fail_for(
        STAGING,
        Operation::CreateInvalidation,
        Fault::AccessDenied,
        ALWAYS,
    );
    let reply = bed.reply("/a").await;
    assert!(
        text(&reply).contains(&format!("*{STAGING}* was not purged")),
        "{reply}"
    );
    deliver_queued(&bed).await;
    let post = only_post(&bed);
    assert!(post.contains("not purged"), "{post}");
}

#[tokio::test]
async fn a_purge_that_only_the_staging_distribution_accepts_is_not_fresh_everywhere() {
    let bed = SlackBed::with(with_staging()).set("INVALIDATE_STAGING", "true");
    (bed.fixture.standin).fail_for(
        FIRST,
        Operation::CreateInvalidation,
        Fault::AccessDenied,
        ALWAYS,
    );
    let reply = bed.reply("/a").await;
    println!("{reply}");
    deliver_queued(&bed).await;
    let posts = format!("{:?}", bed.posts());
    assert!(!posts.contains("fresh everywhere"), "{reply} {posts}");
}

#[tokio::test]
async fn the_result_of_a_command_from_the_queue_names_a_staging_distribution_that_stays_old() {
    let bed = SlackBed::with(with_staging());
    let reply = bed.reply("/a").await;
    assert!(text(&reply).contains("is not invalidated"), "{reply}");
    let bed = SlackBed::with(with_staging());
    bed.deliver(&mut bed.message(&command_task("/a"))).await;
    let post = only_post(&bed);
    assert!(post.contains("is not invalidated"), "{post}");
}

#[tokio::test]
async fn an_earlier_purge_of_more_paths_is_not_called_one_of_the_same_paths() {
    let bed = SlackBed::with(Fixture::with(Options {
        completes_after: 10 * MINUTE,
        ..options()
    }));
    bed.reply("all").await;
    let request = bed.request("/a").with("trigger_id", "1.2");
    let reply = bed.send(&request.event()).await;
    assert!(text(&reply).contains("still in progress"), "{reply}");
    assert!(!text(&reply).contains("of the same paths"), "{reply}");
}

#[tokio::test]
async fn the_result_of_a_command_from_the_queue_names_widened_paths() {
    let bed = SlackBed::with(Fixture::with(options()));
    let reply = bed.reply("/a~b").await;
    assert!(text(&reply).contains("widened"), "{reply}");
    let bed = SlackBed::with(Fixture::with(options()));
    bed.deliver(&mut bed.message(&command_task("/a~b"))).await;
    let post = only_post(&bed);
    assert!(post.contains("widened"), "{post}");
}

#[tokio::test]
async fn the_time_until_fresh_is_not_that_of_the_queue() {
    // CloudFront completes it at once, and the message is delivered five minutes later.
    let bed = SlackBed::with(Fixture::with(options()));
    bed.reply("/a").await;
    let mut message = bed.message(&bed.queued()[0].body);
    bed.fixture.standin.advance(5 * MINUTE);
    bed.deliver(&mut message).await;
    let post = only_post(&bed);
    assert!(!post.contains("after 5 min"), "{post}");
}

#[tokio::test]
async fn status_names_a_site_whose_purges_cannot_be_listed() {
    let bed = two_sites();
    bed.reply("blog /a").await;
    (bed.fixture.standin).fail_for(
        SECOND,
        Operation::ListInvalidations,
        Fault::AccessDenied,
        ALWAYS,
    );
    let reply = bed.reply("status").await;
    assert!(text(&reply).contains("shop"), "{reply}");
}

#[tokio::test]
async fn a_site_cannot_have_the_name_of_a_keyword() {
    // The person means the site, and everything of both sites is purged.
    let bed = two_sites().set("SLACK_SITE_NAMES", "all,shop");
    let response = bed.respond(&bed.request("all").event()).await;
    logged();
    assert_eq!(bed.fixture.accepted(), [], "{response}");
}

#[tokio::test]
async fn the_id_of_a_site_is_never_the_name_of_another_one() {
    let bed = two_sites().set("SLACK_SITE_NAMES", "e2example1abc,shop");
    bed.respond(&bed.request("E2EXAMPLE1ABC /a").event()).await;
    let accepted = bed.fixture.accepted();
    let of_others = accepted.iter().filter(|(id, _)| id != SECOND);
    assert_eq!(of_others.count(), 0, "{accepted:?}");
}

#[tokio::test]
async fn the_alias_of_the_site_that_was_found_is_named() {
    let aliases = [(FIRST, "*.example.com"), (SECOND, "*.shop.example.com")];
    let options = aliases.into_iter().fold(options(), |options, (id, alias)| {
        options.with_document(&format!("distribution/{id}/config"), &with_alias(alias))
    });
    let bed = SlackBed::with(Fixture::with(options))
        .set("SLACK_DISTRIBUTIONS", &format!("{FIRST},{SECOND}"))
        .set("SLACK_SITE_NAMES", "blog,shop");
    let reply = bed.reply("a.shop.example.com /a").await;
    let note = "Note: `a.shop.example.com` is found by `*.shop.example.com`, so it can be the name of another site";
    assert_eq!(text(&reply).lines().last(), Some(note));
    let purged = [(SECOND.to_owned(), vec!["/a".to_owned()])];
    assert_eq!(bed.fixture.accepted(), purged);
}

#[tokio::test]
async fn a_domain_that_only_a_wildcard_alias_matches_is_named_as_such() {
    // The second distribution has the name, and cannot be purged from Slack.
    let options = options()
        .with_document(
            &format!("distribution/{FIRST}/config"),
            &with_alias("*.example.com"),
        )
        .with_document(
            &format!("distribution/{SECOND}/config"),
            &with_alias("shop.example.com"),
        );
    let bed = SlackBed::with(Fixture::with(options));
    let reply = bed.reply("shop.example.com /a").await;
    assert!(
        bed.fixture.accepted().is_empty() || text(&reply).contains("*.example.com"),
        "{reply}"
    );
}

#[tokio::test]
async fn the_plan_for_a_site_suggests_paths_of_this_site_only() {
    let bed = two_sites();
    let reply = bed.reply("shop").await;
    let expected = "To purge less: `/cdn-purge shop /blog/*`";
    assert!(text(&reply).contains(expected), "{reply}");
}

#[tokio::test]
async fn a_stray_space_before_a_wildcard_does_not_purge_everything() {
    // "all" beside a path is refused, and this is the same.
    let bed = SlackBed::with(Fixture::with(options()));
    let reply = bed.reply("/blog/ *").await;
    assert_eq!(bed.fixture.accepted(), [], "{reply}");
}

#[tokio::test]
async fn a_semicolon_between_paths_is_refused_as_a_comma_is() {
    let bed = SlackBed::with(Fixture::with(options()));
    let reply = bed.reply("/a;/b").await;
    assert_eq!(bed.fixture.accepted(), [], "{reply}");
}

#[tokio::test]
async fn status_of_a_site_is_not_the_status_of_an_invalidation() {
    let bed = two_sites();
    bed.reply("blog /a").await;
    let reply = bed.reply("status blog").await;
    assert!(!text(&reply).contains("has the purge `blog`"), "{reply}");
}

#[tokio::test]
async fn details_that_a_reply_places_in_the_log_are_in_the_log() {
    let bed = SlackBed::with(Fixture::with(options()));
    for operation in [Operation::GetDistribution, Operation::GetDistributionConfig] {
        (bed.fixture.standin).fail(operation, Fault::AccessDenied, ALWAYS);
    }
    logged();
    let reply = bed.reply("verify /a").await;
    assert!(
        text(&reply).contains("finds the details in the log"),
        "{reply}"
    );
    let lines = logged();
    assert!(
        lines
            .iter()
            .any(|line| line.contains("cloudfront:GetDistribution")),
        "{lines:?}"
    );
}

#[tokio::test]
async fn a_wildcard_of_a_folder_purges_or_names_the_page_of_the_folder() {
    // `/blog/*` does not cover `/blog/` (`InvalidationPath::covers`).
    let bed = SlackBed::with(Fixture::with(options()));
    let reply = bed.reply("/blog/*").await;
    let accepted = bed.fixture.accepted();
    assert!(
        accepted
            .iter()
            .any(|(_, paths)| paths.contains(&"/blog/".to_owned()))
            || text(&reply).contains("`/blog/`"),
        "{reply}"
    );
}

#[tokio::test]
async fn a_command_with_an_unknown_effect_is_not_reported_as_not_done() {
    // CloudFront accepts it, and neither its response nor that of the queue arrives.
    let bed = SlackBed::with(Fixture::with(Options {
        clock: Clock::Real,
        ..options()
    }));
    (bed.fixture.standin).delay(Operation::CreateInvalidation, Duration::from_secs(5));
    (bed.fixture.standin).fail(Operation::SendMessage, Fault::Hang, ALWAYS);
    let event = bed.request("/a").event();
    let invalidator = bed.invalidator_with_pauses();
    let response = invalidator.handle(&event, &one_minute()).await;
    logged();
    assert_eq!(bed.fixture.standin.accepted().len(), 1);
    let reply = reply_of(&response.expect("a response"));
    assert!(!text(&reply).starts_with("Not done."), "{reply}");
}

// Announcements.

#[tokio::test]
async fn a_batch_that_fails_as_a_whole_for_the_last_time_is_announced() {
    let bed = SlackBed::with(Fixture::with(options()))
        .set("SLACK_ANNOUNCEMENTS", "failures")
        .set("DISTRIBUTION_ID", "not-an-id");
    let body = event("s3-direct-index").to_string();
    let delivery = bed.delivery(&body, Duration::ZERO, 10);
    let result = bed.invalidator().handle(&delivery, &one_minute()).await;
    logged();
    println!("{result:?}");
    assert_eq!(bed.queued().len(), 1);
}

#[tokio::test]
async fn a_failure_whose_announcement_was_lost_is_announced_the_next_time() {
    let bed = SlackBed::with(Fixture::with(options())).set("SLACK_ANNOUNCEMENTS", "failures");
    (bed.fixture.standin).fail(Operation::CreateInvalidation, Fault::AccessDenied, ALWAYS);
    (bed.fixture.standin).fail(Operation::SendMessage, Fault::AccessDenied, 1);
    let invalidator = bed.invalidator();
    for expected in [0, 1] {
        let event = event("s3-direct-index");
        let result = invalidator.handle(&event, &one_minute()).await;
        assert!(result.is_err());
        assert_eq!(bed.queued().len(), expected);
    }
    logged();
}

#[tokio::test]
async fn a_result_that_codepipeline_does_not_take_is_not_announced() {
    let bed = SlackBed::with(Fixture::with(options())).set("SLACK_ANNOUNCEMENTS", "all");
    let job = bed.fixture.standin.start_job(Some(r#"{"paths": ["/a"]}"#));
    // Lambda repeats an asynchronous invocation, in another process.
    for _ in 0..2 {
        let result = bed.invalidator().handle(&job.event, &one_minute()).await;
        result.expect("a result");
    }
    logged();
    assert_eq!(bed.queued().len(), 1, "{:?}", bed.queued());
}

// 2. Lost or hanging.

#[tokio::test]
async fn a_result_is_posted_although_its_dead_letter_cannot_be_sent() {
    let bed = two_sites();
    (bed.fixture.standin).fail_at_random(Operation::SendMessage, Fault::AccessDenied, 100, 1);
    for _ in 0..20 {
        (bed.fixture.standin).fail_for(
            SECOND,
            Operation::CreateInvalidation,
            Fault::AccessDenied,
            ALWAYS,
        );
    }
    let mut message = bed.message(&command_task("/a"));
    bed.deliver_until(&mut message, 35 * MINUTE).await;
    logged();
    assert_eq!(bed.fixture.standin.accepted().len(), 1);
    let post = only_post(&bed);
    assert!(post.contains("*shop* was not purged"), "{post}");
}

#[tokio::test]
async fn the_result_of_the_last_attempt_is_posted_before_the_response_url_expires() {
    let options = Options {
        completes_after: 60 * MINUTE,
        ..options()
    };
    let bed = SlackBed::with(Fixture::with(options));
    let mut message = bed.message_of_age(&command_task("/a"), 23 * MINUTE - Duration::from_secs(1));
    message.received = 9;
    let sent = bed.fixture.standin.now() - (23 * MINUTE - Duration::from_secs(1));
    (bed.fixture.standin).fail(Operation::CreateInvalidation, Fault::Throttling, ALWAYS);
    assert_eq!(bed.deliver(&mut message).await, Delivered::VisibleIn(240));
    bed.fixture.standin.recover();
    // The attempt took most of the time that the function has for its work.
    bed.fixture.standin.advance(Duration::from_secs(40 + 240));
    assert_eq!(bed.deliver(&mut message).await, Delivered::Deleted);
    only_post(&bed);
    let age = bed
        .fixture
        .standin
        .now()
        .duration_since(sent)
        .expect("an age");
    assert!(age < 30 * MINUTE, "{age:?}");
}

#[tokio::test]
async fn a_slow_start_leaves_time_for_the_secret_and_the_queue() {
    let bed = SlackBed::with(Fixture::with(Options {
        clock: Clock::Real,
        ..options()
    }));
    let standin = &bed.fixture.standin;
    standin.fail(Operation::CreateInvalidation, Fault::Hang, ALWAYS);
    // Two TLS handshakes with little CPU.
    standin.delay(Operation::GetSecretValue, Duration::from_millis(500));
    standin.delay(Operation::SendMessage, Duration::from_millis(400));
    let mut event = bed.request("/a").event();
    let received = millis(standin.now() - Duration::from_millis(2_400));
    event["requestContext"]["timeEpoch"] = json!(received);
    let started = Instant::now();
    let invalidator = bed.invalidator_with_pauses();
    let response = invalidator.handle(&event, &one_minute()).await;
    let response = response.expect("a response");
    println!("{:?} {response}", started.elapsed());
    logged();
    // Slack no longer waits. The command has to run all the same, as its reply promises.
    assert_eq!(bed.queued().len(), 1, "{response}");
    assert!(
        text(&reply_of(&response)).contains("The command continues"),
        "{response}"
    );
}

// 3. Security.

#[tokio::test]
async fn a_signing_secret_that_no_longer_exists_is_not_accepted_forever() {
    let bed = SlackBed::with(Fixture::with(options()));
    let invalidator = bed.invalidator();
    let event = bed.request("help").event();
    invalidator
        .handle(&event, &one_minute())
        .await
        .expect("a response");
    bed.fixture.standin.advance(24 * 60 * MINUTE);
    (bed.fixture.standin).fail_at_random(Operation::GetSecretValue, Fault::AccessDenied, 100, 1);
    let event = bed.request("/a").event();
    let invocation = one_minute();
    let response = invalidator.handle(&event, &invocation).await;
    logged();
    assert_eq!(bed.fixture.accepted(), [], "{response:?}");
}

#[tokio::test]
async fn strangers_cause_one_read_of_an_unreadable_secret_in_a_minute() {
    let bed = SlackBed::with(Fixture::with(options()));
    (bed.fixture.standin).fail_at_random(Operation::GetSecretValue, Fault::AccessDenied, 100, 1);
    let invalidator = bed.invalidator();
    let mut request = bed.request("help");
    request.secret = "a guess".to_owned();
    for _ in 0..5 {
        let response = invalidator.handle(&request.event(), &one_minute()).await;
        println!("{response:?}");
    }
    logged();
    assert_eq!(bed.fixture.calls(Operation::GetSecretValue), 1);
}

#[tokio::test]
async fn a_list_of_empty_ids_allows_nobody() {
    for name in ["SLACK_USERS", "SLACK_CHANNELS", "SLACK_WORKSPACES"] {
        let bed = SlackBed::with(Fixture::with(options())).set(name, " , ");
        let response = bed.respond(&bed.request("/a").event()).await;
        logged();
        assert_eq!(bed.fixture.accepted(), [], "{name}: {response}");
    }
}

#[tokio::test]
async fn only_a_short_unsigned_body_is_a_check_of_the_certificate() {
    let bed = SlackBed::with(Fixture::with(options()));
    for (length, status) in [(1_000, 200), (1_001, 401)] {
        let body = format!("ssl_check=1&token={}", "x".repeat(length - 18));
        let mut event = bed.request("help").event();
        event["headers"] = json!({"content-type": "application/x-www-form-urlencoded"});
        event["isBase64Encoded"] = json!(false);
        event["body"] = json!(body);
        assert_eq!(bed.respond(&event).await, json!({"statusCode": status}));
    }
    logged();
}
