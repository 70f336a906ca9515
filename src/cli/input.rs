//! `Input`: what changed, from wherever it is told.
//!
//! | source | holds |
//! |---|---|
//! | arguments, `--paths-from` | paths and tags as people write them |
//! | `--keys-from` | object keys |
//! | `--from-s3-sync` | what `aws s3` says of what it did |
//! | `--batch` | what the AWS CLI takes |

mod batch;
mod lines;
mod s3_sync;
mod walk;

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use super::{CliError, Selection};
use crate::path::InvalidationPath;
use crate::plan::Inventory;

/// What changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Input {
    /// As somebody asked for them.
    pub paths: Vec<InvalidationPath>,
    pub objects: Vec<Object>,
    /// The caller reference of a batch.
    pub reference: Option<String>,
    /// What was left out.
    pub notes: Vec<String>,
    /// Whether the objects are those that a dry run would change.
    pub dry_run: bool,
}

/// An object that was written or deleted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Object {
    /// Where that is known.
    pub bucket: Option<String>,
    pub key: String,
}

impl Input {
    /// Reads all that a selection names.
    pub(super) fn read(selection: &Selection) -> Result<Self, CliError> {
        only_once(selection)?;
        let mut input = Self::default();
        for text in &selection.paths {
            let path = InvalidationPath::parse(text);
            input
                .paths
                .push(path.map_err(|error| CliError::usage(error.to_string()))?);
        }
        if let Some(file) = &selection.paths_from {
            let paths = lines::paths(&read(file)?);
            input
                .paths
                .extend(paths.map_err(|error| in_file(file, &error))?);
        }
        if let Some(file) = &selection.keys_from {
            let bucket = &selection.bucket;
            let object = |key: &str| Object {
                bucket: bucket.clone(),
                key: key.to_owned(),
            };
            input.objects.extend(lines::keys(&read(file)?).map(object));
        }
        if let Some(file) = &selection.from_s3_sync {
            let synced = s3_sync::parse(&read(file)?);
            let synced = synced.map_err(|error| in_file(file, &error))?;
            input.notes.extend(synced.note());
            input.dry_run = synced.dry_run;
            input.objects.extend(synced.objects);
        }
        if let Some(file) = &selection.batch {
            let batch = batch::parse(&read(file)?).map_err(|error| in_file(file, &error))?;
            input.paths = batch.paths;
            input.reference = batch.reference;
        }
        input.objects.sort_unstable();
        input.objects.dedup();
        Ok(input)
    }

    /// Returns the buckets that are known to have changed.
    pub(super) fn buckets(&self) -> Vec<String> {
        let buckets = self
            .objects
            .iter()
            .filter_map(|object| object.bucket.clone());
        let mut buckets: Vec<_> = buckets.collect();
        buckets.dedup();
        buckets
    }
}

impl Selection {
    /// Returns whether there is any input: paths, or a file.
    pub(super) fn has_input(&self) -> bool {
        !self.paths.is_empty() || self.files().next().is_some()
    }

    fn files(&self) -> impl Iterator<Item = &Path> {
        let files = [
            &self.paths_from,
            &self.keys_from,
            &self.from_s3_sync,
            &self.batch,
        ];
        files.into_iter().flatten().map(AsRef::as_ref)
    }

    /// Reads what the site holds, where that is told.
    pub(super) fn inventory(&self) -> Result<Option<Inventory>, CliError> {
        let mut keys = Vec::new();
        if let Some(directory) = &self.site {
            keys = walk::keys(directory)?;
        }
        if let Some(file) = &self.inventory {
            keys.extend(lines::keys(&read(file)?).map(str::to_owned));
        }
        let told = self.site.is_some() || self.inventory.is_some();
        Ok(told.then(|| Inventory::from_keys(keys)))
    }
}

fn only_once(selection: &Selection) -> Result<(), CliError> {
    let inventory = selection.inventory.as_deref();
    let files = selection.files().chain(inventory);
    match files.filter(|file| is_stdin(file)).count() {
        0 | 1 => Ok(()),
        _ => Err(CliError::usage(
            "- stands for standard input, which can be read once only",
        )),
    }
}

fn is_stdin(file: &Path) -> bool {
    file.as_os_str() == "-"
}

fn named(file: &Path) -> String {
    if is_stdin(file) {
        "standard input".to_owned()
    } else {
        file.display().to_string()
    }
}

fn in_file(file: &Path, error: &str) -> CliError {
    CliError::usage(format!("{}: {error}", named(file)))
}

fn read(file: &Path) -> Result<String, CliError> {
    let mut bytes = Vec::new();
    let done = if is_stdin(file) {
        io::stdin().lock().read_to_end(&mut bytes).map(|_| ())
    } else {
        fs::read(file).map(|read| bytes = read)
    };
    done.map_err(|error| in_file(file, &error.to_string()))?;
    let text = String::from_utf8(bytes)
        .map_err(|error| in_file(file, &format!("is no UTF-8 text: {error}")))?;
    // What Windows puts before it.
    Ok(text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned())
}
