//! The items of an invalidation, and which copies they match.
//!
//! Rules that the documentation states without ambiguity are applied in every reading: paths are case-sensitive, `*`
//! is a wildcard only at the end, a path without a query string matches only copies without one, and a wildcard
//! matches every query string. An item that starts with `#` is a cache tag.
//!
//! Paths: <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/invalidation-specifying-objects.html>,
//! tags: <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/invalidation-specifying-tags.html>

use std::collections::{BTreeSet, HashMap};

use percent_encoding::percent_decode_str;

use super::readings::{ComparedUri, Directory, Reading, Readings, Spelling};

/// More tags of a response are not stored.
const MAX_TAGS: usize = 50;

/// A URI: its path and its query string, if any.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Parts<T> {
    path: T,
    query: Option<T>,
}

/// A URI in the two forms that readings compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Uri {
    sent: Parts<Vec<u8>>,
    decoded: Parts<Vec<u8>>,
}

impl Uri {
    pub(super) fn new(path: &str, query: Option<&str>) -> Self {
        let decode = |text: &str| percent_decode_str(text).collect();
        Self {
            sent: Parts {
                path: path.into(),
                query: query.map(Into::into),
            },
            decoded: Parts {
                path: decode(path),
                query: query.map(decode),
            },
        }
    }

    fn parse(text: &str) -> Self {
        match text.split_once('?') {
            Some((path, query)) => Self::new(path, Some(query)),
            None => Self::new(text, None),
        }
    }

    fn spelled(&self, spelling: Spelling) -> &Parts<Vec<u8>> {
        match spelling {
            Spelling::AsSent => &self.sent,
            Spelling::Decoded | Spelling::Documented => &self.decoded,
        }
    }
}

/// What items are compared with: the two URIs and the cache tags of a copy.
#[derive(Clone, Debug)]
pub(super) struct CopyIdentity {
    pub(super) viewer: Uri,
    pub(super) rewritten: Uri,
    pub(super) tags: BTreeSet<String>,
}

impl CopyIdentity {
    fn uri(&self, uri: ComparedUri) -> &Uri {
        match uri {
            ComparedUri::Viewer => &self.viewer,
            ComparedUri::Rewritten => &self.rewritten,
        }
    }
}

/// Returns the tags in the values of a distribution's tag header, in lower case because tags are case-insensitive.
pub(super) fn tags<'a>(values: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    values
        .flat_map(|value| value.split(','))
        .map(|tag| tag.trim().to_ascii_lowercase())
        .filter(|tag| !tag.is_empty())
        .take(MAX_TAGS)
        .collect()
}

/// An invalidation path.
#[derive(Debug)]
struct Path {
    /// The path without its final `*`.
    uri: Uri,
    wildcard: bool,
    /// Whether the path encodes exactly the characters that the documentation requires to be encoded.
    is_documented_spelling: bool,
}

impl Path {
    fn parse(text: &str) -> Self {
        let before_wildcard = text.strip_suffix('*');
        let uri = before_wildcard.unwrap_or(text);
        Self {
            uri: Uri::parse(uri),
            wildcard: before_wildcard.is_some(),
            is_documented_spelling: is_documented_spelling(uri),
        }
    }

    /// Returns whether the URI can match in some reading, which is cheap and rarely true. CloudFront rejects a path that
    /// ends inside an escape, so whatever starts with it as sent also does decoded.
    fn can_match(&self, uri: &Uri) -> bool {
        uri.decoded.path.starts_with(&self.uri.decoded.path)
    }

    fn matches(&self, copy: &CopyIdentity, reading: Reading) -> bool {
        if reading.spelling == Spelling::Documented && !self.is_documented_spelling {
            return false;
        }
        let own = self.uri.spelled(reading.spelling);
        let uri = copy.uri(reading.uri).spelled(reading.spelling);
        match (self.wildcard, &own.query) {
            (false, _) => uri == own,
            (true, Some(prefix)) => {
                let starts_with = |query: &Vec<u8>| query.starts_with(prefix);
                uri.path == own.path && uri.query.as_ref().is_some_and(starts_with)
            }
            (true, None) => {
                let is_directory = own.path.ends_with(b"/") && own.path != b"/";
                let directory = is_directory && uri.path == own.path;
                uri.path.starts_with(&own.path)
                    && (!directory || reading.directory == Directory::Included)
            }
        }
    }
}

/// Returns whether a URI encodes the characters that must be encoded, and no others.
fn is_documented_spelling(uri: &str) -> bool {
    let mut rest = uri.as_bytes();
    while let [byte, after @ ..] = rest {
        let escaped = (*byte == b'%').then(|| decode_escape(after)).flatten();
        let is_correct = match escaped {
            Some(decoded) => must_be_encoded(decoded),
            None => !must_be_encoded(*byte),
        };
        if !is_correct {
            return false;
        }
        rest = if escaped.is_some() {
            &after[2..]
        } else {
            after
        };
    }
    true
}

/// Returns the byte that two hexadecimal digits stand for.
fn decode_escape(digits: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(digits.get(..2)?).ok()?;
    u8::from_str_radix(digits, 16).ok()
}

/// Returns whether a byte is not ASCII, not printable, or unsafe in the sense of RFC 1738, section 2.2.
fn must_be_encoded(byte: u8) -> bool {
    !byte.is_ascii_graphic() || b"<>\"#%{}|\\^~[]`".contains(&byte)
}

/// The items of an invalidation, prepared for many copies.
#[derive(Debug, Default)]
pub(super) struct Items {
    tags: BTreeSet<String>,
    wildcards: Vec<Path>,
    /// Paths without a wildcard by their decoded path: whatever matches in any spelling is equal in this one.
    files: HashMap<Vec<u8>, Vec<Path>>,
}

impl Items {
    pub(super) fn parse(items: &[String]) -> Self {
        let mut parsed = Self::default();
        for item in items {
            if let Some(tag) = item.strip_prefix('#') {
                parsed.tags.insert(tag.to_ascii_lowercase());
                continue;
            }
            let path = Path::parse(item);
            if path.wildcard {
                parsed.wildcards.push(path);
            } else {
                let decoded = path.uri.decoded.path.clone();
                parsed.files.entry(decoded).or_default().push(path);
            }
        }
        parsed
    }

    /// Returns the readings in which an item matches the copy.
    pub(super) fn matches(&self, copy: &CopyIdentity) -> Readings {
        if !self.tags.is_disjoint(&copy.tags) {
            return Readings::ALL;
        }
        let uris = [&copy.viewer, &copy.rewritten];
        let files = uris.map(|uri| self.files.get(&uri.decoded.path));
        let files = files.into_iter().flatten().flatten();
        let wildcards = self.wildcards.iter();
        let wildcards = wildcards.filter(|wildcard| uris.iter().any(|uri| wildcard.can_match(uri)));
        let candidates: Vec<&Path> = files.chain(wildcards).collect();
        if candidates.is_empty() {
            return Readings::default();
        }
        Readings::holding(|reading| candidates.iter().any(|path| path.matches(copy, reading)))
    }
}
