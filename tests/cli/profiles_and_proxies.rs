//! Profiles that the AWS CLI writes, and the proxies of the environment.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::environment::{Environment, FIRST};

/// The file in which `aws login` stores the session of `arn:aws:iam::0123456789012:user/Admin`: its name is the SHA-256.
const LOGIN_FILE: &str =
    ".aws/login/cache/36db1d138ff460920374e4c3d8e01f53f9f73537e89c88d639f68393df0e2726.json";

/// Returns an environment without credentials.
fn without_credentials(name: &str) -> Environment {
    let mut environment = Environment::new(name);
    environment.unset("AWS_ACCESS_KEY_ID");
    environment.unset("AWS_SECRET_ACCESS_KEY");
    environment
}

fn assert_refused(environment: &mut Environment, line: &str) {
    let output = environment.run(line);
    assert_eq!(output.code, 5, "{line}: {}", output.stderr);
    assert_eq!(environment.standin.calls(), [], "{line}");
}

#[test]
fn names_a_profile_that_does_not_exist_and_a_similar_one() {
    let mut environment = without_credentials("profile-unknown");
    environment.write(".aws/config", "[profile production]\nregion = eu-west-1\n");
    environment.write(
        ".aws/credentials",
        "[staging]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = secret\n",
    );
    let list = format!("list -d {FIRST}");
    assert_refused(&mut environment, &format!("{list} --profile productoin"));
    assert_refused(
        &mut environment,
        &format!("{list} --profile x --output json"),
    );
    environment.set("AWS_PROFILE", "stagign");
    assert_refused(&mut environment, &list);
    environment.set("AWS_CONFIG_FILE", "other/config");
    environment.set("AWS_SHARED_CREDENTIALS_FILE", "other/credentials");
    environment.set("AWS_PROFILE", "staging");
    assert_refused(&mut environment, &list);
    environment.snapshot("profile-unknown");
    environment.unset("AWS_SHARED_CREDENTIALS_FILE");
    assert_eq!(environment.run(&list).code, 0);
    // Credentials in the environment are used before those of AWS_PROFILE.
    environment.set("AWS_PROFILE", "nothing");
    environment.set("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE");
    environment.set("AWS_SECRET_ACCESS_KEY", "secret");
    assert_eq!(environment.run(&list).code, 0);
}

#[test]
fn an_empty_variable_is_not_set() {
    let mut environment = without_credentials("profile-empty");
    environment.write(
        ".aws/credentials",
        "[default]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = secret\n",
    );
    let list = format!("list -d {FIRST}");
    for name in ["AWS_PROFILE", "AWS_REGION", "HTTP_PROXY"] {
        environment.set(name, "");
        let output = environment.run(&list);
        assert_eq!(output.code, 0, "{name}: {}", output.stderr);
    }
}

#[test]
fn refuses_a_role_that_needs_an_mfa_code() {
    let mut environment = without_credentials("profile-mfa");
    environment.write(
        ".aws/config",
        "[profile admin]\nrole_arn = arn:aws:iam::111122223333:role/admin\nsource_profile = user\n\
         mfa_serial = arn:aws:iam::111122223333:mfa/user\n\
         [profile deploy]\nrole_arn = arn:aws:iam::111122223333:role/deploy\nsource_profile = admin\n\
         [profile user]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = secret\n\
         mfa_serial = arn:aws:iam::111122223333:mfa/user\n\
         [profile loop]\nrole_arn = arn:aws:iam::111122223333:role/loop\nsource_profile = loop\n\
         aws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = secret\n",
    );
    let list = format!("list -d {FIRST}");
    assert_refused(&mut environment, &format!("{list} --profile admin"));
    assert_refused(&mut environment, &format!("{list} --profile deploy"));
    environment.set("AWS_PROFILE", "admin");
    assert_refused(&mut environment, &format!("{list} --output json"));
    environment.snapshot("profile-mfa");
    // The user's own keys need no code.
    assert_eq!(environment.run(&format!("{list} --profile user")).code, 0);
}

#[test]
fn uses_the_session_of_aws_login() {
    let mut environment = without_credentials("profile-login");
    environment.write(
        ".aws/config",
        "[profile console]\nlogin_session = arn:aws:iam::0123456789012:user/Admin\nregion = us-east-1\n",
    );
    let list = format!("list -d {FIRST} --profile console");
    assert_refused(&mut environment, &list);
    environment.snapshot("profile-login");
    environment.write(
        LOGIN_FILE,
        r#"{"accessToken": {"accessKeyId": "ASIAEXAMPLE", "secretAccessKey": "secret", "sessionToken": "token",
            "accountId": "012345678901", "expiresAt": "2199-12-25T21:30:00Z"}, "tokenType": "aws_sigv4",
            "refreshToken": "refresh", "identityToken": "identity", "clientId": "aws:signin:::cli/same-device",
            "dpopKey": "only a refresh reads it"}"#,
    );
    let output = environment.run(&list);
    assert_eq!(output.code, 0, "{}", output.stderr);
}

/// An HTTP proxy that forwards every request to the stand-in, and refuses tunnels.
struct Proxy {
    url: String,
    /// The first line of each request.
    requests: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn start(standin: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (standin, received) = (standin.replace("http://", ""), Arc::clone(&requests));
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let line = forward(connection, &standin).unwrap_or_default();
                received.lock().expect("the requests").push(line);
            }
        });
        Self { url, requests }
    }

    /// Returns the first lines of the requests since the last call.
    fn requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.requests.lock().expect("the requests"))
    }
}

/// Forwards one request without a body, and returns its first line.
fn forward(mut client: TcpStream, standin: &str) -> std::io::Result<String> {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim_end().is_empty() {
            break;
        }
        head.push(line.trim_end().to_owned());
    }
    let first = head.first().cloned().unwrap_or_default();
    if first.starts_with("CONNECT ") {
        client.write_all(
            b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        )?;
        return Ok(first);
    }
    let mut server = TcpStream::connect(standin)?;
    let path = first.split('/').skip(3).collect::<Vec<_>>().join("/");
    let method = first.split(' ').next().unwrap_or_default();
    write!(
        server,
        "{method} /{path}\r\nHost: {standin}\r\nConnection: close\r\n\r\n"
    )?;
    let mut response = Vec::new();
    server.read_to_end(&mut response)?;
    client.write_all(&response)?;
    Ok(first)
}

#[test]
fn uses_the_proxies_of_the_environment() {
    let mut environment = Environment::new("proxy");
    let proxy = Proxy::start(&environment.standin.url());
    let list = format!("list -d {FIRST}");
    let path = format!("/2020-05-31/distribution/{FIRST}/invalidation");
    environment.set("AWS_ENDPOINT_URL", "http://cloudfront.invalid");
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        environment.set(name, &proxy.url);
        let output = environment.run(&list);
        assert_eq!(output.code, 0, "{name}: {}", output.stderr);
        let request = format!("GET http://cloudfront.invalid{path} HTTP/1.1");
        assert_eq!(proxy.requests(), [request], "{name}");
        environment.unset(name);
    }
    environment.set("HTTPS_PROXY", &proxy.url);
    environment.set("AWS_ENDPOINT_URL", "https://cloudfront.invalid");
    let output = environment.run(&list);
    assert_eq!(output.code, 1, "{}", output.stderr);
    let tunnel = "CONNECT cloudfront.invalid:443 HTTP/1.1";
    assert_eq!(proxy.requests().first().map(String::as_str), Some(tunnel));
    // A proxy of HTTPS is not one of HTTP, and NO_PROXY excludes hosts.
    let standin = environment.standin.url();
    environment.set("AWS_ENDPOINT_URL", &standin);
    assert_eq!(environment.run(&list).code, 0);
    environment.set("HTTP_PROXY", &proxy.url);
    for name in ["NO_PROXY", "no_proxy"] {
        environment.set(name, "example.com,127.0.0.1");
        assert_eq!(environment.run(&list).code, 0);
        environment.unset(name);
    }
    assert_eq!(proxy.requests(), Vec::<String>::new());
    assert_eq!(environment.run(&list).code, 0);
    assert_eq!(proxy.requests().len(), 1);
}

#[test]
fn refuses_a_proxy_that_is_not_an_http_url_without_its_password() {
    let mut environment = Environment::new("proxy-malformed");
    for (name, proxy) in [
        ("HTTPS_PROXY", "socks5://user:pass@127.0.0.1:1080"),
        ("http_proxy", "http://user:pass@"),
    ] {
        environment.set(name, proxy);
        let output = environment.run(&format!("list -d {FIRST}"));
        assert_eq!(output.code, 2, "{proxy}: {}", output.stderr);
        assert!(!output.stderr.contains("pass"), "{}", output.stderr);
        environment.unset(name);
    }
    // The scheme can be left out.
    let proxy = Proxy::start(&environment.standin.url());
    environment.set("http_proxy", &proxy.url.replace("http://", ""));
    assert_eq!(environment.run(&format!("list -d {FIRST}")).code, 0);
    assert_eq!(proxy.requests().len(), 1);
    environment.snapshot("proxy-malformed");
}
