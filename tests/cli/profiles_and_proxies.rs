//! Profiles that the AWS CLI writes, and the proxies of the environment.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::environment::{Environment, FIRST, account};
use crate::standin::Options;

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
    requests: Arc<Mutex<Vec<ProxyRequest>>>,
}

/// What the proxy received.
struct ProxyRequest {
    first_line: String,
    access_key: String,
}

impl Proxy {
    fn start(standin: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let requests = Arc::default();
        let (standin, received) = (standin.replace("http://", ""), Arc::clone(&requests));
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                // The client can end the connection at any time.
                let _ = forward(connection, &standin, &received);
            }
        });
        Self { url, requests }
    }

    fn take(&self) -> Vec<ProxyRequest> {
        std::mem::take(&mut *self.requests.lock().expect("the requests"))
    }

    /// Returns the first lines of the requests since the last call.
    fn requests(&self) -> Vec<String> {
        let requests = self.take().into_iter();
        requests.map(|request| request.first_line).collect()
    }
}

/// Forwards one request, and adds it to the requests before the client has the response.
fn forward(
    mut client: TcpStream,
    standin: &str,
    requests: &Mutex<Vec<ProxyRequest>>,
) -> std::io::Result<()> {
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
    let value = |start: &str| {
        let mut lines = head.iter();
        let value = lines.find_map(|line| line.strip_prefix(start));
        value.unwrap_or_default().to_owned()
    };
    let mut body = vec![0; value("content-length: ").parse().unwrap_or(0)];
    reader.read_exact(&mut body)?;
    let first = head.first().cloned().unwrap_or_default();
    let authorization = value("authorization: AWS4-HMAC-SHA256 Credential=");
    requests.lock().expect("the requests").push(ProxyRequest {
        first_line: first.clone(),
        access_key: authorization
            .split('/')
            .next()
            .unwrap_or_default()
            .to_owned(),
    });
    if first.starts_with("CONNECT ") {
        return client.write_all(
            b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        );
    }
    let mut server = TcpStream::connect(standin)?;
    let path = first.split('/').skip(3).collect::<Vec<_>>().join("/");
    let method = first.split(' ').next().unwrap_or_default();
    write!(
        server,
        "{method} /{path}\r\nHost: {standin}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    server.write_all(&body)?;
    let mut response = Vec::new();
    server.read_to_end(&mut response)?;
    client.write_all(&response)
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

#[test]
fn sends_the_requests_of_a_viewer_through_the_proxy() {
    let mut environment = Environment::new("proxy-edge");
    let proxy = Proxy::start(&environment.standin.url());
    environment.unset("EDGE_ENDPOINT_URL");
    environment.set("HTTPS_PROXY", &proxy.url);
    let output = environment.run(&format!("verify -d {FIRST} /a.html"));
    assert_eq!(output.code, 3, "{}", output.stderr);
    let requests = proxy.requests();
    let tunnel = "CONNECT www.example.com:443 HTTP/1.1";
    assert!(!requests.is_empty());
    assert!(requests.iter().all(|line| line == tunnel), "{requests:?}");
}

/// Returns credentials that expire now, with another access key each time.
const EXPIRED_CREDENTIALS: &str = r#"
echo >> runs
printf '{"Version": 1, "AccessKeyId": "AKID%s", "SecretAccessKey": "secret", "SessionToken": "token", "Expiration": "%s"}' \
  $(wc -l < runs) $(date -u +%Y-%m-%dT%H:%M:%SZ)
"#;

#[test]
fn renews_credentials_that_expire_while_it_waits() {
    let options = Options {
        completes_after: Duration::ZERO,
        ..account()
    };
    let mut environment = Environment::with_options("profile-renewal", options);
    environment.unset("AWS_ACCESS_KEY_ID");
    environment.unset("AWS_SECRET_ACCESS_KEY");
    environment.write("credentials.sh", EXPIRED_CREDENTIALS);
    environment.write(
        ".aws/config",
        "[default]\ncredential_process = sh credentials.sh\n",
    );
    let proxy = Proxy::start(&environment.standin.url());
    environment.set("HTTP_PROXY", &proxy.url);
    environment.set("AWS_ENDPOINT_URL", "http://cloudfront.invalid");
    let output = environment.run(&format!("create -d {FIRST} --wait /a.html"));
    assert_eq!(output.code, 0, "{}", output.stderr);
    let requests = proxy.take().into_iter();
    let requests: Vec<_> = requests
        .map(|request| {
            let method = request.first_line.split(' ').next().unwrap_or_default();
            format!("{method} with {}", request.access_key)
        })
        .collect();
    // The first credentials show whether there are any. Then each call needs new ones.
    assert_eq!(requests, ["POST with AKID2", "GET with AKID3"]);
}
