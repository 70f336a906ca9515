//! Numbers, paths and tables as text.

use comfy_table::{Table, presets};

use crate::excerpt::{Excerpt, MAX_NOTED};
pub(super) use crate::excerpt::{counted, thousands};
use crate::path::SubmittedPath;

/// Returns the first paths and the number of the others.
pub(super) fn excerpt(paths: &[SubmittedPath]) -> Excerpt<MAX_NOTED> {
    paths.iter().map(SubmittedPath::as_str).collect()
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
