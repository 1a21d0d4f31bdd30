//! How caches in front of the site forget what was deleted: the queue in the index is worked off, one request at a time, and
//! in the end the site is looked at from outside.
//!
//! Pictures that simply end need none of this, since caches end by themselves.

use std::fmt;
use std::sync::PoisonError;
use std::time::Duration;

use anyhow::Context;

use super::Pictures;
use crate::cdn::{Asked, Purge, PurgeError};
use crate::costs::budget::{BudgetError, Paid};
use crate::db::{ClaimedPurge, Postponed, PurgeOrder, SharedPurges};
use crate::domain::expiry::{ExpiresAt, rfc3339};
use crate::domain::month::Month;
use crate::domain::picture::PictureId;
use crate::domain::purge::{
    CacheTag, Cdn, EndingSpan, KEPT_FOR_ADMINS, PATHS_OF_SPAN, PurgeItem, PurgeKind, PurgeReceipt,
    PurgeTarget, Sight, kept_of, looked_at, rest_after_shared, spans_of, steps_for_picture,
    steps_for_tag,
};
use crate::domain::variant::FileName;

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
/// How often CDNs are told in all, where a look still shows the picture.
const MOST_ROUNDS: u32 = 3;
/// The rest before the CDNs are told again, seconds, for each round before it.
const REST_BETWEEN_ROUNDS: i64 = 30;
/// How often the site is looked at where nothing can be told from what comes.
const MOST_LOOKS: u32 = 5;
/// How long receipts are kept, seconds.
const RECEIPT_SECONDS: i64 = 30 * 24 * 3600;
/// How often one who waits looks again.
const WATCH_EVERY: Duration = Duration::from_millis(200);

/// When deletions were last purged together, and for which month somebody was told that no path is left for it.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Seconds since 1970.
    gathered_at: Option<i64>,
    told_in: Option<Month>,
}

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

impl Pictures {
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
        self.parts.cdns.names()
    }

    /// Has every CDN forget what carries this tag, all pages with `html` for one; durable once this returns, and worked off by
    /// the running server.
    ///
    /// # Errors
    /// When it is no tag, or the index fails.
    pub async fn enqueue_purge_of_tag(&self, tag: &str) -> anyhow::Result<()> {
        let tag = CacheTag::parse(tag).with_context(|| format!("`{tag}` cannot be a cache tag"))?;
        let now = self.now_second();
        let order = PurgeOrder {
            batch: new_batch(),
            picture: None,
            steps: steps_for_tag(&self.cdn_names(), tag),
            round: 1,
            // Nobody's deletion hangs on it.
            keep: KEPT_FOR_ADMINS,
            // No page is kept longer than a picture lives.
            ends_at: now + i64::from(self.parts.retention.seconds()),
            due_at: now,
            shared: false,
        };
        self.parts.db.enqueue_purge(&order, now).await?;
        self.changed();
        Ok(())
    }

    /// Does one thing that is due at this target. False when nothing is.
    ///
    /// # Errors
    /// When the index fails; what a CDN does or does not is the queue's business.
    pub async fn purge_next(&self, target: PurgeTarget) -> anyhow::Result<bool> {
        match target {
            PurgeTarget::Cdn(cdn) => match self.parts.cdns.get(cdn) {
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
        let now = self.now_second();
        let claimed = self
            .parts
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
        let now = self.now_second();
        match asked {
            Ok(Asked::Done) => {
                self.parts
                    .db
                    .finish_purges(&claimed, now + LOOK_AFTER)
                    .await?;
                tracing::info!(%cdn, items = claimed.len(), "purged");
                // The next step may be another loop's.
                self.changed();
            }
            Ok(Asked::Begun { ticket }) => {
                let postponed = Postponed {
                    due_at: now + ASK_AGAIN,
                    forget_attempts: true,
                    ticket: Some(&ticket),
                    ..Postponed::default()
                };
                self.parts.db.postpone_purges(&claimed, postponed).await?;
            }
            Err(error) => self.postpone_failed(cdn, &claimed, error, now).await?,
        }
        Ok(true)
    }

    /// Has deletions that wait for each other purged together, when it is time: owners' at a rate that the month's paths last
    /// for, admins' at once.
    async fn gather(&self, cdn: Cdn) -> anyhow::Result<()> {
        let (db, budget) = (&self.parts.db, &self.parts.budget);
        let (target, now) = (PurgeTarget::Cdn(cdn), self.now_second());
        if !db.is_any_to_gather(target, now).await? {
            return Ok(());
        }
        let usage = budget.usage(Paid::CloudFrontPaths).await?;
        let seconds_left = budget.seconds_left();
        let pace = || self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        let gathered_at = pace().gathered_at;
        let mut is_spent = false;
        let choose = |waiting: &SharedPurges| -> Vec<EndingSpan> {
            let left = usage
                .left()
                .saturating_sub(kept_of(usage.limit, waiting.keep, false));
            let spans = spans_of(&waiting.ends, left);
            is_spent = spans.is_empty();
            let is_admins = waiting.keep == 0;
            let cost = PATHS_OF_SPAN.saturating_mul(u32::try_from(spans.len()).unwrap_or(u32::MAX));
            let rest = rest_after_shared(cost, left, seconds_left);
            // A clock that was put back must not make it rest for longer.
            let rests = gathered_at.is_some_and(|at| (at..at.saturating_add(rest)).contains(&now));
            if !is_admins && (waiting.under_way || rests) {
                return Vec::new();
            }
            spans
        };
        let gathered = db.gather_purges(target, now, choose).await?;
        if gathered > 0 {
            pace().gathered_at = Some(now);
            tracing::info!(%cdn, pictures = gathered, "deletions are purged together");
        }
        // Once a month, however many wait.
        if is_spent && pace().told_in.replace(budget.month()) != Some(budget.month()) {
            tracing::warn!("no CloudFront path is left this month; deletions wait to be purged");
        }
        Ok(())
    }

    /// Reserves the path that this costs, unless an earlier attempt of this month has. False where the month has none left: the
    /// row waits then, for others with which it is purged together, or for more budget or the next month.
    async fn reserve_path(&self, purge: &ClaimedPurge) -> anyhow::Result<bool> {
        let budget = &self.parts.budget;
        if purge.reserved.as_ref() == Some(&budget.month().to_string()) {
            return Ok(true);
        }
        let again_in_s = i64::try_from(budget.seconds_left()).unwrap_or(i64::MAX);
        let again_in_s = again_in_s.min(LONGEST_REST);
        let limit = budget.usage(Paid::CloudFrontPaths).await?.limit;
        let keep = kept_of(limit, purge.keep, purge.picture.is_some());
        let reserved = match budget.reserve(Paid::CloudFrontPaths, 1, keep).await {
            Ok(reserved) => reserved,
            Err(BudgetError::Spent) if purge.picture.is_some() => {
                self.parts.db.share_purge(purge).await?;
                return Ok(false);
            }
            Err(error) => {
                let postponed = Postponed {
                    due_at: self.now_second()
                        + match error {
                            BudgetError::Spent => again_in_s,
                            BudgetError::Unavailable(_) => rest_after(purge.attempts),
                        },
                    ..Postponed::default()
                };
                let purges = std::slice::from_ref(purge);
                self.parts.db.postpone_purges(purges, postponed).await?;
                return match error {
                    BudgetError::Spent => {
                        // Once, and not every hour.
                        if purge.attempts == 1 {
                            tracing::warn!(item = %purge.item, "no CloudFront path is left this month; a purge waits");
                        }
                        Ok(false)
                    }
                    BudgetError::Unavailable(error) => {
                        Err(error.context("cannot reserve a CloudFront path"))
                    }
                };
            }
        };
        let month = reserved.month.to_string();
        if let Err(error) = self.parts.db.note_reserved(purge, &month).await {
            budget.give_back(&reserved, 1).await?;
            return Err(error.into());
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
        self.parts.db.postpone_purges(claimed, postponed).await?;
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

    /// Looks at a picture that every CDN says it has forgotten.
    async fn look(&self) -> anyhow::Result<bool> {
        let now = self.now_second();
        let claimed = self
            .parts
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
            self.parts
                .db
                .finish_look(look, None, again.as_ref(), now)
                .await?;
            self.changed();
            return Ok(true);
        }
        let seen = self.parts.cdns.look(id, expires_at, &name, now).await;
        let now = self.now_second();
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
                self.parts
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
                self.parts.db.postpone_purges(&claimed, postponed).await?;
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
        Ok(self.parts.db.finish_look(look, receipt, None, now).await?)
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

    /// Drops purges that nobody needs any more, because their picture's time is over.
    pub(super) async fn sweep_purges(&self) -> anyhow::Result<()> {
        let now = self.now_second();
        let dropped = self
            .parts
            .db
            .drop_ended_purges(now, now - RECEIPT_SECONDS)
            .await?;
        if dropped > 0 {
            tracing::info!(dropped, "dropped purges of pictures that have ended");
        }
        Ok(())
    }

    /// How far the purge of this picture is.
    ///
    /// # Errors
    /// When the index fails.
    pub async fn purge_progress(&self, id: &PictureId) -> anyhow::Result<PurgeProgress> {
        Ok(PurgeProgress {
            left: self
                .parts
                .db
                .count_purges(id, &self.purge_targets())
                .await?,
            receipt: self.parts.db.find_receipt(id).await?,
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

fn unanswered(now: i64) -> PurgeReceipt {
    PurgeReceipt {
        looked_at: now,
        status: None,
        cloudflare: None,
        cloudfront: None,
        rounds: 1,
    }
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
