//! `Person`: the account as whoever runs this may use it, asked for no sooner than it is needed.

use std::sync::OnceLock;

use aws_types::SdkConfig;

use super::World;
use crate::aws::Account;
use crate::aws::chain::{self, Wanted};
use crate::aws::cloudfront::CloudFront;
use crate::failure::Failure;

/// Whoever runs this.
pub(super) struct Person {
    wanted: Wanted,
    connected: OnceLock<Connected>,
}

/// The clients of somebody with credentials.
pub(super) struct Connected {
    pub sdk: SdkConfig,
    pub account: Account,
    pub cloudfront: CloudFront,
}

impl Person {
    pub(super) fn new(world: &World) -> Self {
        Self {
            wanted: Wanted {
                profile: world.profile.clone(),
                region: world.region.clone(),
                endpoint_url: world.endpoint_url.clone(),
            },
            connected: OnceLock::new(),
        }
    }

    /// Finds credentials, once.
    pub(super) async fn connect(&self) -> Result<&Connected, Failure> {
        if let Some(connected) = self.connected.get() {
            return Ok(connected);
        }
        let (sdk, account) = chain::sdk_config(&self.wanted).await?;
        let cloudfront = CloudFront::new(&sdk);
        Ok(self.connected.get_or_init(|| Connected {
            sdk,
            account,
            cloudfront,
        }))
    }

    /// Words a failure for a person, where the library words it for a function.
    pub(super) fn explain(&self, failure: Failure) -> Failure {
        self.wanted.explain(failure)
    }
}
