//! `Connection`: the AWS clients, with the user's credentials. The credentials are searched when they are first needed.

use std::sync::OnceLock;

use aws_types::SdkConfig;

use super::GlobalOptions;
use crate::account::Account;
use crate::aws::cloudfront::CloudFront;
use crate::aws::credentials::{self, CredentialOptions};
use crate::error::Error;

/// The connection to AWS.
pub(super) struct Connection {
    options: CredentialOptions,
    clients: OnceLock<Clients>,
}

/// The clients, with credentials.
pub(super) struct Clients {
    pub sdk: SdkConfig,
    pub account: Account,
    pub cloudfront: CloudFront,
}

impl Connection {
    pub(super) fn new(global: &GlobalOptions) -> Self {
        Self {
            options: CredentialOptions {
                profile: global.profile.clone(),
                region: global.region.clone(),
                endpoint_url: global.endpoint_url.clone(),
            },
            clients: OnceLock::new(),
        }
    }

    /// Returns the client of CloudFront.
    pub(super) async fn cloudfront(&self) -> Result<&CloudFront, Error> {
        Ok(&self.clients().await?.cloudfront)
    }

    /// Finds credentials, once.
    pub(super) async fn clients(&self) -> Result<&Clients, Error> {
        if let Some(clients) = self.clients.get() {
            return Ok(clients);
        }
        let (sdk, account) = credentials::sdk_config(&self.options).await?;
        let cloudfront = CloudFront::new(&sdk, account.clone());
        Ok(self.clients.get_or_init(|| Clients {
            sdk,
            account,
            cloudfront,
        }))
    }
}
