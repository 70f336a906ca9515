//! Compares a response with a local file.

use tokio::time::Instant;

use crate::aws::edge::EdgeContent;
use crate::cli::local_file::LocalFile;
use crate::verify::judge::ContentMatch;
use crate::verify::{Answer, EdgeResponse};

/// The most bytes of a content that are read to compare it. Several are in memory at the same time.
const MAX_COMPARED_BYTES: usize = 16 * 1024 * 1024;

/// The local file of a URL.
#[derive(Debug)]
pub(super) struct ExpectedContent {
    pub file: LocalFile,
    /// Whether the URL certainly leads to the file. Another content proves nothing if it does not.
    pub is_certain: bool,
}

/// Returns the response, and how its content compares with the file. The text is why they could not be compared.
pub(super) async fn compare(
    content: EdgeContent,
    expected: Option<&ExpectedContent>,
    deadline: Instant,
) -> (Answer, Option<ContentMatch>, Option<String>) {
    let response = content.response.clone();
    let result = match expected {
        Some(expected) if response.status == 200 => {
            let compared = compare_content(content, &response, expected, deadline).await;
            compared.map(Some)
        }
        Some(expected) => Ok(expected.is_certain.then_some(ContentMatch::NotCompared)),
        None => Ok(None),
    };
    let (content, reason) = match result {
        Ok(content) => (content, None),
        Err(reason) => (Some(ContentMatch::NotCompared), Some(reason)),
    };
    (Answer::Response(response), content, reason)
}

async fn compare_content(
    content: EdgeContent,
    response: &EdgeResponse,
    expected: &ExpectedContent,
    deadline: Instant,
) -> Result<ContentMatch, String> {
    let ExpectedContent { file, is_certain } = expected;
    // The MD5 of the file proves that it is the content. Another ETag proves nothing: it is no MD5 with SSE-KMS or after a
    // multipart upload.
    let is_same = response
        .strong_etag()
        .and_then(|etag| file.matches_etag(etag));
    if is_same == Some(true) {
        return Ok(ContentMatch::Same);
    }
    if file.max_bytes() > MAX_COMPARED_BYTES {
        return Err("the file is larger than 16 MiB".to_owned());
    }
    let bytes = content.read(file.max_bytes(), deadline).await?;
    let compared = file.compare(&bytes, response.content_encoding.as_deref())?;
    Ok(match compared {
        ContentMatch::Different if !is_certain => ContentMatch::Other,
        compared => compared,
    })
}
