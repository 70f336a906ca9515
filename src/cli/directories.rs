//! The user's directories for the configuration and the cache.
//!
//! They are the same on macOS as on Linux: `~/.config` and `~/.cache`, or `XDG_CONFIG_HOME` and `XDG_CACHE_HOME`
//! ([specification](https://specifications.freedesktop.org/basedir-spec/latest/)). Windows has its own.

use std::path::{Path, PathBuf};

use etcetera::{BaseStrategy, choose_base_strategy, home_dir};

const NAME: &str = "cf-invalidate";
const CONFIG_FILE: &str = "config.toml";

/// Returns the user's configuration file, whether it exists or not; `None` without a home directory.
pub(super) fn config_file() -> Option<PathBuf> {
    let directories = choose_base_strategy().ok()?;
    Some(directories.config_dir().join(NAME).join(CONFIG_FILE))
}

/// Returns the directory of the cache; `None` without a home directory.
pub(super) fn cache() -> Option<PathBuf> {
    let directories = choose_base_strategy().ok()?;
    Some(directories.cache_dir().join(NAME))
}

/// Returns the user's configuration file in the place where former versions read it, if it is there only.
pub(super) fn former_config_file(config_file: &Path) -> Option<PathBuf> {
    former_file(&home_dir().ok()?, config_file, Path::is_file)
}

fn former_file(
    home: &Path,
    config_file: &Path,
    is_file: impl Fn(&Path) -> bool,
) -> Option<PathBuf> {
    if is_file(config_file) {
        return None;
    }
    let macos = home.join("Library/Application Support").join(NAME);
    let windows = config_file.with_file_name("config");
    let files = [macos, windows].map(|directory| directory.join(CONFIG_FILE));
    files.into_iter().find(|file| is_file(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_file_in_the_former_place_unless_there_is_one_in_the_present() {
        let home = Path::new("/home/dev");
        let present = "/home/dev/.config/cf-invalidate/config.toml";
        let macos = "/home/dev/Library/Application Support/cf-invalidate/config.toml";
        let windows = "/home/dev/.config/cf-invalidate/config/config.toml";
        for (files, expected) in [
            (vec![], None),
            (vec![present], None),
            (vec![present, macos, windows], None),
            (vec![macos], Some(macos)),
            (vec![windows], Some(windows)),
        ] {
            let is_file = |file: &Path| files.iter().any(|name| Path::new(name) == file);
            let found = former_file(home, Path::new(present), is_file);
            assert_eq!(found.as_deref(), expected.map(Path::new), "{files:?}");
        }
    }
}
