//! How long to wait for the edge: what people write, and what it may be.
//!
//! Nineteen of twenty invalidations are done within 25 seconds and some take minutes, so the limit is there to end a wait
//! in vain, not to hurry one.

use std::time::Duration;

/// The limit of a wait without one: longer than CloudFront was ever seen to take in good order.
pub const DEFAULT_LIMIT: Duration = Duration::from_secs(15 * 60);

/// The longest limit; CodePipeline gives a Lambda action 24 hours in all.
pub const MAX_LIMIT: Duration = Duration::from_secs(23 * 60 * 60);

/// Reads a limit: `90`, `90s`, `5m`, `1h`; `true` for [`DEFAULT_LIMIT`], `false` or `0` for no wait (zero).
///
/// # Errors
///
/// A sentence that says what was expected.
pub fn parse_limit(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    match text {
        "true" => return Ok(DEFAULT_LIMIT),
        "false" => return Ok(Duration::ZERO),
        _ => {}
    }
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number = &text[..text.len() - unit.len()];
    let seconds = match unit.trim() {
        "" | "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        _ => 0,
    };
    let limit = number
        .parse::<u64>()
        .ok()
        .filter(|_| seconds > 0)
        .and_then(|number| number.checked_mul(seconds));
    limit
        .map(Duration::from_secs)
        .filter(|limit| *limit <= MAX_LIMIT)
        .ok_or_else(|| {
            format!(
                "{text:?} is no limit: write true, false, or a time up to 23h such as 90s or 5m"
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, seconds) in [
            ("true", 900),
            ("false", 0),
            ("0", 0),
            ("90", 90),
            (" 90s", 90),
            ("5m", 300),
            ("5 m", 300),
            ("23h", 82_800),
        ] {
            assert_eq!(
                parse_limit(text),
                Ok(Duration::from_secs(seconds)),
                "{text}"
            );
        }
        for text in [
            "",
            "soon",
            "-5",
            "5d",
            "24h",
            "m",
            "1.5m",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            let expected = format!(
                "{text:?} is no limit: write true, false, or a time up to 23h such as 90s or 5m"
            );
            assert_eq!(parse_limit(text), Err(expected));
        }
    }
}
