//! What follows the local look. Pictures that it did not decide are shown to a service that is
//! paid, and its answer is noted on the picture's row before anything else happens, so that it is
//! never paid for twice.

use std::sync::Arc;
use std::time::Duration;

use super::delay::Delay;
use super::judged::Judged;
use super::notes::Notes;
use super::pixels::Unsure;
use super::reviewer::{ReviewError, Reviewer};
use crate::config::{BudgetSpent, RetryConfig};
use crate::costs::budget::{Budget, BudgetError};
use crate::db::LONGEST_REST_OF_ALL;
use crate::domain::backoff::Backoff;
use crate::domain::picture::Received;
use crate::domain::verdict::{Reason, Review, Rules, Verdict};
use crate::pictures::collection::Collection;
use crate::runtime::causes::chain;
use crate::screening::SecondOpinion;

/// How long a picture rests after failed reviews of its bytes that may have been billed, six hours
/// at most. A picture on which the service fails every time then costs about forty calls in a week.
const BACKOFF: Backoff = Backoff::of_seconds(10, LONGEST_REST_OF_ALL.cast_unsigned());

/// Asks for second opinions, and knows what happens to pictures for which none can be had.
pub(crate) struct SecondOpinions {
    collection: Arc<Collection>,
    /// The service that is asked; `None` where the local models decide everything, or nothing is
    /// screened.
    reviewer: Option<Reviewer>,
    budget: Arc<Budget>,
    /// What happens to pictures that cannot be paid for.
    when_spent: BudgetSpent,
    /// How long a picture that waits for the next month rests before it checks the budget again.
    spent_rest: Duration,
}

impl SecondOpinions {
    pub(crate) fn new(
        collection: Arc<Collection>,
        opinion: Option<Arc<dyn SecondOpinion>>,
        budget: Arc<Budget>,
        when_spent: BudgetSpent,
        retries: RetryConfig,
    ) -> Self {
        let spent_rest = retries.spent_rest;
        let clock = collection.clock.clone();
        Self {
            collection,
            reviewer: opinion.map(|opinion| Reviewer::new(opinion, budget.clone(), clock, retries)),
            budget,
            when_spent,
            spent_rest,
        }
    }

    /// Succeeds unless the service refuses our configuration.
    ///
    /// # Errors
    /// When it does, and somebody must mend that.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        self.reviewer.as_ref().map_or(Ok(()), Reviewer::check)
    }

    /// For how long uploads are refused because no second opinion can be paid for; `None` where
    /// they are not.
    ///
    /// # Errors
    /// When the index fails.
    pub(crate) async fn refuses_uploads_for(&self) -> Result<Option<Duration>, BudgetError> {
        let Some(reviewer) = &self.reviewer else {
            return Ok(None);
        };
        if self.when_spent != BudgetSpent::Refuse || reviewer.can_pay(&Review::Asked).await? {
            return Ok(None);
        }
        Ok(Some(Duration::from_secs(self.budget.seconds_left())))
    }

    fn reviewer(&self) -> anyhow::Result<&Reviewer> {
        self.reviewer
            .as_ref()
            .ok_or_else(|| anyhow::anyhow!("there is nobody to ask for a second opinion"))
    }

    /// What is already decided about a picture that is known to need a second opinion, before it is
    /// looked at; `None` where the service can be asked now.
    pub(super) async fn foresee(
        &self,
        received: &Received,
        review: &Review,
    ) -> anyhow::Result<Option<Judged>> {
        let reviewer = self.reviewer()?;
        match reviewer.check_review(review).await {
            Ok(()) => self.check_others(reviewer, received).await.map(|()| None),
            Err(ReviewError::Spent) => match self.when_spent {
                BudgetSpent::Refuse => Ok(Some(Judged::Refused(Reason::BudgetSpent))),
                BudgetSpent::Local => Ok(None),
                BudgetSpent::Wait => Err(self.waits_for_month().into()),
            },
            Err(error) => Err(waits(reviewer, error)),
        }
    }

    /// Makes a picture wait where the review of another one with the same bytes failed and that one
    /// rests. However often the same bytes are uploaded, they are so tried as often as one picture.
    async fn check_others(&self, reviewer: &Reviewer, received: &Received) -> anyhow::Result<()> {
        let until = self
            .collection
            .db
            .failed_others_rest_until(received)
            .await?;
        let left = until
            .unwrap_or(0)
            .saturating_sub(self.collection.now_second());
        match u64::try_from(left) {
            Ok(seconds) if seconds > 0 => Err(Delay::SecondOpinion {
                why: format!("{} failed on the same bytes", reviewer.name()),
                rest: Duration::from_secs(seconds),
            }
            .into()),
            _ => Ok(()),
        }
    }

    /// Asks for a second opinion on a picture, beginning where an earlier review of it stopped.
    /// `alone` are the rules under which the local models' own verdict is remembered.
    pub(super) async fn review(
        &self,
        received: &Received,
        unsure: Unsure,
        from: &Review,
        rules: Rules,
        alone: Rules,
    ) -> anyhow::Result<Judged> {
        let Unsure {
            rendered,
            image,
            local,
        } = unsure;
        let failed_before = self.collection.db.failed_reviews(received).await? > 0;
        let reviewer = self.reviewer()?;
        let notes = Notes {
            db: &self.collection.db,
            received,
            rules: &rules,
        };
        let (verdict, rules) = match reviewer.review(&image, from, failed_before, &notes).await {
            Ok(verdict) => (verdict, rules),
            Err(ReviewError::Spent) => match (self.when_spent, local) {
                // The verdict is remembered as what it is: one under the rules of the local models
                // alone.
                (BudgetSpent::Local, Some(local)) => (local, alone),
                (BudgetSpent::Wait, _) => {
                    self.collection
                        .db
                        .note_review_wanted(received, &rules)
                        .await?;
                    return Err(self.waits_for_month().into());
                }
                (BudgetSpent::Refuse | BudgetSpent::Local, _) => {
                    return Ok(Judged::Refused(Reason::BudgetSpent));
                }
            },
            Err(ReviewError::Unreadable(error)) => {
                let name = reviewer.name();
                tracing::error!(
                    picture = %received.id, error = chain(&error),
                    "refused a picture that {name} cannot read"
                );
                return Ok(Judged::Refused(Reason::Corrupt));
            }
            Err(ReviewError::Resting { again_in }) => {
                self.collection
                    .db
                    .note_review_wanted(received, &rules)
                    .await?;
                return Err(out_of_reach(reviewer, again_in).into());
            }
            Err(ReviewError::Failed {
                again_in,
                may_be_billed,
            }) => {
                self.collection
                    .db
                    .note_review_wanted(received, &rules)
                    .await?;
                let mut rest = again_in;
                if may_be_billed {
                    let failures = self.collection.db.count_failed_review(received).await?;
                    rest = rest.max(BACKOFF.rest_after(failures));
                }
                return Err(out_of_reach(reviewer, rest).into());
            }
            Err(error) => return Err(waits(reviewer, error)),
        };
        Ok(match verdict {
            Verdict::Rejected(reason) => Judged::Rejected(reason, rules),
            Verdict::Approved { tags, alt } => {
                let mut rendered = rendered;
                rendered.tags = tags;
                rendered.alt = alt;
                Judged::Approved(rendered, rules)
            }
        })
    }

    fn waits_for_month(&self) -> Delay {
        let month = Duration::from_secs(self.budget.seconds_left());
        Delay::SecondOpinion {
            why: "this month's calls are spent".into(),
            rest: month.min(self.spent_rest),
        }
    }
}

fn out_of_reach(reviewer: &Reviewer, rest: Duration) -> Delay {
    Delay::SecondOpinion {
        why: format!("{} is out of reach", reviewer.name()),
        rest,
    }
}

fn waits(reviewer: &Reviewer, error: ReviewError) -> anyhow::Error {
    match error {
        ReviewError::Resting { again_in } => out_of_reach(reviewer, again_in).into(),
        error => Delay::Unpaid(error.into()).into(),
    }
}
