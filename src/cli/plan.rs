//! `plan`: what `create` would send.
//!
//! AWS is asked nothing where the paths are given, or where keys are and no distribution's configuration shall matter.

use super::config::NamedSite;
use super::input::Input;
use super::output::{CreateOutput, DistributionOutput};
use super::selection::{self, PlannedBatch};
use super::target::{self, Named};
use super::{CliError, Exit, Selection, Session};
use crate::distribution::DistributionId;
use crate::plan::{Inventory, Merged};

/// Runs the command.
pub(super) async fn run(session: &Session, selection: &Selection) -> Result<Exit, CliError> {
    let input = Input::read(selection)?;
    let inventory = selection.inventory()?;
    let notes = input.notes.iter();
    notes.for_each(|note| session.terminal.warn(note));
    let named = target::named(session, &selection.distributions);
    let keys_alone = named.is_empty() || input.objects.is_empty() || selection.no_index_aliases;
    let planned = if keys_alone {
        offline(session, selection, &named, input, inventory.as_ref())?
    } else {
        let mut planned = Vec::new();
        for target in target::find(session, &selection.distributions, &input.buckets()).await? {
            let plan = selection::plan(session, selection, &target, &input, inventory.as_ref());
            planned.push(plan.await?);
        }
        planned
    };
    print(session, &planned, Vec::new());
    Ok(Exit::Done)
}

/// Plans without a call; the names of distributions are not looked up.
fn offline(
    session: &Session,
    selection: &Selection,
    named: &[Named],
    mut input: Input,
    inventory: Option<&Inventory>,
) -> Result<Vec<PlannedBatch>, CliError> {
    if named.is_empty() && !input.objects.is_empty() && !selection.no_index_aliases {
        session.terminal.note(
            "no distribution is named: the paths are told from the keys alone, without what its configuration adds",
        );
    }
    let nobody = Named::default();
    let named = if named.is_empty() {
        std::slice::from_ref(&nobody)
    } else {
        named
    };
    let mut planned = Vec::new();
    for one in named {
        let site = one.site.as_ref();
        if !selection.has_input() {
            input.paths = site.map(NamedSite::paths).transpose()?.unwrap_or_default();
            if input.paths.is_empty() {
                return Err(CliError::usage(
                    "nothing to plan: give paths, --paths-from, --keys-from, --from-s3-sync or --batch",
                ));
            }
        }
        let limits = selection::limits(selection, site, &input);
        let id = DistributionId::parse(&one.name).ok();
        let first = selection.no_index_aliases;
        planned.push(selection::plan_offline(
            id, &input, inventory, limits, first,
        ));
    }
    Ok(planned)
}

/// Prints what would be sent.
pub(super) fn print(session: &Session, planned: &[PlannedBatch], warnings: Vec<String>) {
    let entries = planned.iter().map(DistributionOutput::from).collect();
    let texts: Vec<_> = planned.iter().map(text).collect();
    let answer = CreateOutput::new(entries, warnings, true, Exit::Done);
    session.terminal.result(texts.join("\n"), answer);
}

fn text(planned: &PlannedBatch) -> String {
    let PlannedBatch {
        distribution,
        plan,
        objects,
        notes,
        ..
    } = planned;
    let whose = distribution
        .as_ref()
        .map(|id| format!("{id}: "))
        .unwrap_or_default();
    let mut text = match (plan.paths.len(), objects) {
        (0, _) => format!("{whose}nothing to invalidate"),
        (paths, Some(objects)) => format!(
            "{whose}{} would become {}",
            counted(*objects, "object"),
            counted(paths, "path")
        ),
        (paths, None) => format!("{whose}{}", counted(paths, "path")),
    };
    if let Some(unchanged) = plan.unchanged.filter(|_| !plan.paths.is_empty()) {
        text += &match unchanged {
            0 => "; no unchanged object loses its copy".to_owned(),
            1 => "; 1 unchanged object loses its copy, too".to_owned(),
            more => format!(
                "; {} unchanged objects lose their copy, too",
                thousands(more)
            ),
        };
    }
    for path in &plan.paths {
        let merged = plan.merged.iter().find(|merged| merged.path == *path);
        let merged = merged.map(|Merged { from, .. }| format!("  replaces {from} paths"));
        text += &format!("\n  {path}{}", merged.unwrap_or_default());
    }
    notes.iter().for_each(|note| text += &format!("\n  {note}"));
    text
}

/// Writes a number with its noun.
pub(super) fn counted(number: usize, noun: &str) -> String {
    format!(
        "{} {noun}{}",
        thousands(number),
        if number == 1 { "" } else { "s" }
    )
}

/// Writes a number with commas.
pub(super) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_numbers_for_people() {
        for (number, text) in [
            (0, "0 paths"),
            (1, "1 path"),
            (999, "999 paths"),
            (1_000, "1,000 paths"),
            (1_234_567, "1,234,567 paths"),
        ] {
            assert_eq!(counted(number, "path"), text);
        }
    }
}
