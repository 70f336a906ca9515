//! `ViewerAccess`: under which domain names viewers reach a distribution, and what keeps them out.
//!
//! CloudFront checks signatures, AWS WAF and geographic restrictions before its cache. A viewer that is refused there does
//! not see the copy, which other viewers can still get.

/// How viewers reach a distribution.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ViewerAccess {
    /// The domain name that CloudFront gave it, such as `d111111abcdef8.cloudfront.net`; `None` if it cannot be read.
    pub domain_name: Option<String>,
    /// The path patterns of the cache behaviors that require signed URLs or cookies.
    pub signed: Vec<String>,
    /// The path patterns of the cache behaviors with a function that can change responses.
    pub changed_responses: Vec<String>,
    /// Whether it has a web ACL of AWS WAF.
    pub web_acl: bool,
    /// Whether some countries are blocked.
    pub geo_restriction: bool,
    /// Whether viewers get a custom error page in place of the status 403, also for a request that CloudFront refused.
    pub forbidden_page: bool,
}

impl ViewerAccess {
    /// Returns the host that a verification requests: the first alias that is not a wildcard, else CloudFront's domain name.
    pub fn host<'a>(&'a self, aliases: &'a [String]) -> Option<&'a str> {
        let alias = aliases.iter().find(|alias| !alias.starts_with('*'));
        alias.map(String::as_str).or(self.domain_name.as_deref())
    }

    /// Returns whether a refusal looks like an error of the origin.
    pub(super) fn hides_refusals(&self) -> bool {
        self.forbidden_page && (self.web_acl || self.geo_restriction)
    }

    /// Returns what possibly refused a viewer before the cache, as text.
    pub(super) fn possible_refusals(&self) -> String {
        let refusals = [
            (self.web_acl, "AWS WAF"),
            (self.geo_restriction, "the geographic restriction"),
        ];
        let configured = refusals.iter().filter(|(is_set, _)| *is_set);
        let configured: Vec<_> = configured.map(|(_, name)| *name).collect();
        match configured.as_slice() {
            [] => "a function or AWS WAF".to_owned(),
            names => names.join(" or "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_the_first_alias_or_else_the_domain_name() {
        let access = ViewerAccess {
            domain_name: Some("d1.cloudfront.net".into()),
            ..ViewerAccess::default()
        };
        for (aliases, expected) in [
            (vec![], "d1.cloudfront.net"),
            (vec!["*.example.com"], "d1.cloudfront.net"),
            (
                vec!["*.example.com", "www.example.com", "example.com"],
                "www.example.com",
            ),
        ] {
            let aliases: Vec<_> = aliases.into_iter().map(str::to_owned).collect();
            assert_eq!(access.host(&aliases), Some(expected));
        }
        assert_eq!(ViewerAccess::default().host(&[]), None);
    }
}
