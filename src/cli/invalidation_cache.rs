//! `Ledger`: finished invalidations, remembered on disk.
//!
//! A finished invalidation never changes, so its paths are asked for once. There is a file for each distribution in the
//! user's directory of caches. A ledger that cannot be read or written costs calls and nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use directories::ProjectDirs;
use futures_util::{StreamExt, stream};

use super::person::Connected;
use crate::aws::account::{Invalidation, Listing};
use crate::distribution::DistributionId;
use crate::failure::Failure;

/// How many finished invalidations of a distribution are remembered; the oldest are forgotten first.
const MAX_REMEMBERED: usize = 10_000;

/// How many are asked for at a time.
const AT_A_TIME: usize = 8;

/// What is remembered of one distribution.
pub(super) struct Ledger {
    file: Option<PathBuf>,
    known: BTreeMap<String, Invalidation>,
}

impl Ledger {
    /// Opens what is remembered; nothing, where that cannot be read.
    pub(super) fn open(distribution: &DistributionId) -> Self {
        let file = ProjectDirs::from("", "", "cf-invalidate")
            .map(|directories| directories.cache_dir().join(format!("{distribution}.json")));
        let text = file.as_ref().and_then(|file| fs::read(file).ok());
        let known = text.and_then(|text| serde_json::from_slice(&text).ok());
        Self {
            file,
            known: known.unwrap_or_default(),
        }
    }

    /// Returns the invalidations whole, in their order; asks for those that are not remembered, and remembers them.
    pub(super) async fn whole(
        &mut self,
        person: &Connected,
        distribution: &DistributionId,
        listed: &[Listing],
    ) -> Result<Vec<Invalidation>, Failure> {
        let known = &self.known;
        let read = listed.iter().map(|one| async move {
            match known.get(&one.id) {
                Some(known) => Ok(known.clone()),
                None => {
                    let account = &person.account;
                    person
                        .cloudfront
                        .detail(distribution, &one.id, account)
                        .await
                }
            }
        });
        let read: Vec<_> = stream::iter(read).buffered(AT_A_TIME).collect().await;
        let before = self.known.len();
        for one in read.iter().flatten().filter(|one| !one.is_in_progress()) {
            self.known.insert(one.id.clone(), one.clone());
        }
        if self.known.len() > before {
            self.save();
        }
        read.into_iter().collect()
    }

    fn save(&mut self) {
        let mut created: Vec<_> = self.known.values().map(|one| one.created).collect();
        if created.len() > MAX_REMEMBERED {
            created.sort_unstable();
            let oldest = created[created.len() - MAX_REMEMBERED];
            self.known.retain(|_, one| one.created >= oldest);
        }
        let Some(file) = &self.file else { return };
        let Ok(text) = serde_json::to_vec(&self.known) else {
            return;
        };
        // Another process may read it at any time, so it is replaced as a whole.
        let part = file.with_extension(format!("{}.part", std::process::id()));
        let directory = file.parent().map(fs::create_dir_all);
        let written = directory.is_some_and(|made| made.is_ok()) && fs::write(&part, text).is_ok();
        if !written || fs::rename(&part, file).is_err() {
            let _ = fs::remove_file(&part);
        }
    }
}

/// Returns the time of day.
pub(super) fn now() -> DateTime<Utc> {
    SystemTime::now().into()
}
