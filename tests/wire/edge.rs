//! The edge over HTTP: viewers and CreateInvalidation on one port, with an upstream that counts its responses.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::standin::{Clock, EdgeOptions, Options, Standin};

const HOST: &str = "d111111abcdef8.cloudfront.net";

/// Starts a server that behaves like MiniStack, and returns its URL.
async fn start_upstream() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a port");
    let address = listener.local_addr().expect("an address");
    let pages = Arc::new(AtomicU64::new(0));
    let serve = move |request: Request| {
        let pages = Arc::clone(&pages);
        async move { respond(&request, &pages) }
    };
    tokio::spawn(async { axum::serve(listener, Router::new().fallback(serve)).await });
    format!("http://{address}")
}

fn respond(request: &Request, pages: &AtomicU64) -> Response {
    let configuration = include_str!("../distributions/single-page.xml");
    let list = match request.uri().query() {
        Some("Marker=E4EXAMPLE1ABC") => include_str!("../distributions/list-2.xml"),
        _ => include_str!("../distributions/list.xml"),
    };
    match request.uri().path() {
        "/2020-05-31/distribution" => list.into_response(),
        "/2020-05-31/distribution/E1EXAMPLE1ABC/config" => configuration.into_response(),
        "/2020-05-31/distribution/E1EXAMPLE1ABC/invalidation" => {
            "<Invalidation><Id>I1EXAMPLE</Id></Invalidation>".into_response()
        }
        "/missing.html" => axum::http::StatusCode::NOT_FOUND.into_response(),
        _ => {
            assert_eq!(request.headers()[header::HOST], HOST);
            let version = pages.fetch_add(1, Ordering::Relaxed) + 1;
            let headers = [("content-type", "text/html"), ("etag", "\"1\"")];
            (headers, format!("version {version}\n").repeat(200)).into_response()
        }
    }
}

/// Sends a request and returns the head and the body of the response.
pub fn send(standin: &Standin, request: &str) -> (String, Vec<u8>) {
    send_to(&standin.url(), request)
}

/// Sends a request to one of the ports and returns the head and the body of the response.
pub fn send_to(url: &str, request: &str) -> (String, Vec<u8>) {
    let address = url.replace("http://", "");
    let mut connection = TcpStream::connect(address).expect("a listening stand-in");
    let request = request.replace('\n', "\r\n");
    connection
        .write_all(request.as_bytes())
        .expect("a request sent");
    let mut response = Vec::new();
    connection.read_to_end(&mut response).expect("a response");
    let end = response.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let body = response.split_off(end.expect("a head") + 4);
    (String::from_utf8(response).expect("a text"), body)
}

pub fn get(standin: &Standin, host: &str, target: &str) -> (String, String) {
    get_from(&standin.url(), host, target)
}

pub fn get_from(url: &str, host: &str, target: &str) -> (String, String) {
    let request = format!("GET {target} HTTP/1.1\nHost: {host}\nConnection: close\n\n");
    let (head, body) = send_to(url, &request);
    (head, String::from_utf8(body).expect("a text"))
}

/// Returns the value of X-Cache and the version of a page.
fn page(standin: &Standin, host: &str) -> (String, String) {
    let (head, body) = get(standin, host, "/index.html");
    let x_cache = head.lines().find_map(|line| line.strip_prefix("x-cache: "));
    let version = body.lines().next().unwrap_or_default().to_owned();
    (x_cache.unwrap_or_default().to_owned(), version)
}

pub fn invalidate(standin: &Standin, path: &str) {
    let body = format!(
        "<InvalidationBatch xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\"><Paths>\
         <Quantity>1</Quantity><Items><Path>{path}</Path></Items></Paths>\
         <CallerReference>1</CallerReference></InvalidationBatch>"
    );
    let request = format!(
        "POST /2020-05-31/distribution/E1EXAMPLE1ABC/invalidation HTTP/1.1\n\
         Host: cloudfront.amazonaws.com\nContent-Length: {}\nConnection: close\n\n{body}",
        body.len()
    );
    let (head, _) = send(standin, &request);
    assert!(head.starts_with("HTTP/1.1 201 "), "{head}");
}

fn start(upstream: String) -> Standin {
    Standin::start(Options {
        upstream: Some(upstream),
        edge: Some(EdgeOptions::default()),
        clock: Clock::frozen(),
        ..Options::default()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_get_the_old_page_until_the_invalidation_takes_effect() {
    let standin = start(start_upstream().await);
    let [frankfurt, alias] = ["d111111abcdef8.fra50-p1.cloudfront.net", "www.example.com"];
    let expect = |host, x_cache: &str, version: &str| {
        let x_cache = format!("{x_cache} from cloudfront");
        assert_eq!(page(&standin, host), (x_cache, version.to_owned()));
    };
    expect(HOST, "Miss", "version 1");
    expect(frankfurt, "Hit", "version 1");
    expect(alias, "Hit", "version 1");
    let ashburn = "d111111abcdef8.IAD50-P2.cloudfront.net";
    expect(ashburn, "Miss", "version 2");
    invalidate(&standin, "/index.html");
    expect(HOST, "Hit", "version 1");
    standin.advance(Duration::from_secs(14));
    expect(HOST, "Miss", "version 3");
    expect(alias, "Hit", "version 3");
    expect(ashburn, "Miss", "version 4");
    let counters = standin.edge().counters();
    assert_eq!((counters.requests, counters.origin_requests), (8, 4));
    assert_eq!(counters.dropped_copies, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_compressed_on_the_wire() {
    let standin = start(start_upstream().await);
    let request =
        format!("GET / HTTP/1.1\nHost: {HOST}\nAccept-Encoding: gzip\nConnection: close\n\n");
    let (head, body) = send(&standin, &request);
    let has_line = |line: &str| head.lines().any(|known| known == line);
    assert!(has_line("etag: W/\"1\""), "{head}");
    assert!(has_line("content-encoding: gzip"), "{head}");
    assert!(
        has_line(&format!("content-length: {}", body.len())),
        "{head}"
    );
    let mut text = String::new();
    let read = flate2::read::GzDecoder::new(&*body).read_to_string(&mut text);
    read.expect("a compressed text");
    assert_eq!(text, "version 1\n".repeat(200));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_hosts_of_distributions_are_viewers() {
    let standin = start(start_upstream().await);
    for (host, target, status) in [
        (HOST, "/", "200 OK"),
        (HOST, "/missing.html", "404 Not Found"),
        ("d0.cloudfront.net", "/", "403 Forbidden"),
        (
            "d111111abcdef8.muc50-p1.cloudfront.net",
            "/",
            "404 Not Found",
        ),
        // The port's APIs, which have no such operations.
        ("other.example.com", "/", "404 Not Found"),
        ("cloudfront.amazonaws.com", "/", "404 Not Found"),
    ] {
        let (head, _) = get(&standin, host, target);
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status}")),
            "{host}: {head}"
        );
    }
    let post = format!("POST / HTTP/1.1\nHost: {HOST}\nContent-Length: 0\nConnection: close\n\n");
    let (head, _) = send(&standin, &post);
    assert!(head.starts_with("HTTP/1.1 405 "), "{head}");
}
