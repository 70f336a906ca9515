//! The distribution in front of the bucket: the XML that describes it, and what the edge reads from that.
//!
//! It is a common one: the bucket is the only origin, AWS's managed cache policy applies to all paths, and `/` returns
//! the default root object.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{BUCKET, DEFAULT_ROOT_OBJECT, DISTRIBUTION, ERROR_CACHING};
use crate::standin::{EdgeBehavior, EdgeDistribution, QueryKey};

pub const HOST: &str = "d111111abcdef8.cloudfront.net";

/// Returns the configuration that the edge applies.
pub fn edge() -> EdgeDistribution {
    let root = |path: &str| match path {
        "/" => format!("/{DEFAULT_ROOT_OBJECT}"),
        _ => path.to_owned(),
    };
    EdgeDistribution {
        id: DISTRIBUTION.to_owned(),
        hosts: vec![HOST.to_owned()],
        behaviors: vec![EdgeBehavior {
            path_pattern: "*".to_owned(),
            query_strings: QueryKey::None,
            compress: true,
            rewrite: Some(Arc::new(root)),
        }],
        error_caching: BTreeMap::from([(404, ERROR_CACHING)]),
        tag_header: None,
    }
}

/// Returns the response to GetDistributionConfig.
pub fn config() -> String {
    let parts = parts();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <DistributionConfig xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\">\
         <CallerReference>soak</CallerReference>\
         <DefaultRootObject>{DEFAULT_ROOT_OBJECT}</DefaultRootObject>{parts}\
         </DistributionConfig>"
    )
}

/// Returns the response to ListDistributions.
pub fn list() -> String {
    let parts = parts();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <DistributionList xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\">\
         <Marker/><MaxItems>100</MaxItems><IsTruncated>false</IsTruncated><Quantity>1</Quantity>\
         <Items><DistributionSummary><Id>{DISTRIBUTION}</Id>\
         <ARN>arn:aws:cloudfront::111122223333:distribution/{DISTRIBUTION}</ARN>\
         <Status>Deployed</Status><LastModifiedTime>2026-01-01T00:00:00.000Z</LastModifiedTime>\
         <DomainName>{HOST}</DomainName>{parts}\
         <Staging>false</Staging></DistributionSummary></Items></DistributionList>"
    )
}

/// Returns the elements that a configuration and a summary have in common.
fn parts() -> String {
    format!(
        "<Aliases><Quantity>0</Quantity></Aliases>\
         <Origins><Quantity>1</Quantity><Items><Origin><Id>site</Id>\
         <DomainName>{BUCKET}.s3.us-east-1.amazonaws.com</DomainName><OriginPath/>\
         <CustomHeaders><Quantity>0</Quantity></CustomHeaders>\
         <S3OriginConfig><OriginAccessIdentity/></S3OriginConfig></Origin></Items></Origins>\
         <OriginGroups><Quantity>0</Quantity></OriginGroups>\
         <DefaultCacheBehavior><TargetOriginId>site</TargetOriginId>\
         <ViewerProtocolPolicy>redirect-to-https</ViewerProtocolPolicy>\
         <LambdaFunctionAssociations><Quantity>0</Quantity></LambdaFunctionAssociations>\
         <FunctionAssociations><Quantity>0</Quantity></FunctionAssociations>\
         <CachePolicyId>658327ea-f89d-4fab-a63d-7e88639e58f6</CachePolicyId></DefaultCacheBehavior>\
         <CacheBehaviors><Quantity>0</Quantity></CacheBehaviors>\
         <CustomErrorResponses><Quantity>0</Quantity></CustomErrorResponses>\
         <Comment/><PriceClass>PriceClass_All</PriceClass><Enabled>true</Enabled>\
         <ViewerCertificate><CloudFrontDefaultCertificate>true</CloudFrontDefaultCertificate>\
         </ViewerCertificate><Restrictions><GeoRestriction><RestrictionType>none</RestrictionType>\
         <Quantity>0</Quantity></GeoRestriction></Restrictions><WebACLId/>\
         <HttpVersion>http2</HttpVersion><IsIPV6Enabled>true</IsIPV6Enabled>"
    )
}
