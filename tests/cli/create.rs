//! `create`: what is sent, and what is printed.

use std::time::Duration;

use crate::environment::{APP, Environment, FIRST, WEBSITE, account};
use crate::standin::{Clock, Fault, Operation, Options};

#[test]
fn sends_paths_and_waits() {
    let mut environment = Environment::new("create-paths");
    environment.run(&format!("create -d {FIRST} /index.html /blog/*"));
    environment.run("create -d www.example.com -d app.example.com #release --wait");
    environment.run(&format!("create -d {FIRST} /a --wait --output json"));
    environment.run(&format!("create -d {FIRST} /quiet --quiet"));
    environment.run(&format!("create -d {FIRST} /dry --dry-run -v"));
    let paths = |paths: &[&str]| {
        paths
            .iter()
            .map(|path| (*path).to_owned())
            .collect::<Vec<_>>()
    };
    let expected = [
        (FIRST, paths(&["/blog/*", "/index.html"])),
        (FIRST, paths(&["#release"])),
        (APP, paths(&["#release"])),
        (FIRST, paths(&["/a"])),
        (FIRST, paths(&["/quiet"])),
    ];
    let mut accepted = environment.accepted();
    accepted[1..3].sort();
    assert_eq!(accepted, expected.map(|(id, paths)| (id.to_owned(), paths)));
    environment.snapshot("create-paths");
}

#[test]
fn waits_for_an_invalidation_that_is_not_visible_yet() {
    let mut environment = Environment::new("create-not-visible");
    environment
        .standin
        .fail(Operation::GetInvalidation, Fault::NoSuchInvalidation, 1);
    let output = environment.run(&format!("create -d {FIRST} /a --wait --no-checks"));
    assert_eq!(output.code, 0);
    assert_eq!(environment.count_calls(Operation::GetInvalidation), 2);
}

#[test]
fn refuses_cache_tags_for_a_distribution_that_has_none() {
    let mut environment = Environment::new("create-tags");
    let run = |environment: &mut Environment, line: &str, code: i32| {
        let output = environment.run(line);
        assert_eq!(output.code, code, "{line}: {}", output.stderr);
    };
    run(&mut environment, &format!("create -d {WEBSITE} #a /b"), 1);
    run(
        &mut environment,
        &format!("create -d {WEBSITE} -d {APP} #a --output json"),
        1,
    );
    run(
        &mut environment,
        &format!("create -d {WEBSITE} #a --dry-run"),
        1,
    );
    run(&mut environment, &format!("plan -d {WEBSITE} #a"), 1);
    run(&mut environment, "plan -d app.example.com #a", 0);
    let accepted = [(APP.to_owned(), vec!["#a".to_owned()])];
    assert_eq!(environment.accepted(), accepted);
    // A tag that cannot be checked is sent.
    let operation = Operation::GetDistributionConfig;
    environment.standin.fail(operation, Fault::AccessDenied, 1);
    run(
        &mut environment,
        &format!("create -d {WEBSITE} #a --no-checks"),
        0,
    );
    environment.unset("AWS_ACCESS_KEY_ID");
    environment.unset("AWS_SECRET_ACCESS_KEY");
    run(&mut environment, &format!("plan -d {WEBSITE} #a"), 5);
    run(
        &mut environment,
        &format!("plan --offline -d {WEBSITE} #a"),
        0,
    );
    environment.snapshot("create-tags");
}

#[test]
fn names_the_policy_of_a_staging_distribution_and_the_tenants_of_a_distribution() {
    let account = account();
    let path = format!("distribution/{FIRST}/config");
    let with_policy = account.documents[&path].replace(
        "<ContinuousDeploymentPolicyId/>",
        "<ContinuousDeploymentPolicyId>11111111-2222</ContinuousDeploymentPolicyId>",
    );
    let tenants = account.documents[&path].replace(
        "<Staging>",
        "<ConnectionMode>tenant-only</ConnectionMode><Staging>",
    );
    let account = account
        .with_document(&path, &with_policy)
        .with_document("distribution/E8EXAMPLE1ABC/config", &tenants);
    let mut environment = Environment::with_options("create-staging", account);
    environment.run_with_input(&format!("plan --keys-from - -d {FIRST}"), "a.html\n");
    environment.run(&format!("create -d {FIRST} #a"));
    environment.run("create -d E8EXAMPLE1ABC /a --no-checks");
    environment.snapshot("create-staging");
}

#[test]
fn the_text_lists_a_hundred_paths_and_json_all() {
    let mut environment = Environment::new("create-many");
    let paths: Vec<_> = (1_000..4_000).map(|number| format!("/{number}")).collect();
    let input = paths.join("\n");
    let listed = &paths[..100];
    let plan = environment.run_with_input("plan --offline --paths-from -", &input);
    assert_eq!(
        plan.stdout,
        format!(
            "3,000 paths\n  {}\n  and 2,900 more (--output json lists all)\n",
            listed.join("\n  ")
        )
    );
    let create = format!("create -d {FIRST} --paths-from - --no-checks");
    let created = environment.run_with_input(&create, &input);
    let listed = format!("(3000 paths: {} and 2,900 more)\n", listed.join(" "));
    assert!(created.stdout.ends_with(&listed), "{}", created.stdout);
    let plan = environment.run_with_input("plan --offline --paths-from - --output json", &input);
    let output: serde_json::Value = serde_json::from_str(&plan.stdout).expect("JSON");
    assert_eq!(output["paths"], serde_json::json!(paths));
    assert_eq!(
        output["distributions"][0]["paths"],
        serde_json::json!(paths)
    );
    assert_eq!(environment.accepted(), [(FIRST.to_owned(), paths)]);
}

#[test]
fn finds_the_distributions_of_the_bucket_that_was_synced() {
    let mut environment = Environment::new("create-s3-sync");
    environment.run_with_input(
        "create --from-s3-sync -",
        include_str!("recorded/v1/sync-delete.txt"),
    );
    environment.run_with_input(
        &format!("create --from-s3-sync - -d {FIRST}"),
        include_str!("recorded/v1/sync-nothing.txt"),
    );
    environment.run_with_input(
        &format!("create --from-s3-sync - -d {FIRST}"),
        include_str!("recorded/v1/sync-dryrun.txt"),
    );
    environment.run_with_input(
        "create --from-s3-sync -",
        include_str!("recorded/v1/sync-copy.txt"),
    );
    environment.snapshot("create-s3-sync");
}

#[test]
fn finds_the_invalidation_with_the_same_reference() {
    let options = Options {
        completes_after: Duration::from_secs(3_600),
        clock: Clock::frozen(),
        ..account()
    };
    let mut environment = Environment::with_options("create-reference", options);
    let first = environment.run(&format!("create -d {FIRST} /a --reference release-42"));
    let again = environment.run(&format!(
        "create -d {FIRST} /a --reference release-42 --no-checks"
    ));
    assert_eq!(first.stdout, again.stdout);
    let batch = r#"{"Paths": {"Quantity": 1, "Items": ["/b"]}, "CallerReference": "release 43"}"#;
    let first = environment.run_with_input(&format!("create -d {FIRST} --batch -"), batch);
    let again =
        environment.run_with_input(&format!("create -d {FIRST} --batch - --no-checks"), batch);
    assert_eq!(first.stdout, again.stdout);
    let received = environment.standin.invalidations();
    assert_eq!(received[3].reference, "release 43");
    // After the first run, fewer wildcards are left than the plan has. The plan does not change.
    let keys: String = ('a'..='i').map(|letter| format!("{letter}+\n")).collect();
    let create =
        format!("create -d {APP} --keys-from - --literal-keys --reference release-44 --checks");
    let first = environment.run_with_input(&create, &keys);
    let again = environment.run_with_input(&create, &keys);
    assert_eq!(first, again);
    environment.snapshot("create-reference");
}

#[test]
fn uses_sites_and_paths_of_the_configuration() {
    let mut environment = Environment::new("create-config");
    environment.write(
        "cf-invalidate.toml",
        "default = 'www'\n[sites.www]\ndistribution = 'www.example.com'\npaths = ['/index.html', '/blog/*']\n\
         max_paths = 3\n",
    );
    environment.write(
        ".config/cf-invalidate/config.toml",
        "[sites.www]\ndistribution = 'hidden.example.com'\n[sites.both]\ndistribution = ['E1EXAMPLE1ABC', \
         'E7EXAMPLE1ABC']\n",
    );
    environment.run("create");
    environment.run("create /other");
    environment.run("plan");
    environment.run("create -d both /");
    environment.run("create -d both");
    environment.run("create -d bothe /");
    environment.write(
        "cf-invalidate.toml",
        "[sites.www]\ndistribution = 'www.example.com'\npathes = ['/*']\n",
    );
    environment.run("create");
    environment.snapshot("create-config");
}

#[test]
fn reports_each_distribution() {
    let mut environment = Environment::new("create-several");
    environment.run(&format!(
        "create -d {FIRST} -d E9EXAMPLE1ABC /a --output json"
    ));
    environment.run(&format!("create -d {FIRST} -d E9EXAMPLE1ABC /b"));
    environment.snapshot("create-several");
}

#[test]
fn warns_and_continues_without_a_terminal() {
    let options = Options {
        completes_after: Duration::from_secs(3_600),
        ..account()
    };
    let mut environment = Environment::with_options("create-warnings", options);
    environment.run(&format!("create -d {FIRST} /a /b /c --yes"));
    environment.run(&format!("create -d {FIRST} /a /b --checks"));
    for number in 0..10 {
        environment.run(&format!("create -d {APP} /{number} --no-checks --quiet"));
    }
    environment.run(&format!("create -d {APP} /last --checks --output json"));
    let many: String = (0..984).map(|number| format!("/{number}\n")).collect();
    environment.run_with_input(
        "create -d E6EXAMPLE1ABC --paths-from - --quiet --no-checks",
        &many,
    );
    environment.run(&format!("create -d {APP} /beyond --checks"));
    let keys: String = (0..20)
        .map(|number| format!("blog/{number}.html\n"))
        .collect();
    environment.run_with_input(
        &format!("create -d {APP} --keys-from - --dry-run --bucket app --checks"),
        &keys,
    );
    environment.snapshot("create-warnings");
}

#[test]
fn skips_checks_that_are_not_allowed() {
    let mut environment = Environment::new("create-denied-checks");
    environment
        .standin
        .fail(Operation::ListInvalidations, Fault::AccessDenied, 9);
    environment
        .standin
        .fail(Operation::ListDistributions, Fault::AccessDenied, 9);
    environment
        .standin
        .fail(Operation::GetDistributionConfig, Fault::AccessDenied, 9);
    environment.run_with_input(
        &format!("create -d {FIRST} --keys-from - --checks"),
        "a b.html\n",
    );
    environment.snapshot("create-denied-checks");
}
