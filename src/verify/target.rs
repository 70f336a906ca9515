//! `RequestTarget`: the path and query string that a viewer requests.
//!
//! The word is that of [RFC 9112](https://www.rfc-editor.org/rfc/rfc9112.html#section-3.2).

use std::fmt;
use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Serialize, Serializer};

use crate::path::{EncodedPaths, InvalidationPath};

/// What browsers encode in a path: <https://url.spec.whatwg.org/#path-percent-encode-set>. They also encode what is not
/// ASCII. A `%` of a key has to be encoded, although a browser leaves one that it finds in a link.
const BROWSERS: &AsciiSet = &percent_encoding::CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'}');

/// What `encodeURIComponent` encodes, which programs apply to each segment.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'/');

/// The parameters that sign URLs of CloudFront
/// ([documentation](https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-creating-signed-url-canned-policy.html))
/// and of S3.
const SIGNATURES: [&str; 5] = [
    "Policy",
    "Signature",
    "X-Amz-Signature",
    "X-Amz-Credential",
    "X-Amz-Security-Token",
];

/// The path and the query string that a viewer requests: they start with a slash and are printable ASCII.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestTarget(Arc<str>);

impl RequestTarget {
    /// Returns the home page, `/`.
    pub fn root() -> Self {
        Self("/".into())
    }

    /// Returns what a viewer requests who gets copies of the path; `None` for a cache tag.
    ///
    /// A wildcard stands for the page that its name begins with: `/blog/*` for `/blog/`, `/a.html*` for `/a.html`.
    pub fn of_path(path: &InvalidationPath) -> Option<Self> {
        if path.is_tag() {
            return None;
        }
        Self::new(path.stem().trim_end_matches('?'))
    }

    /// Returns what a viewer requests who opens the path that a user wrote, with a leading slash: percent triples and the query
    /// string stay as they are, and the rest is encoded as browsers do. `None` if it contains a control character.
    pub fn of_written(written: &str) -> Option<Self> {
        let (path, query) = match written.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (written, None),
        };
        let mut target = encode_rest(path);
        if let Some(query) = query {
            target = format!("{target}?{}", encode_rest(query));
        }
        Self::new(&target)
    }

    /// Returns the other spellings in which viewers can request the same object.
    pub fn other_spellings(&self) -> Vec<Self> {
        let spellings = self.relative_key().map(|key| Self::spellings(&key));
        let spellings = spellings
            .into_iter()
            .flatten()
            .map(|target| match self.query() {
                Some(query) => Self(format!("{target}?{query}").into()),
                None => target,
            });
        spellings.filter(|target| target != self).collect()
    }

    /// Returns the spellings in which viewers request the object with this decoded key, which is relative to the root of the
    /// site. The first is that of browsers.
    pub fn spellings(key: &str) -> Vec<Self> {
        let of_viewers =
            [BROWSERS, COMPONENT].map(|set| format!("/{}", utf8_percent_encode(key, set)));
        let encoded = EncodedPaths::of_key(key);
        let invalidated = encoded.paths.iter().filter(|path| !path.is_wildcard());
        let invalidated = invalidated.map(|path| path.as_str().to_owned());
        let mut targets: Vec<Self> = Vec::new();
        for target in of_viewers.into_iter().chain(invalidated) {
            if let Some(target) = Self::new(&target)
                && !targets.contains(&target)
            {
                targets.push(target);
            }
        }
        targets
    }

    /// Takes a text that is valid in an HTTP request.
    fn new(text: &str) -> Option<Self> {
        let is_valid = text.starts_with('/')
            && text
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'#');
        is_valid.then(|| Self(text.into()))
    }

    /// Returns the text that is sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the path as it is sent, without the query string.
    pub fn path(&self) -> &str {
        self.0.split('?').next().unwrap_or_default()
    }

    /// Returns the query string, if there is one.
    pub fn query(&self) -> Option<&str> {
        self.0.split_once('?').map(|(_, query)| query)
    }

    /// Returns the decoded path without its leading slash, as S3 reads a key; `None` if it is not UTF-8.
    pub fn relative_key(&self) -> Option<String> {
        let path = self.path().strip_prefix('/')?;
        let decoded = percent_decode_str(path).decode_utf8().ok()?;
        Some(decoded.into_owned())
    }

    /// Returns the text without the values of parameters that sign a URL: whoever has them can request it.
    pub fn without_signature(&self) -> String {
        let Some(query) = self.query() else {
            return self.0.to_string();
        };
        let parameters = query.split('&').map(|parameter| {
            let (name, _) = parameter.split_once('=').unwrap_or((parameter, ""));
            let is_secret = SIGNATURES
                .iter()
                .any(|secret| name.eq_ignore_ascii_case(secret));
            if is_secret {
                format!("{name}=…")
            } else {
                parameter.to_owned()
            }
        });
        let parameters: Vec<_> = parameters.collect();
        format!("{}?{}", self.path(), parameters.join("&"))
    }

    /// Returns whether this is the page of a folder: `/blog/` or `/blog/index.html`.
    pub fn is_entry_page(&self) -> bool {
        self.path().ends_with('/') || self.path().ends_with("/index.html")
    }
}

/// Encodes what browsers encode, and keeps percent triples.
fn encode_rest(text: &str) -> String {
    let mut encoded = String::new();
    for (index, part) in text.split('%').enumerate() {
        let digits = part.as_bytes().get(..2).unwrap_or_default();
        let is_triple = digits.len() == 2 && digits.iter().all(u8::is_ascii_hexdigit);
        match (index, is_triple) {
            (0, _) => {}
            (_, true) => encoded.push('%'),
            (_, false) => encoded.push_str("%25"),
        }
        encoded.extend(utf8_percent_encode(part, BROWSERS));
    }
    encoded
}

impl fmt::Display for RequestTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for RequestTarget {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_spellings_of_browsers_of_programs_and_of_its_invalidation() {
        for (key, expected) in [
            ("a.html", vec!["/a.html"]),
            ("blog/é.html", vec!["/blog/%C3%A9.html"]),
            ("a b.html", vec!["/a%20b.html", "/a+b.html"]),
            ("a+b.html", vec!["/a+b.html", "/a%2Bb.html"]),
            ("~user/", vec!["/~user/"]),
            ("a@b/c,d", vec!["/a@b/c,d", "/a%40b/c%2Cd", "/a@b/c%2Cd"]),
            ("50%.html", vec!["/50%25.html"]),
            ("a?b", vec!["/a%3Fb"]),
        ] {
            let spellings = RequestTarget::spellings(key);
            let spellings: Vec<_> = spellings.iter().map(RequestTarget::as_str).collect();
            assert_eq!(spellings, expected, "{key}");
        }
    }

    #[test]
    fn a_path_stands_for_the_page_that_a_viewer_requests() {
        for (path, expected) in [
            ("/a.html", Some("/a.html")),
            ("/a?b=1", Some("/a?b=1")),
            ("/a?*", Some("/a")),
            ("/a.html*", Some("/a.html")),
            ("/blog/*", Some("/blog/")),
            ("/*", Some("/")),
            ("#tag", None),
        ] {
            let path = InvalidationPath::parse(path).expect("a path");
            let target = RequestTarget::of_path(&path);
            let target = target.as_ref().map(RequestTarget::as_str);
            assert_eq!(target, expected, "{path}");
        }
    }

    #[test]
    fn a_written_path_keeps_its_percent_triples() {
        for (written, expected, others) in [
            ("/a%2Bb.html", Some("/a%2Bb.html"), vec!["/a+b.html"]),
            (
                "/a+b.html?c=%20d",
                Some("/a+b.html?c=%20d"),
                vec!["/a%2Bb.html?c=%20d"],
            ),
            (
                "/é 50%.html",
                Some("/%C3%A9%2050%25.html"),
                vec!["/%C3%A9+50%25.html"],
            ),
            ("/~user/", Some("/~user/"), vec![]),
            ("/a", Some("/a"), vec![]),
            ("a", None, vec![]),
        ] {
            let target = RequestTarget::of_written(written);
            let text = target.as_ref().map(RequestTarget::as_str);
            assert_eq!(text, expected, "{written}");
            let spellings = target.iter().flat_map(RequestTarget::other_spellings);
            let spellings: Vec<_> = spellings.map(|target| target.to_string()).collect();
            assert_eq!(spellings, others, "{written}");
        }
    }

    #[test]
    fn a_signature_is_not_shown() {
        for (target, expected) in [
            ("/a?b=1", "/a?b=1"),
            ("/a", "/a"),
            (
                "/a?b=1&Expires=9&Signature=x~&Key-Pair-Id=K1",
                "/a?b=1&Expires=9&Signature=…&Key-Pair-Id=K1",
            ),
            (
                "/a?x-amz-signature=1&Policy=e30_",
                "/a?x-amz-signature=…&Policy=…",
            ),
        ] {
            let target = RequestTarget::new(target).expect("a target");
            assert_eq!(target.without_signature(), expected);
        }
    }

    #[test]
    fn the_key_is_decoded_and_the_query_string_is_left_out() {
        for (path, key, query, is_entry_page) in [
            ("/", Some(""), None, true),
            ("/blog/?a=1", Some("blog/"), Some("a=1"), true),
            ("/blog/index.html", Some("blog/index.html"), None, true),
            ("/a%20b+c.html", Some("a b+c.html"), None, false),
            ("/%FF", None, None, false),
        ] {
            let target = RequestTarget::new(path).expect("a target");
            assert_eq!(target.relative_key().as_deref(), key, "{path}");
            assert_eq!(target.query(), query, "{path}");
            assert_eq!(target.is_entry_page(), is_entry_page, "{path}");
        }
    }
}
