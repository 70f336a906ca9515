//! `Input`: what changed, from the arguments and files of `create` and `plan`.
//!
//! | source | contents |
//! |---|---|
//! | arguments, `--paths`, `--all` | paths and cache tags, in the forms that `arguments` accepts |
//! | `--paths-from` | paths and cache tags |
//! | `--keys-from` | object keys |
//! | `--from-s3-sync` | the output of `aws s3` |
//! | `--batch` | an invalidation batch of the AWS CLI |
//! | `--site`, `--inventory` | the keys of the site, changed or not |
//! | `--inventory-before` | the objects of the bucket before the deploy |

mod arguments;
mod batch;
mod before;
mod build_directory;
mod lines;
mod listing;
mod s3_sync;
mod site_keys;
mod written;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use self::arguments::Surroundings;
pub(super) use self::before::Before;
use self::build_directory::BuildDirectory;
pub(super) use self::build_directory::keys as keys_of_directory;
use self::lines::Keys;
#[cfg(test)]
pub(super) use self::listing::Content;
use self::s3_sync::SyncOutput;
pub(super) use self::site_keys::{ChangedKey, SiteKeys};
pub(super) use self::written::parse as parse_written;
use super::{CliError, Selection};
pub(super) use crate::path::host;
use crate::path::{EncodedPaths, InvalidationPath, Widened};
use crate::site::Change;

const BUCKET_UNKNOWN: &str = "aws s3 names an access point instead of its bucket: without --bucket, the bucket is that of the \
                              configuration, or else each bucket among the distribution's origins";

const NO_OUTPUT: &str =
    "aws s3 printed nothing: nothing has changed, or --quiet or --only-show-errors is given";

/// The byte order marks of UTF-16, little-endian and big-endian.
const UTF_16: [[u8; 2]; 2] = [[0xff, 0xfe], [0xfe, 0xff]];

/// What changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Input {
    /// The requested paths.
    pub paths: Vec<InvalidationPath>,
    /// Those of the requested paths that are wider than what was written.
    pub widened: Vec<Widened>,
    /// The changed objects. Those that a list names can have been written or deleted.
    pub objects: BTreeMap<Object, Change>,
    /// What the changed objects contained before the deploy, with `--skip-unchanged`.
    pub contents_before: BTreeMap<Object, Before>,
    /// The local files of the objects that `aws s3` has uploaded.
    pub sources: BTreeMap<Object, String>,
    /// The objects that `aws s3` has deleted before it wrote them.
    pub written_again: BTreeSet<Object>,
    /// The keys of the site.
    pub site_keys: Option<SiteKeys>,
    /// The hosts of the URLs among the requested paths.
    pub hosts: BTreeSet<String>,
    /// The caller reference of a batch.
    pub reference: Option<String>,
    /// What was left out or read in another way.
    pub notes: Vec<String>,
    /// How many failures `aws s3` reports.
    pub failures: usize,
    /// Whether the objects are those that a dry run of `aws s3` would change.
    pub dry_run: bool,
}

/// An object that was written or deleted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Object {
    /// `None` if it is not known, such as that of an access point.
    pub bucket: Option<String>,
    pub key: String,
}

impl Input {
    /// Reads the arguments and all files that they name. `sites` are the names in the configuration.
    pub(super) fn read(selection: &Selection, sites: &[&str]) -> Result<Self, CliError> {
        check_stdin_is_read_once(selection)?;
        let mut input = Self::default();
        let mut requested = selection.parse_paths(sites)?;
        let arguments = selection.paths.iter().chain(&selection.paths_option);
        let hosts = arguments.filter_map(|argument| host(argument));
        input.hosts.extend(hosts);
        if let Some(file) = &selection.paths_from {
            let text = read(file)?;
            input.hosts.extend(text.lines().filter_map(host));
            let paths = lines::parse_paths(&text);
            let paths = paths.map_err(|error| file_error(file, error))?;
            requested.extend(paths);
        }
        if let Some(file) = &selection.keys_from {
            let listed = input.read_keys(file)?.into_iter().map(|key| Object {
                bucket: selection.bucket.clone(),
                key,
            });
            input
                .objects
                .extend(listed.map(|object| (object, Change::default())));
        }
        if let Some(file) = &selection.from_s3_sync {
            let text = read(file)?;
            if text.trim().is_empty() {
                input.notes.push(NO_OUTPUT.to_owned());
            }
            let output = s3_sync::parse(&text).map_err(|error| file_error(file, error))?;
            input.add_s3_sync(output, selection.bucket.as_deref());
        }
        if let Some(file) = &selection.batch {
            let (name, text) = match batch::inline(file) {
                Some(json) => (Path::new("--batch"), json.to_owned()),
                None => (file.as_path(), read(file)?),
            };
            let batch = batch::parse(&text).map_err(|error| file_error(name, error))?;
            requested = batch.paths;
            input.hosts.extend(batch.hosts);
            input.reference = batch.reference;
        }
        input.read_inventory_before(selection)?;
        input.read_site_keys(selection)?;
        input.request(requested);
        Ok(input)
    }

    fn read_keys(&mut self, file: &Path) -> Result<Vec<String>, CliError> {
        let keys = lines::parse_keys(&read(file)?);
        let Keys { keys, note } = keys.map_err(|error| file_error(file, error))?;
        self.notes.extend(note);
        Ok(keys)
    }

    /// Reads `--site` and `--inventory`.
    fn read_site_keys(&mut self, selection: &Selection) -> Result<(), CliError> {
        let mut site = SiteKeys::default();
        if let Some(directory) = &selection.build_directory {
            let BuildDirectory { keys, note } = build_directory::read(directory)?;
            self.notes.extend(note);
            site.keys = keys;
            site.directory = Some(directory.display().to_string());
        }
        if let Some(file) = &selection.inventory {
            let keys = self.read_keys(file)?;
            if keys.is_empty() {
                return Err(file_error(file, "the list contains no keys"));
            }
            site.keys.extend(keys);
            site.list = Some(file.display().to_string());
        }
        site.keys.sort_unstable();
        if let Some(prefix) = &selection.prefix {
            if site.keys.is_empty() {
                return Err(CliError::usage(
                    "--prefix is what --site or --inventory leaves out: give one of them",
                ));
            }
            let folder = prefix.trim_matches('/');
            site.prefix = format!("{folder}{}", if folder.is_empty() { "" } else { "/" });
        }
        self.site_keys = Some(site).filter(|site| !site.keys.is_empty());
        Ok(())
    }

    fn add_s3_sync(&mut self, output: SyncOutput, bucket: Option<&str>) {
        self.notes.extend(output.note());
        self.failures = output.failures.len();
        self.dry_run = output.dry_run;
        if bucket.is_none() && output.objects.keys().any(|object| object.bucket.is_none()) {
            self.notes.push(BUCKET_UNKNOWN.to_owned());
        }
        let in_bucket = |object: Object| Object {
            bucket: object.bucket.or_else(|| bucket.map(str::to_owned)),
            ..object
        };
        let sources = output.sources.into_iter();
        self.sources = sources
            .map(|(object, source)| (in_bucket(object), source))
            .collect();
        self.written_again = output.written_again.into_iter().map(in_bucket).collect();
        for (object, change) in output.objects {
            let object = in_bucket(object);
            // A list can name an object that was deleted after `aws s3` had written it, or the other way round.
            let known = self.objects.entry(object).or_insert(change);
            if change.exists == Some(true) {
                *known = change;
            }
        }
    }

    /// Replaces the requested paths.
    pub(super) fn request(&mut self, requested: EncodedPaths) {
        let EncodedPaths { paths, widened } = requested;
        self.paths = paths;
        self.widened = widened;
    }

    /// Returns the buckets of the changed objects, each once; none if one of them is unknown, because then they do not
    /// determine all distributions.
    pub(super) fn buckets(&self) -> Vec<String> {
        let buckets = self.objects.keys().map(|object| object.bucket.clone());
        // The objects are sorted by bucket.
        let mut buckets: Vec<_> = buckets.collect::<Option<_>>().unwrap_or_default();
        buckets.dedup();
        buckets
    }
}

impl Selection {
    /// Returns whether there is any input: paths, or a file.
    pub(super) fn has_input(&self) -> bool {
        self.all || self.path_arguments().next().is_some() || self.files().next().is_some()
    }

    /// Returns the arguments that are paths: PATHS and `--paths`.
    fn path_arguments(&self) -> impl Iterator<Item = &str> {
        let paths = self.paths.iter().chain(&self.paths_option);
        paths.map(String::as_str)
    }

    /// Parses the paths of PATHS, `--paths` and `--all`.
    fn parse_paths(&self, sites: &[&str]) -> Result<EncodedPaths, CliError> {
        if self.all {
            return Ok(EncodedPaths::everything());
        }
        let root = fs::read_dir("/").into_iter().flatten().flatten();
        let root: Vec<_> = root
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        let surroundings = Surroundings {
            sites,
            root: &root,
            is_file: &|name| Path::new(name).exists(),
        };
        let arguments: Vec<_> = self.path_arguments().collect();
        arguments::parse(&arguments, &surroundings).map_err(CliError::usage)
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
}

fn check_stdin_is_read_once(selection: &Selection) -> Result<(), CliError> {
    let inventories = [&selection.inventory, &selection.inventory_before];
    let inventories = inventories.into_iter().flatten().map(AsRef::as_ref);
    let files = selection.files().chain(inventories);
    if files.filter(|file| is_stdin(file)).count() > 1 {
        return Err(CliError::usage(
            "- is standard input, which only one option can read",
        ));
    }
    Ok(())
}

fn is_stdin(file: &Path) -> bool {
    file.as_os_str() == "-"
}

/// Returns the error of a file, or of standard input.
pub(super) fn file_error(file: &Path, error: impl Display) -> CliError {
    CliError::usage(if is_stdin(file) {
        format!("standard input: {error}")
    } else {
        format!("{}: {error}", file.display())
    })
}

/// Reads a file, or standard input for `-`.
pub(super) fn read(file: &Path) -> Result<String, CliError> {
    let mut bytes = Vec::new();
    let result = if is_stdin(file) {
        io::stdin().lock().read_to_end(&mut bytes).map(|_| ())
    } else {
        fs::read(file).map(|content| bytes = content)
    };
    result.map_err(|error| file_error(file, error))?;
    if UTF_16.iter().any(|mark| bytes.starts_with(mark)) {
        return Err(file_error(
            file,
            "it is UTF-16: save it as UTF-8 (PowerShell: Out-File -Encoding utf8)",
        ));
    }
    let text = String::from_utf8(bytes)
        .map_err(|error| file_error(file, format!("not UTF-8 text: {error}")))?;
    // Programs on Windows write a byte order mark before the text.
    Ok(text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned())
}
