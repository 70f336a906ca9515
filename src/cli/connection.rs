//! `Connection`: the AWS clients, with the user's credentials. The credentials are searched when they are first needed.

use std::sync::OnceLock;

use aws_types::SdkConfig;

use super::{GlobalOptions, terminal};
use crate::account::Account;
use crate::aws::call_log::CallLog;
use crate::aws::cloudfront::CloudFront;
use crate::aws::codepipeline::CodePipeline;
use crate::aws::credentials::{self, CredentialOptions};
use crate::aws::s3::S3;
use crate::aws::sqs::Sqs;
use crate::clock::Clock;
use crate::error::Error;

/// The connection to AWS.
pub(super) struct Connection {
    options: CredentialOptions,
    /// Prints each call, with `--verbose`.
    calls: Option<CallLog>,
    clients: OnceLock<Clients>,
}

/// The clients, with credentials.
pub(super) struct Clients {
    pub sdk: SdkConfig,
    pub account: Account,
    pub cloudfront: CloudFront,
    pub codepipeline: CodePipeline,
}

impl Connection {
    pub(super) fn new(global: &GlobalOptions) -> Self {
        Self {
            options: CredentialOptions {
                profile: global.profile.clone(),
                region: global.region.clone(),
                endpoint_url: global.endpoint_url.clone(),
            },
            calls: (global.verbose > 0).then(|| CallLog::new(|line| terminal::print(line))),
            clients: OnceLock::new(),
        }
    }

    /// Returns the client of CloudFront.
    pub(super) async fn cloudfront(&self) -> Result<&CloudFront, Error> {
        Ok(&self.clients().await?.cloudfront)
    }

    /// Returns a client of S3.
    pub(super) async fn s3(&self) -> Result<S3, Error> {
        let sdk = &self.clients().await?.sdk;
        Ok(match self.calls.clone() {
            Some(calls) => S3::with_call_log(sdk, calls),
            None => S3::new(sdk),
        })
    }

    /// Returns a client of SQS.
    pub(super) async fn sqs(&self) -> Result<Sqs, Error> {
        let sqs = Sqs::new(&self.clients().await?.sdk);
        Ok(match self.calls.clone() {
            Some(calls) => sqs.with_call_log(calls),
            None => sqs,
        })
    }

    /// Finds credentials, once.
    pub(super) async fn clients(&self) -> Result<&Clients, Error> {
        if let Some(clients) = self.clients.get() {
            return Ok(clients);
        }
        let (sdk, account) = credentials::sdk_config(&self.options).await?;
        let codepipeline = CodePipeline::new(&sdk, Clock::system());
        let (cloudfront, codepipeline) = match self.calls.clone() {
            Some(calls) => (
                CloudFront::with_call_log(&sdk, account.clone(), calls.clone()),
                codepipeline.with_call_log(calls),
            ),
            None => (CloudFront::new(&sdk, account.clone()), codepipeline),
        };
        Ok(self.clients.get_or_init(|| Clients {
            sdk,
            account,
            cloudfront,
            codepipeline,
        }))
    }
}
