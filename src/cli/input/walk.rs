//! A local build as the keys that it has in the bucket, as `aws s3 sync` would name them.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::cli::CliError;

/// Returns the key of each file below the directory, sorted. Links are followed, but in no circle.
pub(super) fn keys(directory: &Path) -> Result<Vec<String>, CliError> {
    let mut keys = Vec::new();
    let mut seen = HashSet::new();
    let mut open = vec![(directory.to_owned(), String::new())];
    while let Some((here, prefix)) = open.pop() {
        let failed = |error| CliError::usage(format!("{}: {error}", here.display()));
        if !seen.insert(fs::canonicalize(&here).map_err(failed)?) {
            continue;
        }
        for entry in fs::read_dir(&here).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path: PathBuf = entry.path();
            let key = format!("{prefix}{}", entry.file_name().to_string_lossy());
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => open.push((path, format!("{key}/"))),
                Ok(_) => keys.push(key),
                // A link to nowhere is no object.
                Err(_) => {}
            }
        }
    }
    keys.sort_unstable();
    Ok(keys)
}
