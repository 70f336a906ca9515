//! Refuses a URL of a host that the distributions do not have: its path would be invalidated on another site.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use crate::aws::cloudfront::{DistributionSummary, has_domain};
use crate::cli::target::Target;
use crate::cli::{CliError, Session};
use crate::error::Error;

/// How long the check may take, with all retries.
const MAX_TIME: Duration = Duration::from_secs(30);

/// Checks that each host is a domain name of one of the distributions. Returns a warning, which is printed, if that cannot be
/// read.
pub(super) async fn check(
    session: &Session,
    targets: &[Target],
    hosts: &BTreeSet<String>,
) -> Result<Option<String>, CliError> {
    if hosts.is_empty() {
        return Ok(None);
    }
    let unknown = match without_aliases(session, targets, hosts).await {
        Ok(unknown) if unknown.is_empty() => return Ok(None),
        Ok(unknown) => unknown,
        Err(error) => return not_checked(session, hosts, &error),
    };
    let cloudfront = session.connection.cloudfront().await?;
    // A configuration does not contain the domain name that CloudFront assigned.
    let distributions = match cloudfront.list_distributions().await {
        Ok(distributions) => distributions,
        Err(error) => return not_checked(session, &unknown, &error),
    };
    let is_target = |distribution: &&DistributionSummary| {
        targets.iter().any(|target| target.id == distribution.id)
    };
    let has_host = |distribution: &&DistributionSummary, host: &str| {
        let mut names = distribution.names();
        names.any(|name| has_domain(name, host))
    };
    for host in &unknown {
        let mut own = distributions.iter().filter(is_target);
        if own.any(|distribution| has_host(&distribution, host)) {
            continue;
        }
        let ids: Vec<_> = targets.iter().map(|target| target.id.as_str()).collect();
        let ids = ids.join(" and ");
        let owner = distributions
            .iter()
            .find(|distribution| has_host(distribution, host));
        let advice = match owner {
            Some(owner) => format!("it belongs to {}: write -d {host}", owner.id),
            None => {
                "no distribution of this account has it: write the path without the host".to_owned()
            }
        };
        return Err(Error::invalid_input(format!(
            "{host} is not a domain name of {ids}; {advice}"
        ))
        .into());
    }
    Ok(None)
}

/// Returns the hosts that are no alias of the distributions.
async fn without_aliases(
    session: &Session,
    targets: &[Target],
    hosts: &BTreeSet<String>,
) -> Result<BTreeSet<String>, Error> {
    let cloudfront = session.connection.cloudfront().await?;
    let deadline = Instant::now() + MAX_TIME;
    let mut unknown = hosts.clone();
    for target in targets {
        let aliases = cloudfront.aliases(&target.id, deadline).await?;
        unknown.retain(|host| !aliases.iter().any(|alias| has_domain(alias, host)));
    }
    Ok(unknown)
}

fn not_checked(
    session: &Session,
    hosts: &BTreeSet<String>,
    error: &Error,
) -> Result<Option<String>, CliError> {
    if error.is_credentials() || error.is_no_such_distribution() {
        return Err(error.clone().into());
    }
    let hosts: Vec<_> = hosts.iter().map(String::as_str).collect();
    let warning = format!(
        "not checked whether the distributions have the domain name {}: {}",
        hosts.join(" and "),
        error.message(session.terminal.audience())
    );
    session.terminal.warn(&warning);
    Ok(Some(warning))
}
