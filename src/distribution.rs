//! `DistributionId` and `DistributionName`: references to a distribution, validated when they are parsed; `DomainNames`: the
//! names that it has.
//!
//! crates.io invalidated the wrong distribution for nine days because its ids were plain strings. Here
//! [`DistributionId::parse`] is the only way to create an id, and it rejects other text, such as a domain name, an ARN
//! or the path of an invalidation.
//!
//! Ids in the API: <https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_DistributionSummary.html>

use std::fmt;

use serde::Serialize;

/// A distribution's id, such as `E2EXAMPLE1ABC`: capital letters and digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct DistributionId(String);

impl DistributionId {
    /// Parses an id. Surrounding white space is ignored.
    ///
    /// # Errors
    ///
    /// Returns a [`DistributionIdError`] if the text is not 8 to 32 capital letters and digits.
    pub fn parse(text: &str) -> Result<Self, DistributionIdError> {
        let id = text.trim();
        let is_allowed = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        if !(8..=32).contains(&id.len()) || !id.bytes().all(is_allowed) {
            return Err(DistributionIdError(id.to_owned()));
        }
        Ok(Self(id.to_owned()))
    }

    /// Returns the text that is sent to CloudFront.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DistributionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is not a distribution's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DistributionIdError(String);

impl fmt::Display for DistributionIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is not a distribution id: write one such as E2EXAMPLE1ABC",
            self.0
        )
    }
}

impl std::error::Error for DistributionIdError {}

/// The domain names of a distribution.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DomainNames {
    /// Its alternate domain names, such as `www.example.com` or `*.example.com`.
    pub aliases: Vec<String>,
    /// The one that CloudFront gave it, such as `d111111abcdef8.cloudfront.net`; `None` if it cannot be read.
    pub domain_name: Option<String>,
}

impl DomainNames {
    /// Returns all of them, the aliases first.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        let all = self.aliases.iter().chain(&self.domain_name);
        all.map(String::as_str)
    }

    /// Returns the one by which people know the distribution: the first alias that is not a wildcard, else CloudFront's domain
    /// name, else the first alias.
    pub fn best_known(&self) -> Option<&str> {
        let mut aliases = self.aliases.iter();
        let alias = aliases.find(|alias| !alias.starts_with('*'));
        let name = alias.or(self.domain_name.as_ref());
        name.or(self.aliases.first()).map(String::as_str)
    }
}

/// A distribution as users refer to it: by its id or by one of its domain names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DistributionName {
    /// The distribution's id.
    Id(DistributionId),
    /// An alternate domain name such as `www.example.com`, or the distribution's own, such as
    /// `d111111abcdef8.cloudfront.net`, in lower case.
    Domain(String),
}

impl DistributionName {
    /// Parses a name. Surrounding white space is ignored.
    ///
    /// # Errors
    ///
    /// Returns a [`DistributionNameError`] if the text is neither an id nor a domain name.
    pub fn parse(text: &str) -> Result<Self, DistributionNameError> {
        let text = text.trim();
        if let Ok(id) = DistributionId::parse(text) {
            return Ok(Self::Id(id));
        }
        let is_allowed =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'*' | b'_');
        let labels = || text.split('.');
        if text.len() > 253
            || labels().count() < 2
            || labels().any(str::is_empty)
            || !text.bytes().all(is_allowed)
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

/// The text is neither a distribution's id nor a domain name.
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
    fn the_best_known_name_is_an_alias_that_is_one_host() {
        for (aliases, domain_name, expected) in [
            (
                vec!["*.example.com", "www.example.com", "example.com"],
                Some("d1.cloudfront.net"),
                Some("www.example.com"),
            ),
            (
                vec!["*.example.com"],
                Some("d1.cloudfront.net"),
                Some("d1.cloudfront.net"),
            ),
            (vec!["*.example.com"], None, Some("*.example.com")),
            (vec![], None, None),
        ] {
            let names = DomainNames {
                aliases: aliases.into_iter().map(str::to_owned).collect(),
                domain_name: domain_name.map(str::to_owned),
            };
            assert_eq!(names.best_known(), expected, "{names:?}");
        }
    }

    #[test]
    fn parses_a_name_that_a_user_wrote() {
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
    fn parses_an_id_and_rejects_other_text() {
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
                format!("{text:?} is not a distribution id: write one such as E2EXAMPLE1ABC")
            );
        }
    }
}
