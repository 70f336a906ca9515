//! How long to wait until an invalidation is completed: the default, the maximum and the parser of the limit. Durations as
//! text.
//!
//! AWS states that 95 % of all invalidations are reported as completed within 25 seconds
//! ([announcement](https://aws.amazon.com/about-aws/whats-new/2026/04/cloudfront-invalidation-cache-tag/)); minutes were
//! observed. So the limit only ends a wait that is in vain. It does not make CloudFront faster.
//!
//! Limits of CodePipeline: <https://docs.aws.amazon.com/codepipeline/latest/userguide/limits.html>

use std::time::Duration;

use chrono::TimeDelta;

/// How long to wait if no limit is given: longer than any invalidation that was observed while CloudFront worked
/// normally.
pub const DEFAULT_WAIT: Duration = Duration::from_secs(15 * 60);

/// The longest limit. CodePipeline ends a Lambda action after 24 hours.
pub const MAX_WAIT: Duration = Duration::from_secs(23 * 60 * 60);

/// Parses a limit: `90`, `90s`, `5m`, `1h`, `true` for [`DEFAULT_WAIT`], `false` or `0` for no wait (zero).
///
/// # Errors
///
/// Returns a message with the accepted values if the text is not a limit or exceeds [`MAX_WAIT`].
pub fn parse_wait_limit(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    match text {
        "true" => return Ok(DEFAULT_WAIT),
        "false" => return Ok(Duration::ZERO),
        _ => {}
    }
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number = text.strip_suffix(unit).unwrap_or_default();
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
        .filter(|limit| *limit <= MAX_WAIT)
        .ok_or_else(|| {
            format!(
                "{text:?} is not a valid limit: write true, false, or a time up to 23h such as 90s or 5m"
            )
        })
}

/// Formats an age in its largest unit: `40 s`, `15 min`, `3 h`, `2 days`. An age in the future is `0 s`.
pub fn age_text(age: TimeDelta) -> String {
    let seconds = age.num_seconds().max(0);
    match (seconds, age.num_minutes(), age.num_hours()) {
        (..120, ..) => format!("{seconds} s"),
        (_, minutes @ ..120, _) => format!("{minutes} min"),
        (.., hours @ ..48) => format!("{hours} h"),
        _ => format!("{} days", age.num_days()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_an_age_in_its_largest_unit() {
        for (seconds, text) in [
            (-5, "0 s"),
            (0, "0 s"),
            (119, "119 s"),
            (120, "2 min"),
            (7_199, "119 min"),
            (7_200, "2 h"),
            (172_799, "47 h"),
            (172_800, "2 days"),
        ] {
            assert_eq!(age_text(TimeDelta::seconds(seconds)), text);
        }
    }

    #[test]
    fn parses_a_limit_and_rejects_other_text() {
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
                parse_wait_limit(text),
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
                "{text:?} is not a valid limit: write true, false, or a time up to 23h such as 90s or 5m"
            );
            assert_eq!(parse_wait_limit(text), Err(expected));
        }
    }
}
