//! Ways in which a faulty function or CloudFront leaves stale copies or drops valid ones, to prove that the driver notices
//! them.
//!
//! The function works as always. Only the edge gets something else than CloudFront accepted, CloudFront's API returns
//! configurations that are no longer in force, or the function has settings that do not fit the site.

use std::str::FromStr;
use std::time::Duration;

use crate::standin::AcceptedInvalidation;

const ONE_IN_LOST: usize = 4;
/// Escapes of characters that browsers leave unencoded, and S3 clients do not.
const ESCAPES_OF_S3_CLIENTS: [&str; 8] = ["%21", "%24", "%26", "%27", "%28", "%2C", "%3A", "%40"];
const LONGER: u32 = 100;

/// A way to leave stale copies, or to drop valid ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// Paths that end in a slash are ignored, as if the function had no rule for index documents.
    Alias,
    /// Paths in the spelling of S3 clients are ignored.
    Spelling,
    /// The POPs drop their copies long after CloudFront reports that an invalidation is completed.
    Early,
    /// One invalidation in four has no effect.
    Lost,
    /// The function gets configurations from before all changes of them.
    Outdated,
    /// The function does not invalidate some entry pages, because a setting declares that they never change.
    Immutable,
    /// The function invalidates removed files that old entry pages name.
    Removed,
}

impl Sabotage {
    pub const ALL: [Self; 7] = [
        Self::Alias,
        Self::Spelling,
        Self::Early,
        Self::Lost,
        Self::Outdated,
        Self::Immutable,
        Self::Removed,
    ];

    /// Returns the name and the value of the function's setting.
    pub fn setting(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Immutable => Some(("IMMUTABLE_PATHS", "/*about/*,/*blog/*,/*pricing/*")),
            Self::Removed => Some(("KEEP_REMOVED_IMMUTABLE", "false")),
            _ => None,
        }
    }

    /// Returns the paths of an invalidation that take effect; `number` counts the invalidations.
    pub fn paths(self, accepted: &AcceptedInvalidation, number: usize) -> Vec<String> {
        let is_kept = |path: &&String| match self {
            Self::Alias => !path.ends_with('/'),
            Self::Spelling => !ESCAPES_OF_S3_CLIENTS
                .iter()
                .any(|escape| path.contains(escape)),
            Self::Early | Self::Outdated | Self::Immutable | Self::Removed => true,
            Self::Lost => !number.is_multiple_of(ONE_IN_LOST),
        };
        accepted.paths.iter().filter(is_kept).cloned().collect()
    }

    /// Returns how long the POPs take, if CloudFront reports that an invalidation takes this long.
    pub fn duration(self, reported: Duration) -> Duration {
        match self {
            Self::Early => reported * LONGER,
            _ => reported,
        }
    }
}

impl FromStr for Sabotage {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let mut all = Self::ALL.into_iter();
        let found = all.find(|sabotage| format!("{sabotage:?}").eq_ignore_ascii_case(name));
        found.ok_or_else(|| {
            let known = Self::ALL.map(|sabotage| format!("{sabotage:?}").to_lowercase());
            format!("unknown sabotage \"{name}\"; one of: {}", known.join(", "))
        })
    }
}
