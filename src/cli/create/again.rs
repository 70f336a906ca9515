//! `--again`: repeats an earlier invalidation under a new caller reference.

use crate::cli::input::Input;
use crate::cli::selection::{self, PlannedBatch};
use crate::cli::target::Target;
use crate::cli::{CliError, Create, Session};
use crate::error::Error;
use crate::path::EncodedPaths;
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
    let mut errors = Vec::new();
    for target in targets {
        match cloudfront.invalidation(&target.id, &id).await {
            Ok(invalidation) => {
                let paths = invalidation.paths.iter().map(|path| {
                    EncodedPaths::parse(path.as_str())
                        .map_err(|error| Error::from(error).context(&id))
                });
                input.request(paths.collect::<Result<_, _>>()?);
                return selection::plan(session, create, target, input, None).await;
            }
            Err(error) => errors.push(error),
        }
    }
    // An error other than "no such invalidation" can hide the invalidation.
    errors.sort_by_key(Error::is_no_such_invalidation);
    let error = errors.into_iter().next();
    Err(error
        .unwrap_or_else(|| Error::invalid_input(format!("no distribution has {id}")))
        .into())
}
