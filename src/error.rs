//! `Error`: what failed, why, and what to do about it.
//!
//! The kind holds the facts and AWS's own message. The text is written here, once for each [`Audience`], so no other
//! code edits or searches it: [`Error::message`] is the whole text, [`Error::hint`] its second part, what to do. Code that
//! has to decide reads the [`Category`] or one of the `is_…` methods.
//!
//! An error is logged once, where it is handled; code that passes it on does not log it.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use chrono::TimeDelta;

use crate::distribution::DistributionId;
use crate::duration::age_text;
use crate::excerpt::listed;
use crate::path::PathError;

/// An error of this program or of a service that it calls.
///
/// [`Display`](fmt::Display) writes the text for the operator of the function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: Box<ErrorKind>,
    /// Where it occurred, such as `UserParameters: paths[0]: `; empty if the kind says enough.
    context: String,
}

/// Who reads an error's text: each can do something else about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Audience {
    /// The operator of the function, in the log, the pipeline's console and the dead-letter queue.
    #[default]
    Operator,
    /// A user of the command line, with the profile that the user named.
    CommandLine {
        /// The value of `--profile`.
        profile: Option<String>,
    },
}

/// What kind of error it is: decides the failure type of a pipeline job, the exit code and whether a retry can help.
///
/// Its names on the wire ([`Category::as_str`], there called the cause) are older than these names, and stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// An event, a parameter, a setting or an argument is invalid.
    InvalidInput,
    /// CloudFront rejects one of the paths and would accept the request without it.
    RejectedPath,
    /// A permission or valid credentials are missing.
    Permission,
    /// CloudFront accepts no more requests now; it does later.
    Throttled,
    /// A service or the network failed; a retry may succeed.
    Unavailable,
    /// Viewers get an old version of a URL.
    Stale,
    /// This program has a bug.
    Internal,
}

impl Category {
    /// Returns the stable name in the log field `cause`, the JSON field `failure.cause` and Lambda's `errorType`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidInput => "mistake",
            Self::RejectedPath => "path",
            Self::Permission => "permission",
            Self::Throttled => "busy",
            Self::Unavailable => "unavailable",
            Self::Stale => "stale",
            Self::Internal => "bug",
        }
    }
}

/// The facts of an error. In each, `message` is AWS's own code and message, or what happened on the way to AWS, and
/// `purpose` completes the sentence "could not …".
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    InvalidInput(String),
    /// `action` is an IAM action such as `cloudfront:CreateInvalidation`, `resource` an ARN or `*`.
    AccessDenied {
        action: String,
        resource: String,
        message: String,
    },
    /// The secret can be read, but not decrypted. `key` is the ARN of its KMS key, or which key it is in words.
    NotDecryptable {
        key: String,
        message: String,
    },
    /// AWS rejected the credentials of the request.
    InvalidCredentials {
        expired: bool,
        message: String,
    },
    /// There are none: the credential chain of the command line, or the function's environment, has none.
    NoCredentials {
        message: Option<String>,
        /// Whether the profile gets its credentials from `aws login`.
        has_login_session: bool,
    },
    /// A profile is not in the files. `source_of` is the profile that names it as its source; the user named it if it is
    /// `None`. `similar` is another one's name.
    #[cfg_attr(
        all(not(feature = "cli"), not(test)),
        expect(dead_code, reason = "the function has no profile")
    )]
    NoSuchProfile {
        profile: String,
        source_of: Option<String>,
        files: String,
        similar: Option<String>,
    },
    /// The profile's role needs an MFA code.
    #[cfg_attr(
        not(feature = "cli"),
        expect(dead_code, reason = "the function has no profile")
    )]
    MfaProfile {
        profile: String,
    },
    /// A variable of the environment or a setting of the profile, in a sentence that names it.
    #[cfg_attr(
        not(feature = "cli"),
        expect(dead_code, reason = "the function has settings of its own")
    )]
    InvalidConfiguration(String),
    /// `unclear` is why its configuration could not be read: it can be a distribution of tenants. `None` if it certainly
    /// does not exist.
    NoSuchDistribution {
        distribution: DistributionId,
        message: String,
        unclear: Option<Error>,
    },
    /// Viewers reach the distribution through distribution tenants only.
    TenantsOnly {
        distribution: DistributionId,
        message: String,
    },
    /// The SDK could not build the request.
    NotSent {
        purpose: String,
        message: String,
    },
    NoSuchInvalidation {
        purpose: String,
        message: String,
    },
    /// A request of the user has the name of another one, so CloudFront does not accept it.
    NameUsed {
        name: String,
        conflict: Conflict,
    },
    Rejected {
        purpose: String,
        message: String,
    },
    RejectedPath {
        purpose: String,
        message: String,
    },
    /// A service other than CloudFront rejected the request, and will again until somebody does what `remedy` describes.
    Refused {
        purpose: String,
        message: String,
        remedy: Option<String>,
    },
    Throttled {
        purpose: String,
        message: String,
    },
    /// CloudFront refused a batch because others are in progress. It accepts it when they are completed.
    QuotaInUse {
        purpose: String,
        message: String,
    },
    /// All wildcard invalidations that CloudFront allows are in progress, so that a call would be refused.
    NoWildcardLeft(DistributionId),
    Unavailable {
        purpose: String,
        message: String,
    },
    /// The function's deadline came before the end of the work.
    DeadlineExceeded,
    /// A request waited for completion as long as it was allowed to.
    NotCompleted {
        waited: Duration,
        end: EndOfWait,
    },
    /// CloudFront did not accept a purge of Slack within the time in which its result can be posted.
    CommandTooOld,
    /// A request failed. `text` also has what happened to each distribution.
    WithOutcome {
        error: Error,
        text: String,
    },
    /// All invalidations are completed, and viewers still get old content. `report` has the verdicts.
    StaleUrls {
        report: String,
    },
    JobNotFound {
        job: String,
        message: String,
    },
    /// CodePipeline rejected the form of a job's result.
    ResultRejected {
        result: String,
        message: String,
    },
    Panicked,
    /// At least two errors.
    Several(Vec<Error>),
}

/// What ended the wait for completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndOfWait {
    /// The limit of the request.
    Limit,
    /// The time of the function.
    FunctionTime,
}

/// Why nothing was sent under a caller reference that the user chose. `id` is the invalidation that has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Conflict {
    /// The same paths, and older than a repeated request can be.
    TooOld {
        id: String,
        age: TimeDelta,
    },
    OtherPaths {
        id: String,
    },
    /// It was not found. `error` is why it could not be searched; `None` if it is not among the newest.
    Unknown {
        error: Option<Error>,
    },
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self {
            kind: Box::new(kind),
            context: String::new(),
        }
    }
}

impl From<PathError> for Error {
    fn from(error: PathError) -> Self {
        Self::invalid_input(error.to_string())
    }
}

impl Error {
    /// Creates an error about input, from a lowercase sentence that names what is wrong and what to write instead.
    pub fn invalid_input(message: impl Into<String>) -> Self {
        ErrorKind::InvalidInput(message.into()).into()
    }

    /// Creates the error of a function that panicked; the panic itself is in the log.
    pub(crate) fn panicked() -> Self {
        ErrorKind::Panicked.into()
    }

    /// Creates the error of work that the function's deadline interrupted.
    pub(crate) fn deadline_exceeded() -> Self {
        ErrorKind::DeadlineExceeded.into()
    }

    /// Joins errors: the category is the first one's, the text is that of each. Returns `None` if there are none.
    pub fn join(errors: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut errors: Vec<_> = errors.into_iter().collect();
        match errors.len() {
            0 | 1 => errors.pop(),
            _ => Some(ErrorKind::Several(errors).into()),
        }
    }

    /// Puts the place where the error occurred before its text, such as `UserParameters` or `Records[0]`.
    pub fn context(mut self, place: impl fmt::Display) -> Self {
        self.context = format!("{place}: {}", self.context);
        self
    }

    /// Returns the error of an invalidation that none of the distributions has. `self` is the error of one of them.
    pub(crate) fn of_all(self, id: &str, distributions: &[DistributionId]) -> Self {
        let kind = match *self.kind {
            ErrorKind::NoSuchInvalidation { message, .. } => ErrorKind::NoSuchInvalidation {
                purpose: format!(
                    "read invalidation {id} of {}",
                    listed(distributions).join(" and ")
                ),
                message,
            },
            kind => kind,
        };
        Self {
            kind: Box::new(kind),
            ..self
        }
    }

    /// Returns what kind of error it is.
    pub fn category(&self) -> Category {
        match &*self.kind {
            ErrorKind::InvalidInput(_)
            | ErrorKind::InvalidConfiguration(_)
            | ErrorKind::NoSuchDistribution { .. }
            | ErrorKind::NoSuchInvalidation { .. }
            | ErrorKind::NameUsed { .. }
            | ErrorKind::TenantsOnly { .. }
            | ErrorKind::NotSent { .. }
            | ErrorKind::Refused { .. }
            | ErrorKind::Rejected { .. } => Category::InvalidInput,
            ErrorKind::RejectedPath { .. } => Category::RejectedPath,
            ErrorKind::AccessDenied { .. }
            | ErrorKind::NotDecryptable { .. }
            | ErrorKind::InvalidCredentials { .. }
            | ErrorKind::NoCredentials { .. }
            | ErrorKind::NoSuchProfile { .. }
            | ErrorKind::MfaProfile { .. } => Category::Permission,
            ErrorKind::Throttled { .. }
            | ErrorKind::QuotaInUse { .. }
            | ErrorKind::NoWildcardLeft(_) => Category::Throttled,
            ErrorKind::Unavailable { .. }
            | ErrorKind::DeadlineExceeded
            | ErrorKind::CommandTooOld
            | ErrorKind::NotCompleted { .. }
            | ErrorKind::JobNotFound { .. } => Category::Unavailable,
            ErrorKind::StaleUrls { .. } => Category::Stale,
            ErrorKind::ResultRejected { .. } | ErrorKind::Panicked => Category::Internal,
            ErrorKind::WithOutcome { error, .. } => error.category(),
            ErrorKind::Several(errors) => {
                (errors.first()).map_or(Category::Internal, Self::category)
            }
        }
    }

    /// Returns whether the same call can succeed later without anybody's help.
    pub fn is_transient(&self) -> bool {
        if let ErrorKind::WithOutcome { error, .. } = &*self.kind {
            return error.is_transient();
        }
        // Lambda renews expired credentials with the next execution environment.
        matches!(&*self.kind, ErrorKind::InvalidCredentials { expired, .. } if *expired)
            || matches!(self.category(), Category::Throttled | Category::Unavailable)
    }

    /// Returns whether AWS throttles, so that the same call can succeed in seconds. A quota in use takes longer.
    pub(crate) fn is_throttled(&self) -> bool {
        matches!(&*self.kind, ErrorKind::Throttled { .. })
    }

    /// Returns whether IAM denied the call: it can be done without where it is optional.
    pub(crate) fn is_access_denied(&self) -> bool {
        matches!(&*self.kind, ErrorKind::AccessDenied { .. })
    }

    /// Returns whether credentials are missing or AWS rejected them.
    #[cfg(feature = "cli")]
    pub(crate) fn is_credentials(&self) -> bool {
        matches!(
            &*self.kind,
            ErrorKind::InvalidCredentials { .. } | ErrorKind::NoCredentials { .. }
        )
    }

    /// Returns whether the environment or the profile is invalid.
    #[cfg(feature = "cli")]
    pub(crate) fn is_invalid_configuration(&self) -> bool {
        matches!(&*self.kind, ErrorKind::InvalidConfiguration(_))
    }

    /// Returns whether the distribution does not exist in this account.
    pub(crate) fn is_no_such_distribution(&self) -> bool {
        matches!(&*self.kind, ErrorKind::NoSuchDistribution { .. })
    }

    /// Returns the distribution that does not exist in this account, if that is the error.
    #[cfg(feature = "cli")]
    pub(crate) fn no_such_distribution(&self) -> Option<&DistributionId> {
        match &*self.kind {
            ErrorKind::NoSuchDistribution { distribution, .. } => Some(distribution),
            _ => None,
        }
    }

    /// Returns whether CloudFront does not have the invalidation, or does not return it yet.
    pub(crate) fn is_no_such_invalidation(&self) -> bool {
        matches!(&*self.kind, ErrorKind::NoSuchInvalidation { .. })
    }

    /// Returns the text for an audience: a lowercase sentence without a final period.
    pub fn message(&self, audience: &Audience) -> String {
        format!("{}{}", self.context, self.kind.text(audience).whole)
    }

    /// Returns the second part of the text: what the audience can do. `None` if it has no such part.
    pub fn hint(&self, audience: &Audience) -> Option<String> {
        self.kind.text(audience).hint
    }
}

/// The text of an error: what failed, with AWS's own message, and after it the hint, if there is one.
struct Text {
    whole: String,
    /// What to do.
    hint: Option<String>,
}

impl Text {
    /// Creates a text without a hint.
    fn of(facts: impl Into<String>) -> Self {
        Self {
            whole: facts.into(),
            hint: None,
        }
    }

    /// Adds a hint after a semicolon.
    fn hint(self, hint: impl Into<String>) -> Self {
        self.with_hint("; ", hint.into())
    }

    /// Adds a hint after a colon.
    fn remedy(self, hint: impl Into<String>) -> Self {
        self.with_hint(": ", hint.into())
    }

    fn with_hint(self, separator: &str, hint: String) -> Self {
        Self {
            whole: format!("{}{separator}{hint}", self.whole),
            hint: Some(hint),
        }
    }
}

impl ErrorKind {
    fn text(&self, audience: &Audience) -> Text {
        match self {
            Self::InvalidInput(message) | Self::InvalidConfiguration(message) => Text::of(message),
            Self::AccessDenied {
                action,
                resource,
                message,
            } => {
                let advice = access_advice(action, resource, message, audience);
                Text::of(format!(
                    "not allowed to call {action} on {resource}: {message}"
                ))
                .hint(advice)
            }
            Self::NotDecryptable { key, message } => not_decryptable(key, message, audience),
            Self::InvalidCredentials { expired, message } => {
                let advice = credentials_advice(*expired, audience);
                Text::of(format!("AWS rejected the credentials: {message}")).hint(advice)
            }
            Self::NoCredentials {
                message,
                has_login_session,
            } => no_credentials(message.as_deref(), *has_login_session, audience),
            Self::NoSuchProfile {
                profile,
                source_of,
                files,
                similar,
            } => no_such_profile(profile, source_of.as_deref(), files, similar.as_deref()),
            Self::MfaProfile { profile } => mfa_profile(profile),
            Self::NoSuchDistribution {
                distribution,
                message,
                unclear,
            } => no_such_distribution(distribution, message, unclear.as_ref(), audience),
            Self::TenantsOnly {
                distribution,
                message,
            } => tenants_only(distribution, message, audience),
            Self::NotSent { purpose, message } => {
                Text::of(format!("could not {purpose}: {message}")).hint(CHECK_THE_ENDPOINT)
            }
            Self::Rejected { purpose, message }
            | Self::RejectedPath { purpose, message }
            | Self::NoSuchInvalidation { purpose, message } => {
                let facts = format!("CloudFront rejected the request to {purpose}: {message}");
                Text::of(facts)
            }
            Self::Refused {
                purpose,
                message,
                remedy,
            } => {
                let facts = Text::of(format!("could not {purpose}: {message}"));
                match remedy {
                    Some(remedy) => facts.hint(remedy.as_str()),
                    None => facts,
                }
            }
            Self::NameUsed { name, conflict } => name_used(name, conflict, audience),
            Self::Throttled { purpose, message } | Self::QuotaInUse { purpose, message } => {
                Text::of(format!("could not {purpose} now: {message}")).hint(TRY_LATER)
            }
            Self::NoWildcardLeft(distribution) => no_wildcard_left(distribution),
            Self::Unavailable { purpose, message } => {
                Text::of(format!("could not {purpose}: {message}")).hint("try again")
            }
            Self::CommandTooOld => {
                let facts = "the slash command is more than 30 minutes old, and CloudFront has possibly not accepted all of its invalidations";
                Text::of(facts).hint("send it again if it is still needed")
            }
            Self::DeadlineExceeded => {
                let facts = Text::of("the function's time ended before its work");
                facts.remedy("raise its timeout, or try again")
            }
            Self::NotCompleted { waited, end } => {
                let waited = waited.as_secs();
                let facts =
                    format!("not completed after {waited} s; CloudFront still completes it");
                Text::of(facts).remedy(match end {
                    EndOfWait::Limit => "raise \"wait\", or set \"onTimeout\" to \"succeed\"",
                    EndOfWait::FunctionTime => {
                        "request its status with \"invalidation\", raise the function's timeout, or set \"onTimeout\" to \
                         \"succeed\""
                    }
                })
            }
            Self::WithOutcome { error, text } => Text {
                whole: text.clone(),
                hint: error.hint(&Audience::Operator),
            },
            Self::StaleUrls { report } => {
                let facts = format!("viewers still get old content: {report}");
                Text::of(facts).hint(INVALIDATE_OLD)
            }
            Self::JobNotFound { job, message } => {
                let facts = format!("could not report the result of job {job}: {message}");
                Text::of(facts).hint(CHECK_THE_REGION)
            }
            Self::ResultRejected { result, message } => Text::of(format!(
                "CodePipeline rejected the result of this job, which is a bug in this program: {message}; the result \
                 was: {result}"
            )),
            Self::Panicked => match audience {
                Audience::Operator => Text::of("the function panicked, which is a bug in it")
                    .remedy("see its log, and try again"),
                Audience::CommandLine { .. } => {
                    Text::of("the program panicked, which is a bug in it")
                        .remedy("report it with the message above")
                }
            },
            Self::Several(errors) => several(errors, audience),
        }
    }
}

/// The permission to read what is encrypted with a KMS key.
const DECRYPT: &str = "kms:Decrypt";

const INVALIDATE_OLD: &str =
    "invalidate what covers these URLs, such as \"/*\", or set \"onStale\" to \"succeed\"";
const TRY_LATER: &str = "try again in a minute";
const CHECK_THE_ENDPOINT: &str = "check the region and the endpoint";
const CHECK_THE_REGION: &str =
    "check that the function is in the region and account of the pipeline";

fn no_wildcard_left(distribution: &DistributionId) -> Text {
    let facts = format!(
        "could not invalidate {distribution} now: it needs another wildcard, and as many as CloudFront allows are in \
         progress"
    );
    Text::of(facts).hint(TRY_LATER)
}

fn not_decryptable(key: &str, message: &str, audience: &Audience) -> Text {
    let facts = Text::of(format!("not allowed to call {DECRYPT} on {key}: {message}"));
    if message.contains("explicit deny") {
        return facts.hint(access_advice(DECRYPT, key, message, audience));
    }
    facts.hint(
        "set SlackSecretKmsKeyArn to the ARN of the key, so that the function's role allows it, and allow it in the policy of \
         the key",
    )
}

fn mfa_profile(profile: &str) -> Text {
    let facts = format!(
        "profile {profile:?} assumes a role with an MFA code (mfa_serial), for which this program does not prompt"
    );
    Text::of(facts).remedy(format!(
        "name another profile, whose setting is `credential_process = aws configure export-credentials --profile \
         {profile} --format process`"
    ))
}

/// Returns the whole text of each error, and as the hint that of each, once.
fn several(errors: &[Error], audience: &Audience) -> Text {
    let mut hints: Vec<_> = errors
        .iter()
        .filter_map(|error| error.hint(audience))
        .collect();
    let mut seen = BTreeSet::new();
    hints.retain(|hint| seen.insert(hint.clone()));
    Text {
        whole: listed(errors.iter().map(|error| error.message(audience))).join("; "),
        hint: (!hints.is_empty()).then(|| listed(hints).join("; ")),
    }
}

fn no_such_distribution(
    distribution: &DistributionId,
    message: &str,
    unclear: Option<&Error>,
    audience: &Audience,
) -> Text {
    let text = Text::of(match unclear {
        None => format!("distribution {distribution} does not exist in this account ({message})"),
        Some(reason) => format!(
            "distribution {distribution} does not exist in this account, or viewers reach it through distribution \
             tenants only ({message}; {})",
            reason.message(audience)
        ),
    });
    match (audience, unclear) {
        (Audience::Operator, None) => {
            text.remedy("correct DISTRIBUTION_ID, the action's UserParameters or the event's \"distribution\"")
        }
        (Audience::Operator, Some(_)) => text.remedy(format!(
            "correct DISTRIBUTION_ID, the action's UserParameters or the event's \"distribution\", or invalidate each of its tenants with \
             {INVALIDATE_TENANT}"
        )),
        // The command line suggests similar ids.
        (Audience::CommandLine { .. }, None) => text,
        (Audience::CommandLine { .. }, Some(_)) => text.remedy(format!(
            "invalidate each of its tenants with {INVALIDATE_TENANT}, or correct the id"
        )),
    }
}

const INVALIDATE_TENANT: &str = "`aws cloudfront create-invalidation-for-distribution-tenant`";

fn tenants_only(distribution: &DistributionId, message: &str, audience: &Audience) -> Text {
    let advice = match audience {
        Audience::Operator => {
            "; if DISTRIBUTION_ID, the action's UserParameters or the event's \"distribution\" names it, remove it there; if it was found by its \
             bucket, name the other distributions in DISTRIBUTION_ID"
        }
        Audience::CommandLine { .. } => "",
    };
    Text::of(format!(
        "distribution {distribution} exists, but viewers reach it through distribution tenants only (ConnectionMode \
         tenant-only), so CloudFront does not invalidate it ({message})"
    ))
    .remedy(format!(
        "invalidate each of its tenants with {INVALIDATE_TENANT}, which this program does not call{advice}"
    ))
}

fn name_used(name: &str, conflict: &Conflict, audience: &Audience) -> Text {
    let field = match audience {
        Audience::Operator => "idempotencyKey",
        Audience::CommandLine { .. } => "reference",
    };
    let facts = match conflict {
        Conflict::TooOld { id, age } => format!(
            "{field} {name} was already used for these paths {} ago, as {id}; nothing was sent",
            age_text(*age)
        ),
        Conflict::OtherPaths { id } => {
            format!("{field} {name} was already used for other paths, as {id}; nothing was sent")
        }
        Conflict::Unknown { error: None } => format!(
            "{field} {name} was used before; its paths are unknown, because it is not among the newest 100 \
             invalidations; nothing was sent"
        ),
        Conflict::Unknown { error: Some(error) } => format!(
            "{field} {name} was used before; its paths are unknown ({}); nothing was sent",
            error.message(audience)
        ),
    };
    let advice = match (audience, conflict) {
        (Audience::CommandLine { .. }, Conflict::TooOld { id, .. }) => {
            format!("repeat it with --again {id}, or choose another name")
        }
        (Audience::CommandLine { .. }, _) => "choose another name".to_owned(),
        (Audience::Operator, _) => "send another idempotencyKey".to_owned(),
    };
    Text::of(facts).remedy(advice)
}

/// Returns what to do about a denied call, by the policy that AWS's message names
/// ([messages](https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html)).
fn access_advice(action: &str, resource: &str, message: &str, audience: &Audience) -> String {
    let principal = match audience {
        Audience::Operator => "the function's role",
        Audience::CommandLine { .. } => "the user or role that runs this command",
    };
    if message.contains("no identity-based policy allows") {
        format!(
            "add this statement to a policy of {principal}: \
             {{\"Effect\":\"Allow\",\"Action\":\"{action}\",\"Resource\":\"{resource}\"}}"
        )
    } else if message.contains("explicit deny") {
        "no Allow statement overrides an explicit deny: change the policy that the message names"
            .to_owned()
    } else if message.contains("because no ") {
        "the policy or boundary that the message names must allow the action, too".to_owned()
    } else {
        format!(
            "check that a policy of {principal} allows this action, and that no policy denies it"
        )
    }
}

fn credentials_advice(expired: bool, audience: &Audience) -> String {
    match audience {
        Audience::Operator if expired => "Lambda renews the credentials of its role: try again".to_owned(),
        Audience::Operator => {
            "check that the function's role still exists, and deploy the function again to get new credentials"
                .to_owned()
        }
        Audience::CommandLine { profile } => format!(
            "they came from {}: renew them with {}, or correct them",
            searched(profile.as_deref()),
            command("aws sso login", profile.as_deref())
        ),
    }
}

fn no_credentials(message: Option<&str>, has_login_session: bool, audience: &Audience) -> Text {
    let profile = match audience {
        Audience::Operator => None,
        Audience::CommandLine { profile } => profile.as_deref(),
    };
    let message = message.map(|message| format!(" ({message})"));
    let login = match has_login_session {
        true => command("aws login", profile),
        false => command("aws sso login", profile),
    };
    Text::of(format!(
        "found no credentials{} in {}",
        message.unwrap_or_default(),
        searched(profile)
    ))
    .remedy(format!("configure them, or run {login}"))
}

fn no_such_profile(
    profile: &str,
    source_of: Option<&str>,
    files: &str,
    similar: Option<&str>,
) -> Text {
    let role = source_of.map(|role| format!(", the source_profile of {role:?},"));
    let role = role.unwrap_or_default();
    let text = Text::of(format!(
        "profile {profile:?}{role} does not exist in {files}"
    ));
    match similar {
        Some(similar) => text.remedy(format!("did you mean {similar:?}?")),
        None => text
            .remedy("correct the name, or run `aws configure list-profiles` to see the profiles"),
    }
}

/// Returns where the credential chain looks.
fn searched(profile: Option<&str>) -> String {
    match profile {
        Some(profile) => format!(
            "profile {profile:?} of ~/.aws/config and ~/.aws/credentials, with its SSO session, process or role"
        ),
        None => "the environment (AWS_ACCESS_KEY_ID), the profile (AWS_PROFILE or default, with its SSO session, \
                 process or role), web identity (AWS_WEB_IDENTITY_TOKEN_FILE), or the role of the container or machine"
            .to_owned(),
    }
}

/// Returns the command of the AWS CLI that gets new credentials, such as `aws sso login`.
fn command(name: &str, profile: Option<&str>) -> String {
    match profile {
        Some(profile) => format!("`{name} --profile {profile}`"),
        None => format!("`{name}`"),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message(&Audience::Operator))
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(message: &str) -> Error {
        ErrorKind::AccessDenied {
            action: "cloudfront:GetInvalidation".into(),
            resource: "arn:aws-cn:cloudfront::111122223333:distribution/E2EXAMPLE1ABC".into(),
            message: format!("AccessDenied: User: arn:aws-cn:iam::111122223333:user/dev is not authorized to perform: cloudfront:GetInvalidation{message}"),
        }
        .into()
    }

    fn command_line(profile: Option<&str>) -> Audience {
        Audience::CommandLine {
            profile: profile.map(str::to_owned),
        }
    }

    #[test]
    fn advises_to_add_a_statement_only_if_no_identity_based_policy_allows_the_action() {
        let statement = "{\"Effect\":\"Allow\",\"Action\":\"cloudfront:GetInvalidation\",\
                         \"Resource\":\"arn:aws-cn:cloudfront::111122223333:distribution/E2EXAMPLE1ABC\"}";
        let add =
            |principal: &str| format!("add this statement to a policy of {principal}: {statement}");
        let check = |principal: &str| {
            format!(
                "check that a policy of {principal} allows this action, and that no policy denies it"
            )
        };
        let deny = "no Allow statement overrides an explicit deny: change the policy that the message names";
        let boundary = "the policy or boundary that the message names must allow the action, too";
        let (role, user) = (
            "the function's role",
            "the user or role that runs this command",
        );
        for (reason, operator, command) in [
            (
                " because no identity-based policy allows the cloudfront:GetInvalidation action",
                add(role),
                add(user),
            ),
            (
                " with an explicit deny in a service control policy",
                deny.into(),
                deny.into(),
            ),
            (
                " with an explicit deny in an identity-based policy",
                deny.into(),
                deny.into(),
            ),
            (
                " because no permissions boundary allows the cloudfront:GetInvalidation action",
                boundary.into(),
                boundary.into(),
            ),
            (
                " because no service control policy allows the cloudfront:GetInvalidation action",
                boundary.into(),
                boundary.into(),
            ),
            ("", check(role), check(user)),
        ] {
            let error = denied(reason);
            let text = |advice: &str| {
                format!(
                    "not allowed to call cloudfront:GetInvalidation on \
                     arn:aws-cn:cloudfront::111122223333:distribution/E2EXAMPLE1ABC: AccessDenied: User: \
                     arn:aws-cn:iam::111122223333:user/dev is not authorized to perform: \
                     cloudfront:GetInvalidation{reason}; {advice}"
                )
            };
            assert_eq!(error.to_string(), text(&operator));
            assert_eq!(error.message(&command_line(None)), text(&command));
            assert_eq!(error.category(), Category::Permission);
        }
    }

    #[test]
    fn advises_each_audience_on_its_own_credentials() {
        let rejected = |expired| {
            Error::from(ErrorKind::InvalidCredentials {
                expired,
                message: "ExpiredToken: The security token included in the request is expired"
                    .into(),
            })
        };
        let start = "AWS rejected the credentials: ExpiredToken: The security token included in the request is expired; ";
        assert_eq!(
            rejected(true).to_string(),
            format!("{start}Lambda renews the credentials of its role: try again")
        );
        assert_eq!(
            rejected(false).to_string(),
            format!(
                "{start}check that the function's role still exists, and deploy the function again to get new \
                 credentials"
            )
        );
        for expired in [true, false] {
            assert_eq!(
                rejected(expired).message(&command_line(Some("dev"))),
                format!(
                    "{start}they came from profile \"dev\" of ~/.aws/config and ~/.aws/credentials, with its SSO \
                     session, process or role: renew them with `aws sso login --profile dev`, or correct them"
                )
            );
        }
        assert_eq!(
            (
                rejected(true).is_transient(),
                rejected(false).is_transient()
            ),
            (true, false)
        );
    }

    #[test]
    fn names_the_settings_to_correct_to_the_operator_only() {
        let error = Error::from(ErrorKind::NoSuchDistribution {
            distribution: DistributionId::parse("E2EXAMPLE1ABC").expect("an id"),
            message: "NoSuchDistribution: The specified distribution does not exist.".into(),
            unclear: None,
        });
        let text = "distribution E2EXAMPLE1ABC does not exist in this account (NoSuchDistribution: The specified \
                    distribution does not exist.)";
        assert_eq!(
            error.to_string(),
            format!(
                "{text}: correct DISTRIBUTION_ID, the action's UserParameters or the event's \"distribution\""
            )
        );
        assert_eq!(error.message(&command_line(None)), text);
    }

    #[test]
    fn the_hint_is_the_end_of_the_message() {
        let purpose = || "list the distributions".to_owned();
        let message = || "dispatch failure".to_owned();
        let user = "the user or role that runs this command";
        for (kind, hint) in [
            (ErrorKind::InvalidInput("b is missing".into()), None),
            (
                ErrorKind::Rejected {
                    purpose: purpose(),
                    message: message(),
                },
                None,
            ),
            (
                ErrorKind::Throttled {
                    purpose: purpose(),
                    message: message(),
                },
                Some("try again in a minute".to_owned()),
            ),
            (
                ErrorKind::Panicked,
                Some("report it with the message above".to_owned()),
            ),
            (
                ErrorKind::StaleUrls {
                    report: "1 stale".into(),
                },
                Some(INVALIDATE_OLD.to_owned()),
            ),
            (
                ErrorKind::AccessDenied {
                    action: "cloudfront:ListDistributions".into(),
                    resource: "*".into(),
                    message: message(),
                },
                Some(format!(
                    "check that a policy of {user} allows this action, and that no policy denies it"
                )),
            ),
            (
                ErrorKind::NoSuchProfile {
                    profile: "prdo".into(),
                    source_of: None,
                    files: "~/.aws/config or ~/.aws/credentials".into(),
                    similar: Some("prod".into()),
                },
                Some("did you mean \"prod\"?".to_owned()),
            ),
            (
                ErrorKind::NoCredentials {
                    message: None,
                    has_login_session: true,
                },
                Some("configure them, or run `aws login --profile dev`".to_owned()),
            ),
        ] {
            let error = Error::from(kind).context("outer");
            let audience = command_line(Some("dev"));
            assert_eq!(error.hint(&audience), hint);
            let end = hint.unwrap_or_default();
            assert!(error.message(&audience).ends_with(&end), "{error}");
        }
        let busy = || {
            Error::from(ErrorKind::Throttled {
                purpose: purpose(),
                message: message(),
            })
        };
        let both = Error::join([busy(), busy()]).expect("an error");
        let hint = Some("try again in a minute".to_owned());
        assert_eq!(both.hint(&Audience::Operator), hint);
    }

    #[test]
    fn joins_errors_and_puts_the_place_before_each() {
        let wrong = |text: &str| Error::invalid_input(text);
        assert_eq!(Error::join([]), None);
        assert_eq!(Error::join([wrong("a")]), Some(wrong("a")));
        let unavailable = Error::from(ErrorKind::Unavailable {
            purpose: "list the distributions".into(),
            message: "dispatch failure".into(),
        });
        let both = Error::join([unavailable, wrong("b is missing").context("Records[0]")]);
        let both = both.expect("an error").context("outer");
        assert_eq!(
            both.to_string(),
            "outer: could not list the distributions: dispatch failure; try again; Records[0]: b is missing"
        );
        assert_eq!(both.category(), Category::Unavailable);
        let many = Error::join((0..3_000).map(|number| wrong(&number.to_string())));
        let many = many.expect("an error").to_string();
        assert!(many.starts_with("0; 1; 2; "), "{many}");
        assert!(many.ends_with("; 99; and 2,900 more"), "{many}");
    }

    #[test]
    fn an_error_with_an_outcome_keeps_what_the_error_means() {
        let expired = |expired| ErrorKind::InvalidCredentials {
            expired,
            message: "ExpiredToken".into(),
        };
        let unavailable = ErrorKind::Unavailable {
            purpose: "invalidate E2EXAMPLE1ABC".into(),
            message: "timeout".into(),
        };
        for kind in [
            expired(true),
            expired(false),
            unavailable,
            ErrorKind::DeadlineExceeded,
        ] {
            let error = Error::from(kind);
            let with_outcome = Error::from(ErrorKind::WithOutcome {
                error: error.clone(),
                text: "E2EXAMPLE1ABC: submitted as I1".into(),
            });
            assert_eq!(with_outcome.to_string(), "E2EXAMPLE1ABC: submitted as I1");
            assert_eq!(with_outcome.category(), error.category());
            assert_eq!(with_outcome.is_transient(), error.is_transient());
            let audience = Audience::Operator;
            assert_eq!(with_outcome.hint(&audience), error.hint(&audience));
        }
    }
}
