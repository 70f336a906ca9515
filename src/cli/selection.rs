//! From what changed to the paths of each distribution.
//!
//! Paths that somebody asked for are sent as they are, as long as CloudFront takes so many. Keys become the paths under
//! which viewers can have cached them, which the distribution's configuration tells, within the smaller budget that the
//! function has, too.

use std::collections::BTreeSet;

use super::config::NamedSite;
use super::input::{Input, Object};
use super::target::Target;
use super::{CliError, Selection, Session};
use crate::distribution::DistributionId;
use crate::error::Error;
use crate::path::InvalidationPath;
use crate::plan::collapse::collapse;
use crate::plan::{Collapsed, Inventory, Limits};
use crate::settings::Settings;
use crate::site::{ChangedObject, ChangesByDistribution, IndexDocuments, MaybeSite, Site};

/// What one distribution would be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PlannedBatch {
    /// None where only the paths were asked for.
    pub distribution: Option<DistributionId>,
    pub plan: Collapsed,
    /// What the plan was made of, to make it again within other limits.
    pub asked: Vec<InvalidationPath>,
    pub limits: Limits,
    /// How many changed objects it is about; none where somebody asked for paths.
    pub objects: Option<usize>,
    pub notes: Vec<String>,
}

impl PlannedBatch {
    fn new(
        distribution: Option<DistributionId>,
        asked: Vec<InvalidationPath>,
        inventory: Option<&Inventory>,
        limits: Limits,
    ) -> Self {
        Self {
            distribution,
            plan: collapse(asked.clone(), inventory, limits),
            asked,
            limits,
            objects: None,
            notes: Vec::new(),
        }
    }

    /// Plans again with fewer paths.
    pub(super) fn replan(&mut self, limits: Limits, inventory: Option<&Inventory>) {
        self.plan = collapse(self.asked.clone(), inventory, limits);
        self.limits = limits;
    }
}

/// Plans for one distribution.
pub(super) async fn plan(
    session: &Session,
    selection: &Selection,
    target: &Target,
    input: &Input,
    inventory: Option<&Inventory>,
) -> Result<PlannedBatch, CliError> {
    let limits = limits(selection, target.site.as_ref(), input);
    let id = Some(target.id.clone());
    if input.objects.is_empty() {
        return Ok(PlannedBatch::new(
            id,
            input.paths.clone(),
            inventory,
            limits,
        ));
    }
    if selection.no_index_aliases {
        return Ok(plan_offline(id, input, inventory, limits, true));
    }
    let site = read_site(session, &target.id).await?;
    let configured = target.site.as_ref().and_then(|site| site.bucket.clone());
    let mut changes = ChangesByDistribution::default();
    for (index, object) in input.objects.iter().enumerate() {
        for bucket in buckets(object, configured.as_deref(), &site)? {
            let object = ChangedObject {
                index,
                bucket: &bucket,
                key: &object.key,
            };
            changes.add(&site, object, IndexDocuments::Auto);
        }
    }
    let mut requested = input.paths.clone();
    let mut cached = BTreeSet::new();
    let mut notes = Vec::new();
    for changes in changes {
        notes.extend(changes.notes());
        for object in changes.cached {
            cached.insert(object.index);
            requested.extend(object.paths);
        }
    }
    Ok(PlannedBatch {
        objects: Some(cached.len()),
        notes,
        ..PlannedBatch::new(id, requested, inventory, limits)
    })
}

/// Reads the distribution's configuration; warns if IAM denies it.
async fn read_site(session: &Session, id: &DistributionId) -> Result<MaybeSite, Error> {
    let cloudfront = session.connection.cloudfront().await?;
    match cloudfront.site(id).await {
        Ok(site) => Ok(MaybeSite::Known(Box::new(site))),
        Err(error) if error.is_access_denied() => {
            let error = error.message(session.terminal.audience());
            session.terminal.warn(format!(
                "the paths are derived from the keys alone: {error}"
            ));
            Ok(MaybeSite::Unknown(id.clone()))
        }
        Err(error) => Err(error),
    }
}

/// Plans from the keys alone, without a distribution's configuration.
pub(super) fn plan_offline(
    distribution: Option<DistributionId>,
    input: &Input,
    inventory: Option<&Inventory>,
    limits: Limits,
    first_spelling_only: bool,
) -> PlannedBatch {
    let spellings = if first_spelling_only { 1 } else { usize::MAX };
    let of_keys = input.objects.iter().flat_map(|object| {
        let paths = InvalidationPath::from_object_key(&object.key);
        paths.into_iter().take(spellings)
    });
    let asked = input.paths.iter().cloned().chain(of_keys).collect();
    PlannedBatch {
        objects: Some(input.objects.len()).filter(|count| *count > 0),
        ..PlannedBatch::new(distribution, asked, inventory, limits)
    }
}

/// Returns how many paths there may be: as the command line says, the configuration, or what changed.
pub(super) fn limits(selection: &Selection, site: Option<&NamedSite>, input: &Input) -> Limits {
    let usual = match Settings::from_environment(|_| None) {
        Ok(settings) if !input.objects.is_empty() => settings.limits,
        _ => Limits::REQUESTED_PATHS,
    };
    let asked = |number: Option<u64>| number.and_then(|number| usize::try_from(number).ok());
    let max_paths = asked(selection.max_paths).or(site.and_then(|site| site.max_paths));
    let max_wildcards = asked(selection.max_wildcards).or(site.and_then(|site| site.max_wildcards));
    Limits {
        paths: max_paths.unwrap_or(usual.paths),
        wildcards: max_wildcards.unwrap_or(usual.wildcards),
    }
}

/// Returns the buckets that an object may be in: the one that is named, or all those of the distribution.
fn buckets(
    object: &Object,
    configured: Option<&str>,
    site: &MaybeSite,
) -> Result<Vec<String>, Error> {
    match (object.bucket.as_deref().or(configured), site) {
        (Some(bucket), site) if site.may_have_origin(bucket) => Ok(vec![bucket.to_owned()]),
        (Some(bucket), site) => Err(Error::invalid_input(format!(
            "bucket {bucket} is not an origin of {}: name another distribution with -d",
            site.id()
        ))),
        (None, MaybeSite::Known(site)) => Ok(buckets_of(site)),
        (None, MaybeSite::Unknown(_)) => Ok(vec![String::new()]),
    }
}

/// Returns the buckets among the origins. If there is none, returns an empty name, which may be any of the origins.
fn buckets_of(site: &Site) -> Vec<String> {
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
