//! What `--inventory-before` shows about the changed objects: whether each existed before the deploy, and with which content.
//!
//! A new object can need no invalidation, and so can one with the same content. So a listing that is possibly not the one from
//! before the deploy is not used, with a warning.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::listing::{self, Content, Listing};
use super::{Input, file_error, is_stdin, read};
use crate::cli::{CliError, Selection};
use crate::excerpt::{Excerpt, MAX_NOTED};
use crate::site::Change;

/// How long before the changes the bucket can have been listed.
const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// What an object contained before the deploy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Before {
    pub content: Content,
    /// The local file that was uploaded, if it is known.
    pub source: Option<String>,
}

impl Before {
    /// Returns whether the local file with this name, relative to the uploaded directory, can be the one that was uploaded.
    pub(in crate::cli) fn is_from(&self, name: &str) -> bool {
        self.source.as_ref().is_none_or(|source| {
            let source = source.replace('\\', "/");
            let directory = source.strip_suffix(name);
            directory.is_some_and(|directory| directory.is_empty() || directory.ends_with('/'))
        })
    }
}

impl Input {
    /// Reads `--inventory-before`, and adds to the changed objects what it shows about them.
    pub(super) fn read_inventory_before(&mut self, selection: &Selection) -> Result<(), CliError> {
        let Some(file) = &selection.inventory_before else {
            return Ok(());
        };
        if selection.keys_from.is_none() && selection.from_s3_sync.is_none() {
            return Err(CliError::usage(
                "--inventory-before describes changed objects: give them with --from-s3-sync or --keys-from",
            ));
        }
        let listing = listing::parse(&read(file)?).map_err(|error| file_error(file, error))?;
        if selection.skip_unchanged
            && let Some(key) = listing.without_content()
        {
            return Err(file_error(
                file,
                format!(
                    "--skip-unchanged compares sizes and ETags, and the listing has none of {key}: write it with `aws s3api \
                     list-objects-v2 --bucket NAME --output json`"
                ),
            ));
        }
        self.check_bucket_of_listing()?;
        self.notes.extend(listing.note.clone());
        let name = if is_stdin(file) {
            "the listing of --inventory-before".to_owned()
        } else {
            format!("--inventory-before {}", file.display())
        };
        let misfit = self
            .misfit_of_listing(&listing)
            .or_else(|| self.misfit_of_time(file, selection.from_s3_sync.as_deref()));
        match misfit {
            Some(misfit) => self.notes.push(format!(
                "{name} is not used, because {misfit}: list the bucket of the changed objects before the upload"
            )),
            None => self.add_listing(&listing, &name, selection.skip_unchanged),
        }
        Ok(())
    }

    fn check_bucket_of_listing(&self) -> Result<(), CliError> {
        let mut buckets = self.objects.keys().map(|object| &object.bucket);
        let first = buckets.next();
        let Some((first, other)) = first.zip(buckets.find(|bucket| Some(*bucket) != first)) else {
            return Ok(());
        };
        let name = |bucket: &Option<String>| match bucket {
            Some(bucket) => format!("bucket {bucket}"),
            None => "an unknown bucket (name it with --bucket)".to_owned(),
        };
        Err(CliError::usage(format!(
            "the changed objects are in {} and {}, but --inventory-before is the listing of one bucket: run the command for each \
             bucket alone, or without --inventory-before",
            name(first),
            name(other)
        )))
    }

    /// Returns why it is not the listing of the bucket from before the deploy, if it certainly is not.
    fn misfit_of_listing(&self, listing: &Listing) -> Option<String> {
        let object = self.objects.keys().next()?;
        if let Some((bucket, listed)) = object.bucket.as_ref().zip(listing.bucket.as_ref())
            && bucket != listed
        {
            return Some(format!(
                "it is the listing of bucket {listed}, and the changed objects are in bucket {bucket}"
            ));
        }
        if listing.is_list_without(self.objects.keys().map(|object| object.key.as_str())) {
            return Some(format!(
                "it has none of the changed objects, such as {}, and does not state which part of the bucket it lists",
                object.key
            ));
        }
        let mut deleted = (self.objects.iter())
            .filter(|(_, change)| change.exists == Some(false))
            .map(|(object, _)| &object.key);
        let missing = deleted.find(|key| listing.contains(key) == Some(false))?;
        Some(format!(
            "it lacks {missing}, which aws s3 has deleted and which existed before"
        ))
    }

    /// Returns why the time of the listing is not the one before the changes, if it is not.
    fn misfit_of_time(&self, listing: &Path, changes: Option<&Path>) -> Option<String> {
        // After a dry run, the objects are still those from before.
        let changes = changes.filter(|_| !self.dry_run)?;
        let modified = |file: &Path| -> Option<SystemTime> {
            (!is_stdin(file)).then(|| {
                fs::metadata(file)
                    .and_then(|metadata| metadata.modified())
                    .ok()
            })?
        };
        let (listed, changed) = (modified(listing)?, modified(changes)?);
        let changes = changes.display();
        match changed.duration_since(listed) {
            Err(_) => Some(format!(
                "it is newer than {changes}, so it possibly has the objects after the deploy"
            )),
            Ok(age) if age > MAX_AGE => Some(format!(
                "it is more than a day older than {changes}, so other deploys have possibly changed the bucket since"
            )),
            Ok(_) => None,
        }
    }

    fn add_listing(&mut self, listing: &Listing, name: &str, with_contents: bool) {
        let mut not_shown = Excerpt::<MAX_NOTED>::default();
        for (object, change) in &mut self.objects {
            if self.written_again.contains(object) {
                continue;
            }
            let existed = listing.contains(&object.key);
            *change = Change { existed, ..*change };
            if existed.is_none() {
                not_shown.push(&object.key);
            }
            let source = self.sources.get(object).cloned();
            // A copy within S3 has no local file.
            let has_file = source.is_some() || change.exists.is_none();
            if with_contents
                && has_file
                && let Some(content) = listing.content(&object.key)
            {
                let content = content.clone();
                let before = Before { content, source };
                self.contents_before.insert(object.clone(), before);
            }
        }
        if not_shown.count() > 0 {
            self.notes.push(format!(
                "not left out as new, because {name} does not show this part of the bucket: {}",
                not_shown.join(", ")
            ));
        }
    }
}
