//! A worker's turn: takes the next waiting picture, looks at it, renders it, and publishes or
//! refuses it.

mod attempts;
mod decode_memory;
mod delay;
mod inspector;
mod judged;
mod notes;
mod order;
mod pixels;
mod publish;
mod review;
mod reviewer;
mod trial;
mod work;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use self::decode_memory::DecodeMemory;
pub(super) use self::inspector::Inspector;
use self::judged::Judged;
pub(crate) use self::order::MIN_WORKERS;
pub(super) use self::order::estimated_work;
pub use self::pixels::outputs;
pub(crate) use self::pixels::reason_of;
pub(super) use self::pixels::refusal_by_shape;
pub(super) use self::review::SecondOpinions;
pub use self::trial::try_out;
use self::work::Screened;
use super::collection::Collection;
use crate::config::LimitsConfig;
use crate::db::{Claimed, DbError, Waiting};
use crate::domain::verdict::Reason;

/// How long a worker may hold a picture before another may take it. It is longer than any picture
/// is worked on.
const LEASE: Duration = Duration::from_secs(600);
/// How many attempts a picture gets before it is refused, because it may be what ends the process.
/// Only malice would make kills from outside hit the same picture so often. An attempt that failed
/// through the picture's own doing counts twice.
const MAX_ATTEMPTS: u32 = 10;

/// Decides about uploads, and publishes those that show cats.
pub struct Screening {
    collection: Arc<Collection>,
    inspector: Arc<Inspector>,
    second_opinions: Arc<SecondOpinions>,
    limits: LimitsConfig,
    /// Held by the worker that chooses its next picture, so that the next worker sees what it took.
    choosing: Mutex<()>,
    /// The memory for pictures that are being decoded.
    memory: DecodeMemory,
}

impl Screening {
    pub(super) fn new(
        collection: Arc<Collection>,
        inspector: Arc<Inspector>,
        second_opinions: Arc<SecondOpinions>,
        limits: LimitsConfig,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            collection,
            inspector,
            second_opinions,
            choosing: Mutex::default(),
            memory: DecodeMemory::new(limits.decode_memory_bytes)?,
            limits,
        })
    }

    /// Succeeds when the models and the second opinion can be used.
    ///
    /// # Errors
    /// When the models cannot be used, or the second opinion refuses our configuration.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        self.inspector.check()?;
        self.second_opinions.check()
    }

    /// Takes the next waiting picture through screening and publication. Returns false when none
    /// waits.
    pub async fn screen_next(&self) -> Result<bool, DbError> {
        let Some((claimed, estimate)) = self.claim_next().await? else {
            return Ok(false);
        };
        let received = &claimed.received;
        // The estimate counts at once, so that the next choice knows of it, and is corrected once
        // the real time is known.
        let (clients, clock) = (&self.collection.clients, &self.collection.clock);
        let sender = clients.sender(&received.id);
        clients.note_work(sender, estimate.as_secs_f64());
        let mut worked = Duration::ZERO;
        let begun = clock.elapsed();
        let done = self.screen_and_publish(&claimed, &mut worked).await;
        let correction = worked.as_secs_f64() - estimate.as_secs_f64();
        clients.note_work(sender, correction);
        let took = clock.elapsed().saturating_sub(begun);
        clients.note_pace(took.as_secs_f64());
        if let Err(error) = done {
            if delay::is_news(&error) {
                tracing::error!(
                    picture = %received.id, error = format!("{error:#}"),
                    "could not screen a picture; it waits"
                );
            } else {
                tracing::debug!(picture = %received.id, error = format!("{error:#}"), "a picture waits");
            }
            let rests_until = self.collection.now_second() + delay::rest_seconds(&error);
            self.collection
                .db
                .postpone(received, rests_until, delay::blame(&error))
                .await?;
        }
        self.collection.changed();
        Ok(true)
    }

    /// Takes the picture that should be worked on next, with how long that may take; `None` where
    /// none may be begun.
    async fn claim_next(&self) -> Result<Option<(Claimed, Duration)>, DbError> {
        let db = &self.collection.db;
        let _choosing = self.choosing.lock().await;
        loop {
            let now = self.collection.clock.now();
            let (second, overdue) = (now.as_second(), self.collection.overdue(now));
            let waiting = db.list_waiting(second, overdue).await?;
            let room = if waiting.iter().any(|one| one.lacks_room) {
                let promised = db.promised_bytes().await?;
                self.limits.max_stored_bytes.saturating_sub(promised)
            } else {
                0
            };
            let work_for = |one: &Waiting| self.collection.clients.work_for_sender(&one.id);
            let Some(next) = order::next(&waiting, work_for, room, second) else {
                return Ok(None);
            };
            let lease = i64::try_from(LEASE.as_secs()).unwrap_or(i64::MAX);
            let leased_until = second.saturating_add(lease);
            // Where the picture was deleted meanwhile, another one is next.
            if let Some(claimed) = db.claim(&next.id, second, leased_until, overdue).await? {
                return Ok(Some((claimed, next.work)));
            }
        }
    }

    async fn screen_and_publish(
        &self,
        claimed: &Claimed,
        worked: &mut Duration,
    ) -> anyhow::Result<()> {
        let received = &claimed.received;
        let Screened {
            judged,
            looked,
            // This is held until what was encoded is stored or dropped.
            memory: _memory,
        } = if received.attempts > MAX_ATTEMPTS {
            Screened::refused(Reason::Corrupt)
        } else {
            self.screen(claimed, worked).await?
        };
        let kept = match judged {
            Judged::Approved(rendered, rules) => {
                self.publish(received, *rendered, rules, looked).await?
            }
            Judged::Rejected(reason, rules) => {
                // What cannot be decoded now cannot be decoded the next time either.
                let lasts = reason.is_of_the_pixels() || reason == Reason::Corrupt;
                let rules = lasts.then_some(rules);
                self.reject(received, reason, rules).await?
            }
            Judged::Refused(reason) => self.reject(received, reason, None).await?,
        };
        if kept {
            return self.collection.incoming.delete(&received.id).await;
        }
        // The picture was deleted or became overdue meanwhile, and its bytes are left to us or the
        // sweeper; or another worker holds it, and they are that worker's.
        self.collection.db.release(received).await?;
        self.collection.clear_removed(&received.id).await
    }
}
