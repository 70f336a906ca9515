//! The log: one JSON object per line with `timestamp`, `level`, `requestId`, `message` and the values as fields.
//!
//! Spans add fields to each line within them: the request id, and who requested the work.
//!
//! Lambda treats a line without a valid RFC 3339 `timestamp` or `level` as INFO, so a log level filter at WARN would
//! drop errors. The subscriber of `lambda_runtime` writes no timestamp and nests the request id in a span, so this
//! module replaces it. The lines of this crate follow `AWS_LAMBDA_LOG_LEVEL`. Lines of libraries are written from WARN
//! upwards only: at finer levels, the SDK logs requests with their session token.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html>

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Scope};

/// Returns the span of an invocation. Lines within it contain the request id.
///
/// Its level is ERROR, so that the id is present at every log level.
pub fn invocation_span(request_id: &str) -> tracing::Span {
    tracing::error_span!("invocation", requestId = request_id)
}

/// Parses a level as Lambda spells it. Returns INFO if there is no level or an unknown one.
pub fn level(text: Option<&str>) -> LevelFilter {
    match text.unwrap_or_default().to_ascii_uppercase().as_str() {
        "TRACE" => LevelFilter::TRACE,
        "DEBUG" => LevelFilter::DEBUG,
        "WARN" => LevelFilter::WARN,
        "ERROR" | "FATAL" => LevelFilter::ERROR,
        _ => LevelFilter::INFO,
    }
}

/// Returns a subscriber that passes each line, without its line break, to `write`.
pub fn subscriber(
    level: LevelFilter,
    write: impl Fn(&str) + Send + Sync + 'static,
) -> impl Subscriber + Send + Sync {
    let filter = Targets::new()
        .with_target(env!("CARGO_CRATE_NAME"), level)
        .with_default(level.min(LevelFilter::WARN))
        // This target repeats the handler's error, which is already logged.
        .with_target("lambda_runtime::layers::panic", LevelFilter::OFF);
    tracing_subscriber::registry().with(JsonLines { write }.with_filter(filter))
}

/// Logs panics as a single line each.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!(
            location = panic.location().map(ToString::to_string),
            "panicked: {}",
            panic.payload_as_str().unwrap_or("no message")
        );
    }));
}

struct JsonLines<W> {
    write: W,
}

#[derive(Serialize)]
struct Line<'a> {
    timestamp: String,
    level: &'static str,
    #[serde(flatten)]
    fields: &'a Map<String, Value>,
}

impl<S, W> Layer<S> for JsonLines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Fn(&str) + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        let spans = context.event_scope(event).into_iter();
        for span in spans.flat_map(Scope::from_root) {
            if let Some(Fields(of_span)) = span.extensions().get() {
                fields.0.extend(of_span.clone());
            }
        }
        event.record(&mut fields);
        let line = Line {
            timestamp: DateTime::<Utc>::from(std::time::SystemTime::now())
                .to_rfc3339_opts(SecondsFormat::Millis, true),
            level: event.metadata().level().as_str(),
            fields: &fields.0,
        };
        if let Ok(line) = serde_json::to_string(&line) {
            (self.write)(&line);
        }
    }
}

/// The fields of a line or of a span.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn insert(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.insert(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    fn lines(level: LevelFilter, log: impl FnOnce()) -> Vec<Map<String, Value>> {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let write = move |line: &str| {
            sink.lock()
                .expect("a lock")
                .push(serde_json::from_str(line).expect("JSON"))
        };
        tracing::subscriber::with_default(subscriber(level, write), log);
        let lines = lines.lock().expect("a lock");
        lines.clone()
    }

    #[test]
    fn writes_a_line_with_timestamp_level_request_id_and_fields() {
        let mut lines = lines(LevelFilter::INFO, || {
            invocation_span("8f5c").in_scope(|| {
                let missing: Option<&str> = None;
                tracing::info!(paths = 2, job = %"j-1", fresh = true, missing, "done \"well\"");
            });
            tracing::warn!("outside");
        });
        let timestamps: Vec<_> = lines
            .iter_mut()
            .filter_map(|line| line.remove("timestamp"))
            .collect();
        for timestamp in &timestamps {
            let text = timestamp.as_str().expect("a text");
            assert!(
                DateTime::parse_from_rfc3339(text).is_ok() && text.ends_with('Z'),
                "{text}"
            );
        }
        assert_eq!(timestamps.len(), 2);
        assert_eq!(
            Value::from(lines.into_iter().map(Value::from).collect::<Vec<_>>()),
            serde_json::json!([
                {
                    "level": "INFO", "requestId": "8f5c", "message": "done \"well\"",
                    "paths": 2, "job": "j-1", "fresh": true,
                },
                {"level": "WARN", "message": "outside"},
            ])
        );
    }

    #[test]
    fn adds_the_fields_of_all_spans_and_a_line_overrides_them() {
        let lines = lines(LevelFilter::WARN, || {
            invocation_span("8f5c").in_scope(|| {
                let pipeline: Option<&str> = None;
                tracing::error_span!("caller", caller = "codepipeline", job = "j-1", pipeline)
                    .in_scope(|| {
                        tracing::warn!(job = "j-2", "inside");
                    });
                tracing::warn!("outside");
            });
        });
        let lines = lines.into_iter().map(|mut line| {
            line.remove("timestamp");
            Value::from(line)
        });
        assert_eq!(
            Value::from(lines.collect::<Vec<_>>()),
            serde_json::json!([
                {
                    "level": "WARN", "requestId": "8f5c", "caller": "codepipeline", "job": "j-2",
                    "message": "inside",
                },
                {"level": "WARN", "requestId": "8f5c", "message": "outside"},
            ])
        );
    }

    #[test]
    fn follows_the_level_and_keeps_the_request_id_at_each_level() {
        let lines = lines(level(Some("error")), || {
            invocation_span("8f5c").in_scope(|| {
                tracing::warn!("dropped");
                tracing::error!("kept");
            });
        });
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["requestId"], "8f5c");
        for (text, expected) in [
            (None, LevelFilter::INFO),
            (Some("DEBUG"), LevelFilter::DEBUG),
            (Some("TRACE"), LevelFilter::TRACE),
            (Some("WARN"), LevelFilter::WARN),
            (Some("FATAL"), LevelFilter::ERROR),
            (Some("loud"), LevelFilter::INFO),
        ] {
            assert_eq!(level(text), expected);
        }
    }

    #[test]
    fn writes_only_warnings_of_libraries_at_every_level() {
        let lines = lines(LevelFilter::TRACE, || {
            tracing::debug!(target: "aws_smithy_runtime", "request with a session token");
            tracing::trace!(target: "aws_sigv4", "signing");
            tracing::error!(target: "lambda_runtime::layers::panic", "already logged");
            tracing::warn!(target: "aws_smithy_runtime", "kept");
            tracing::trace!("ours");
        });
        let messages: Vec<_> = lines.iter().map(|line| line["message"].clone()).collect();
        assert_eq!(messages, ["kept", "ours"]);
    }
}
