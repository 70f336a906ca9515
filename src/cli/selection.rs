//! `PlannedBatch`: the paths that are planned for one distribution.
//!
//! The paths that the user wrote are sent as they are, or refused if they exceed a limit. Keys become the paths under which
//! viewers can have cached the objects, which the distribution's configuration determines, within the lower default limits
//! of the function.

mod keys;
mod limits;
mod unchanged;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

pub(super) use self::keys::{KeyPlanning, buckets};
pub(super) use self::limits::{check_limits, limits};
pub(super) use self::unchanged::UnchangedFiles;
use super::config::SiteConfig;
use super::defaults::IMMUTABLE_PATHS;
use super::format::counted;
use super::input::Input;
use super::target::Target;
use super::{CliError, Create, Selection, Session};
use crate::distribution::DistributionId;
use crate::error::Error;
use crate::path::{EncodedPaths, InvalidationPath, widened_note};
use crate::plan::collapse::collapse_keys;
use crate::plan::{Collapsed, Inventory, Limits};
use crate::site::{
    ASSUMPTION, CachedAbsence, Features, ImmutablePaths, IndexDocuments, MaybeSite, PathOptions,
};

/// How long the check of cache tags may take, with all retries.
const MAX_READ_TIME: Duration = Duration::from_secs(30);

/// What is assumed with `--literal-keys` if IAM denies reading the configuration.
const LITERAL_ASSUMPTION: &str =
    "the keys are used as paths, without a check of the bucket and without an origin path";

/// What `--skip-unchanged` does not see.
const SKIPPED: &str = "objects with the same content are skipped: changes of metadata, such as Cache-Control and Content-Type, are not \
                       seen; if an earlier invalidation of these objects failed, invalidate them without --skip-unchanged";

/// The paths that are planned for one distribution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PlannedBatch {
    /// `None` if only paths are planned, without a distribution.
    pub distribution: Option<DistributionId>,
    pub plan: Collapsed,
    /// The paths that the user wrote.
    written: Vec<InvalidationPath>,
    /// The paths of keys, to plan again within other limits.
    of_keys: Vec<InvalidationPath>,
    pub limits: Limits,
    /// The buckets of changed objects that are not origins of the distribution.
    foreign_buckets: BTreeSet<String>,
    /// How many changed objects are invalidated; `None` if paths were requested.
    pub objects: Option<usize>,
    /// How many changed objects need no invalidation, because their copies stay valid.
    pub kept: usize,
    /// How many of them were written again with the same content.
    pub skipped: usize,
    /// What decided about the paths of keys.
    pub options: PathOptions,
    pub notes: Vec<String>,
    /// Why the keys of the site are not used: they are not those of the changed objects.
    pub site_misfit: Option<String>,
    /// Why nothing is sent to this distribution: cache tags have no effect on it.
    pub refused: Option<Error>,
}

impl PlannedBatch {
    fn new(
        distribution: Option<DistributionId>,
        written: Vec<InvalidationPath>,
        of_keys: Vec<InvalidationPath>,
        inventory: Option<&Inventory>,
        limits: Limits,
        site_misfit: Option<String>,
    ) -> Self {
        let inventory = inventory.filter(|_| site_misfit.is_none());
        Self {
            distribution,
            plan: collapse_keys(written.clone(), of_keys.clone(), inventory, limits),
            written,
            of_keys,
            limits,
            foreign_buckets: BTreeSet::new(),
            objects: None,
            kept: 0,
            skipped: 0,
            options: PathOptions::default(),
            notes: Vec::new(),
            site_misfit,
            refused: None,
        }
    }

    /// Plans paths that are sent as they are.
    pub(super) fn of_paths(distribution: DistributionId, paths: Vec<InvalidationPath>) -> Self {
        let limits = Limits::REQUESTED_PATHS;
        Self::new(Some(distribution), paths, Vec::new(), None, limits, None)
    }

    /// Returns the paths that the user wrote.
    pub(super) fn requested(&self) -> EncodedPaths {
        EncodedPaths {
            paths: self.written.clone(),
            widened: Vec::new(),
        }
    }

    /// Plans again within other limits.
    pub(super) fn replan(&mut self, limits: Limits, inventory: Option<&Inventory>) {
        let inventory = inventory.filter(|_| self.site_misfit.is_none());
        self.plan = collapse_keys(
            self.written.clone(),
            self.of_keys.clone(),
            inventory,
            limits,
        );
        self.limits = limits;
    }

    /// Checks the cache tags, if there are any, against the configuration of the distribution. A dry run also checks that
    /// the distribution exists, because CloudFront gets no request that it could refuse.
    async fn check_features(&mut self, session: &Session, is_dry_run: bool) {
        let Some(distribution) = self.distribution.clone() else {
            return;
        };
        if !is_dry_run && !self.has_tags() {
            return;
        }
        match read_features(session, &distribution).await {
            Ok(features) => self.apply(&features),
            // A dry run fails for the reasons for which the request would fail.
            Err(error)
                if error.is_no_such_distribution() || is_dry_run && !error.is_access_denied() =>
            {
                self.refused = Some(error);
            }
            Err(error) => {
                let reason = error.message(session.terminal.audience());
                if self.has_tags() {
                    self.tags_not_checked(&reason);
                } else {
                    self.notes
                        .push(format!("not checked whether it exists: {reason}"));
                }
            }
        }
    }

    pub(super) fn has_tags(&self) -> bool {
        self.plan.paths.iter().any(InvalidationPath::is_tag)
    }

    /// Adds a note that the cache tags are sent without a check.
    pub(super) fn tags_not_checked(&mut self, reason: &str) {
        self.notes.push(format!(
            "not checked whether it has a cache tag header: {reason}"
        ));
    }

    fn apply_site(&mut self, site: &MaybeSite) {
        match site {
            MaybeSite::Known(site) | MaybeSite::Outdated(site) => self.apply(&site.features),
            MaybeSite::Unknown(_) if self.has_tags() => {
                self.tags_not_checked("its configuration cannot be read");
            }
            MaybeSite::Unknown(_) => {}
        }
    }

    /// Applies what the configuration decides about the distribution as a whole.
    fn apply(&mut self, features: &Features) {
        if let Some(distribution) = &self.distribution {
            self.refused = features.check_tags(distribution, &self.plan.paths).err();
        }
        self.notes.extend(staging_note(features));
    }
}

/// Returns a note about a staging distribution, if there can be one.
pub(super) fn staging_note(features: &Features) -> Option<String> {
    let policy = features.continuous_deployment_policy.as_ref()?;
    Some(format!(
        "if its continuous deployment policy {policy} is enabled, its staging distribution has a cache of its own: \
         invalidate it too"
    ))
}

async fn read_features(
    session: &Session,
    distribution: &DistributionId,
) -> Result<Features, Error> {
    let cloudfront = session.connection.cloudfront().await?;
    let deadline = Instant::now() + MAX_READ_TIME;
    cloudfront.features(distribution, deadline).await
}

/// Plans for one distribution. Keys need its configuration.
pub(super) async fn plan(
    session: &Session,
    create: &Create,
    target: &Target,
    input: &Input,
    inventory: Option<&Inventory>,
    unchanged: Option<&UnchangedFiles>,
) -> Result<PlannedBatch, CliError> {
    let selection = &create.selection;
    let config = target.config.as_ref();
    let limits = limits(selection, config, input);
    let id = Some(target.id.clone());
    if input.objects.is_empty() {
        let paths = input.paths.clone();
        let mut planned = PlannedBatch::new(id, paths, Vec::new(), inventory, limits, None);
        planned.notes.extend(widened_note(&input.widened));
        check_limits(selection, config, &planned)?;
        planned.check_features(session, create.dry_run).await;
        return Ok(planned);
    }
    let is_literal = selection.literal_keys;
    let options = path_options(selection, config)?;
    let site = read_site(session, &target.id, is_literal).await?;
    let planning = KeyPlanning {
        input,
        options: &options,
        limits,
        inventory,
        unchanged,
    };
    let mut planned = if is_literal && matches!(site, MaybeSite::Unknown(_)) {
        planning.without_site(id, true, Some(CachedAbsence::Unknown))
    } else {
        planning.for_site(target, &site)
    };
    check_limits(selection, config, &planned)?;
    planned.apply_site(&site);
    Ok(planned)
}

/// Returns what the arguments and the configuration decide about the paths of keys.
pub(super) fn path_options(
    selection: &Selection,
    config: Option<&SiteConfig>,
) -> Result<PathOptions, CliError> {
    let arguments = &selection.immutable;
    let values = arguments.immutable.iter().map(String::as_str);
    let configured = config.and_then(|config| config.immutable.clone());
    let source = if arguments.is_from_environment {
        IMMUTABLE_PATHS
    } else {
        "--immutable"
    };
    let immutable = match (values.len(), configured) {
        (0, Some(configured)) => configured,
        _ => ImmutablePaths::parse(values)
            .map_err(|error| CliError::usage(format!("{source}: {error}")))?,
    };
    let keep_removed_immutable = config.and_then(|config| config.keep_removed_immutable);
    Ok(PathOptions {
        index_documents: if selection.literal_keys {
            IndexDocuments::LiteralKeys
        } else {
            IndexDocuments::Auto
        },
        immutable,
        keep_removed_immutable: keep_removed_immutable.unwrap_or(true),
    })
}

/// Reads the distribution's configuration; warns if IAM denies it.
async fn read_site(
    session: &Session,
    id: &DistributionId,
    is_literal: bool,
) -> Result<MaybeSite, Error> {
    let cloudfront = session.connection.cloudfront().await?;
    match cloudfront.site(id).await {
        Ok(site) => Ok(MaybeSite::Known(Arc::new(site))),
        Err(error) if error.is_access_denied() => {
            let error = error.message(session.terminal.audience());
            let assumption = if is_literal {
                LITERAL_ASSUMPTION
            } else {
                ASSUMPTION
            };
            session.terminal.warn(format!("{assumption}: {error}"));
            Ok(MaybeSite::Unknown(id.clone()))
        }
        Err(error) => Err(error),
    }
}

/// Returns for which distributions the keys of the site are not used, and why, and what is not seen where objects are skipped.
pub(super) fn site_warnings(planned: &[PlannedBatch]) -> Vec<String> {
    let warnings = planned.iter().filter_map(|planned| {
        let misfit = planned.site_misfit.as_ref()?;
        Some(match &planned.distribution {
            Some(distribution) => format!("{distribution}: {misfit}"),
            None => misfit.clone(),
        })
    });
    let is_any_skipped = planned.iter().any(|planned| planned.skipped > 0);
    let skipped = is_any_skipped.then(|| SKIPPED.to_owned());
    warnings.chain(skipped).collect()
}

/// Checks that each bucket is an origin of one of the distributions, and returns a warning if none of the changed objects is
/// cached by any of them.
pub(super) fn check_objects(
    planned: &[PlannedBatch],
    input: &Input,
) -> Result<Option<String>, CliError> {
    let ids = planned
        .iter()
        .filter_map(|planned| Some(planned.distribution.as_ref()?.as_str()));
    let ids = ids.collect::<Vec<_>>().join(" and ");
    let mut foreign = planned.iter().map(|planned| &planned.foreign_buckets);
    let first = foreign.next().cloned().unwrap_or_default();
    let foreign = foreign.fold(first, |common, buckets| &common & buckets);
    if let Some(bucket) = foreign.first() {
        return Err(Error::invalid_input(format!(
            "bucket {bucket} is not an origin of {ids}: name another distribution with -d"
        ))
        .into());
    }
    let is_uncached = |planned: &PlannedBatch| {
        planned.objects == Some(0) && planned.kept == 0 && planned.plan.paths.is_empty()
    };
    let count = input.objects.len();
    Ok((count > 0 && planned.iter().all(is_uncached)).then(|| {
        format!(
            "none of the {} is cached by {ids}, so nothing is invalidated: check the keys, the bucket and -d",
            counted(count, "changed object")
        )
    }))
}
