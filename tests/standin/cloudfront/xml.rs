//! The XML of CloudFront's responses.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use roxmltree::{Document, Node};

use super::{Invalidation, MAX_LISTED};
use crate::standin::clock::iso8601;
use crate::standin::fault::{ACCOUNT, ApiError};

pub(super) const XMLNS: &str = "http://cloudfront.amazonaws.com/doc/2020-05-31/";
pub(crate) const REQUEST_ID: &str = "00000000-0000-4000-8000-000000000000";

/// Writes the response of CreateInvalidation and GetInvalidation.
pub(super) fn invalidation(invalidation: &Invalidation, in_progress: bool) -> String {
    let batch = &invalidation.batch;
    format!(
        "<Invalidation xmlns=\"{XMLNS}\">{}<InvalidationBatch>{}</InvalidationBatch></Invalidation>",
        summary(invalidation, in_progress),
        batch_content(&batch.reference, &batch.paths)
    )
}

/// Writes the part that a list and a single invalidation have in common.
pub(super) fn summary(invalidation: &Invalidation, in_progress: bool) -> String {
    let status = if in_progress {
        "InProgress"
    } else {
        "Completed"
    };
    let created = iso8601(invalidation.created);
    let id = &invalidation.id;
    format!("<Id>{id}</Id><CreateTime>{created}</CreateTime><Status>{status}</Status>")
}

fn batch_content(reference: &str, paths: &[String]) -> String {
    let items = paths
        .iter()
        .map(|path| format!("<Path>{}</Path>", escape(path)));
    format!(
        "<Paths><Quantity>{}</Quantity><Items>{}</Items></Paths><CallerReference>{}\
         </CallerReference>",
        paths.len(),
        items.collect::<String>(),
        escape(reference)
    )
}

/// Writes the body of a CreateInvalidation.
#[cfg(test)]
pub(super) fn create_request(reference: &str, paths: &[&str]) -> String {
    let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
    let content = batch_content(reference, &paths);
    format!("<InvalidationBatch xmlns=\"{XMLNS}\">{content}</InvalidationBatch>")
}

/// Writes a page of ListInvalidations from its summaries.
pub(super) fn list(marker: &str, next_marker: Option<&str>, summaries: &[String]) -> String {
    let next = next_marker.map(|next| format!("<NextMarker>{next}</NextMarker>"));
    let items = summaries
        .iter()
        .map(|summary| format!("<InvalidationSummary>{summary}</InvalidationSummary>"));
    format!(
        "<InvalidationList xmlns=\"{XMLNS}\"><Marker>{marker}</Marker>{}<MaxItems>{MAX_LISTED}\
         </MaxItems><IsTruncated>{}</IsTruncated><Quantity>{}</Quantity><Items>{}</Items>\
         </InvalidationList>",
        next.unwrap_or_default(),
        next_marker.is_some(),
        summaries.len(),
        items.collect::<String>()
    )
}

/// Writes GetDistribution. The distribution was deployed before the stand-in started.
pub(super) fn distribution(
    id: &str,
    domain: &str,
    in_progress: usize,
    configuration: &str,
) -> String {
    let root = configuration.find("<DistributionConfig").unwrap_or(0);
    format!(
        "<Distribution xmlns=\"{XMLNS}\"><Id>{id}</Id>\
         <ARN>arn:aws:cloudfront::{ACCOUNT}:distribution/{id}</ARN><Status>Deployed</Status>\
         <LastModifiedTime>2025-12-01T00:00:00.000Z</LastModifiedTime>\
         <InProgressInvalidationBatches>{in_progress}</InProgressInvalidationBatches>\
         <DomainName>{}</DomainName>{}</Distribution>",
        escape(domain),
        &configuration[root..]
    )
}

/// Returns the domain name of a distribution in a page of ListDistributions.
pub(super) fn listed_domain(list: &str, id: &str) -> Option<String> {
    let document = Document::parse(list).ok()?;
    let mut nodes = document.descendants();
    let text = |node: Node, name: &str| {
        let mut children = node.children();
        let child = children.find(|child| child.has_tag_name(name))?;
        child.text().map(str::to_owned)
    };
    let summary = nodes.find(|node| {
        node.has_tag_name("DistributionSummary") && text(*node, "Id").as_deref() == Some(id)
    })?;
    text(summary, "DomainName")
}

/// Returns the text of the first element with a name, from another server's response.
pub(crate) fn text_of(response: &[u8], name: &str) -> Option<String> {
    let document = Document::parse(std::str::from_utf8(response).ok()?).ok()?;
    let mut nodes = document.descendants();
    let found = nodes.find(|node| node.has_tag_name(name))?;
    found.text().map(str::to_owned)
}

/// Writes an error as CloudFront does.
pub(crate) fn error_response(error: &ApiError) -> Response {
    let kind = if error.status >= 500 {
        "Receiver"
    } else {
        "Sender"
    };
    let document = format!(
        "<ErrorResponse xmlns=\"{XMLNS}\"><Error><Type>{kind}</Type><Code>{}</Code><Message>{}\
         </Message></Error><RequestId>{REQUEST_ID}</RequestId></ErrorResponse>",
        error.code,
        escape(&error.message)
    );
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST);
    (status, response(document)).into_response()
}

/// Writes a response whose body is this document.
pub(super) fn response(document: String) -> Response {
    let headers = [
        ("content-type", "text/xml"),
        ("x-amzn-requestid", REQUEST_ID),
    ];
    (headers, document).into_response()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
