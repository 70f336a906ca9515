//! The tables, and the bounds that the figures of one run have to keep.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use flate2::{Compress, Compression, FlushCompress, Status};
use serde::Serialize;

use crate::process::{Measurement, Variant, Work};

/// What was measured of a variant with an event.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    init_ms: Vec<f64>,
    first_ms: Vec<f64>,
    sum_ms: Vec<f64>,
    cpu_ms: Vec<f64>,
    warm_p50_ms: Vec<f64>,
    peak_rss_mib: Vec<f64>,
}

impl Samples {
    /// Adds a process that had one event.
    pub fn cold(&mut self, measurement: &Measurement) {
        let (init, first) = (measurement.init, measurement.first());
        self.init_ms.push(ms(init));
        self.first_ms.push(ms(first));
        self.sum_ms.push(ms(init + first));
        self.cpu_ms.push(ms(measurement.cpu));
    }

    /// Adds a process that had many events.
    pub fn warm(&mut self, measurement: &Measurement) {
        let warm: Vec<f64> = measurement.invocations.iter().skip(1).map(|time| ms(*time)).collect();
        self.warm_p50_ms.extend(median(&warm));
        let mib = measurement.peak_rss_kib as f64 / 1024.0;
        self.peak_rss_mib.push(mib);
    }
}

/// The medians of a variant.
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
            init_ms: median(&samples.init_ms),
            first_ms: median(&samples.first_ms),
            sum_ms: median(&samples.sum_ms),
            cpu_ms: median(&samples.cpu_ms),
            warm_p50_ms: median(&samples.warm_p50_ms),
            peak_rss_mib: median(&samples.peak_rss_mib),
        }
    }
}

/// The medians of all variants with an event.
#[derive(Clone, Debug, Serialize)]
pub struct Table {
    event: String,
    payload_bytes: usize,
    rows: Vec<Row>,
}

impl Table {
    /// Makes the table of an event.
    pub fn new(event: &str, payload_bytes: usize, rows: Vec<Row>) -> Self {
        Self {
            event: event.to_owned(),
            payload_bytes,
            rows,
        }
    }
}

/// A file's size.
#[derive(Clone, Debug, Serialize)]
struct Size {
    variant: String,
    zip_kib: f64,
}

/// The results of a run.
#[derive(Debug, Serialize)]
pub struct Report {
    sizes: Vec<Size>,
    tables: Vec<Table>,
}

impl Report {
    /// Starts a report about these variants.
    ///
    /// # Errors
    ///
    /// Returns an error if a binary cannot be read.
    pub fn new(variants: &[Variant]) -> Result<Self> {
        let sizes = variants.iter().filter(|variant| !variant.is_python);
        let sizes = sizes.map(|variant| {
            Ok(Size {
                variant: variant.name.clone(),
                zip_kib: zip_bytes(&variant.program)? as f64 / 1024.0,
            })
        });
        Ok(Self {
            sizes: sizes.collect::<Result<_>>()?,
            tables: Vec::new(),
        })
    }

    /// Adds a table.
    pub fn add(&mut self, table: Table) {
        self.tables.push(table);
    }

    /// Returns all figures as JSON.
    ///
    /// # Errors
    ///
    /// Returns an error if a figure is not a number.
    pub fn to_json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    fn zip_kib(&self, variant: &str) -> Option<f64> {
        let size = self.sizes.iter().find(|size| size.variant == variant);
        size.map(|size| size.zip_kib)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for table in &self.tables {
            writeln!(f, "### {} ({} bytes)\n", table.event, table.payload_bytes)?;
            writeln!(
                f,
                "| variant | init ms | first invoke ms | sum ms | × empty | CPU ms | CPU × empty | warm p50 ms \
                 | peak RSS MiB | zip KiB |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
            )?;
            let empty = table.rows.iter().find(|row| row.role == Role::Empty);
            for row in &table.rows {
                writeln!(
                    f,
                    "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                    row.variant,
                    number(row.init_ms),
                    number(row.first_ms),
                    number(row.sum_ms),
                    number(ratio(row.sum_ms, empty.and_then(|empty| empty.sum_ms))),
                    number(row.cpu_ms),
                    number(ratio(row.cpu_ms, empty.and_then(|empty| empty.cpu_ms))),
                    number(row.warm_p50_ms),
                    number(row.peak_rss_mib),
                    number(self.zip_kib(&row.variant)),
                )?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// Rounds to three significant digits, as far as they are behind the point.
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
    let contents = std::fs::read(binary)
        .with_context(|| format!("cannot read {}", binary.display()))?;
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
