//! From what changed to the paths of each distribution.
//!
//! Paths that somebody asked for are sent as they are, as long as CloudFront takes so many. Keys become the paths under
//! which viewers can have cached them, which the distribution's configuration tells, within the smaller budget that the
//! function has, too.

use std::collections::BTreeSet;

use super::config::NamedSite;
use super::input::{Input, Object};
use super::target::Target;
use super::{Selection, Session, Stop};
use crate::distribution::DistributionId;
use crate::failure::Failure;
use crate::path::InvalidationPath;
use crate::plan::collapse::collapse;
use crate::plan::{Collapsed, Inventory, Limits};
use crate::settings::Settings;
use crate::site::{Distribution, IndexDocuments, Shares, Site};

/// What one distribution would be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Planned {
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

impl Planned {
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
    pub(super) fn within(&mut self, limits: Limits, inventory: Option<&Inventory>) {
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
) -> Result<Planned, Stop> {
    let limits = limits(selection, target.site.as_ref(), input);
    let id = Some(target.id.clone());
    if input.objects.is_empty() {
        return Ok(Planned::new(id, input.paths.clone(), inventory, limits));
    }
    if selection.no_index_aliases {
        return Ok(alone(id, input, inventory, limits, true));
    }
    let person = session.person.connect().await?;
    let read = person.cloudfront.distribution(&target.id, &person.account);
    let (distribution, denied) = read
        .await
        .map_err(|failure| session.person.explain(failure))?;
    if let Some(denied) = denied {
        let denied = session.person.explain(denied);
        session
            .terminal
            .warn(format!("the paths are told from the keys alone: {denied}"));
    }
    let configured = target.site.as_ref().and_then(|site| site.bucket.clone());
    let mut shares = Shares::default();
    for (place, object) in input.objects.iter().enumerate() {
        for bucket in buckets(object, configured.as_deref(), &distribution)? {
            shares.add(
                &distribution,
                (place, &bucket, &object.key),
                IndexDocuments::Auto,
            );
        }
    }
    let mut asked = input.paths.clone();
    let mut served = BTreeSet::new();
    let mut notes = Vec::new();
    for share in shares {
        notes.extend(share.notes());
        for one in share.served {
            served.insert(one.place);
            asked.extend(one.paths);
        }
    }
    Ok(Planned {
        objects: Some(served.len()),
        notes,
        ..Planned::new(id, asked, inventory, limits)
    })
}

/// Plans from the keys alone, without a distribution's configuration.
pub(super) fn alone(
    distribution: Option<DistributionId>,
    input: &Input,
    inventory: Option<&Inventory>,
    limits: Limits,
    first_spelling_only: bool,
) -> Planned {
    let spellings = if first_spelling_only { 1 } else { usize::MAX };
    let of_keys = input.objects.iter().flat_map(|object| {
        let paths = InvalidationPath::from_object_key(&object.key);
        paths.into_iter().take(spellings)
    });
    let asked = input.paths.iter().cloned().chain(of_keys).collect();
    Planned {
        objects: Some(input.objects.len()).filter(|count| *count > 0),
        ..Planned::new(distribution, asked, inventory, limits)
    }
}

/// Returns how many paths there may be: as the command line says, the configuration, or what changed.
pub(super) fn limits(selection: &Selection, site: Option<&NamedSite>, input: &Input) -> Limits {
    let usual = match Settings::from_environment(|_| None) {
        Ok(settings) if !input.objects.is_empty() => settings.limits,
        _ => Limits::OF_CLOUDFRONT,
    };
    let asked = |number: Option<u64>| number.and_then(|number| usize::try_from(number).ok());
    let max_paths = asked(selection.max_paths).or(site.and_then(|site| site.max_paths));
    let max_wildcards = asked(selection.max_wildcards).or(site.and_then(|site| site.max_wildcards));
    Limits {
        paths: max_paths.unwrap_or(usual.paths),
        wildcards: max_wildcards.unwrap_or(usual.wildcards),
    }
}

/// Returns the buckets that an object may be in: the one told, else all that the distribution gets objects from.
fn buckets(
    object: &Object,
    configured: Option<&str>,
    distribution: &Distribution,
) -> Result<Vec<String>, Failure> {
    let told = object.bucket.as_deref().or(configured);
    match (told, distribution) {
        (Some(bucket), distribution) if distribution.may_serve(bucket) => {
            Ok(vec![bucket.to_owned()])
        }
        (Some(bucket), distribution) => Err(Failure::mistake(format!(
            "bucket {bucket} is no origin of {}: name another distribution with -d",
            distribution.id()
        ))),
        (None, Distribution::Known(site)) => Ok(origins_of(site)),
        (None, Distribution::Unknown(_)) => Ok(vec![String::new()]),
    }
}

/// Returns the buckets among the origins; a nameless one where there is none, which may be behind any of them.
fn origins_of(site: &Site) -> Vec<String> {
    let mut buckets: Vec<String> = site
        .origins
        .iter()
        .flat_map(|origin| {
            let dots = origin.domain_name.match_indices('.');
            let names = dots.map(|(at, _)| &origin.domain_name[..at]);
            names.filter(|name| origin.endpoint_of(name).is_some())
        })
        .map(str::to_owned)
        .collect();
    buckets.sort_unstable();
    buckets.dedup();
    if buckets.is_empty() {
        buckets.push(String::new());
    }
    buckets
}
