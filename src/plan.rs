//! From paths to the batch of one CreateInvalidation call: least harm to unchanged objects, then fewest paths.
//!
//! `batch` holds the paths of one request with its caller reference, `limits` every limit and quota with its source,
//! `collapse` the choice of wildcards within the limits, `existing` what the invalidations that exist already cover, `reuse` what
//! a caller reference means that was used before.
//!
//! Only these rules make a wildcard (`docs/how-paths-are-chosen.md` has the reasons and their sources):
//!
//! | rule | example | code |
//! |---|---|---|
//! | the user wrote a `*` at the end | `/blog/*` | [`InvalidationPath::parse`] |
//! | the user's text has a character with an ambiguous encoding | `/a b` → `/a*` | [`InvalidationPath::parse`] |
//! | a pipeline job names no paths, or `create --yes` gets none | `/*` | `trigger::user_parameters`, `cli::create` |
//! | the key has an ambiguous encoding or a dot segment, or is empty | `a+b.html` → `/a*` | [`InvalidationPath::from_object_key`] |
//! | the key has more than four spellings, or is too long for a path | `a, b & c.html` → `/a*` | [`InvalidationPath::from_object_key`] |
//! | query strings are, or may be, in the cache key | `/a.css` → `/a.css*` | [`InvalidationPath::with_query_strings`] |
//! | the object is an error page, or a single-page application | `404.html` → `/*` | [`Site::cached_paths`](crate::site::Site::cached_paths) |
//! | the site's objects are known, and the wildcard drops no unchanged object | all of `/old/` → `/old/*` | [`collapse::collapse`] |
//! | there are more paths or wildcards than the limits allow | 50 pages → `/blog/*` | [`collapse::collapse`] |
//! | the limits shrink: quota in use, a backlog | 12 in progress → 3 left | [`Limits::remaining`], [`Limits::for_backlog`] |
//! | the limits shrink: the paths that are left of a day's budget | 17 paths → 3 | `handler::budget` |
//! | the limits shrink: the month's free paths with `create --free-only` | 20 paths → 10 | `cli::preflight` |
//!
//! [`InvalidationPath::parse`]: crate::path::InvalidationPath::parse
//! [`InvalidationPath::from_object_key`]: crate::path::InvalidationPath::from_object_key
//! [`InvalidationPath::with_query_strings`]: crate::path::InvalidationPath::with_query_strings

pub mod batch;
pub mod collapse;
pub mod existing;
pub mod limits;
pub mod reuse;

pub use self::batch::{Batch, CallerReference};
pub use self::collapse::{Collapsed, Inventory, Merged};
pub use self::existing::{ExistingInvalidation, ExistingPaths, InvalidationId, InvalidationStatus};
pub use self::limits::Limits;
