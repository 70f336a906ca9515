//! Requested cache tags: CloudFront reports success for a tag that has no effect, so tags are checked first.
//!
//! A distribution without a cache tag header is refused. One that cannot be read for the moment is not submitted: the
//! next job checks it again, and a direct invocation fails. If IAM denies reading it, the tags are sent, and the result has
//! a note.

use std::collections::BTreeMap;

use super::ReadFeatures;
use crate::distribution::DistributionId;
use crate::error::Error;
use crate::path::InvalidationPath;
use crate::trigger::request::PathRequest;

/// Returns the cache tags to send: those that no path covers. Tags that differ only in case cover each other, so a tag does
/// not count as covering.
pub(super) fn tags(request: &PathRequest) -> Vec<InvalidationPath> {
    let (tags, paths): (Vec<_>, Vec<_>) =
        request.paths.paths.iter().partition(|path| path.is_tag());
    let is_covered = |tag: &InvalidationPath| paths.iter().any(|path| path.covers(tag));
    let needed = tags.into_iter().filter(|tag| !is_covered(tag));
    needed.cloned().collect()
}

/// Returns the distributions to which `tags`, which are not empty, must not be sent now, each with the reason.
pub(super) fn refused(
    tags: &[InvalidationPath],
    read: &ReadFeatures,
) -> BTreeMap<DistributionId, Error> {
    let refused = read.iter().filter_map(|(id, features)| {
        let error = match features {
            Ok(features) => features.check_tags(id, tags).err()?,
            Err(error) if error.is_transient() => error.clone(),
            Err(_) => return None,
        };
        Some((id.clone(), error))
    });
    refused.collect()
}
