//! What the soak and the measurement of freshness share as commands.

use std::io;
use std::path::PathBuf;
use std::str::FromStr;

/// Parses a number of an option.
pub fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| format!("\"{text}\" is not a number in range"))
}

/// Returns the function of the same profile: it is in `target/debug`, and this program in `target/debug/examples`.
pub fn built_function() -> io::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let profile = program.parent().and_then(|examples| examples.parent());
    let function = profile.map(|profile| profile.join("cloudfront-invalidator"));
    let function = function.filter(|function| function.is_file());
    function.ok_or_else(|| {
        io::Error::other(format!(
            "cloudfront-invalidator is not in the directory above {}: run `cargo build` first",
            program.display()
        ))
    })
}
