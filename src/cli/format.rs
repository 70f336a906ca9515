//! Numbers, times, paths and tables as text.

use chrono::{DateTime, SecondsFormat, Utc};
use comfy_table::{Table, presets};

use crate::path::SubmittedPath;

/// How many paths an excerpt contains at most.
const MAX_PATHS_IN_EXCERPT: usize = 5;

/// Formats a time as CloudFront does.
pub(super) fn timestamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Formats a number and its noun, in the plural unless the number is 1.
pub(super) fn counted(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", thousands(number))
}

/// Formats a number with commas between the thousands.
pub(super) fn thousands(number: usize) -> String {
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

/// Returns the first paths and the number of the others.
pub(super) fn excerpt(paths: &[SubmittedPath]) -> String {
    let first = paths
        .iter()
        .take(MAX_PATHS_IN_EXCERPT)
        .map(SubmittedPath::as_str);
    let first = first.collect::<Vec<_>>().join(" ");
    match paths.len().saturating_sub(MAX_PATHS_IN_EXCERPT) {
        0 => first,
        others => format!("{first} and {others} more"),
    }
}

/// Formats a table without borders, so that a script can split it into columns.
pub(super) fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header);
    for row in rows {
        table.add_row(row);
    }
    let text = table.to_string();
    let lines = text
        .lines()
        .map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end());
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_numbers_with_their_noun() {
        for (number, text) in [
            (0, "0 paths"),
            (1, "1 path"),
            (999, "999 paths"),
            (1_000, "1,000 paths"),
            (1_234_567, "1,234,567 paths"),
        ] {
            assert_eq!(counted(number, "path"), text);
        }
    }
}
