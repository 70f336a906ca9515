//! Mistakes of new users that ended with exit code 0 and a false statement, or with work lost.

use std::time::Duration;

use crate::environment::{APP, Environment, FIRST, WEBSITE, account};
use crate::standin::{Clock, Fault, Operation, Options};

fn paths(distribution: &str, paths: &[&str]) -> (String, Vec<String>) {
    let paths = paths.iter().map(|path| (*path).to_owned());
    (distribution.to_owned(), paths.collect())
}

#[test]
fn a_url_of_another_site_is_refused() {
    let mut environment = Environment::new("mistakes-host");
    environment.write("paths.txt", "https://shop.example.com/a\n");
    environment.write(
        "batch.json",
        r#"{"Paths": {"Quantity": 1, "Items": ["https://shop.example.com/a"]}}"#,
    );
    for line in [
        format!("create -d {FIRST} https://shop.example.com/a"),
        format!("create -d {FIRST} --paths-from paths.txt"),
        format!("create -d {FIRST} --batch batch.json"),
        format!("create -d {FIRST} --takedown https://shop.example.com/a.pdf"),
        format!("create -d {FIRST} https://www.example.org/a"),
        format!("create -d {FIRST} https://d111112abcdef8.cloudfront.net/a"),
        format!("plan -d {FIRST} -d {APP} https://shop.example.com/a"),
    ] {
        let output = environment.run(&line);
        assert_eq!(output.code, 1, "{line}");
    }
    assert_eq!(environment.accepted(), []);
    environment.run(&format!(
        "create -d {FIRST} -d {WEBSITE} https://WWW.example.com/a https://d111112abcdef8.cloudfront.net/b"
    ));
    let operation = Operation::GetDistributionConfig;
    environment.standin.fail(operation, Fault::AccessDenied, 1);
    environment.run(&format!("create -d {FIRST} https://shop.example.com/c"));
    let mut accepted = environment.accepted();
    accepted.sort();
    let expected = [
        paths(FIRST, &["/a", "/b"]),
        paths(FIRST, &["/c"]),
        paths(WEBSITE, &["/a", "/b"]),
    ];
    assert_eq!(accepted, expected);
    environment.snapshot("mistakes-host");
}

#[test]
fn again_names_the_distributions_that_get_nothing() {
    let mut environment = Environment::new("mistakes-again");
    environment.run(&format!("create -d {APP} /a"));
    let id = environment.standin.invalidations()[0].outcome.clone();
    let id = id.expect("an id");
    environment.run(&format!("create -d {FIRST} -d {APP} --again {id}"));
    environment.run(&format!("create -d {APP} -d E9EXAMPLE1ABC --again {id}"));
    environment.run(&format!("create -d {FIRST} -d {WEBSITE} --again {id}"));
    assert_eq!(
        environment.accepted(),
        [paths(APP, &["/a"]), paths(APP, &["/a"])]
    );
    environment.snapshot("mistakes-again");
}

#[test]
fn a_takedown_names_what_was_written_and_refuses_what_it_would_ignore() {
    let mut environment = Environment::new("mistakes-takedown");
    environment.run(&format!(
        "create -d {FIRST} --takedown /[draft].pdf --dry-run"
    ));
    environment.write("keys.txt", "private/my+report.pdf\n");
    environment.run(&format!(
        "plan -d {FIRST} --takedown --keys-from keys.txt --output json"
    ));
    for options in [
        "--reference r",
        "--max-paths 1",
        "--max-wildcards 1",
        "--wait=0",
    ] {
        let line = format!("create -d {FIRST} --takedown /a {options}");
        assert_eq!(environment.run(&line).code, 2, "{line}");
    }
    assert_eq!(environment.accepted(), []);
    environment.snapshot("mistakes-takedown");
}

#[test]
fn keys_that_no_distribution_serves_cause_a_warning() {
    let mut environment = Environment::new("mistakes-origin-path");
    environment.write("keys.txt", "index.html\nblog/a.html\n");
    environment.run(&format!("create -d {WEBSITE} --keys-from keys.txt"));
    environment.run(&format!(
        "create -d {WEBSITE} --keys-from keys.txt --output json -q"
    ));
    assert_eq!(environment.accepted(), []);
    environment.snapshot("mistakes-origin-path");
}

#[test]
fn each_distribution_gets_the_objects_of_its_buckets() {
    let mut environment = Environment::new("mistakes-buckets");
    let synced = "upload: a/x.html to s3://app/x.html\nupload: s/y.html to s3://site/prod/y.html\n";
    environment.write("both.txt", synced);
    environment.write("other.txt", "upload: a/x.html to s3://other/x.html\n");
    environment.run(&format!(
        "create -d {APP} -d {WEBSITE} --from-s3-sync both.txt"
    ));
    environment.run(&format!("create -d {APP} --from-s3-sync both.txt"));
    environment.run(&format!(
        "create -d {APP} -d {WEBSITE} --from-s3-sync other.txt"
    ));
    environment.snapshot("mistakes-buckets");
}

#[test]
fn a_lost_response_is_reported_as_possibly_submitted() {
    let mut environment = Environment::new("mistakes-lost-response");
    let operation = Operation::CreateInvalidation;
    environment.standin.fail(operation, Fault::LostResponse, 9);
    environment.run(&format!("create -d {FIRST} /a"));
    environment.snapshot("mistakes-lost-response");
}

#[test]
fn a_site_that_is_named_like_a_distribution_is_mentioned() {
    let mut environment = Environment::new("mistakes-shadow");
    environment.write(
        "cf-invalidate.toml",
        "[sites.\"www.example.com\"]\ndistribution = 'E7EXAMPLE1ABC'\n[sites.\"app.example.com\"]\ndistribution = \
         'app.example.com'\n",
    );
    environment.run("create -d www.example.com /a");
    environment.run("create -d app.example.com /b");
    environment.snapshot("mistakes-shadow");
}

#[test]
fn a_name_that_is_used_again_much_later_is_refused_with_a_remedy() {
    let options = Options {
        clock: Clock::frozen(),
        completes_after: Duration::ZERO,
        ..account()
    };
    let mut environment = Environment::with_options("mistakes-reference", options);
    environment.run(&format!("create -d {FIRST} /a --reference nightly"));
    environment.standin.advance(Duration::from_secs(24 * 3_600));
    environment.run(&format!(
        "create -d {FIRST} /a --reference nightly --output json"
    ));
    environment.snapshot("mistakes-reference");
}

#[test]
fn a_dry_run_fails_for_the_reasons_for_which_the_request_would_fail() {
    let mut environment = Environment::new("mistakes-dry-run");
    for (name, value, code) in [
        ("AWS_PROFILE", "", 0),
        ("HTTP_PROXY", "socks5://127.0.0.1:1", 2),
        // Nothing listens on the discard port.
        ("HTTP_PROXY", "http://127.0.0.1:9", 1),
        ("AWS_ENDPOINT_URL", "", 2),
        ("AWS_ENDPOINT_URL", "http://", 2),
    ] {
        let former = environment.variables.get(name).cloned();
        environment.set(name, value);
        for command in ["create", "create --dry-run", "plan"] {
            let output = environment.run(&format!("{command} -d {FIRST} /a"));
            assert_eq!(
                output.code, code,
                "{command} {name}={value}: {}",
                output.stderr
            );
        }
        match former {
            Some(former) => environment.set(name, &former),
            None => environment.unset(name),
        }
    }
    for command in ["create", "create --dry-run"] {
        let line = format!("{command} -d {FIRST} /a --profile nope");
        assert_eq!(environment.run(&line).code, 5, "{line}");
    }
    environment.set("HTTP_PROXY", "http://127.0.0.1:9");
    environment.set("NO_PROXY", "*");
    assert_eq!(environment.run(&format!("create -d {FIRST} /b")).code, 0);
    let accepted = [paths(FIRST, &["/a"]), paths(FIRST, &["/b"])];
    assert_eq!(environment.accepted(), accepted);
}

#[test]
fn the_configured_paths_have_the_host_of_their_distribution() {
    let mut environment = Environment::new("mistakes-configured-host");
    environment.write(
        "cf-invalidate.toml",
        "[sites.a]\ndistribution = 'E1EXAMPLE1ABC'\npaths = ['https://shop.example.com/z']\n",
    );
    let output = environment.run("create -d a");
    assert_eq!(output.code, 1, "{}", output.stderr);
    assert_eq!(environment.accepted(), []);
}

#[test]
fn the_error_in_json_is_the_one_that_decides_the_exit_code() {
    let options = Options {
        completes_after: Duration::from_secs(3_600),
        ..account()
    };
    let mut environment = Environment::with_options("mistakes-error", options);
    let synced =
        "upload: a to s3://site/a\nupload failed: b to s3://site/b An error occurred (X)\n";
    let create = format!("create -d {FIRST} --from-s3-sync - --wait=1s --output json");
    let output = environment.run_with_input(&create, synced);
    let object: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
    let message = "aws s3 failed in part: remove the cause, run it again, and invalidate what it changes then";
    let expected = (1, serde_json::json!(message));
    assert_eq!((output.code, object["error"]["message"].clone()), expected);
}

#[test]
fn a_request_that_is_sent_again_is_not_a_repetition() {
    let options = Options {
        clock: Clock::frozen(),
        ..account()
    };
    let mut environment = Environment::with_options("mistakes-own-request", options);
    let operation = Operation::CreateInvalidation;
    environment.standin.fail(operation, Fault::LostResponse, 1);
    environment
        .standin
        .fail(operation, Fault::TooManyInvalidationsInProgress, 1);
    let create = format!("create -d {FIRST} /a --reference r1 --output json");
    let output = environment.run(&create);
    let object: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert_eq!(
        object["distributions"][0]["reused"],
        serde_json::json!(false)
    );
    assert_eq!(object["path_count"], serde_json::json!(1));
}

#[test]
fn names_are_checked_without_changes_too() {
    let mut environment = Environment::new("mistakes-no-changes");
    for command in ["create", "plan"] {
        let line = format!("{command} -d nope --paths-from -");
        assert_eq!(environment.run(&line).code, 2, "{line}");
    }
}

#[test]
fn written_paths_leave_a_path_to_the_keys_or_are_refused() {
    let mut environment = Environment::new("mistakes-written-and-keys");
    environment.write("keys.txt", "x/1.html\nx/2.html\nz.html\n");
    let plan = format!("plan -d {APP} --bucket app --keys-from keys.txt --literal-keys /a /b");
    assert_eq!(environment.run(&format!("{plan} --max-paths 2")).code, 2);
    environment.run(&format!("{plan} --max-paths 4"));
    environment.run(&plan);
    environment.snapshot("mistakes-written-and-keys");
}

#[test]
fn fewer_wildcards_than_planned_cause_a_warning() {
    let options = Options {
        completes_after: Duration::from_secs(3_600),
        ..account()
    };
    let mut environment = Environment::with_options("mistakes-quota", options);
    let wildcards: Vec<_> = (0..14).map(|number| format!("/{number}/*")).collect();
    environment.run(&format!("create -d {APP} {} -q", wildcards.join(" ")));
    environment.write("keys.txt", "a/a+1.html\nb/c+2.html\n");
    environment.run(&format!(
        "create -d {APP} --bucket app --keys-from keys.txt --literal-keys --checks --dry-run"
    ));
    environment.snapshot("mistakes-quota");
}

#[test]
fn file_names_of_windows_are_refused_in_lists() {
    let mut environment = Environment::new("mistakes-windows");
    environment.write("paths.txt", "C:/site/index.html\n");
    environment.write("keys.txt", "C:\\site\\index.html\n");
    for line in [
        format!("create -d {FIRST} --paths-from paths.txt"),
        format!("create -d {FIRST} --keys-from keys.txt"),
    ] {
        assert_eq!(environment.run(&line).code, 2, "{line}");
    }
    assert_eq!(environment.accepted(), []);
    environment.snapshot("mistakes-windows");
}

#[test]
fn checks_that_are_requested_and_cannot_run_cause_a_warning() {
    let mut environment = Environment::new("mistakes-checks");
    for operation in [Operation::ListInvalidations, Operation::ListDistributions] {
        environment.standin.fail(operation, Fault::AccessDenied, 9);
    }
    environment.run(&format!("create -d {FIRST} /a --checks"));
    environment.snapshot("mistakes-checks");
}
