//! The examples at the end of each command's `--help`. `tests/docs` parses them. Each fits into 80 columns.

/// Examples of `create`.
pub(super) const CREATE: &str = "\
Examples:
  cf-invalidate create -d E2EXAMPLE1ABCD /index.html '/blog/*' --wait
  cf-invalidate create -d www.example.com '#release' --wait=90s --yes
  cf-invalidate create --from-s3-sync changes.txt --site public --retry=5m
  cf-invalidate create -d www.example.com --batch batch.json --output json";

/// Examples of `plan`.
pub(super) const PLAN: &str = "\
Examples:
  cf-invalidate plan /index.html '/blog/*' '#release'
  cf-invalidate plan --keys-from keys.txt -d www.example.com
  cf-invalidate plan --from-s3-sync changes.txt --site public --max-paths 5";

/// Examples of `verify`.
pub(super) const VERIFY: &str = "\
Examples:
  cf-invalidate verify -d www.example.com / /about.html '/blog/*'
  cf-invalidate verify --from-s3-sync changes.txt --site public
  cf-invalidate verify -d www.example.com --last --from FRA56-P4,IAD89-C1";

/// Examples of `status`.
pub(super) const STATUS: &str = "\
Examples:
  cf-invalidate status -d www.example.com
  cf-invalidate status -d E2EXAMPLE1ABCD I3K9EXAMPLE --wait=5m";

/// Examples of `list`.
pub(super) const LIST: &str = "\
Examples:
  cf-invalidate list -d www.example.com --max 3
  cf-invalidate list -d E2EXAMPLE1ABCD -d E3EXAMPLE1ABCD --output json";

/// Examples of `distributions`.
pub(super) const DISTRIBUTIONS: &str = "\
Examples:
  cf-invalidate distributions
  cf-invalidate distributions --profile production --output json";

/// Examples of `usage`.
pub(super) const USAGE: &str = "\
Examples:
  cf-invalidate usage
  cf-invalidate usage --month 2026-01 --output json";

/// Examples of `invoke`.
pub(super) const INVOKE: &str = "\
Examples:
  cf-invalidate invoke events/s3-object-created.json -d E2EXAMPLE1ABCD
  cf-invalidate invoke event.json --timeout 5m -v";

/// Examples of `replay`. A URL does not fit into a line.
pub(super) const REPLAY: &str = "\
Examples:
  cf-invalidate replay \"$UNDELIVERED_QUEUE_URL\" --dry-run
  cf-invalidate replay \"$UNDELIVERED_QUEUE_URL\" --output json
  cf-invalidate replay \"$DEAD_LETTER_QUEUE_URL\" --to \"$QUEUE_URL\"";

/// Examples of `completions`.
pub(super) const COMPLETIONS: &str = "\
Examples:
  cf-invalidate completions bash > /etc/bash_completion.d/cf-invalidate
  cf-invalidate completions fish | source";
