//! The paths among the arguments: PATHS and `--paths`.
//!
//! Each starts with `/`, `#`, `http://` or `https://`, or is a lone `*`, which stands for `/*`. Anything else is refused
//! with what to write instead. CloudFront reports success for a path that matches nothing, so a limit, an id or a file
//! name that became a path would be an error that nobody sees.
//!
//! Paths in files, in batches and in the configuration file need no leading slash.

use std::collections::BTreeSet;

use super::written::INSTEAD_OF_JSON;
use crate::distribution::{DistributionId, DistributionName};
use crate::duration::parse_wait_limit;
use crate::path::mistake::{
    QUOTES, contains_several, is_windows_file, is_written_as_path, mistake,
};
use crate::path::{EncodedPaths, PathError};

/// How many entries of the root directory there have to be among the paths before they count as its expansion. Fewer
/// can be paths of a site, such as `/home` and `/media`.
const MIN_ROOT_ENTRIES: usize = 5;

/// The extensions of files of a site. None of them is a top-level domain of websites.
const FILE_EXTENSIONS: [&str; 25] = [
    "avif",
    "css",
    "csv",
    "gif",
    "htm",
    "html",
    "ico",
    "jpeg",
    "jpg",
    "js",
    "json",
    "map",
    "mjs",
    "mp4",
    "pdf",
    "php",
    "png",
    "svg",
    "txt",
    "wasm",
    "webmanifest",
    "webp",
    "woff",
    "woff2",
    "xml",
];

/// What an argument can be instead of a path.
pub(super) struct Surroundings<'a> {
    /// The sites of the configuration.
    pub sites: &'a [&'a str],
    /// The names of the entries of the root directory.
    pub root: &'a [String],
    /// Returns whether the working directory has a file or directory with this name.
    pub is_file: &'a dyn Fn(&str) -> bool,
}

/// Parses the arguments. The error names the first that is not a path, and what to write.
pub(super) fn parse(
    arguments: &[&str],
    surroundings: &Surroundings,
) -> Result<EncodedPaths, String> {
    // The entries can contain characters that CloudFront refuses, so this comes first.
    if let Some(count) = count_of_root_entries(arguments, surroundings.root) {
        return Err(format!(
            "{count} of these paths are entries of the root directory of this machine, to which the shell expands an \
             unquoted /*: quote it as '/*', or write --all; to invalidate exactly these paths, use --paths-from"
        ));
    }
    let refused = arguments
        .iter()
        .filter(|argument| !is_written_as_path(argument));
    let refused: Vec<_> = refused.copied().collect();
    match refused.as_slice() {
        [] => arguments.iter().copied().map(parse_path).collect(),
        [first, _, ..] if refused.iter().all(|name| (surroundings.is_file)(name)) => Err(format!(
            "{first:?} is not a path, and all {} such arguments are files of the working directory, to which the shell \
             expands an unquoted *: quote it as '/*', or write --all; a path starts with /, such as /{first}",
            refused.len()
        )),
        [first, ..] => Err(refusal(first.trim(), surroundings.sites)),
    }
}

/// Returns how many of the arguments are entries of the root directory, if these are most of it.
fn count_of_root_entries(arguments: &[&str], root: &[String]) -> Option<usize> {
    let names = arguments
        .iter()
        .filter_map(|argument| argument.strip_prefix('/'));
    let names: BTreeSet<_> = names.map(|name| name.trim_end_matches('/')).collect();
    // Without an option, shells leave hidden entries out of an expansion.
    let is_hidden = |name: &str| name.starts_with('.');
    let all = root.iter().filter(|name| !is_hidden(name)).count();
    let given = root.iter().filter(|name| names.contains(name.as_str()));
    let given: Vec<_> = given.collect();
    let visible = given.iter().filter(|name| !is_hidden(name)).count();
    (given.len() >= MIN_ROOT_ENTRIES && visible > all / 2).then_some(given.len())
}

fn parse_path(argument: &str) -> Result<EncodedPaths, String> {
    let text = argument.trim();
    if text == "*" {
        return Ok(EncodedPaths::everything());
    }
    if contains_several(text) {
        return Err(format!(
            "{text:?} contains several paths: write each as an argument of its own, or one on each line for \
             --paths-from"
        ));
    }
    match mistake(text, INSTEAD_OF_JSON) {
        Some(mistake) => Err(mistake),
        None => EncodedPaths::parse(text).map_err(|error| path_error(text, &error)),
    }
}

fn path_error(argument: &str, error: &PathError) -> String {
    match error {
        PathError::InnerWildcard(path) => {
            let (prefix, _) = path.split_once('*').unwrap_or((path, ""));
            let error = PathError::InnerWildcard(argument.to_owned());
            format!("{error}; write '{prefix}*', which covers more, or name each path")
        }
        error => error.to_string(),
    }
}

/// Returns why the text is not a path, and what to write.
fn refusal(text: &str, sites: &[&str]) -> String {
    if text.is_empty() {
        return "a path is empty: if it comes from a variable, that variable is empty or not set; write --all for \
                everything"
            .to_owned();
    }
    if text == "-" {
        return "\"-\" is not a path: write --paths-from - to read paths from standard input"
            .to_owned();
    }
    if text.starts_with(QUOTES) {
        return format!(
            "{text:?} starts with a quote: write straight double quotes, the only ones that cmd.exe removes"
        );
    }
    if text.starts_with(['–', '—']) {
        return format!("{text:?} starts with a dash: write hyphens before an option");
    }
    if let Some(file) = text.strip_prefix("file://") {
        return format!(
            "{text:?} is a file: write --paths-from {file}, or --batch {file} for an invalidation batch"
        );
    }
    if let Some(mistake) = mistake(text, INSTEAD_OF_JSON) {
        return mistake;
    }
    if is_windows_file(text) {
        return format!(
            "{text:?} is a file name of Windows, into which Git Bash turns a path such as /blog/*: set \
             MSYS_NO_PATHCONV=1 (in MSYS2, MSYS2_ARG_CONV_EXCL='*') and write '/blog/*', or write --all for everything"
        );
    }
    if sites.contains(&text) {
        return format!(
            "{text:?} is a site of the configuration: write -d {text} to use it, or /{text} for a path"
        );
    }
    if is_limit(text) {
        return format!(
            "{text:?} is not a path: write --wait={text} for a limit, or /{text} for a path"
        );
    }
    if let Some(path) = path_of_object(text) {
        return format!(
            "{text:?} is the address of an object: write '{path}', or use --keys-from or --from-s3-sync, which find the \
             paths of objects"
        );
    }
    if is_invalidation_id(text) {
        return format!(
            "{text:?} is the id of an invalidation: write `status {text}` for its status, --again {text} to repeat it, \
             or /{text} for a path"
        );
    }
    if let Some(id) = distribution_id(text) {
        return format!("{text:?} names a distribution: write -d {id}, or /{text} for a path");
    }
    if let Some(refusal) = domain_refusal(text) {
        return refusal;
    }
    let path = text.strip_prefix("./").unwrap_or(text);
    match EncodedPaths::parse(path) {
        Err(error) => path_error(text, &error),
        Ok(_) if path.ends_with('*') => format!("{text:?} does not start with /: write '/{path}'"),
        Ok(_) => format!("{text:?} does not start with /: write /{path}"),
    }
}

/// Returns whether the text is a limit of `--wait`, or would be one if it were shorter.
fn is_limit(text: &str) -> bool {
    let unit = text.trim_start_matches(|character: char| character.is_ascii_digit());
    let has_number = unit.len() < text.len();
    parse_wait_limit(text).is_ok() || has_number && matches!(unit, "s" | "m" | "h" | "d")
}

/// Returns the path of `s3://bucket/key`, if the text has this form and the origin has no path.
fn path_of_object(text: &str) -> Option<String> {
    let address = text.strip_prefix("s3://")?;
    let (_, key) = address.split_once('/').unwrap_or((address, ""));
    let wildcard = if key.is_empty() || key.ends_with('/') {
        "*"
    } else {
        ""
    };
    Some(format!("/{key}{wildcard}"))
}

fn is_invalidation_id(text: &str) -> bool {
    matches!(text.len(), 13 | 14) && text.starts_with('I') && DistributionId::parse(text).is_ok()
}

/// Returns the id if the text is certainly one, or its ARN.
fn distribution_id(text: &str) -> Option<DistributionId> {
    let (_, id) = text.split_once(":distribution/").unwrap_or(("", text));
    let id = DistributionId::parse(id).ok()?;
    (id.as_str().starts_with('E') && id.as_str().len() >= 13).then_some(id)
}

/// Returns the refusal of a domain name that no path follows.
fn domain_refusal(text: &str) -> Option<String> {
    let Ok(DistributionName::Domain(domain)) = DistributionName::parse(text) else {
        return None;
    };
    let (_, extension) = domain.rsplit_once('.')?;
    if text.contains('*') || FILE_EXTENSIONS.contains(&extension) {
        return None;
    }
    Some(format!(
        "{text:?} is not a path: write -d {text} for the distribution with this domain name, https://{text}/… for a path \
         of it, or /{text} for a file"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The root directory of the tests; `a b` and `x*y` contain characters that CloudFront refuses.
    const ROOT: [&str; 9] = [
        ".dockerenv",
        "a b",
        "bin",
        "etc",
        "home",
        "lost+found",
        "usr",
        "var",
        "x*y",
    ];

    fn parse_in(arguments: &[&str]) -> Result<Vec<String>, String> {
        let root = ROOT.map(str::to_owned);
        let surroundings = Surroundings {
            sites: &["blog", "www.example.org"],
            root: &root,
            is_file: &|name| ["about.html", "blog", "css/a.css", "index.html"].contains(&name),
        };
        let encoded = parse(arguments, &surroundings)?;
        Ok(encoded.paths.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn accepts_paths_tags_urls_and_a_lone_asterisk() {
        for (arguments, paths) in [
            (vec![], vec![]),
            (vec!["*"], vec!["/*"]),
            (
                vec!["/", "/blog/*", " /a.html "],
                vec!["/", "/blog/*", "/a.html"],
            ),
            (vec!["#product:42"], vec!["#product:42"]),
            (
                vec!["https://www.example.com/a?b=1", "HTTP://example.com"],
                vec!["/a?b=1", "/"],
            ),
            // The rules of an expansion need five entries, and most of them.
            (
                vec!["/bin", "/etc", "/home", "/usr"],
                vec!["/bin", "/etc", "/home", "/usr"],
            ),
            (vec!["/blog", "/index.html"], vec!["/blog", "/index.html"]),
            // A query string can contain paths, and a directory name a comma.
            (
                vec!["/a?paths=/b,/c", "/w=80,h=40/a.jpg"],
                vec!["/a?paths=/b,/c", "/w=80,h=40/a.jpg"],
            ),
        ] {
            let expected = paths.into_iter().map(str::to_owned).collect();
            assert_eq!(parse_in(&arguments), Ok(expected), "{arguments:?}");
        }
    }

    #[test]
    fn refuses_everything_else_with_what_to_write() {
        let wildcard = "CloudFront accepts a * only as the last character";
        let git_bash = "is a file name of Windows, into which Git Bash turns a path such as /blog/*: set \
                        MSYS_NO_PATHCONV=1 (in MSYS2, MSYS2_ARG_CONV_EXCL='*') and write '/blog/*', or write --all for \
                        everything";
        let quote =
            "starts with a quote: write straight double quotes, the only ones that cmd.exe removes";
        let several = "contains several paths: write each as an argument of its own, or one on each line for \
                       --paths-from";
        let object = "is the address of an object";
        let find = "or use --keys-from or --from-s3-sync, which find the paths of objects";
        let quoted = |text: &str, rest: &str| format!("{text:?} {rest}");
        for (text, message) in [
            (
                "",
                "a path is empty: if it comes from a variable, that variable is empty or not set; write --all for \
                 everything"
                    .to_owned(),
            ),
            ("-", quoted("-", "is not a path: write --paths-from - to read paths from standard input")),
            ("5m", quoted("5m", "is not a path: write --wait=5m for a limit, or /5m for a path")),
            ("300", quoted("300", "is not a path: write --wait=300 for a limit, or /300 for a path")),
            ("true", quoted("true", "is not a path: write --wait=true for a limit, or /true for a path")),
            ("2d", quoted("2d", "is not a path: write --wait=2d for a limit, or /2d for a path")),
            (
                "blog",
                quoted("blog", "is a site of the configuration: write -d blog to use it, or /blog for a path"),
            ),
            (
                "www.example.org",
                quoted(
                    "www.example.org",
                    "is a site of the configuration: write -d www.example.org to use it, or /www.example.org for a path",
                ),
            ),
            (
                "E2EXAMPLE1ABC",
                quoted("E2EXAMPLE1ABC", "names a distribution: write -d E2EXAMPLE1ABC, or /E2EXAMPLE1ABC for a path"),
            ),
            (
                "arn:aws:cloudfront::111122223333:distribution/E2EXAMPLE1ABC",
                quoted(
                    "arn:aws:cloudfront::111122223333:distribution/E2EXAMPLE1ABC",
                    "names a distribution: write -d E2EXAMPLE1ABC, or \
                     /arn:aws:cloudfront::111122223333:distribution/E2EXAMPLE1ABC for a path",
                ),
            ),
            (
                "I2EM8044MZE87P",
                quoted(
                    "I2EM8044MZE87P",
                    "is the id of an invalidation: write `status I2EM8044MZE87P` for its status, --again I2EM8044MZE87P \
                     to repeat it, or /I2EM8044MZE87P for a path",
                ),
            ),
            (
                "shop.example.com",
                quoted(
                    "shop.example.com",
                    "is not a path: write -d shop.example.com for the distribution with this domain name, \
                     https://shop.example.com/… for a path of it, or /shop.example.com for a file",
                ),
            ),
            (
                "example.com/a.html",
                quoted(
                    "example.com/a.html",
                    "can begin with a domain name or with a folder: write https://example.com/a.html or \
                     /example.com/a.html",
                ),
            ),
            (
                "www.example.com/a.html",
                quoted(
                    "www.example.com/a.html",
                    "looks like a URL without https://: write the full URL, or only the path, such as /a.html",
                ),
            ),
            (
                "ftp://example.com/a.html",
                quoted(
                    "ftp://example.com/a.html",
                    "is not an http or https URL: write only the path, such as /a.html",
                ),
            ),
            ("s3://site/blog/a.html", quoted("s3://site/blog/a.html", &format!("{object}: write '/blog/a.html', {find}"))),
            ("s3://site/blog/", quoted("s3://site/blog/", &format!("{object}: write '/blog/*', {find}"))),
            ("s3://site", quoted("s3://site", &format!("{object}: write '/*', {find}"))),
            ("C:/Program Files/Git/blog/*", quoted("C:/Program Files/Git/blog/*", git_bash)),
            ("c:\\site\\index.html", quoted("c:\\site\\index.html", git_bash)),
            ("'/blog/*'", quoted("'/blog/*'", quote)),
            ("“/blog/*”", quoted("“/blog/*”", quote)),
            (
                "*.jpg",
                quoted("*.jpg", &format!("has a * before its end: {wildcard}; write '/*', which covers more, or name each path")),
            ),
            (
                "blog/*.jpg",
                quoted(
                    "blog/*.jpg",
                    &format!("has a * before its end: {wildcard}; write '/blog/*', which covers more, or name each path"),
                ),
            ),
            (
                "/blog/*.jpg",
                quoted(
                    "/blog/*.jpg",
                    &format!("has a * before its end: {wildcard}; write '/blog/*', which covers more, or name each path"),
                ),
            ),
            ("–-wait", quoted("–-wait", "starts with a dash: write hyphens before an option")),
            (
                "file://paths.json",
                quoted(
                    "file://paths.json",
                    "is a file: write --paths-from paths.json, or --batch paths.json for an invalidation batch",
                ),
            ),
            ("blog/*", quoted("blog/*", "does not start with /: write '/blog/*'")),
            ("index.html", quoted("index.html", "does not start with /: write /index.html")),
            ("./blog/a.html", quoted("./blog/a.html", "does not start with /: write /blog/a.html")),
            (".well-known/a", quoted(".well-known/a", "does not start with /: write /.well-known/a")),
            (
                "blog\\a.html",
                "\"/blog\\\\a.html\" contains a \\: write / between folders, or %5C for a \\ in a file name".to_owned(),
            ),
            ("/a /b", quoted("/a /b", several)),
            ("/a\n/b", quoted("/a\n/b", several)),
            ("/a,/b", quoted("/a,/b", several)),
            ("/a, /b", quoted("/a, /b", several)),
            ("https://example.com/a,https://example.com/b", quoted("https://example.com/a,https://example.com/b", several)),
            ("/a?b=1 #tag", quoted("/a?b=1 #tag", several)),
            (
                "[\"/a\",\"/b\"]",
                quoted(
                    "[\"/a\",\"/b\"]",
                    "starts as JSON: use --batch for an invalidation batch; otherwise write each path alone, with a / at \
                     its start",
                ),
            ),
            (
                "$PATHS",
                quoted(
                    "$PATHS",
                    "starts with a variable that was not expanded: write its value, or a / before a path",
                ),
            ),
            (
                "https:/www.example.com/a.html",
                quoted(
                    "https:/www.example.com/a.html",
                    "has one slash after its scheme: write https://www.example.com/a.html",
                ),
            ),
            (
                "https://",
                quoted("https://", "has no host: if it comes from a variable, that variable is empty or not set"),
            ),
            (
                "/a.html,",
                quoted("/a.html,", "ends with a comma: remove it, or write %2C if it belongs to the path"),
            ),
            (
                "\u{feff}/a.html",
                quoted(
                    "\u{feff}/a.html",
                    "contains the invisible character U+FEFF: remove it, or write %EF%BB%BF if it belongs to the path",
                ),
            ),
            (
                "\u{200b}https://www.example.com/a.html",
                quoted(
                    "\u{200b}https://www.example.com/a.html",
                    "contains the invisible character U+200B: remove it, or write %E2%80%8B if it belongs to the path",
                ),
            ),
        ] {
            assert_eq!(parse_in(&["/first", text]), Err(message), "{text}");
        }
    }

    #[test]
    fn refuses_what_the_shell_expands() {
        let root = |count: usize| {
            Err(format!(
                "{count} of these paths are entries of the root directory of this machine, to which the shell expands \
                 an unquoted /*: quote it as '/*', or write --all; to invalidate exactly these paths, use --paths-from"
            ))
        };
        let files = |first: &str, count: usize| {
            Err(format!(
                "{first:?} is not a path, and all {count} such arguments are files of the working directory, to which \
                 the shell expands an unquoted *: quote it as '/*', or write --all; a path starts with /, such as \
                 /{first}"
            ))
        };
        for (arguments, expected) in [
            (
                vec![
                    "/a b",
                    "/bin",
                    "/etc",
                    "/home",
                    "/lost+found",
                    "/usr",
                    "/var",
                    "/x*y",
                ],
                root(8),
            ),
            // More than half of the visible entries, also with a hidden one, with slashes and beside another path.
            (vec!["/bin", "/etc", "/home", "/usr", "/var"], root(5)),
            (
                vec!["/.dockerenv", "/bin/", "/etc/", "/home/", "/usr/", "/var/"],
                root(6),
            ),
            (
                vec![
                    "/index.html",
                    "/bin",
                    "/etc",
                    "/home",
                    "/usr",
                    "/var",
                    "/x*y",
                ],
                root(6),
            ),
            (
                vec!["about.html", "blog", "index.html"],
                files("about.html", 3),
            ),
            (vec!["/a", "css/a.css", "index.html"], files("css/a.css", 2)),
        ] {
            assert_eq!(parse_in(&arguments), expected, "{arguments:?}");
        }
        // One file, or another argument that is not a file, is not an expansion.
        let message = "\"index.html\" does not start with /: write /index.html".to_owned();
        assert_eq!(parse_in(&["index.html"]), Err(message.clone()));
        assert_eq!(parse_in(&["index.html", "new.html"]), Err(message));
    }
}
