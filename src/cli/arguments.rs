//! The arguments. Their doc comments are the text of `--help`, so they use the imperative.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum, ValueHint};

use super::examples;
use crate::aws::profile::parse_endpoint;
use crate::duration::parse_wait_limit;
use crate::plan::limits::{Economy, MAX_PATHS_IN_REQUEST, MAX_WILDCARDS_IN_REQUEST};
use crate::site::ImmutablePaths;
use crate::trigger::request::parse_reference;
use crate::version::VERSION;

/// What `--help` prints about the exit codes.
const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 rejected, failed, declined, or the output cannot be written; 2 usage;
            3 submitted, completion not confirmed, or nothing could be verified;
            4 busy, try again later; 5 no permission or no valid credentials;
            6 viewers still get old content; 130 Ctrl-C";

/// The help of `--immutable` of `verify`.
const VERIFY_IMMUTABLE: &str = "Do not verify removed files at these paths, which the edge keeps: auto, none, or patterns, as \
                                for `create` [default: auto] [env: IMMUTABLE_PATHS]";

/// Why an empty argument is refused.
const EMPTY: &str = "it is empty: if it comes from a variable, that variable is empty or not set";

/// Create CloudFront invalidations for changed paths and objects
#[derive(Clone, Debug, Parser)]
#[command(name = "cf-invalidate", version = VERSION, propagate_version = true, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Arguments {
    /// The options of all commands.
    #[command(flatten)]
    pub global: GlobalOptions,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The options of all commands.
#[derive(Args, Clone, Debug)]
pub struct GlobalOptions {
    /// Use this profile of ~/.aws/config and ~/.aws/credentials
    #[arg(long, global = true, value_name = "NAME", value_parser = not_empty)]
    pub profile: Option<String>,
    /// Use this region (it matters in other partitions than aws, and for a pipeline job of `invoke`)
    #[arg(long, global = true, value_name = "REGION", value_parser = not_empty)]
    pub region: Option<String>,
    /// Use this endpoint instead of AWS's own
    #[arg(long, global = true, value_name = "URL", value_hint = ValueHint::Url, value_parser = parse_endpoint)]
    pub endpoint_url: Option<String>,
    /// Print the result in this format: text, or json for one object
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        hide_possible_values = true
    )]
    pub output: Output,
    /// Print no notes, warnings and progress; `create`, `invoke` and `replay` print errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Print more, with each AWS call; twice, print the log too
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
}

/// The format of a result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Text for reading
    #[default]
    Text,
    /// One JSON object
    Json,
}

/// The commands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Invalidate paths, or the paths under which viewers may have cached changed objects
    #[command(alias = "create-invalidation", after_help = examples::CREATE)]
    Create(Create),
    /// Show what `create` would send with the same arguments, and send nothing
    #[command(after_help = examples::PLAN)]
    Plan(Plan),
    /// Request URLs as a viewer does, and show whether the edge returns their current version
    #[command(after_help = examples::VERIFY, mut_arg("immutable", |argument| {
        argument.help(VERIFY_IMMUTABLE).help_heading("Verification")
    }))]
    Verify(Verify),
    /// Show the status of an invalidation, or of all in progress, or else of the newest
    #[command(after_help = examples::STATUS)]
    Status(Status),
    /// List the newest invalidations with their paths
    #[command(after_help = examples::LIST)]
    List(List),
    /// List the distributions of the account
    #[command(after_help = examples::DISTRIBUTIONS)]
    Distributions,
    /// Show the paths of a month, what they cost, and which were needless
    #[command(after_help = examples::USAGE)]
    Usage(Usage),
    /// Run a Lambda event through the function on this machine
    #[command(after_help = examples::INVOKE)]
    Invoke(Invoke),
    /// Send the changes of objects in a dead-letter queue to the queue of the stack again
    #[command(after_help = examples::REPLAY)]
    Replay(Replay),
    /// Print a completion script
    #[command(after_help = examples::COMPLETIONS)]
    Completions {
        /// Print the script for this shell
        shell: clap_complete::Shell,
    },
}

impl Command {
    /// Returns whether its purpose is its output, which `--quiet` then keeps.
    pub(super) fn is_about_output(&self) -> bool {
        match self {
            Self::Plan(_)
            | Self::Verify(_)
            | Self::Status(_)
            | Self::List(_)
            | Self::Distributions
            | Self::Usage(_) => true,
            Self::Create(create) => create.dry_run,
            Self::Replay(replay) => replay.dry_run,
            Self::Invoke(_) | Self::Completions { .. } => false,
        }
    }
}

/// The distributions that a command names.
#[derive(Args, Clone, Debug, Default)]
pub struct NamedDistributions {
    /// Use this distribution: an id, a domain name, an alias, or a site of the configuration file; repeatable [env:
    /// CF_INVALIDATE_DISTRIBUTION or DISTRIBUTION_ID]
    #[arg(
        short,
        long = "distribution",
        alias = "distribution-id",
        value_name = "DISTRIBUTION",
        value_parser = distribution
    )]
    pub distributions: Vec<String>,
}

/// What changed, the distributions, and how to plan.
#[derive(Args, Clone, Debug, Default)]
pub struct Selection {
    /// Paths (/about.html), prefixes ('/blog/*'), URLs (https://www.example.com/a) and cache tags ('#product:42'); a lone
    /// '*' stands for '/*'
    #[arg(value_name = "PATHS")]
    pub paths: Vec<String>,
    /// The distributions.
    #[command(flatten)]
    pub named: NamedDistributions,
    /// Invalidate everything: the path /*
    #[arg(long, help_heading = "Input",
        conflicts_with_all = ["paths", "paths_option", "paths_from", "keys_from", "from_s3_sync", "batch"])]
    pub all: bool,
    /// The same as PATHS, as the AWS CLI names them
    #[arg(long = "paths", value_name = "PATH", num_args = 1.., help_heading = "Input")]
    pub paths_option: Vec<String>,
    /// Read paths, one on each line; "# …" is a comment, "#tag" a cache tag
    #[arg(long, value_name = "FILE|-", help_heading = "Input", value_hint = ValueHint::FilePath,
        value_parser = file())]
    pub paths_from: Option<PathBuf>,
    /// Read object keys, one on each line, as they are in the bucket
    #[arg(long, value_name = "FILE|-", help_heading = "Input", value_hint = ValueHint::FilePath,
        value_parser = file())]
    pub keys_from: Option<PathBuf>,
    /// Read the output of `aws s3 sync`, `cp`, `mv` or `rm` (without --quiet and --only-show-errors)
    #[arg(long, value_name = "FILE|-", help_heading = "Input", value_hint = ValueHint::FilePath,
        value_parser = file())]
    pub from_s3_sync: Option<PathBuf>,
    /// Read an invalidation batch of the AWS CLI; its CallerReference, if present, is sent unchanged
    #[arg(long, alias = "invalidation-batch", value_name = "FILE|-", help_heading = "Input",
        value_hint = ValueHint::FilePath, value_parser = file(),
        conflicts_with_all = ["paths", "paths_option", "paths_from", "keys_from", "from_s3_sync"])]
    pub batch: Option<PathBuf>,
    /// Read --keys-from, and access points in --from-s3-sync, as keys of this bucket [default: the configured bucket, or
    /// else the buckets among the distribution's origins]
    #[arg(long, value_name = "NAME", help_heading = "Input", value_parser = bucket)]
    pub bucket: Option<String>,
    /// Avoid wildcards over unchanged files of this directory, a local build of the site; --verify compares with them
    #[arg(long = "site", value_name = "DIR", help_heading = "Planning", value_hint = ValueHint::DirPath,
        value_parser = file())]
    pub build_directory: Option<PathBuf>,
    /// Avoid wildcards over unchanged keys of this list: one on each line, relative to the root of the site
    #[arg(long, value_name = "FILE|-", help_heading = "Planning", value_hint = ValueHint::FilePath,
        value_parser = file())]
    pub inventory: Option<PathBuf>,
    /// Do not invalidate new objects, which this listing of the bucket from before the deploy lacks, unless errors are
    /// cached for long: the JSON of `aws s3api list-objects-v2`, or keys, one on each line
    #[arg(long, value_name = "FILE|-", help_heading = "Planning", value_hint = ValueHint::FilePath,
        value_parser = file(), conflicts_with_all = ["all", "batch"])]
    pub inventory_before: Option<PathBuf>,
    /// Do not invalidate objects that were written again with the same content: the files of --site with the size and
    /// the MD5 of --inventory-before; changes of metadata are not seen
    #[arg(long, help_heading = "Planning", requires_all = ["inventory_before", "build_directory"],
        conflicts_with_all = ["all", "batch"])]
    pub skip_unchanged: bool,
    /// Put this folder before the keys of --site and --inventory, which leave it out, such as docs/
    #[arg(long, value_name = "FOLDER", help_heading = "Planning", value_parser = not_empty)]
    pub prefix: Option<String>,
    /// Derive one path from each key, without the origin path: index documents, query strings, error pages and other
    /// spellings are not covered
    #[arg(long, alias = "no-index-aliases", help_heading = "Planning")]
    pub literal_keys: bool,
    /// What never changes.
    #[command(flatten)]
    pub immutable: ImmutableArguments,
    /// Send at most this many paths for each distribution [default: 20 for keys, 3000 for paths]
    #[arg(long, value_name = "N", help_heading = "Planning", allow_negative_numbers = true,
        value_parser = one_to(MAX_PATHS_IN_REQUEST))]
    pub max_paths: Option<u64>,
    /// Send at most this many wildcards among them [default: 10 for keys, 15 for paths]
    #[arg(long, value_name = "N", help_heading = "Planning", allow_negative_numbers = true,
        value_parser = one_to(MAX_WILDCARDS_IN_REQUEST))]
    pub max_wildcards: Option<u64>,
    /// Plan keys with fewer paths if the harm to unchanged objects grows by at most this share, 0 to 1 [default: 0]
    #[arg(long, value_name = "SHARE", help_heading = "Planning", allow_negative_numbers = true,
        value_parser = Economy::parse)]
    pub economy: Option<Economy>,
}

/// Which files never change.
#[derive(Args, Clone, Debug, Default)]
pub struct ImmutableArguments {
    /// Do not invalidate these paths, whose content never changes: auto (the hashed files of Next.js, Astro, Nuxt and
    /// SvelteKit), none, or patterns such as '/assets/*' in addition to auto [default: auto] [env: IMMUTABLE_PATHS]
    #[arg(long, value_name = "PATTERNS", help_heading = "Planning", value_delimiter = ',', value_parser = immutable_path)]
    pub immutable: Vec<String>,
    /// Whether the environment has given the values.
    #[arg(skip)]
    pub is_from_environment: bool,
}

/// The arguments of `plan`: those of `create`, of which some have no effect.
#[derive(Args, Clone, Debug, Default)]
pub struct Plan {
    /// What would be sent.
    #[command(flatten)]
    pub create: Create,
    /// Call nothing: plan from the paths and keys alone
    #[arg(long, conflicts_with_all = ["free_only", "checks"])]
    pub offline: bool,
}

/// The arguments of `create`.
#[derive(Args, Clone, Debug, Default)]
pub struct Create {
    /// What to invalidate.
    #[command(flatten)]
    pub selection: Selection,
    /// Repeat an earlier invalidation under a new caller reference
    #[arg(long, value_name = "ID", help_heading = "Input", value_parser = not_empty, conflicts_with_all =
        ["all", "paths", "paths_option", "paths_from", "keys_from", "from_s3_sync", "batch", "inventory_before",
        "skip_unchanged"])]
    pub again: Option<String>,
    /// Remove content that must not be served any longer: each path with all its spellings and a wildcard behind
    /// them; waits until completed
    #[arg(long, conflicts_with_all = ["all", "batch", "again", "from_s3_sync", "reference", "max_paths",
        "max_wildcards", "economy", "literal_keys", "build_directory", "inventory", "inventory_before", "skip_unchanged"])]
    pub takedown: bool,
    /// Wait until completed, at most this long: 90s, 5m, 1h [default: 15m]
    #[arg(long, value_name = "LIMIT", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = parse_wait_limit)]
    pub wait: Option<Duration>,
    /// Wait, then request URLs as a viewer does, and show whether the edge returns their current version
    #[arg(long)]
    pub verify: bool,
    /// What is requested with --verify.
    #[command(flatten)]
    pub requests: Requests,
    /// Plan and check, show what would be sent, and send nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not prompt; if there is no input and no configured paths, invalidate /*
    #[arg(short, long)]
    pub yes: bool,
    /// Name the request: the same request under the same name is sent once; the caller reference starts with this
    /// name
    #[arg(long, value_name = "NAME", conflicts_with = "batch", value_parser = parse_reference)]
    pub reference: Option<String>,
    /// Try again while CloudFront accepts no more requests, at most this long: 90s, 5m
    /// [default: 1m]
    #[arg(long, value_name = "LIMIT", value_parser = parse_wait_limit)]
    pub retry: Option<Duration>,
    /// Plan keys with as many paths as are free this month, at least one; send nothing if it cannot be read or if paths
    /// that you name do not fit
    #[arg(long, conflicts_with_all = ["no_checks", "takedown"])]
    pub free_only: bool,
    /// Check recent invalidations and the month's free paths without a terminal, too; prints warnings and continues
    #[arg(long, conflicts_with = "no_checks")]
    pub checks: bool,
    /// Do not check recent invalidations and the month's free paths [default: checked on a terminal]
    #[arg(long)]
    pub no_checks: bool,
}

/// Which requests a verification sends.
#[derive(Args, Clone, Debug, Default)]
pub struct Requests {
    /// Request this host [default: the host of a URL, the first alias, or else the domain name of the distribution]
    #[arg(long, value_name = "NAME", help_heading = "Verification", value_parser = host)]
    pub host: Option<String>,
    /// Request the edge at these POPs, not the nearest one: names as in the response header X-Amz-Cf-Pop, such as
    /// FRA56-P4,IAD89-C1
    #[arg(long, value_name = "POPS", help_heading = "Verification", value_delimiter = ',', value_parser = pop)]
    pub from: Vec<String>,
    /// Request at most this many URLs of each distribution [default: 100]
    #[arg(long, value_name = "N", help_heading = "Verification", allow_negative_numbers = true,
        value_parser = one_to(10_000))]
    pub max_urls: Option<u64>,
}

impl Requests {
    /// Returns whether one of the options is given.
    pub(super) fn is_any_given(&self) -> bool {
        self.host.is_some() || !self.from.is_empty() || self.max_urls.is_some()
    }
}

/// The arguments of `verify`.
#[derive(Args, Clone, Debug, Default)]
pub struct Verify {
    /// Paths (/about.html), the pages of prefixes ('/blog/*'), and URLs (https://www.example.com/a)
    #[arg(value_name = "PATHS")]
    pub paths: Vec<String>,
    /// The distributions.
    #[command(flatten)]
    pub named: NamedDistributions,
    /// Read paths, one on each line; "# …" is a comment
    #[arg(long, value_name = "FILE|-", help_heading = "Input", value_hint = ValueHint::FilePath,
        value_parser = file())]
    pub paths_from: Option<PathBuf>,
    /// Read object keys, one on each line, as they are in the bucket
    #[arg(long, value_name = "FILE|-", help_heading = "Input", value_hint = ValueHint::FilePath,
        value_parser = file())]
    pub keys_from: Option<PathBuf>,
    /// Read the output of `aws s3 sync`, `cp`, `mv` or `rm` (without --quiet and --only-show-errors)
    #[arg(long, value_name = "FILE|-", help_heading = "Input", value_hint = ValueHint::FilePath,
        value_parser = file())]
    pub from_s3_sync: Option<PathBuf>,
    /// Verify the paths of the newest completed invalidation of each distribution
    #[arg(long, help_heading = "Input",
        conflicts_with_all = ["paths", "paths_from", "keys_from", "from_s3_sync"])]
    pub last: bool,
    /// Read --keys-from, and access points in --from-s3-sync, as keys of this bucket [default: the configured bucket, or
    /// else the buckets among the distribution's origins]
    #[arg(long, value_name = "NAME", help_heading = "Input", value_parser = bucket)]
    pub bucket: Option<String>,
    /// Compare with the files of this directory, a local build of the site; without other input, verify all of them
    #[arg(long = "site", value_name = "DIR", help_heading = "Verification", value_hint = ValueHint::DirPath,
        value_parser = file())]
    pub build_directory: Option<PathBuf>,
    /// The folder of the site that --site leaves out, such as docs/
    #[arg(long, value_name = "FOLDER", help_heading = "Verification", value_parser = not_empty)]
    pub prefix: Option<String>,
    /// What never changes.
    #[command(flatten)]
    pub immutable: ImmutableArguments,
    /// What is requested.
    #[command(flatten)]
    pub requests: Requests,
}

/// The arguments of `status`.
#[derive(Args, Clone, Debug)]
pub struct Status {
    /// The id of an invalidation of one of the distributions [default: all in progress, or else the newest]
    #[arg(value_parser = invalidation_id)]
    pub id: Option<String>,
    /// The distributions.
    #[command(flatten)]
    pub named: NamedDistributions,
    /// Wait until completed, at most this long: 90s, 5m, 1h [default: 15m]
    #[arg(long, value_name = "LIMIT", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = parse_wait_limit)]
    pub wait: Option<Duration>,
}

/// The arguments of `list`.
#[derive(Args, Clone, Debug)]
pub struct List {
    /// The distributions.
    #[command(flatten)]
    pub named: NamedDistributions,
    /// List at most this many invalidations of each distribution
    #[arg(long, value_name = "N", default_value_t = 10, allow_negative_numbers = true,
        value_parser = one_to(1_000))]
    pub max: u64,
}

/// The arguments of `usage`.
#[derive(Args, Clone, Debug)]
pub struct Usage {
    /// Show this month, such as 2026-01 [default: the current month]
    #[arg(long, value_name = "YYYY-MM")]
    pub month: Option<String>,
}

/// The arguments of `invoke`.
#[derive(Args, Clone, Debug)]
pub struct Invoke {
    /// The event, as Lambda passes it to the function; - reads standard input
    #[arg(value_name = "EVENT.json|-", value_hint = ValueHint::FilePath, value_parser = file())]
    pub event: PathBuf,
    /// Use this distribution instead of the setting DISTRIBUTION_ID; repeatable
    #[arg(short, long = "distribution", value_name = "ID", value_parser = distribution)]
    pub distributions: Vec<String>,
    /// Give the function this much time
    #[arg(long, value_name = "LIMIT", default_value = "60s", value_parser = parse_wait_limit)]
    pub timeout: Duration,
}

/// The arguments of `replay`.
#[derive(Args, Clone, Debug)]
pub struct Replay {
    /// The dead-letter queue: the output UndeliveredQueueUrl or DeadLetterQueueUrl of the stack
    #[arg(value_name = "QUEUE-URL", value_hint = ValueHint::Url, value_parser = not_empty)]
    pub queue: String,
    /// Send the changes to this queue [default: the tag cloudfront-invalidator:queue-url of the undelivered queue]
    #[arg(long, value_name = "QUEUE-URL", value_hint = ValueHint::Url, value_parser = not_empty)]
    pub to: Option<String>,
    /// Show what would be sent and what would be left, and send nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Parses a value that is not empty.
fn not_empty(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        Err(EMPTY.to_owned())
    } else {
        Ok(text.to_owned())
    }
}

/// Checks a value of `--immutable`.
fn immutable_path(text: &str) -> Result<String, String> {
    let text = not_empty(text)?;
    let paths = ImmutablePaths::parse([text.as_str()]);
    paths.map_err(|error| error.to_string())?;
    Ok(text)
}

/// Returns the parser of a file or a directory, also in the form of the AWS CLI: `file://name`.
fn file() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().try_map(|name: OsString| {
        let Some(text) = name.to_str() else {
            return Ok(PathBuf::from(name));
        };
        let file = text.strip_prefix("file://").unwrap_or(text);
        not_empty(file).map(PathBuf::from)
    })
}

/// Parses the name of a bucket, or its address: `s3://name/`.
fn bucket(text: &str) -> Result<String, String> {
    let address = text.strip_prefix("s3://").unwrap_or(text);
    let name = not_empty(address.strip_suffix('/').unwrap_or(address))?;
    match name.split_once('/') {
        None => Ok(name),
        Some((name, _)) => Err(format!(
            "it has a folder: write the name of the bucket alone, {name}"
        )),
    }
}

/// Parses the value of `-d`. Refuses what an empty variable leaves: an empty text or, without quotes, the next argument.
fn distribution(text: &str) -> Result<String, String> {
    let text = not_empty(text)?;
    if text.starts_with(['/', '#']) {
        return Err(
            "it is a path, so -d has no value: if that comes from a variable, it is empty or not set"
                .to_owned(),
        );
    }
    Ok(text)
}

/// Parses a host name, or the URL of the site.
fn host(text: &str) -> Result<String, String> {
    let text = not_empty(text)?;
    let host = super::input::host(&text).unwrap_or_else(|| text.to_ascii_lowercase());
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    if host.bytes().all(is_name) {
        Ok(host)
    } else {
        Err("write the name of a host alone, such as www.example.com".to_owned())
    }
}

/// Parses the name of a POP, such as `FRA56-P4` or `FRA2`.
fn pop(text: &str) -> Result<String, String> {
    let name = not_empty(text.trim())?.to_ascii_uppercase();
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_airport = |code: &str| code.bytes().all(|byte| byte.is_ascii_uppercase());
    let has_airport_and_number = name.split_at_checked(3).is_some_and(|(code, rest)| {
        is_airport(code) && rest.starts_with(|first: char| first.is_ascii_digit())
    });
    if has_airport_and_number && name.bytes().all(is_name) {
        Ok(name)
    } else {
        Err("it is not the name of a POP, such as FRA56-P4".to_owned())
    }
}

/// Parses the id of `status`. A limit is refused: it belongs to `--wait`, which takes it after `=` only.
fn invalidation_id(text: &str) -> Result<String, String> {
    if parse_wait_limit(text).is_ok() {
        return Err(format!("it is a limit: write --wait={text}"));
    }
    not_empty(text)
}

/// Returns the parser of a number from 1 to the maximum.
fn one_to(maximum: usize) -> impl Fn(&str) -> Result<u64, String> + Clone + Send + Sync {
    move |text| {
        let number = text
            .parse()
            .ok()
            .filter(|number| (1..=maximum).contains(number));
        let number = number.and_then(|number| u64::try_from(number).ok());
        number.ok_or_else(|| format!("write a whole number from 1 to {maximum}"))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_has_two_to_four_examples() {
        let program = Arguments::command();
        for command in program.get_subcommands() {
            let name = command.get_name();
            let help = command.get_after_help().expect("examples").to_string();
            let mut lines = help.lines();
            assert_eq!(lines.next(), Some("Examples:"), "{name}");
            let examples: Vec<_> = lines.collect();
            assert!((2..=4).contains(&examples.len()), "{name}");
            let calls = format!("cf-invalidate {name}");
            for example in examples {
                assert!(example.starts_with("  "), "{example}");
                assert!(example.contains(&calls), "{example}");
                assert!(example.len() <= 80, "{example}");
            }
        }
    }
}
