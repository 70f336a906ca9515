//! `Features`: what a configuration decides about the invalidations of a distribution as a whole.
//!
//! A [`Site`](super::Site) decides under which paths an object is cached. This is the rest: whether cache tags have an
//! effect, whether viewers can get copies of a second distribution, and whether CloudFront accepts invalidations of the
//! distribution at all.
//!
//! Configurations: <https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_DistributionConfig.html>

use crate::distribution::DistributionId;
use crate::error::Error;
use crate::excerpt::{Excerpt, MAX_NOTED};
use crate::path::InvalidationPath;

/// What a configuration decides about the invalidations of a distribution as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// The response header from which CloudFront reads cache tags. `None` also if only the summary of a list is known.
    pub cache_tag_header: Option<String>,
    /// The continuous deployment policy. If it is enabled, some viewers get copies of a staging distribution.
    pub continuous_deployment_policy: Option<String>,
    /// Whether this is a staging distribution.
    pub staging: bool,
    /// Whether viewers reach it through distribution tenants only.
    pub tenants_only: bool,
}

impl Features {
    /// Checks that the cache tags among the paths can have an effect.
    ///
    /// # Errors
    ///
    /// Returns an [`Error`] that lists the tags if CloudFront reads no tags for this distribution. It would accept them
    /// and invalidate nothing
    /// ([documentation](https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/invalidation-by-tags.html)).
    pub fn check_tags(
        &self,
        distribution: &DistributionId,
        paths: &[InvalidationPath],
    ) -> Result<(), Error> {
        let tags = paths.iter().filter(|path| path.is_tag());
        let mut tags: Vec<_> = tags.map(InvalidationPath::as_str).collect();
        if tags.is_empty() || self.cache_tag_header.is_some() {
            return Ok(());
        }
        tags.sort_unstable();
        tags.dedup();
        let tags: Excerpt<MAX_NOTED> = tags.into_iter().collect();
        Err(Error::invalid_input(format!(
            "distribution {distribution} has no cache tag header (CacheTagConfig), so CloudFront would report success \
             for {tags} and invalidate nothing: add CacheTagConfig to the distribution, or send paths"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_tags_without_a_header_and_lists_five() {
        let distribution = DistributionId::parse("E2EXAMPLE1ABC").expect("an id");
        let with_header = Features {
            cache_tag_header: Some("cache-tag".into()),
            ..Features::default()
        };
        let refused = |tags: &str| {
            Err(format!(
                "distribution E2EXAMPLE1ABC has no cache tag header (CacheTagConfig), so CloudFront would report success \
                 for {tags} and invalidate nothing: add CacheTagConfig to the distribution, or send paths"
            ))
        };
        for (features, paths, result) in [
            (Features::default(), vec!["/a", "/b/*"], Ok(())),
            (with_header, vec!["/a", "#b"], Ok(())),
            (Features::default(), vec!["#b", "/a", "#b"], refused("#b")),
            (
                Features::default(),
                vec!["#g", "#f", "#e", "#d", "#c", "#b", "#a"],
                refused("#a #b #c #d #e and 2 more"),
            ),
        ] {
            let paths: Vec<_> = paths
                .into_iter()
                .map(|path| InvalidationPath::parse(path).expect("a path"))
                .collect();
            let checked = features.check_tags(&distribution, &paths);
            assert_eq!(checked.map_err(|error| error.to_string()), result);
        }
    }
}
