//! `plan`: prints the paths that `create` would send if its checks found nothing.
//!
//! It makes no AWS call with paths only, with `--no-index-aliases`, and without a distribution, where it uses the keys
//! alone. `create --dry-run` also resolves the names of the distributions and runs the checks.

use super::config::SiteConfig;
use super::format::{counted, thousands};
use super::input::Input;
use super::output::{CreateOutput, DistributionOutput};
use super::selection::{self, PlannedBatch};
use super::target::{self, TargetName};
use super::{CliError, Exit, Selection, Session};
use crate::distribution::DistributionId;
use crate::plan::{Inventory, Merged};

/// Runs the command.
pub(super) async fn run(session: &Session, selection: &Selection) -> Result<Exit, CliError> {
    let input = Input::read(selection)?;
    let inventory = selection.inventory()?;
    let notes = input.notes.iter();
    notes.for_each(|note| session.terminal.warn(note));
    let names = target::names(session, &selection.distributions);
    let needs_no_call = names.is_empty() || input.objects.is_empty() || selection.no_index_aliases;
    let planned = if needs_no_call {
        plan_without_lookup(session, selection, &names, input, inventory.as_ref())?
    } else {
        let mut planned = Vec::new();
        for target in target::find(session, &selection.distributions, &input.buckets()).await? {
            let batch = selection::plan(session, selection, &target, &input, inventory.as_ref());
            planned.push(batch.await?);
        }
        planned
    };
    print(session, &planned, Vec::new());
    Ok(Exit::Done)
}

/// Plans without a call; the names of distributions are not resolved.
fn plan_without_lookup(
    session: &Session,
    selection: &Selection,
    names: &[TargetName],
    mut input: Input,
    inventory: Option<&Inventory>,
) -> Result<Vec<PlannedBatch>, CliError> {
    if names.is_empty() && !input.objects.is_empty() && !selection.no_index_aliases {
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
            input.paths = config
                .map(SiteConfig::paths)
                .transpose()?
                .unwrap_or_default();
            if input.paths.is_empty() {
                return Err(CliError::usage(
                    "nothing to plan: give paths, --paths-from, --keys-from, --from-s3-sync or --batch",
                ));
            }
        }
        planned.push(selection::plan_keys_alone(
            DistributionId::parse(&target.name).ok(),
            &input,
            inventory,
            selection::limits(selection, config, &input),
            selection.no_index_aliases,
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
    for path in &planned.plan.paths {
        text += &format!("\n  {path}");
        let mut merged = planned.plan.merged.iter();
        if let Some(Merged { from, .. }) = merged.find(|merged| merged.path == *path) {
            text += &format!("  replaces {from} paths");
        }
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
