//! What a person in Slack reads after each command, and what CloudFront receives for it.
//!
//! `tests/wire/snapshots/slack-replies.txt` has all replies, to be read as the editor of a site reads them. Behind each one it
//! has what CloudFront and the queue received. `UPDATE_SNAPSHOTS=overwrite` writes it again.

use std::path::Path;
use std::time::Duration;

use cloudfront_invalidator::handler::Invalidator;
use snapbox::Redactions;

use super::bed::{RESPONSE_URL, SlackBed, WEBHOOK_URL, reply_of};
use crate::fixture::{
    ALWAYS, BUCKET, FIRST, Fixture, SECOND, configuration_with, logged, one_minute,
};
use crate::standin::{Clock, Fault, Operation, Options};
use crate::usage::invalidate;
use crate::verification::{account, cache};

const TAGS: &str = "<CacheTagConfig><HeaderName>cache-tag</HeaderName></CacheTagConfig>";

/// A function for Slack, and the transcript of its replies.
struct Chat<'a> {
    bed: SlackBed,
    invalidator: Invalidator,
    commands: usize,
    transcript: &'a mut String,
}

impl<'a> Chat<'a> {
    /// Starts a new function under a heading of the transcript.
    fn start(transcript: &'a mut String, heading: &str, bed: SlackBed) -> Self {
        *transcript += &format!("## {heading}\n\n");
        Self {
            invalidator: bed.invalidator(),
            bed,
            commands: 0,
            transcript,
        }
    }

    /// Sends a command, and adds its reply and what followed from it to the transcript. Returns the text of the reply.
    async fn send(&mut self, text: &str) -> String {
        let standin = &self.bed.fixture.standin;
        let (received, queued) = (standin.invalidations().len(), self.bed.queued().len());
        self.commands += 1;
        logged();
        let request = self.bed.request(text);
        let request = request.with("trigger_id", &format!("1334.{}", self.commands));
        let response = self
            .invalidator
            .handle(&request.event(), &one_minute())
            .await;
        let response = response.expect("a response");
        assert_eq!(response["statusCode"], 200, "{text}: {response}");
        let reply = reply_of(&response);
        assert_eq!(reply["response_type"], "ephemeral", "{text}");
        let reply = reply["text"].as_str().expect("a text").to_owned();
        assert_harmless(&reply);
        let log = logged().join("\n");
        assert!(!log.contains("hush") && !log.contains("1334."), "{log}");
        if reply.contains("in the log under") {
            let reasons = [
                "arn:aws:cloudfront::111122223333:",
                "does not exist in this account",
            ];
            assert!(reasons.iter().any(|reason| log.contains(reason)), "{log}");
        }
        let command = match text {
            "" => String::new(),
            text => format!(" {}", text.chars().take(160).collect::<String>()),
        };
        *self.transcript += &format!("> /cdn-purge{command}\n{reply}\n");
        let mut received = standin.invalidations().split_off(received);
        // The calls for several sites are made at the same time.
        received.sort_by(|first, second| first.distribution.cmp(&second.distribution));
        for invalidation in received {
            let outcome = match &invalidation.outcome {
                Ok(_) => String::new(),
                Err(code) => format!(" ({code})"),
            };
            let paths = invalidation.paths.join(" ");
            *self.transcript += &format!(
                "=> {} receives {paths}{outcome}\n",
                invalidation.distribution
            );
        }
        match self.bed.queued().len() - queued {
            0 => {}
            messages => *self.transcript += &format!("=> queue receives {messages}\n"),
        }
        self.transcript.push('\n');
        reply
    }

    /// Sends commands, each after the invalidations of the one before are completed.
    async fn send_all(&mut self, texts: &[&str]) {
        for text in texts {
            self.send(text).await;
            self.advance(15);
        }
    }

    fn fail(&self, operation: Operation, fault: Fault) {
        self.bed.fixture.standin.fail(operation, fault, ALWAYS);
    }

    fn advance(&self, seconds: u64) {
        self.bed
            .fixture
            .standin
            .advance(Duration::from_secs(seconds));
    }
}

/// Checks that a reply mentions nobody, and has nothing that only the operator may read.
fn assert_harmless(reply: &str) {
    for never in [
        "<",
        ">",
        "arn:",
        "111122223333",
        "IAM",
        RESPONSE_URL,
        WEBHOOK_URL,
    ] {
        assert!(!reply.contains(never), "{never} in {reply}");
    }
    let spans = reply.matches('`').count();
    assert!(spans.is_multiple_of(2), "an open code span in {reply}");
}

/// Options with a clock that only the test advances.
fn frozen() -> Options {
    Options {
        clock: Clock::frozen(),
        throttle: false,
        ..Options::default()
    }
}

/// Starts a function whose distributions have these elements in their configurations.
fn bed_with(first: &str, second: &str) -> SlackBed {
    let documents = [(FIRST, first), (SECOND, second)];
    let options = documents
        .into_iter()
        .fold(frozen(), |options, (id, elements)| {
            let path = format!("distribution/{id}/config");
            options.with_document(&path, &configuration_with(elements))
        });
    SlackBed::with(Fixture::with(options))
}

fn aliases(alias: &str) -> String {
    format!("<Aliases><Quantity>1</Quantity><Items><CNAME>{alias}</CNAME></Items></Aliases>")
}

/// Starts a function for two sites without names, whose aliases are example.com and shop.example.com.
fn two_sites() -> SlackBed {
    let (first, second) = (aliases("www.example.com"), aliases("shop.example.com"));
    bed_with(&first, &second)
        .set("SLACK_DISTRIBUTIONS", &format!("{FIRST},{SECOND}"))
        .set("SLACK_SITE_NAMES", "")
}

async fn one_site(transcript: &mut String) {
    let bed = SlackBed::start();
    let mut chat = Chat::start(transcript, "One site; the default is a plan", bed);
    chat.send_all(&["", "plan", "help", "blog", "blog all", "all"])
        .await;
    let bed = SlackBed::start().set("SLACK_DEFAULT", "all");
    let mut chat = Chat::start(transcript, "The default is everything", bed);
    chat.send_all(&["", "plan", "help", "Blog"]).await;
    let bed = SlackBed::start();
    let mut chat = Chat::start(transcript, "Paths", bed);
    chat.send_all(&[
        "/index.html",
        "/a /b",
        "BLOG /blog/*",
        "*",
        "/* /a",
        "/a%20b /ü /a?b=1",
        "/~mona/a.html",
        "/a /a /a/../a",
        "https://de1example1abc.cloudfront.net/a &lt;https://de1example1abc.cloudfront.net/b&gt;",
        "<http://de1example1abc.cloudfront.net|de1example1abc.cloudfront.net>",
        "E1EXAMPLE1ABC /a",
        "/1 /2 /3 /4 /5 /6 /7 /8 /9 /10 /11 /12",
    ])
    .await;
}

async fn several_sites(transcript: &mut String) {
    let mut chat = Chat::start(transcript, "Two sites without names", two_sites());
    chat.send_all(&[
        "",
        "help",
        "all",
        "/a",
        "www.example.com /b",
        "https://shop.example.com/c",
        "E2EXAMPLE1ABC /d",
        "www.example.com shop.example.com /e",
        "de2example1abc.cloudfront.net all",
        "https://www.example.com/a https://shop.example.com/a",
        "www.example.com",
    ])
    .await;
    let bed = two_sites().set("SLACK_SITE_NAMES", ",Shop");
    let mut chat = Chat::start(transcript, "Two sites, one with a name", bed);
    chat.send_all(&["", "shop /a", "SHOP all", "www.example.com /a", "/a"])
        .await;
    let bed = two_sites().set("SLACK_DISTRIBUTIONS", SECOND);
    let mut chat = Chat::start(transcript, "A site that is not for Slack", bed);
    chat.send_all(&[
        "E1EXAMPLE1ABC /a",
        "www.example.com /a",
        "https://www.example.com/a",
        "E9EXAMPLE1ABC /a",
    ])
    .await;
    let bed = SlackBed::start()
        .set("SLACK_DISTRIBUTIONS", "")
        .set("SLACK_SITE_NAMES", "");
    let mut chat = Chat::start(transcript, "No site", bed);
    chat.send_all(&["", "all", "/a", "help", "status", "usage", "verify /a"])
        .await;
}

async fn mistakes(transcript: &mut String) {
    let bed = SlackBed::start();
    let mut chat = Chat::start(transcript, "Mistakes", bed);
    chat.send_all(&[
        "al",
        "stauts",
        "blgo /a",
        "purge",
        "index.html",
        "blog/index.html",
        "www.example.org /a",
        "/a b",
        "all /a",
        "/a all",
        "/a,/b",
        "[\"/a\"]",
        "\"/a\"",
        "/a\\b",
        "s3://bucket/a",
        "C:\\site\\index.html",
        "/a*b*c",
        "/a—b",
        "#",
        "-h",
        "--help",
        "/blog/* status",
        "help me",
        "usage now",
        "status blog",
        "status I1 I2",
        "status /a",
        "verify",
        "verify all",
        "verify /a/*",
        "verify #news",
    ])
    .await;
    chat.send(&"/a ".repeat(101)).await;
    let long = chat.send(&format!("/{}", "a".repeat(3_000))).await;
    assert!(long.len() < 300, "{long}");
}

async fn formatting(transcript: &mut String) {
    let mut chat = Chat::start(transcript, "Formatting in a command", SlackBed::start());
    chat.send_all(&[
        "&lt;!channel&gt;",
        "<!channel>",
        "<!here|here>",
        "<@U0EXAMPLE|ann>",
        "<#C0EXAMPLE|news>",
        "<#C0EXAMPLE>",
        "@here",
        "`code`",
        "*bold*",
        "_italic_ ~struck~",
        "/`a`",
        "/*bold*",
        "/&lt;!channel&gt;",
        "/a &lt;!channel&gt;",
        "/a `b *c*",
        "status &lt;!here&gt;",
        "/a\n&gt; quote",
    ])
    .await;
    let word = chat.send(&"w".repeat(2_000)).await;
    assert!(word.len() < 700, "{word}");
    let alias = aliases("&lt;!channel&gt;`*.example.com");
    let bed = bed_with(&alias, "").set("SLACK_SITE_NAMES", "");
    let mut chat = Chat::start(transcript, "Formatting in an alias", bed);
    chat.send_all(&["", "help", "/a", "usage", "status", "channle"])
        .await;
    let bed = SlackBed::start()
        .set("SLACK_SITE_NAMES", "a&b<!here>")
        .set("SLACK_CONTACT", "<!channel> & co");
    let mut chat = Chat::start(transcript, "Formatting in settings", bed);
    chat.send_all(&["", "/a", "a&amp;b&lt;!here&gt; /a", "foo"])
        .await;
    chat.fail(Operation::CreateInvalidation, Fault::AccessDenied);
    chat.send("/b").await;
}

async fn tags(transcript: &mut String) {
    let mut chat = Chat::start(transcript, "Cache tags", bed_with(TAGS, ""));
    chat.send_all(&["#news", "#news #product:42 /a", "<#C0EXAMPLE|news>"])
        .await;
    let bed = bed_with("", "");
    let mut chat = Chat::start(transcript, "No cache tag header", bed);
    chat.send_all(&["#news", "#news /a"]).await;
    let bed = bed_with(TAGS, "")
        .set("SLACK_DISTRIBUTIONS", &format!("{FIRST},{SECOND}"))
        .set("SLACK_SITE_NAMES", "blog,shop");
    let mut chat = Chat::start(transcript, "A cache tag header of one of two sites", bed);
    chat.send_all(&["#news", "#news /a"]).await;
    let bed = bed_with(TAGS, "");
    let mut chat = Chat::start(transcript, "The cache tag header cannot be read", bed);
    chat.fail(Operation::GetDistributionConfig, Fault::AccessDenied);
    chat.send("#news").await;
}

async fn status(transcript: &mut String) {
    let bed = two_sites().set("SLACK_SITE_NAMES", "blog,shop");
    let mut chat = Chat::start(transcript, "Status", bed);
    chat.send("status").await;
    chat.send("blog /a /b").await;
    let first = chat.bed.fixture.first_id();
    chat.advance(60);
    chat.send("/blog/*").await;
    chat.advance(5);
    // The same paths are in progress.
    chat.send("blog /blog/*").await;
    chat.send("blog /blog/a").await;
    chat.send_all(&[
        "status",
        &format!("status {first}"),
        &format!("STATUS {}", first.to_lowercase()),
    ])
    .await;
    chat.advance(3_600);
    chat.send_all(&["status", "status I2J0I21PCUYOIK", "blog /a /b"])
        .await;
    chat.advance(26 * 3_600);
    chat.send("status").await;
    for number in 1..=7 {
        chat.send(&format!("blog /{number}")).await;
    }
    chat.send("status").await;
    let list = Operation::ListInvalidations;
    let standin = &chat.bed.fixture.standin;
    standin.fail_for(SECOND, list, Fault::AccessDenied, ALWAYS);
    chat.send("status").await;
    let bed = two_sites().set("SLACK_SITE_NAMES", "blog,shop");
    let standin = &bed.fixture.standin;
    standin.fail_for(SECOND, list, Fault::AccessDenied, ALWAYS);
    let mut chat = Chat::start(transcript, "The status of one of two sites", bed);
    chat.send("status").await;
}

async fn usage(transcript: &mut String) {
    let mut chat = Chat::start(transcript, "Usage", two_sites());
    chat.send("usage").await;
    let fixture = &chat.bed.fixture;
    invalidate(fixture, FIRST, 3, &["/a", "/b"]).await;
    invalidate(fixture, SECOND, 1, &["/a"]).await;
    chat.send("usage").await;
    let list = Operation::ListInvalidations;
    let standin = &chat.bed.fixture.standin;
    standin.fail_for(SECOND, list, Fault::AccessDenied, ALWAYS);
    chat.send("usage").await;
    invalidate(&chat.bed.fixture, FIRST, 310, &["/c"]).await;
    let bed = chat.bed;
    let mut chat = Chat::start(transcript, "Usage of a busy site", bed);
    chat.send("usage").await;
}

async fn verify(transcript: &mut String) {
    let fixture = account(0);
    for key in ["old+1.html", "new.html", "other.html"] {
        fixture.standin.put_object(BUCKET, key, "content");
    }
    let host = "d1example.cloudfront.net";
    cache(&fixture, &[(host, "/old%2B1.html"), (host, "/other.html")]);
    // The copy has another spelling.
    invalidate(&fixture, FIRST, 1, &["/old+1.html", "/new.html"]).await;
    fixture.standin.advance(Duration::from_secs(10));
    cache(&fixture, &[(host, "/new.html")]);
    let mut chat = Chat::start(transcript, "Verify", SlackBed::with(fixture));
    chat.send_all(&[
        "verify /new.html",
        "verify /old%2B1.html /other.html /missing.html",
        "verify https://www.example.com/new.html",
    ])
    .await;
    chat.fail(Operation::ListInvalidations, Fault::AccessDenied);
    chat.send("verify /new.html").await;
}

async fn failures(transcript: &mut String) {
    let names = |bed: SlackBed| bed.set("SLACK_SITE_NAMES", "blog,shop");
    for (heading, fault) in [
        ("No permission to invalidate", Fault::AccessDenied),
        (
            "A policy of the organization denies it",
            Fault::ExplicitDenyByScp,
        ),
        (
            "Too many invalidations in progress",
            Fault::TooManyInvalidationsInProgress,
        ),
        ("CloudFront fails", Fault::ServiceUnavailable),
    ] {
        let create = Operation::CreateInvalidation;
        let mut chat = Chat::start(transcript, heading, SlackBed::start());
        chat.fail(create, fault);
        chat.send("/a").await;
        let mut chat = Chat::start(
            transcript,
            &format!("{heading}: one of two"),
            names(two_sites()),
        );
        let standin = &chat.bed.fixture.standin;
        standin.fail_for(SECOND, create, fault, ALWAYS);
        chat.send("/a").await;
    }
    let missing = format!("{FIRST},E9EXAMPLE1ABC");
    let bed = names(SlackBed::start()).set("SLACK_DISTRIBUTIONS", &missing);
    let mut chat = Chat::start(transcript, "A distribution that does not exist", bed);
    chat.send_all(&["/a", "shop all", "status", "usage"]).await;
    let bed = SlackBed::start();
    bed.fixture.standin.refuse_paths(&["/bad"]);
    let mut chat = Chat::start(transcript, "A path that CloudFront refuses", bed);
    chat.send_all(&["/bad", "/a /bad"]).await;
    let mut chat = Chat::start(transcript, "No permission to read", names(two_sites()));
    for operation in [
        Operation::ListInvalidations,
        Operation::GetInvalidation,
        Operation::GetDistribution,
        Operation::GetDistributionConfig,
    ] {
        for _ in 0..9 {
            chat.fail(operation, Fault::AccessDenied);
        }
    }
    chat.send_all(&[
        "",
        "/a",
        "status",
        "status I2J0I21PCUYOIK",
        "usage",
        "www.example.com /a",
    ])
    .await;
    let bed = two_sites();
    let mut chat = Chat::start(transcript, "No permission to read the aliases", bed);
    chat.fail(Operation::GetDistribution, Fault::AccessDenied);
    chat.fail(Operation::GetDistributionConfig, Fault::AccessDenied);
    chat.send_all(&["", "/a"]).await;
    let bed = SlackBed::start();
    let mut chat = Chat::start(transcript, "The queue does not respond", bed);
    chat.fail(Operation::SendMessage, Fault::AccessDenied);
    chat.send("/a").await;
    chat.fail(
        Operation::CreateInvalidation,
        Fault::TooManyInvalidationsInProgress,
    );
    chat.send("/b").await;
}

#[tokio::test]
async fn each_command_has_the_reply_of_the_snapshot() {
    let mut transcript = String::new();
    one_site(&mut transcript).await;
    several_sites(&mut transcript).await;
    mistakes(&mut transcript).await;
    formatting(&mut transcript).await;
    tags(&mut transcript).await;
    status(&mut transcript).await;
    usage(&mut transcript).await;
    verify(&mut transcript).await;
    failures(&mut transcript).await;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire/snapshots/slack-replies.txt");
    let mut redactions = Redactions::new();
    for (placeholder, pattern) in [
        ("[REQUEST]", "`(?<redacted>request-[0-9]+)`"),
        ("[SECONDS]", "created (?<redacted>[0-9]+) s ago"),
    ] {
        let pattern = regex::Regex::new(pattern).expect("a regular expression");
        let inserted = redactions.insert(placeholder, pattern);
        inserted.expect("a placeholder");
    }
    snapbox::Assert::new()
        .action_env("UPDATE_SNAPSHOTS")
        .normalize_paths(false)
        .redact_with(redactions)
        .eq(transcript, snapbox::Data::read_from(&file, None));
}

/// Slack formats the replies, so the documentation has them without asterisks and backticks.
#[test]
fn the_documentation_shows_replies_of_the_snapshot() {
    let plain = |text: &str| text.replace(['*', '`'], "");
    let replies = plain(include_str!("../snapshots/slack-replies.txt"));
    let documentation = include_str!("../../../docs/slack.md");
    // Times, ids and counts differ, and the messages of the queue are compared in `queue`.
    let is_fixed = |line: &&str| !line.starts_with(['•', '@', '❌', '/']) && !line.contains("…");
    let shown: Vec<_> = documentation
        .split("```text\n")
        .skip(1)
        .filter_map(|block| block.split("```").next())
        .flat_map(str::lines)
        .filter(is_fixed)
        .map(|line| plain(line).replace("shop", "blog"))
        .map(|line| line.replace("2026-11", "2026-01"))
        .collect();
    assert!(shown.len() >= 6, "{shown:?}");
    for line in shown {
        let line = line.replace("/blog/a.html", "/index.html");
        assert!(replies.contains(&line), "{line}");
    }
}
