//! The domain names of the distributions that people can choose from, and which distribution a name means.

use std::time::Duration;

use cloudfront_invalidator::distribution::{DistributionId, DomainNames};
use tokio::time::Instant;

use crate::fixture::{
    ALWAYS, FIRST, Fixture, SECOND, configuration_with, denial_with_statement, distribution_arn,
    one_minute,
};
use crate::standin::{Clock, Fault, Operation, Options};

/// An account whose distributions have aliases.
fn account() -> Fixture {
    let options = Options {
        clock: Clock::frozen(),
        throttle: false,
        ..Options::default()
    };
    let options = [(FIRST, "*.example.com"), (SECOND, "www.example.com")]
        .into_iter()
        .fold(options, |options, (id, alias)| {
            let path = format!("distribution/{id}/config");
            options.with_document(&path, &with_alias(alias))
        });
    Fixture::with(options)
}

fn with_alias(alias: &str) -> String {
    configuration_with(&format!(
        "<Aliases><Quantity>1</Quantity><Items><CNAME>{alias}</CNAME></Items></Aliases>"
    ))
}

fn both() -> [DistributionId; 2] {
    [FIRST, SECOND].map(|id| DistributionId::parse(id).expect("an id"))
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(2)
}

fn names(alias: &str, domain_name: Option<&str>) -> DomainNames {
    DomainNames {
        aliases: vec![alias.to_owned()],
        domain_name: domain_name.map(str::to_owned),
    }
}

#[tokio::test]
async fn the_names_are_read_from_each_distribution_once_in_ten_minutes() {
    let fixture = account();
    let (invalidator, invocation) = (fixture.invalidator(), one_minute());
    for (minutes, calls) in [(0, 2), (9, 2), (1, 4)] {
        fixture.standin.advance(Duration::from_secs(minutes * 60));
        let found = invalidator.site_names(&both(), soon(), &invocation).await;
        let [first, second] = both();
        let expected = [
            (
                first,
                names("*.example.com", Some("de1example1abc.cloudfront.net")),
            ),
            (
                second,
                names("www.example.com", Some("de2example1abc.cloudfront.net")),
            ),
        ];
        assert_eq!(found.sites, expected.map(|(id, names)| (id, Ok(names))));
        assert_eq!(
            fixture.standin.calls(),
            vec![Operation::GetDistribution; calls]
        );
    }
}

#[tokio::test]
async fn without_permission_for_the_domain_name_the_aliases_are_known() {
    let fixture = account();
    let fault = Fault::AccessDenied;
    let get = Operation::GetDistribution;
    fixture.standin.fail(get, fault, ALWAYS);
    let get_config = Operation::GetDistributionConfig;
    fixture.standin.fail_for(SECOND, get_config, fault, ALWAYS);
    let (invalidator, invocation) = (fixture.invalidator(), one_minute());
    let found = invalidator.site_names(&both(), soon(), &invocation).await;
    let [(_, first), (_, second)] = &found.sites[..] else {
        panic!("{found:#?}")
    };
    assert_eq!(first, &Ok(names("*.example.com", None)));
    let denial = denial_with_statement(
        "AccessDenied",
        "cloudfront:GetDistributionConfig",
        &distribution_arn(SECOND),
    );
    let error = second.as_ref().expect_err("a denial");
    assert_eq!(error.to_string(), denial);
    // The second distribution possibly has this name.
    let [first, second] = both();
    let www = found.find("www.example.com").expect_err("an error");
    assert_eq!(
        www.to_string(),
        format!(
            "www.example.com is possibly a name of a distribution that could not be read: {denial}"
        )
    );
    assert_eq!(found.find("*.example.com"), Ok(Some(&first)));
    let best_known = [&first, &second].map(|id| found.best_known(id));
    assert_eq!(best_known, ["*.example.com", SECOND]);
}

#[tokio::test]
async fn a_distribution_that_does_not_respond_does_not_delay_the_others() {
    let fixture = account();
    let get = Operation::GetDistribution;
    fixture.standin.fail_for(SECOND, get, Fault::Hang, ALWAYS);
    let (invalidator, invocation) = (fixture.invalidator(), one_minute());
    let deadline = Instant::now() + Duration::from_millis(300);
    let found = invalidator.site_names(&both(), deadline, &invocation).await;
    let [(_, first), (_, second)] = &found.sites[..] else {
        panic!("{found:#?}")
    };
    let domain_name = Some("de1example1abc.cloudfront.net");
    assert_eq!(first, &Ok(names("*.example.com", domain_name)));
    assert_eq!(
        second.as_ref().expect_err("no response").to_string(),
        format!("could not read the configuration of {SECOND}: no response in time; try again")
    );
}

#[tokio::test]
async fn an_alias_that_is_new_is_found_before_the_wildcard_that_also_matches_it() {
    let fixture = account();
    let (invalidator, invocation) = (fixture.invalidator(), one_minute());
    let find = async |domain: &str| {
        let found = invalidator
            .find_site(domain, &both(), soon(), &invocation)
            .await
            .expect("an answer");
        (
            found.map(|id| id.to_string()),
            fixture.standin.calls().len(),
        )
    };
    let found = |id: &str, calls| (Some(id.to_owned()), calls);
    assert_eq!(find("www.example.com").await, found(SECOND, 2));
    // It is remembered.
    assert_eq!(find("WWW.example.com").await, found(SECOND, 2));
    assert_eq!(find("shop.example.com").await, found(FIRST, 4));
    assert_eq!(find("example.org").await, (None, 6));
    let path = format!("distribution/{SECOND}/config");
    fixture
        .standin
        .set_document(&path, &with_alias("shop.example.com"));
    assert_eq!(find("shop.example.com").await, found(SECOND, 8));
}
