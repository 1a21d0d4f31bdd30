//! What follows the local look: pictures that it did not decide are shown to somebody who is paid, and what that somebody
//! said is noted on the picture's row before anything else happens, so that it is never paid again.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::delay::Delay;
use super::judged::Judged;
use super::pixels::Unsure;
use super::reviewer::{RekognitionReviewer, ReviewError, ReviewNotes};
use crate::config::BudgetSpent;
use crate::costs::budget::{Budget, BudgetError, Paid};
use crate::db::{Db, LONGEST_REST_OF_ALL};
use crate::domain::picture::Received;
use crate::domain::verdict::{Reason, Review, Rules, Verdict};
use crate::pictures::collection::Collection;

/// How long a picture rests after its review failed, doubled with each failure of the same bytes.
const SHORTEST_REST: Duration = Duration::from_secs(5);
/// The longest such rest, six hours: a picture that the service chokes on costs about forty calls in a week.
const LONGEST_REST: Duration = Duration::from_secs(LONGEST_REST_OF_ALL.cast_unsigned());

/// Asks for second opinions, and knows what becomes of pictures for which none can be had.
pub(crate) struct SecondOpinions {
    collection: Arc<Collection>,
    /// Who is asked; absent where the local models decide all, or nothing is screened.
    reviewer: Option<RekognitionReviewer>,
    budget: Arc<Budget>,
    /// What becomes of pictures that cannot be paid for.
    when_spent: BudgetSpent,
    /// When a picture that waits for the month to turn looks again.
    spent_rest: Duration,
}

/// Notes on the picture's own row.
struct Row<'a> {
    db: &'a Db,
    received: &'a Received,
    rules: &'a Rules,
}

#[async_trait]
impl ReviewNotes for Row<'_> {
    async fn note(&self, review: &Review) -> anyhow::Result<()> {
        Ok(self
            .db
            .note_review(self.received, self.rules, review)
            .await?)
    }
}

fn out_of_reach(rest: Duration) -> Delay {
    Delay::SecondOpinion {
        why: "Rekognition is out of reach".into(),
        rest,
    }
}

impl SecondOpinions {
    pub(crate) fn new(
        collection: Arc<Collection>,
        reviewer: Option<RekognitionReviewer>,
        budget: Arc<Budget>,
        when_spent: BudgetSpent,
        spent_rest: Duration,
    ) -> Self {
        Self {
            collection,
            reviewer,
            budget,
            when_spent,
            spent_rest,
        }
    }

    /// Succeeds unless whoever is asked refuses our configuration.
    ///
    /// # Errors
    /// When it does: somebody must mend that.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        self.reviewer
            .as_ref()
            .map_or(Ok(()), RekognitionReviewer::check)
    }

    /// For how long uploads are refused because none could be paid for; `None` where they are not.
    ///
    /// # Errors
    /// When the index fails.
    pub(crate) async fn refuses_uploads_for(&self) -> Result<Option<Duration>, BudgetError> {
        if self.reviewer.is_none() || self.when_spent != BudgetSpent::Refuse {
            return Ok(None);
        }
        let usage = self.budget.usage(Paid::RekognitionCalls).await?;
        let is_spent = usage.left() < Review::Asked.calls_left();
        Ok(is_spent.then(|| Duration::from_secs(self.budget.seconds_left())))
    }

    fn reviewer(&self) -> anyhow::Result<&RekognitionReviewer> {
        self.reviewer
            .as_ref()
            .ok_or_else(|| anyhow::anyhow!("there is nobody to ask for a second opinion"))
    }

    /// What is decided already of a picture that is known to need a second opinion, without a look at it: nothing where it
    /// can be asked for now.
    pub(super) async fn foresee(
        &self,
        received: &Received,
        review: &Review,
    ) -> anyhow::Result<Option<Judged>> {
        match self.reviewer()?.check_review(review).await {
            Ok(()) => self.check_others(received).await.map(|()| None),
            Err(ReviewError::Spent) => match self.when_spent {
                BudgetSpent::Refuse => Ok(Some(Judged::Refused(Reason::BudgetSpent))),
                BudgetSpent::Local => Ok(None),
                BudgetSpent::Wait => Err(self.waits_for_month().into()),
            },
            Err(error) => Err(waits(error)),
        }
    }

    /// Has a picture wait where the same bytes have failed in another's review and rest: however often somebody uploads them,
    /// they are tried as often as one picture.
    async fn check_others(&self, received: &Received) -> anyhow::Result<()> {
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
                why: "Rekognition failed on the same bytes".into(),
                rest: Duration::from_secs(seconds),
            }
            .into()),
            _ => Ok(()),
        }
    }

    /// Asks for a second opinion on a picture, from where an earlier review of it came to. `alone` are the rules under which
    /// the local models' own verdict is remembered.
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
        let row = Row {
            db: &self.collection.db,
            received,
            rules: &rules,
        };
        let (verdict, rules) = match self
            .reviewer()?
            .review(&image, from, failed_before, &row)
            .await
        {
            Ok(verdict) => (verdict, rules),
            Err(ReviewError::Spent) => match (self.when_spent, local) {
                // Remembered as what it is: under the rules of the local models alone.
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
                tracing::error!(
                    picture = %received.id, error = format!("{:#}", anyhow::Error::from(error)),
                    "refused a picture that Rekognition cannot read"
                );
                return Ok(Judged::Refused(Reason::Corrupt));
            }
            Err(ReviewError::Resting { again_in }) => {
                self.collection
                    .db
                    .note_review_wanted(received, &rules)
                    .await?;
                return Err(out_of_reach(again_in).into());
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
                    rest = rest.max(rest_after(failures));
                }
                return Err(out_of_reach(rest).into());
            }
            Err(error) => return Err(waits(error)),
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

fn waits(error: ReviewError) -> anyhow::Error {
    match error {
        ReviewError::Resting { again_in } => out_of_reach(again_in).into(),
        error => Delay::Unpaid(error.into()).into(),
    }
}

/// How long a picture rests whose reviews failed so often, at a price.
fn rest_after(failures: u32) -> Duration {
    (SHORTEST_REST * (1 << failures.min(20))).min(LONGEST_REST)
}
