//! The result as a table, and what it means for the exit code.

use std::cmp::Reverse;

use super::distribution::DistributionVerification;
use crate::cli::format::table;
use crate::cli::{Exit, Session};
use crate::excerpt::{Excerpt, MAX_NOTED};
use crate::output::{Ending, VerificationOutput, counted_results, verification_failure};
use crate::verify::{Answer, JudgedResponse, Reason, Report, UrlReport, Verdict};

const RED: &str = "\u{1b}[1;31m";
const YELLOW: &str = "\u{1b}[33m";
const GREEN: &str = "\u{1b}[32m";
const RESET: &str = "\u{1b}[0m";

/// Prints the verdicts as a table, adds what they mean to the ending, and returns the JSON object. If the verification is not
/// required, one that could not see anything is a warning.
pub(super) fn print(
    session: &Session,
    verifications: Vec<DistributionVerification>,
    is_required: bool,
    ending: &mut Ending,
) -> VerificationOutput {
    let terminal = &session.terminal;
    let left_out = verifications.iter().map(|found| found.left_out).sum();
    let mut report = Report::default();
    for found in verifications {
        let distribution = &found.distribution;
        if let Some(sample) = found.sample {
            report.notes.push(format!(
                "{distribution}: {sample}; --max-urls requests more"
            ));
        }
        report.notes.extend(found.notes);
        report.urls.extend(found.urls);
    }
    report.notes.extend(without_object(&report));
    report.notes.iter().for_each(|note| terminal.warn(note));
    // The sort is stable: of equal verdicts, the order is that of the sample.
    report
        .urls
        .sort_by_key(|url| Reverse(url.judgement.verdict));
    if !report.urls.is_empty() {
        terminal.text(text(&report.urls));
        terminal.text(format!("{}: {}", counted_results(&report), report.counts()));
    }
    for url in report.old() {
        for line in &url.explanation {
            terminal.detail(format_args!("{}: {line}", url.url));
        }
    }
    let has_explanation = report.old().any(|url| !url.explanation.is_empty());
    if has_explanation && !terminal.is_verbose() {
        terminal.note(
            "run `cf-invalidate verify` with -v to see which invalidations covered or missed the old copies",
        );
    }
    match verification_failure(&report) {
        Some((Exit::NotCompleted, error)) if !is_required => {
            terminal.warn(&error.message);
            report.notes.push(error.message);
        }
        Some((Exit::Stale, error)) => {
            terminal.error(&error.message);
            ending.add_stale(error);
        }
        Some((exit, error)) => {
            terminal.error(&error.message);
            ending.add(exit, Some(error));
        }
        None => {}
    }
    VerificationOutput::new(report, left_out)
}

/// Returns a note on the pages that are possibly misspelled: neither the edge nor the bucket has them.
fn without_object(report: &Report) -> Option<String> {
    let is_unknown = |url: &&UrlReport| {
        let reason = &url.judgement.reason;
        matches!(
            reason,
            Reason::ErrorOfOrigin {
                is_deleted: false,
                ..
            } | Reason::CurrentErrorPage(_)
        )
    };
    let urls = report.urls.iter().filter(is_unknown);
    let urls: Excerpt<MAX_NOTED> = urls.map(|url| &url.url).collect();
    (urls.count() > 0).then(|| {
        format!(
            "neither the edge nor the bucket has {}: if you did not delete it, check the spelling",
            urls.join(", ")
        )
    })
}

/// Returns the table: the verdict first, so that a script can filter the lines.
fn text(urls: &[UrlReport]) -> String {
    let rows = urls.iter().map(|url| {
        let response = decisive(url);
        let (x_cache, age, pop) = match response.map(|response| &response.answer) {
            Some(Answer::Response(response)) => (
                response.cache_status().unwrap_or("-").to_owned(),
                response
                    .age
                    .map_or("-".to_owned(), |age| format!("{age} s")),
                response.pop.clone().unwrap_or_else(|| "-".to_owned()),
            ),
            Some(Answer::NoResponse(_)) | None => ["-", "-", "-"].map(str::to_owned).into(),
        };
        [
            url.judgement.verdict.as_str().to_owned(),
            url.url.clone(),
            x_cache,
            age,
            pop,
            url.judgement.reason.to_string(),
        ]
    });
    let table = table(["verdict", "URL", "X-Cache", "age", "POP", "reason"], rows);
    let mut lines = table.lines();
    let header = lines.next().unwrap_or_default().to_owned();
    // Colors are added to the finished table, because they have no width.
    let rows = lines.zip(urls).map(|(line, url)| {
        let color = match url.judgement.verdict {
            Verdict::Fresh | Verdict::Gone => GREEN,
            Verdict::Unknown | Verdict::Unseen => YELLOW,
            Verdict::Stale | Verdict::OldAtOrigin => RED,
        };
        let word = url.judgement.verdict.as_str();
        let rest = line.strip_prefix(word).unwrap_or(line);
        format!("{color}{word}{RESET}{rest}")
    });
    std::iter::once(header)
        .chain(rows)
        .collect::<Vec<_>>()
        .join("\n")
}

/// Returns the response that decides the verdict.
fn decisive(url: &UrlReport) -> Option<&JudgedResponse> {
    let mut responses = url.responses.iter();
    responses.find(|response| response.judgement == url.judgement)
}
