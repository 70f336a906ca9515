//! Reads lists with one entry on each line.
//!
//! In a list of paths, a `#` alone or before white space starts a comment, which needs a line of its own. A `#` before
//! anything else starts a cache tag. Keys are read as they are, because white space and `#` can be part of them; only a
//! leading `/` or `./`, which programs that list files write, is removed.

use crate::cli::format::counted;
use crate::path::EncodedPaths;

/// What a list of files can begin each line with, and a key does not.
const ROOTS: [&str; 2] = ["./", "/"];

/// Parses paths. The error contains the number of the line.
pub(super) fn parse_paths(text: &str) -> Result<EncodedPaths, String> {
    let mut paths = EncodedPaths::default();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || is_comment(line) {
            continue;
        }
        let path = EncodedPaths::parse(line).map_err(|error| {
            let hint = if line.starts_with('#') {
                " (a comment needs a space after the #)"
            } else {
                ""
            };
            format!("line {}: {error}{hint}", index.saturating_add(1))
        })?;
        paths.extend(path);
    }
    Ok(paths)
}

fn is_comment(line: &str) -> bool {
    line.strip_prefix('#')
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
}

/// Object keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Keys {
    pub keys: Vec<String>,
    /// What was removed from them.
    pub note: Option<String>,
}

/// Parses keys; empty lines are skipped, and a line can end in CRLF. The error contains the number of the line.
pub(super) fn parse_keys(text: &str) -> Result<Keys, String> {
    let mut keys = Vec::new();
    let mut with_root = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.is_empty() {
            continue;
        }
        let root = ROOTS.into_iter().find(|root| line.starts_with(root));
        let key = root.and_then(|root| line.strip_prefix(root));
        let key = key.unwrap_or(line);
        if let Some(mistake) = mistake(key) {
            let number = index.saturating_add(1);
            return Err(format!("line {number}: {line:?} is not a key: {mistake}"));
        }
        with_root.extend(root.map(|root| (root, line)));
        keys.push(key.to_owned());
    }
    let note = with_root.first().map(|(root, first)| {
        let count = counted(with_root.len(), "key");
        format!("read {count} without the leading {root}, such as {first}")
    });
    Ok(Keys { keys, note })
}

/// Returns what to write instead of something that is certainly not meant as a key: its path would match nothing.
fn mistake(key: &str) -> Option<&'static str> {
    if key.is_empty() {
        Some("write the path of a file below the root of the bucket")
    } else if key.starts_with("s3://") {
        Some("write it without s3:// and the bucket, and name the bucket with --bucket")
    } else if key.starts_with("https://") || key.starts_with("http://") {
        Some("give URLs with --paths-from")
    } else if key.contains('\t') {
        Some("write each key on a line of its own, without tabs")
    } else if key.len() > 1 && key.starts_with('"') && key.ends_with('"') && key.contains('\\') {
        Some("it is quoted: use `git -c core.quotePath=false`")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinguishes_comments_cache_tags_and_paths() {
        let parse = |text: &str| {
            let paths = parse_paths(text)?.paths;
            Ok(paths.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        for (text, expected) in [
            ("/a\r\n\r\n  /b  \n\t\nc", Ok(vec!["/a", "/b", "/c"])),
            (
                "# a comment\n#\n#\ta comment\n  # indented\n/a",
                Ok(vec!["/a"]),
            ),
            (
                "#tag\n #Product:42 \n##x",
                Ok(vec!["#tag", "#Product:42", "##x"]),
            ),
            ("/caf\u{e9}\n/100%25", Ok(vec!["/caf%C3%A9", "/100%25"])),
            ("", Ok(vec![])),
            (
                "/a\n#no space here",
                Err(
                    "line 2: \"#no space here\" is not a cache tag: write a # and 1 to 256 printable ASCII characters, \
                     without spaces, commas and * (a comment needs a space after the #)",
                ),
            ),
            (
                "/a # behind",
                Err(
                    "line 1: \"/a # behind\" contains a #: remove the fragment, or write %23 for a # in a file name",
                ),
            ),
            (
                "/a\nv1.2/*",
                Err(
                    "line 2: \"v1.2/*\" can begin with a domain name or with a folder: write https://v1.2/* or /v1.2/*",
                ),
            ),
            (
                "\n/*/a",
                Err(
                    "line 2: \"/*/a\" has a * before its end: CloudFront accepts a * only as the last character",
                ),
            ),
        ] {
            let expected =
                expected.map(|paths| paths.iter().map(|path| (*path).to_owned()).collect());
            assert_eq!(parse(text), expected.map_err(str::to_owned), "{text:?}");
        }
    }

    #[test]
    fn reads_keys_without_the_root_of_a_list_of_files() {
        let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
        for (text, expected, note) in [
            (
                "a b.html\r\n\n leading\ntrailing \n#1.html\n%41\nexample.com/a\n\"a\"\n",
                keys(&[
                    "a b.html",
                    " leading",
                    "trailing ",
                    "#1.html",
                    "%41",
                    "example.com/a",
                    "\"a\"",
                ]),
                None,
            ),
            ("", vec![], None),
            (
                "/a.html\nb.html\n/blog/c.html\n",
                keys(&["a.html", "b.html", "blog/c.html"]),
                Some("read 2 keys without the leading /, such as /a.html"),
            ),
            (
                "./a.html\r\n.hidden\n",
                keys(&["a.html", ".hidden"]),
                Some("read 1 key without the leading ./, such as ./a.html"),
            ),
            // The second slash belongs to the key.
            (
                "//a.html",
                keys(&["/a.html"]),
                Some("read 1 key without the leading /, such as //a.html"),
            ),
        ] {
            let note = note.map(str::to_owned);
            let expected = Keys {
                keys: expected,
                note,
            };
            assert_eq!(parse_keys(text), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn rejects_what_is_certainly_not_a_key() {
        for (text, message) in [
            (
                "a\n\n/\n",
                "line 3: \"/\" is not a key: write the path of a file below the root of the bucket",
            ),
            (
                "s3://site/a.html",
                "line 1: \"s3://site/a.html\" is not a key: write it without s3:// and the bucket, and name the bucket \
                 with --bucket",
            ),
            (
                "https://www.example.com/a",
                "line 1: \"https://www.example.com/a\" is not a key: give URLs with --paths-from",
            ),
            // The text output of `aws s3api list-objects-v2 --query 'Contents[].Key'`.
            (
                "a.html\tb.html",
                "line 1: \"a.html\\tb.html\" is not a key: write each key on a line of its own, without tabs",
            ),
            // The output of `git diff --name-only`.
            (
                "\"caf\\303\\251.html\"",
                "line 1: \"\\\"caf\\\\303\\\\251.html\\\"\" is not a key: it is quoted: use `git -c \
                 core.quotePath=false`",
            ),
        ] {
            assert_eq!(parse_keys(text), Err(message.to_owned()), "{text:?}");
        }
    }
}
