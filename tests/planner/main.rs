//! The planner as a command for `score.py`: reads changed keys from standard input, one per line, and prints
//! `{"paths": [...]}`.
//!
//! `plan --max-paths N --max-wildcards N [--immutable auto|none] [--economy SHARE] [--inventory FILE]`, where the file
//! contains the keys of the site, one per line. Changed keys that are immutable get no path.
//!
//! Each key becomes its first path only, because the scorer has no other encodings.

use std::error::Error;
use std::io::{Read, stdin};

use cloudfront_invalidator::path::InvalidationPath;
use cloudfront_invalidator::plan::Limits;
use cloudfront_invalidator::plan::collapse::{Inventory, collapse};
use cloudfront_invalidator::plan::limits::Economy;
use cloudfront_invalidator::site::ImmutablePaths;
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    let mut limits = Limits::BUCKET_CHANGES;
    let mut immutable = ImmutablePaths::NONE;
    let mut inventory = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(option) = arguments.next() {
        let value = arguments
            .next()
            .ok_or_else(|| format!("{option} needs a value"))?;
        match option.as_str() {
            "--max-paths" => limits.paths = value.parse()?,
            "--max-wildcards" => limits.wildcards = value.parse()?,
            "--immutable" => immutable = ImmutablePaths::parse([value.as_str()])?,
            "--economy" => limits.economy = Economy::parse(&value)?,
            "--inventory" => {
                inventory = Some(Inventory::from_keys(
                    std::fs::read_to_string(value)?.lines(),
                ));
            }
            _ => return Err(format!("unknown option {option}").into()),
        }
    }
    let mut keys = String::new();
    stdin().read_to_string(&mut keys)?;
    let paths = keys
        .lines()
        .filter(|key| !immutable.contains(&format!("/{key}")))
        .filter_map(|key| InvalidationPath::from_object_key(key).into_iter().next())
        .collect();
    let collapsed = collapse(paths, inventory.as_ref(), limits);
    println!("{}", json!({ "paths": collapsed.paths }));
    Ok(())
}
