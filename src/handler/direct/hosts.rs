//! Checks the hosts of URLs among the paths: a path has no host, so the URL of another site would silently become a path of
//! the distribution. A configuration has the aliases, but not the domain name that CloudFront assigned, so that one is not
//! checked.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;

use crate::aws::cloudfront::has_domain;
use crate::distribution::DistributionId;
use crate::error::Error;
use crate::handler::Invalidator;
use crate::invocation::Invocation;

/// How long reading the aliases of the distributions can take.
const MAX_READ_TIME: Duration = Duration::from_secs(3);

impl Invalidator {
    /// Checks that each host is an alias of one of the distributions. Returns a warning if that is not known.
    pub(super) async fn check_hosts(
        &self,
        hosts: &BTreeSet<String>,
        distributions: &[DistributionId],
        invocation: &Invocation,
    ) -> Result<Option<String>, Error> {
        if hosts.is_empty() {
            return Ok(None);
        }
        let deadline = invocation.end_of_read(MAX_READ_TIME);
        let cloudfront = self.cloudfront(invocation);
        let read = distributions
            .iter()
            .map(|distribution| cloudfront.aliases(distribution, deadline));
        let read: Result<Vec<_>, _> = join_all(read).await.into_iter().collect();
        let not_checked = |hosts: &[&str], reason: &str| {
            let hosts = hosts.join(" and ");
            Some(format!(
                "not checked whether the distributions have the domain name {hosts}: {reason}"
            ))
        };
        let aliases = match read {
            Ok(aliases) => aliases.concat(),
            Err(error) => {
                let hosts: Vec<_> = hosts.iter().map(String::as_str).collect();
                return Ok(not_checked(&hosts, &error.to_string()));
            }
        };
        let is_alias = |host: &&str| aliases.iter().any(|alias| has_domain(alias, host));
        let unknown = hosts.iter().map(String::as_str);
        let unknown: Vec<_> = unknown.filter(|host| !is_alias(host)).collect();
        // A configuration does not contain the domain name that CloudFront assigned, and has names in ASCII.
        let is_unclear = |host: &&str| host.ends_with(".cloudfront.net") || !host.is_ascii();
        let (unclear, others): (Vec<_>, Vec<_>) = unknown.into_iter().partition(is_unclear);
        if let Some(host) = others.first() {
            let ids: Vec<_> = distributions.iter().map(DistributionId::as_str).collect();
            return Err(Error::invalid_input(format!(
                "{host} is not an alias of {}: name its distribution in \"distribution\", or write the path without the host",
                ids.join(" and ")
            )));
        }
        if unclear.is_empty() {
            return Ok(None);
        }
        Ok(not_checked(
            &unclear,
            "the configuration does not contain it",
        ))
    }
}
