//! Lists the files of a local build: their paths relative to its root, with `/`, as `aws s3 sync` derives keys.
//!
//! Symbolic links are followed, so that a directory with two names has two keys for each file. A link to a directory
//! that contains it is skipped, and so are links without a target and special files, which the AWS CLI skips too.

use std::fs;
use std::path::Path;

use walkdir::WalkDir;

use crate::cli::CliError;
use crate::cli::format::counted;

/// The files of a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct BuildDirectory {
    /// The key of each file, at least one.
    pub keys: Vec<String>,
    /// Which files have no key.
    pub note: Option<String>,
}

/// Returns the keys of the files in the directory and its subdirectories.
pub(in crate::cli) fn keys(root: &Path) -> Result<Vec<String>, CliError> {
    read(root).map(|directory| directory.keys)
}

/// Lists the files in the directory and its subdirectories.
pub(super) fn read(root: &Path) -> Result<BuildDirectory, CliError> {
    let failed = |error| CliError::usage(format!("{}: {error}", root.display()));
    // A file is an error, too.
    fs::read_dir(root).map_err(failed)?;
    let mut keys = Vec::new();
    let mut not_utf8 = Vec::new();
    for entry in WalkDir::new(root).min_depth(1).follow_links(true) {
        let file = match entry {
            Ok(entry) if entry.file_type().is_file() => entry.into_path(),
            Ok(_) => continue,
            Err(error) if is_circle(&error) || is_broken_link(&error) => continue,
            Err(error) => return Err(CliError::usage(error.to_string())),
        };
        let relative = file.strip_prefix(root).unwrap_or(&file);
        match key(relative) {
            Some(key) => keys.push(key),
            None => not_utf8.push(relative.display().to_string()),
        }
    }
    if keys.is_empty() {
        return Err(CliError::usage(format!(
            "{} contains no files: build the site first, or name another directory",
            root.display()
        )));
    }
    let note = not_utf8.first().map(|first| {
        let files = counted(not_utf8.len(), "file");
        let root = root.display();
        format!("left out {files} of {root} whose name is not UTF-8, such as {first}")
    });
    Ok(BuildDirectory { keys, note })
}

/// Returns the key of a file, or `None` if its path is not UTF-8.
fn key(relative: &Path) -> Option<String> {
    let names: Option<Vec<_>> = relative.iter().map(|name| name.to_str()).collect();
    Some(names?.join("/"))
}

fn is_circle(error: &walkdir::Error) -> bool {
    error.loop_ancestor().is_some()
}

fn is_broken_link(error: &walkdir::Error) -> bool {
    error.path().is_some_and(Path::is_symlink)
}

#[cfg(all(test, unix))]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use super::*;

    /// Creates an empty directory for the test with this name.
    fn directory(name: &str) -> PathBuf {
        let process = std::process::id();
        let directory = std::env::temp_dir().join(format!("cf-invalidate-{process}-{name}"));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).expect("a directory");
        directory
    }

    fn write(directory: &Path, name: impl AsRef<Path>) {
        let file = directory.join(name);
        fs::create_dir_all(file.parent().expect("a directory")).expect("a directory");
        fs::write(file, "").expect("a file");
    }

    #[test]
    fn follows_links_and_skips_what_the_aws_cli_skips() {
        let root = directory("links");
        for name in ["index.html", "a/x.html", "a/deep/y.html", "z/last.html"] {
            write(&root, name);
        }
        symlink("a", root.join("b")).expect("a link");
        symlink("..", root.join("a/deep/circle")).expect("a link");
        symlink("itself", root.join("itself")).expect("a link");
        symlink("missing", root.join("broken")).expect("a link");
        symlink("index.html", root.join("home.html")).expect("a link");
        let found = read(&root).map(|mut found| {
            found.keys.sort();
            found
        });
        let keys = [
            "a/deep/y.html",
            "a/x.html",
            "b/deep/y.html",
            "b/x.html",
            "home.html",
            "index.html",
            "z/last.html",
        ];
        let keys = keys.map(str::to_owned).to_vec();
        assert_eq!(found, Ok(BuildDirectory { keys, note: None }));
        fs::remove_dir_all(root).expect("removed");
    }

    #[test]
    fn reports_a_name_that_is_not_utf8() {
        let root = directory("not-utf8");
        write(&root, "a.html");
        write(
            &root,
            Path::new("b").join(OsStr::from_bytes(b"caf\xe9.html")),
        );
        let note = format!(
            "left out 1 file of {} whose name is not UTF-8, such as b/caf\u{fffd}.html",
            root.display()
        );
        let expected = BuildDirectory {
            keys: vec!["a.html".to_owned()],
            note: Some(note),
        };
        assert_eq!(read(&root), Ok(expected));
        fs::remove_dir_all(root).expect("removed");
    }

    #[test]
    fn an_empty_directory_is_an_error() {
        let root = directory("empty");
        fs::create_dir(root.join("folder")).expect("a directory");
        let message = format!(
            "{} contains no files: build the site first, or name another directory",
            root.display()
        );
        assert_eq!(read(&root), Err(CliError::usage(message)));
        fs::remove_dir_all(root).expect("removed");
    }
}
