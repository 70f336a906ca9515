//! `SiteFiles`: the files of `--site` by their keys.

use std::path::Path;

use super::local_file::{LocalFile, LocalFiles};
use crate::cli::CliError;
use crate::cli::input::keys_of_directory;

/// The files of a local build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SiteFiles {
    files: LocalFiles,
    /// Relative to the root of the site.
    keys: Vec<String>,
}

impl SiteFiles {
    /// Lists the files of the directory, which is the folder `prefix` of the site.
    pub(super) fn read(directory: &Path, prefix: Option<&str>) -> Result<Self, CliError> {
        let prefix = prefix.unwrap_or_default();
        let folder = prefix.trim_matches('/');
        let slash = if folder.is_empty() { "" } else { "/" };
        let keys = keys_of_directory(directory)?.into_iter();
        Ok(Self {
            files: LocalFiles::new(directory, prefix),
            keys: keys.map(|key| format!("{folder}{slash}{key}")).collect(),
        })
    }

    /// Returns the keys of all files, relative to the root of the site.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(String::as_str)
    }

    /// Returns the file with this key, if there is one.
    pub(super) fn file(&self, relative_key: &str) -> Option<LocalFile> {
        self.files.file(relative_key)
    }
}
