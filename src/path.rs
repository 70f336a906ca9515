//! `InvalidationPath`: what CloudFront is asked to drop, in the one spelling that it acts on.
//!
//! CloudFront answers "done" to a path that nobody cached, so a wrong spelling is a silent failure. Three parties
//! spell a URL, and they disagree:
//!
//! - [CloudFront's rule][rule]: encode non-ASCII and the characters that RFC 1738 calls unsafe, and no others,
//!   "or CloudFront won't invalidate";
//! - browsers ([WHATWG][url]) leave `[`, `]`, `|`, `^` and `~` as they are, which that rule wants encoded;
//! - S3 clients encode everything but letters, digits and `-_.~/`, other programs something in between; S3 reads a plus in a path as a space, so an object
//!   whose key holds a plus can only be had as `%2B`, which that rule forbids.
//!
//! Where all three agree, a key becomes one path. Where two spellings can both be sent, both are. Where CloudFront
//! may not act on a spelling that viewers use, the path becomes a wildcard cut before it: more is invalidated, never
//! less.
//!
//! [rule]: https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/invalidation-specifying-objects.html
//! [url]: https://url.spec.whatwg.org/#path-percent-encode-set

use std::fmt;

use percent_encoding::{AsciiSet, CONTROLS, percent_encode, utf8_percent_encode};
use serde::Serialize;

/// The most characters that CloudFront takes in one path.
pub const MAX_PATH_CHARACTERS: usize = 4_000;

/// The most characters that CloudFront takes in one cache tag.
pub const MAX_TAG_CHARACTERS: usize = 256;

/// What browsers, S3 clients and CloudFront all encode in a path (with every byte beyond ASCII).
const AGREED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'`')
    .add(b'{')
    .add(b'}');

/// What some viewers encode, while browsers and CloudFront do not.
const RESERVED: &[u8] = b"!$&'(),:;=@";

/// How viewers spell a key: what each of them leaves as it is of `RESERVED`.
const ENCODERS: [&AsciiSet; 4] = [
    // Browsers, and CloudFront's rule.
    AGREED,
    // S3 clients.
    &encoding(b""),
    // `encodeURIComponent` of ECMAScript.
    &encoding(b"!'()"),
    // `url.PathEscape` of Go, and what follows RFC 3986 as it does.
    &encoding(b"$&:=@"),
];

const fn encoding(left: &[u8]) -> AsciiSet {
    let mut set = AGREED.add(b' ');
    let mut at = 0;
    while at < RESERVED.len() {
        set = set.add(RESERVED[at]);
        at += 1;
    }
    at = 0;
    while at < left.len() {
        set = set.remove(left[at]);
        at += 1;
    }
    set
}

/// How many spellings of a key are sent; where there are more, a wildcard is cut before them.
const MAX_SPELLINGS: usize = 4;

/// A path, a prefix (`/dir/*`) or a cache tag (`#tag`) to invalidate: checked and encoded once, when it is made.
///
/// Ordered and compared by its text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct InvalidationPath(String);

impl InvalidationPath {
    /// Returns `/*`: everything that the distribution has cached, what carries a tag included.
    pub fn everything() -> Self {
        Self("/*".into())
    }

    /// Returns the paths under which viewers can have cached the object with this (decoded) key.
    ///
    /// The first is the spelling that CloudFront documents; the others are those of viewers who encode more (`%40` for
    /// `@`) or write a space as a plus. It is a single wildcard where a spelling is contested.
    pub fn from_object_key(key: &str) -> Vec<Self> {
        if key.is_empty() || contested(key).is_some() {
            return vec![Self::over_object_keys(key)];
        }
        let mut paths = Vec::with_capacity(1);
        for encoded in ENCODERS {
            let path = format!("/{}", utf8_percent_encode(key, encoded));
            // "%" only ever starts a triple here, so "%20" is always a space.
            let with_plus = path.replace("%20", "+");
            for path in [path, with_plus].map(Self) {
                if !paths.contains(&path) {
                    paths.push(path);
                }
            }
        }
        let fits = |path: &Self| path.0.len() <= MAX_PATH_CHARACTERS;
        if paths.len() > MAX_SPELLINGS || !paths.iter().all(fits) {
            return vec![Self::over_object_keys(key)];
        }
        paths
    }

    /// Returns the tightest wildcard that covers the key and all that start with it, in every spelling.
    fn over_object_keys(key: &str) -> Self {
        let fits = key.floor_char_boundary((MAX_PATH_CHARACTERS - "/*".len()) / "%20".len());
        let spelled_twice =
            key.find(|c| c == ' ' || u8::try_from(c).is_ok_and(|byte| RESERVED.contains(&byte)));
        let end = [spelled_twice, contested(key), Some(fits)]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(fits);
        Self(format!("/{}*", utf8_percent_encode(&key[..end], AGREED)))
    }

    /// Reads a path as a person writes it: `/about.html`, `blog/*`, `#product:42`, `https://www.example.com/a?b=1`.
    ///
    /// White space around it is dropped, a leading slash is added, a full URL is reduced to its path and query, what
    /// is encoded already stays as it is. A character whose spelling is contested (a space, `~`, `[`; `%7E`, `%2A`)
    /// makes it a wildcard that ends before it.
    ///
    /// # Errors
    ///
    /// [`PathError`] says what is wrong with the text and what to write in its place.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(PathError::Empty);
        }
        if text.starts_with('#') {
            return parse_tag(text);
        }
        let path = without_origin(text)?;
        let path = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/{path}")
        };
        refuse_what_no_viewer_requests(&path)?;
        let path = encode_as_written(&path);
        if path.len() > MAX_PATH_CHARACTERS {
            return Err(PathError::TooLong(path.len()));
        }
        Ok(Self(path))
    }

    /// Takes a path over as CloudFront tells it of an invalidation that it has.
    pub fn from_cloudfront(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text as CloudFront gets it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Tells whether it ends in `*`, and so counts among the few wildcards in flight.
    pub fn is_wildcard(&self) -> bool {
        self.0.ends_with('*')
    }

    /// Tells whether it names a cache tag and no path.
    pub fn is_tag(&self) -> bool {
        self.0.starts_with('#')
    }

    /// Tells whether all that `other` invalidates is surely invalidated by this path too.
    ///
    /// `/dir/*` does not count as covering `/dir/`: it should by the documentation, and was seen not to.
    pub fn covers(&self, other: &Self) -> bool {
        if self.is_tag() {
            return self.0.eq_ignore_ascii_case(&other.0);
        }
        match self.0.strip_suffix('*') {
            None => self == other,
            Some("/") => true,
            Some(prefix) => other.0.strip_prefix(prefix).is_some_and(|rest| {
                let bare_directory =
                    prefix.ends_with('/') && (rest.is_empty() || rest.starts_with('?'));
                !bare_directory
            }),
        }
    }

    /// Returns the path of a key in the one spelling that CloudFront documents, contested or not: for counting and routing only.
    pub(crate) fn spell_key(key: &str) -> String {
        format!("/{}", utf8_percent_encode(key, AGREED))
    }

    /// Returns the text without the `*` that it may end in.
    pub(crate) fn stem(&self) -> &str {
        self.0.strip_suffix('*').unwrap_or(&self.0)
    }

    /// Returns how many characters a wildcard that covers both paths can keep at most.
    ///
    /// It never ends inside a percent triple, nor between the triples of one character, nor at the slash of a bare
    /// directory that is one of the two. Nothing but `/*` covers a tag.
    pub(crate) fn shared_with(&self, other: &Self) -> usize {
        if self.is_tag() || other.is_tag() {
            return 1;
        }
        let both = [self.stem(), other.stem()];
        let mut end = shared_start(both.map(str::as_bytes));
        while !both.iter().all(|text| between_characters(text, end)) {
            end -= 1;
        }
        // What follows is the exception in `covers`. A slash is one character, so the cut stays between characters.
        let bare_directory = both[0][..end].ends_with('/')
            && [self, other].iter().any(|path| !self.cut(end).covers(path));
        (end - usize::from(bare_directory)).max(1)
    }

    /// Returns the wildcard over everything that starts as this path does up to there.
    pub(crate) fn cut(&self, end: usize) -> Self {
        if end <= 1 {
            return Self::everything();
        }
        Self(format!("{}*", &self.0[..end]))
    }

    /// Returns `/`: the root of the site, and nothing below it.
    pub fn root() -> Self {
        Self("/".into())
    }

    /// Returns the paths that cover this one with every query string, too.
    ///
    /// `/a.html*` alone does. Where more than query strings can follow, as in `/dir/` or `/about`, it takes two paths,
    /// `/about` and `/about?*`, to leave the rest of the site alone.
    pub fn with_query_strings(self) -> Vec<Self> {
        if self.is_wildcard() || self.is_tag() {
            return vec![self];
        }
        let name = self.0.rsplit('/').next().unwrap_or_default();
        if name.contains('.') {
            return vec![Self(self.0 + "*")];
        }
        let queried = Self(format!("{}?*", self.0));
        vec![self, queried]
    }
}

/// Counts the bytes that both start with, many at a time: keys can be long, and there can be many.
fn shared_start([a, b]: [&[u8]; 2]) -> usize {
    let (a_chunks, _) = a.as_chunks::<16>();
    let (b_chunks, _) = b.as_chunks::<16>();
    let chunks = a_chunks.iter().zip(b_chunks).take_while(|(a, b)| a == b);
    let start = 16 * chunks.count();
    let rest = a[start..].iter().zip(&b[start..]);
    start + rest.take_while(|(a, b)| a == b).count()
}

/// Tells whether an encoded text can be cut there: not inside a percent triple, not before a continuation byte.
fn between_characters(text: &str, at: usize) -> bool {
    let (before, after) = text.as_bytes().split_at(at);
    let inside_triple = before.iter().rev().take(2).any(|&byte| byte == b'%');
    let continued = matches!(after, [b'%', b'8' | b'9' | b'A' | b'B' | b'a' | b'b', ..]);
    !inside_triple && !continued
}

impl fmt::Display for InvalidationPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for InvalidationPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::parse(text)
    }
}

/// Why a text is no invalidation path, and what to write in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathError {
    /// Nothing but white space.
    Empty,
    /// An asterisk before the end.
    InnerWildcard(String),
    /// A `#` behind the path: a fragment, or a character that must be encoded.
    Fragment(String),
    /// A backslash: browsers turn it into a slash.
    Backslash(String),
    /// A tab, a line break or another control character.
    Control(String),
    /// A `.` or `..` segment: browsers resolve it before they ask.
    DotSegment(String),
    /// A URL of another scheme than http and https.
    Scheme(String),
    /// What looks like a URL that lacks its scheme.
    Host(String),
    /// A tag with a character that CloudFront does not take, or too long.
    Tag(String),
    /// More than [`MAX_PATH_CHARACTERS`], once encoded.
    TooLong(usize),
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the path is empty: write /* for everything"),
            Self::InnerWildcard(text) => {
                write!(
                    f,
                    "{text:?} has a * before its end: CloudFront takes it as the last character only"
                )
            }
            Self::Fragment(text) => {
                write!(
                    f,
                    "{text:?} has a # in it: leave the fragment out, or write %23 for a # in a file's name"
                )
            }
            Self::Backslash(text) => {
                write!(
                    f,
                    "{text:?} has a \\ in it: write / between folders, or %5C for a \\ in a file's name"
                )
            }
            Self::Control(text) => write!(
                f,
                "{text:?} has a control character in it: write one path a line"
            ),
            Self::DotSegment(text) => {
                write!(
                    f,
                    "{text:?} has a . or .. segment, which browsers resolve: write the path that it leads to"
                )
            }
            Self::Scheme(text) => write!(
                f,
                "{text:?} is no http or https URL: write the path alone, such as /a.html"
            ),
            Self::Host(text) => {
                write!(
                    f,
                    "{text:?} looks like a URL without https: in front: write it whole, or the path alone, such as /a.html"
                )
            }
            Self::Tag(text) => write!(
                f,
                "{text:?} is no cache tag: a # and up to {MAX_TAG_CHARACTERS} printable ASCII characters, no comma and no *"
            ),
            Self::TooLong(length) => write!(
                f,
                "the path has {length} characters once encoded, of at most {MAX_PATH_CHARACTERS}: end it earlier with a *"
            ),
        }
    }
}

impl std::error::Error for PathError {}

/// Returns where the first character stands whose spelling is contested, or the first segment that browsers resolve.
fn contested(key: &str) -> Option<usize> {
    let character = key.find(|c: char| {
        c.is_ascii_control() || matches!(c, '*' | '~' | '+' | '?' | '[' | ']' | '|' | '^')
    });
    let mut start = 0;
    let dot_segment = key.split('/').find_map(|segment| {
        let here = start;
        start += segment.len() + 1;
        is_dot_segment(segment).then_some(here)
    });
    character.into_iter().chain(dot_segment).min()
}

fn is_dot_segment(segment: &str) -> bool {
    segment == "." || segment == ".."
}

fn parse_tag(text: &str) -> Result<InvalidationPath, PathError> {
    let tag = &text[1..];
    let taken = |c: char| c.is_ascii_graphic() && c != ',' && c != '*';
    if tag.is_empty() || tag.len() > MAX_TAG_CHARACTERS || !tag.chars().all(taken) {
        return Err(PathError::Tag(text.to_owned()));
    }
    Ok(InvalidationPath(text.to_owned()))
}

fn first_segment(text: &str) -> &str {
    text.split(['/', '?']).next().unwrap_or_default()
}

/// Tells whether a path's first segment is surely meant for a domain name: a file is seldom called so.
fn is_host(segment: &str) -> bool {
    segment.starts_with("www.") || segment.ends_with(".cloudfront.net")
}

/// Reduces `https://host/path?query#fragment` to `/path?query`; leaves what is no URL as it is.
fn without_origin(text: &str) -> Result<&str, PathError> {
    let scheme_relative = text.strip_prefix("//").map(first_segment);
    let hosts = [
        scheme_relative.filter(|it| it.contains('.')),
        Some(first_segment(text)).filter(|it| is_host(it)),
    ];
    if hosts.iter().any(Option::is_some) {
        return Err(PathError::Host(text.to_owned()));
    }
    let Some((scheme, rest)) = text
        .split_once("://")
        .filter(|(scheme, _)| !scheme.contains(['/', '?', '*']))
    else {
        return Ok(text);
    };
    if !["http", "https"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known))
    {
        return Err(PathError::Scheme(text.to_owned()));
    }
    let rest = rest.split('#').next().unwrap_or_default();
    Ok(rest
        .find(['/', '?'])
        .map_or("/", |end_of_host| &rest[end_of_host..]))
}

fn refuse_what_no_viewer_requests(path: &str) -> Result<(), PathError> {
    let text = || path.to_owned();
    if path.strip_suffix('*').unwrap_or(path).contains('*') {
        return Err(PathError::InnerWildcard(text()));
    }
    if path.contains(char::is_control) {
        return Err(PathError::Control(text()));
    }
    if path.contains('#') {
        return Err(PathError::Fragment(text()));
    }
    let (before_query, _) = path.split_once('?').unwrap_or((path, ""));
    if before_query.contains('\\') {
        return Err(PathError::Backslash(text()));
    }
    if before_query.split('/').any(is_dot_segment) {
        return Err(PathError::DotSegment(text()));
    }
    Ok(())
}

/// Encodes what CloudFront wants encoded and is not, and ends the path in `*` before the first contested character.
fn encode_as_written(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len());
    let mut in_query = false;
    for (at, character) in path.char_indices() {
        match character {
            '%' => match triple(&path[at..]) {
                Some(byte) if agreed_to_be_encoded(byte) => encoded.push('%'),
                // "Do not encode any other characters, or CloudFront will not invalidate."
                Some(_) => return encoded + "*",
                None => encoded.push_str("%25"),
            },
            ' ' | '~' | '[' | ']' | '|' | '^' => return encoded + "*",
            // In a query, browsers leave these as they are, but for the apostrophe, which they encode only there.
            '`' | '{' | '}' | '\\' | '\'' if in_query => return encoded + "*",
            _ => {
                in_query |= character == '?';
                encoded.extend(utf8_percent_encode(
                    character.encode_utf8(&mut [0; 4]),
                    AGREED,
                ));
            }
        }
    }
    encoded
}

/// Returns the byte that `text` starts with in percent encoding, if it does.
fn triple(text: &str) -> Option<u8> {
    let digits = text
        .get(1..3)
        .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
    u8::from_str_radix(digits, 16).ok()
}

fn agreed_to_be_encoded(byte: u8) -> bool {
    !byte.is_ascii_control() && percent_encode(&[byte], AGREED).any(|piece| piece.starts_with('%'))
}

#[cfg(test)]
mod tests;
