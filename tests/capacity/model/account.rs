//! The distributions of the simulated account, as CloudFront's XML.
//!
//! Each site has a bucket and a distribution, or all sites share one bucket. Other distributions of the account have
//! other origins: they only lengthen the list.

use std::fmt::Write;

use crate::standin::{Clock, Options};

use super::Scenario;

const XML: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
const XMLNS: &str = "http://cloudfront.amazonaws.com/doc/2020-05-31/";
/// The id of AWS's managed cache policy without query strings.
const CACHING_OPTIMIZED: &str = "658327ea-f89d-4fab-a63d-7e88639e58f6";
/// How many distributions ListDistributions returns at most.
const PAGE: usize = 100;

/// Returns the id of a distribution by its number.
pub fn distribution_id(number: usize) -> String {
    format!("E{number:010}ABC")
}

/// Returns the number of a distribution by its id.
pub fn distribution_number(id: &str) -> Option<usize> {
    id.strip_prefix('E')?.strip_suffix("ABC")?.parse().ok()
}

/// Returns the bucket of a site.
pub fn bucket(scenario: &Scenario, site: usize) -> String {
    match scenario.shares_bucket {
        true => "site".to_owned(),
        false => format!("site-{site}"),
    }
}

/// Returns the stand-in's options with all distributions of the account.
pub fn options(scenario: &Scenario) -> Options {
    let mut options = Options {
        clock: Clock::tokio(),
        completes_after: super::COMPLETES_AFTER,
        ..Options::default()
    };
    let sites = scenario.distributions;
    let all = scenario.account.max(sites);
    let bucket = |number| match number < sites {
        true => bucket(scenario, number),
        false => format!("other-{number}"),
    };
    for number in 0..sites {
        let id = distribution_id(number);
        let parts = parts(&bucket(number));
        let document =
            format!("{XML}<DistributionConfig xmlns=\"{XMLNS}\">{parts}</DistributionConfig>");
        options = options
            .with_distribution(&id)
            .with_document(&format!("distribution/{id}/config"), &document);
    }
    let numbers: Vec<_> = (0..all).collect();
    for (page, numbers) in numbers.chunks(PAGE).enumerate() {
        let mut summaries = String::new();
        for number in numbers {
            let (id, parts) = (distribution_id(*number), parts(&bucket(*number)));
            let _ = write!(
                summaries,
                "<DistributionSummary><Id>{id}</Id>\
                 <ARN>arn:aws:cloudfront::111122223333:distribution/{id}</ARN>\
                 <Status>Deployed</Status><LastModifiedTime>2026-01-01T00:00:00.000Z</LastModifiedTime>\
                 <DomainName>d{number}.cloudfront.net</DomainName>{parts}<Staging>false</Staging>\
                 </DistributionSummary>"
            );
        }
        let last = numbers.last().copied().unwrap_or_default();
        let is_truncated = last + 1 < all;
        let next = match is_truncated {
            true => format!("<NextMarker>{}</NextMarker>", distribution_id(last)),
            false => String::new(),
        };
        let document = format!(
            "{XML}<DistributionList xmlns=\"{XMLNS}\"><Marker/>{next}<MaxItems>{PAGE}</MaxItems>\
             <IsTruncated>{is_truncated}</IsTruncated><Quantity>{}</Quantity><Items>{summaries}</Items>\
             </DistributionList>",
            numbers.len()
        );
        let name = match page {
            0 => "distribution".to_owned(),
            _ => format!("distribution?Marker={}", distribution_id(page * PAGE - 1)),
        };
        options = options.with_document(&name, &document);
    }
    options
}

/// Returns the elements that a configuration and a summary have in common.
fn parts(bucket: &str) -> String {
    format!(
        "<Aliases><Quantity>0</Quantity></Aliases>\
         <Origins><Quantity>1</Quantity><Items><Origin><Id>site</Id>\
         <DomainName>{bucket}.s3.us-east-1.amazonaws.com</DomainName><OriginPath/>\
         <S3OriginConfig><OriginAccessIdentity/></S3OriginConfig></Origin></Items></Origins>\
         <DefaultCacheBehavior><TargetOriginId>site</TargetOriginId>\
         <ViewerProtocolPolicy>redirect-to-https</ViewerProtocolPolicy>\
         <CachePolicyId>{CACHING_OPTIMIZED}</CachePolicyId></DefaultCacheBehavior>\
         <CacheBehaviors><Quantity>0</Quantity></CacheBehaviors>\
         <Comment/><PriceClass>PriceClass_All</PriceClass><Enabled>true</Enabled>"
    )
}
