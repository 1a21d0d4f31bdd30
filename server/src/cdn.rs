//! The CDNs in front of the site: how each is told to forget something, and how a look from outside tells what is shown.
//!
//! One request each, and no memory of what was asked: the queue in the index has that, and tries again. Knows neither the
//! index nor the storage.

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

/// A CDN that can be told to forget.
#[async_trait]
pub trait Purge: Send + Sync {
    /// The most items of this kind that one request may name.
    fn most_at_once(&self, kind: PurgeKind) -> usize;

    /// The most requests for folders that may be under way; 0 where there is no such bound.
    fn most_under_way(&self) -> u32;

    /// Asks for these items, all of one kind, to be forgotten. Asking again under the same reference changes nothing and
    /// costs nothing.
    ///
    /// # Errors
    /// When the CDN does not say that it will.
    async fn purge(&self, items: &[PurgeItem], reference: &str) -> Result<Asked, PurgeError>;

    /// True once what was begun under this ticket is done at all edge locations.
    ///
    /// # Errors
    /// When the CDN does not say.
    async fn is_done(&self, ticket: &str) -> Result<bool, PurgeError>;
}

/// What a CDN says to a purge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// It is forgotten.
    Done,
    /// It is being forgotten; [`Purge::is_done`] tells when that is over.
    Begun { ticket: String },
}

/// Why a CDN did not agree, as far as the queue acts differently.
#[derive(Debug, thiserror::Error)]
pub enum PurgeError {
    /// More requests than it takes just now.
    #[error("it is asked too often")]
    Throttled {
        /// How long it wants to be left alone, where it says so.
        wait: Option<Duration>,
    },
    /// It failed, answered nonsense, or did not answer in time. It may have done what it was asked.
    #[error("it is unavailable")]
    Unavailable(#[source] anyhow::Error),
    /// It will not serve us as we are set up: token, rights, names. Somebody must look.
    #[error("it refuses this server's configuration")]
    Refused(#[source] anyhow::Error),
    /// It does not take this request; one with other items may do better.
    #[error("it refuses this request")]
    Rejected(#[source] anyhow::Error),
}

/// Every CDN that this site has.
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
    /// When there is no list of trusted certificates, or no AWS region or credentials.
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

    /// Of clients that exist already.
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

    /// Which ones there are, from the outside in.
    #[must_use]
    pub fn names(&self) -> Vec<Cdn> {
        let all = Cdn::ALL.into_iter();
        all.filter(|cdn| self.get(*cdn).is_some()).collect()
    }

    /// This one, if the site has it.
    #[must_use]
    pub fn get(&self, cdn: Cdn) -> Option<&Arc<dyn Purge>> {
        match cdn {
            Cdn::Cloudflare => self.cloudflare.as_ref(),
            Cdn::CloudFront => self.cloudfront.as_ref(),
        }
    }

    /// Asks for this file of a picture once, as a viewer does. The receipt counts this as the first
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
