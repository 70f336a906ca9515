//! `KeyPlanning`: from changed objects to the paths of one distribution.
//!
//! An object that needs no invalidation (`Change::need`, `UnchangedFiles`) gets no path, and a note names it. Without the
//! configuration of the distribution, each key is its own path. An object whose bucket is not known is one of each bucket of
//! the distribution.

use std::collections::BTreeSet;

use super::{PlannedBatch, UnchangedFiles};
use crate::cli::format::counted;
use crate::cli::input::{ChangedKey, Input, Object};
use crate::cli::target::Target;
use crate::distribution::DistributionId;
use crate::excerpt::{Excerpt, MAX_NOTED};
use crate::path::{EncodedPaths, InvalidationPath, widened_note};
use crate::plan::{Inventory, Limits};
use crate::site::{
    CachedAbsence, ChangesByDistribution, Hint, HintKeys, ImmutablePaths, Kept, KeptObjects,
    MaybeSite, Need, ObjectRef, PathOptions, Site,
};

/// What is planned, and with what.
pub(in crate::cli) struct KeyPlanning<'a> {
    /// The changed objects, and the paths that the user wrote.
    pub input: &'a Input,
    pub options: &'a PathOptions,
    pub limits: Limits,
    pub inventory: Option<&'a Inventory>,
    /// The files with which the objects are compared.
    pub unchanged: Option<&'a UnchangedFiles>,
}

/// The paths of the changed objects, and what was found about the objects.
#[derive(Default)]
struct KeyPaths {
    /// With the index of the object in the input.
    paths: Vec<(usize, InvalidationPath)>,
    kept: KeptObjects,
    /// Which immutable paths would have saved some of the paths.
    hint: Option<Hint>,
    notes: Vec<String>,
}

impl KeyPlanning<'_> {
    /// Plans with the configuration of the distribution.
    pub(in crate::cli) fn for_site(&self, target: &Target, site: &MaybeSite) -> PlannedBatch {
        let input = self.input;
        let config = target.config.as_ref();
        let configured = config.and_then(|config| config.bucket.as_deref());
        let misfit = self.site_misfit(|object| {
            let buckets = buckets(object, configured, site).unwrap_or_default();
            let keys = buckets
                .iter()
                .map(|bucket| site.relative_keys(bucket, &object.key));
            keys.flatten().collect()
        });
        let unchanged = self.unchanged.filter(|_| misfit.is_none());
        let mut changes = ChangesByDistribution::default();
        let mut foreign_buckets = BTreeSet::new();
        let mut skipped = 0;
        let mut in_any_bucket = Excerpt::<MAX_NOTED>::default();
        for (index, (object, change)) in input.objects.iter().enumerate() {
            let mut change = *change;
            let buckets = buckets(object, configured, site);
            let buckets = buckets.unwrap_or_else(|foreign| {
                foreign_buckets.insert(foreign);
                Vec::new()
            });
            // The listing from before is that of one bucket, and the object is possibly in another one.
            if buckets.len() > 1 && change.existed.is_some() {
                change.existed = None;
                in_any_bucket.push(&object.key);
            }
            for bucket in buckets {
                let relative = site.relative_keys(&bucket, &object.key);
                if unchanged.is_some_and(|files| files.contain(input, object, change, &relative)) {
                    changes.add_kept(site.id(), &object.key, Kept::SameContent);
                    skipped += 1;
                    continue;
                }
                let object = ObjectRef {
                    index,
                    bucket: &bucket,
                    key: &object.key,
                    change,
                };
                changes.add(site, object, self.options);
            }
        }
        let mut found = KeyPaths::default();
        let mut cached = BTreeSet::new();
        for changes in changes {
            found.notes.extend(changes.notes());
            found.hint = found.hint.or_else(|| changes.hint());
            found.kept = changes.kept;
            for object in changes.cached {
                cached.insert(object.index);
                let paths = object.paths.into_iter().map(|path| (object.index, path));
                found.paths.extend(paths);
            }
        }
        if in_any_bucket.count() > 0 {
            found.notes.push(format!(
                "--inventory-before is the listing of one bucket, and the bucket of {} is not known (give --bucket): {}",
                counted(in_any_bucket.count(), "changed object"),
                in_any_bucket.join(", ")
            ));
        }
        for bucket in &foreign_buckets {
            found
                .notes
                .push(format!("bucket {bucket} is not one of its origins"));
        }
        PlannedBatch {
            objects: Some(cached.len()),
            skipped,
            foreign_buckets,
            ..self.plan(Some(target.id.clone()), found, misfit)
        }
    }

    /// Plans from the keys alone. `first_spelling_only` is whether each key becomes one path, and `cached_absence` why the edge
    /// can keep for long that an object does not exist, if it can.
    pub(in crate::cli) fn without_site(
        &self,
        distribution: Option<DistributionId>,
        first_spelling_only: bool,
        cached_absence: Option<CachedAbsence>,
    ) -> PlannedBatch {
        let input = self.input;
        let spellings = if first_spelling_only { 1 } else { usize::MAX };
        let misfit = self.site_misfit(|object| vec![object.key.as_str()]);
        let unchanged = self.unchanged.filter(|_| misfit.is_none());
        let mut found = KeyPaths::default();
        let mut widened = Vec::new();
        let mut hint_keys = HintKeys::default();
        let mut skipped = 0;
        for (index, (object, change)) in input.objects.iter().enumerate() {
            let key = &object.key;
            if unchanged.is_some_and(|files| files.contain(input, object, *change, &[key])) {
                found.kept.add(key, None, Kept::SameContent);
                skipped += 1;
                continue;
            }
            let need = |is_immutable| {
                let keep_removed = self.options.keep_removed_immutable;
                change.need(is_immutable, keep_removed, || cached_absence.clone())
            };
            let is_immutable = self.options.immutable.contains(&format!("/{key}"));
            let encoded = EncodedPaths::of_key(key);
            if let Need::None(reason) = need(is_immutable) {
                let own_path = encoded.paths.into_iter().next();
                found.kept.add(key, own_path, reason);
                continue;
            }
            if !is_immutable && self.options.immutable != ImmutablePaths::NONE {
                let saves = || matches!(need(true), Need::None(_));
                hint_keys.add(index, std::slice::from_ref(key), saves);
            }
            let paths = encoded.paths.into_iter().take(spellings);
            found.paths.extend(paths.map(|path| (index, path)));
            widened.extend(encoded.widened);
        }
        found.notes.extend(widened_note(&widened));
        found.notes.extend(found.kept.notes());
        found.hint = hint_keys.hint();
        let changed = input.objects.len();
        let objects = (changed > 0).then(|| changed - found.kept.count());
        PlannedBatch {
            objects,
            skipped,
            ..self.plan(distribution, found, misfit)
        }
    }

    fn plan(
        &self,
        distribution: Option<DistributionId>,
        found: KeyPaths,
        site_misfit: Option<String>,
    ) -> PlannedBatch {
        let KeyPaths {
            paths,
            kept,
            hint,
            notes,
        } = found;
        let plan = |paths: Vec<InvalidationPath>| {
            PlannedBatch::new(
                distribution.clone(),
                self.input.paths.clone(),
                paths,
                self.inventory,
                self.limits,
                site_misfit.clone(),
            )
        };
        let without_hinted = hint.as_ref().map(|hint| {
            let others = paths.iter().filter(|(index, _)| !hint.covers(*index));
            let others = others.map(|(_, path)| path.clone()).collect();
            plan(others).plan.paths.len()
        });
        let planned = plan(paths.into_iter().map(|(_, path)| path).collect());
        let hint = hint.zip(without_hinted);
        let hint = hint.and_then(|(hint, others)| hint.note(planned.plan.paths.len(), others));
        let dropped = kept.dropped_note(&planned.plan.paths);
        let written = widened_note(&self.input.widened).into_iter();
        PlannedBatch {
            kept: kept.count(),
            options: self.options.clone(),
            notes: written.chain(notes).chain(dropped).chain(hint).collect(),
            ..planned
        }
    }

    /// Returns why the keys of the site are not those of the changed objects, if they are not. `relative` returns the key of an
    /// object as viewers of the distribution request it; an object without one is not a part of its site.
    fn site_misfit<'a>(&'a self, relative: impl Fn(&'a Object) -> Vec<&'a str>) -> Option<String> {
        let site_keys = self.input.site_keys.as_ref()?;
        let changed = self.input.objects.iter();
        // What `aws s3` has deleted is not there any longer.
        let changed = changed.filter(|(_, change)| change.exists != Some(false));
        let changed = changed.map(|(object, change)| ChangedKey {
            relative: relative(object),
            exists: change.exists == Some(true),
        });
        let changed: Vec<_> = changed
            .filter(|changed| !changed.relative.is_empty())
            .collect();
        let misfit = site_keys.misfit(&changed)?;
        Some(match self.unchanged {
            Some(_) => format!("{misfit}; --skip-unchanged skips nothing"),
            None => misfit,
        })
    }
}

/// Returns the buckets that the object can be in: its own, or the configured one, or all buckets of the distribution. Returns
/// the bucket that is not an origin of the distribution as the error.
pub(in crate::cli) fn buckets(
    object: &Object,
    configured: Option<&str>,
    site: &MaybeSite,
) -> Result<Vec<String>, String> {
    match (object.bucket.as_deref().or(configured), site) {
        (Some(bucket), site) if site.may_have_origin(bucket) => Ok(vec![bucket.to_owned()]),
        (Some(bucket), _) => Err(bucket.to_owned()),
        (None, MaybeSite::Known(site) | MaybeSite::Outdated(site)) => Ok(origin_buckets(site)),
        (None, MaybeSite::Unknown(_)) => Ok(vec![String::new()]),
    }
}

/// Returns the buckets among the origins. If there is none, returns an empty name, which can be any of the origins.
fn origin_buckets(site: &Site) -> Vec<String> {
    let mut buckets: Vec<String> = Vec::new();
    for origin in &site.origins {
        let dots = origin.domain_name.match_indices('.');
        let names = dots.filter_map(|(dot, _)| origin.domain_name.get(..dot));
        let bucket_names = names.filter(|name| origin.endpoint_of(name).is_some());
        buckets.extend(bucket_names.map(str::to_owned));
    }
    buckets.sort_unstable();
    buckets.dedup();
    if buckets.is_empty() {
        buckets.push(String::new());
    }
    buckets
}
