//! The body of CreateInvalidation, and the rules for its form and its paths.
//!
//! Paths: <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/invalidation-specifying-objects.html>

use roxmltree::{Document, Node};

use super::xml::XMLNS;
use super::{BATCH_TOO_LARGE, INVALID_PATHS};
use crate::standin::fault::ApiError;

const MAX_PATHS: usize = 3_000;
const MAX_PATH_CHARACTERS: usize = 4_000;
const MAX_TAG_CHARACTERS: usize = 256;
const MAX_REFERENCE_CHARACTERS: usize = 128;

/// An invalidation batch as it was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) reference: String,
    pub(super) paths: Vec<String>,
    quantity: usize,
}

impl Batch {
    /// Reads a batch without checking its values.
    pub(super) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        if body.is_empty() {
            let message = "This operation requires a body.";
            return Err(ApiError::new(400, "MissingBody", message));
        }
        let malformed = "The request is not well-formed.";
        Self::read(body).ok_or_else(|| ApiError::new(400, "MalformedInput", malformed))
    }

    fn read(body: &[u8]) -> Option<Self> {
        let document = Document::parse(std::str::from_utf8(body).ok()?).ok()?;
        let root = document.root_element();
        let paths = child(root, "Paths")?;
        let items = child(paths, "Items").into_iter();
        let items = items.flat_map(|items| items.children().filter(Node::is_element));
        let text = |node: Node| node.text().unwrap_or_default().to_owned();
        root.has_tag_name((XMLNS, "InvalidationBatch"))
            .then_some(Self {
                reference: child(root, "CallerReference").map(text)?,
                quantity: child(paths, "Quantity").map(text)?.parse().ok()?,
                paths: items.map(text).collect(),
            })
    }

    /// Checks the values of a batch in CloudFront's order.
    pub(super) fn check(&self) -> Result<(), ApiError> {
        if self.quantity != self.paths.len() {
            let message = "The value of Quantity and the size of Items don't match.";
            return Err(ApiError::new(400, "InconsistentQuantities", message));
        }
        if !(1..=MAX_REFERENCE_CHARACTERS).contains(&self.reference.chars().count()) {
            let message = "The caller reference must have 1 to 128 characters.";
            return Err(ApiError::new(400, "InvalidArgument", message));
        }
        if self.paths.is_empty() || !self.paths.iter().all(|path| is_valid(path)) {
            return Err(ApiError::new(400, "InvalidArgument", INVALID_PATHS));
        }
        if self.paths.len() > MAX_PATHS {
            return Err(ApiError::new(413, "BatchTooLarge", BATCH_TOO_LARGE));
        }
        Ok(())
    }
}

fn child<'a, 'input>(node: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    node.children().find(|child| child.has_tag_name(name))
}

fn is_valid(path: &str) -> bool {
    match path.strip_prefix('#') {
        Some(tag) => {
            let legal = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b',' | b'*');
            (1..=MAX_TAG_CHARACTERS).contains(&tag.len()) && tag.bytes().all(legal)
        }
        None => {
            let before_wildcard = path.strip_suffix('*').unwrap_or(path);
            path.starts_with('/')
                && path.len() <= MAX_PATH_CHARACTERS
                && before_wildcard.bytes().all(is_safe)
                && before_wildcard
                    .split('%')
                    .skip(1)
                    .all(starts_with_two_hex_digits)
        }
    }
}

/// Returns whether a byte is allowed unencoded; RFC 1738's unsafe characters must be percent-encoded.
fn is_safe(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"<>\"#{}|\\^~[]`*".contains(&byte)
}

fn starts_with_two_hex_digits(text: &str) -> bool {
    text.len() >= 2 && text.bytes().take(2).all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::super::xml::create_request;
    use super::*;

    #[test]
    fn only_paths_that_cloudfront_accepts_are_valid() {
        let longest = format!("/{}", "a".repeat(3_999));
        let too_long = format!("{longest}a");
        let (longest_tag, tag_too_long) = ("#".to_owned() + &"t".repeat(256), "t".repeat(257));
        let tag_too_long = format!("#{tag_too_long}");
        for valid in [
            "/",
            "/*",
            "/a",
            "/a*",
            "/a/*",
            "/a%20b",
            "/%C3%A9",
            "/a?b=1&c=(d)",
            "/a+b,c;d'e!$@:",
            "#tag",
            "#product:electronics",
            "#~[<",
            &longest,
            &longest_tag,
        ] {
            assert!(is_valid(valid), "{valid}");
        }
        for invalid in [
            "",
            "a",
            "*",
            "https://www.example.com/a",
            "/a*b",
            "/**",
            "/a b",
            "/é",
            "/a\tb",
            "/a\u{7f}",
            "/a<",
            "/a>",
            "/a\"",
            "/a#b",
            "/a{",
            "/a}",
            "/a|",
            "/a\\",
            "/a^",
            "/a~",
            "/a[",
            "/a]",
            "/a`",
            "/a%",
            "/a%2",
            "/a%zz",
            "/a%2*",
            "#",
            "#a,b",
            "#a*",
            "#a b",
            "#é",
            &too_long,
            &tag_too_long,
        ] {
            assert!(!is_valid(invalid), "{invalid}");
        }
    }

    #[test]
    fn each_malformed_batch_has_its_own_error_code() {
        let request = create_request("r", &["/a"]);
        let invalid = |reference: &str, paths: &[&str], message| {
            let body = create_request(reference, paths);
            (body, 400, "InvalidArgument", message)
        };
        let malformed = |body| {
            (
                body,
                400,
                "MalformedInput",
                "The request is not well-formed.",
            )
        };
        let reference = "The caller reference must have 1 to 128 characters.";
        let quantity = "The value of Quantity and the size of Items don't match.";
        let no_body = "This operation requires a body.";
        let too_many = create_request("r", &["/a"; 3_001]);
        let two_for_one = request.replace("y>1<", "y>2<");
        for (body, status, code, message) in [
            (String::new(), 400, "MissingBody", no_body),
            malformed("{}".to_owned()),
            malformed(request.replace("<Quantity>1</Quantity>", "")),
            malformed(request.replace(XMLNS, "")),
            (two_for_one, 400, "InconsistentQuantities", quantity),
            invalid("", &["/a"], reference),
            invalid(&"r".repeat(129), &["/a"], reference),
            invalid("r", &[], INVALID_PATHS),
            invalid("r", &["/a", "b"], INVALID_PATHS),
            (too_many, 413, "BatchTooLarge", BATCH_TOO_LARGE),
        ] {
            let checked = Batch::parse(body.as_bytes()).and_then(|batch| batch.check());
            assert_eq!(checked, Err(ApiError::new(status, code, message)));
        }
    }
}
