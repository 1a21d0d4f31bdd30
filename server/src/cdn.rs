//! The CDNs in front of the site: how each is told to purge something, and how a request from
//! outside shows what is still served.

mod cloudflare;
mod cloudfront;
mod look;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use url::Url;

pub use self::cloudflare::CloudflareClient;
pub use self::cloudfront::CloudFrontClient;
use crate::aws;
use crate::config::CdnConfig;
use crate::domain::expiry::ExpiresAt;
use crate::domain::picture::PictureId;
use crate::domain::purge::{Cdn, PurgeItem, PurgeKind, PurgeReceipt};
use crate::domain::variant::FileName;
use crate::runtime::clock::Clock;

/// A CDN that can be told to purge.
#[async_trait]
pub trait Purge: Send + Sync {
    /// The most items of this kind that one request may name.
    fn most_at_once(&self, kind: PurgeKind) -> usize;

    /// The most purges of folders that may be under way at the same time; 0 means no limit.
    fn most_under_way(&self) -> u32;

    /// Asks the CDN to purge these items, which must all be of one kind. Asking again with the same
    /// reference changes nothing and costs nothing.
    ///
    /// # Errors
    /// When the CDN does not accept the request.
    async fn purge(&self, items: &[PurgeItem], reference: &str) -> Result<Asked, PurgeError>;

    /// True once the purge that was begun under this ticket is done at all edge locations.
    ///
    /// # Errors
    /// When the CDN does not say.
    async fn is_done(&self, ticket: &str) -> Result<bool, PurgeError>;
}

/// The answer of a CDN to a purge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// The items are purged.
    Done,
    /// The purge is under way; [`Purge::is_done`] tells when it is done.
    Begun { ticket: String },
}

/// Why a purge failed. There is a case for each way in which the queue reacts.
#[derive(Debug, thiserror::Error)]
pub enum PurgeError {
    /// The CDN does not take more requests at the moment.
    #[error("it is asked too often")]
    Throttled {
        /// How long the CDN asks us to wait, where it says so.
        wait: Option<Duration>,
    },
    /// The CDN failed, sent nonsense, or did not answer in time. It may have done what it was
    /// asked.
    #[error("it is unavailable")]
    Unavailable(#[source] anyhow::Error),
    /// The CDN refuses how this server is set up: its token, its permissions or its names. Somebody
    /// must look at it.
    #[error("it refuses this server's configuration")]
    Refused(#[source] anyhow::Error),
    /// The CDN refuses this request. A request with other items may succeed.
    #[error("it refuses this request")]
    Rejected(#[source] anyhow::Error),
}

/// All CDNs that this site has.
#[derive(Clone)]
pub struct Cdns {
    public_url: Url,
    cloudflare: Option<Arc<dyn Purge>>,
    cloudfront: Option<Arc<dyn Purge>>,
}

impl Cdns {
    /// Prepares a client for each CDN that is configured; nothing is sent yet.
    ///
    /// # Errors
    /// When the machine has no list of trusted certificates, or there is no AWS region or no
    /// credentials.
    pub async fn open(config: &CdnConfig, public_url: &Url, clock: &Clock) -> anyhow::Result<Self> {
        let cloudflare = match &config.cloudflare {
            Some(cloudflare) => Some(
                CloudflareClient::new(cloudflare, public_url.clone(), clock.clone())
                    .context("cannot purge at Cloudflare (CATTO_CLOUDFLARE_ZONE)")?,
            ),
            None => None,
        };
        let cloudfront = match &config.cloudfront {
            Some(cloudfront) => {
                let sdk = aws::load()
                    .await
                    .context("cannot purge at CloudFront (CATTO_CLOUDFRONT_DISTRIBUTION)")?;
                Some(CloudFrontClient::new(&sdk, cloudfront))
            }
            None => None,
        };
        Ok(Self::with(public_url.clone(), cloudflare, cloudfront))
    }

    /// Combines clients that exist already.
    #[must_use]
    pub fn with(
        public_url: Url,
        cloudflare: Option<CloudflareClient>,
        cloudfront: Option<CloudFrontClient>,
    ) -> Self {
        Self {
            public_url,
            cloudflare: cloudflare.map(|client| Arc::new(client) as Arc<dyn Purge>),
            cloudfront: cloudfront.map(|client| Arc::new(client) as Arc<dyn Purge>),
        }
    }

    /// The CDNs that are configured, from the outside in.
    #[must_use]
    pub fn names(&self) -> Vec<Cdn> {
        let all = Cdn::ALL.into_iter();
        all.filter(|cdn| self.get(*cdn).is_some()).collect()
    }

    /// The client of this CDN, if the site has it.
    #[must_use]
    pub fn get(&self, cdn: Cdn) -> Option<&Arc<dyn Purge>> {
        match cdn {
            Cdn::Cloudflare => self.cloudflare.as_ref(),
            Cdn::CloudFront => self.cloudfront.as_ref(),
        }
    }

    /// Requests one file of a picture once, as a viewer does. The receipt counts this as the first
    /// round.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn look(
        &self,
        id: &PictureId,
        expires_at: ExpiresAt,
        name: &FileName,
        now: i64,
    ) -> anyhow::Result<PurgeReceipt> {
        look::look(&self.public_url, id, expires_at, name, now).await
    }
}
