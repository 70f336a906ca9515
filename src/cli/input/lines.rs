//! Lists with one entry a line.
//!
//! In a list of paths, `#` starts both comments and cache tags. A `#` that stands alone or before white space starts a
//! comment, a `#` before anything else a tag; a comment stands on a line of its own. Keys are taken as they are: white
//! space and `#` may belong to them.

use crate::path::InvalidationPath;

/// Reads paths; an error names the line.
pub(super) fn paths(text: &str) -> Result<Vec<InvalidationPath>, String> {
    let mut paths = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || is_comment(line) {
            continue;
        }
        let path = InvalidationPath::parse(line).map_err(|error| {
            let hint = if line.starts_with('#') {
                " (a comment has a space behind the #)"
            } else {
                ""
            };
            format!("line {}: {error}{hint}", at + 1)
        })?;
        paths.push(path);
    }
    Ok(paths)
}

fn is_comment(line: &str) -> bool {
    line.strip_prefix('#')
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
}

/// Reads keys.
pub(super) fn keys(text: &str) -> impl Iterator<Item = &str> {
    // `lines` takes off what CRLF leaves.
    text.lines().filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_comments_tags_and_paths_apart() {
        let read = |text: &str| {
            let paths = paths(text)?;
            Ok(paths.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        for (text, told) in [
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
                    "line 2: \"#no space here\" is no cache tag: a # and up to 256 printable ASCII characters, no \
                     comma and no * (a comment has a space behind the #)",
                ),
            ),
            (
                "/a # behind",
                Err(
                    "line 1: \"/a # behind\" has a # in it: leave the fragment out, or write %23 for a # in a file's \
                     name",
                ),
            ),
            (
                "\n/*/a",
                Err(
                    "line 2: \"/*/a\" has a * before its end: CloudFront takes it as the last character only",
                ),
            ),
        ] {
            let told = told.map(|paths| paths.iter().map(|path| (*path).to_owned()).collect());
            assert_eq!(read(text), told.map_err(str::to_owned), "{text:?}");
        }
    }

    #[test]
    fn takes_keys_as_they_are() {
        let text = "a b.html\r\n\n leading\ntrailing \n#1.html\n%41\n";
        let told = ["a b.html", " leading", "trailing ", "#1.html", "%41"];
        assert_eq!(keys(text).collect::<Vec<_>>(), told);
    }
}
