//! `Report`: the verdicts of a run, as a value and as text.

use std::fmt;

use super::{AcceptEncoding, Answer, Judgement, Verdict};
use crate::distribution::DistributionId;
use crate::excerpt::{Excerpt, MAX_NOTED, thousands};
use crate::path::InvalidationPath;
use crate::plan::InvalidationId;

/// The verdicts of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// One for each URL and each location that was addressed.
    pub urls: Vec<UrlReport>,
    /// What was left out or assumed.
    pub notes: Vec<String>,
}

/// The verdict on one URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlReport {
    /// The distribution.
    pub distribution: DistributionId,
    /// The URL, such as `https://www.example.com/a.html`.
    pub url: String,
    /// The POP that was addressed; `None` for the nearest one.
    pub addressed: Option<String>,
    /// The most concerning of the verdicts on its responses.
    pub judgement: Judgement,
    /// The newest completed invalidation that covers it.
    pub invalidation: Option<InvalidationId>,
    /// What the edge did with each request.
    pub responses: Vec<JudgedResponse>,
    /// Why it is stale, in sentences; empty without an explanation.
    pub explanation: Vec<String>,
}

/// The verdict on one response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgedResponse {
    /// What the request accepted.
    pub accept_encoding: AcceptEncoding,
    /// What the edge did with it.
    pub answer: Answer,
    /// The verdict.
    pub judgement: Judgement,
}

/// Whether a verification found what it searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {
    /// At least one URL shows what viewers get, and none is old.
    Yes,
    /// At least one URL is old.
    No,
    /// No URL shows what viewers get.
    Unknown,
}

impl Verified {
    /// Returns the value of the output variable `Verified`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "true",
            Self::No => "false",
            Self::Unknown => "unknown",
        }
    }
}

/// Returns the judgement that counts: the first of those with the most concerning verdict. `None` without responses.
pub fn most_concerning(responses: &[JudgedResponse]) -> Option<&Judgement> {
    let judgements = responses.iter().map(|response| &response.judgement);
    // Of equal ones, `max_by_key` returns the last.
    judgements.rev().max_by_key(|judgement| judgement.verdict)
}

/// Returns the wildcards among the paths under which no URL of the host has a verdict.
pub fn wildcards_without_urls<'a>(
    paths: &'a [InvalidationPath],
    urls: &'a [UrlReport],
    host: &'a str,
) -> impl Iterator<Item = &'a InvalidationPath> {
    let wildcards = paths.iter().filter(|path| path.is_wildcard());
    wildcards.filter(move |wildcard| {
        let start = format!("https://{host}{}", wildcard.stem());
        // The home page does not show what is below `/*`.
        let mut urls = urls.iter().map(|url| url.url.as_str());
        !urls.any(|url| url.starts_with(&start) && (wildcard.stem() != "/" || url != start))
    })
}

impl Report {
    /// Returns how many URLs have the verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        let urls = self.urls.iter();
        urls.filter(|url| url.judgement.verdict == verdict).count()
    }

    /// Returns the URLs for which viewers get an old version.
    pub fn old(&self) -> impl Iterator<Item = &UrlReport> {
        let urls = self.urls.iter();
        urls.filter(|url| url.judgement.verdict.is_old())
    }

    /// Returns whether the verification found what it searched.
    pub fn verified(&self) -> Verified {
        let mut verdicts = self.urls.iter().map(|url| url.judgement.verdict);
        if self.old().next().is_some() {
            Verified::No
        } else if verdicts.any(Verdict::is_judged) {
            Verified::Yes
        } else {
            Verified::Unknown
        }
    }

    /// Returns the numbers of the verdicts, the most concerning one first: `1 stale, 12 fresh`.
    pub fn counts(&self) -> String {
        let counts = Verdict::ALL.map(|verdict| (self.count(verdict), verdict));
        let counts = counts.iter().filter(|(count, _)| *count > 0);
        let counts: Vec<_> = counts
            .map(|(count, verdict)| format!("{} {}", thousands(*count), verdict.as_str()))
            .collect();
        if counts.is_empty() {
            return "no URLs".to_owned();
        }
        counts.join(", ")
    }
}

/// The numbers of the verdicts, and up to five URLs that are not fresh, with their reasons.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut concerning: Vec<_> = self
            .urls
            .iter()
            .filter(|url| !matches!(url.judgement.verdict, Verdict::Fresh | Verdict::Gone))
            .collect();
        concerning.sort_by_key(|url| std::cmp::Reverse(url.judgement.verdict));
        let listed: Excerpt<MAX_NOTED> = concerning
            .iter()
            .map(|url| {
                let Judgement { verdict, reason } = &url.judgement;
                format!("{} is {}: {reason}", url.url, verdict.as_str())
            })
            .collect();
        f.write_str(&self.counts())?;
        if listed.count() > 0 {
            write!(f, "; {}", listed.join("; "))?;
        }
        let mut notes = self.notes.iter();
        notes.try_for_each(|note| write!(f, "; {note}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::Reason;

    fn url(number: usize, verdict: Verdict) -> UrlReport {
        let judgement = Judgement {
            verdict,
            reason: Reason::NotCovered,
        };
        UrlReport {
            distribution: DistributionId::parse("E1EXAMPLE1ABC").expect("an id"),
            url: format!("https://www.example.com/{number}"),
            addressed: None,
            judgement,
            invalidation: None,
            responses: vec![],
            explanation: vec![],
        }
    }

    fn report(verdicts: &[Verdict]) -> Report {
        let verdicts = verdicts.iter().enumerate();
        Report {
            urls: verdicts
                .map(|(number, verdict)| url(number, *verdict))
                .collect(),
            notes: vec![],
        }
    }

    #[test]
    fn an_old_url_fails_a_verification_and_one_that_shows_nothing_does_not_count() {
        use Verdict::{Fresh, Gone, OldAtOrigin, Stale, Unknown, Unseen};
        for (verdicts, verified) in [
            (vec![], Verified::Unknown),
            (vec![Unseen, Unknown], Verified::Unknown),
            (vec![Unseen, Fresh], Verified::Yes),
            (vec![Gone, Unknown], Verified::Yes),
            (vec![Fresh, Stale], Verified::No),
            (vec![OldAtOrigin, Unseen], Verified::No),
        ] {
            assert_eq!(report(&verdicts).verified(), verified, "{verdicts:?}");
        }
    }

    #[test]
    fn the_text_counts_all_and_names_what_is_not_fresh() {
        use Verdict::{Fresh, Gone, Stale, Unseen};
        let mut report = report(&[Fresh, Gone, Unseen, Stale, Fresh]);
        report.notes.push("2 of 9 URLs".into());
        assert_eq!(
            report.to_string(),
            "1 stale, 1 unseen, 1 gone, 2 fresh; https://www.example.com/3 is stale: none of the newest completed \
             invalidations covers it; \
             https://www.example.com/2 is unseen: none of the newest completed invalidations covers it; 2 of 9 URLs"
        );
        assert_eq!(Report::default().to_string(), "no URLs");
    }

    #[test]
    fn a_wildcard_needs_a_url_below_it() {
        let paths = ["/a", "/*", "/1*", "/2*", "#tag"];
        let paths = paths.map(|path| InvalidationPath::parse(path).expect("a path"));
        let home = UrlReport {
            url: "https://www.example.com/".into(),
            ..url(0, Verdict::Fresh)
        };
        let find = |urls: &[UrlReport]| {
            let found = wildcards_without_urls(&paths, urls, "www.example.com");
            let found: Vec<_> = found.map(ToString::to_string).collect();
            found.join(" ")
        };
        assert_eq!(find(std::slice::from_ref(&home)), "/* /1* /2*");
        assert_eq!(find(&[home, url(12, Verdict::Unknown)]), "/2*");
    }

    #[test]
    fn the_most_concerning_response_counts() {
        let judged = |verdict, reason| JudgedResponse {
            accept_encoding: AcceptEncoding::Plain,
            answer: Answer::NoResponse(String::new()),
            judgement: Judgement { verdict, reason },
        };
        let responses = [
            judged(Verdict::Fresh, Reason::SameAsOrigin),
            judged(Verdict::Stale, Reason::NotCovered),
            judged(Verdict::Stale, Reason::NoCacheHeaders),
        ];
        let judgement = most_concerning(&responses).expect("a judgement");
        assert_eq!(judgement, &responses[1].judgement);
        assert_eq!(most_concerning(&[]), None);
    }
}
