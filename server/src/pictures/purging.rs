//! Has the caches in front of the site forget what was deleted. The queue in the index is worked
//! off one request at a time, and in the end the site is looked at from outside.
//!
//! Pictures that simply expire need none of this, because caches expire them by themselves.

mod gather;
mod look;
mod progress;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use parking_lot::Mutex;

use self::gather::Pace;
pub use self::progress::PurgeProgress;
use super::collection::Collection;
use crate::cdn::{Asked, Cdns, Purge, PurgeError};
use crate::costs::budget::Budget;
use crate::db::{ClaimedPurge, Postponed, PurgeOrder};
use crate::domain::backoff::Backoff;
use crate::domain::picture::PictureId;
use crate::domain::purge::{
    CacheTag, Cdn, KEPT_FOR_ADMINS, PurgeItem, PurgeKind, PurgeTarget, steps_for_tag,
};
use crate::runtime::causes::chain;

/// How long a worker may hold a row, in seconds: several times as long as a request may take.
const LEASE: i64 = 120;
/// The longest that a purge rests, in seconds.
const HOUR: i64 = 3600;
/// How long a purge rests after failures.
const BACKOFF: Backoff = Backoff::of_seconds(5, HOUR.cast_unsigned());
/// The rest where a CDN throttles requests and does not say how long to wait, in seconds.
const THROTTLED_REST: i64 = 60;
/// How often CloudFront is asked whether a purge is done, in seconds.
const ASK_AGAIN: i64 = 5;
/// How long after the last CDN has finished the site is looked at, in seconds.
const LOOK_AFTER: i64 = 5;
/// How long receipts are kept, in seconds.
const RECEIPT_SECONDS: i64 = 30 * 24 * 3600;

/// Has the CDNs purge what was deleted.
pub struct Purging {
    collection: Arc<Collection>,
    /// The CDNs in front of the site, which are told of deletions.
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

    /// Where purges are worked off: every CDN that is configured, and the look at the site. Each
    /// has a loop of its own, so that one that hangs does not hold up the others.
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

    /// Has every CDN purge what carries this tag; `html`, for one, is the tag of all pages. The
    /// purge is durable once this returns, and the running server works it off.
    ///
    /// # Errors
    /// When this is no valid tag, or the index fails.
    pub async fn enqueue_purge_of_tag(&self, tag: &str) -> anyhow::Result<()> {
        let tag = CacheTag::parse(tag).with_context(|| format!("`{tag}` cannot be a cache tag"))?;
        let now = self.collection.now_second();
        let order = PurgeOrder {
            batch: new_batch(),
            picture: None,
            steps: steps_for_tag(&self.cdn_names(), tag),
            round: 1,
            // No deletion depends on it, so it leaves these paths to admins.
            keep: KEPT_FOR_ADMINS,
            // No page is kept for longer than a picture lives.
            ends_at: now + i64::from(self.collection.retention.seconds()),
            due_at: now,
            shared: false,
        };
        self.collection.db.enqueue_purge(&order, now).await?;
        self.collection.changed();
        Ok(())
    }

    /// Does one step that is due at this target. Returns false when none is.
    ///
    /// # Errors
    /// When the index fails. Failures of a CDN are noted in the queue instead.
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
                cdn,
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
                // Where a CDN is paid by the path, one row is claimed at a time, each with a
                // reference of its own.
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
            due_at: now + BACKOFF.seconds_after(first.attempts),
            ticket: first.ticket.as_deref(),
            ..Postponed::default()
        };
        match &error {
            PurgeError::Throttled { wait } => {
                let wait = wait.map_or(THROTTLED_REST, whole_seconds);
                postponed.due_at = now + wait.clamp(1, HOUR);
            }
            // One bad item must not hold up the others, and a ticket that the CDN no longer knows
            // must not hold up its purge.
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
                %cdn, items, again_in_s, error = chain(&error),
                "could not purge; it is tried again"
            ),
            PurgeError::Refused(_) | PurgeError::Rejected(_) => tracing::error!(
                %cdn, items, again_in_s, error = chain(&error),
                "a CDN refuses to purge; it is tried again"
            ),
        }
        Ok(())
    }

    /// Takes up the queue that an earlier process left behind. It may only be called at start.
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

    /// Deletes purges that nobody needs any more because their picture has expired.
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

/// The reference by which a CDN recognises a repeated request. It is the same for every attempt at
/// one row.
fn reference(purge: &ClaimedPurge) -> String {
    let kind = match purge.item.kind() {
        PurgeKind::Images => "images",
        PurgeKind::Folder => "folder",
        PurgeKind::Tag => "tag",
    };
    format!("cattocdn-{}-{kind}", purge.batch)
}

fn whole_seconds(wait: Duration) -> i64 {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_second_is_waited_for_as_a_whole_one() {
        assert_eq!(whole_seconds(Duration::from_millis(1001)), 2);
    }
}
