//! The hosts of the URLs that a user wrote. A path has no host, so a URL of another site would silently become a path of
//! the distribution. The hosts are compared with the domain names of the distributions: by the command line before each
//! request, by the function for direct invocations.

/// Returns the host of a URL in lower case, without a port; `None` if the text is not a URL.
pub(crate) fn host(text: &str) -> Option<String> {
    let (scheme, rest) = text.trim().split_once("://")?;
    let is_web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    let authority = rest.split(['/', '?', '#']).next().filter(|_| is_web)?;
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default();
    (!host.is_empty()).then(|| host.trim_end_matches('.').to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_host_of_a_url() {
        for (text, expected) in [
            (
                "https://www.example.com/a?b=https://c.example.com/",
                Some("www.example.com"),
            ),
            (" HTTP://WWW.Example.com. ", Some("www.example.com")),
            (
                "https://user:password@www.example.com:8443/a",
                Some("www.example.com"),
            ),
            ("https://www.example.com?a", Some("www.example.com")),
            ("https://", None),
            ("/a?b=https://c.example.com/", None),
            ("www.example.com/a", None),
            ("#tag", None),
        ] {
            assert_eq!(host(text).as_deref(), expected, "{text}");
        }
    }
}
