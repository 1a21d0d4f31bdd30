//! The last step of a purge: one look at the site from outside, which leaves a receipt or begins a
//! new round.

use super::{BACKOFF, LEASE, Purging, new_batch};
use crate::db::{ClaimedLook, Postponed, PurgeOrder};
use crate::domain::purge::{PurgeReceipt, Sight, steps_for_picture};

/// How often the CDNs are told in all, where a look still shows the picture.
const MOST_ROUNDS: u32 = 3;
/// The rest before the CDNs are told again, in seconds, for each round so far.
const REST_BETWEEN_ROUNDS: i64 = 30;
/// How often the site is looked at where the answer tells nothing.
const MOST_LOOKS: u32 = 5;

impl Purging {
    /// Looks at the address of a picture that every CDN says it has purged.
    pub(super) async fn look(&self) -> anyhow::Result<bool> {
        let now = self.collection.now_second();
        let claimed = self
            .collection
            .db
            .claim_look(&self.purge_targets(), now, now + LEASE)
            .await?;
        let Some(claimed) = claimed else {
            return Ok(false);
        };
        let ClaimedLook { step, look } = &claimed;
        let id = &look.id;
        if step.too_early {
            // The CDNs were told while the bytes were still there, and may have fetched them again.
            let again = self.another_round(&claimed, step.round, now);
            self.collection
                .db
                .finish_look(&claimed, None, Some(&again), now)
                .await?;
            self.collection.changed();
            return Ok(true);
        }
        let seen = self.cdns.look(id, look.expires_at, &look.name, now).await;
        let now = self.collection.now_second();
        let receipt = PurgeReceipt {
            rounds: step.round,
            ..seen.as_ref().map_or_else(|_| unanswered(now), Clone::clone)
        };
        let status = receipt.status.unwrap_or_default();
        let at = |location: &Option<String>| location.clone().unwrap_or_default();
        let (cloudflare, cloudfront) = (at(&receipt.cloudflare), at(&receipt.cloudfront));
        match Sight::of(receipt.status) {
            Sight::Gone => {
                tracing::info!(picture = %id, status, cloudflare, cloudfront, "a deleted picture is gone from the caches asked");
                self.end_look(&claimed, &receipt, now).await?;
            }
            Sight::Shown if step.round < MOST_ROUNDS => {
                tracing::warn!(picture = %id, status, cloudflare, cloudfront, round = step.round, "a cache still shows a deleted picture; it is purged again");
                let rest = REST_BETWEEN_ROUNDS * i64::from(step.round);
                let again = self.another_round(&claimed, step.round + 1, now + rest);
                self.collection
                    .db
                    .finish_look(&claimed, None, Some(&again), now)
                    .await?;
            }
            Sight::Shown => {
                tracing::error!(picture = %id, status, cloudflare, cloudfront, round = step.round, "a cache goes on showing a deleted picture");
                self.end_look(&claimed, &receipt, now).await?;
            }
            Sight::Unclear if step.attempts < MOST_LOOKS => {
                let postponed = Postponed {
                    due_at: now + BACKOFF.seconds_after(step.attempts),
                    ..Postponed::default()
                };
                self.collection
                    .db
                    .postpone_purges(std::slice::from_ref(step), postponed)
                    .await?;
            }
            Sight::Unclear => {
                let error = seen.err().map(|error| format!("{error:#}"));
                tracing::warn!(picture = %id, status, error, "could not see whether a deleted picture is gone from the caches");
                self.end_look(&claimed, &receipt, now).await?;
            }
        }
        Ok(true)
    }

    async fn end_look(
        &self,
        claimed: &ClaimedLook,
        receipt: &PurgeReceipt,
        now: i64,
    ) -> anyhow::Result<()> {
        let receipt = Some(receipt);
        Ok(self
            .collection
            .db
            .finish_look(claimed, receipt, None, now)
            .await?)
    }

    /// The same purges once more, under a new reference. CloudFront would take a repeated reference
    /// for the request that it knows.
    fn another_round(&self, claimed: &ClaimedLook, round: u32, due_at: i64) -> PurgeOrder {
        let ClaimedLook { step, look } = claimed;
        // Files of another version are no longer known here, and the purge of the folder covers
        // them.
        let files = [look.name.clone()];
        PurgeOrder {
            batch: new_batch(),
            picture: Some(look.id.clone()),
            steps: steps_for_picture(&self.cdn_names(), &look.id, look.expires_at, &files),
            round,
            keep: step.keep,
            ends_at: step.ends_at,
            due_at,
            shared: step.shared,
        }
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
