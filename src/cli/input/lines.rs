//! Reads lists with one entry on each line.
//!
//! In a list of paths, a `#` alone or before white space starts a comment, which needs a line of its own. A `#` before
//! anything else starts a cache tag. Keys are read as they are, because white space and `#` can be part of them; only a
//! leading `/` or `./`, which programs that list files write, is removed.
//!
//! The output of another program is refused, because most of its lines could be read as paths or keys that do not exist.

use chrono::NaiveDateTime;

use super::{s3_sync, written};
use crate::cli::format::counted;
use crate::path::EncodedPaths;
use crate::path::mistake::is_windows_file;

/// What a list of files can begin each line with, and a key does not.
const ROOTS: [&str; 2] = ["./", "/"];

/// With what lines of `git status` start, except those of `git status --short`.
const GIT_STATUS: [&str; 5] = [
    "On branch ",
    "modified: ",
    "new file: ",
    "deleted: ",
    "renamed: ",
];

/// The codes of `git status --short`: of the index, of the working tree, of both.
/// <https://git-scm.com/docs/git-status#_short_format>
const GIT_CODES: [(&str, &str); 4] = [("MTARC", " MTD"), (" ", "MTDARC"), ("D", " D"), ("?", "?")];

/// The codes of a file that both sides of a merge have changed.
const GIT_UNMERGED: [&str; 5] = ["AU", "UD", "UA", "DU", "UU"];

/// Parses paths. The error contains the number of the line.
pub(super) fn parse_paths(text: &str) -> Result<EncodedPaths, String> {
    let mut paths = EncodedPaths::default();
    for (index, line) in text.lines().enumerate() {
        let path = line.trim();
        if path.is_empty() || is_comment(path) {
            continue;
        }
        let path = parse_path(line)
            .map_err(|error| format!("line {}: {error}", index.saturating_add(1)))?;
        paths.extend(path);
    }
    Ok(paths)
}

fn parse_path(line: &str) -> Result<EncodedPaths, String> {
    let path = line.trim();
    if let Some(mistake) = mistake_in_characters(path)
        .or_else(|| mistake_in_program(path))
        .or_else(|| mistake_in_list(line))
    {
        return Err(format!("{path:?} is not a path: {mistake}"));
    }
    let is_tag = path.starts_with('#');
    written::parse(path).map_err(|error| {
        let hint = if is_tag {
            " (a comment needs a space after the #)"
        } else {
            ""
        };
        format!("{error}{hint}")
    })
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
        if let Some(mistake) = mistake(key).or_else(|| mistake_in_entry(line)) {
            let number = index.saturating_add(1);
            return Err(format!("line {number}: {line:?} is not a key: {mistake}"));
        }
        with_root.extend(root.map(|root| (root, line)));
        keys.push(key.to_owned());
    }
    let note = with_root.first().map(|(root, first)| {
        let count = counted(with_root.len(), "key");
        let is_same = with_root.iter().all(|(other, _)| other == root);
        let roots = if is_same { root } else { "/ or ./" };
        format!("read {count} without the leading {roots}, such as {first}")
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
    } else if is_quoted(key) && key.starts_with('"') && key.contains('\\') {
        Some("it is quoted: use `git -c core.quotePath=false`")
    } else if is_windows_file(key) {
        Some(
            "it is a file name of Windows: write the key in the bucket, with / between its folders",
        )
    } else {
        mistake_in_characters(key)
    }
}

/// Returns what to write instead of a line that is possibly a key, but hardly meant as one. With a leading slash, it is.
fn mistake_in_entry(line: &str) -> Option<&'static str> {
    if is_quoted(line.trim().trim_end_matches(',')) {
        Some("it is in quotes: remove the quotes")
    } else {
        mistake_in_program(line)
    }
}

/// Returns whether the text begins and ends with the same quote.
fn is_quoted(text: &str) -> bool {
    let mut quotes = ['"', '\''].into_iter();
    text.len() > 1 && quotes.any(|quote| text.starts_with(quote) && text.ends_with(quote))
}

/// Returns what to do about characters that only the encoding of the file or its ends of lines explain.
fn mistake_in_characters(line: &str) -> Option<&'static str> {
    if line.contains('\0') {
        Some(
            "it contains a NUL character, as UTF-16 does: save the file as UTF-8, with one entry on each line",
        )
    } else if line.contains('\r') {
        Some("it contains a carriage return: end each line with a line feed")
    } else {
        None
    }
}

/// Returns what to do with the output of the AWS CLI.
fn mistake_in_program(line: &str) -> Option<&'static str> {
    let is_listed = |line: &str| {
        let time = line.get(..19).unwrap_or_default();
        NaiveDateTime::parse_from_str(time, "%Y-%m-%d %H:%M:%S").is_ok()
            && line.get(19..).is_some_and(|rest| rest.starts_with(' '))
    };
    let is_prefix = |line: &str| line.starts_with("PRE ") && line.ends_with('/');
    if s3_sync::is_line(line) {
        Some("`aws s3` writes such lines: give its output with --from-s3-sync")
    } else if is_listed(line) || is_prefix(line.trim()) {
        Some("`aws s3 ls` writes such lines: write the path or the key alone")
    } else {
        None
    }
}

/// Returns what to do with a line of git or of YAML.
fn mistake_in_list(line: &str) -> Option<&'static str> {
    let text = line.trim();
    if text == "---" || text.starts_with("- ") {
        Some("lists in YAML have such lines: write each path alone, with a / at its start")
    } else if is_git_status(line) {
        Some("`git status` writes such lines: write each path alone, with a / at its start")
    } else {
        None
    }
}

fn is_git_status(line: &str) -> bool {
    let text = line.trim();
    let mut characters = line.chars();
    let codes = [characters.next(), characters.next()];
    let [Some(index), Some(tree)] = codes else {
        return false;
    };
    let is_code = GIT_CODES
        .iter()
        .any(|(indexes, trees)| indexes.contains(index) && trees.contains(tree))
        || GIT_UNMERGED.iter().any(|code| line.starts_with(code));
    let is_short = is_code && characters.next() == Some(' ');
    is_short || GIT_STATUS.iter().any(|start| text.starts_with(start))
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
                "a b.html\r\n\n leading\ntrailing \n#1.html\n%41\nexample.com/a\n\"a\" b\n\
                 - a\n2024-01-01 a.html\n\u{200b}\n",
                keys(&[
                    "a b.html",
                    " leading",
                    "trailing ",
                    "#1.html",
                    "%41",
                    "example.com/a",
                    "\"a\" b",
                    "- a",
                    "2024-01-01 a.html",
                    "\u{200b}",
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
            (
                "/'a'\n./delete: a.txt\n",
                keys(&["'a'", "delete: a.txt"]),
                Some("read 2 keys without the leading / or ./, such as /'a'"),
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
            // JSON.
            (
                "a\n    \"b.html\",\n",
                "line 2: \"    \\\"b.html\\\",\" is not a key: it is in quotes: remove the quotes",
            ),
            (
                "'a b.html'",
                "line 1: \"'a b.html'\" is not a key: it is in quotes: remove the quotes",
            ),
            (
                "upload: public/a.html to s3://site/a.html",
                "line 1: \"upload: public/a.html to s3://site/a.html\" is not a key: `aws s3` writes such lines: give its \
                 output with --from-s3-sync",
            ),
            (
                "2024-01-01 10:00:00        123 a.html",
                "line 1: \"2024-01-01 10:00:00        123 a.html\" is not a key: `aws s3 ls` writes such lines: write the \
                 path or the key alone",
            ),
            (
                "a\0.\0h\0",
                "line 1: \"a\\0.\\0h\\0\" is not a key: it contains a NUL character, as UTF-16 does: save the file as UTF-8, \
                 with one entry on each line",
            ),
            (
                "a.html\rb.html",
                "line 1: \"a.html\\rb.html\" is not a key: it contains a carriage return: end each line with a line feed",
            ),
        ] {
            assert_eq!(parse_keys(text), Err(message.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn rejects_what_is_certainly_not_a_path() {
        let sync = "`aws s3` writes such lines: give its output with --from-s3-sync";
        let listing = "`aws s3 ls` writes such lines: write the path or the key alone";
        let yaml = "lists in YAML have such lines: write each path alone, with a / at its start";
        let git = "`git status` writes such lines: write each path alone, with a / at its start";
        let nul = "it contains a NUL character, as UTF-16 does: save the file as UTF-8, with one entry on each line";
        let carriage = "it contains a carriage return: end each line with a line feed";
        for (line, mistake) in [
            ("upload: public/a.html to s3://site/a.html", sync),
            ("(dryrun) delete: s3://site/a.html", sync),
            (
                "Completed 1.2 KiB/2.4 KiB (1 B/s) with 1 file(s) remaining",
                sync,
            ),
            ("2024-01-01 10:00:00        123 a.html", listing),
            ("                           PRE blog/", listing),
            ("- /a.html", yaml),
            ("  - blog/*", yaml),
            ("---", yaml),
            (" M src/a.html", git),
            ("?? x.html", git),
            ("R  a.html -> b.html", git),
            ("UU a.html", git),
            ("On branch main", git),
            ("\tmodified:   a.html", git),
            ("/a.html\r/b.html", carriage),
            ("/\0a\0", nul),
        ] {
            let expected = format!("line 2: {:?} is not a path: {mistake}", line.trim());
            assert_eq!(
                parse_paths(&format!("/a\n{line}\n")),
                Err(expected),
                "{line}"
            );
        }
        for (text, message) in [
            (
                "# paths\n[\n  \"/a\"\n]",
                "line 2: \"[\" starts as JSON: use --batch for an invalidation batch; otherwise write each path alone, \
                 with a / at its start",
            ),
            (
                "'/a'",
                "line 1: \"'/a'\" starts with a quote: remove the quotes",
            ),
        ] {
            assert_eq!(parse_paths(text), Err(message.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn paths_with_spaces_are_no_output_of_a_program() {
        let text = "/a b.html\nmy page.html\nM a.html\nMM.html\nupload/a.html\n/- a\n/?? x\n-a\n/[a]\n/2024-01-01 10:00:00 a\n";
        let paths = parse_paths(text).expect("paths").paths;
        let paths: Vec<_> = paths.iter().map(ToString::to_string).collect();
        assert_eq!(
            paths,
            [
                "/a*",
                "/my*",
                "/M*",
                "/MM.html",
                "/upload/a.html",
                "/-*",
                "/??*",
                "/-a",
                "/*",
                "/2024-01-01*"
            ]
        );
    }
}
