//! Whether the path pattern of a cache behavior matches a path.
//!
//! `*` matches zero or more characters, `?` exactly one. A pattern is case-sensitive, and its leading slash makes no
//! difference. A batch can compare 10,000 long keys with 75 patterns, so the time must not grow with the product of the
//! lengths. Without a question mark, the first place of each part between two asterisks is enough: it leaves the most to
//! the parts behind it. With question marks, this excludes most paths, and the bit-parallel Shift-And algorithm decides:
//! for each character of the path, a few operations on 256 bits, because CloudFront limits a pattern to 255 characters.
//!
//! Path patterns: <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/DownloadDistValuesCacheBehavior.html>

use std::collections::BTreeMap;

/// Returns whether the path pattern matches the path from start to end.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    let [pattern, path] = [pattern, path].map(|text| text.strip_prefix('/').unwrap_or(text));
    if !pattern.contains('?') {
        return matches_parts(pattern, path);
    }
    // What `?` matches, `*` matches too.
    matches_parts(&pattern.replace('?', "*"), path) && Automaton::new(pattern).matches(path)
}

/// Returns whether the pattern matches the path. The pattern has no question mark.
fn matches_parts(pattern: &str, path: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return path == pattern;
    };
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    // Most patterns do not match, and most of these differ at their end, as `*.jpg` does.
    let between = path
        .strip_suffix(end)
        .and_then(|path| path.strip_prefix(start));
    between.is_some_and(|between| middle.split('*').try_fold(between, after_first).is_some())
}

/// Returns what follows the first place of the part in the text.
fn after_first<'a>(text: &'a str, part: &str) -> Option<&'a str> {
    let (_before, after) = text.split_once(part)?;
    Some(after)
}

/// A set of the states 0 to 255 of an [`Automaton`], one for each bit: 0 to 127 and 128 to 255.
type States = (u128, u128);

/// A pattern as a nondeterministic automaton. Its state `n` is active if the first `n` characters of the pattern, not
/// counting asterisks, match what was read of the path.
struct Automaton<'a> {
    /// The states that an asterisk follows: they stay active.
    repeating: States,
    /// The states that any character enters.
    by_any: States,
    /// The states that a character enters, by its ASCII code.
    by_ascii: [States; 128],
    /// The same for all other characters.
    by_other: BTreeMap<char, States>,
    /// The final state.
    end: States,
    /// What follows the first 255 characters of the pattern. CloudFront does not allow a longer pattern.
    rest: &'a str,
}

impl<'a> Automaton<'a> {
    fn new(pattern: &'a str) -> Self {
        let mut automaton = Self {
            repeating: (0, 0),
            by_any: (0, 0),
            by_ascii: [(0, 0); 128],
            by_other: BTreeMap::new(),
            end: (1, 0),
            rest: "",
        };
        let (mut low, mut high) = automaton.end;
        let mut characters = pattern.chars();
        loop {
            automaton.rest = characters.as_str();
            let Some(character) = characters.next() else {
                break;
            };
            if character == '*' {
                automaton.repeating.0 |= low;
                automaton.repeating.1 |= high;
                continue;
            }
            if high >> 127 == 1 {
                break;
            }
            (low, high) = (low << 1, high << 1 | low >> 127);
            let states = match (character, automaton.by_ascii.get_mut(character as usize)) {
                ('?', _) => &mut automaton.by_any,
                (_, Some(states)) => states,
                _ => automaton.by_other.entry(character).or_default(),
            };
            states.0 |= low;
            states.1 |= high;
        }
        automaton.end = (low, high);
        automaton
    }

    /// Returns whether the pattern matches the path from start to end.
    fn matches(&self, path: &str) -> bool {
        let (mut low, mut high) = (1, 0);
        let mut characters = path.chars();
        while let Some(character) = characters.next() {
            let entered = match self.by_ascii.get(character as usize) {
                Some(entered) => entered,
                None => self.by_other.get(&character).unwrap_or(&(0, 0)),
            };
            // State 127 enters state 128, so the upper half is first.
            high = (high << 1 | low >> 127) & (entered.1 | self.by_any.1) | high & self.repeating.1;
            low = low << 1 & (entered.0 | self.by_any.0) | low & self.repeating.0;
            if !self.rest.is_empty() && high & self.end.1 != 0 {
                let rest = Automaton::new(self.rest);
                if rest.matches(characters.as_str()) {
                    return true;
                }
            }
        }
        self.rest.is_empty() && (low & self.end.0 | high & self.end.1) != 0
    }
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
            ("p?p?p?q?p", "pppppppqp", false),
            ("*p?p?p?q?p*", "ppppppppppqp", false),
            ("*p?p?p?q?p*", "ppppppppppqpp", true),
            ("?é*é?", "éé", false),
            ("?é*é?", "aééa", true),
            // A key can contain both characters.
            ("a*", "a*?", true),
            ("a?", "a*", true),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} and {path}");
            let by_backtracking = matches_by_backtracking(pattern, path);
            assert_eq!(by_backtracking, expected, "{pattern} and {path}");
        }
    }

    /// Returns patterns of up to 400 characters, most of them question marks, and paths that they match or nearly match.
    fn many_question_marks() -> impl Strategy<Value = (String, String)> {
        let literal = prop_oneof![8 => Just('p'), 1 => Just('q'), 1 => Just('é')];
        let matched = (literal, 0_u8..20);
        let positions = prop::collection::vec(matched, 0..400);
        let difference = prop::option::of((any::<prop::sample::Index>(), "[pqé]?"));
        (positions, "[pqé]{0,9}", difference).prop_map(|(positions, repeated, difference)| {
            let pattern = positions.iter().map(|(character, kind)| match kind {
                0..12 => '?',
                12 => '*',
                _ => *character,
            });
            let path = positions.iter().map(|(character, kind)| match kind {
                12 => repeated.clone(),
                _ => character.to_string(),
            });
            let mut path: Vec<_> = path.collect();
            if let Some((place, other)) = difference.filter(|_| !path.is_empty()) {
                *place.get_mut(&mut path) = other;
            }
            (pattern.collect(), path.concat())
        })
    }

    #[test]
    fn matches_on_both_sides_of_each_multiple_of_128_characters() {
        for length in [126, 127, 128, 129, 255, 256, 257, 400] {
            let question_marks = "?".repeat(length);
            for (pattern, path, expected) in [
                (question_marks.clone(), "é".repeat(length), true),
                (question_marks.clone(), "é".repeat(length + 1), false),
                (question_marks.clone(), "é".repeat(length - 1), false),
                (format!("{question_marks}*"), "é".repeat(length + 1), true),
                (format!("{question_marks}*a"), "a".repeat(length), false),
                (format!("{question_marks}*a"), "a".repeat(length + 1), true),
                (format!("*{question_marks}a*"), "a".repeat(1_000), true),
                (format!("*{question_marks}a*"), "b".repeat(1_000), false),
            ] {
                assert_eq!(matches(&pattern, &path), expected, "{pattern} and {path}");
            }
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

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]
        #[test]
        fn matches_many_question_marks_as_backtracking_does(
            (pattern, path) in many_question_marks(),
        ) {
            prop_assert_eq!(matches(&pattern, &path), matches_by_backtracking(&pattern, &path));
        }
    }
}
