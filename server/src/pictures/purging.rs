//! How caches in front of the site forget what was deleted: the queue in the index is worked off, one request at a time, and
//! in the end the site is looked at from outside.
//!
//! Pictures that simply end need none of this, since caches end by themselves.

mod gather;
mod look;
mod progress;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;

use self::gather::Pace;
pub use self::progress::PurgeProgress;
use super::collection::Collection;
use crate::cdn::{Asked, Cdns, Purge, PurgeError};
use crate::costs::budget::Budget;
use crate::db::{ClaimedPurge, Postponed, PurgeOrder};
use crate::domain::picture::PictureId;
use crate::domain::purge::{
    CacheTag, Cdn, KEPT_FOR_ADMINS, PurgeItem, PurgeKind, PurgeTarget, steps_for_tag,
};

/// How long a worker may hold a row, seconds: several times what a request may take.
const LEASE: i64 = 120;
/// The rest after the first failure, seconds; each further one is twice as long…
const FIRST_REST: i64 = 5;
/// …up to this.
const LONGEST_REST: i64 = 3600;
/// The rest where a CDN is asked too often and does not say how long to wait, seconds.
const THROTTLED_REST: i64 = 60;
/// How often CloudFront is asked whether it is done, seconds.
const ASK_AGAIN: i64 = 5;
/// How long after the last CDN's word the site is looked at, seconds.
const LOOK_AFTER: i64 = 5;
/// How long receipts are kept, seconds.
const RECEIPT_SECONDS: i64 = 30 * 24 * 3600;

/// Has caches forget.
pub struct Purging {
    collection: Arc<Collection>,
    /// What stands in front of the site and is told of deletions.
    cdns: Cdns,
    budget: Arc<Budget>,
    /// When deletions were last purged together.
    pace: Mutex<Pace>,
}

impl Purging {
    pub(super) fn new(collection: Arc<Collection>, cdns: Cdns, budget: Arc<Budget>) -> Self {
        Self {
            collection,
            cdns,
            budget,
            pace: Mutex::default(),
        }
    }

    /// Where purges are worked off; each by a loop of its own, so that one that hangs does not keep the others.
    #[must_use]
    pub fn purge_targets(&self) -> Vec<PurgeTarget> {
        let mut targets: Vec<_> = self.cdn_names().into_iter().map(PurgeTarget::Cdn).collect();
        if !targets.is_empty() {
            targets.push(PurgeTarget::Site);
        }
        targets
    }

    pub(super) fn cdn_names(&self) -> Vec<Cdn> {
        self.cdns.names()
    }

    /// Has every CDN forget what carries this tag, all pages with `html` for one; durable once this returns, and worked off by
    /// the running server.
    ///
    /// # Errors
    /// When it is no tag, or the index fails.
    pub async fn enqueue_purge_of_tag(&self, tag: &str) -> anyhow::Result<()> {
        let tag = CacheTag::parse(tag).with_context(|| format!("`{tag}` cannot be a cache tag"))?;
        let now = self.collection.now_second();
        let order = PurgeOrder {
            batch: new_batch(),
            picture: None,
            steps: steps_for_tag(&self.cdn_names(), tag),
            round: 1,
            // Nobody's deletion hangs on it.
            keep: KEPT_FOR_ADMINS,
            // No page is kept longer than a picture lives.
            ends_at: now + i64::from(self.collection.retention.seconds()),
            due_at: now,
            shared: false,
        };
        self.collection.db.enqueue_purge(&order, now).await?;
        self.collection.changed();
        Ok(())
    }

    /// Does one thing that is due at this target. False when nothing is.
    ///
    /// # Errors
    /// When the index fails; what a CDN does or does not is the queue's business.
    pub async fn purge_next(&self, target: PurgeTarget) -> anyhow::Result<bool> {
        match target {
            PurgeTarget::Cdn(cdn) => match self.cdns.get(cdn) {
                Some(client) => self.tell(cdn, client.as_ref()).await,
                None => Ok(false),
            },
            PurgeTarget::Site => self.look().await,
        }
    }

    async fn tell(&self, cdn: Cdn, client: &dyn Purge) -> anyhow::Result<bool> {
        if cdn.is_paid() {
            self.gather(cdn).await?;
        }
        let now = self.collection.now_second();
        let claimed = self
            .collection
            .db
            .claim_purges(
                PurgeTarget::Cdn(cdn),
                &self.purge_targets(),
                |kind| client.most_at_once(kind),
                client.most_under_way(),
                now,
                now + LEASE,
            )
            .await?;
        let Some(first) = claimed.first() else {
            return Ok(false);
        };
        let asked = match &first.ticket {
            Some(ticket) => client.is_done(ticket).await.map(|done| match done {
                true => Asked::Done,
                false => Asked::Begun {
                    ticket: ticket.clone(),
                },
            }),
            None => {
                // Where it is paid for there is one row: each under a name of its own.
                if cdn.is_paid() && !self.reserve_path(first).await? {
                    return Ok(true);
                }
                let items: Vec<PurgeItem> =
                    claimed.iter().map(|purge| purge.item.clone()).collect();
                client.purge(&items, &reference(first)).await
            }
        };
        let now = self.collection.now_second();
        match asked {
            Ok(Asked::Done) => {
                self.collection
                    .db
                    .finish_purges(&claimed, now + LOOK_AFTER)
                    .await?;
                tracing::info!(%cdn, items = claimed.len(), "purged");
                // The next step may be another loop's.
                self.collection.changed();
            }
            Ok(Asked::Begun { ticket }) => {
                let postponed = Postponed {
                    due_at: now + ASK_AGAIN,
                    forget_attempts: true,
                    ticket: Some(&ticket),
                    ..Postponed::default()
                };
                self.collection
                    .db
                    .postpone_purges(&claimed, postponed)
                    .await?;
            }
            Err(error) => self.postpone_failed(cdn, &claimed, error, now).await?,
        }
        Ok(true)
    }

    async fn postpone_failed(
        &self,
        cdn: Cdn,
        claimed: &[ClaimedPurge],
        error: PurgeError,
        now: i64,
    ) -> anyhow::Result<()> {
        let Some(first) = claimed.first() else {
            return Ok(());
        };
        let mut postponed = Postponed {
            due_at: now + rest_after(first.attempts),
            ticket: first.ticket.as_deref(),
            ..Postponed::default()
        };
        match &error {
            PurgeError::Throttled { wait } => {
                let wait = wait.map_or(THROTTLED_REST, whole_seconds);
                postponed.due_at = now + wait.clamp(1, LONGEST_REST);
            }
            // One bad item must not keep the others, nor a lost ticket its purge.
            PurgeError::Rejected(_) => {
                postponed.ticket = None;
                if claimed.len() > 1 {
                    postponed.alone = true;
                    postponed.due_at = now;
                }
            }
            PurgeError::Unavailable(_) | PurgeError::Refused(_) => {}
        }
        self.collection
            .db
            .postpone_purges(claimed, postponed)
            .await?;
        let items = claimed.len();
        let again_in_s = postponed.due_at - now;
        match error {
            PurgeError::Throttled { .. } => {
                tracing::info!(%cdn, items, again_in_s, "a CDN wants to be asked less often");
            }
            PurgeError::Unavailable(_) => tracing::warn!(
                %cdn, items, again_in_s, error = format!("{:#}", anyhow::Error::from(error)),
                "could not purge; it is tried again"
            ),
            PurgeError::Refused(_) | PurgeError::Rejected(_) => tracing::error!(
                %cdn, items, again_in_s, error = format!("{:#}", anyhow::Error::from(error)),
                "a CDN refuses to purge; it is tried again"
            ),
        }
        Ok(())
    }

    /// Takes up the queue that an earlier run left behind. Only at start.
    ///
    /// # Errors
    /// When the index fails.
    pub(super) async fn recover(&self) -> anyhow::Result<()> {
        let (cdns, targets) = (self.cdn_names(), self.purge_targets());
        let now = self.collection.now_second();
        let waiting = self.collection.db.recover_purges(&cdns, &targets, now);
        let waiting = waiting.await?;
        if waiting > 0 {
            tracing::warn!(waiting, "purges wait for a CDN that is not configured");
        }
        Ok(())
    }

    /// Drops purges that nobody needs any more, because their picture's time is over.
    pub(super) async fn sweep(&self) -> anyhow::Result<()> {
        let now = self.collection.now_second();
        let dropped = self
            .collection
            .db
            .drop_ended_purges(now, now - RECEIPT_SECONDS)
            .await?;
        if dropped > 0 {
            tracing::info!(dropped, "dropped purges of pictures that have ended");
        }
        Ok(())
    }
}

fn new_batch() -> String {
    PictureId::random().as_str().to_owned()
}

/// By which a CDN knows a repeat: the same for every attempt at one row.
fn reference(purge: &ClaimedPurge) -> String {
    let kind = match purge.item.kind() {
        PurgeKind::Images => "images",
        PurgeKind::Folder => "folder",
        PurgeKind::Tag => "tag",
    };
    format!("cattocdn-{}-{kind}", purge.batch)
}

fn rest_after(attempts: u32) -> i64 {
    let doublings = attempts.saturating_sub(1).min(20);
    (FIRST_REST << doublings).min(LONGEST_REST)
}

fn whole_seconds(wait: Duration) -> i64 {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_grow_up_to_an_hour() {
        let rests: Vec<i64> = (1..=12).map(rest_after).collect();
        assert_eq!(rests[..4], [5, 10, 20, 40]);
        assert_eq!(rests[11], 3600);
        assert_eq!(rest_after(u32::MAX), 3600);
        assert_eq!(whole_seconds(Duration::from_millis(1001)), 2);
    }
}
