//! Texts that are certainly not meant as the path that [`EncodedPaths::parse`](super::EncodedPaths::parse) reads from them.
//!
//! CloudFront reports success for a path that matches nothing. So such a text is refused with what to write instead, where no
//! caller depends on it being accepted. Keys have rules of their own, because nearly all characters can be part of them.

/// The most characters of a text that an error repeats if the text can be a whole file.
const MAX_CHARACTERS: usize = 60;

/// The characters with which a quoted text starts.
pub(crate) const QUOTES: [char; 6] = ['\'', '"', '‘', '’', '“', '”'];

/// Returns why a text that is quoted, names a file of Windows or has another [`mistake`] is not meant as a path.
pub(crate) fn mistake_or_file(text: &str, instead_of_json: &str) -> Option<String> {
    if text.trim().starts_with(QUOTES) {
        return Some(format!("{text:?} starts with a quote: remove the quotes"));
    }
    if is_windows_file(text.trim()) {
        return Some(format!(
            "{text:?} is a file name of Windows: write the path of the URL, with a / at its start"
        ));
    }
    mistake(text, instead_of_json)
}

/// Returns why the text is certainly not meant as a path, and what to write. `instead_of_json` is what to write instead of JSON.
pub(crate) fn mistake(text: &str, instead_of_json: &str) -> Option<String> {
    let text = text.trim();
    if text.starts_with(['[', '{']) {
        return Some(format!(
            "{} starts as JSON: {instead_of_json}",
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

/// Returns whether a separator and the start of another path follow a path, as in an expanded `"$PATHS"`. Otherwise the
/// space would turn the first path into a wildcard, and the others would be lost.
pub(crate) fn contains_several(text: &str) -> bool {
    let starts_path =
        |rest: &str| is_written_as_path(rest.trim_start()) && rest.trim_start() != "*";
    let has_next = |text: &str, is_separator: fn(char) -> bool| {
        let mut separators = text.match_indices(is_separator);
        separators.any(|(separator, _)| {
            let rest = text.get(separator..).unwrap_or_default();
            starts_path(rest.strip_prefix(',').unwrap_or(rest))
        })
    };
    let (before_query, _) = text.split_once('?').unwrap_or((text, ""));
    // A query string can be a list of paths.
    has_next(text, char::is_whitespace) || has_next(before_query, |character| character == ',')
}

/// Returns whether the text starts as a path, a cache tag or a URL does.
pub(crate) fn is_written_as_path(text: &str) -> bool {
    let text = text.trim();
    let has_scheme = |scheme: &str| {
        let start = text.get(..scheme.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    text == "*" || text.starts_with(['/', '#']) || has_scheme("http://") || has_scheme("https://")
}

/// Returns whether the text begins with a drive, as in `C:/site/a.html` and `C:\\site\\a.html`.
pub(crate) fn is_windows_file(text: &str) -> bool {
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
