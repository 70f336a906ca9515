//! `cf-invalidate`: the same from a terminal, a buildspec and a script.
//!
//! The arguments stand here; `src/cli/` has a file for each command, and these that the commands share:
//!
//! | room | lives there |
//! |---|---|
//! | `exit` | the exit codes, and which failure ends in which |
//! | `terminal` | who hears what: results on stdout, everything else on stderr, questions on a terminal only |
//! | `config` | the configuration file |
//! | `person` | the account as whoever runs this may use it |
//! | `target` | which distributions are meant |
//! | `input` | what changed: paths, keys, the output of `aws s3 sync`, a batch |
//! | `selection` | from both to the paths of each distribution |
//! | `answer` | the JSON object |
//! | `wait` | until an invalidation is completed |
//! | `preflight` | what a person should know before paths are sent |
//! | `ledger` | finished invalidations, remembered on disk |
//!
//! A path, a plan, a failure read here as they do in the pipeline's console: the words are the library's.

mod config;
mod connection;
mod create;
mod distributions;
mod error;
mod exit;
mod input;
mod invalidation_cache;
mod invoke;
mod list;
mod output;
mod plan;
mod preflight;
mod selection;
mod status;
mod target;
mod terminal;
mod usage;
mod wait;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand, ValueEnum, ValueHint};

use crate::duration::parse_wait_limit;
use crate::plan::limits::{MAX_PATHS_IN_REQUEST, MAX_WILDCARDS_IN_REQUEST};
use config::Config;
use connection::Connection;
pub use error::CliError;
pub use exit::Exit;
use terminal::Terminal;

/// Keeps what CloudFront serves as fresh as its origin.
#[derive(Clone, Debug, Parser)]
#[command(name = "cf-invalidate", version, propagate_version = true, max_term_width = 100, after_help = exit::HELP)]
pub struct Arguments {
    /// What applies to all commands.
    #[command(flatten)]
    pub global: GlobalOptions,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Which account is used, and how results are told.
#[derive(Args, Clone, Debug)]
pub struct GlobalOptions {
    /// The profile of ~/.aws/config and ~/.aws/credentials
    #[arg(long, global = true, value_name = "NAME")]
    pub profile: Option<String>,
    /// The region to sign for; CloudFront has one for all
    #[arg(long, global = true, value_name = "REGION")]
    pub region: Option<String>,
    /// Another endpoint than AWS's own
    #[arg(long, global = true, value_name = "URL", value_hint = ValueHint::Url)]
    pub endpoint_url: Option<String>,
    /// How results are written: text, or json for one object
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        hide_possible_values = true
    )]
    pub output: Output,
    /// Tells errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Tells more; twice, the log too
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
}

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Text,
    /// One JSON object.
    Json,
}

/// The commands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Invalidates paths, or what viewers can have cached of changed objects
    Create(Create),
    /// Tells what `create` would send; asks AWS nothing where paths or keys are enough
    Plan(Selection),
    /// Tells how far an invalidation is: one, or all in progress and the newest
    Status(Status),
    /// Lists the newest invalidations with their paths
    List(List),
    /// Lists the account's distributions
    Distributions,
    /// Counts the paths invalidated this month, what they cost, and which were needless
    Usage(Usage),
    /// Runs a Lambda event through the function, here
    Invoke(Invoke),
    /// Writes a completion script
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// What is to be invalidated, where, and in how many paths.
#[derive(Args, Clone, Debug, Default)]
pub struct Selection {
    /// Paths (/about.html), prefixes (/blog/*) and cache tags (#product:42)
    #[arg(value_name = "PATHS")]
    pub paths: Vec<String>,
    /// An id, a domain name, an alias, or a site of the configuration file; repeatable
    #[arg(short, long = "distribution", value_name = "DISTRIBUTION")]
    pub distributions: Vec<String>,
    /// Reads paths, one a line; "# …" is a comment, "#tag" a cache tag
    #[arg(long, value_name = "FILE|-", help_heading = "Input", value_hint = ValueHint::FilePath)]
    pub paths_from: Option<PathBuf>,
    /// Reads object keys, one a line, as they are in the bucket
    #[arg(long, value_name = "FILE|-", help_heading = "Input", value_hint = ValueHint::FilePath)]
    pub keys_from: Option<PathBuf>,
    /// Reads the output of `aws s3 sync`, `cp`, `mv` or `rm`
    #[arg(long, value_name = "FILE|-", help_heading = "Input", value_hint = ValueHint::FilePath)]
    pub from_s3_sync: Option<PathBuf>,
    /// Reads an invalidation batch as the AWS CLI takes it, with its CallerReference
    #[arg(long, value_name = "FILE|-", help_heading = "Input", value_hint = ValueHint::FilePath,
        conflicts_with_all = ["paths", "paths_from", "keys_from", "from_s3_sync"])]
    pub batch: Option<PathBuf>,
    /// The bucket that the keys of --keys-from are in; by default any that the distribution has as an origin
    #[arg(long, value_name = "NAME", help_heading = "Input")]
    pub bucket: Option<String>,
    /// A local build of the site: what it holds and did not change, wildcards spare
    #[arg(long, value_name = "DIR", help_heading = "Planning", value_hint = ValueHint::DirPath)]
    pub site: Option<PathBuf>,
    /// The same as a list of the site's keys, one a line
    #[arg(long, value_name = "FILE|-", help_heading = "Planning", value_hint = ValueHint::FilePath)]
    pub inventory: Option<PathBuf>,
    /// Sends one path a key, in the spelling that CloudFront documents, and asks for no configuration
    #[arg(long, help_heading = "Planning")]
    pub no_index_aliases: bool,
    /// The most paths for each distribution [default: 20 for keys, 3000 for paths]
    #[arg(long, value_name = "N", help_heading = "Planning", value_parser = at_most(MAX_PATHS_IN_REQUEST))]
    pub max_paths: Option<u64>,
    /// The most wildcards among them [default: 10 for keys, 15 for paths]
    #[arg(long, value_name = "N", help_heading = "Planning", value_parser = at_most(MAX_WILDCARDS_IN_REQUEST))]
    pub max_wildcards: Option<u64>,
}

/// `create`.
#[derive(Args, Clone, Debug, Default)]
pub struct Create {
    /// What and where.
    #[command(flatten)]
    pub selection: Selection,
    /// Waits until it is fresh everywhere, at most this long: 90s, 5m, 1h [default: 15m]
    #[arg(long, value_name = "LIMIT", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = parse_wait_limit)]
    pub wait: Option<Duration>,
    /// Tells what would be sent, and sends nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Asks nothing
    #[arg(short, long)]
    pub yes: bool,
    /// Names the request: the same one under the same name finds the invalidation that exists
    #[arg(long, value_name = "NAME", conflicts_with = "batch")]
    pub reference: Option<String>,
    /// Sends without a look at earlier invalidations and at the month's allowance
    #[arg(long)]
    pub no_checks: bool,
}

/// `status`.
#[derive(Args, Clone, Debug)]
pub struct Status {
    /// The invalidation
    pub id: Option<String>,
    /// An id, a domain name, an alias, or a site of the configuration file; repeatable
    #[arg(short, long = "distribution", value_name = "DISTRIBUTION")]
    pub distributions: Vec<String>,
    /// Waits until it is fresh everywhere, at most this long: 90s, 5m, 1h [default: 15m]
    #[arg(long, value_name = "LIMIT", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = parse_wait_limit)]
    pub wait: Option<Duration>,
}

/// `list`.
#[derive(Args, Clone, Debug)]
pub struct List {
    /// An id, a domain name, an alias, or a site of the configuration file; repeatable
    #[arg(short, long = "distribution", value_name = "DISTRIBUTION")]
    pub distributions: Vec<String>,
    /// How many of each distribution
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub max: u64,
}

/// `usage`.
#[derive(Args, Clone, Debug)]
pub struct Usage {
    /// Another month than this one, such as 2026-01
    #[arg(long, value_name = "YYYY-MM")]
    pub month: Option<String>,
}

/// `invoke`.
#[derive(Args, Clone, Debug)]
pub struct Invoke {
    /// The event as Lambda would hand it over
    #[arg(value_name = "EVENT.json", value_hint = ValueHint::FilePath)]
    pub event: PathBuf,
    /// The function's setting DISTRIBUTION_ID
    #[arg(short, long = "distribution", value_name = "ID")]
    pub distributions: Vec<String>,
    /// How long the function may take
    #[arg(long, value_name = "LIMIT", default_value = "60s", value_parser = parse_wait_limit)]
    pub timeout: Duration,
}

/// What every command has to work with.
struct Session {
    terminal: Terminal,
    config: Config,
    connection: Connection,
}

/// Runs a command to its end, and tells how it ended.
pub async fn run(arguments: Arguments) -> Exit {
    let terminal = Terminal::new(&arguments.global);
    if arguments.global.verbose > 1 {
        invoke::log_to_stderr();
    }
    match command(&arguments, &terminal).await {
        Ok(exit) => exit,
        Err(error) => {
            terminal.failed(&error);
            error.exit()
        }
    }
}

async fn command(arguments: &Arguments, terminal: &Terminal) -> Result<Exit, CliError> {
    if let Command::Completions { shell } = arguments.command {
        let mut command = Arguments::command();
        clap_complete::generate(shell, &mut command, "cf-invalidate", &mut io::stdout());
        return Ok(Exit::Done);
    }
    let session = Session {
        terminal: terminal.clone(),
        config: Config::find()?,
        connection: Connection::new(&arguments.global),
    };
    match &arguments.command {
        Command::Create(create) => create::run(&session, create).await,
        Command::Plan(selection) => plan::run(&session, selection).await,
        Command::Status(status) => status::run(&session, status).await,
        Command::List(list) => list::run(&session, list).await,
        Command::Distributions => distributions::run(&session).await,
        Command::Usage(usage) => usage::run(&session, usage).await,
        Command::Invoke(invoke) => invoke::run(&session, invoke).await,
        Command::Completions { .. } => Ok(Exit::Done),
    }
}

fn at_most(limit: usize) -> clap::builder::RangedU64ValueParser {
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    clap::value_parser!(u64).range(1..=limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_in_order() {
        Arguments::command().debug_assert();
    }
}
