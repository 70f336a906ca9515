//! `--again`: repeats an earlier invalidation under a new caller reference.

use crate::cli::input::Input;
use crate::cli::selection::{self, PlannedBatch};
use crate::cli::target::Target;
use crate::cli::{CliError, Create, Session};
use crate::error::Error;
use crate::path::{EncodedPaths, InvalidationPath};
use crate::plan::InvalidationId;

/// Plans the paths of the invalidation for the distribution that has it.
pub(super) async fn plan(
    session: &Session,
    create: &Create,
    targets: &[Target],
    id: &str,
    input: &mut Input,
) -> Result<PlannedBatch, CliError> {
    let id = InvalidationId::new(id);
    let cloudfront = session.connection.cloudfront().await?;
    let mut found = None;
    let mut without = Vec::new();
    for target in targets {
        match cloudfront.invalidation(&target.id, &id).await {
            Ok(invalidation) => found = Some((target, invalidation)),
            Err(error) if error.is_no_such_invalidation() => without.push((target, error)),
            // This distribution possibly has the invalidation.
            Err(error) => return Err(error.into()),
        }
    }
    let Some((target, invalidation)) = found else {
        let error = Error::join(without.into_iter().map(|(_, error)| error));
        return Err(error.map_or_else(
            || CliError::usage(format!("no distribution has {id}")),
            CliError::from,
        ));
    };
    for (other, _) in without {
        session.terminal.warn(format!(
            "{}: nothing is sent, because {id} is an invalidation of {}",
            other.id, target.id
        ));
    }
    let paths = invalidation.paths.iter();
    input.request(EncodedPaths {
        paths: paths.map(InvalidationPath::accepted_before).collect(),
        widened: Vec::new(),
    });
    selection::plan(session, create, target, input, None, None).await
}
