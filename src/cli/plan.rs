//! `plan`: prints what `create` would send with the same arguments. It is `create --dry-run` under a shorter name.
//!
//! `--offline` makes no call: it plans from the paths and keys alone, without a distribution's configuration. So does
//! `--literal-keys` if no distribution is named.

use super::config::SiteConfig;
use super::format::{counted, thousands};
use super::input::{Input, SiteKeys};
use super::selection::{self, KeyPlanning, PlannedBatch, UnchangedFiles};
use super::target::{self, TargetName};
use super::{CliError, Create, Exit, Plan, Session, create};
use crate::distribution::DistributionId;
use crate::excerpt::MAX_LISTED;
use crate::output::{CreateOutput, DistributionOutput, Ending};
use crate::path::{EncodedPaths, InvalidationPath};
use crate::plan::Merged;
use crate::site::PathOptions;

/// What is assumed if objects are not invalidated.
const ASSUMED_ERROR_CACHING: &str = "offline, errors are assumed to be cached for 10 s, CloudFront's default, without a page \
                                     or another origin in their place; otherwise `create` also sends objects that are \
                                     possibly new";

/// Runs the command.
pub(super) async fn run(session: &Session, plan: &Plan) -> Result<Exit, CliError> {
    let create = Create {
        dry_run: true,
        ..plan.create.clone()
    };
    if !plan.offline {
        return create::run(session, &create).await;
    }
    if create.again.is_some() || create.takedown {
        return Err(CliError::usage(
            "--offline cannot be used with --again and --takedown, which read from CloudFront",
        ));
    }
    let input = Input::read(
        &create.selection,
        &session.config.names().collect::<Vec<_>>(),
    )?;
    let notes = input.notes.iter();
    notes.for_each(|note| session.terminal.warn(note));
    offline(session, &create, input).await
}

/// Returns whether the plan depends on no distribution: literal keys of unknown buckets, and no distribution is named. Then
/// `create` would fail, or show a menu.
pub(super) fn needs_no_call(session: &Session, create: &Create, input: &Input) -> bool {
    create.selection.literal_keys
        && !input.objects.is_empty()
        && input.buckets().is_empty()
        && !input.paths.iter().any(InvalidationPath::is_tag)
        && target::names(session, &create.selection.named.distributions).is_empty()
}

/// Plans without a call; the names of distributions are not resolved.
pub(super) async fn offline(
    session: &Session,
    create: &Create,
    mut input: Input,
) -> Result<Exit, CliError> {
    let selection = &create.selection;
    let inventory = input.site_keys.as_ref().map(SiteKeys::inventory);
    let unchanged = UnchangedFiles::new(selection);
    if !input.objects.is_empty() && !selection.literal_keys {
        session.terminal.note(
            "offline: the paths are derived from the keys alone, without the configuration of a distribution",
        );
    }
    let mut planned = Vec::new();
    for target in named(session, create)? {
        let config = target.config.as_ref();
        if !selection.has_input() {
            input.request(configured_paths(config)?);
        }
        let options = if input.objects.is_empty() {
            PathOptions::default()
        } else {
            selection::path_options(selection, config)?
        };
        let planning = KeyPlanning {
            input: &input,
            options: &options,
            limits: selection::limits(selection, config, &input),
            inventory: inventory.as_ref(),
            unchanged: unchanged.as_ref(),
        };
        let distribution = DistributionId::parse(&target.name).ok();
        let mut batch = planning.without_site(distribution, selection.literal_keys, None);
        if batch.kept > batch.skipped {
            batch.notes.push(ASSUMED_ERROR_CACHING.to_owned());
        }
        selection::check_limits(selection, config, &batch)?;
        if batch.has_tags() {
            batch.tags_not_checked("--offline");
        }
        planned.push(batch);
    }
    create::warn_of_site(session, &planned, &mut input);
    print(session, &planned, &input, Vec::new()).await
}

/// Returns the named distributions, each name once; without a name, one without a name.
fn named(session: &Session, create: &Create) -> Result<Vec<TargetName>, CliError> {
    let mut parsed = Vec::new();
    let mut named = Vec::new();
    for target in target::names(session, &create.selection.named.distributions) {
        let name = target::parse(session, &target.name)?;
        if !parsed.contains(&name) {
            parsed.push(name);
            named.push(target);
        }
    }
    if named.is_empty() {
        named.push(TargetName::default());
    }
    Ok(named)
}

/// Returns the paths of a configuration entry, at least one.
fn configured_paths(config: Option<&SiteConfig>) -> Result<EncodedPaths, CliError> {
    let paths = config.map(SiteConfig::paths).transpose()?;
    let paths = paths.filter(|configured| !configured.paths.is_empty());
    paths.ok_or_else(create::no_paths)
}

/// Prints what would be sent, and why nothing would be sent to some of the distributions.
pub(super) async fn print(
    session: &Session,
    planned: &[PlannedBatch],
    input: &Input,
    warnings: Vec<String>,
) -> Result<Exit, CliError> {
    let mut ending = Ending::default();
    let mut distributions = Vec::new();
    for planned in planned {
        let mut output = DistributionOutput::from(planned);
        match &planned.refused {
            None => session.terminal.text(text(planned)),
            Some(error) => {
                let exit = create::exit_of(Some(error));
                let error = create::print_refusal(session, planned, error).await;
                ending.add(exit, Some(error.clone()));
                output.set_error(error);
            }
        }
        distributions.push(output);
    }
    create::add_incomplete(session, input, &mut ending);
    let exit = ending.exit;
    let warnings = [input.notes.clone(), warnings].concat();
    session
        .terminal
        .json(CreateOutput::new(distributions, warnings, true, ending));
    Ok(exit)
}

/// Describes what would be sent to one distribution.
pub(super) fn text(planned: &PlannedBatch) -> String {
    let mut text = summary(planned);
    for path in planned.plan.paths.iter().take(MAX_LISTED) {
        text += &format!("\n  {path}");
        let mut merged = planned.plan.merged.iter();
        if let Some(Merged { from, .. }) = merged.find(|merged| merged.path == *path) {
            text += &format!("  replaces {from} paths");
        }
    }
    let others = planned.plan.paths.len().saturating_sub(MAX_LISTED);
    if others > 0 {
        let others = thousands(others);
        text += &format!("\n  and {others} more (--output json lists all)");
    }
    for note in &planned.notes {
        text += &format!("\n  {note}");
    }
    text
}

/// Returns the first line: how many paths there would be, and what they cost unchanged objects.
fn summary(planned: &PlannedBatch) -> String {
    let plan = &planned.plan;
    let mut text = match &planned.distribution {
        Some(id) => format!("{id}: "),
        None => String::new(),
    };
    if plan.paths.is_empty() {
        return text + "nothing to invalidate";
    }
    if let Some(objects) = planned.objects {
        text += &format!("{} would become ", counted(objects, "object"));
    }
    text += &counted(plan.paths.len(), "path");
    match plan.unchanged {
        None => {}
        Some(0) => text += "; no unchanged object loses its copy",
        Some(1) => text += "; 1 unchanged object loses its copy, too",
        Some(unchanged) => {
            let unchanged = thousands(unchanged);
            text += &format!("; {unchanged} unchanged objects lose their copy, too");
        }
    }
    text
}
