//! What the environment and the configuration file decide where the arguments decide nothing.

use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::environment::{APP, Environment, FIRST, PROGRAM, WEBSITE, account};
use crate::standin::{Fault, Operation, Options};

const CONFIG: &str = "cf-invalidate.toml";

/// Runs `create` and returns the distributions that it invalidated, and what it wrote to stderr.
fn create(environment: &mut Environment, arguments: &str) -> (Vec<String>, String) {
    let before = environment.accepted().len();
    let output = environment.run(&format!("create /a --no-checks {arguments}"));
    assert_eq!(output.code, 0, "{arguments}: {}", output.stderr);
    let accepted = environment.accepted().into_iter().skip(before);
    let mut distributions: Vec<_> = accepted.map(|(distribution, _)| distribution).collect();
    distributions.sort();
    (distributions, output.stderr)
}

#[test]
fn the_environment_names_the_distributions() {
    let mut environment = Environment::new("defaults-distribution");
    environment.write(
        CONFIG,
        "default = 'app'\n[sites.app]\ndistribution = 'E7EXAMPLE1ABC'\n[sites.www]\ndistribution = 'www.example.com'\n",
    );
    let from = |ids: &str, variable: &str| {
        format!("the environment variable {variable} names the distribution: {ids}\n")
    };
    for (invalidate, id, arguments, distributions, note) in [
        ("", "", "", vec![APP], String::new()),
        (" ", ",", "", vec![APP], String::new()),
        ("", FIRST, "", vec![FIRST], from(FIRST, "DISTRIBUTION_ID")),
        (
            WEBSITE,
            FIRST,
            "",
            vec![WEBSITE],
            from(WEBSITE, "CF_INVALIDATE_DISTRIBUTION"),
        ),
        (
            "",
            " www , E2EXAMPLE1ABC,",
            "",
            vec![FIRST, WEBSITE],
            from("www, E2EXAMPLE1ABC", "DISTRIBUTION_ID"),
        ),
        (
            "app.example.com",
            "",
            "",
            vec![APP],
            from("app.example.com", "CF_INVALIDATE_DISTRIBUTION"),
        ),
        (WEBSITE, WEBSITE, "-d www", vec![FIRST], String::new()),
        (WEBSITE, "", "--quiet", vec![WEBSITE], String::new()),
    ] {
        environment.set("CF_INVALIDATE_DISTRIBUTION", invalidate);
        environment.set("DISTRIBUTION_ID", id);
        let created = create(&mut environment, arguments);
        let distributions = distributions.into_iter().map(str::to_owned).collect();
        assert_eq!(
            created,
            (distributions, note),
            "{invalidate} {id} {arguments}"
        );
    }
    // The other commands follow the same order.
    environment.set("CF_INVALIDATE_DISTRIBUTION", WEBSITE);
    for line in ["plan /a", "list", "status"] {
        let output = environment.run(line);
        let start = format!("{WEBSITE}: ");
        let is_named = output.stdout.starts_with(&start) || output.stdout.contains(WEBSITE);
        assert!(output.code == 0 && is_named, "{line}: {output:?}");
        assert_eq!(
            output.stderr,
            from(WEBSITE, "CF_INVALIDATE_DISTRIBUTION"),
            "{line}"
        );
    }
}

#[test]
fn refuses_an_empty_distribution() {
    let environment = Environment::new("defaults-empty");
    let run = |words: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.args(words);
        environment.run_program(command, "")
    };
    let reason = |name: &str, text: &str, reason: &str| {
        format!(
            "error: invalid value '{text}' for '--distribution <{name}>': {reason}\n\nFor more information, try \
             '--help'.\n"
        )
    };
    let empty = "it is empty: if it comes from a variable, that variable is empty or not set";
    let path =
        "it is a path, so -d has no value: if that comes from a variable, it is empty or not set";
    for (words, error) in [
        (
            vec!["create", "-d", "", "/a"],
            reason("DISTRIBUTION", "", empty),
        ),
        (
            vec!["create", "-d", FIRST, "--distribution-id= ", "/a"],
            reason("DISTRIBUTION", " ", empty),
        ),
        (
            vec!["plan", "-d", "", "/a"],
            reason("DISTRIBUTION", "", empty),
        ),
        (vec!["status", "-d", ""], reason("DISTRIBUTION", "", empty)),
        (vec!["list", "-d", ""], reason("DISTRIBUTION", "", empty)),
        (
            vec!["invoke", "-d", "", "event.json"],
            reason("ID", "", empty),
        ),
        // An unquoted variable that is empty.
        (
            vec!["create", "-d", "/a", "/b"],
            reason("DISTRIBUTION", "/a", path),
        ),
    ] {
        let output = run(&words);
        assert_eq!((output.code, output.stderr), (2, error), "{words:?}");
    }
    assert_eq!(environment.standin.calls(), []);
}

/// Returns the ARN of the distribution in the error of a denied call. It has the partition of the region and the
/// account of the profile.
fn denied_arn(environment: &mut Environment, arguments: &str) -> String {
    let fault = Fault::AccessDenied;
    environment
        .standin
        .fail(Operation::CreateInvalidation, fault, 1);
    let output = environment.run(&format!("create -d {FIRST} /a --no-checks {arguments}"));
    assert_eq!(output.code, 5, "{arguments}: {}", output.stderr);
    let message = output.stderr;
    let (_, arn) = message
        .split_once("CreateInvalidation on ")
        .unwrap_or_else(|| panic!("no ARN: {message}"));
    arn.split(": ").next().unwrap_or_default().to_owned()
}

#[test]
fn the_configuration_names_the_profile_and_the_region() {
    let mut environment = Environment::new("defaults-profile");
    let keys = "aws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = secret\n";
    let profiles = [("one", "1"), ("two", "2"), ("three", "3")].map(|(name, digit)| {
        let account = digit.repeat(12);
        format!("[profile {name}]\naws_account_id = {account}\nregion = us-gov-west-1\n{keys}")
    });
    environment.write(".aws/config", &profiles.concat());
    environment.write(CONFIG, "profile = 'one'\nregion = 'cn-north-1'\n");
    environment.write(
        ".config/cf-invalidate/config.toml",
        "profile = 'two'\nregion = 'us-gov-east-1'\nwait = true\n",
    );
    let arn = |partition: &str, account: &str| {
        format!("arn:{partition}:cloudfront::{account}:distribution/{FIRST}")
    };
    // Credentials in the environment win over a configured profile, so that a build keeps its role.
    let in_environment = arn("aws-cn", "*");
    assert_eq!(denied_arn(&mut environment, ""), in_environment);
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        environment.unset(name);
    }
    let (one, two) = ("111111111111", "222222222222");
    assert_eq!(denied_arn(&mut environment, ""), arn("aws-cn", one));
    let options = "--profile two --region eu-west-1";
    assert_eq!(denied_arn(&mut environment, options), arn("aws", two));
    environment.set("AWS_PROFILE", "three");
    environment.set("AWS_DEFAULT_REGION", "eu-west-1");
    let three = arn("aws", "333333333333");
    assert_eq!(denied_arn(&mut environment, ""), three);
    environment.set("AWS_PROFILE", "");
    environment.set("AWS_DEFAULT_REGION", "");
    environment.write(CONFIG, "");
    assert_eq!(denied_arn(&mut environment, ""), arn("aws-us-gov", two));
    for (name, value) in [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "missing"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:9"),
    ] {
        environment.set(name, value);
        let output = environment.run(&format!("create -d {FIRST} /a"));
        let is_environment = !output.stderr.contains("profile \"two\"");
        assert!(output.code == 5 && is_environment, "{name}: {output:?}");
        environment.unset(name);
    }
    environment.write(CONFIG, "profile = 'none'\n");
    let output = environment.run("distributions -v");
    let expected = "the configuration file names profile \"none\"\nerror: profile \"none\" does not exist in \
                    ~/.aws/config or ~/.aws/credentials: did you mean \"one\"?\n";
    assert_eq!((output.code, output.stderr.as_str()), (5, expected));
}

#[test]
fn the_configuration_sets_the_limit_of_create() {
    let options = Options {
        completes_after: Duration::from_secs(3_600),
        ..account()
    };
    let mut environment = Environment::with_options("defaults-wait", options);
    environment.write(
        CONFIG,
        "wait = '1s'\n[sites.www]\ndistribution = 'E1EXAMPLE1ABC'\n",
    );
    for (line, code) in [
        ("create /a --no-checks", 3),
        ("create /b --no-checks --wait=0", 0),
        ("create /c --no-checks --wait=false", 0),
        ("status", 0),
        ("plan /d", 0),
    ] {
        let output = environment.run(line);
        assert_eq!(output.code, code, "{line}: {}", output.stderr);
    }
}

#[test]
fn an_invalid_configuration_stops_only_the_commands_that_need_it() {
    let mut environment = Environment::new("defaults-invalid");
    environment.set("AWS_LAMBDA_LOG_LEVEL", "FATAL");
    environment.write(CONFIG, "defualt = 'blog'\n");
    let event = include_str!("../../events/s3-object-created.json");
    environment.write("event.json", &event.replace("example-site", "site"));
    let problem = format!(
        "{}/{CONFIG}: line 1: unknown field `defualt`, expected one of `default`, `profile`, `region`, `wait`, `sites`",
        environment.directory.display()
    );
    let warning =
        format!("warning: the configuration file is ignored, because it is invalid: {problem}\n");
    let error = format!("error: {problem}\n");
    let without_wait = format!("create -d {FIRST} /a --no-checks");
    let with_wait = format!("{without_wait} --wait=0");
    for line in [
        with_wait.as_str(),
        "plan /a -d E1EXAMPLE1ABC",
        "list -d E1EXAMPLE1ABC",
        "status -d E1EXAMPLE1ABC",
        "distributions",
        "usage",
        "invoke event.json -d E1EXAMPLE1ABC",
    ] {
        let output = environment.run(line);
        assert_eq!((output.code, output.stderr), (0, warning.clone()), "{line}");
    }
    for line in [
        without_wait.as_str(),
        "create /a --wait=0",
        "create -d www.example.com /a --wait=0",
        "plan /a",
        "list -d blog",
        "status",
    ] {
        let output = environment.run(line);
        assert_eq!((output.code, output.stderr), (2, error.clone()), "{line}");
    }
    for line in ["completions bash", "--help", "create --help", "--version"] {
        let output = environment.run(line);
        assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{line}");
    }
    // Without credentials in the environment, the file can name the profile.
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        environment.unset(name);
    }
    for line in [with_wait.as_str(), "distributions", "usage"] {
        let output = environment.run(line);
        assert_eq!((output.code, output.stderr), (2, error.clone()), "{line}");
    }
}

#[test]
fn reads_the_users_file_and_writes_the_cache_where_xdg_defines() {
    let mut environment = Environment::new("defaults-xdg");
    let config = "[sites.www]\ndistribution = 'E1EXAMPLE1ABC'\n";
    let directory = environment.directory.clone();
    let at = |path: &str| directory.join(path).display().to_string();
    environment.write(".config/cf-invalidate/config.toml", config);
    assert_eq!(environment.run("list").code, 0);
    environment.set("XDG_CONFIG_HOME", &at("xdg/config"));
    environment.set("XDG_CACHE_HOME", &at("xdg/cache"));
    assert_eq!(environment.run("list").code, 2);
    environment.write("xdg/config/cf-invalidate/config.toml", config);
    environment.run("create /a --no-checks --wait");
    assert_eq!(environment.run("list").code, 0);
    let caches = ["xdg/cache/cf-invalidate", ".cache/cf-invalidate"];
    assert_eq!(
        caches.map(|cache| fs::exists(at(cache)).expect("a result")),
        [true, false]
    );
}

#[test]
fn reports_a_users_file_in_the_former_place() {
    let mut environment = Environment::new("defaults-former");
    let config = "[sites.www]\ndistribution = 'E1EXAMPLE1ABC'\n";
    let former = "Library/Application Support/cf-invalidate/config.toml";
    environment.write(former, config);
    let output = environment.run("list");
    let home = environment.directory.display().to_string();
    let expected = format!(
        "error: {home}/{former} is not read any longer: move it to {home}/.config/cf-invalidate/config.toml\n"
    );
    assert_eq!((output.code, output.stderr), (2, expected));
    environment.write(".config/cf-invalidate/config.toml", config);
    assert_eq!(environment.run("list").code, 0);
}
