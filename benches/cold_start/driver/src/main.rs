//! Measures the cold start of the function beside an empty function and one in Python. `make bench` runs it.
//!
//! All variants run in turns within one run, against the same stand-ins of Lambda's Runtime API, CloudFront and
//! CodePipeline. So the ratios of a run are comparable, and its times are those of this machine.

mod aws;
mod events;
mod link;
mod process;
mod report;
mod runtime_api;
mod trust;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};

use self::aws::Calls;
use self::events::{Event, Kind};
use self::process::{Environment, Measurement, Variant, Work};
use self::report::{Report, Row, Samples, Table};

/// How many cold starts of each variant and event.
const RUNS: usize = 30;
const QUICK_RUNS: usize = 5;
/// How many invocations a warm process gets after its first one.
const WARM_INVOCATIONS: usize = 50;
const WARM_BATCHES: usize = 10;
/// How many warm processes of each variant.
const WARM_PROCESSES: usize = 3;
/// How long after its initialization an environment that Lambda initialized early gets its event.
const HOLD: Duration = Duration::from_millis(400);
/// A third of the runs is enough with a round-trip time: waiting takes most of it, and varies less.
const RTT_RUNS_DIVISOR: usize = 3;
/// A third of the runs is enough in Python, whose processes take a hundred times as long.
const PYTHON_RUNS_DIVISOR: usize = 3;

/// Measure the cold start of the function beside an empty function and one in Python
#[derive(Parser)]
struct Options {
    /// The release binary of the function; several are compared in one run
    #[arg(long, value_name = "[NAME=]PATH", required = true)]
    function: Vec<String>,
    /// The empty function; the first one is the base of the ratios
    #[arg(long, value_name = "[NAME=]PATH", required = true)]
    empty: Vec<String>,
    /// The virtual environment with boto3 and awslambdaric; without it, Python is not measured
    #[arg(long, value_name = "DIRECTORY")]
    python: Option<PathBuf>,
    /// Number of cold starts of each variant and event; of Python a third [default: 30, with --quick 5]
    #[arg(long)]
    runs: Option<usize>,
    /// Measure only this part
    #[arg(long)]
    only: Option<Part>,
    /// Modelled round-trip time to CloudFront
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 85)]
    rtt_ms: u64,
    /// Measure the pipeline job only, without the modelled round-trip time; with `--only batch`, the largest batch
    #[arg(long)]
    quick: bool,
    /// Write all medians and bounds to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// All except the largest batch
    Cold,
    /// The largest batch
    Batch,
}

/// What all measurements share.
struct Bench {
    environment: Environment,
    runs: usize,
}

// One thread: with more, a request wakes two of them, which lengthens a cold start by about 7 %.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let options = Options::parse();
    let trust = trust::make()?;
    let root = tempfile::Builder::new().suffix(".pem").tempfile()?;
    std::fs::write(root.path(), &trust.root_pem)?;

    let calls = Calls::default();
    let near = aws::serve(trust.server.clone(), Duration::ZERO, calls.clone()).await?;
    let rtt = Duration::from_millis(options.rtt_ms);
    let far = aws::serve(trust.server, rtt, calls.clone()).await?;
    let bench = Bench {
        environment: Environment {
            cloudfront: near.clone(),
            codepipeline: near,
            root: root.path().to_owned(),
            calls,
            hold: Duration::ZERO,
        },
        runs: options.runs.unwrap_or(match options.quick {
            true => QUICK_RUNS,
            false => RUNS,
        }),
    };

    let rust = rust_variants(&options)?;
    let mut all = rust.clone();
    all.extend(options.python.as_deref().map(python_variant).transpose()?);
    let working: Vec<Variant> = (all.iter().filter(|variant| variant.work != Work::Nothing))
        .cloned()
        .collect();

    let mut report = Report::new(&all, bench.runs, versions(&options))?;
    if options.only != Some(Part::Batch) {
        let kinds: &[Kind] = match options.quick {
            true => &[Kind::PipelineJob],
            false => &[Kind::PipelineJob, Kind::S3Record, Kind::SqsBatch],
        };
        for kind in kinds {
            report.add(bench.table(*kind, &all, WARM_INVOCATIONS).await?);
        }
        if !options.quick {
            for hold in [Duration::ZERO, HOLD] {
                let environment = Environment {
                    cloudfront: far.clone(),
                    hold,
                    ..bench.environment.clone()
                };
                report.add(bench.with_rtt(environment, rtt, &working).await?);
            }
        }
    }
    if options.only == Some(Part::Batch) || (options.only.is_none() && !options.quick) {
        report.add(bench.table(Kind::LargestBatch, &all, WARM_BATCHES).await?);
    }
    if !options.quick {
        for variant in &rust {
            if let Some(count) = variant.instructions(&bench.environment).await? {
                report.set_instructions(&variant.name, count);
            } else {
                println!("valgrind is missing: instructions are not counted");
                break;
            }
        }
    }
    print!("{report}");
    if let Some(file) = &options.json {
        std::fs::write(file, report.to_json()?)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

impl Bench {
    /// Measures cold starts of all variants in turns, then warm processes in turns.
    async fn table(&self, kind: Kind, variants: &[Variant], warm: usize) -> Result<Table> {
        let mut samples = self
            .cold(&self.environment, kind, variants, self.runs)
            .await?;
        let events: Vec<Event> = (0..=warm).map(|index| Event::new(kind, index)).collect();
        for _ in 0..WARM_PROCESSES {
            for (variant, samples) in variants.iter().zip(&mut samples) {
                let measurement = variant.measure(&self.environment, &events).await?;
                samples.warm(&measurement);
            }
        }
        let payload = events.first().map_or(0, Event::len);
        Ok(Table::new(kind, payload, rows(variants, &samples)))
    }

    /// Measures cold starts with a pipeline job and a modelled round-trip time.
    async fn with_rtt(
        &self,
        environment: Environment,
        rtt: Duration,
        variants: &[Variant],
    ) -> Result<Table> {
        let runs = self.runs.div_ceil(RTT_RUNS_DIVISOR);
        let samples = self
            .cold(&environment, Kind::PipelineJob, variants, runs)
            .await?;
        let title = format!(
            "Pipeline job, {} ms round-trip time to CloudFront, event {} ms after init",
            rtt.as_millis(),
            environment.hold.as_millis()
        );
        let payload = Event::new(Kind::PipelineJob, 0).len();
        let rows = rows(variants, &samples);
        Ok(Table::without_bounds(title, payload, rows))
    }

    async fn cold(
        &self,
        environment: &Environment,
        kind: Kind,
        variants: &[Variant],
        runs: usize,
    ) -> Result<Vec<Samples>> {
        let mut samples = vec![Samples::default(); variants.len()];
        for run in 0..runs {
            let events = [Event::new(kind, run)];
            for (variant, samples) in variants.iter().zip(&mut samples) {
                if variant.is_python && run % PYTHON_RUNS_DIVISOR != 0 {
                    continue;
                }
                let measurement: Measurement = variant.measure(environment, &events).await?;
                samples.cold(&measurement);
            }
        }
        Ok(samples)
    }
}

fn rows(variants: &[Variant], samples: &[Samples]) -> Vec<Row> {
    let rows = variants.iter().zip(samples);
    rows.map(|(variant, samples)| Row::new(variant, samples))
        .collect()
}

fn rust_variants(options: &Options) -> Result<Vec<Variant>> {
    let empty = options
        .empty
        .iter()
        .map(|path| (path, Work::Nothing, "empty function"));
    let functions = options
        .function
        .iter()
        .map(|path| (path, Work::Invalidation, "cloudfront-invalidator"));
    empty
        .chain(functions)
        .map(|(named, work, default)| {
            let (name, path) = named.split_once('=').unwrap_or((default, named));
            let program = absolute(Path::new(path))?;
            Ok(Variant {
                name: name.to_owned(),
                work,
                directory: program.parent().unwrap_or(Path::new("/")).to_owned(),
                program,
                arguments: Vec::new(),
                is_python: false,
            })
        })
        .collect()
}

fn python_variant(environment: &Path) -> Result<Variant> {
    let app = concat!(env!("CARGO_MANIFEST_DIR"), "/../python");
    Ok(Variant {
        name: "Python, boto3".to_owned(),
        work: Work::Invalidation,
        // Not canonical: the path of the interpreter tells Python that it is in a virtual environment.
        program: absolute(environment)?.join("bin/python"),
        arguments: ["-m", "awslambdaric", "app.handler"]
            .map(Into::into)
            .to_vec(),
        directory: absolute(Path::new(app))?,
        is_python: true,
    })
}

/// Returns the versions of what is measured, as far as they can be found.
fn versions(options: &Options) -> BTreeMap<String, String> {
    const PACKAGES: &str = include_str!("../../python/requirements-bench.txt");
    const LOCK: &str = include_str!("../../Cargo.lock");
    let output = |program: &Path| {
        let output = std::process::Command::new(program)
            .arg("--version")
            .output()
            .ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        text.split(' ')
            .nth(1)
            .map(|version| version.trim().to_owned())
    };
    let package = |name: &str| {
        let line = PACKAGES
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix("=="));
        line.map(str::to_owned)
    };
    let runtime = LOCK.split("[[package]]").find_map(|package| {
        let rest = package
            .trim_start()
            .strip_prefix("name = \"lambda_runtime\"\nversion = \"")?;
        rest.split('"').next().map(str::to_owned)
    });
    let python = options.python.as_deref();
    let versions = [
        ("rustc", output(Path::new("rustc"))),
        ("lambda_runtime", runtime),
        (
            "python",
            python.and_then(|python| output(&python.join("bin/python"))),
        ),
        ("boto3", python.and_then(|_| package("boto3"))),
        ("awslambdaric", python.and_then(|_| package("awslambdaric"))),
    ];
    versions
        .into_iter()
        .filter_map(|(name, version)| Some((name.to_owned(), version?)))
        .collect()
}

fn absolute(path: &Path) -> Result<PathBuf> {
    path.canonicalize()
        .with_context(|| format!("{} cannot be found", path.display()))
}
