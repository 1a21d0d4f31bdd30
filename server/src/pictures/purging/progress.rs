//! How far the purge of one picture is, for whoever asked for it.

use std::fmt;
use std::time::Duration;

use super::Purging;
use crate::domain::expiry::rfc3339;
use crate::domain::picture::PictureId;
use crate::domain::purge::{Cdn, PurgeReceipt, Sight};

/// How often one who waits looks again.
const WATCH_EVERY: Duration = Duration::from_millis(200);

/// How far the purge of one picture is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurgeProgress {
    /// Steps that are not done, without those of CDNs that the site has not just now.
    pub left: u32,
    /// What the look saw, once there was one.
    pub receipt: Option<PurgeReceipt>,
}

/// In words, for whoever asked.
impl fmt::Display for PurgeProgress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(receipt) = &self.receipt else {
            return match self.left {
                0 => write!(formatter, "No cache has to be told."),
                left => write!(
                    formatter,
                    "The CDNs are not done yet ({left} steps are left). The server goes on with it; run this command again to see how far it is."
                ),
            };
        };
        let seen = match (Sight::of(receipt.status), receipt.status) {
            (Sight::Gone, Some(status)) => format!("was gone (status {status})"),
            (Sight::Shown, Some(status)) => format!("STILL SHOWED IT (status {status})"),
            (_, Some(status)) => {
                format!("answered with status {status}, which tells nothing about the caches")
            }
            (_, None) => "did not answer".to_owned(),
        };
        let at: Vec<String> = [
            (Cdn::Cloudflare, &receipt.cloudflare),
            (Cdn::CloudFront, &receipt.cloudfront),
        ]
        .into_iter()
        .filter_map(|(cdn, location)| Some(format!("{cdn} {}", location.as_ref()?)))
        .collect();
        let at = if at.is_empty() {
            "no edge location named itself".to_owned()
        } else {
            format!("seen through {}", at.join(" and "))
        };
        let instant = rfc3339(receipt.looked_at);
        let rounds = receipt.rounds;
        write!(
            formatter,
            "The CDNs were told {rounds} time(s), and at {instant} the address of the picture {seen}; {at}. Nothing is known of other edge locations."
        )
    }
}

impl Purging {
    /// How far the purge of this picture is.
    ///
    /// # Errors
    /// When the index fails.
    pub async fn purge_progress(&self, id: &PictureId) -> anyhow::Result<PurgeProgress> {
        Ok(PurgeProgress {
            left: self
                .collection
                .db
                .count_purges(id, &self.purge_targets())
                .await?,
            receipt: self.collection.db.find_receipt(id).await?,
        })
    }

    /// Waits until the purge of this picture is done, at most this long; where no server does the work, it is done here.
    ///
    /// # Errors
    /// When the index fails.
    pub async fn finish_purge(
        &self,
        id: &PictureId,
        work: bool,
        at_most: Duration,
    ) -> anyhow::Result<PurgeProgress> {
        let deadline = tokio::time::Instant::now() + at_most;
        loop {
            let progress = self.purge_progress(id).await?;
            if progress.left == 0 || tokio::time::Instant::now() >= deadline {
                return Ok(progress);
            }
            let mut worked = false;
            for target in self.purge_targets() {
                worked |= work && self.purge_next(target).await?;
            }
            if !worked {
                tokio::time::sleep(WATCH_EVERY).await;
            }
        }
    }
}
