//! Which URLs are requested if there are too many: entry pages, the URLs with several spellings, some under each wildcard.
//!
//! Each request fills the cache of a location and can reach the origin, so their number is limited. What is left out is named.

use std::collections::BTreeSet;
use std::fmt;

use super::RequestTarget;
use crate::excerpt::thousands;
use crate::path::{InvalidationPath, Widened};

/// How many URLs the command line requests by default.
pub const MAX_URLS: usize = 100;

/// How many URLs the function requests.
pub const MAX_URLS_OF_FUNCTION: usize = 20;

/// A URL that can be requested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// What a viewer requests.
    pub target: RequestTarget,
    /// Why it is interesting.
    pub kind: CandidateKind,
    /// The index of the object in the caller's list, if there is one.
    pub object: Option<usize>,
    /// Whether it is not known that the site has such a page: another spelling, or what a wildcard begins with.
    pub is_guess: bool,
}

/// Why a URL is interesting.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CandidateKind {
    /// The page of a folder.
    EntryPage,
    /// One of several spellings of a key.
    Spelling,
    /// It is invalidated by this wildcard.
    UnderWildcard(InvalidationPath),
    /// None of these.
    Other,
}

impl Candidate {
    /// Returns the URLs of paths that were requested, in all spellings; cache tags have none. A path that was widened because
    /// its spelling is uncertain stands for what was written.
    pub fn of_paths(paths: &[InvalidationPath], widened: &[Widened]) -> Vec<Self> {
        let mut candidates = Vec::new();
        for path in paths {
            let wildcard = path.is_wildcard().then_some(path);
            let written = widened.iter().filter(|widened| widened.to == *path);
            let written = written.map(|widened| {
                let stem = widened.written.strip_suffix('*');
                RequestTarget::of_written(stem.unwrap_or(&widened.written))
            });
            let mut targets: Vec<_> = written.flatten().collect();
            if targets.is_empty() {
                targets.extend(RequestTarget::of_path(path));
            }
            for target in targets {
                let mut spellings = Self::spellings(&target, wildcard, None);
                let is_widened = widened.iter().any(|widened| widened.to == *path);
                if let Some(own) = spellings.first_mut() {
                    // Each site has a home page.
                    own.is_guess = path.is_wildcard() && !is_widened && target.as_str() != "/";
                }
                candidates.extend(spellings);
            }
        }
        candidates
    }

    /// Returns a URL with its other spellings.
    pub fn spellings(
        target: &RequestTarget,
        wildcard: Option<&InvalidationPath>,
        object: Option<usize>,
    ) -> Vec<Self> {
        let others = target.other_spellings().into_iter().map(|target| Self {
            target,
            kind: CandidateKind::Spelling,
            object,
            is_guess: true,
        });
        let own = Self::new(target.clone(), wildcard, object);
        std::iter::once(own).chain(others).collect()
    }

    /// Returns a URL that this wildcard invalidates, if one does.
    pub fn new(
        target: RequestTarget,
        wildcard: Option<&InvalidationPath>,
        object: Option<usize>,
    ) -> Self {
        let kind = match wildcard {
            _ if target.is_entry_page() => CandidateKind::EntryPage,
            Some(wildcard) => CandidateKind::UnderWildcard(wildcard.clone()),
            None => CandidateKind::Other,
        };
        Self {
            target,
            kind,
            object,
            is_guess: false,
        }
    }
}

/// The URLs that are requested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Sorted by kind, each target once.
    pub chosen: Vec<Candidate>,
    /// Of each group, how many are chosen and how many there are.
    counts: Vec<(&'static str, usize, usize)>,
}

impl Sample {
    /// Chooses at most `limit` of the URLs, each once: of each group its share, and of each wildcard the same number.
    pub fn choose(mut candidates: Vec<Candidate>, limit: usize) -> Self {
        // A URL that the user named is not a guess, even if it is a spelling of another one. What is known about its object counts.
        candidates.sort_by_key(|candidate| (candidate.is_guess, candidate.object.is_none()));
        let mut seen = BTreeSet::new();
        candidates.retain(|candidate| seen.insert(candidate.target.clone()));
        // The shorter path of an entry page is the better known one.
        candidates.sort_by(|a, b| {
            let depth = |candidate: &Candidate| candidate.target.path().matches('/').count();
            (&a.kind, depth(a), &a.target, a.object).cmp(&(&b.kind, depth(b), &b.target, b.object))
        });
        let groups = candidates.chunk_by(|a, b| a.kind == b.kind);
        let mut groups: Vec<_> = groups.map(|group| (group, 0)).collect();
        let mut left = limit;
        // In turn, one of each group, so that a small group is complete and a large one does not displace the others.
        while left > 0 {
            let mut open: Vec<_> = groups
                .iter_mut()
                .filter(|(group, taken)| *taken < group.len())
                .collect();
            if open.is_empty() {
                break;
            }
            for (_, taken) in open.iter_mut().take(left) {
                *taken += 1;
            }
            left = left.saturating_sub(open.len());
        }
        let counts = counts(&groups);
        let chosen = groups
            .iter()
            .flat_map(|(group, taken)| group.iter().take(*taken));
        Self {
            chosen: chosen.cloned().collect(),
            counts,
        }
    }

    /// Returns how many URLs are left out.
    pub fn left_out(&self) -> usize {
        let left_out = self.counts.iter().map(|(_, taken, all)| all - taken);
        left_out.sum()
    }
}

/// Returns of each kind how many are taken and how many there are; the wildcards together.
fn counts(groups: &[(&[Candidate], usize)]) -> Vec<(&'static str, usize, usize)> {
    let mut counts: Vec<(&'static str, usize, usize)> = Vec::new();
    for (group, taken) in groups {
        let name = match group.first().map(|candidate| &candidate.kind) {
            Some(CandidateKind::EntryPage) => "entry pages",
            Some(CandidateKind::Spelling) => "other spellings",
            Some(CandidateKind::UnderWildcard(_)) => "under wildcards",
            Some(CandidateKind::Other) | None => "other URLs",
        };
        match counts.iter_mut().find(|(known, ..)| *known == name) {
            Some((_, all_taken, all)) => {
                *all_taken += taken;
                *all += group.len();
            }
            None => counts.push((name, *taken, group.len())),
        }
    }
    counts
}

/// What is requested, such as `100 of 340 URLs: 20 of 20 entry pages, 80 of 320 others`.
impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.chosen.len() + self.left_out();
        let (chosen, all) = (thousands(self.chosen.len()), thousands(all));
        let counts = self.counts.iter();
        let counts: Vec<_> = counts
            .map(|(name, taken, all)| {
                format!("{} of {} {name}", thousands(*taken), thousands(*all))
            })
            .collect();
        write!(f, "{chosen} of {all} URLs: {}", counts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> InvalidationPath {
        InvalidationPath::parse(text).expect("a path")
    }

    fn candidate(target: &str, wildcard: Option<&str>) -> Candidate {
        let target = RequestTarget::of_written(target).expect("a target");
        Candidate::new(target, wildcard.map(path).as_ref(), None)
    }

    fn chosen(sample: &Sample) -> Vec<&str> {
        let targets = sample.chosen.iter();
        targets.map(|candidate| candidate.target.as_str()).collect()
    }

    #[test]
    fn all_urls_are_chosen_once_if_they_fit() {
        let paths = [
            "/b.html", "/*", "/blog/*", "/a.html*", "/", "#tag", "/b.html",
        ]
        .map(path);
        let sample = Sample::choose(Candidate::of_paths(&paths, &[]), 10);
        assert_eq!(chosen(&sample), ["/", "/blog/", "/a.html", "/b.html"]);
        assert_eq!(sample.left_out(), 0);
    }

    #[test]
    fn of_equal_urls_the_one_of_which_more_is_known_counts() {
        let plain = |path: &str| candidate(path, None);
        let guess = Candidate {
            is_guess: true,
            object: Some(1),
            ..plain("/a")
        };
        let object = Candidate {
            object: Some(2),
            ..plain("/a")
        };
        for candidates in [
            [guess.clone(), plain("/a"), object.clone()],
            [object.clone(), plain("/a"), guess.clone()],
        ] {
            assert_eq!(
                Sample::choose(candidates.into(), 9).chosen,
                std::slice::from_ref(&object)
            );
        }
        let sample = Sample::choose(vec![guess, plain("/a")], 9);
        assert_eq!(sample.chosen, [plain("/a")]);
    }

    #[test]
    fn a_widened_path_stands_for_what_was_written() {
        let encoded = crate::path::EncodedPaths::parse("/a%2Bb.html").expect("a path");
        let candidates = Candidate::of_paths(&encoded.paths, &encoded.widened);
        let targets: Vec<_> = candidates
            .iter()
            .map(|candidate| (candidate.target.as_str(), &candidate.kind))
            .collect();
        let under = CandidateKind::UnderWildcard(path("/a*"));
        assert_eq!(
            targets,
            [
                ("/a%2Bb.html", &under),
                ("/a+b.html", &CandidateKind::Spelling)
            ]
        );
    }

    #[test]
    fn each_group_and_each_wildcard_has_its_share() {
        let mut candidates: Vec<_> = (0..30)
            .map(|number| candidate(&format!("/other/{number:02}"), None))
            .collect();
        for wildcard in ["/x", "/y"] {
            let below = (0..20).map(|number| format!("{wildcard}/{number:02}"));
            let below = below.map(|target| candidate(&target, Some(&format!("{wildcard}/*"))));
            candidates.extend(below);
        }
        candidates.push(candidate("/deep/er/", None));
        candidates.push(candidate("/", None));
        let spelling = Candidate {
            kind: CandidateKind::Spelling,
            ..candidate("/a%2Bb", None)
        };
        candidates.push(spelling);
        let sample = Sample::choose(candidates, 9);
        assert_eq!(
            chosen(&sample),
            [
                "/",
                "/deep/er/",
                "/a%2Bb",
                "/x/00",
                "/x/01",
                "/y/00",
                "/y/01",
                "/other/00",
                "/other/01"
            ]
        );
        assert_eq!(sample.left_out(), 64);
        assert_eq!(
            sample.to_string(),
            "9 of 73 URLs: 2 of 2 entry pages, 1 of 1 other spellings, 4 of 40 under wildcards, 2 of 30 other URLs"
        );
    }
}
