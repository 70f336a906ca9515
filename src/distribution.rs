//! `DistributionId`: which distribution is meant, checked where it is read.
//!
//! crates.io invalidated the wrong distribution for nine days because ids travelled as strings. An id is made from
//! outside text only by [`DistributionId::parse`], which refuses what is surely none: a domain name, an ARN, an
//! invalidation's path.

use std::fmt;

use serde::Serialize;

/// A distribution's id, such as `E2EXAMPLE1ABC`: capital letters and digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct DistributionId(String);

impl DistributionId {
    /// Reads an id; white space around it is dropped.
    ///
    /// # Errors
    ///
    /// [`DistributionIdError`] for anything but 8 to 32 capital letters and digits.
    pub fn parse(text: &str) -> Result<Self, DistributionIdError> {
        let id = text.trim();
        let taken = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        if !(8..=32).contains(&id.len()) || !id.bytes().all(taken) {
            return Err(DistributionIdError(id.to_owned()));
        }
        Ok(Self(id.to_owned()))
    }

    /// Returns the id as CloudFront gets it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DistributionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is no distribution's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DistributionIdError(String);

impl fmt::Display for DistributionIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is no distribution id: write one such as E2EXAMPLE1ABC",
            self.0
        )
    }
}

impl std::error::Error for DistributionIdError {}

/// How people name a distribution: by its id, or by a domain name that leads to it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DistributionName {
    /// Its id.
    Id(DistributionId),
    /// An alias such as `www.example.com` or its own domain name, `d111111abcdef8.cloudfront.net`; in lower case.
    Domain(String),
}

impl DistributionName {
    /// Reads a name; white space around it is dropped.
    ///
    /// # Errors
    ///
    /// [`DistributionNameError`] for what can be neither an id nor a domain name.
    pub fn parse(text: &str) -> Result<Self, DistributionNameError> {
        let text = text.trim();
        if let Ok(id) = DistributionId::parse(text) {
            return Ok(Self::Id(id));
        }
        let taken =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'*' | b'_');
        let labels = || text.split('.');
        if text.len() > 253
            || labels().count() < 2
            || labels().any(str::is_empty)
            || !text.bytes().all(taken)
        {
            return Err(DistributionNameError(text.to_owned()));
        }
        Ok(Self::Domain(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for DistributionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::Domain(domain) => f.write_str(domain),
        }
    }
}

/// A text that is neither a distribution's id nor a domain name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DistributionNameError(String);

impl fmt::Display for DistributionNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is neither a distribution id such as E2EXAMPLE1ABC nor a domain name such as www.example.com",
            self.0
        )
    }
}

impl std::error::Error for DistributionNameError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_name_as_people_give_it() {
        let domain = |text: &str| Ok(DistributionName::Domain(text.to_owned()));
        for (text, name) in [
            (
                "E2EXAMPLE1ABC",
                Ok(DistributionName::Id(DistributionId("E2EXAMPLE1ABC".into()))),
            ),
            ("WWW.example.com ", domain("www.example.com")),
            (
                "d111111abcdef8.cloudfront.net",
                domain("d111111abcdef8.cloudfront.net"),
            ),
            ("*.example.com", domain("*.example.com")),
        ] {
            assert_eq!(DistributionName::parse(text), name, "{text}");
        }
        for text in [
            "",
            "example",
            "https://www.example.com",
            "/index.html",
            "www..com",
            "[]",
            ".com",
            "a b.com",
        ] {
            let error = DistributionName::parse(text).expect_err(text);
            assert_eq!(
                error.to_string(),
                format!(
                    "{text:?} is neither a distribution id such as E2EXAMPLE1ABC nor a domain name such as \
                     www.example.com"
                )
            );
        }
    }

    #[test]
    fn reads_an_id_and_refuses_what_is_none() {
        assert_eq!(
            DistributionId::parse(" E2EXAMPLE1ABC\n").map(|id| id.0),
            Ok("E2EXAMPLE1ABC".into())
        );
        for text in [
            "",
            "www.example.com",
            "d111111abcdef8.cloudfront.net",
            "/*",
            "e2example1abc",
            "E2",
        ] {
            let error = DistributionId::parse(text).expect_err(text);
            assert_eq!(
                error.to_string(),
                format!("{text:?} is no distribution id: write one such as E2EXAMPLE1ABC")
            );
        }
    }
}
