//! Lists the files of a local build: their paths relative to its root, with `/`, as `aws s3 sync` derives keys.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use crate::cli::CliError;

/// Returns the key of each file in the directory and its subdirectories, sorted. Symbolic links are followed; a directory
/// is read once, so that a circle of links ends.
pub(super) fn keys(root: &Path) -> Result<Vec<String>, CliError> {
    let mut keys = Vec::new();
    let mut read = HashSet::new();
    let mut directories = vec![(root.to_owned(), String::new())];
    while let Some((directory, prefix)) = directories.pop() {
        let failed = |error| CliError::usage(format!("{}: {error}", directory.display()));
        if !read.insert(fs::canonicalize(&directory).map_err(failed)?) {
            continue;
        }
        for entry in fs::read_dir(&directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let key = format!("{prefix}{}", entry.file_name().to_string_lossy());
            match fs::metadata(entry.path()) {
                Ok(metadata) if metadata.is_dir() => {
                    directories.push((entry.path(), format!("{key}/")));
                }
                Ok(_) => keys.push(key),
                // The AWS CLI skips a link without a target, too.
                Err(_) => {}
            }
        }
    }
    keys.sort_unstable();
    Ok(keys)
}
