//! Compression at the edge.
//!
//! CloudFront compresses a response when it stores it. Here a copy keeps its uncompressed body, which the in-process
//! driver compares, and the body is compressed when it is written to a socket.
//!
//! Conditions: <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/ServingCompressedFiles.html>

use std::io::{self, Write};

use axum::body::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

/// The sizes of objects that CloudFront compresses.
const COMPRESSED_BYTES: std::ops::RangeInclusive<usize> = 1_000..=10_000_000;

/// The content types that CloudFront compresses.
const COMPRESSED_TYPES: &[&str] = &[
    "application/dash+xml",
    "application/eot",
    "application/font",
    "application/font-sfnt",
    "application/javascript",
    "application/json",
    "application/opentype",
    "application/otf",
    "application/pkcs7-mime",
    "application/protobuf",
    "application/rss+xml",
    "application/truetype",
    "application/ttf",
    "application/vnd.apple.mpegurl",
    "application/vnd.ms-fontobject",
    "application/xhtml+xml",
    "application/xml",
    "application/x-font-opentype",
    "application/x-font-truetype",
    "application/x-font-ttf",
    "application/x-httpd-cgi",
    "application/x-javascript",
    "application/x-mpegurl",
    "application/x-opentype",
    "application/x-otf",
    "application/x-perl",
    "application/x-ttf",
    "font/eot",
    "font/opentype",
    "font/otf",
    "font/ttf",
    "image/svg+xml",
    "text/css",
    "text/csv",
    "text/html",
    "text/javascript",
    "text/js",
    "text/plain",
    "text/richtext",
    "text/tab-separated-values",
    "text/xml",
    "text/x-component",
    "text/x-java-source",
    "text/x-script",
    "vnd.apple.mpegurl",
];

/// A content encoding of CloudFront.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    Gzip,
    Brotli,
}

impl Encoding {
    /// Normalises an Accept-Encoding header: Brotli if it is accepted, otherwise gzip if that is, otherwise none.
    pub(super) fn preferred(accept_encoding: &str) -> Option<Self> {
        let accepts = |name: &str| {
            accept_encoding.split(',').any(|coding| {
                let (coding, weight) = coding.split_once(';').unwrap_or((coding, ""));
                let weight = weight.trim().strip_prefix("q=").unwrap_or("1");
                coding.trim().eq_ignore_ascii_case(name) && weight.parse() != Ok(0.0)
            })
        };
        if accepts("br") {
            Some(Self::Brotli)
        } else {
            accepts("gzip").then_some(Self::Gzip)
        }
    }

    /// Returns the value of Content-Encoding.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
        }
    }

    /// Compresses a body.
    pub(super) fn compress(self, body: &[u8]) -> io::Result<Bytes> {
        let compressed = match self {
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(body)?;
                encoder.finish()?
            }
            Self::Brotli => {
                // Quality 5 of 11 and a window of 4 MiB.
                let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4_096, 5, 22);
                encoder.write_all(body)?;
                encoder.into_inner()
            }
        };
        Ok(compressed.into())
    }
}

/// Returns whether CloudFront compresses a body of this size and these headers.
pub(super) fn is_compressible(headers: &[(String, String)], body_bytes: usize) -> bool {
    let header = |name: &str| {
        let mut headers = headers.iter();
        let found = headers.find(|(header, _)| header.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    };
    let content_type = header("content-type").unwrap_or_default();
    let content_type = content_type.split(';').next().unwrap_or_default().trim();
    COMPRESSED_BYTES.contains(&body_bytes)
        && header("content-encoding").is_none()
        && COMPRESSED_TYPES
            .iter()
            .any(|listed| listed.eq_ignore_ascii_case(content_type))
}

/// Returns the ETag of a compressed response: a strong one becomes weak, an invalid one is removed.
pub(super) fn weak_etag(etag: &str) -> Option<String> {
    if etag.starts_with('"') {
        Some(format!("W/{etag}"))
    } else {
        etag.starts_with("W/").then(|| etag.to_owned())
    }
}
