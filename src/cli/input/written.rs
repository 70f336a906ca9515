//! Paths as people write them in lists, batches and the configuration file.
//!
//! CloudFront reports success for a path that matches nothing. So a text that is certainly meant in another way is refused
//! ([`mistake`](crate::path::mistake)), with what to write instead on the command line.

use crate::path::EncodedPaths;
use crate::path::mistake::mistake_or_file;

/// What to write instead of JSON.
pub(super) const INSTEAD_OF_JSON: &str =
    "use --batch for an invalidation batch; otherwise write each path alone, with a / at its start";

/// Parses a path of a list, of a batch or of the configuration file.
pub(in crate::cli) fn parse(text: &str) -> Result<EncodedPaths, String> {
    // In arguments, Git Bash is the likely cause of a file name of Windows, and the error says so.
    match mistake_or_file(text, INSTEAD_OF_JSON) {
        Some(mistake) => Err(mistake),
        None => EncodedPaths::parse(text).map_err(|error| error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::mistake::mistake;

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
        assert_eq!(
            mistake(&long, INSTEAD_OF_JSON),
            Some(format!("{start} {json}"))
        );
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
            assert_eq!(mistake(text, INSTEAD_OF_JSON), None, "{text}");
            assert!(parse(text).is_ok(), "{text}");
        }
        let tag = "\"#a,\" is not a cache tag: write a # and 1 to 256 printable ASCII characters, without spaces, commas \
                   and *";
        assert_eq!(parse("#a,"), Err(tag.to_owned()));
    }
}
