//! `InvalidationPath`: a path, a prefix or a cache tag to invalidate, in a spelling that CloudFront acts on.
//!
//! CloudFront reports success for a path that is not cached, so a wrong spelling is a silent error. Its [rule][rule]
//! is to encode non-ASCII characters and those that RFC 1738 calls unsafe, and no others, "or CloudFront won't
//! invalidate". Viewers differ: [browsers][url] leave `[`, `]`, `|`, `^` and `~` as they are; S3 clients leave only
//! letters, digits and `-_.~/`; a plus in a key is only reachable as `%2B`, which the rule forbids, because S3 decodes
//! `+` to a space.
//!
//! A key becomes one path for each spelling that viewers use. If CloudFront may ignore a spelling (an ambiguous
//! encoding), the path becomes a wildcard that ends before it: more is invalidated, never less. [`EncodedPaths`] names
//! these wildcards and their reasons.
//!
//! [rule]: https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/invalidation-specifying-objects.html
//! [url]: https://url.spec.whatwg.org/#path-percent-encode-set

mod encoded;
mod host;
mod index;
pub(crate) mod mistake;

use std::fmt;
use std::iter;
use std::sync::Arc;

pub use self::encoded::{EncodedPaths, Uncertainty, Widened, widened_note};
pub(crate) use self::host::host;
pub use self::index::PathIndex;

use percent_encoding::{AsciiSet, CONTROLS, percent_encode, utf8_percent_encode};
use serde::{Deserialize, Serialize, Serializer};

/// The most characters that CloudFront accepts in one path.
pub const MAX_PATH_CHARACTERS: usize = 4_000;

/// The most characters that CloudFront accepts in one cache tag.
pub const MAX_TAG_CHARACTERS: usize = 256;

/// The ASCII characters that browsers, S3 clients and CloudFront all encode in a path. All of them also encode every
/// byte beyond ASCII.
const ALWAYS_ENCODED: &AsciiSet = &CONTROLS
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

/// Returns whether some viewers encode the character, while browsers and CloudFront do not.
const fn is_reserved(byte: u8) -> bool {
    matches!(
        byte,
        b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b',' | b':' | b';' | b'=' | b'@'
    )
}

/// The ways in which viewers encode a key. They differ in the reserved characters that they leave unencoded.
const ENCODERS: [&AsciiSet; 4] = [
    // Browsers, and CloudFront's rule.
    ALWAYS_ENCODED,
    // S3 clients.
    &encoding_reserved_except(b""),
    // `encodeURIComponent` of ECMAScript.
    &encoding_reserved_except(b"!'()"),
    // `url.PathEscape` of Go, and other encoders that follow RFC 3986 in the same way.
    &encoding_reserved_except(b"$&:=@"),
];

const fn encoding_reserved_except(unencoded: &[u8]) -> AsciiSet {
    // Adding what it has already copies the set.
    let mut set = ALWAYS_ENCODED.add(b' ');
    let mut byte = 0;
    while byte < 128 {
        if is_reserved(byte) {
            set = set.add(byte);
        }
        byte += 1;
    }
    let mut unencoded = unencoded;
    while let [byte, rest @ ..] = unencoded {
        set = set.remove(*byte);
        unencoded = rest;
    }
    set
}

/// The most spellings of a key that are sent. A key with more of them becomes a wildcard.
const MAX_SPELLINGS: usize = 4;

/// A path, a prefix (`/dir/*`) or a cache tag (`#tag`) to invalidate, validated and encoded when it is created.
///
/// Paths are ordered and compared by their text. Clones share it: a batch has up to 40,000 paths of 1,024 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InvalidationPath(Arc<str>);

impl InvalidationPath {
    /// Returns `/*`: everything that the distribution has cached, including objects with a cache tag.
    pub fn everything() -> Self {
        Self("/*".into())
    }

    /// Returns `/`: the root of the site, and nothing below it.
    pub fn root() -> Self {
        Self("/".into())
    }

    /// Returns the paths of [`EncodedPaths::of_key`] without the reason if they are a wildcard.
    pub fn from_object_key(key: &str) -> Vec<Self> {
        EncodedPaths::of_key(key).paths
    }

    /// Returns the spellings of a key, or why one wildcard has to replace them.
    fn spellings_of_key(key: &str) -> Result<Vec<Self>, Uncertainty> {
        // Wildcard rule: a key with an ambiguous encoding.
        if key.is_empty() {
            return Err(Uncertainty::EmptyKey);
        }
        if let Some((_, uncertainty)) = ambiguous_encoding(key) {
            return Err(uncertainty);
        }
        // Most keys have one spelling, and a batch can have 100,000 keys.
        let encoders = match first_with_several_spellings(key) {
            None => &ENCODERS[..1],
            Some(_) => &ENCODERS[..],
        };
        let mut paths = Vec::with_capacity(1);
        for encoder in encoders {
            let path = encoded_key(key, encoder);
            // Every "%" here starts a percent-encoded byte, so "%20" is always a space.
            let with_plus = key.contains(' ').then(|| path.replace("%20", "+"));
            for path in iter::once(path).chain(with_plus) {
                if !paths.contains(&path) {
                    paths.push(path);
                }
            }
        }
        let fits = |path: &String| path.len() <= MAX_PATH_CHARACTERS;
        // Wildcard rule: a key with too many spellings, or one that is too long once it is encoded.
        if paths.len() > MAX_SPELLINGS {
            return Err(Uncertainty::Spellings);
        }
        if !paths.iter().all(fits) {
            return Err(Uncertainty::TooLong);
        }
        Ok(paths.into_iter().map(|path| Self(path.into())).collect())
    }

    /// Returns the longest wildcard that covers the key and all keys that start with it, in every spelling.
    fn wildcard_for_key(key: &str) -> Self {
        let longest = key.floor_char_boundary((MAX_PATH_CHARACTERS - "/*".len()) / "%20".len());
        let several_spellings = first_with_several_spellings(key);
        let ambiguous = ambiguous_encoding(key).map(|(start, _)| start);
        let end = [several_spellings, ambiguous]
            .into_iter()
            .flatten()
            .fold(longest, usize::min);
        let prefix = key.get(..end).unwrap_or_default();
        Self(format!("/{}*", utf8_percent_encode(prefix, ALWAYS_ENCODED)).into())
    }

    /// Returns the path of [`EncodedPaths::parse`] without the reason if it became a wildcard.
    ///
    /// # Errors
    ///
    /// Returns a [`PathError`], whose text describes what is wrong and what to write instead.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        parse_written(text).map(|(path, _)| path)
    }

    /// Returns the text that is sent to CloudFront.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether the path ends in `*`, and so counts towards CloudFront's quota of wildcards in progress.
    pub fn is_wildcard(&self) -> bool {
        is_wildcard(&self.0)
    }

    /// Returns whether this is a cache tag and not a path.
    pub fn is_tag(&self) -> bool {
        self.0.starts_with('#')
    }

    /// Returns whether this path certainly invalidates everything that `other` invalidates.
    ///
    /// `/dir/*` does not cover `/dir/`: the documentation implies that it does, but it was observed not to.
    pub fn covers(&self, other: &Self) -> bool {
        covers(&self.0, &other.0)
    }

    /// Returns the path of a key in the spelling that CloudFront documents, even if its encoding is ambiguous.
    ///
    /// It is only for counting and for matching path patterns. Do not send it.
    pub(crate) fn documented_spelling(key: &str) -> String {
        encoded_key(key, ALWAYS_ENCODED)
    }

    /// Returns the text without a final `*`.
    pub(crate) fn stem(&self) -> &str {
        self.0.strip_suffix('*').unwrap_or(&self.0)
    }

    /// Returns the length of the longest prefix whose wildcard covers both paths.
    ///
    /// The prefix does not end inside a percent-encoded byte, between the triples of one character, or at the slash of a
    /// bare directory that is one of the two. Only `/*` covers a tag.
    pub(crate) fn shared_prefix_len(&self, other: &Self) -> usize {
        if self.is_tag() || other.is_tag() {
            return 1;
        }
        let stems = [self.stem(), other.stem()];
        let end = (0..=shared_bytes(stems.map(str::as_bytes)))
            .rev()
            .find(|&end| stems.iter().all(|stem| is_between_characters(stem, end)))
            .unwrap_or_default();
        // The exception in `covers`. The prefix ends in a slash then, which is one character, so that the prefix without
        // it still ends between characters.
        let misses_bare_directory = [self, other].iter().any(|path| {
            let parts = path.0.split_at_checked(end);
            parts.is_some_and(|(prefix, rest)| !covers_after_prefix(prefix, rest))
        });
        end.saturating_sub(usize::from(misses_bare_directory))
            .max(1)
    }

    /// Returns the wildcard for the first `len` bytes of this path.
    pub(crate) fn truncated_wildcard(&self, len: usize) -> Self {
        match self.0.get(..len) {
            Some(prefix) if len > 1 => Self(format!("{prefix}*").into()),
            _ => Self::everything(),
        }
    }

    /// Returns the path with a wildcard behind it, `/a.html*`; `/dir/` and `/dir/*`, because the latter does not cover the
    /// former. `/` is the home page: it stays alone, and so does a wildcard, a cache tag, or a path of the maximum length.
    #[cfg(feature = "cli")]
    pub(crate) fn with_wildcard_behind(self) -> Vec<Self> {
        let is_complete = self.is_wildcard() || self.is_tag() || *self.0 == *"/";
        if is_complete || self.0.len() >= MAX_PATH_CHARACTERS {
            return vec![self];
        }
        let wildcard = self.truncated_wildcard(self.0.len());
        if self.0.ends_with('/') {
            vec![self, wildcard]
        } else {
            vec![wildcard]
        }
    }

    /// Takes a path that CloudFront accepted before, as it is.
    #[cfg(feature = "cli")]
    pub(crate) fn accepted_before(path: &SubmittedPath) -> Self {
        Self(Arc::clone(&path.0))
    }

    /// Returns the paths that cover this path with and without query strings.
    ///
    /// `/a.html*` covers both. In `/dir/` and `/about`, other paths can follow, so two paths (`/about` and `/about?*`)
    /// are needed to avoid invalidating them.
    pub fn with_query_strings(self) -> Vec<Self> {
        if self.is_wildcard() || self.is_tag() {
            return vec![self];
        }
        // Wildcard rule: a path that is cached by query string.
        let name = self.0.rsplit('/').next().unwrap_or_default();
        if name.contains('.') {
            return vec![Self(format!("{}*", self.0).into())];
        }
        let with_query = Self(format!("{}?*", self.0).into());
        vec![self, with_query]
    }
}

impl fmt::Display for InvalidationPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for InvalidationPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// A path of an existing invalidation, as CloudFront returns it. It is not validated.
///
/// It is a type of its own so that text from outside cannot become an [`InvalidationPath`] without
/// [`InvalidationPath::parse`]. Clones share the text.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct SubmittedPath(Arc<str>);

impl SubmittedPath {
    /// Returns the text that CloudFront returned.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether the path ends in `*`.
    pub fn is_wildcard(&self) -> bool {
        is_wildcard(&self.0)
    }

    /// Returns whether this path certainly invalidates everything that `path` invalidates, by the same rules as
    /// [`InvalidationPath::covers`].
    pub fn covers(&self, path: &str) -> bool {
        covers(&self.0, path)
    }
}

impl From<String> for SubmittedPath {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl Serialize for SubmittedPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl From<&InvalidationPath> for SubmittedPath {
    fn from(path: &InvalidationPath) -> Self {
        Self(Arc::clone(&path.0))
    }
}

/// Returns the path of a key in one spelling.
fn encoded_key(key: &str, encoder: &'static AsciiSet) -> String {
    let mut path = String::with_capacity("/".len() + key.len());
    path.push('/');
    path.extend(utf8_percent_encode(key, encoder));
    path
}

/// Returns the index of the first character that viewers spell differently. A key without one has a single spelling,
/// unless its encoding is ambiguous.
fn first_with_several_spellings(key: &str) -> Option<usize> {
    key.bytes()
        .position(|byte| byte == b' ' || is_reserved(byte))
}

fn is_wildcard(path: &str) -> bool {
    path.ends_with('*')
}

/// Returns whether `path` certainly invalidates everything that `other` invalidates.
fn covers(path: &str, other: &str) -> bool {
    if path.starts_with('#') {
        // CloudFront ignores the case of a tag.
        return path.eq_ignore_ascii_case(other);
    }
    match path.strip_suffix('*') {
        None => path == other,
        Some("/") => true,
        Some(prefix) => other
            .strip_prefix(prefix)
            .is_some_and(|rest| covers_after_prefix(prefix, rest)),
    }
}

/// Returns whether the wildcard with this prefix covers a path that consists of the prefix and `rest`. It does not cover
/// the prefix itself if that is a directory: `/dir/*` does not cover `/dir/` and `/dir/?a=b`.
fn covers_after_prefix(prefix: &str, rest: &str) -> bool {
    !prefix.ends_with('/') || !(rest.is_empty() || rest.starts_with('?'))
}

/// Returns how many bytes the texts have in common at their start.
///
/// It compares 16 bytes at a time: a plan compares up to 100,000 keys of up to 1,024 bytes.
fn shared_bytes([a, b]: [&[u8]; 2]) -> usize {
    let (a_chunks, _) = a.as_chunks::<16>();
    let (b_chunks, _) = b.as_chunks::<16>();
    let equal_chunks = a_chunks.iter().zip(b_chunks).take_while(|(a, b)| a == b);
    let start = 16 * equal_chunks.count();
    let [a_rest, b_rest] = [a, b].map(|text| text.get(start..).unwrap_or_default());
    let equal_bytes = a_rest.iter().zip(b_rest).take_while(|(a, b)| a == b);
    start + equal_bytes.count()
}

/// Returns whether `end` is between two characters of an encoded text: not inside a percent-encoded byte, and not before the
/// triple of a UTF-8 continuation byte.
fn is_between_characters(text: &str, end: usize) -> bool {
    let Some((before, after)) = text.as_bytes().split_at_checked(end) else {
        return false;
    };
    let inside_triple = before.iter().rev().take(2).any(|&byte| byte == b'%');
    let before_continuation = matches!(after, [b'%', b'8' | b'9' | b'A' | b'B' | b'a' | b'b', ..]);
    !inside_triple && !before_continuation
}

/// The reason why a text is not an invalidation path. The text of the error contains what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathError {
    /// The text is empty or white space.
    Empty,
    /// There is an asterisk before the end.
    InnerWildcard(String),
    /// There is a `#` behind the path: a fragment, or a character that must be encoded.
    Fragment(String),
    /// There is a backslash, which browsers turn into a slash.
    Backslash(String),
    /// There is a tab, a line break or another control character.
    Control(String),
    /// There is this invisible character, which text often contains unnoticed after it was copied.
    Invisible(String, char),
    /// There is a `.` or `..` segment, which browsers resolve before they send a request.
    DotSegment(String),
    /// The text is a URL whose scheme is not http or https.
    Scheme(String),
    /// The text certainly is a URL without a scheme.
    Host(String),
    /// The first segment can be a domain name or a folder.
    HostOrFolder(String),
    /// The tag is too long or contains a character that CloudFront does not accept.
    Tag(String),
    /// The encoded path has this many characters, more than [`MAX_PATH_CHARACTERS`].
    TooLong(usize),
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the path is empty: write /* for everything"),
            Self::InnerWildcard(text) => write!(
                f,
                "{text:?} has a * before its end: CloudFront accepts a * only as the last character"
            ),
            Self::Fragment(text) => write!(
                f,
                "{text:?} contains a #: remove the fragment, or write %23 for a # in a file name"
            ),
            Self::Backslash(text) => write!(
                f,
                "{text:?} contains a \\: write / between folders, or %5C for a \\ in a file name"
            ),
            Self::Control(text) => write!(
                f,
                "{text:?} contains a control character: write one path per line"
            ),
            Self::Invisible(text, character) => write!(
                f,
                "{text:?} contains the invisible character U+{:04X}: remove it, or write {} if it belongs to the path",
                u32::from(*character),
                utf8_percent_encode(character.encode_utf8(&mut [0; 4]), ALWAYS_ENCODED)
            ),
            Self::DotSegment(text) => write!(
                f,
                "{text:?} contains a . or .. segment, which browsers resolve: write the resolved path"
            ),
            Self::Scheme(text) => write!(
                f,
                "{text:?} is not an http or https URL: write only the path, such as /a.html"
            ),
            Self::Host(text) => write!(
                f,
                "{text:?} looks like a URL without https://: write the full URL, or only the path, such as /a.html"
            ),
            Self::HostOrFolder(text) => write!(
                f,
                "{text:?} can begin with a domain name or with a folder: write https://{text} or /{text}"
            ),
            Self::Tag(text) => write!(
                f,
                "{text:?} is not a cache tag: write a # and 1 to {MAX_TAG_CHARACTERS} printable ASCII characters, without \
                 spaces, commas and *"
            ),
            Self::TooLong(length) => write!(
                f,
                "the encoded path has {length} characters, more than the maximum of {MAX_PATH_CHARACTERS}: end it earlier \
                 with a *"
            ),
        }
    }
}

impl std::error::Error for PathError {}

/// Returns where the first character with an ambiguous encoding is, or the first segment that browsers resolve.
fn ambiguous_encoding(key: &str) -> Option<(usize, Uncertainty)> {
    let is_ambiguous = |byte: u8| {
        byte.is_ascii_control()
            || matches!(byte, b'*' | b'~' | b'+' | b'?' | b'[' | b']' | b'|' | b'^')
    };
    // All of them are ASCII, and no byte of another character is.
    let mut bytes = key.bytes().enumerate();
    let character = bytes.find(|(_, byte)| is_ambiguous(*byte));
    let character =
        character.map(|(start, byte)| (start, Uncertainty::Character(char::from(byte))));
    let mut next_start = 0;
    let mut segments = key.as_bytes().split(|byte| *byte == b'/');
    let dot_segment = segments.find_map(|segment| {
        let start = next_start;
        next_start += segment.len() + 1;
        is_dot_segment(segment).then_some((start, Uncertainty::DotSegment))
    });
    let found = character.into_iter().chain(dot_segment);
    found.min_by_key(|(start, _)| *start)
}

fn is_dot_segment(segment: &[u8]) -> bool {
    matches!(segment, b"." | b"..")
}

/// Parses a path that a user wrote. Returns the reason if it becomes a wildcard.
fn parse_written(text: &str) -> Result<(InvalidationPath, Option<Widened>), PathError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(PathError::Empty);
    }
    if let Some(tag) = text.strip_prefix('#') {
        return Ok((parse_tag(tag)?, None));
    }
    if let Some(character) = text.chars().find(|character| is_invisible(*character)) {
        return Err(PathError::Invisible(text.to_owned(), character));
    }
    let written = without_scheme_and_host(text)?;
    let written = if written.starts_with('/') {
        written.to_owned()
    } else {
        format!("/{written}")
    };
    reject_unrequestable(&written)?;
    let (path, uncertainty) = encode_as_written(&written);
    if path.len() > MAX_PATH_CHARACTERS {
        return Err(PathError::TooLong(path.len()));
    }
    let path = InvalidationPath(path.into());
    let widened = uncertainty.map(|uncertainty| Widened {
        written,
        to: path.clone(),
        uncertainty,
    });
    Ok((path, widened))
}

/// Returns whether a character is shown nowhere and belongs to no name: spaces without a width, marks of the direction of
/// text, the byte order mark. U+200C and U+200D are none of them, because some scripts need them.
pub(crate) fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{200b}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2064}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}'
    )
}

/// Parses what follows the `#` of a cache tag.
fn parse_tag(tag: &str) -> Result<InvalidationPath, PathError> {
    let text = format!("#{tag}");
    let is_allowed = |c: char| c.is_ascii_graphic() && c != ',' && c != '*';
    if tag.is_empty() || tag.len() > MAX_TAG_CHARACTERS || !tag.chars().all(is_allowed) {
        return Err(PathError::Tag(text));
    }
    Ok(InvalidationPath(text.into()))
}

fn first_segment(text: &str) -> &str {
    text.split(['/', '?']).next().unwrap_or_default()
}

/// Returns whether a path's first segment is certainly a domain name: files rarely have such names.
fn is_host(segment: &str) -> bool {
    segment.starts_with("www.") || segment.ends_with(".cloudfront.net")
}

/// Returns whether a text without a scheme begins with a segment that can be a domain name: it contains a dot, and a slash
/// follows. No domain name begins with a dot, as `.well-known/` does.
fn can_begin_with_host(text: &str) -> bool {
    text.split_once('/').is_some_and(|(segment, _)| {
        segment.contains('.')
            && !segment.starts_with('.')
            && !segment.contains(['?', '#', '*', '\\'])
    })
}

/// Reduces `https://host/path?query#fragment` to `/path?query`. Returns other text unchanged.
fn without_scheme_and_host(text: &str) -> Result<&str, PathError> {
    let scheme_relative = text.strip_prefix("//").map(first_segment);
    if scheme_relative.is_some_and(|host| host.contains('.')) || is_host(first_segment(text)) {
        return Err(PathError::Host(text.to_owned()));
    }
    let Some((scheme, rest)) = text
        .split_once("://")
        .filter(|(scheme, _)| !scheme.contains(['/', '?', '*']))
    else {
        return if can_begin_with_host(text) {
            Err(PathError::HostOrFolder(text.to_owned()))
        } else {
            Ok(text)
        };
    };
    if !["http", "https"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known))
    {
        return Err(PathError::Scheme(text.to_owned()));
    }
    let rest = rest.split('#').next().unwrap_or_default();
    let path = rest
        .find(['/', '?'])
        .and_then(|end_of_host| rest.get(end_of_host..));
    Ok(path.unwrap_or("/"))
}

/// Rejects a path that no viewer can request as it is written.
fn reject_unrequestable(path: &str) -> Result<(), PathError> {
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
    if before_query
        .split('/')
        .any(|segment| is_dot_segment(segment.as_bytes()))
    {
        return Err(PathError::DotSegment(text()));
    }
    Ok(())
}

/// Encodes the characters that CloudFront requires to be encoded, and keeps percent-encoded bytes. Returns a wildcard
/// that ends before an ambiguous encoding, with the reason.
fn encode_as_written(path: &str) -> (String, Option<Uncertainty>) {
    let mut encoded = String::with_capacity(path.len());
    let mut in_query = false;
    let mut characters = path.chars();
    while let Some(character) = characters.next() {
        match character {
            '%' => match percent_triple(characters.as_str()) {
                Some(byte) if is_always_encoded(byte) => encoded.push('%'),
                // Wildcard rule: an encoded character that CloudFront requires to be unencoded.
                Some(_) => {
                    let digits = characters.as_str().get(..2).unwrap_or_default();
                    let uncertainty = Uncertainty::EncodedCharacter(format!("%{digits}"));
                    return (encoded + "*", Some(uncertainty));
                }
                None => encoded.push_str("%25"),
            },
            // Wildcard rule: a character with an ambiguous encoding.
            ' ' | '~' | '[' | ']' | '|' | '^' => {
                return (encoded + "*", Some(Uncertainty::Character(character)));
            }
            // Wildcard rule: in a query, browsers encode the apostrophe, and leave the others unencoded.
            '`' | '{' | '}' | '\\' | '\'' if in_query => {
                return (encoded + "*", Some(Uncertainty::Character(character)));
            }
            _ => {
                in_query |= character == '?';
                encoded.extend(utf8_percent_encode(
                    character.encode_utf8(&mut [0; 4]),
                    ALWAYS_ENCODED,
                ));
            }
        }
    }
    (encoded, None)
}

/// Returns the byte that a percent sign and the start of `following` encode, if they are a percent-encoded byte.
fn percent_triple(following: &str) -> Option<u8> {
    let digits = following
        .get(..2)
        .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
    u8::from_str_radix(digits, 16).ok()
}

fn is_always_encoded(byte: u8) -> bool {
    !byte.is_ascii_control()
        && percent_encode(&[byte], ALWAYS_ENCODED).any(|piece| piece.starts_with('%'))
}

#[cfg(test)]
mod tests;
