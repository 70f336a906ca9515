//! Files that never change: `--immutable`, the environment and the configuration file.
//!
//! An option wins over the environment, and that over the configuration file. Paths that the user writes are always sent.

use crate::environment::{APP, Environment, FIRST, WEBSITE, account};
use crate::standin::{Fault, Operation};

const SYNC: &str = "upload: out/index.html to s3://site/index.html\n\
                    upload: out/_astro/index.DRf8L97S.css to s3://site/_astro/index.DRf8L97S.css\n\
                    upload: out/assets/a.js to s3://site/assets/a.js\n\
                    delete: s3://site/_astro/index.BdJjQ6lI.css\n";

/// Returns an environment whose first distribution caches errors for a minute at most.
fn environment(name: &str) -> Environment {
    let configuration = include_str!("../distributions/legacy.xml");
    let long = "<ErrorCachingMinTTL>300<";
    assert!(configuration.contains(long));
    let short = configuration.replace(long, "<ErrorCachingMinTTL>60<");
    let path = format!("distribution/{FIRST}/config");
    Environment::with_options(name, account().with_document(&path, &short))
}

/// Runs a command with the output of a sync as its input, and returns the paths that were sent since the last one.
fn create(environment: &mut Environment, options: &str, sync: &str) -> Vec<String> {
    let before = environment.accepted().len();
    let line = format!("create -d {FIRST} --no-checks --from-s3-sync - {options}");
    let output = environment.run_with_input(&line, sync);
    assert_eq!(output.code, 0, "{}", output.stderr);
    let sent = environment.accepted().split_off(before);
    sent.into_iter().flat_map(|(_, paths)| paths).collect()
}

#[test]
fn hashed_files_of_a_sync_are_not_sent() {
    let mut environment = environment("immutable");
    let hashed = ["/_astro/index.BdJjQ6lI.css", "/_astro/index.DRf8L97S.css"];
    let all = [&["/"][..], &hashed, &["/assets/a.js", "/index.html"]].concat();
    for (options, expected) in [
        ("", vec!["/", "/assets/a.js", "/index.html"]),
        ("--immutable auto", vec!["/", "/assets/a.js", "/index.html"]),
        ("--immutable /assets/*", vec!["/", "/index.html"]),
        ("--immutable /x/*,/assets/*", vec!["/", "/index.html"]),
        (
            "--immutable /x/* --immutable /assets/*",
            vec!["/", "/index.html"],
        ),
        ("--immutable none", all.clone()),
        // Paths that the user writes are sent.
        (
            "/_astro/index.BdJjQ6lI.css --immutable /assets/*",
            vec!["/", "/_astro/index.BdJjQ6lI.css", "/index.html"],
        ),
    ] {
        assert_eq!(
            create(&mut environment, options, SYNC),
            expected,
            "{options}"
        );
    }
    environment.set("IMMUTABLE_PATHS", "/x/*,/assets/*");
    assert_eq!(create(&mut environment, "", SYNC), ["/", "/index.html"]);
    environment.unset("IMMUTABLE_PATHS");
    let only_hashed = "upload: out/_astro/a.DRf8L97S.css to s3://site/_astro/a.DRf8L97S.css\n";
    assert_eq!(
        create(&mut environment, "", only_hashed),
        Vec::<String>::new()
    );
    assert_eq!(
        create(&mut environment, "--output json", only_hashed),
        Vec::<String>::new()
    );
    environment.snapshot("immutable");
}

#[test]
fn the_option_wins_over_the_environment_and_that_over_the_configuration() {
    let mut environment = environment("immutable-defaults");
    environment.write(
        "cf-invalidate.toml",
        &format!("[sites.site]\ndistribution = '{FIRST}'\nimmutable = ['auto', '/assets/*']\n"),
    );
    let plan = |environment: &mut Environment, options: &str| -> Vec<String> {
        let line = format!("plan -d site --from-s3-sync - --output json {options}");
        let output = environment.run_with_input(&line, SYNC);
        let json: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
        let paths = json["paths"].as_array().expect("paths").iter();
        paths
            .map(|path| path.as_str().expect("a path").to_owned())
            .collect()
    };
    assert_eq!(plan(&mut environment, ""), ["/", "/index.html"]);
    assert_eq!(plan(&mut environment, "--immutable none").len(), 5);
    environment.set("IMMUTABLE_PATHS", "none");
    assert_eq!(plan(&mut environment, "").len(), 5);
    assert_eq!(
        plan(&mut environment, "--immutable auto"),
        ["/", "/assets/a.js", "/index.html"]
    );
    environment.set("IMMUTABLE_PATHS", "");
    environment.write(
        "cf-invalidate.toml",
        &format!("[sites.site]\ndistribution = '{FIRST}'\nkeep_removed_immutable = false\n"),
    );
    let expected = [
        "/",
        "/_astro/index.BdJjQ6lI.css",
        "/assets/a.js",
        "/index.html",
    ];
    assert_eq!(plan(&mut environment, ""), expected);
}

#[test]
fn a_wrong_value_is_an_error() {
    let mut environment = Environment::new("immutable-errors");
    for value in ["assets/*", "/*", "/assets/", "none,/a/*"] {
        let line = format!("plan -d {FIRST} --keys-from - --immutable {value}");
        assert_eq!(environment.run_with_input(&line, "a\n").code, 2, "{value}");
    }
    environment.set("IMMUTABLE_PATHS", "everything");
    let line = format!("plan -d {FIRST} --keys-from -");
    assert_eq!(environment.run_with_input(&line, "a\n").code, 2);
    assert_eq!(environment.accepted(), []);
    environment.snapshot("immutable-errors");
}

#[test]
fn new_files_are_sent_if_missing_ones_get_a_page() {
    let mut environment = Environment::new("immutable-single-page");
    let sync = "upload: out/_app/immutable/chunks/CFm9SEez.js to s3://app/_app/immutable/chunks/CFm9SEez.js\n\
                delete: s3://app/_app/immutable/chunks/DsnmJJEf.js\n";
    environment.run_with_input(&format!("plan -d {APP} --from-s3-sync -"), sync);
    // The fallback page changes, so its `/*` drops removed files too.
    let with_page = format!("upload: out/index.html to s3://app/index.html\n{sync}");
    environment.run_with_input(&format!("plan -d {APP} --from-s3-sync -"), &with_page);
    let keys = "prod/_nuxt/BTXdFNo4.js\nprod/_nuxt/builds/latest.json\n";
    environment.run_with_input(&format!("plan -d {WEBSITE} --keys-from -"), keys);
    environment.run_with_input(
        "plan --offline --keys-from -",
        "_nuxt/BTXdFNo4.js\nindex.html\n",
    );
    environment.run_with_input("plan --offline --keys-from -", "index.html\n");
    environment.snapshot("immutable-single-page");
}

#[test]
fn an_object_of_a_list_and_a_sync_was_possibly_written_and_deleted() {
    let key = "_astro/index.DRf8L97S.css";
    let path = format!("/{key}");
    let upload = format!("upload: out/{key} to s3://site/{key}\n");
    let delete = format!("delete: s3://site/{key}\n");
    let keep_none =
        format!("[sites.site]\ndistribution = '{FIRST}'\nkeep_removed_immutable = false\n");
    let plan = |environment: &mut Environment, sync: &str| {
        environment.write("keys.txt", &format!("{key}\n"));
        let line = "plan -d site --bucket site --keys-from keys.txt --from-s3-sync - --output json";
        let output = environment.run_with_input(line, sync);
        let output: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
        output["paths"].clone()
    };
    // Errors are cached for a minute, and what is possibly removed is invalidated: what was written certainly exists.
    let mut short = environment("immutable-list-and-sync");
    short.write("cf-invalidate.toml", &keep_none);
    assert_eq!(plan(&mut short, &upload), serde_json::json!([]));
    assert_eq!(plan(&mut short, &delete), serde_json::json!([path]));
    // Errors are cached for 300 s: what was deleted is possibly written again.
    let mut long = Environment::new("immutable-list-and-sync-long");
    let keep = keep_none.replace("false", "true");
    long.write("cf-invalidate.toml", &keep);
    assert_eq!(plan(&mut long, &upload), serde_json::json!([path]));
    assert_eq!(plan(&mut long, &delete), serde_json::json!([path]));
}

#[test]
fn hashed_files_are_sent_without_a_hint_if_the_configuration_is_denied() {
    let mut environment = Environment::new("immutable-denied");
    let operation = Operation::GetDistributionConfig;
    environment
        .standin
        .fail(operation, Fault::AccessDenied, u64::MAX);
    let keys: String = (0..30).map(|n| format!("assets/x-a{n:07x}.js\n")).collect();
    for options in ["", "--literal-keys"] {
        let line = format!("plan -d {FIRST} --keys-from - --max-paths 40 --output json {options}");
        let output =
            environment.run_with_input(&line, &(keys.clone() + "_astro/index.DRf8L97S.css\n"));
        assert_eq!(output.code, 0, "{}", output.stderr);
        assert!(
            output.stdout.contains("/_astro/index.DRf8L97S.css"),
            "{}",
            output.stdout
        );
        assert!(
            !output.stdout.contains("look like hashes"),
            "{}",
            output.stdout
        );
    }
}

#[test]
fn a_takedown_removes_hashed_files() {
    let mut environment = Environment::new("immutable-takedown");
    let key = "_astro/index.BdJjQ6lI.css";
    let line = format!("create -d {FIRST} --takedown --keys-from -");
    let output = environment.run_with_input(&line, &format!("{key}\n"));
    assert_eq!(output.code, 0, "{}", output.stderr);
    let paths: Vec<_> = environment
        .accepted()
        .into_iter()
        .flat_map(|(_, paths)| paths)
        .collect();
    assert_eq!(paths, ["/_astro/index.BdJjQ6lI.css*"]);
}

#[test]
fn a_hint_names_the_pattern_of_many_hashed_files() {
    let mut environment = environment("immutable-hint");
    let keys: String = (0..30)
        .map(|n| format!("assets/x-a{:07x}.js\n", n * 1_000_003))
        .collect();
    let keys = keys + "assets.html\n";
    let plan = format!("plan -d {FIRST} --keys-from -");
    environment.run_with_input(&plan, &keys);
    environment.run_with_input(&format!("{plan} --immutable /assets/*"), &keys);
    environment.run_with_input("plan --offline --max-paths 3 --keys-from -", &keys);
    // What is covered already, and invalidated because it is removed, is not among them.
    environment.write(
        "cf-invalidate.toml",
        "[sites.site]\ndistribution = 'E1EXAMPLE1ABC'\nkeep_removed_immutable = false\n",
    );
    let sync: String = (0..30)
        .map(|n| {
            format!(
                "upload: a to s3://site/assets/x-a{:07x}.js\n",
                n * 1_000_003
            )
        })
        .collect();
    environment.run_with_input(
        "plan --offline -d site --max-paths 3 --from-s3-sync - --immutable /assets/old/*",
        &(sync + "delete: s3://site/assets/old/a.js\n"),
    );
    environment.snapshot("immutable-hint");
}
