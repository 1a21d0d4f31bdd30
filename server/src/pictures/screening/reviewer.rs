//! A second opinion on a picture from Amazon Rekognition, within the budget.
//!
//! Each call is reserved before it is made. What may have been billed stays counted, what certainly was not is used for the
//! next attempt or given back; so the ledger never tells less than the bill. After a failure nobody is asked for a while, so
//! that an outage holds no worker for long and costs little.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::anyhow;
use async_trait::async_trait;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use crate::config::{RetryConfig, ScreeningConfig};
use crate::costs::budget::{Budget, BudgetError, Paid, Reserved};
use crate::domain::detection;
use crate::domain::moderation;
use crate::domain::policy::Policy;
use crate::domain::verdict::{Reason, Review, Verdict};
use crate::runtime::clock::Clock;
use crate::screening::{RekognitionClient, RekognitionError};
use imaging::ScreeningImage;

/// Why there is no second opinion.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    #[error("this month has no calls left for it")]
    Spent,
    /// Nobody is asked just now, because it failed before.
    #[error("Rekognition is not asked for another {} s", .again_in.as_secs())]
    Resting { again_in: Duration },
    /// It failed, or refuses us: told in the log once, when it began.
    #[error("Rekognition failed")]
    Failed {
        /// Until somebody may be asked again.
        again_in: Duration,
        /// Whether this attempt may be billed all the same.
        may_be_billed: bool,
    },
    /// Rekognition cannot read what we made of the picture.
    #[error(transparent)]
    Unreadable(RekognitionError),
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

/// Where the steps of a review are noted as soon as they are paid for.
#[async_trait]
pub trait ReviewNotes: Send + Sync {
    /// Makes this step durable before it returns.
    async fn note(&self, review: &Review) -> anyhow::Result<()>;
}

/// How Rekognition is, by its last answers.
#[derive(Default)]
struct Health {
    /// Failures in a row, of which each makes the rest longer.
    failures: u32,
    /// Until then nobody is asked; of the clock that is never put back.
    rests_until: Option<Duration>,
    /// It refuses our configuration; somebody must look.
    refuses: bool,
}

/// Asks Rekognition, and pays.
pub struct RekognitionReviewer {
    client: RekognitionClient,
    budget: Arc<Budget>,
    clock: Clock,
    policy: Policy,
    retries: RetryConfig,
    /// Keeps under the account's calls per second.
    bucket: DefaultDirectRateLimiter,
    health: Mutex<Health>,
}

/// What one review may spend: calls that are reserved and not made.
struct Purse {
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
            let reserved = budget.reserve(Paid::RekognitionCalls, missing, 0).await?;
            self.reserved.push((reserved, missing));
        }
        Ok(())
    }

    /// Takes one out: it may be billed from now on. The place is where to put it back.
    fn take(&mut self) -> Option<usize> {
        let place = self.reserved.iter().position(|(_, left)| *left > 0)?;
        self.reserved[place].1 -= 1;
        Some(place)
    }

    fn put_back(&mut self, place: usize) {
        self.reserved[place].1 += 1;
    }

    /// Gives back what was not used. Where that fails it stays counted, which is no harm but to the month.
    async fn empty(self, budget: &Budget) {
        for (reserved, left) in self.reserved {
            if let Err(error) = budget.give_back(&reserved, left).await {
                tracing::warn!(
                    calls = left,
                    error = format!("{:#}", anyhow::Error::from(error)),
                    "unused calls stay counted as used"
                );
            }
        }
    }
}

impl RekognitionReviewer {
    /// A reviewer that pays from this budget.
    #[must_use]
    pub fn new(
        client: RekognitionClient,
        budget: Arc<Budget>,
        clock: Clock,
        config: &ScreeningConfig,
    ) -> Self {
        Self {
            client,
            budget,
            clock,
            policy: config.policy,
            retries: config.retries.clone(),
            bucket: RateLimiter::direct(Quota::per_second(config.calls_per_second)),
            health: Mutex::default(),
        }
    }

    /// Succeeds where this review could be made now, for all that is known.
    ///
    /// # Errors
    /// `Spent` and `Resting`; `Unavailable` where the index fails.
    pub async fn check_review(&self, review: &Review) -> Result<(), ReviewError> {
        self.check_rest()?;
        let usage = self.budget.usage(Paid::RekognitionCalls).await?;
        if usage.left() < review.calls_left() {
            return Err(ReviewError::Spent);
        }
        Ok(())
    }

    /// Succeeds unless Rekognition refuses our configuration, which somebody must mend.
    ///
    /// # Errors
    /// When it does.
    pub fn check(&self) -> anyhow::Result<()> {
        if self.health().refuses {
            return Err(anyhow!("Rekognition refuses this server's configuration"));
        }
        Ok(())
    }

    /// Judges a picture by this image of it, from where an earlier review of the same picture came to. One that
    /// `failed_before` is tried once: it may be what the service chokes on.
    ///
    /// # Errors
    /// When there is no verdict. What was noted stands.
    pub async fn review(
        &self,
        image: &ScreeningImage,
        from: &Review,
        failed_before: bool,
        notes: &dyn ReviewNotes,
    ) -> Result<Verdict, ReviewError> {
        self.check_rest()?;
        let mut purse = Purse {
            attempts: if failed_before {
                1
            } else {
                self.retries.attempts
            },
            reserved: Vec::new(),
        };
        purse.fill(&self.budget, from.calls_left()).await?;
        let done = self.ask(image, from, notes, &mut purse).await;
        purse.empty(&self.budget).await;
        done
    }

    async fn ask(
        &self,
        image: &ScreeningImage,
        from: &Review,
        notes: &dyn ReviewNotes,
        purse: &mut Purse,
    ) -> Result<Verdict, ReviewError> {
        if from.calls_left() > 1 {
            let found = self
                .attempt(purse, 2, || self.client.detect_moderation(image))
                .await?;
            let minimums = &self.policy.moderation;
            let objection = moderation::objection(&found.labels, minimums);
            if let Some(label) = objection {
                tracing::debug!(label = label.name, "Rekognition objects");
                return judged(Verdict::Rejected(Reason::Indecent), notes).await;
            }
            noted(&Review::Decent, notes).await?;
        }
        let found = self
            .attempt(purse, 1, || self.client.detect_labels(image))
            .await?;
        let verdict = detection::judge(&found.labels, &self.policy.detection);
        judged(verdict, notes).await
    }

    /// Makes one call until it has an answer, at most as often and as long as may be. Before each attempt `to_come` calls are
    /// in the purse: this one and what must follow it.
    async fn attempt<T, Call>(
        &self,
        purse: &mut Purse,
        to_come: u32,
        call: impl Fn() -> Call,
    ) -> Result<T, ReviewError>
    where
        Call: Future<Output = Result<T, RekognitionError>>,
    {
        let begun = tokio::time::Instant::now();
        let mut pause = self.retries.first_pause;
        let mut attempts = 0;
        loop {
            purse.fill(&self.budget, to_come).await?;
            self.bucket.until_ready().await;
            let place = purse
                .take()
                .ok_or_else(|| ReviewError::Unavailable(anyhow!("the purse is empty")))?;
            attempts += 1;
            let error = match call().await {
                Ok(found) => {
                    self.has_answered();
                    return Ok(found);
                }
                Err(error) => error,
            };
            if !error.may_be_billed() {
                purse.put_back(place);
            }
            if matches!(error, RekognitionError::InvalidImage(_)) {
                self.has_answered();
                return Err(ReviewError::Unreadable(error));
            }
            let again = error.retry_helps()
                // While it fails, one attempt tells whether it still does.
                && attempts < self.attempts(purse.attempts)
                && begun.elapsed() + pause < self.retries.time_limit;
            if !again {
                return Err(self.has_failed(&error));
            }
            tracing::debug!(
                error = Chain(&error).to_string(),
                attempts,
                "a call is made again"
            );
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
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
            tracing::info!("Rekognition answers again");
        }
        *health = Health::default();
    }

    /// Begins a rest, and tells of it where it is the first or of a new kind.
    fn has_failed(&self, error: &RekognitionError) -> ReviewError {
        let refuses = matches!(error, RekognitionError::Refused(_));
        let mut health = self.health();
        let text = Chain(error).to_string();
        if health.failures == 0 || health.refuses != refuses {
            if refuses {
                tracing::error!(
                    error = text,
                    "Rekognition refuses this server's configuration; pictures that need it wait"
                );
            } else {
                tracing::error!(
                    error = text,
                    "Rekognition fails; pictures that need it wait"
                );
            }
        } else {
            tracing::debug!(error = text, "Rekognition still fails");
        }
        let now = self.clock.elapsed();
        // Of several workers that failed together one lengthens the rest.
        if health.rests_until.is_none_or(|until| until <= now) {
            health.failures = health.failures.saturating_add(1);
        }
        health.refuses = refuses;
        let doublings = health.failures.saturating_sub(1).min(20);
        let again_in = if refuses {
            self.retries.refused_rest
        } else {
            (self.retries.first_rest * (1 << doublings)).min(self.retries.longest_rest)
        };
        health.rests_until = Some(now + again_in);
        ReviewError::Failed {
            again_in,
            may_be_billed: error.may_be_billed(),
        }
    }
}

async fn judged(verdict: Verdict, notes: &dyn ReviewNotes) -> Result<Verdict, ReviewError> {
    noted(&Review::Judged(verdict.clone()), notes).await?;
    Ok(verdict)
}

async fn noted(review: &Review, notes: &dyn ReviewNotes) -> Result<(), ReviewError> {
    notes.note(review).await.map_err(ReviewError::Unavailable)
}

/// An error with its causes on one line.
struct Chain<'a>(&'a RekognitionError);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)?;
        let mut cause = std::error::Error::source(self.0);
        while let Some(error) = cause {
            write!(formatter, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
