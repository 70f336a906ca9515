//! `Metrics`: what one invocation did, in numbers, as lines of CloudWatch's embedded metric format.
//!
//! A line is written to the log, and CloudWatch extracts the metrics from it. So metrics need no API call and no
//! permission. AWS bills each as a custom metric, so there are few of them, without dimensions unless a setting adds one.
//! [Format](https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html)
//!
//! A line has the configured log level: as documented, Lambda drops lines below it, and treats a line without `level` or
//! `timestamp` as INFO. How the real filter treats these lines is not verified.
//! [Levels](https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html)

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Map, Value, json};

use crate::distribution::DistributionId;

/// The dimension of the metrics of one distribution.
const DIMENSION: &str = "DistributionId";

/// A metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// How many invalidations CloudFront created.
    Invalidations,
    /// How many paths they have, each of which is billed.
    Paths,
    /// How many changed objects were handled without an error.
    ObjectsChanged,
    /// How many paths fewer were sent than an invalidation of its own for each changed object would have needed.
    PathsSaved,
    /// How many requests CloudFront refused because it was throttling, or would have refused because of a quota.
    Throttled,
    /// How many jobs, events, messages and requests failed for good.
    Errors,
    /// How many seconds after the oldest change CloudFront created its invalidation.
    FreshnessLag,
    /// For how many requested URLs viewers still get old content.
    StaleUrls,
}

impl Metric {
    /// Returns the name in CloudWatch.
    pub fn name(self) -> &'static str {
        match self {
            Self::Invalidations => "Invalidations",
            Self::Paths => "Paths",
            Self::ObjectsChanged => "ObjectsChanged",
            Self::PathsSaved => "PathsSaved",
            Self::Throttled => "Throttled",
            Self::Errors => "Errors",
            Self::FreshnessLag => "FreshnessLag",
            Self::StaleUrls => "StaleUrls",
        }
    }

    /// Returns the unit in CloudWatch.
    fn unit(self) -> &'static str {
        match self {
            Self::FreshnessLag => "Seconds",
            _ => "Count",
        }
    }
}

type Values = BTreeMap<Metric, f64>;

/// What one invocation did. A value that was not recorded is not written.
#[derive(Debug, Default)]
pub struct Metrics(Mutex<Recorded>);

#[derive(Debug, Default)]
struct Recorded {
    total: Values,
    by_distribution: BTreeMap<DistributionId, Values>,
}

impl Metrics {
    /// Adds to the count of a distribution, and to the total.
    pub fn count(&self, metric: Metric, count: usize, distribution: &DistributionId) {
        self.count_total(metric, count);
        self.count_of_distribution(metric, count, distribution);
    }

    /// Adds to the total only: what belongs to no distribution, or to several together.
    pub fn count_total(&self, metric: Metric, count: usize) {
        add(&mut self.lock().total, metric, count);
    }

    /// Adds to the count of a distribution only.
    pub fn count_of_distribution(
        &self,
        metric: Metric,
        count: usize,
        distribution: &DistributionId,
    ) {
        let mut recorded = self.lock();
        let values = recorded.by_distribution.entry(distribution.clone());
        add(values.or_default(), metric, count);
    }

    /// Records how long after a change its invalidation was created. The longest time of an invocation is written.
    pub fn record_lag(&self, lag: TimeDelta, distribution: &DistributionId) {
        // The clocks of S3 and CloudFront can differ.
        let seconds = lag.max(TimeDelta::zero()).as_seconds_f64();
        let mut recorded = self.lock();
        let Recorded {
            total,
            by_distribution,
        } = &mut *recorded;
        for values in [
            total,
            by_distribution.entry(distribution.clone()).or_default(),
        ] {
            let longest = values.entry(Metric::FreshnessLag).or_default();
            *longest = longest.max(seconds);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Recorded> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add(values: &mut Values, metric: Metric, count: usize) {
    // Counts of paths and objects are far below 2^53, up to which a float is exact.
    *values.entry(metric).or_default() += count as f64;
}

/// How metrics are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsSettings {
    /// `METRICS_NAMESPACE`: the namespace in CloudWatch. `none`: no metrics. Default: `CloudFrontInvalidator`.
    pub namespace: Option<String>,
    /// `METRICS_BY_DISTRIBUTION`: whether each distribution has a line of its own, with its id as dimension: `true` or
    /// `false`. Default: `false`.
    pub by_distribution: bool,
    /// `AWS_LAMBDA_LOG_LEVEL`: the configured log level. Default: `INFO`.
    pub level: String,
}

impl MetricsSettings {
    /// Reads the settings. `variable` returns the value of an environment variable. An invalid value counts as the
    /// default, because metrics must not prevent an invalidation.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let read = |name| {
            let value = variable(name).unwrap_or_default();
            Some(value.trim().to_owned()).filter(|value| !value.is_empty())
        };
        let namespace = read("METRICS_NAMESPACE");
        let namespace = namespace.unwrap_or_else(|| "CloudFrontInvalidator".to_owned());
        let by_distribution = read("METRICS_BY_DISTRIBUTION").unwrap_or_default();
        let level = read("AWS_LAMBDA_LOG_LEVEL").unwrap_or_else(|| "INFO".to_owned());
        Self {
            namespace: (namespace != "none").then_some(namespace),
            by_distribution: by_distribution.eq_ignore_ascii_case("true"),
            level: level.to_ascii_uppercase(),
        }
    }
}

/// Writes the metrics of invocations.
pub struct MetricsWriter {
    settings: MetricsSettings,
    write: Box<dyn Fn(&str) + Send + Sync>,
}

impl MetricsWriter {
    /// Creates a writer that passes each line, without its line break, to `write`.
    pub fn new(settings: MetricsSettings, write: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self {
            settings,
            write: Box::new(write),
        }
    }

    /// Writes what was recorded: the total, and with the setting a line for each distribution. Writes nothing if
    /// nothing was recorded.
    pub fn write(&self, metrics: &Metrics, caller: &str, request_id: &str, now: SystemTime) {
        let Some(namespace) = &self.settings.namespace else {
            return;
        };
        let recorded = metrics.lock();
        let by_distribution = recorded.by_distribution.iter();
        let by_distribution = by_distribution.filter(|_| self.settings.by_distribution);
        let lines = [(None, &recorded.total)].into_iter().chain(
            by_distribution.map(|(distribution, values)| (Some(distribution.as_str()), values)),
        );
        for (distribution, values) in lines.filter(|(_, values)| !values.is_empty()) {
            let mut line = embedded_metrics(namespace, distribution, values, now);
            let now = DateTime::<Utc>::from(now);
            let timestamp = now.to_rfc3339_opts(SecondsFormat::Millis, true);
            for (name, value) in [
                ("timestamp", timestamp.as_str()),
                ("level", &self.settings.level),
                ("requestId", request_id),
                ("caller", caller),
                ("message", "metrics"),
            ] {
                line.insert(name.to_owned(), value.into());
            }
            (self.write)(&Value::Object(line).to_string());
        }
    }
}

impl fmt::Debug for MetricsWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}

/// Returns the members of a line that CloudWatch reads.
fn embedded_metrics(
    namespace: &str,
    distribution: Option<&str>,
    values: &Values,
    now: SystemTime,
) -> Map<String, Value> {
    let definitions = values.keys();
    let definitions: Vec<_> = definitions
        .map(|metric| json!({ "Name": metric.name(), "Unit": metric.unit() }))
        .collect();
    let dimensions: Vec<_> = distribution.map(|_| DIMENSION).into_iter().collect();
    let directive = json!({
        "Namespace": namespace,
        "Dimensions": [dimensions],
        "Metrics": definitions,
    });
    let metadata = json!({
        "Timestamp": DateTime::<Utc>::from(now).timestamp_millis(),
        "CloudWatchMetrics": [directive],
    });
    let mut line = Map::from_iter([("_aws".to_owned(), metadata)]);
    line.extend(distribution.map(|id| (DIMENSION.to_owned(), id.into())));
    line.extend(values.iter().map(|(metric, value)| {
        let value = match metric {
            Metric::FreshnessLag => json!(value),
            _ => json!(*value as u64),
        };
        (metric.name().to_owned(), value)
    }));
    line
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn distribution(text: &str) -> DistributionId {
        DistributionId::parse(text).expect("an id")
    }

    fn settings(set: &[(&str, &str)]) -> MetricsSettings {
        MetricsSettings::from_environment(|name| {
            let value = set.iter().find(|(set, _)| *set == name);
            value.map(|(_, value)| (*value).to_owned())
        })
    }

    /// Returns the lines that are written for what `record` records.
    fn lines(set: &[(&str, &str)], record: impl Fn(&Metrics)) -> Vec<Value> {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let writer = MetricsWriter::new(settings(set), move |line: &str| {
            let line: Value = serde_json::from_str(line).expect("JSON");
            sink.lock().expect("a lock").push(line);
        });
        let metrics = Metrics::default();
        record(&metrics);
        let now = UNIX_EPOCH + Duration::from_millis(1_784_000_000_123);
        writer.write(&metrics, "s3", "8f5c", now);
        let lines = lines.lock().expect("a lock");
        lines.clone()
    }

    #[test]
    fn writes_one_line_without_dimensions_for_all_distributions_together() {
        let (first, second) = (distribution("E1EXAMPLE1ABC"), distribution("E2EXAMPLE1ABC"));
        let record = |metrics: &Metrics| {
            metrics.count_total(Metric::ObjectsChanged, 3);
            metrics.count(Metric::Paths, 2, &first);
            metrics.count(Metric::Paths, 5, &second);
            metrics.record_lag(TimeDelta::milliseconds(21_500), &first);
            metrics.record_lag(TimeDelta::milliseconds(-300), &second);
            metrics.count(Metric::StaleUrls, 0, &second);
        };
        let expected = json!({
            "_aws": {
                "Timestamp": 1_784_000_000_123_u64,
                "CloudWatchMetrics": [{
                    "Namespace": "CloudFrontInvalidator",
                    "Dimensions": [[]],
                    "Metrics": [
                        {"Name": "Paths", "Unit": "Count"},
                        {"Name": "ObjectsChanged", "Unit": "Count"},
                        {"Name": "FreshnessLag", "Unit": "Seconds"},
                        {"Name": "StaleUrls", "Unit": "Count"},
                    ],
                }],
            },
            "timestamp": "2026-07-14T03:33:20.123Z",
            "level": "INFO",
            "requestId": "8f5c",
            "caller": "s3",
            "message": "metrics",
            "Paths": 7,
            "ObjectsChanged": 3,
            "FreshnessLag": 21.5,
            "StaleUrls": 0,
        });
        assert_eq!(lines(&[], record), [expected]);
    }

    #[test]
    fn adds_a_line_for_each_distribution_if_the_settings_request_it() {
        let (first, second) = (distribution("E1EXAMPLE1ABC"), distribution("E2EXAMPLE1ABC"));
        let record = |metrics: &Metrics| {
            metrics.count_total(Metric::ObjectsChanged, 1);
            for distribution in [&first, &second] {
                metrics.count_of_distribution(Metric::ObjectsChanged, 1, distribution);
            }
            metrics.count(Metric::Throttled, 1, &second);
            metrics.count_total(Metric::Errors, 1);
        };
        let set = [
            ("METRICS_BY_DISTRIBUTION", "True"),
            ("METRICS_NAMESPACE", "Sites"),
        ];
        let lines = lines(&set, record);
        let summary: Vec<_> = lines
            .iter()
            .map(|line| {
                let directive = &line["_aws"]["CloudWatchMetrics"][0];
                assert_eq!(directive["Namespace"], "Sites");
                let names = directive["Metrics"].as_array().into_iter().flatten();
                let values = names.map(|metric| {
                    let name = metric["Name"].as_str().expect("a name");
                    format!("{name}={}", line[name])
                });
                let values = values.collect::<Vec<_>>().join(" ");
                (
                    directive["Dimensions"].clone(),
                    line.get(DIMENSION).cloned(),
                    values,
                )
            })
            .collect();
        let of = |id: &str, values: &str| {
            (
                json!([["DistributionId"]]),
                Some(json!(id)),
                values.to_owned(),
            )
        };
        assert_eq!(
            summary,
            [
                (
                    json!([[]]),
                    None,
                    "ObjectsChanged=1 Throttled=1 Errors=1".to_owned()
                ),
                of("E1EXAMPLE1ABC", "ObjectsChanged=1"),
                of("E2EXAMPLE1ABC", "ObjectsChanged=1 Throttled=1"),
            ]
        );
    }

    #[test]
    fn writes_nothing_without_values_or_without_a_namespace() {
        let record = |metrics: &Metrics| metrics.count_total(Metric::Errors, 1);
        assert_eq!(lines(&[], |_| {}), [] as [Value; 0]);
        assert_eq!(
            lines(&[("METRICS_NAMESPACE", "none")], record),
            [] as [Value; 0]
        );
        // The template compares the parameter with this spelling only: alarms and dashboard read the namespace `None`.
        let other = lines(&[("METRICS_NAMESPACE", "None")], record);
        let namespace = other
            .first()
            .map(|line| &line["_aws"]["CloudWatchMetrics"][0]["Namespace"]);
        assert_eq!(namespace, Some(&json!("None")));
    }

    #[test]
    fn has_the_configured_level_so_that_lambda_does_not_drop_it() {
        let record = |metrics: &Metrics| metrics.count_total(Metric::Errors, 1);
        for (level, expected) in [("error", "ERROR"), ("WARN", "WARN"), ("", "INFO")] {
            let lines = lines(&[("AWS_LAMBDA_LOG_LEVEL", level)], record);
            assert_eq!(lines.len(), 1);
            assert_eq!(lines[0]["level"], expected);
        }
    }
}
