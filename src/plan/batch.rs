//! `Batch`: the paths of one CreateInvalidation call, with the caller reference that is derived from them.
//!
//! A retry must find the invalidation that exists, and a later change must create a new one. So a [`CallerReference`]
//! is derived from the identity of the event, the distribution and the sorted paths, and from nothing else: not from a
//! clock (two batches in one second would share it), not at random (a retry would be billed again). A batch with fewer
//! paths, which a daily budget leaves, keeps the reference: a retry for which less is left must find it too.
//!
//! The fields are private so that the paths cannot change after the reference was derived from them.

use std::fmt;

use sha2::{Digest, Sha256};

use super::collapse::{Collapsed, collapse};
use super::limits::Limits;
use crate::distribution::DistributionId;
use crate::error::Error;
use crate::path::InvalidationPath;

/// The maximum length of a caller reference, in characters.
/// [Terraform documents it](https://registry.terraform.io/providers/hashicorp/aws/latest/docs/actions/cloudfront_create_invalidation),
/// AWS does not.
pub const MAX_CALLER_REFERENCE_CHARACTERS: usize = 128;

/// What one CreateInvalidation call requests of one distribution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    distribution: DistributionId,
    plan: Collapsed,
    reference: CallerReference,
    name: Option<String>,
}

impl Batch {
    /// Plans the invalidation of `paths` on a distribution. `event` identifies the event: equal for a retry, different
    /// for every other event.
    ///
    /// If the limits leave no wildcard, the batch may still need one: check with [`Batch::fits_wildcards`].
    pub fn new(
        event: &str,
        distribution: DistributionId,
        paths: Vec<InvalidationPath>,
        limits: Limits,
    ) -> Self {
        Self::from_plan(event, distribution, collapse(paths, None, limits))
    }

    /// Makes a batch of paths that are planned already; `event` as for [`Batch::new`].
    pub fn from_plan(event: &str, distribution: DistributionId, plan: Collapsed) -> Self {
        let reference = CallerReference::new(event, &distribution, &plan.paths);
        Self {
            distribution,
            plan,
            reference,
            name: None,
        }
    }

    /// Starts the reference with a label for humans; its hash stays.
    pub fn with_label(mut self, label: &str) -> Self {
        self.reference = self.reference.with_label(label);
        self
    }

    /// Names the request as the user does, so that a repetition is recognized: the reference starts with the name, and
    /// its hash stays. The batch must have been made with an event that is the same for the same name.
    pub fn with_name(self, name: &str) -> Self {
        self.with_label(name).with_idempotency_key(name)
    }

    /// Sets the key by which the caller recognizes a repetition; the reference stays. The batch must have been made with an
    /// event that is the same for the same key.
    pub fn with_idempotency_key(self, key: &str) -> Self {
        Self {
            name: Some(key.to_owned()),
            ..self
        }
    }

    /// Replaces the derived reference by one that the user chose.
    pub fn with_reference(self, reference: CallerReference) -> Self {
        Self {
            name: Some(reference.as_str().to_owned()),
            reference,
            ..self
        }
    }

    /// Takes the caller reference of a batch that covers the same with more paths, and that this one replaces. So
    /// CloudFront refuses it if it has already accepted other paths for the reference.
    pub fn replacing(self, batch: &Self) -> Self {
        Self {
            reference: batch.reference.clone(),
            ..self
        }
    }

    /// Returns the distribution.
    pub fn distribution(&self) -> &DistributionId {
        &self.distribution
    }

    /// Returns the paths to send, and what they replace.
    pub fn plan(&self) -> &Collapsed {
        &self.plan
    }

    /// Returns the paths to send, sorted.
    pub fn paths(&self) -> &[InvalidationPath] {
        &self.plan.paths
    }

    /// Returns the caller reference: equal for the same event, distribution and paths, or that of the batch that this
    /// one replaces.
    pub fn reference(&self) -> &CallerReference {
        &self.reference
    }

    /// Returns the name that the user gave the request. Another request of the user can have the same name, so a
    /// caller reference that CloudFront has already is checked ([`reuse`](super::reuse)). Without a name, the caller
    /// reference is derived from the event, so only an earlier attempt of the same work can have sent it.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Returns whether the batch needs no more wildcards than the limits leave.
    pub fn fits_wildcards(&self, limits: Limits) -> bool {
        let wildcards = self.paths().iter().filter(|path| path.is_wildcard());
        wildcards.count() <= limits.wildcards
    }

    /// Divides the batch in two, each with its own reference. Returns `None` for a single path.
    pub fn halves(&self) -> Option<[Self; 2]> {
        let (left, right) = self.paths().split_at_checked(self.paths().len() / 2)?;
        let label = self.reference.label();
        let half = |paths: &[InvalidationPath]| Self {
            name: self.name.clone(),
            ..Self::new(
                self.reference.as_str(),
                self.distribution.clone(),
                paths.to_vec(),
                Limits::REQUESTED_PATHS,
            )
            .with_label(label)
        };
        (!left.is_empty()).then(|| [left, right].map(half))
    }
}

/// The name of a request: CloudFront answers the same name and paths with the invalidation that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerReference(String);

impl CallerReference {
    fn new(event: &str, distribution: &DistributionId, paths: &[InvalidationPath]) -> Self {
        let mut hash = Sha256::new();
        let paths = paths.iter().map(InvalidationPath::as_str);
        for part in [event, distribution.as_str()].into_iter().chain(paths) {
            // The length keeps two parts apart: an object's key may hold any separator.
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        let digest = hash.finalize();
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Self(format!("cloudfront-invalidator-{hex}"))
    }

    /// Takes a reference that the user chose.
    ///
    /// # Errors
    ///
    /// [`Error`] if it is empty or longer than [`MAX_CALLER_REFERENCE_CHARACTERS`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        if !(1..=MAX_CALLER_REFERENCE_CHARACTERS).contains(&text.chars().count()) {
            return Err(Error::invalid_input(format!(
                "a caller reference has 1 to {MAX_CALLER_REFERENCE_CHARACTERS} characters"
            )));
        }
        Ok(Self(text.to_owned()))
    }

    fn with_label(&self, label: &str) -> Self {
        let hash = self.0.rsplit('-').next().unwrap_or_default();
        Self(format!("{label}-{hash}"))
    }

    /// Returns what a derived reference starts with.
    fn label(&self) -> &str {
        let (label, _) = self.0.rsplit_once('-').unwrap_or_default();
        label
    }

    /// Returns the text that CloudFront gets.
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
        Batch::new(event, id(distribution), paths, Limits::REQUESTED_PATHS)
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
            let paths = batch("job 1", "E2EXAMPLE1ABC", &asked).paths().to_vec();
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
        let reference = |event, distribution, paths: &[&str]| {
            batch(event, distribution, paths).reference().clone()
        };
        let first = reference("job 1", "E2EXAMPLE1ABC", &["/a", "/b"]);
        assert_eq!(
            first.as_str(),
            "cloudfront-invalidator-8074305cfe9eec4a64326a16d9a44909a3c2eee6be4b0d748cff893645bf8198"
        );
        assert!(first.as_str().len() <= MAX_CALLER_REFERENCE_CHARACTERS);
        let labelled = batch("job 1", "E2EXAMPLE1ABC", &["/a", "/b"]).with_label(&"n".repeat(60));
        let hash = first.as_str().trim_start_matches("cloudfront-invalidator-");
        assert_eq!(
            labelled.reference().as_str(),
            format!("{}-{hash}", "n".repeat(60))
        );
        assert!(labelled.reference().as_str().len() <= MAX_CALLER_REFERENCE_CHARACTERS);
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

    #[test]
    fn both_halves_keep_the_key_whose_age_is_checked() {
        let batch = batch("event", "E2EXAMPLE1ABC", &["/a", "/b", "/c"]);
        for (key, expected) in [(None, None), (Some("k"), Some("k"))] {
            let batch = batch.clone();
            let batch = match key {
                Some(key) => batch.with_idempotency_key(key),
                None => batch,
            };
            let halves = batch.halves().expect("several paths");
            let references = halves.each_ref().map(|half| half.reference().clone());
            assert_eq!(halves.each_ref().map(Batch::name), [expected; 2]);
            assert_ne!(references[0], references[1]);
            assert!(!references.contains(batch.reference()));
        }
    }
}
