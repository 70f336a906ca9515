//! Paths as people write them, in arguments, lists and batches: the mistakes that [`EncodedPaths::parse`] accepts.
//!
//! CloudFront reports success for a path that matches nothing. So text that is certainly meant in another way is refused
//! with what to write instead. Keys have rules of their own, because nearly all characters can be part of them.

use crate::path::EncodedPaths;

/// The most characters of a text that an error repeats if the text can be a whole file.
const MAX_CHARACTERS: usize = 60;

/// The characters with which a quoted text starts.
pub(super) const QUOTES: [char; 6] = ['\'', '"', '‘', '’', '“', '”'];

/// Parses a path of a list, of a batch or of the configuration file.
pub(in crate::cli) fn parse(text: &str) -> Result<EncodedPaths, String> {
    if text.trim().starts_with(QUOTES) {
        return Err(format!("{text:?} starts with a quote: remove the quotes"));
    }
    // In arguments, Git Bash is the likely cause, and the error says so.
    if is_windows_file(text.trim()) {
        return Err(format!(
            "{text:?} is a file name of Windows: write the path of the URL, with a / at its start"
        ));
    }
    match mistake(text) {
        Some(mistake) => Err(mistake),
        None => EncodedPaths::parse(text).map_err(|error| error.to_string()),
    }
}

/// Returns why the text is certainly not meant as a path, and what to write.
pub(super) fn mistake(text: &str) -> Option<String> {
    let text = text.trim();
    if text.starts_with(['[', '{']) {
        return Some(format!(
            "{} starts as JSON: use --batch for an invalidation batch; otherwise write each path alone, with a / at its \
             start",
            excerpt(text)
        ));
    }
    if text.starts_with('<') {
        return Some(format!(
            "{} starts with <, as XML, HTML and placeholders do: write each path alone, with a / at its start",
            excerpt(text)
        ));
    }
    if text.starts_with('$') {
        return Some(format!(
            "{text:?} starts with a variable that was not expanded: write its value, or a / before a path"
        ));
    }
    if let Some(mistake) = mistake_in_url(text) {
        return Some(mistake);
    }
    // The separators of a list. A cache tag cannot contain a comma, and its semicolon has no other spelling.
    let separators = [(',', "comma", "%2C"), (';', "semicolon", "%3B")];
    let mut separators = separators.into_iter();
    let (_, name, encoded) = separators.find(|(separator, ..)| text.ends_with(*separator))?;
    (!text.starts_with('#')).then(|| {
        format!(
            "{text:?} ends with a {name}: remove it, or write {encoded} if it belongs to the path"
        )
    })
}

/// Returns whether the text begins with a drive, as in `C:/site/a.html` and `C:\\site\\a.html`.
pub(super) fn is_windows_file(text: &str) -> bool {
    matches!(text.as_bytes(), [drive, b':', b'/' | b'\\', ..] if drive.is_ascii_alphabetic())
}

/// Returns what is wrong before the path of an http or https URL.
fn mistake_in_url(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once(":/")?;
    if !["http", "https"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known))
    {
        return None;
    }
    let Some(rest) = rest.strip_prefix('/') else {
        return Some(format!(
            "{text:?} has one slash after its scheme: write {scheme}://{rest}"
        ));
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.is_empty() {
        return Some(format!(
            "{text:?} has no host: if it comes from a variable, that variable is empty or not set"
        ));
    }
    host.contains('*').then(|| {
        format!("{text:?} has a * in its host: write the path alone, or /* for everything")
    })
}

/// Returns the start of a text in quotes.
fn excerpt(text: &str) -> String {
    match text.char_indices().nth(MAX_CHARACTERS) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_certainly_not_meant() {
        let json = "starts as JSON: use --batch for an invalidation batch; otherwise write each path alone, with a / at \
                    its start";
        let variable =
            "starts with a variable that was not expanded: write its value, or a / before a path";
        let host = "has no host: if it comes from a variable, that variable is empty or not set";
        let quotes = "starts with a quote: remove the quotes";
        for (text, message) in [
            (
                "C:/site/a.html",
                "is a file name of Windows: write the path of the URL, with a / at its start",
            ),
            ("\"/a.html\"", quotes),
            ("'/a'", quotes),
            ("‘/a’", quotes),
            ("“/a”", quotes),
            ("[", json),
            ("[\"/a\"]", json),
            ("{\"Paths\": {}}", json),
            (
                "<urlset>",
                "starts with <, as XML, HTML and placeholders do: write each path alone, with a / at its start",
            ),
            ("$PATHS", variable),
            ("${PATHS}", variable),
            (
                "https:/www.example.com/a",
                "has one slash after its scheme: write https://www.example.com/a",
            ),
            ("https://", host),
            ("HTTPS:///a", host),
            ("http://?a=b", host),
            ("http://#a", host),
            (
                "https://www.example.com*",
                "has a * in its host: write the path alone, or /* for everything",
            ),
            (
                "/a.html,",
                "ends with a comma: remove it, or write %2C if it belongs to the path",
            ),
            (
                "https://www.example.com/a,",
                "ends with a comma: remove it, or write %2C if it belongs to the path",
            ),
            (
                "/a.html;",
                "ends with a semicolon: remove it, or write %3B if it belongs to the path",
            ),
        ] {
            assert_eq!(parse(text), Err(format!("{text:?} {message}")), "{text}");
        }
        let long = format!("[{}", "x".repeat(100));
        let start = format!("\"[{}\"…", "x".repeat(59));
        assert_eq!(mistake(&long), Some(format!("{start} {json}")));
    }

    #[test]
    fn accepts_what_can_be_meant() {
        for text in [
            "/a,b;c.html",
            "/[slug]/a.html",
            "/{a}",
            "/$a",
            "/\"a\"",
            "/a?b=c,d",
            "blog/a.html",
            "/https:/a",
            "https://www.example.com",
            "https://localhost:8080/*",
            "#tag;",
        ] {
            assert_eq!(mistake(text), None, "{text}");
            assert!(parse(text).is_ok(), "{text}");
        }
        let tag = "\"#a,\" is not a cache tag: write a # and 1 to 256 printable ASCII characters, without spaces, commas \
                   and *";
        assert_eq!(parse("#a,"), Err(tag.to_owned()));
    }
}
