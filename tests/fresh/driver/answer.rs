//! What distinguishes two answers to a viewer: the status, and the version of the object.

use std::fmt;

use super::http::header;

/// An answer without what differs from request to request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    status: u16,
    version: String,
}

impl Answer {
    /// Reads a response. The ETag is the version; without one, it is the body of a success. An error's body contains
    /// the id of its request.
    pub fn new(status: u16, headers: &[(String, String)], body: &[u8]) -> Self {
        let version = match header(headers, "etag") {
            // The edge makes the ETag weak where it compresses.
            Some(etag) => etag.trim_start_matches("W/").to_owned(),
            None if status < 300 => String::from_utf8_lossy(body).into_owned(),
            None => header(headers, "location").unwrap_or_default().to_owned(),
        };
        Self { status, version }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.version)
    }
}
