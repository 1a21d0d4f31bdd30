//! The last step of a purge: one look at the site from outside, which leaves a receipt or begins a new round.

use super::{LEASE, Purging, new_batch, rest_after};
use crate::db::{ClaimedPurge, Postponed, PurgeOrder};
use crate::domain::expiry::ExpiresAt;
use crate::domain::picture::PictureId;
use crate::domain::purge::{
    PurgeItem, PurgeReceipt, PurgeTarget, Sight, looked_at, steps_for_picture,
};
use crate::domain::variant::FileName;

/// How often CDNs are told in all, where a look still shows the picture.
const MOST_ROUNDS: u32 = 3;
/// The rest before the CDNs are told again, seconds, for each round before it.
const REST_BETWEEN_ROUNDS: i64 = 30;
/// How often the site is looked at where nothing can be told from what comes.
const MOST_LOOKS: u32 = 5;

impl Purging {
    /// Looks at a picture that every CDN says it has forgotten.
    pub(super) async fn look(&self) -> anyhow::Result<bool> {
        let now = self.collection.now_second();
        let claimed = self
            .collection
            .db
            .claim_purges(
                PurgeTarget::Site,
                &self.purge_targets(),
                |_| 1,
                0,
                now,
                now + LEASE,
            )
            .await?;
        let Some(look) = claimed.first() else {
            return Ok(false);
        };
        let Some((id, expires_at, name)) = looked_for(&look.item) else {
            anyhow::bail!("the queue wants to look at something that is no picture");
        };
        if look.too_early {
            // They were told while the bytes were still there, and may have fetched them again.
            let again = self.another_round(look, look.round, now);
            self.collection
                .db
                .finish_look(look, None, again.as_ref(), now)
                .await?;
            self.collection.changed();
            return Ok(true);
        }
        let seen = self.cdns.look(id, expires_at, &name, now).await;
        let now = self.collection.now_second();
        let receipt = PurgeReceipt {
            rounds: look.round,
            ..seen.as_ref().map_or_else(|_| unanswered(now), Clone::clone)
        };
        let status = receipt.status.unwrap_or_default();
        let at = |location: &Option<String>| location.clone().unwrap_or_default();
        let (cloudflare, cloudfront) = (at(&receipt.cloudflare), at(&receipt.cloudfront));
        match Sight::of(receipt.status) {
            Sight::Gone => {
                tracing::info!(picture = %id, status, cloudflare, cloudfront, "a deleted picture is gone from the caches asked");
                self.end_look(look, &receipt, now).await?;
            }
            Sight::Shown if look.round < MOST_ROUNDS => {
                tracing::warn!(picture = %id, status, cloudflare, cloudfront, round = look.round, "a cache still shows a deleted picture; it is purged again");
                let rest = REST_BETWEEN_ROUNDS * i64::from(look.round);
                let again = self.another_round(look, look.round + 1, now + rest);
                self.collection
                    .db
                    .finish_look(look, None, again.as_ref(), now)
                    .await?;
            }
            Sight::Shown => {
                tracing::error!(picture = %id, status, cloudflare, cloudfront, round = look.round, "a cache goes on showing a deleted picture");
                self.end_look(look, &receipt, now).await?;
            }
            Sight::Unclear if look.attempts < MOST_LOOKS => {
                let postponed = Postponed {
                    due_at: now + rest_after(look.attempts),
                    ..Postponed::default()
                };
                self.collection
                    .db
                    .postpone_purges(&claimed, postponed)
                    .await?;
            }
            Sight::Unclear => {
                let error = seen.err().map(|error| format!("{error:#}"));
                tracing::warn!(picture = %id, status, error, "could not see whether a deleted picture is gone from the caches");
                self.end_look(look, &receipt, now).await?;
            }
        }
        Ok(true)
    }

    async fn end_look(
        &self,
        look: &ClaimedPurge,
        receipt: &PurgeReceipt,
        now: i64,
    ) -> anyhow::Result<()> {
        let receipt = Some(receipt);
        Ok(self
            .collection
            .db
            .finish_look(look, receipt, None, now)
            .await?)
    }

    /// The same purges once more, under new names: CloudFront would take a repeat for the one that it knows.
    fn another_round(&self, look: &ClaimedPurge, round: u32, due_at: i64) -> Option<PurgeOrder> {
        let (id, expires_at, name) = looked_for(&look.item)?;
        // Of a file of another version no more is known by now, and its folder covers it.
        let files = [name];
        Some(PurgeOrder {
            batch: new_batch(),
            picture: Some(id.clone()),
            steps: steps_for_picture(&self.cdn_names(), id, expires_at, &files),
            round,
            keep: look.keep,
            ends_at: look.ends_at,
            due_at,
            shared: look.shared,
        })
    }
}

/// Which file the site is looked at for.
fn looked_for(item: &PurgeItem) -> Option<(&PictureId, ExpiresAt, FileName)> {
    match item {
        PurgeItem::Image {
            id,
            expires_at,
            name,
        } => Some((id, *expires_at, name.clone())),
        // As versions before this one put it into the queue.
        PurgeItem::Images { id, expires_at } => Some((id, *expires_at, looked_at(&[]))),
        PurgeItem::Folder { .. } | PurgeItem::Ending(_) | PurgeItem::Tag(_) => None,
    }
}

fn unanswered(now: i64) -> PurgeReceipt {
    PurgeReceipt {
        looked_at: now,
        status: None,
        cloudflare: None,
        cloudfront: None,
        rounds: 1,
    }
}
