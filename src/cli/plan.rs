//! `plan`: prints the paths that `create` would send if its checks found nothing.
//!
//! It makes no AWS call with paths only, with `--literal-keys`, and without a distribution, where it uses the keys
//! alone. Cache tags are the exception: whether they have an effect is in the configuration of the distribution.
//! `create --dry-run` also resolves the names of the distributions and runs the checks.

use super::config::SiteConfig;
use super::format::{counted, thousands};
use super::input::Input;
use super::output::{CreateOutput, DistributionOutput};
use super::selection::{self, PlannedBatch};
use super::target::{self, TargetName};
use super::{CliError, Exit, Plan, Selection, Session};
use crate::distribution::DistributionId;
use crate::excerpt::MAX_LISTED;
use crate::path::{EncodedPaths, InvalidationPath};
use crate::plan::{Inventory, Merged};

/// Runs the command.
pub(super) async fn run(session: &Session, plan: &Plan) -> Result<Exit, CliError> {
    let selection = &plan.create.selection;
    let input = Input::read(selection)?;
    let inventory = selection.inventory()?;
    let notes = input.notes.iter();
    notes.for_each(|note| session.terminal.warn(note));
    let names = target::names(session, &selection.distributions);
    let has_tags = has_tags(selection, &names, &input)?;
    let needs_no_call =
        names.is_empty() || (input.objects.is_empty() || selection.literal_keys) && !has_tags;
    let planned = if needs_no_call {
        plan_without_lookup(session, selection, &names, input, inventory.as_ref())?
    } else {
        plan_with_lookup(session, selection, &names, input, inventory.as_ref()).await?
    };
    if let Some(error) = selection::refusal(&planned) {
        return Err(error.into());
    }
    print(session, &planned, Vec::new());
    Ok(Exit::Done)
}

/// Returns whether the arguments or, without them, the configuration entries request cache tags.
fn has_tags(selection: &Selection, names: &[TargetName], input: &Input) -> Result<bool, CliError> {
    let mut paths = input.paths.clone();
    if !selection.has_input() {
        for config in names.iter().filter_map(|name| name.config.as_ref()) {
            paths.extend(config.paths()?.paths);
        }
    }
    Ok(paths.iter().any(InvalidationPath::is_tag))
}

/// Returns the paths of a configuration entry, at least one.
fn configured_paths(config: Option<&SiteConfig>) -> Result<EncodedPaths, CliError> {
    let paths = config.map(SiteConfig::paths).transpose()?;
    let paths = paths.filter(|configured| !configured.paths.is_empty());
    paths.ok_or_else(|| {
        CliError::usage(
            "nothing to plan: give paths, --paths-from, --keys-from, --from-s3-sync or --batch",
        )
    })
}

/// Plans with the configurations of the distributions.
async fn plan_with_lookup(
    session: &Session,
    selection: &Selection,
    names: &[TargetName],
    mut input: Input,
    inventory: Option<&Inventory>,
) -> Result<Vec<PlannedBatch>, CliError> {
    let found = target::find(session, &selection.distributions, &input.buckets()).await;
    let targets = match found {
        Ok(targets) => targets,
        // Without keys, only the check of the cache tags needs the distributions.
        Err(error) if input.objects.is_empty() => {
            let reason = error.message(session.terminal.audience());
            let planned = plan_without_lookup(session, selection, names, input, inventory);
            let mut planned = planned?;
            for planned in &mut planned {
                planned.tags_not_checked(&reason);
            }
            return Ok(planned);
        }
        Err(error) => return Err(error),
    };
    let mut planned = Vec::new();
    for target in targets {
        if !selection.has_input() {
            input.request(configured_paths(target.config.as_ref())?);
        }
        let batch = selection::plan(session, selection, &target, &input, inventory);
        planned.push(batch.await?);
    }
    Ok(planned)
}

/// Plans without a call; the names of distributions are not resolved.
fn plan_without_lookup(
    session: &Session,
    selection: &Selection,
    names: &[TargetName],
    mut input: Input,
    inventory: Option<&Inventory>,
) -> Result<Vec<PlannedBatch>, CliError> {
    if names.is_empty() && !input.objects.is_empty() && !selection.literal_keys {
        session.terminal.note(
            "no distribution is named: the paths are derived from the keys alone, without a distribution's configuration",
        );
    }
    let no_name = TargetName::default();
    let names = if names.is_empty() {
        std::slice::from_ref(&no_name)
    } else {
        names
    };
    let mut planned = Vec::new();
    for target in names {
        let config = target.config.as_ref();
        if !selection.has_input() {
            input.request(configured_paths(config)?);
        }
        planned.push(selection::plan_keys_alone(
            DistributionId::parse(&target.name).ok(),
            &input,
            inventory,
            selection::limits(selection, config, &input),
            selection.literal_keys,
        ));
    }
    Ok(planned)
}

/// Prints what would be sent.
pub(super) fn print(session: &Session, planned: &[PlannedBatch], warnings: Vec<String>) {
    let distributions = planned.iter().map(DistributionOutput::from).collect();
    let texts: Vec<_> = planned.iter().map(text).collect();
    let output = CreateOutput::new(distributions, warnings, true, Exit::Done);
    session.terminal.result(texts.join("\n"), output);
}

fn text(planned: &PlannedBatch) -> String {
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
