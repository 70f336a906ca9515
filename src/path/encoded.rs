//! `EncodedPaths`: the paths for a key or for a text that a user wrote, and why some of them became wildcards.
//!
//! A wildcard also drops copies of unchanged objects. So each one that replaces an uncertain spelling is named in the
//! outcome, with its reason.

use std::fmt;

use super::{InvalidationPath, MAX_PATH_CHARACTERS, MAX_SPELLINGS, PathError, parse_written};
use crate::excerpt::{Excerpt, MAX_NOTED};

/// The most characters of a path that a note repeats.
const MAX_CHARACTERS_IN_NOTE: usize = 100;

/// The paths for keys or for texts that a user wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncodedPaths {
    /// The paths to invalidate.
    pub paths: Vec<InvalidationPath>,
    /// Those of the paths that replace an uncertain spelling.
    pub widened: Vec<Widened>,
}

impl EncodedPaths {
    /// Returns the paths under which viewers may have cached the object with this (decoded) key.
    ///
    /// The first is the spelling that CloudFront documents. The others are those of viewers that encode more (`%40` for
    /// `@`) or that encode a space as a plus. If the key contains an ambiguous encoding, has more than four spellings
    /// or is too long, the result is a single wildcard.
    pub fn of_key(key: &str) -> Self {
        match InvalidationPath::spellings_of_key(key) {
            Ok(paths) => Self {
                paths,
                widened: Vec::new(),
            },
            Err(uncertainty) => {
                let to = InvalidationPath::wildcard_for_key(key);
                Self {
                    paths: vec![to.clone()],
                    widened: vec![Widened {
                        written: format!("/{key}"),
                        to,
                        uncertainty,
                    }],
                }
            }
        }
    }

    /// Parses a path that a user wrote: `/about.html`, `blog/*`, `#product:42`, `https://www.example.com/a?b=1`.
    ///
    /// Removes surrounding white space, adds a missing leading slash, reduces a URL to its path and query, and keeps
    /// percent triples as they are. A character with an ambiguous encoding (a space, `~`, `[`; `%7E`, `%2A`) turns the
    /// path into a wildcard that ends before it.
    ///
    /// # Errors
    ///
    /// Returns a [`PathError`], whose text describes what is wrong and what to write instead. Without a leading slash,
    /// `example.com/a` is refused, because its first segment can be a domain name or a folder.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let (path, widened) = parse_written(text)?;
        Ok(Self {
            paths: vec![path],
            widened: widened.into_iter().collect(),
        })
    }

    /// Returns `/*`, as [`InvalidationPath::everything`] does.
    pub fn everything() -> Self {
        InvalidationPath::everything().into()
    }

    /// Returns `/`, as [`InvalidationPath::root`] does.
    pub fn root() -> Self {
        InvalidationPath::root().into()
    }

    /// Adds the paths for another key or text.
    pub fn extend(&mut self, other: Self) {
        self.paths.extend(other.paths);
        self.widened.extend(other.widened);
    }
}

/// A path that is not widened.
impl From<InvalidationPath> for EncodedPaths {
    fn from(path: InvalidationPath) -> Self {
        Self {
            paths: vec![path],
            widened: Vec::new(),
        }
    }
}

impl FromIterator<EncodedPaths> for EncodedPaths {
    fn from_iter<I: IntoIterator<Item = EncodedPaths>>(all: I) -> Self {
        let mut paths = Self::default();
        all.into_iter().for_each(|encoded| paths.extend(encoded));
        paths
    }
}

/// A wildcard that replaces an uncertain spelling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Widened {
    /// The path that was written, or the key with a leading slash.
    pub written: String,
    /// The wildcard.
    pub to: InvalidationPath,
    /// Why the spelling is uncertain.
    pub uncertainty: Uncertainty,
}

/// Why it is uncertain which spelling of a path CloudFront acts on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Uncertainty {
    /// A character with an ambiguous encoding.
    Character(char),
    /// A percent-encoded character that CloudFront requires to be unencoded, as it was written.
    EncodedCharacter(String),
    /// A `.` or `..` segment.
    DotSegment,
    /// More spellings than are sent.
    Spellings,
    /// The encoded path is longer than CloudFront accepts.
    TooLong,
    /// The key is empty.
    EmptyKey,
}

/// Returns a note for users about the widened paths: the first five and the number of the others.
pub fn widened_note<'a>(widened: impl IntoIterator<Item = &'a Widened>) -> Option<String> {
    let excerpt: Excerpt<MAX_NOTED> = widened.into_iter().collect();
    (excerpt.count() > 0).then(|| excerpt.join("; "))
}

impl fmt::Display for Widened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            written,
            to,
            uncertainty,
        } = self;
        // Quoted, because it can contain spaces and control characters.
        match written.char_indices().nth(MAX_CHARACTERS_IN_NOTE) {
            None => write!(f, "{written:?}")?,
            Some((end, _)) => write!(f, "{:?}…", written.get(..end).unwrap_or_default())?,
        }
        let to: String = to.as_str().chars().take(MAX_CHARACTERS_IN_NOTE).collect();
        let to = match to.strip_suffix('*') {
            Some(_) => to,
            None => format!("{to}…*"),
        };
        write!(f, " widened to {to}: {uncertainty}")
    }
}

impl fmt::Display for Uncertainty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Character('~') => f.write_str("CloudFront refuses ~"),
            Self::Character('*') => f.write_str("CloudFront reads * as a wildcard"),
            Self::Character('+') => {
                f.write_str("S3 needs %2B for +, which CloudFront possibly does not match")
            }
            Self::Character('?') => {
                f.write_str("viewers need %3F for ?, which CloudFront possibly does not match")
            }
            Self::Character(' ') => f.write_str("viewers encode a space as %20 or as +"),
            Self::Character(character) if character.is_ascii_control() => {
                f.write_str("CloudFront possibly does not match a control character")
            }
            Self::Character(character) => {
                write!(f, "viewers and CloudFront encode {character} differently")
            }
            Self::EncodedCharacter(triple) => {
                write!(
                    f,
                    "CloudFront possibly does not match the encoding {triple}"
                )
            }
            Self::DotSegment => f.write_str("browsers resolve . and .. segments"),
            Self::Spellings => write!(f, "it has more than {MAX_SPELLINGS} spellings"),
            Self::TooLong => write!(
                f,
                "the encoded path has more than {MAX_PATH_CHARACTERS} characters"
            ),
            Self::EmptyKey => f.write_str("the key is empty"),
        }
    }
}
