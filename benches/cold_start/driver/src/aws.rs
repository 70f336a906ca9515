//! Stand-ins of CloudFront and CodePipeline: canned answers over TLS, and a record of the calls.
//!
//! They answer a call in some ten microseconds, so that a measurement is about the function. `tests/standin` checks the
//! rules of the services; this one has none.
//!
//! API: <https://docs.aws.amazon.com/cloudfront/latest/APIReference/>,
//! <https://docs.aws.amazon.com/codepipeline/latest/APIReference/>

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use chrono::{SecondsFormat, Utc};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use crate::link::with_rtt;

const CLOUDFRONT_API: &str = "/2020-05-31/";
const XMLNS: &str = "http://cloudfront.amazonaws.com/doc/2020-05-31/";
const DISTRIBUTION_CONFIG: &str = include_str!("distribution.xml");
const REQUEST_ID: &str = "00000000-0000-4000-8000-000000000000";

/// A call that the stand-ins received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// CreateInvalidation with this number of paths.
    CreateInvalidation { paths: usize },
    /// PutJobSuccessResult of this job.
    PutJobSuccessResult { job: String },
    /// A call that reads, such as GetDistributionConfig.
    Read(&'static str),
    /// A call without an answer, or a job that failed.
    Unexpected(String),
}

impl Call {
    /// Returns the name of the operation.
    pub fn name(&self) -> &str {
        match self {
            Self::CreateInvalidation { .. } => "CreateInvalidation",
            Self::PutJobSuccessResult { .. } => "PutJobSuccessResult",
            Self::Read(name) => name,
            Self::Unexpected(call) => call,
        }
    }
}

/// The calls since they were last taken.
#[derive(Clone, Debug, Default)]
pub struct Calls(Arc<Mutex<Vec<Call>>>);

impl Calls {
    /// Returns the calls, and forgets them.
    pub fn take(&self) -> Vec<Call> {
        std::mem::take(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Call>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves all services on a free port, with a modelled round-trip time if it is not zero. Returns the endpoint's URL.
///
/// # Errors
///
/// Returns an error if no port is free.
pub async fn serve(tls: Arc<ServerConfig>, rtt: Duration, calls: Calls) -> Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let endpoint = format!("https://{}", listener.local_addr()?);
    let acceptor = TlsAcceptor::from(tls);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            let (acceptor, calls) = (acceptor.clone(), calls.clone());
            // Errors are those of a process that was killed.
            tokio::spawn(async move {
                if rtt.is_zero() {
                    serve_connection(acceptor.accept(stream).await?, calls).await
                } else {
                    serve_connection(acceptor.accept(with_rtt(stream, rtt)).await?, calls).await
                }
            });
        }
    });
    Ok(endpoint)
}

async fn serve_connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    calls: Calls,
) -> Result<()> {
    let service = service_fn(move |request: Request<Incoming>| {
        let calls = calls.clone();
        async move {
            let (head, body) = request.into_parts();
            let body = match body.collect().await {
                Ok(body) => body.to_bytes(),
                Err(_) => Bytes::new(),
            };
            let (call, response) = answer(&head, &body);
            calls.lock().push(call);
            Ok::<_, Infallible>(response)
        }
    });
    hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await?;
    Ok(())
}

fn answer(head: &Parts, body: &[u8]) -> (Call, Response<Full<Bytes>>) {
    let target = head.headers.get("x-amz-target");
    if let Some(target) = target.and_then(|target| target.to_str().ok()) {
        return answer_codepipeline(target, body);
    }
    let path = head.uri.path();
    let segments: Vec<&str> = path
        .strip_prefix(CLOUDFRONT_API)
        .unwrap_or_default()
        .split('/')
        .collect();
    match (&head.method, segments.as_slice()) {
        (&Method::POST, ["distribution", _, "invalidation"]) => create_invalidation(head, body),
        (&Method::GET, ["distribution", _, "config"]) => (
            Call::Read("GetDistributionConfig"),
            xml(DISTRIBUTION_CONFIG.to_owned()),
        ),
        (&Method::GET, ["distribution", _, "invalidation"]) => (
            Call::Read("ListInvalidations"),
            xml(format!(
                "<InvalidationList xmlns=\"{XMLNS}\"><Marker></Marker><MaxItems>100</MaxItems>\
                 <IsTruncated>false</IsTruncated><Quantity>0</Quantity></InvalidationList>"
            )),
        ),
        _ => unexpected(format!("{} {path}", head.method)),
    }
}

fn answer_codepipeline(target: &str, body: &[u8]) -> (Call, Response<Full<Bytes>>) {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    match (target, body["jobId"].as_str()) {
        ("CodePipeline_20150709.PutJobSuccessResult", Some(job)) => {
            let mut response = Response::new(Full::default());
            response.headers_mut().insert(
                CONTENT_TYPE,
                HeaderValue::from_static("application/x-amz-json-1.1"),
            );
            let job = job.to_owned();
            (Call::PutJobSuccessResult { job }, response)
        }
        _ => unexpected(format!("{target} with {body}")),
    }
}

/// Answers with the paths and the caller reference of the request.
fn create_invalidation(head: &Parts, body: &[u8]) -> (Call, Response<Full<Bytes>>) {
    let body = String::from_utf8_lossy(body);
    let batch = (body.find("<InvalidationBatch")).and_then(|start| body.get(start..));
    let Some(batch) = batch else {
        return unexpected(format!("CreateInvalidation with {body}"));
    };
    let now = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
    let mut response = xml(format!(
        "<?xml version=\"1.0\"?>\n<Invalidation xmlns=\"{XMLNS}\"><Id>I2EXAMPLE1ABCDEFGHIJKLMNO</Id>\
         <Status>InProgress</Status><CreateTime>{now}</CreateTime>{batch}</Invalidation>"
    ));
    *response.status_mut() = StatusCode::CREATED;
    let location = format!(
        "https://cloudfront.amazonaws.com{}/I2EXAMPLE1ABCDEFGHIJKLMNO",
        head.uri.path()
    );
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(LOCATION, location);
    }
    let paths = batch.matches("<Path>").count();
    (Call::CreateInvalidation { paths }, response)
}

fn xml(document: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(document));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    headers.insert(
        HeaderName::from_static("x-amzn-requestid"),
        HeaderValue::from_static(REQUEST_ID),
    );
    response
}

fn unexpected(call: String) -> (Call, Response<Full<Bytes>>) {
    let mut response = Response::new(Full::from("the stand-in has no answer to this call"));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    (Call::Unexpected(call), response)
}
