//! How the documentation of invalidation paths can be read.
//!
//! Where the documentation leaves several readings, nobody outside AWS can decide which one CloudFront implements. The
//! edge evaluates all of them: a [`Reading`] is one choice in each of the three contested questions, and [`Readings`]
//! is a set of them, a bit for each combination.

/// In which spelling an invalidation path is compared with the URL that the viewer sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// Byte by byte, as both were sent. Not documented.
    AsSent,
    /// After percent-decoding both. Not documented.
    Decoded,
    /// After percent-decoding both, but only if the path encodes non-ASCII and unsafe characters and no others.
    /// Any other path matches nothing.
    /// <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/invalidation-specifying-objects.html>
    Documented,
}

/// What `/dir/*` matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Directory {
    /// `*` replaces zero or more characters, so `/dir/` too.
    /// <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/invalidation-specifying-objects.html#invalidation-specifying-objects-paths>
    Included,
    /// The files in the directory; only `/dir*` matches the directory itself. The same page.
    FilesOnly,
}

/// Which URI of a copy an invalidation path is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ComparedUri {
    /// The URI that the viewer sent.
    Viewer,
    /// The URI after a function or the default root object changed it. The documentation recommends both.
    /// <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/invalidation-specifying-objects.html#invalidation-lambda-at-edge>
    Rewritten,
}

/// One answer to each contested question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) spelling: Spelling,
    pub(super) directory: Directory,
    pub(super) uri: ComparedUri,
}

impl Reading {
    /// Returns every combination, always in the same order.
    fn all() -> impl Iterator<Item = Self> {
        let spellings = [Spelling::AsSent, Spelling::Decoded, Spelling::Documented];
        let directories = [Directory::Included, Directory::FilesOnly];
        let uris = [ComparedUri::Viewer, ComparedUri::Rewritten];
        spellings.into_iter().flat_map(move |spelling| {
            directories.into_iter().flat_map(move |directory| {
                uris.into_iter().map(move |uri| Self {
                    spelling,
                    directory,
                    uri,
                })
            })
        })
    }
}

/// A set of readings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Readings(u16);

impl Readings {
    /// Every reading.
    pub(super) const ALL: Self = Self((1 << 12) - 1);

    /// Returns the readings for which the condition holds.
    pub(super) fn holding(condition: impl Fn(Reading) -> bool) -> Self {
        let readings = Reading::all().enumerate();
        let bits = readings.filter(|(_, reading)| condition(*reading));
        Self(bits.fold(0, |bits, (index, _)| bits | 1 << index))
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn insert(&mut self, other: Self) {
        self.0 |= other.0;
    }
}
