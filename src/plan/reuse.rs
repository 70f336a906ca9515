//! What it means that CloudFront has the caller reference of a request already.
//!
//! CloudFront creates one invalidation for a caller reference. A repeated request returns the existing invalidation, or an
//! error (`docs/architecture.md`); in both cases nothing new is invalidated. A user who repeats a request by its name wants
//! to know it: the content may have changed since.
//!
//! Caller references: <https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_InvalidationBatch.html>

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::batch::Batch;
use super::existing::ExistingInvalidation;
use crate::error::{Conflict, Error, ErrorKind};
use crate::path::InvalidationPath;

/// How old an invalidation can be that a repeated request is satisfied with. A retry comes sooner; a later request under the
/// same name is about newer content.
pub const MAX_REUSE_AGE: TimeDelta = TimeDelta::minutes(15);

/// How much the times of one request can differ: CreateTime, and the header `Date`, which has no fractions of a second.
const PRECISION: TimeDelta = TimeDelta::seconds(2);

/// The times of a request, by CloudFront's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestTimes {
    /// When the request was sent first.
    pub sent: DateTime<Utc>,
    /// When CloudFront responded.
    pub responded: DateTime<Utc>,
}

/// Returns the age of the invalidation if an earlier request of the user created it, or `None` if this request did.
///
/// # Errors
///
/// [`Error`] if the invalidation does not satisfy the request: its paths differ, or it is older than [`MAX_REUSE_AGE`].
pub fn check(
    name: &str,
    batch: &Batch,
    existing: &ExistingInvalidation,
    times: RequestTimes,
) -> Result<Option<TimeDelta>, Error> {
    let RequestTimes { sent, responded } = times;
    let id = existing.id.to_string();
    let requested: BTreeSet<_> = batch.paths().iter().map(InvalidationPath::as_str).collect();
    let submitted: BTreeSet<_> = existing.paths.iter().map(|path| path.as_str()).collect();
    if requested != submitted {
        return Err(conflict(name, Conflict::OtherPaths { id }));
    }
    if is_created_by(sent, existing) {
        return Ok(None);
    }
    let age = responded.signed_duration_since(existing.created);
    if age > MAX_REUSE_AGE {
        return Err(conflict(name, Conflict::TooOld { id, age }));
    }
    Ok(Some(age))
}

/// Returns whether a request that was first sent at this time created the invalidation, and not an earlier one. Two
/// requests within two seconds count as one.
pub fn is_created_by(sent: DateTime<Utc>, invalidation: &ExistingInvalidation) -> bool {
    sent.signed_duration_since(invalidation.created) <= PRECISION
}

/// Returns the error of a request whose name was used for another one.
pub(crate) fn conflict(name: &str, conflict: Conflict) -> Error {
    let name = name.to_owned();
    ErrorKind::NameUsed { name, conflict }.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distribution::DistributionId;
    use crate::path::SubmittedPath;
    use crate::plan::{InvalidationId, InvalidationStatus, Limits};

    fn existing(created: i64, paths: &[&str]) -> ExistingInvalidation {
        ExistingInvalidation {
            id: InvalidationId::new("I1EXAMPLE"),
            created: DateTime::from_timestamp_millis(created).expect("a time"),
            status: InvalidationStatus::Completed,
            caller_reference: "release-42".into(),
            paths: paths
                .iter()
                .map(|path| SubmittedPath::from((*path).to_owned()))
                .collect(),
        }
    }

    #[test]
    fn a_repeated_request_is_satisfied_with_the_same_paths_within_15_minutes() {
        let paths = ["/a", "/b"].map(|path| InvalidationPath::parse(path).expect("a path"));
        let distribution = DistributionId::parse("E1EXAMPLE1ABC").expect("an id");
        let batch = Batch::new(
            "cli release-42",
            distribution,
            paths.into(),
            Limits::REQUESTED_PATHS,
        );
        let id = || "I1EXAMPLE".to_owned();
        let too_old = |seconds, milliseconds| {
            let age = TimeDelta::seconds(seconds) + TimeDelta::milliseconds(milliseconds);
            Err(conflict("release-42", Conflict::TooOld { id: id(), age }))
        };
        let other_paths = Err(conflict("release-42", Conflict::OtherPaths { id: id() }));
        // The request was sent at 2,000 s and answered a second later.
        for (created, paths, expected) in [
            // The first attempt of this request created it, and its response was lost.
            (2_000_300, ["/a", "/b"], Ok(None)),
            (1_999_300, ["/b", "/a"], Ok(None)),
            (1_998_000, ["/b", "/a"], Ok(None)),
            (1_997_000, ["/a", "/b"], Ok(Some(TimeDelta::seconds(4)))),
            (1_101_000, ["/a", "/b"], Ok(Some(TimeDelta::seconds(900)))),
            (1_100_999, ["/a", "/b"], too_old(900, 1)),
            (0, ["/a", "/b"], too_old(2_001, 0)),
            (2_000_300, ["/a", "/c"], other_paths.clone()),
            (1_997_000, ["/a", "/a"], other_paths),
        ] {
            let times = RequestTimes {
                sent: DateTime::from_timestamp(2_000, 0).expect("a time"),
                responded: DateTime::from_timestamp(2_001, 0).expect("a time"),
            };
            let existing = existing(created, &paths);
            let result = check("release-42", &batch, &existing, times);
            assert_eq!(result, expected, "{created} {paths:?}");
        }
    }
}
