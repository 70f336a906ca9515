//! Requests of a viewer to the edge of CloudFront.
//!
//! The requests are those of a browser: HTTPS, GET, redirects are not followed. Only the headers are read, unless the content
//! is compared. The HTTP client (`connections`) is one of its own. It loads the trust store of the system, so
//! it is created only if something is verified.
//!
//! A POP is addressed by a name: `<label>.<POP>.cloudfront.net` resolves to it, and the request has the host of the site in
//! SNI and `Host`. This is not documented. AWS's solution
//! [cloudfront-extensions](https://github.com/awslabs/aws-cloudfront-extensions) uses it to warm caches.
//!
//! Tests replace the address: `EDGE_ENDPOINT_URL` for the nearest POP, `EDGE_ENDPOINT_URL_FRA56_P4` for a named one, as
//! `AWS_ENDPOINT_URL` does for the API.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_cloudfront::config::http::{HttpRequest, HttpResponse};
#[cfg(feature = "cli")]
use aws_smithy_http_client::{Connector, proxy::ProxyConfig};
use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_types::body::SdkBody;
#[cfg(feature = "cli")]
use aws_smithy_types::byte_stream::ByteStream;
use futures_util::{StreamExt, stream};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use super::connections::{Connections, Trust, lookup};
#[cfg(feature = "cli")]
use super::credentials::TLS;
use super::sdk_error::with_causes;
use crate::verify::{AcceptEncoding, Answer, EdgeResponse, RequestTarget};

/// How long a request may take until the headers of its response are there.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How many requests are on their way at the same time.
const CONCURRENT_REQUESTS: usize = 8;

/// The pause between the starts of two requests: at most 50 in a second. A web ACL often limits a viewer to some hundreds in
/// five minutes, and blocks more.
const REQUEST_INTERVAL: Duration = Duration::from_millis(20);

/// Web ACLs often block programs without a name.
const USER_AGENT: &str = concat!(
    "Mozilla/5.0 (compatible; cf-invalidate/",
    env!("CARGO_PKG_VERSION"),
    ")"
);

/// The domain of CloudFront.
const DOMAIN: &str = ".cloudfront.net";

/// Where requests are sent.
#[derive(Clone)]
pub struct EdgeEndpoints {
    variable: Arc<Variable>,
    #[cfg(feature = "cli")]
    proxies: Option<ProxyConfig>,
}

/// Returns the value of an environment variable.
type Variable = dyn Fn(&str) -> Option<String> + Send + Sync;

impl fmt::Debug for EdgeEndpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EdgeEndpoints")
    }
}

/// A server in place of the edge.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Endpoint {
    scheme: &'static str,
    host: String,
    port: Option<u16>,
}

/// A client that sends the requests of a viewer.
#[derive(Debug)]
pub struct EdgeClient {
    connector: SharedHttpConnector,
    /// The server in place of the edge.
    endpoint: Option<Endpoint>,
}

/// A response of the edge, of which the content is not read yet.
#[derive(Debug)]
pub struct EdgeContent {
    /// Its status and headers.
    pub response: EdgeResponse,
    #[cfg(feature = "cli")]
    body: SdkBody,
}

impl EdgeEndpoints {
    /// Creates the endpoints from environment variables; without any, the edge of CloudFront.
    pub fn new(variable: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self {
            variable: Arc::new(variable),
            #[cfg(feature = "cli")]
            proxies: None,
        }
    }

    /// Sends the requests through the proxies of the environment.
    #[cfg(feature = "cli")]
    pub fn with_proxies(self, proxies: ProxyConfig) -> Self {
        Self {
            proxies: Some(proxies).filter(|proxies| !proxies.is_disabled()),
            ..self
        }
    }

    /// Creates a client of the nearest POP; sends nothing.
    pub fn nearest(&self) -> Result<EdgeClient, String> {
        let endpoint = self.endpoint("EDGE_ENDPOINT_URL")?;
        let connector = match &endpoint {
            Some(endpoint) => at_address(&endpoint.host),
            None => self.direct_or_through_proxy(),
        };
        Ok(EdgeClient {
            connector,
            endpoint,
        })
    }

    fn direct_or_through_proxy(&self) -> SharedHttpConnector {
        #[cfg(feature = "cli")]
        if let Some(proxies) = &self.proxies {
            let builder = Connector::builder().tls_provider(TLS);
            return SharedHttpConnector::new(builder.proxy_config(proxies.clone()).build());
        }
        SharedHttpConnector::new(Connections::new(Trust::System))
    }

    fn uses_proxy(&self) -> bool {
        #[cfg(feature = "cli")]
        return self.proxies.is_some();
        #[cfg(not(feature = "cli"))]
        false
    }

    /// Creates a client of the POP with this name, such as `FRA56-P4`, for the distribution with this domain name.
    ///
    /// # Errors
    ///
    /// A text if the POP cannot be addressed.
    pub async fn at_pop(&self, domain_name: &str, pop: &str) -> Result<EdgeClient, String> {
        let name = pop.to_ascii_uppercase().replace('-', "_");
        let endpoint = self.endpoint(&format!("EDGE_ENDPOINT_URL_{name}"))?;
        if endpoint.is_none() && self.endpoint("EDGE_ENDPOINT_URL")?.is_some() {
            return Err(format!("EDGE_ENDPOINT_URL_{name} is not set"));
        }
        if endpoint.is_none() && self.uses_proxy() {
            return Err("requests go through a proxy".to_owned());
        }
        let address = match &endpoint {
            Some(endpoint) => endpoint.host.clone(),
            None => pop_address(domain_name, pop)?,
        };
        lookup(&address).await.map_err(|error| error.to_string())?;
        Ok(EdgeClient {
            connector: at_address(&address),
            endpoint,
        })
    }

    fn endpoint(&self, name: &str) -> Result<Option<Endpoint>, String> {
        let url = (self.variable)(name).filter(|url| !url.is_empty());
        let Some(url) = url else {
            return Ok(None);
        };
        Endpoint::parse(&url)
            .map(Some)
            .ok_or_else(|| format!("{name} is not a URL such as http://localhost:8080"))
    }
}

impl Endpoint {
    fn parse(url: &str) -> Option<Self> {
        let (scheme, rest) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
            (Some(rest), _) => ("http", rest),
            (None, Some(rest)) => ("https", rest),
            (None, None) => return None,
        };
        let authority = rest.trim_end_matches('/');
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (authority, None),
        };
        // An address of version 6 has brackets in a URL only.
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_valid = !host.is_empty() && !host.contains(['/', '@', '?']);
        is_valid.then(|| Self {
            scheme,
            host: host.to_owned(),
            port,
        })
    }
}

/// Returns the name that resolves to the POP.
fn pop_address(domain_name: &str, pop: &str) -> Result<String, String> {
    let label = domain_name.strip_suffix(DOMAIN);
    let label = label.ok_or_else(|| format!("{domain_name} is not a domain name of CloudFront"))?;
    Ok(format!("{label}.{pop}{DOMAIN}"))
}

/// Connects to this host, whatever the name in a URL is.
fn at_address(host: &str) -> SharedHttpConnector {
    SharedHttpConnector::new(Connections::at_address(Trust::System, host))
}

impl EdgeClient {
    /// Requests a URL of the host, and reads the headers of the response. `tag_header` is the distribution's header of cache
    /// tags. The error names the reason if there is no response.
    pub async fn get(
        &self,
        host: &str,
        target: &RequestTarget,
        accept_encoding: AcceptEncoding,
        tag_header: Option<&str>,
        deadline: Instant,
    ) -> Result<EdgeContent, String> {
        let request = self.request(host, target, accept_encoding)?;
        let deadline = deadline.min(Instant::now() + REQUEST_TIMEOUT);
        let response = timeout_at(deadline, self.connector.call(request)).await;
        let response = response
            .map_err(|_elapsed| "no response in time".to_owned())?
            .map_err(|error| with_causes(&error))?;
        Ok(EdgeContent {
            response: edge_response(&response, tag_header),
            #[cfg(feature = "cli")]
            body: response.into_body(),
        })
    }

    fn request(
        &self,
        host: &str,
        target: &RequestTarget,
        accept_encoding: AcceptEncoding,
    ) -> Result<HttpRequest, String> {
        let invalid =
            |error: &dyn fmt::Display| format!("{host}{target} cannot be requested: {error}");
        let mut request = HttpRequest::new(SdkBody::empty());
        let scheme = self
            .endpoint
            .as_ref()
            .map_or("https", |endpoint| endpoint.scheme);
        let port = self.endpoint.as_ref().and_then(|endpoint| endpoint.port);
        let port = port.map_or_else(String::new, |port| format!(":{port}"));
        request
            .set_uri(format!("{scheme}://{host}{port}{target}"))
            .map_err(|error| invalid(&error))?;
        let mut headers = vec![("user-agent", USER_AGENT), ("accept", "*/*")];
        headers.extend(
            accept_encoding
                .header()
                .map(|value| ("accept-encoding", value)),
        );
        if self.endpoint.is_some() {
            // Otherwise the port would be part of it.
            headers.push(("host", host));
        }
        for (name, value) in headers {
            let header = request.headers_mut().try_insert(name, value.to_owned());
            header.map_err(|error| invalid(&error))?;
        }
        Ok(request)
    }
}

impl EdgeContent {
    /// Returns what the edge did, without the content.
    pub fn into_answer(self) -> Answer {
        Answer::Response(self.response)
    }

    /// Reads the content as it was sent, possibly compressed: at most `max` bytes and the rest of the last part.
    ///
    /// # Errors
    ///
    /// A text if the connection ends before the content, or the deadline is over.
    #[cfg(feature = "cli")]
    pub async fn read(self, max: usize, deadline: Instant) -> Result<Vec<u8>, String> {
        let mut stream = ByteStream::new(self.body);
        let mut content = Vec::new();
        while content.len() < max {
            let part = timeout_at(deadline, stream.next()).await;
            match part.map_err(|_elapsed| "the content did not arrive in time".to_owned())? {
                Some(Ok(bytes)) => content.extend_from_slice(&bytes),
                Some(Err(error)) => return Err(with_causes(&error)),
                None => break,
            }
        }
        Ok(content)
    }
}

fn edge_response(response: &HttpResponse, tag_header: Option<&str>) -> EdgeResponse {
    // The values are printed, so that a control character would reach the terminal.
    let is_printable = |character: char| character == ' ' || character.is_ascii_graphic();
    let header = |name: &str| {
        let value = response.headers().get(name)?;
        Some(value.replace(|character| !is_printable(character), "?"))
    };
    let age: Option<u64> = header("age").and_then(|age| age.trim().parse().ok());
    let via = header("via").unwrap_or_default();
    let names_cloudfront = |name: &str| {
        header(name).is_some_and(|value| value.to_ascii_lowercase().contains("cloudfront"))
    };
    let tags = tag_header.and_then(header).unwrap_or_default();
    let tags = tags.split(',').map(|tag| tag.trim().to_ascii_lowercase());
    EdgeResponse {
        status: response.status().as_u16(),
        x_cache: header("x-cache"),
        age,
        has_invalid_age: age.is_none() && header("age").is_some(),
        etag: header("etag"),
        server: header("server"),
        pop: header("x-amz-cf-pop"),
        is_from_cloudfront: header("x-amz-cf-pop").is_some()
            || names_cloudfront("x-cache")
            || names_cloudfront("via"),
        is_from_waf: header("x-amzn-waf-action").is_some(),
        proxies: via
            .split(',')
            .filter(|proxy| !proxy.trim().is_empty())
            .count(),
        content_encoding: header("content-encoding"),
        tags: tags.filter(|tag| !tag.is_empty()).collect(),
    }
}

/// Runs requests, some at a time and each a moment after the one before. The results have the order of the requests.
pub async fn in_turn<T>(requests: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut interval = interval(REQUEST_INTERVAL);
    // After slow requests, the next ones do not start all at once.
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let started = stream::unfold(
        (requests.into_iter(), interval),
        async |(mut requests, mut interval)| {
            let request = requests.next()?;
            interval.tick().await;
            Some((request, (requests, interval)))
        },
    );
    started.buffered(CONCURRENT_REQUESTS).collect().await
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn endpoints(variables: &'static [(&'static str, &'static str)]) -> EdgeEndpoints {
        EdgeEndpoints::new(move |name| {
            let mut variables = variables.iter();
            let variable = variables.find(|(known, _)| *known == name);
            variable.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn reads_the_url_of_a_server_in_place_of_the_edge() {
        let endpoint = |scheme, host: &str, port| {
            Some(Endpoint {
                scheme,
                host: host.to_owned(),
                port,
            })
        };
        for (url, expected) in [
            (
                "http://127.0.0.1:8080",
                endpoint("http", "127.0.0.1", Some(8080)),
            ),
            ("https://edge.test/", endpoint("https", "edge.test", None)),
            ("http://[::1]:8080", endpoint("http", "::1", Some(8080))),
            ("http://localhost:x", None),
            ("http://", None),
            ("http://user@localhost", None),
            ("http://localhost/a", None),
            ("localhost:8080", None),
        ] {
            assert_eq!(Endpoint::parse(url), expected, "{url}");
        }
    }

    #[tokio::test]
    async fn a_pop_is_addressed_only_if_the_requests_reach_it() {
        let domain_name = "d111111abcdef8.cloudfront.net";
        let pop = |endpoints: EdgeEndpoints| async move {
            let client = endpoints.at_pop(domain_name, "FRA56-P4").await;
            client.map(|client| client.endpoint)
        };
        let endpoint = Endpoint::parse("http://127.0.0.1:2");
        let with_pop = [
            ("EDGE_ENDPOINT_URL", "http://127.0.0.1:1"),
            ("EDGE_ENDPOINT_URL_FRA56_P4", "http://127.0.0.1:2"),
        ];
        assert_eq!(
            pop(endpoints(Box::leak(Box::new(with_pop)))).await,
            Ok(endpoint)
        );
        let without = pop(endpoints(&[("EDGE_ENDPOINT_URL", "http://127.0.0.1:1")])).await;
        let expected = "EDGE_ENDPOINT_URL_FRA56_P4 is not set".to_owned();
        assert_eq!(without, Err(expected));
        assert_eq!(
            pop_address(domain_name, "FRA56-P4").as_deref(),
            Ok("d111111abcdef8.FRA56-P4.cloudfront.net")
        );
        let expected = "www.example.com is not a domain name of CloudFront".to_owned();
        assert_eq!(pop_address("www.example.com", "FRA56-P4"), Err(expected));
    }

    #[tokio::test(start_paused = true)]
    async fn requests_start_in_turn_and_some_run_at_a_time() {
        let started = Instant::now();
        let running = Mutex::new((0_usize, 0_usize));
        let request = |number: u32| {
            let running = &running;
            async move {
                let begin = started.elapsed().as_millis();
                {
                    let mut running = running.lock().expect("no panic");
                    running.0 += 1;
                    running.1 = running.1.max(running.0);
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
                running.lock().expect("no panic").0 -= 1;
                (number, begin)
            }
        };
        let results = in_turn((0..10).map(request)).await;
        let expected: Vec<_> = (0..10)
            .map(|number| {
                let begin = u128::from(number) * 20;
                (
                    number,
                    if number < 8 {
                        begin
                    } else {
                        1_000 + (begin - 160)
                    },
                )
            })
            .collect();
        assert_eq!(results, expected);
        assert_eq!(running.lock().expect("no panic").1, CONCURRENT_REQUESTS);
    }
}
