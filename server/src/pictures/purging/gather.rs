//! How the paths that a month may cost are made to last: each is reserved before it is asked for, and deletions for which
//! there are too few are purged together.

use std::sync::PoisonError;

use super::{LONGEST_REST, Purging, rest_after};
use crate::costs::budget::{BudgetError, Paid};
use crate::db::{ClaimedPurge, Postponed, SharedPurges};
use crate::domain::month::Month;
use crate::domain::purge::{
    Cdn, EndingSpan, PATHS_OF_SPAN, PurgeTarget, kept_of, rest_after_shared, spans_of,
};

/// When deletions were last purged together, and for which month somebody was told that no path is left for it.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Seconds since 1970.
    gathered_at: Option<i64>,
    told_in: Option<Month>,
}

impl Purging {
    /// Has deletions that wait for each other purged together, when it is time: owners' at a rate that the month's paths last
    /// for, admins' at once.
    pub(super) async fn gather(&self, cdn: Cdn) -> anyhow::Result<()> {
        let (db, budget) = (&self.collection.db, &self.budget);
        let (target, now) = (PurgeTarget::Cdn(cdn), self.collection.now_second());
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
    pub(super) async fn reserve_path(&self, purge: &ClaimedPurge) -> anyhow::Result<bool> {
        let budget = &self.budget;
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
                self.collection.db.share_purge(purge).await?;
                return Ok(false);
            }
            Err(error) => {
                let postponed = Postponed {
                    due_at: self.collection.now_second()
                        + match error {
                            BudgetError::Spent => again_in_s,
                            BudgetError::Unavailable(_) => rest_after(purge.attempts),
                        },
                    ..Postponed::default()
                };
                let purges = std::slice::from_ref(purge);
                self.collection
                    .db
                    .postpone_purges(purges, postponed)
                    .await?;
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
        if let Err(error) = self.collection.db.note_reserved(purge, &month).await {
            budget.give_back(&reserved, 1).await?;
            return Err(error.into());
        }
        Ok(true)
    }
}
