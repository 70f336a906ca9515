//! `InvalidationCache`: the completed invalidations of a distribution, stored on disk.
//!
//! A completed invalidation never changes, so its paths are read from CloudFront once. It is appended to the file as soon
//! as it is read, as a line of JSON, so that a program that is stopped keeps what it has read. A line that is not complete
//! is skipped. If the file cannot be read or written, calls are repeated.
//!
//! A local AWS can have the ids of a real account, so the directory names the endpoint and the account. The paths can be
//! those of takedowns, so on Unix only the user can read the files.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use futures_util::{StreamExt, TryStreamExt, stream};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::connection::Clients;
use super::directories;
use crate::aws::cloudfront::{CloudFront, InvalidationSummary};
use crate::aws::sdk::cloudfront_endpoint;
use crate::distribution::DistributionId;
use crate::error::Error;
use crate::plan::{ExistingInvalidation, InvalidationId};

/// How many completed invalidations of a distribution are stored. The oldest are dropped first.
const MAX_STORED: usize = 10_000;

/// How many invalidations are read from CloudFront at a time.
const CONCURRENT_READS: usize = 8;

/// The characters of a host that a file name has encoded: all but letters, digits, dots and hyphens.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-');

/// The permissions of a file that only the user can read and write.
#[cfg(unix)]
const PRIVATE_FILE: u32 = 0o600;

/// The completed invalidations of one distribution.
pub(super) struct InvalidationCache<'a> {
    cloudfront: &'a CloudFront,
    distribution: DistributionId,
    file: Option<PathBuf>,
    completed: BTreeMap<InvalidationId, ExistingInvalidation>,
}

impl<'a> InvalidationCache<'a> {
    /// Opens the cache of a distribution; it is empty if the file cannot be read.
    pub(super) fn open(clients: &'a Clients, distribution: &DistributionId) -> Self {
        let file = directories::cache().map(|cache| {
            let directory = cache.join(directory(clients));
            directory.join(format!("{distribution}.jsonl"))
        });
        let text = file.as_ref().and_then(|file| fs::read(file).ok());
        let text = text.unwrap_or_default();
        let mut completed: Vec<ExistingInvalidation> = text
            .split(|byte| *byte == b'\n')
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect();
        if completed.len() > MAX_STORED {
            completed.sort_by_key(|invalidation| Reverse(invalidation.created));
            completed.truncate(MAX_STORED);
            if let Some(file) = &file {
                replace(file, &completed);
            }
        }
        let completed = completed
            .into_iter()
            .map(|invalidation| (invalidation.id.clone(), invalidation));
        Self {
            cloudfront: &clients.cloudfront,
            distribution: distribution.clone(),
            file,
            completed: completed.collect(),
        }
    }

    /// Returns an invalidation with its paths. If it is not stored, reads it from CloudFront, and stores it if it is
    /// completed.
    pub(super) async fn read(&self, id: &InvalidationId) -> Result<ExistingInvalidation, Error> {
        if let Some(stored) = self.completed.get(id) {
            return Ok(stored.clone());
        }
        let distribution = &self.distribution;
        let invalidation = self.cloudfront.invalidation(distribution, id).await?;
        if !invalidation.is_in_progress()
            && let Some(file) = &self.file
        {
            // Without the file, the next run repeats the call.
            let _ = append(file, &invalidation);
        }
        Ok(invalidation)
    }

    /// Returns the listed invalidations with their paths, in the order of the list.
    pub(super) async fn read_all(
        &self,
        summaries: &[InvalidationSummary],
    ) -> Result<Vec<ExistingInvalidation>, Error> {
        let reads = summaries.iter().map(|summary| self.read(&summary.id));
        stream::iter(reads)
            .buffered(CONCURRENT_READS)
            .try_collect()
            .await
    }
}

/// Returns the directory of an endpoint and an account; of the endpoint alone if the credentials do not name the account.
fn directory(clients: &Clients) -> PathBuf {
    let endpoint = cloudfront_endpoint(&clients.sdk);
    let endpoint = endpoint
        .as_deref()
        .map_or(clients.account.partition(), host);
    let name = utf8_percent_encode(endpoint, ENCODED).to_string();
    let account = clients.account.id().unwrap_or_default();
    PathBuf::from(name).join(account)
}

/// Returns the host of a URL with its port, without a password. Without the dots at its ends, it is the name of a file.
fn host(url: &str) -> &str {
    let (_, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    host.trim_matches('.')
}

/// Appends a line. A line break before it ends a line that another program has not completed.
fn append(file: &Path, invalidation: &ExistingInvalidation) -> io::Result<()> {
    if let Some(directory) = file.parent() {
        create_private_directories(directory)?;
    }
    let line = format!("\n{}\n", serde_json::to_string(invalidation)?);
    let mut file = open_private(OpenOptions::new().append(true), file)?;
    file.write_all(line.as_bytes())
}

/// Creates the directories that do not exist.
fn create_private_directories(directory: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(directory)
}

/// Opens a file, and creates it if it does not exist.
fn open_private(options: &mut OpenOptions, file: &Path) -> io::Result<File> {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, PRIVATE_FILE);
    let file = options.create(true).open(file)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // An earlier version created files that others can read. A file system without permissions refuses the change.
        let _ = file.set_permissions(fs::Permissions::from_mode(PRIVATE_FILE));
    }
    Ok(file)
}

/// Replaces the file in one step, because another program can read it at any time.
fn replace(file: &Path, completed: &[ExistingInvalidation]) {
    let lines = completed.iter().map(serde_json::to_string);
    let Ok(lines) = lines.collect::<Result<Vec<_>, _>>() else {
        return;
    };
    let temporary = file.with_extension(format!("{}.part", std::process::id()));
    let is_written = open_private(OpenOptions::new().write(true).truncate(true), &temporary)
        .and_then(|mut file| file.write_all(lines.join("\n").as_bytes()))
        .is_ok();
    if !is_written || fs::rename(&temporary, file).is_err() {
        let _ = fs::remove_file(&temporary);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_an_endpoint_names_a_directory() {
        for (endpoint, name) in [
            ("http://127.0.0.1:4566", "127.0.0.1%3A4566"),
            (
                "https://cloudfront.amazonaws.com/",
                "cloudfront.amazonaws.com",
            ),
            ("http://[::1]:4566/path?query", "%5B%3A%3A1%5D%3A4566"),
            ("http://../..", ""),
            ("localhost", "localhost"),
            ("http://user:secret@localhost:4566/a@b", "localhost%3A4566"),
        ] {
            let encoded = utf8_percent_encode(host(endpoint), ENCODED).to_string();
            assert_eq!(encoded, name, "{endpoint}");
        }
    }
}
