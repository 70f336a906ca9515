//! `Batch`: the paths of one invalidation, and the reference by which CloudFront knows it again.
//!
//! A retry must find the invalidation that exists and a later change must make a new one, so a [`CallerReference`] is
//! derived from the event's identity, the distribution and the sorted paths, and from nothing else: no clock (two
//! batches of one second would collide) and no chance (a retry would pay twice).
//!
//! Which paths these are is [`collapse`]'s to find, within [`Limits`].

pub mod collapse;
pub mod fresh;

use std::fmt;

use serde::Serialize;
use sha2::{Digest, Sha256};

pub use self::collapse::{Collapsed, Inventory, Limits, Merged};
pub use self::fresh::Earlier;
use crate::distribution::DistributionId;
use crate::failure::Failure;
use crate::path::InvalidationPath;

/// The most paths, files and wildcards together, that one request may hold: as many files as may be
/// [in progress](https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/InvalidationLimits.html).
pub const MAX_FILES_IN_FLIGHT: usize = 3_000;

/// The most wildcards that may be in progress; whether for a distribution or for the account is not documented.
pub const MAX_WILDCARDS_IN_FLIGHT: usize = 15;

impl Limits {
    /// What CloudFront itself allows, for paths that somebody asked for by name.
    pub const OF_CLOUDFRONT: Self = Self {
        paths: MAX_FILES_IN_FLIGHT,
        wildcards: MAX_WILDCARDS_IN_FLIGHT,
    };
}

/// What one CreateInvalidation call asks of one distribution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Batch {
    /// The distribution that is asked.
    pub distribution: DistributionId,
    /// The paths that are sent, and what they stand for.
    #[serde(flatten)]
    pub plan: Collapsed,
    /// The same for the same event, distribution and paths.
    pub reference: CallerReference,
}

impl Batch {
    /// Plans the invalidation of `paths` on one distribution for the event with this identity.
    pub fn new(
        event: &str,
        distribution: DistributionId,
        paths: Vec<InvalidationPath>,
        limits: Limits,
    ) -> Self {
        Self::planned(event, distribution, collapse::collapse(paths, None, limits))
    }

    /// Asks for what is planned already, for the event with this identity.
    pub fn planned(event: &str, distribution: DistributionId, plan: Collapsed) -> Self {
        let reference = CallerReference::new(event, &distribution, &plan.paths);
        Self {
            distribution,
            plan,
            reference,
        }
    }

    /// Puts a name for humans before the reference, which stays as unique as it was.
    pub fn named(mut self, name: &str) -> Self {
        let hash = self.reference.0.rsplit('-').next().unwrap_or_default();
        self.reference = CallerReference(format!("{name}-{hash}"));
        self
    }

    /// Tells whether all that the path invalidates is invalidated by the batch.
    pub fn covers(&self, path: &InvalidationPath) -> bool {
        self.plan.paths.iter().any(|wide| wide.covers(path))
    }

    /// Tells whether it needs no more wildcards than there are left.
    pub fn fits(&self, left: Limits) -> bool {
        self.plan
            .paths
            .iter()
            .filter(|path| path.is_wildcard())
            .count()
            <= left.wildcards
    }

    /// Divides the batch in two, each with a reference of its own; not where it is a single path.
    pub fn halves(&self) -> Option<[Self; 2]> {
        let (left, right) = self.plan.paths.split_at(self.plan.paths.len() / 2);
        let half = |paths: &[InvalidationPath]| {
            let distribution = self.distribution.clone();
            Self::new(
                self.reference.as_str(),
                distribution,
                paths.to_vec(),
                Limits::OF_CLOUDFRONT,
            )
        };
        (!left.is_empty()).then(|| [left, right].map(half))
    }
}

/// The name of a request in CloudFront's memory: asked again, it answers with the invalidation that exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct CallerReference(String);

/// The most characters of a reference; [Terraform documents it](https://registry.terraform.io/providers/hashicorp/aws/latest/docs/actions/cloudfront_create_invalidation),
/// AWS does not.
pub const MAX_CALLER_REFERENCE_CHARACTERS: usize = 128;

impl CallerReference {
    /// Derives the reference from the event's identity, the distribution and the sorted paths.
    fn new(event: &str, distribution: &DistributionId, paths: &[InvalidationPath]) -> Self {
        let mut hash = Sha256::new();
        for part in [event, distribution.as_str()]
            .into_iter()
            .chain(paths.iter().map(InvalidationPath::as_str))
        {
            // The length keeps two parts from passing for one: an object's key may hold any separator.
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        let hex: String = hash
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Self(format!("cloudfront-invalidator-{hex}"))
    }

    /// Takes over a reference that somebody gave.
    ///
    /// # Errors
    ///
    /// A [`Failure`] where it is empty or too long.
    pub fn given(text: &str) -> Result<Self, Failure> {
        if !(1..=MAX_CALLER_REFERENCE_CHARACTERS).contains(&text.chars().count()) {
            return Err(Failure::mistake(format!(
                "a caller reference has 1 to {MAX_CALLER_REFERENCE_CHARACTERS} characters"
            )));
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns the text as CloudFront gets it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CallerReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> DistributionId {
        DistributionId::parse(text).expect("a distribution id")
    }

    fn batch(event: &str, distribution: &str, paths: &[&str]) -> Batch {
        let paths: Vec<_> = paths
            .iter()
            .map(|path| InvalidationPath::parse(path).expect("a path"))
            .collect();
        Batch::new(event, id(distribution), paths, Limits::OF_CLOUDFRONT)
    }

    #[test]
    fn sends_each_path_once_and_none_that_another_covers() {
        for (asked, sent) in [
            (vec!["/b", "/a", "/b"], vec!["/a", "/b"]),
            (vec!["/a/b", "/a/*", "/a/c"], vec!["/a/*"]),
            (vec!["/a/*", "/a/"], vec!["/a/", "/a/*"]),
            (vec!["#Blog", "#blog", "/x"], vec!["#Blog", "/x"]),
            (vec!["#blog", "/x", "/*"], vec!["/*"]),
        ] {
            let paths = batch("job 1", "E2EXAMPLE1ABC", &asked).plan.paths;
            assert_eq!(
                paths
                    .iter()
                    .map(InvalidationPath::as_str)
                    .collect::<Vec<_>>(),
                sent
            );
        }
    }

    #[test]
    fn gives_a_retry_the_same_reference_and_anything_else_another() {
        let reference =
            |event, distribution, paths: &[&str]| batch(event, distribution, paths).reference;
        let first = reference("job 1", "E2EXAMPLE1ABC", &["/a", "/b"]);
        assert_eq!(
            first.as_str(),
            "cloudfront-invalidator-8074305cfe9eec4a64326a16d9a44909a3c2eee6be4b0d748cff893645bf8198"
        );
        assert!(first.as_str().len() <= MAX_CALLER_REFERENCE_CHARACTERS);
        let named = batch("job 1", "E2EXAMPLE1ABC", &["/a", "/b"]).named(&"n".repeat(60));
        let hash = first.as_str().trim_start_matches("cloudfront-invalidator-");
        assert_eq!(
            named.reference.as_str(),
            format!("{}-{hash}", "n".repeat(60))
        );
        assert!(named.reference.as_str().len() <= MAX_CALLER_REFERENCE_CHARACTERS);
        assert_eq!(
            reference("job 1", "E2EXAMPLE1ABC", &["/b", "/a", "/a"]),
            first
        );
        assert_ne!(reference("job 2", "E2EXAMPLE1ABC", &["/a", "/b"]), first);
        assert_ne!(reference("job 1", "E3EXAMPLE1ABC", &["/a", "/b"]), first);
        assert_ne!(reference("job 1", "E2EXAMPLE1ABC", &["/a"]), first);
        assert_ne!(
            reference("job 1E2EXAMPLE1", "ABCEFGHIJ", &["/a"]),
            reference("job 1", "E2EXAMPLE1ABCEFGHIJ", &["/a"])
        );
    }
}
