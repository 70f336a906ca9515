//! `Excerpt`: the first entries of a list as text, with the number of the others.
//!
//! CloudWatch bills the bytes of the log and cuts long lines, and nobody reads a list of thousands. Texts for people are
//! excerpts; JSON and output variables are complete.

use std::fmt::{self, Display};

/// How many paths or ids a log line and a text for people list.
pub const MAX_LISTED: usize = 100;

/// How many objects, reasons or widened paths a note lists.
pub const MAX_NOTED: usize = 5;

/// The first texts of a list, at most `MAX`, and the length of the list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Excerpt<const MAX: usize> {
    first: Vec<String>,
    count: usize,
}

impl<const MAX: usize> Excerpt<MAX> {
    /// Adds an entry to the list.
    pub fn push(&mut self, entry: impl Display) {
        if self.first.len() < MAX {
            self.first.push(entry.to_string());
        }
        self.count += 1;
    }

    /// Returns the length of the list.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Returns the first entries, and "and N more" if there are others.
    pub fn join(&self, separator: &str) -> String {
        let listed = self.first.join(separator);
        match self.count.saturating_sub(self.first.len()) {
            0 => listed,
            more => format!("{listed}{separator}and {} more", thousands(more)),
        }
    }
}

impl<T: Display, const MAX: usize> FromIterator<T> for Excerpt<MAX> {
    fn from_iter<I: IntoIterator<Item = T>>(entries: I) -> Self {
        let mut excerpt = Self::default();
        entries.into_iter().for_each(|entry| excerpt.push(entry));
        excerpt
    }
}

/// The entries with a space between them.
impl<const MAX: usize> Display for Excerpt<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.join(" "))
    }
}

/// Returns the paths or ids of a log line or of a text for people.
pub fn listed<T: Display>(entries: impl IntoIterator<Item = T>) -> Excerpt<MAX_LISTED> {
    entries.into_iter().collect()
}

/// Formats a number with commas between the thousands.
pub fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Formats a number and its noun, in the plural unless the number is 1.
pub(crate) fn counted(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", thousands(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_the_first_entries_and_counts_the_others() {
        for (length, text) in [
            (0, ""),
            (2, "0, 1"),
            (5, "0, 1, 2, 3, 4"),
            (6, "0, 1, 2, 3, 4, and 1 more"),
            (3_000, "0, 1, 2, 3, 4, and 2,995 more"),
        ] {
            let excerpt: Excerpt<5> = (0..length).collect();
            assert_eq!(excerpt.join(", "), text);
            assert_eq!(excerpt.count(), length);
        }
        let hundred: Vec<_> = (0..100).map(|number| number.to_string()).collect();
        assert_eq!(listed(0..100).to_string(), hundred.join(" "));
        assert_eq!(
            listed(0..3_000).to_string(),
            format!("{} and 2,900 more", hundred.join(" "))
        );
    }
}
