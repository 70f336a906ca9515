//! Whether the path pattern of a cache behavior matches a path.
//!
//! `*` matches zero or more characters, `?` exactly one. A pattern is case-sensitive, and its leading slash makes no
//! difference. The time grows with the length of the path, and not with its product with the number of asterisks: a batch
//! can compare 10,000 long keys with 75 patterns. For that, the first place of each part between two asterisks is enough:
//! it leaves the most to the parts behind it.
//!
//! Path patterns: <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/DownloadDistValuesCacheBehavior.html>

/// Returns whether the path pattern matches the path from start to end.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    let [pattern, path] = [pattern, path].map(|text| text.strip_prefix('/').unwrap_or(text));
    let Some((start, rest)) = pattern.split_once('*') else {
        return after_start(path, pattern) == Some("");
    };
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    // Most patterns do not match, and most of these differ at their end, as `*.jpg` does.
    let between = before_end(path, end).and_then(|path| after_start(path, start));
    between.is_some_and(|between| middle.split('*').try_fold(between, after_first).is_some())
}

/// Returns what follows the part if the text starts with it.
fn after_start<'a>(text: &'a str, part: &str) -> Option<&'a str> {
    if !part.contains('?') {
        return text.strip_prefix(part);
    }
    let mut characters = text.chars();
    let mut expected = part.chars();
    let is_equal = expected.all(|expected| is_match(expected, characters.next()));
    is_equal.then_some(characters.as_str())
}

/// Returns what precedes the part if the text ends with it.
fn before_end<'a>(text: &'a str, part: &str) -> Option<&'a str> {
    if !part.contains('?') {
        return text.strip_suffix(part);
    }
    let mut characters = text.chars();
    let mut expected = part.chars().rev();
    let is_equal = expected.all(|expected| is_match(expected, characters.next_back()));
    is_equal.then_some(characters.as_str())
}

/// Returns what follows the first place of the part in the text.
fn after_first<'a>(mut text: &'a str, part: &str) -> Option<&'a str> {
    let after = |text: &'a str, literal: &str| Some(text.split_once(literal)?.1);
    let Some((literal, _)) = part.split_once('?') else {
        return after(text, part);
    };
    // Most paths lack one of the literals.
    part.split('?').try_fold(text, after)?;
    // CloudFront limits a path pattern to 255 characters, so each place can be tried.
    loop {
        let (_before, found) = text.split_at_checked(text.find(literal)?)?;
        if let Some(after) = after_start(found, part) {
            return Some(after);
        }
        let mut characters = found.chars();
        characters.next()?;
        text = characters.as_str();
    }
}

fn is_match(expected: char, actual: Option<char>) -> bool {
    actual.is_some_and(|actual| expected == '?' || expected == actual)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Matches character by character, and goes back to the last asterisk at each difference. The time grows with the
    /// product of the lengths.
    fn matches_by_backtracking(pattern: &str, path: &str) -> bool {
        let [pattern, path] = [pattern, path].map(|text| text.strip_prefix('/').unwrap_or(text));
        let [mut pattern, mut path] = [pattern, path].map(str::chars);
        // The positions from which to try again with one more character for the last asterisk.
        let mut retry = None;
        loop {
            let at_asterisk = path.clone();
            match (pattern.next(), path.next()) {
                (None, None) => return true,
                (Some('*'), _) => {
                    path = at_asterisk;
                    retry = Some((pattern.clone(), path.clone()));
                }
                (Some('?'), Some(_)) => {}
                (Some(expected), Some(actual)) if expected == actual => {}
                _ => match &mut retry {
                    None => return false,
                    Some((after_asterisk, from)) => {
                        if from.next().is_none() {
                            return false;
                        }
                        (pattern, path) = (after_asterisk.clone(), from.clone());
                    }
                },
            }
        }
    }

    #[test]
    fn matches_from_start_to_end() {
        for (pattern, path, expected) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("/a", "a", true),
            ("a", "/a", true),
            ("//a", "/a", false),
            ("a", "A", false),
            ("a*", "a", true),
            ("*a", "a", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("ab*ba", "aba", false),
            ("a*b*c", "abc", true),
            ("a*bc*c", "abc", false),
            ("*b*b*", "abab", true),
            ("*bb*b", "abb", false),
            ("*ab*b", "aabb", true),
            ("**", "a/b", true),
            ("?", "", false),
            ("?", "é", true),
            ("??", "é", false),
            ("?*?", "a", false),
            ("?*?", "éa", true),
            ("*?b?*", "aab", false),
            ("*?b?*", "bab/", true),
            ("*a?c*", "aabac/abc", true),
            ("*a??c*", "aéacéac", true),
            ("*.jp?g", "a.jpg", false),
            ("*.jp?g", "a.jpeg", true),
            // A key can contain both characters.
            ("a*", "a*?", true),
            ("a?", "a*", true),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} and {path}");
            let by_backtracking = matches_by_backtracking(pattern, path);
            assert_eq!(by_backtracking, expected, "{pattern} and {path}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]
        #[test]
        fn matches_what_backtracking_matches(
            pattern in "[abé/*?]{0,10}",
            path in "[abé/*?]{0,16}",
        ) {
            prop_assert_eq!(matches(&pattern, &path), matches_by_backtracking(&pattern, &path));
        }
    }
}
