//! Gets a second opinion on a picture, within the budget: whoever gives it is paid here.
//!
//! Each call is reserved before it is made. A call that may have been billed stays counted; one
//! that certainly was not is used for the next attempt or given back. The ledger therefore never
//! states less than the bill. After a failure no calls are made for a while, so that an outage
//! holds up no worker for long and costs little.

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use imaging::ScreeningImage;
use parking_lot::{Mutex, MutexGuard};

use super::notes::Notes;
use crate::config::RetryConfig;
use crate::costs::budget::{Budget, BudgetError, Paid, Reserved};
use crate::domain::verdict::{Review, Verdict};
use crate::runtime::causes::chain;
use crate::runtime::clock::Clock;
use crate::screening::{SecondOpinion, SecondOpinionError};

/// Why there is no second opinion.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReviewError {
    #[error("this month has no calls left for it")]
    Spent,
    /// Nobody is asked just now, because it failed before.
    #[error("nobody is asked for another {} s", .again_in.as_secs())]
    Resting { again_in: Duration },
    /// It failed, or refuses us: told in the log once, when it began.
    #[error("a second opinion failed")]
    Failed {
        /// The time until calls are made again.
        again_in: Duration,
        /// Whether this attempt may be billed all the same.
        may_be_billed: bool,
    },
    /// Whoever is asked cannot read what we made of the picture.
    #[error(transparent)]
    Unreadable(SecondOpinionError),
    /// Budget or index failed.
    #[error(transparent)]
    Unavailable(anyhow::Error),
}

impl From<BudgetError> for ReviewError {
    fn from(error: BudgetError) -> Self {
        match error {
            BudgetError::Spent => Self::Spent,
            BudgetError::Unavailable(error) => Self::Unavailable(error),
        }
    }
}

/// How whoever is asked is, by the last answers.
#[derive(Default)]
struct Health {
    /// The number of failures in a row. Each of them makes the rest longer.
    failures: u32,
    /// The end of the rest, by the clock that is never put back.
    rests_until: Option<Duration>,
    /// Our configuration is refused; somebody must look.
    refuses: bool,
}

/// Asks, and pays.
pub(super) struct Reviewer {
    opinion: Arc<dyn SecondOpinion>,
    budget: Arc<Budget>,
    clock: Clock,
    retries: RetryConfig,
    health: Mutex<Health>,
}

/// What one review may spend: calls that are reserved and not made yet.
struct Purse {
    /// What the calls are counted as.
    call: Paid,
    /// How often each call may be made.
    attempts: u32,
    reserved: Vec<(Reserved, u32)>,
}

impl Purse {
    fn count(&self) -> u32 {
        self.reserved.iter().map(|(_, left)| left).sum()
    }

    /// Reserves what is missing of `count`.
    async fn fill(&mut self, budget: &Budget, count: u32) -> Result<(), BudgetError> {
        let missing = count.saturating_sub(self.count());
        if missing > 0 {
            let reserved = budget.reserve(self.call, missing, 0).await?;
            self.reserved.push((reserved, missing));
        }
        Ok(())
    }

    /// Takes one call out, which may be billed from now on. Returns the place where it can be put
    /// back.
    fn take(&mut self) -> Option<usize> {
        let place = self.reserved.iter().position(|(_, left)| *left > 0)?;
        self.reserved[place].1 -= 1;
        Some(place)
    }

    fn put_back(&mut self, place: usize) {
        self.reserved[place].1 += 1;
    }

    /// Gives back what was not used. Where that fails the calls stay counted, which does no harm
    /// but to the month's budget.
    async fn empty(self, budget: &Budget) {
        for (reserved, left) in self.reserved {
            if let Err(error) = budget.give_back(&reserved, left).await {
                tracing::warn!(
                    calls = left,
                    error = chain(&error),
                    "unused calls stay counted as used"
                );
            }
        }
    }
}

impl Reviewer {
    /// A reviewer that asks this one and pays from this budget.
    pub(super) fn new(
        opinion: Arc<dyn SecondOpinion>,
        budget: Arc<Budget>,
        clock: Clock,
        retries: RetryConfig,
    ) -> Self {
        Self {
            opinion,
            budget,
            clock,
            retries,
            health: Mutex::default(),
        }
    }

    /// The name of whoever is asked, for the log.
    pub(super) fn name(&self) -> &'static str {
        self.opinion.vendor().name
    }

    /// Succeeds where this review could be made now, for all that is known.
    ///
    /// # Errors
    /// `Spent` and `Resting`; `Unavailable` where the index fails.
    pub(super) async fn check_review(&self, review: &Review) -> Result<(), ReviewError> {
        self.check_rest()?;
        if self.can_pay(review).await? {
            Ok(())
        } else {
            Err(ReviewError::Spent)
        }
    }

    /// True where the month has as many calls left as this review takes at most.
    ///
    /// # Errors
    /// When the index fails.
    pub(super) async fn can_pay(&self, review: &Review) -> Result<bool, BudgetError> {
        let usage = self.budget.usage(self.opinion.vendor().call).await?;
        Ok(usage.left() >= self.opinion.calls_left(review))
    }

    /// Succeeds unless our configuration is refused, which somebody must mend.
    ///
    /// # Errors
    /// When it is.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        if self.health().refuses {
            let name = self.name();
            return Err(anyhow!("{name} refuses this server's configuration"));
        }
        Ok(())
    }

    /// Judges a picture by this image of it, from where an earlier review of the same picture came
    /// to. One that `failed_before` is tried once: it may be what the service chokes on.
    ///
    /// # Errors
    /// When there is no verdict. What was noted stands.
    pub(super) async fn review(
        &self,
        image: &ScreeningImage,
        from: &Review,
        failed_before: bool,
        notes: &Notes<'_>,
    ) -> Result<Verdict, ReviewError> {
        self.check_rest()?;
        let mut purse = Purse {
            call: self.opinion.vendor().call,
            attempts: if failed_before {
                1
            } else {
                self.retries.attempts
            },
            reserved: Vec::new(),
        };
        let calls = self.opinion.calls_left(from);
        purse.fill(&self.budget, calls).await?;
        let done = self.ask(image, from, notes, &mut purse).await;
        purse.empty(&self.budget).await;
        done
    }

    /// Makes one call after the other until the picture is judged, and notes what each has come to.
    async fn ask(
        &self,
        image: &ScreeningImage,
        from: &Review,
        notes: &Notes<'_>,
        purse: &mut Purse,
    ) -> Result<Verdict, ReviewError> {
        let mut review = from.clone();
        loop {
            if let Review::Judged(verdict) = review {
                return Ok(verdict);
            }
            let next = self.attempt(purse, image, &review).await?;
            let noted = notes.note(&next).await;
            noted.map_err(ReviewError::Unavailable)?;
            if self.opinion.calls_left(&next) >= self.opinion.calls_left(&review) {
                // It would be asked, and paid, for ever.
                tracing::error!(vendor = self.name(), "a second opinion comes to no verdict");
                return Err(ReviewError::Failed {
                    again_in: self.retries.backoff.longest,
                    may_be_billed: true,
                });
            }
            review = next;
        }
    }

    /// Makes the next call of a review until it has an answer, at most as often and as long as may
    /// be. Before each attempt the purse holds as many calls as are still to come: this one and
    /// what must follow it.
    async fn attempt(
        &self,
        purse: &mut Purse,
        image: &ScreeningImage,
        review: &Review,
    ) -> Result<Review, ReviewError> {
        let begun = tokio::time::Instant::now();
        let mut pause = self.retries.first_pause;
        let mut attempts = 0;
        loop {
            let to_come = self.opinion.calls_left(review);
            purse.fill(&self.budget, to_come).await?;
            let place = purse
                .take()
                .ok_or_else(|| ReviewError::Unavailable(anyhow!("the purse is empty")))?;
            attempts += 1;
            let error = match self.opinion.ask(image, review).await {
                Ok(next) => {
                    self.has_answered();
                    return Ok(next);
                }
                Err(error) => error,
            };
            if !error.may_be_billed() {
                purse.put_back(place);
            }
            if matches!(error, SecondOpinionError::InvalidImage(_)) {
                self.has_answered();
                return Err(ReviewError::Unreadable(error));
            }
            let again = error.retry_helps()
                // While the service fails, one attempt is enough to tell whether it still does.
                && attempts < self.attempts(purse.attempts)
                && begun.elapsed() + pause < self.retries.time_limit;
            if !again {
                return Err(self.has_failed(&error));
            }
            tracing::debug!(error = chain(&error), attempts, "a call is made again");
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock()
    }

    fn attempts(&self, at_most: u32) -> u32 {
        if self.health().failures == 0 {
            at_most
        } else {
            1
        }
    }

    fn check_rest(&self) -> Result<(), ReviewError> {
        let Some(until) = self.health().rests_until else {
            return Ok(());
        };
        match until.saturating_sub(self.clock.elapsed()) {
            Duration::ZERO => Ok(()),
            again_in => Err(ReviewError::Resting { again_in }),
        }
    }

    fn has_answered(&self) {
        let mut health = self.health();
        if health.failures > 0 {
            let name = self.name();
            tracing::info!("{name} answers again");
        }
        *health = Health::default();
    }

    /// Begins a rest, and tells of it where it is the first or of a new kind.
    fn has_failed(&self, error: &SecondOpinionError) -> ReviewError {
        let refuses = matches!(error, SecondOpinionError::Refused(_));
        let mut health = self.health();
        let (name, text) = (self.name(), chain(error));
        if health.failures == 0 || health.refuses != refuses {
            if refuses {
                tracing::error!(
                    error = text,
                    "{name} refuses this server's configuration; pictures that need it wait"
                );
            } else {
                tracing::error!(error = text, "{name} fails; pictures that need it wait");
            }
        } else {
            tracing::debug!(error = text, "{name} still fails");
        }
        let now = self.clock.elapsed();
        // Where several workers fail together, only one of them lengthens the rest.
        if health.rests_until.is_none_or(|until| until <= now) {
            health.failures = health.failures.saturating_add(1);
        }
        health.refuses = refuses;
        let again_in = if refuses {
            self.retries.refused_rest
        } else {
            self.retries.backoff.rest_after(health.failures)
        };
        health.rests_until = Some(now + again_in);
        ReviewError::Failed {
            again_in,
            may_be_billed: error.may_be_billed(),
        }
    }
}
