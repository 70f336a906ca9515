//! From paths to the batch of one CreateInvalidation call, with as few paths as possible.
//!
//! `batch` holds the paths of one request with its caller reference, `limits` every limit and quota with its source,
//! `collapse` the choice of wildcards within the limits, `existing` what the invalidations that exist already cover.
//!
//! A path that is sent becomes a wildcard by one of these rules only:
//!
//! | rule | example | code |
//! |---|---|---|
//! | the user wrote a `*` at the end | `/blog/*` | [`InvalidationPath::parse`] |
//! | a pipeline job or `create --yes` names no paths | `/*` | `trigger::user_parameters`, `cli::create` |
//! | the user's text has a character with an ambiguous encoding | `/a b` → `/a*` | [`InvalidationPath::parse`] |
//! | the key has a character with an ambiguous encoding, or a dot segment | `a+b.html` → `/a*` | [`InvalidationPath::from_object_key`] |
//! | the key has more than four spellings, or is too long for one path | `a, b & c, d.html` → `/a*` | [`InvalidationPath::from_object_key`] |
//! | query strings are, or may be, part of the cache key | `/a.css` → `/a.css*` | [`InvalidationPath::with_query_strings`] |
//! | the object is an error page or the fallback of a single-page application | `404.html` → `/*` | [`Site::cached_paths`](crate::site::Site::cached_paths) |
//! | there are more paths than the limits allow | 50 files in `/blog/` → `/blog/*` | [`collapse::collapse`] |
//! | a backlog must drain with one path | many files → `/*` | [`Limits::for_backlog`] |
//!
//! [`InvalidationPath::parse`]: crate::path::InvalidationPath::parse
//! [`InvalidationPath::from_object_key`]: crate::path::InvalidationPath::from_object_key
//! [`InvalidationPath::with_query_strings`]: crate::path::InvalidationPath::with_query_strings

pub mod batch;
pub mod collapse;
pub mod existing;
pub mod limits;

pub use self::batch::{Batch, CallerReference};
pub use self::collapse::{Collapsed, Inventory, Merged};
pub use self::existing::{ExistingInvalidation, InvalidationId};
pub use self::limits::Limits;
