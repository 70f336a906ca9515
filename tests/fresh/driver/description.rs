//! The description of a case with wrong answers: what was requested, of which site, after which deploy.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use super::plan::{Deploy, Scenario};
use super::run::Finding;
use super::site::{Distribution, Site};
use super::viewers::Stale;
use crate::standin::iso8601;

const LISTED: usize = 10;
const LISTED_PATHS: usize = 40;

/// Describes a case in lines.
pub fn describe(scenario: &Scenario, finding: &Finding) -> String {
    let mut text = String::new();
    let deploy = &scenario.deploys[finding.deploy];
    let written = write_answers(&mut text, "STALE", "the origin", &finding.stale)
        .and_then(|()| write_answers(&mut text, "NOT FOUND", "before the deploy", &finding.lost))
        .and_then(|()| write_site(&mut text, &scenario.site))
        .and_then(|()| write_reconfigured(&mut text, scenario.reconfigured(finding.deploy)))
        .and_then(|()| write_deploy(&mut text, scenario, deploy))
        .and_then(|()| write_invalidations(&mut text, finding));
    // Writing to a string cannot fail.
    written.map_or_else(|error| error.to_string(), |()| text)
}

fn write_answers(
    text: &mut String,
    heading: &str,
    expected_from: &str,
    answers: &[Stale],
) -> fmt::Result {
    if answers.is_empty() {
        return Ok(());
    }
    let mut by_target: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for stale in answers {
        let target = &stale.target;
        let key = (target.distribution, &target.target, target.accept_encoding);
        by_target.entry(key).or_default().push(stale);
    }
    writeln!(text, "{heading}: {} answers", answers.len())?;
    for ((distribution, target, encoding), answers) in by_target.into_iter().take(LISTED) {
        writeln!(
            text,
            "  GET {target} of distribution {distribution}, Accept-Encoding {encoding:?}"
        )?;
        for stale in answers {
            let (pop, x_cache, age) = (stale.pop, &stale.x_cache, &stale.age);
            writeln!(
                text,
                "    POP {pop}: {}, {x_cache}, Age {age}",
                stale.answered
            )?;
            writeln!(text, "    {expected_from}: {}", stale.current)?;
        }
    }
    Ok(())
}

fn write_site(text: &mut String, site: &Site) -> fmt::Result {
    writeln!(text, "site: {}", site.family)?;
    for (index, distribution) in site.distributions.iter().enumerate() {
        let Distribution {
            endpoint,
            origin_paths,
            default_root_object,
            behaviors,
            error_pages,
        } = distribution;
        writeln!(
            text,
            "  distribution {index}: {endpoint:?} origins {origin_paths:?}, default root object {default_root_object:?}"
        )?;
        for behavior in behaviors {
            writeln!(text, "    {behavior:?}")?;
        }
        for page in error_pages {
            writeln!(text, "    {page:?}")?;
        }
    }
    Ok(())
}

fn write_reconfigured(text: &mut String, reconfigured: Option<&Site>) -> fmt::Result {
    let Some(site) = reconfigured else {
        return Ok(());
    };
    writeln!(text, "changed before the deploy, after an event, to:")?;
    write_site(text, site)
}

fn write_deploy(text: &mut String, scenario: &Scenario, deploy: &Deploy) -> fmt::Result {
    let ids = if scenario.names_distributions {
        "set"
    } else {
        "not set"
    };
    let max_paths = scenario.max_paths;
    writeln!(
        text,
        "function: MAX_PATHS={max_paths}, DISTRIBUTION_ID {ids}"
    )?;
    let Deploy {
        changes,
        delivery,
        failing_reads,
        job_after,
        ..
    } = deploy;
    writeln!(
        text,
        "deploy: {delivery:?}, failing reads: {failing_reads:?}, pipeline job after changes: {job_after:?}"
    )?;
    for change in changes {
        writeln!(text, "  {change}")?;
    }
    Ok(())
}

fn write_invalidations(text: &mut String, finding: &Finding) -> fmt::Result {
    writeln!(text, "events:")?;
    for event in finding.events.iter().take(LISTED) {
        writeln!(text, "  {event}")?;
    }
    writeln!(text, "invalidations:")?;
    for accepted in &finding.invalidations {
        let created = iso8601(accepted.created);
        let paths = accepted.paths.iter().take(LISTED_PATHS);
        let paths: Vec<&str> = paths.map(String::as_str).collect();
        writeln!(
            text,
            "  {} {created}: {}",
            accepted.distribution,
            paths.join(" ")
        )?;
    }
    Ok(())
}
