//! Mistakes in the environment and in profiles: endpoints, regions, source profiles; and who can read the cache.

use std::path::Path;
use std::time::Duration;

use crate::environment::{Environment, FIRST, account};
use crate::standin::Options;

/// The keys of a profile.
const KEYS: &str = "aws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = secret\n";

const ROLE: &str = "role_arn = arn:aws:iam::111122223333:role/deploy\n";

/// Returns an account whose invalidations are completed as soon as they are created.
fn completed_at_once() -> Options {
    Options {
        completes_after: Duration::ZERO,
        ..account()
    }
}

/// Asserts that a command makes no call and ends with this exit code and this error alone.
fn assert_error(environment: &mut Environment, line: &str, code: i32, error: &str) {
    let calls = environment.standin.calls();
    let output = environment.run(line);
    assert_eq!(
        (output.code, output.stdout.as_str(), output.stderr.as_str()),
        (code, "", format!("error: {error}\n").as_str()),
        "{line}"
    );
    assert_eq!(environment.standin.calls(), calls, "{line}");
}

fn not_an_endpoint(place: &str, endpoint: &str) -> String {
    format!(
        "{place}: {endpoint:?} is not the URL of an endpoint: write one such as https://cloudfront.amazonaws.com"
    )
}

#[test]
fn a_malformed_endpoint_of_the_environment_is_2_and_named() {
    let mut environment = Environment::new("environment-endpoints");
    let list = format!("list -d {FIRST}");
    let standin = environment.standin.url();
    for name in [
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_CLOUDFRONT",
        "AWS_ENDPOINT_URL_CODEPIPELINE",
        "AWS_ENDPOINT_URL_S3",
        "AWS_ENDPOINT_URL_SIGNIN",
        "AWS_ENDPOINT_URL_SSO",
        "AWS_ENDPOINT_URL_SSO_OIDC",
        "AWS_ENDPOINT_URL_STS",
    ] {
        for endpoint in [
            "",
            "localhost:4566",
            "http:/127.0.0.1:4566",
            " http://127.0.0.1:4566",
            "http://127.0.0.1:4566/a b",
        ] {
            environment.set(name, endpoint);
            assert_error(&mut environment, &list, 2, &not_an_endpoint(name, endpoint));
        }
        environment.set(name, &standin);
        // A valid one is no error.
        assert_eq!(environment.run("plan --offline /a").code, 0, "{name}");
    }
    assert_eq!(environment.run(&list).code, 0);
}

#[test]
fn a_malformed_endpoint_that_finding_credentials_needs_is_2_with_an_endpoint_option_too() {
    let mut environment = Environment::new("environment-endpoint-sts");
    environment.write(
        ".aws/config",
        &format!("[profile user]\n{KEYS}[profile deploy]\n{ROLE}source_profile = user\n"),
    );
    let option = format!(
        "list -d {FIRST} --endpoint-url {}",
        environment.standin.url()
    );
    let role = format!("{option} --profile deploy");
    for name in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS"] {
        environment.set(name, "");
        let error = not_an_endpoint(name, "");
        assert_error(&mut environment, &role, 2, &error);
        // These credentials are keys, so no endpoint but that of the option is used.
        environment.set("AWS_PROFILE", "deploy");
        assert_eq!(environment.run(&option).code, 0);
        environment.unset("AWS_PROFILE");
        assert_eq!(environment.run(&format!("{option} --profile user")).code, 0);
        environment.set(name, "http://127.0.0.1:9");
    }
    environment.set("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true");
    environment.set("AWS_ENDPOINT_URL_STS", "localhost:4566");
    let role = format!("list -d {FIRST} --profile deploy");
    let error = not_an_endpoint("AWS_ENDPOINT_URL_STS", "localhost:4566");
    assert_error(&mut environment, &role, 2, &error);
}

#[test]
fn a_malformed_endpoint_of_the_services_section_is_2_and_named() {
    let mut environment = Environment::new("environment-services");
    environment.unset("AWS_ENDPOINT_URL");
    let list = format!("list -d {FIRST} --profile local");
    for service in [
        "cloudfront",
        "codepipeline",
        "signin",
        "sso",
        "sso-oidc",
        "sts",
    ] {
        for endpoint in ["", "localhost:4566"] {
            environment.write(
                ".aws/config",
                &format!(
                    "[profile local]\n{KEYS}services = dev\n[services dev]\n{service} =\n  \
                     endpoint_url = {endpoint}\n[services other]\n{service} =\n  endpoint_url = other\n"
                ),
            );
            let place = format!("endpoint_url of {service} in [services dev]");
            let error = not_an_endpoint(&place, endpoint);
            assert_error(&mut environment, &list, 2, &error);
        }
    }
    let standin = environment.standin.url();
    environment.write(
        ".aws/config",
        &format!(
            "[profile local]\n{KEYS}services = dev\n[services dev]\ncloudfront =\n  endpoint_url = {standin}\n"
        ),
    );
    assert_eq!(environment.run(&list).code, 0);
}

#[test]
fn a_profile_can_ignore_its_endpoints() {
    let mut environment = Environment::new("environment-ignored");
    environment.unset("AWS_ENDPOINT_URL");
    environment.write(
        ".aws/config",
        &format!(
            "[profile local]\n{KEYS}endpoint_url = localhost:4566\nignore_configured_endpoint_urls = true\n"
        ),
    );
    // The endpoint of CloudFront itself is behind a proxy that refuses the connection.
    environment.set("HTTPS_PROXY", "http://127.0.0.1:9");
    let list = format!("list -d {FIRST} --profile local");
    let output = environment.run(&list);
    assert_eq!(output.code, 1, "{}", output.stderr);
    environment.set("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "false");
    let error = not_an_endpoint("endpoint_url of profile \"local\"", "localhost:4566");
    assert_error(&mut environment, &list, 2, &error);
}

#[test]
fn the_password_of_an_endpoint_is_in_no_error_and_no_name_of_a_directory() {
    let mut environment = Environment::with_options("environment-password", completed_at_once());
    let standin = environment.standin.url();
    let endpoint = standin.replace("http://", "http://user:secret@");
    environment.run(&format!(
        "create -d {FIRST} /a --no-checks --endpoint-url {endpoint}"
    ));
    environment.run(&format!("usage --endpoint-url {endpoint}"));
    let port = standin.replace("http://127.0.0.1:", "");
    let file = format!(".cache/cf-invalidate/127.0.0.1%3A{port}/{FIRST}.jsonl");
    assert!(environment.directory.join(&file).is_file(), "{file}");
    let list = format!("list -d {FIRST}");
    for (endpoint, shown) in [
        ("htp://user:secret@127.0.0.1", "htp://***@127.0.0.1"),
        ("http://user:secret@", "http://***@"),
        ("http://user:secret/x@127.0.0.1", "http://***@127.0.0.1"),
        (
            "http://user:secret@x@127.0.0.1:65536",
            "http://***@127.0.0.1:65536",
        ),
        ("user:secret@127.0.0.1", "***@127.0.0.1"),
    ] {
        environment.set("AWS_ENDPOINT_URL", endpoint);
        let error = not_an_endpoint("AWS_ENDPOINT_URL", shown);
        assert_error(&mut environment, &list, 2, &error);
        for output in ["text", "json"] {
            let line = format!("{list} --output {output} --endpoint-url {endpoint}");
            let output = environment.run(&line);
            assert_eq!(output.code, 2, "{line}: {}", output.stderr);
            let text = output.stdout + &output.stderr;
            assert!(!text.contains("secret"), "{line}: {text}");
            assert!(text.contains(shown), "{line}: {text}");
        }
    }
    // Nothing listens on this port.
    for verbose in ["", "-vv"] {
        let line = format!("{list} {verbose} --endpoint-url http://user:secret@127.0.0.1:9");
        let output = environment.run(&line);
        assert_eq!(output.code, 1, "{line}: {}", output.stderr);
        assert!(!output.stderr.contains("secret"), "{}", output.stderr);
    }
}

#[test]
fn a_source_profile_that_does_not_exist_is_5_and_named() {
    let mut environment = Environment::new("environment-source-profile");
    environment.unset("AWS_ACCESS_KEY_ID");
    environment.unset("AWS_SECRET_ACCESS_KEY");
    environment.write(
        ".aws/config",
        &format!(
            "[profile role]\n{ROLE}source_profile = missing\n\
             [profile chain]\n{ROLE}source_profile = role\n\
             [profile typo]\n{ROLE}source_profile = rolle\n\
             [profile nothing]\n{ROLE}source_profile = default\n\
             [profile keys]\n{ROLE}source_profile = missing\n{KEYS}\
             [profile user]\n{KEYS}source_profile = missing\n\
             [profile stops]\n{ROLE}source_profile = keys\n"
        ),
    );
    let missing = |source: &str, role: &str, advice: &str| {
        format!(
            "profile {source:?}, the source_profile of {role:?}, does not exist in ~/.aws/config or \
             ~/.aws/credentials: {advice}"
        )
    };
    let list = "correct the name, or run `aws configure list-profiles` to see the profiles";
    for (profile, error) in [
        ("role", missing("missing", "role", list)),
        ("chain", missing("missing", "role", list)),
        ("typo", missing("rolle", "typo", "did you mean \"role\"?")),
        ("nothing", missing("default", "nothing", list)),
        // The keys of the first profile are not used, because it has a role.
        ("keys", missing("missing", "keys", list)),
    ] {
        let line = format!("list -d {FIRST} --profile {profile}");
        assert_error(&mut environment, &line, 5, &error);
        environment.set("AWS_PROFILE", profile);
        assert_error(&mut environment, &format!("list -d {FIRST}"), 5, &error);
        environment.unset("AWS_PROFILE");
    }
    // Without a role, the source profile is not used.
    let line = format!("list -d {FIRST} --profile user");
    assert_eq!(environment.run(&line).code, 0);
    // The keys of a source profile are used before its role: nothing is missing, and STS is called.
    environment.set("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9");
    let output = environment.run(&format!("list -d {FIRST} --profile stops"));
    assert!(
        output.stderr.contains("Connection refused"),
        "{}",
        output.stderr
    );
}

#[test]
fn a_region_that_is_not_a_host_label_is_2_and_named() {
    let mut environment = Environment::new("environment-region");
    let not_a_region = |place: &str, region: &str| {
        format!("{place}: {region:?} is not the name of a region: write one such as us-east-1")
    };
    let list = format!("list -d {FIRST}");
    for region in ["eu_west", "-eu", "eu.west", "a/b", &"a".repeat(64)] {
        let error = not_a_region("--region or the configuration file", region);
        assert_error(
            &mut environment,
            &format!("{list} --region={region}"),
            2,
            &error,
        );
        for name in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
            environment.set(name, region);
            assert_error(&mut environment, &list, 2, &not_a_region(name, region));
            environment.unset(name);
        }
    }
    environment.write(
        ".aws/config",
        &format!(
            "[default]\nregion = eu west\n\
             [profile user]\n{KEYS}region = eu west\n\
             [profile deploy]\n{ROLE}source_profile = user\n\
             [profile empty]\n{KEYS}region =\n"
        ),
    );
    let user = not_a_region("region of profile \"user\"", "eu west");
    assert_error(
        &mut environment,
        &format!("{list} --profile user"),
        2,
        &user,
    );
    assert_error(
        &mut environment,
        &format!("{list} --profile deploy"),
        2,
        &user,
    );
    let default = not_a_region("region of profile \"default\"", "eu west");
    assert_error(&mut environment, &list, 2, &default);
    // An empty region is not set, and the next one is used.
    environment.set("AWS_REGION", "");
    assert_error(&mut environment, &list, 2, &default);
    environment.set("AWS_DEFAULT_REGION", "");
    assert_error(&mut environment, &list, 2, &default);
    assert_eq!(environment.run(&format!("{list} --profile empty")).code, 0);
    environment.set("AWS_DEFAULT_REGION", "eu-west-1");
    assert_eq!(environment.run(&list).code, 0);
}

#[cfg(unix)]
#[test]
fn the_cache_can_be_read_by_the_user_only() {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    let mode = |path: &Path| {
        let metadata = fs::metadata(path).expect("metadata");
        metadata.permissions().mode() & 0o777
    };
    let mut environment = Environment::with_options("environment-cache-modes", completed_at_once());
    let create = |path: &str| format!("create -d {FIRST} {path} --no-checks --quiet");
    let usage = "usage";
    environment.run(&create("/private"));
    assert_eq!(environment.run(usage).code, 0);
    let standin = environment.standin.url();
    let endpoint = standin.replace("http://", "").replace(':', "%3A");
    let root = environment.directory.join(".cache");
    let program = root.join("cf-invalidate");
    let directory = program.join(endpoint);
    let file = directory.join(format!("{FIRST}.jsonl"));
    for directory in [&root, &program, &directory] {
        assert_eq!(mode(directory), 0o700, "{}", directory.display());
    }
    assert_eq!(mode(&file), 0o600);
    // What an earlier version or the user created is used; the file is made private.
    fs::set_permissions(&root, Permissions::from_mode(0o755)).expect("permissions");
    fs::set_permissions(&directory, Permissions::from_mode(0o755)).expect("permissions");
    fs::set_permissions(&file, Permissions::from_mode(0o644)).expect("permissions");
    environment.run(&create("/second"));
    assert_eq!(environment.run(usage).code, 0);
    let text = fs::read_to_string(&file).expect("the file");
    assert!(text.contains("/second"), "{text}");
    assert_eq!(mode(&file), 0o600);
    assert_eq!((mode(&root), mode(&directory)), (0o755, 0o755));
    // A file with too many lines is replaced.
    let lines = text
        .lines()
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>();
    let line = lines.first().expect("a line");
    fs::write(&file, format!("{line}\n").repeat(10_001)).expect("a file");
    assert_eq!(environment.run(usage).code, 0);
    let text = fs::read_to_string(&file).expect("the file");
    let count = text.lines().filter(|line| !line.is_empty()).count();
    assert_eq!((count, mode(&file)), (10_001, 0o600));
}
