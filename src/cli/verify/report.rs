//! The result as a table, and what it means for the exit code.

use std::cmp::Reverse;

use super::distribution::DistributionVerification;
use crate::cli::format::{counted, table, thousands};
use crate::cli::{Exit, Session};
use crate::error::Category;
use crate::excerpt::{Excerpt, MAX_NOTED};
use crate::output::{Ending, ErrorOutput, VerificationOutput};
use crate::verify::report::Verified;
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
        terminal.text(format!("{}: {}", count(&report), report.counts()));
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
    match failure(&report) {
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

/// Returns how many URLs were requested, or how many results there are if some were requested at several POPs.
fn count(report: &Report) -> String {
    let is_addressed = report.urls.iter().any(|url| url.addressed.is_some());
    let noun = if is_addressed { "result" } else { "URL" };
    counted(report.urls.len(), noun)
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

/// Returns why the verification failed.
fn failure(report: &Report) -> Option<(Exit, ErrorOutput)> {
    match report.verified() {
        Verified::Yes => None,
        Verified::No => {
            let old: Vec<_> = report.old().collect();
            let first = old.first()?;
            let is_stale = |url: &&&UrlReport| url.judgement.verdict == Verdict::Stale;
            let what = match old.iter().filter(is_stale).count() {
                0 if first.judgement.reason == Reason::StillAtOrigin => {
                    "the origin still has the content of"
                }
                0 => "the origin does not have the current version of",
                _ => "viewers still get old content at",
            };
            let message = format!(
                "{what} {} of {}, such as {}: {}",
                thousands(old.len()),
                count(report),
                first.url,
                first.judgement.reason
            );
            let error = ErrorOutput::new(Category::Stale, message, None);
            Some((Exit::Stale, error))
        }
        Verified::Unknown => {
            let reason = match report.urls.first() {
                Some(url) => url.judgement.reason.to_string(),
                None if report.notes.is_empty() => "the site has none of the pages".to_owned(),
                None => report.notes.join("; "),
            };
            let message = format!("nothing could be verified: {reason}");
            let error = ErrorOutput::new(Category::Unavailable, message, None);
            Some((Exit::NotCompleted, error))
        }
    }
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
