//! Makes the month's paths last. Each path is reserved before it is used, and deletions for which
//! there are too few are purged together.

use super::{BACKOFF, HOUR, Purging};
use crate::costs::budget::BudgetError;
use crate::db::{ClaimedPurge, Postponed, SharedPurges};
use crate::domain::month::Month;
use crate::domain::purge::CLOUDFRONT_PATHS;
use crate::domain::purge::{
    Cdn, EndingSpan, PATHS_OF_SPAN, PurgeTarget, kept_of, rest_after_shared, spans_of,
};

/// When deletions were last purged together, and the month for which the log has said that no path
/// is left.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Seconds since 1970.
    gathered_at: Option<i64>,
    told_in: Option<Month>,
}

impl Purging {
    /// Has deletions purged together, when it is time: those of owners at a rate at which the
    /// month's paths last, those of admins at once.
    pub(super) async fn gather(&self, cdn: Cdn) -> anyhow::Result<()> {
        let (db, budget) = (&self.collection.db, &self.budget);
        let (target, now) = (PurgeTarget::Cdn(cdn), self.collection.now_second());
        if !db.is_any_to_gather(target, now).await? {
            return Ok(());
        }
        let usage = budget.usage(CLOUDFRONT_PATHS).await?;
        let seconds_left = budget.seconds_left();
        let pace = || self.pace.lock();
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
            // A clock that was put back must not make the rest longer.
            let rests = gathered_at.is_some_and(|at| (at..at.saturating_add(rest)).contains(&now));
            if !is_admins && (waiting.under_way || rests) {
                return Vec::new();
            }
            spans
        };
        let gathered = db.gather_purges(cdn, now, choose).await?;
        if gathered > 0 {
            pace().gathered_at = Some(now);
            tracing::info!(%cdn, pictures = gathered, "deletions are purged together");
        }
        // The log says so once a month, however many deletions wait.
        if is_spent && pace().told_in.replace(budget.month()) != Some(budget.month()) {
            tracing::warn!("no CloudFront path is left this month; deletions wait to be purged");
        }
        Ok(())
    }

    /// Reserves the path that this row costs, unless an earlier attempt did so this month. Returns
    /// false where the month has none left. The row then waits for others with which it is purged
    /// together, for more budget, or for the next month.
    pub(super) async fn reserve_path(&self, purge: &ClaimedPurge) -> anyhow::Result<bool> {
        let budget = &self.budget;
        if purge.reserved.as_ref() == Some(&budget.month().to_string()) {
            return Ok(true);
        }
        let again_in_s = i64::try_from(budget.seconds_left()).unwrap_or(i64::MAX);
        let again_in_s = again_in_s.min(HOUR);
        let limit = budget.usage(CLOUDFRONT_PATHS).await?.limit;
        let keep = kept_of(limit, purge.keep, purge.picture.is_some());
        let reserved = match budget.reserve(CLOUDFRONT_PATHS, 1, keep).await {
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
                            BudgetError::Unavailable(_) => BACKOFF.seconds_after(purge.attempts),
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
                        // The log says so once, and not every hour.
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
