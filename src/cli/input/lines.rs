//! Reads lists with one entry on each line.
//!
//! In a list of paths, a `#` alone or before white space starts a comment, which needs a line of its own. A `#` before
//! anything else starts a cache tag. Keys are read as they are, because white space and `#` can be part of them.

use crate::path::EncodedPaths;

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

/// Returns the keys; empty lines are skipped, and a line can end in CRLF.
pub(super) fn keys(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.is_empty())
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
    fn reads_keys_as_they_are() {
        let text = "a b.html\r\n\n leading\ntrailing \n#1.html\n%41\nexample.com/a\n";
        let expected = [
            "a b.html",
            " leading",
            "trailing ",
            "#1.html",
            "%41",
            "example.com/a",
        ];
        assert_eq!(keys(text).collect::<Vec<_>>(), expected);
    }
}
