//! The tables, and the bounds that the figures of one run have to keep.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use chrono::Utc;
use flate2::{Compress, Compression, FlushCompress, Status};
use serde::Serialize;

use crate::events::Kind;
use crate::process::{Measurement, Variant, Work};

/// The bounds of a cold start with a pipeline job: ratios to the empty function and to Python, then figures.
const MAX_SUM_TO_EMPTY: f64 = 1.9;
const MAX_PERCENT_OF_PYTHON: f64 = 2.0;
const MAX_CPU_TO_EMPTY: f64 = 1.7;
const MAX_WARM_MS: f64 = 0.6;
const MAX_RSS_MIB: f64 = 7.0;
const MAX_ZIP_MIB: f64 = 2.2;

/// The bounds of the largest batch.
const MAX_FIRST_BATCH_MS: f64 = 35.0;
const MAX_WARM_BATCH_MS: f64 = 20.0;
const MAX_RSS_TO_PAYLOAD: f64 = 3.0;

/// What was measured of a variant with an event.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    init_ms: Vec<f64>,
    first_ms: Vec<f64>,
    sum_ms: Vec<f64>,
    cpu_ms: Vec<f64>,
    warm_p50_ms: Vec<f64>,
    peak_rss_mib: Vec<f64>,
    calls: Vec<String>,
}

impl Samples {
    /// Adds a process that had one event.
    pub fn cold(&mut self, measurement: &Measurement) {
        let (init, first) = (measurement.init, measurement.first());
        self.calls = measurement
            .calls
            .iter()
            .map(|call| call.name().to_owned())
            .collect();
        self.init_ms.push(ms(init));
        self.first_ms.push(ms(first));
        self.sum_ms.push(ms(init + first));
        self.cpu_ms.push(ms(measurement.cpu));
    }

    /// Adds a process that had many events.
    pub fn warm(&mut self, measurement: &Measurement) {
        let warm: Vec<f64> = measurement
            .invocations
            .iter()
            .skip(1)
            .map(|time| ms(*time))
            .collect();
        self.warm_p50_ms.extend(median(&warm));
        let mib = measurement.peak_rss_kib as f64 / 1024.0;
        self.peak_rss_mib.push(mib);
    }
}

/// The medians of a variant, without digits that mean nothing.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    variant: String,
    #[serde(skip)]
    role: Role,
    init_ms: Option<f64>,
    first_ms: Option<f64>,
    sum_ms: Option<f64>,
    cpu_ms: Option<f64>,
    warm_p50_ms: Option<f64>,
    peak_rss_mib: Option<f64>,
    /// The calls of AWS in one of the first invocations.
    calls: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Empty,
    Function,
    Python,
}

impl Row {
    /// Computes the medians.
    pub fn new(variant: &Variant, samples: &Samples) -> Self {
        Self {
            variant: variant.name.clone(),
            role: match (variant.work, variant.is_python) {
                (Work::Nothing, _) => Role::Empty,
                (Work::Invalidation, false) => Role::Function,
                (Work::Invalidation, true) => Role::Python,
            },
            init_ms: median(&samples.init_ms).map(rounded),
            first_ms: median(&samples.first_ms).map(rounded),
            sum_ms: median(&samples.sum_ms).map(rounded),
            cpu_ms: median(&samples.cpu_ms).map(rounded),
            warm_p50_ms: median(&samples.warm_p50_ms).map(rounded),
            peak_rss_mib: median(&samples.peak_rss_mib).map(rounded),
            calls: samples.calls.clone(),
        }
    }
}

/// The medians of all variants with an event.
#[derive(Clone, Debug, Serialize)]
pub struct Table {
    #[serde(skip)]
    kind: Option<Kind>,
    event: String,
    payload_bytes: usize,
    rows: Vec<Row>,
}

impl Table {
    /// Makes the table of an event.
    pub fn new(kind: Kind, payload_bytes: usize, rows: Vec<Row>) -> Self {
        Self {
            kind: Some(kind),
            event: kind.title().to_owned(),
            payload_bytes,
            rows,
        }
    }

    /// Makes a table that has no bounds.
    pub fn without_bounds(event: String, payload_bytes: usize, rows: Vec<Row>) -> Self {
        Self {
            kind: None,
            event,
            payload_bytes,
            rows,
        }
    }

    fn first(&self, role: Role) -> Option<&Row> {
        self.rows.iter().find(|row| row.role == role)
    }

    fn functions(&self) -> impl Iterator<Item = (&Self, &Row)> {
        let functions = self.rows.iter().filter(|row| row.role == Role::Function);
        functions.map(move |row| (self, row))
    }
}

/// What does not depend on the time.
#[derive(Clone, Debug, Serialize)]
struct Binary {
    variant: String,
    zip_kib: f64,
    /// The instructions of one cold start with a pipeline job, counted by callgrind.
    instructions: Option<u64>,
}

/// The results of a run.
#[derive(Debug, Serialize)]
pub struct Report {
    date: String,
    machine: Machine,
    versions: BTreeMap<String, String>,
    cold_starts: usize,
    binaries: Vec<Binary>,
    tables: Vec<Table>,
}

/// Where it was measured.
#[derive(Debug, Serialize)]
struct Machine {
    processor: String,
    cores: usize,
    kernel: String,
}

/// A limit that a function has to keep.
#[derive(Debug, Serialize)]
struct Bound {
    variant: String,
    name: &'static str,
    figure: f64,
    maximum: f64,
    holds: bool,
}

impl Report {
    /// Starts a report about these variants.
    ///
    /// # Errors
    ///
    /// Returns an error if a binary cannot be read.
    pub fn new(
        variants: &[Variant],
        runs: usize,
        versions: BTreeMap<String, String>,
    ) -> Result<Self> {
        let binaries = variants.iter().filter(|variant| !variant.is_python);
        let binaries = binaries.map(|variant| {
            Ok(Binary {
                variant: variant.name.clone(),
                zip_kib: rounded(zip_bytes(&variant.program)? as f64 / 1024.0),
                instructions: None,
            })
        });
        Ok(Self {
            date: Utc::now().format("%Y-%m-%d").to_string(),
            machine: Machine::this(),
            versions,
            cold_starts: runs,
            binaries: binaries.collect::<Result<_>>()?,
            tables: Vec::new(),
        })
    }

    /// Prints a table, and adds it.
    pub fn add(&mut self, table: Table) {
        println!("{}", WithSizes(&table, self));
        self.tables.push(table);
    }

    /// Sets the instructions of a variant.
    pub fn set_instructions(&mut self, variant: &str, instructions: u64) {
        for binary in &mut self.binaries {
            if binary.variant == variant {
                binary.instructions = Some(instructions);
            }
        }
    }

    /// Returns all figures as JSON.
    ///
    /// # Errors
    ///
    /// Returns an error if a figure is not a number.
    pub fn to_json(&self) -> Result<String> {
        #[derive(Serialize)]
        struct WithBounds<'a> {
            #[serde(flatten)]
            report: &'a Report,
            bounds: Vec<Bound>,
        }
        let report = WithBounds {
            report: self,
            bounds: self.bounds(),
        };
        Ok(serde_json::to_string_pretty(&report)? + "\n")
    }

    fn binary(&self, variant: &str) -> Option<&Binary> {
        self.binaries
            .iter()
            .find(|binary| binary.variant == variant)
    }

    /// Returns the bounds of each function, as far as their figures were measured.
    fn bounds(&self) -> Vec<Bound> {
        let mut bounds = Vec::new();
        for (table, row) in self.tables.iter().flat_map(Table::functions) {
            let of_empty = |figure: fn(&Row) -> Option<f64>| {
                ratio(figure(row), table.first(Role::Empty).and_then(figure))
            };
            let python = table.first(Role::Python).and_then(|python| python.sum_ms);
            let mib = table.payload_bytes as f64 / 1024.0 / 1024.0;
            let zip = self
                .binary(&row.variant)
                .map(|binary| binary.zip_kib / 1024.0);
            let figures: &[(&'static str, Option<f64>, f64)] = match table.kind {
                Some(Kind::PipelineJob) => &[
                    (
                        "init + first invoke, × empty",
                        of_empty(|row| row.sum_ms),
                        MAX_SUM_TO_EMPTY,
                    ),
                    (
                        "init + first invoke, % of Python",
                        ratio(row.sum_ms, python).map(|share| share * 100.0),
                        MAX_PERCENT_OF_PYTHON,
                    ),
                    ("CPU, × empty", of_empty(|row| row.cpu_ms), MAX_CPU_TO_EMPTY),
                    ("warm p50, ms", row.warm_p50_ms, MAX_WARM_MS),
                    ("peak RSS, MiB", row.peak_rss_mib, MAX_RSS_MIB),
                    ("zip, MiB", zip, MAX_ZIP_MIB),
                ],
                Some(Kind::LargestBatch) => &[
                    (
                        "largest batch: first invoke, ms",
                        row.first_ms,
                        MAX_FIRST_BATCH_MS,
                    ),
                    (
                        "largest batch: warm p50, ms",
                        row.warm_p50_ms,
                        MAX_WARM_BATCH_MS,
                    ),
                    (
                        "largest batch: peak RSS, × payload",
                        row.peak_rss_mib.map(|peak| peak / mib),
                        MAX_RSS_TO_PAYLOAD,
                    ),
                ],
                _ => &[],
            };
            bounds.extend(figures.iter().filter_map(|&(name, figure, maximum)| {
                Some(Bound {
                    variant: row.variant.clone(),
                    name,
                    figure: rounded(figure?),
                    maximum,
                    holds: figure? <= maximum,
                })
            }));
        }
        bounds
    }
}

impl Machine {
    fn this() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let processor = read("/proc/cpuinfo").lines().find_map(|line| {
            Some(
                line.strip_prefix("model name")?
                    .split_once(": ")?
                    .1
                    .to_owned(),
            )
        });
        Self {
            processor: processor.unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        }
    }
}

/// The instructions and the bounds.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instructions = (self.binaries.iter())
            .filter_map(|binary| Some((binary, binary.instructions? as f64 / 1e6)));
        for (binary, millions) in instructions {
            writeln!(
                f,
                "{}: {} million instructions for a cold pipeline job (callgrind)",
                binary.variant,
                number(Some(millions))
            )?;
        }
        writeln!(
            f,
            "\n| bound | variant | figure | at most | |\n|---|---|--:|--:|---|"
        )?;
        for bound in self.bounds() {
            writeln!(
                f,
                "| {} | {} | {} | {} | {} |",
                bound.name,
                bound.variant,
                number(Some(bound.figure)),
                bound.maximum,
                if bound.holds { "holds" } else { "**missed**" }
            )?;
        }
        Ok(())
    }
}

/// A table with the sizes of the binaries.
struct WithSizes<'a>(&'a Table, &'a Report);

impl fmt::Display for WithSizes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(table, report) = self;
        writeln!(f, "### {} ({} bytes)\n", table.event, table.payload_bytes)?;
        writeln!(
            f,
            "| variant | init ms | first invoke ms | sum ms | × empty | CPU ms | CPU × empty | warm p50 ms \
             | peak RSS MiB | zip KiB |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
        )?;
        let empty = table.first(Role::Empty);
        for row in &table.rows {
            let figures = [
                row.init_ms,
                row.first_ms,
                row.sum_ms,
                ratio(row.sum_ms, empty.and_then(|empty| empty.sum_ms)),
                row.cpu_ms,
                ratio(row.cpu_ms, empty.and_then(|empty| empty.cpu_ms)),
                row.warm_p50_ms,
                row.peak_rss_mib,
                report.binary(&row.variant).map(|binary| binary.zip_kib),
            ];
            writeln!(
                f,
                "| {} | {} |",
                row.variant,
                figures.map(number).join(" | ")
            )?;
        }
        Ok(())
    }
}

/// Writes three significant digits, or all digits before the point.
fn number(value: Option<f64>) -> String {
    match value {
        None => String::new(),
        Some(value) if value < 10.0 => format!("{value:.2}"),
        Some(value) if value < 100.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.0}"),
    }
}

fn ratio(value: Option<f64>, base: Option<f64>) -> Option<f64> {
    Some(value? / base?)
}

fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (lower, upper) = (sorted.len().checked_sub(1)? / 2, sorted.len() / 2);
    Some((sorted.get(lower)? + sorted.get(upper)?) / 2.0)
}

/// Returns the size of a zip file with the binary as `bootstrap`.
fn zip_bytes(binary: &Path) -> Result<u64> {
    /// The headers of one file with a name of nine characters, and the end of the directory.
    const HEADER_BYTES: u64 = 30 + 46 + 22 + 2 * 9;
    let contents =
        std::fs::read(binary).with_context(|| format!("cannot read {}", binary.display()))?;
    let mut compress = Compress::new(Compression::best(), false);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = usize::try_from(compress.total_in())?;
        let rest = contents.get(read..).unwrap_or_default();
        if compress.compress(rest, &mut buffer, FlushCompress::Finish)? == Status::StreamEnd {
            return Ok(compress.total_out() + HEADER_BYTES);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_of_values_is_the_mean_of_the_two_in_the_middle() {
        let cases: [(&[f64], Option<f64>); 4] = [
            (&[], None),
            (&[3.0], Some(3.0)),
            (&[9.0, 1.0, 2.0], Some(2.0)),
            (&[9.0, 1.0, 2.0, 4.0], Some(3.0)),
        ];
        for (values, expected) in cases {
            assert_eq!(median(values), expected, "{values:?}");
        }
    }

    #[test]
    fn a_bound_holds_up_to_its_maximum() {
        let row = |role, sum, cpu| Row {
            variant: format!("{role:?}"),
            role,
            init_ms: None,
            first_ms: None,
            sum_ms: Some(sum),
            cpu_ms: Some(cpu),
            warm_p50_ms: None,
            peak_rss_mib: Some(7.5),
            calls: vec![],
        };
        let rows = vec![
            row(Role::Empty, 2.0, 1.0),
            row(Role::Function, 3.0, 1.75),
            row(Role::Python, 150.0, 90.0),
        ];
        let report = Report {
            date: String::new(),
            machine: Machine::this(),
            versions: BTreeMap::new(),
            cold_starts: 1,
            binaries: vec![],
            tables: vec![Table::new(Kind::PipelineJob, 1, rows)],
        };
        let bounds = report.bounds();
        let bounds: Vec<(&str, f64, bool)> = (bounds.iter())
            .map(|bound| (bound.name, bound.figure, bound.holds))
            .collect();
        assert_eq!(
            bounds,
            [
                ("init + first invoke, × empty", 1.5, true),
                ("init + first invoke, % of Python", 2.0, true),
                ("CPU, × empty", 1.75, false),
                ("peak RSS, MiB", 7.5, false),
            ]
        );
    }
}
