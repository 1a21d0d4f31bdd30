//! Whether there is room for one more upload: in the day, in the queue, in the store, and in one client's part of them.

use std::time::Duration;

use super::{Intake, UploadError};
use crate::db::{DbError, Gauge};
use crate::domain::client::ClientNetwork;
use crate::pictures::endings::SWEEP_PATIENCE;
use crate::pictures::screening::MIN_WORKERS;

/// One client has at most one in so many parts of what the others leave of the queue, the day and the store…
const PART: u32 = 4;
/// …but so many waiting uploads it may always have…
const LEAST_WAITING: u32 = 16;
/// …of so many bytes together…
const LEAST_WAITING_BYTES: u64 = 64 * 1024 * 1024;
/// …so many uploads of about a day…
const LEAST_OF_DAY: u32 = 60;
/// …and so many bytes stored.
const LEAST_STORED: u64 = 64_000_000;
/// Uploads are counted over this many seconds.
const DAY_SECONDS: i64 = 24 * 3600;
/// More uploads than these never wait for a verdict: at half a second each the last would wait for minutes.
const MAX_WAITING: u32 = 500;
/// The most bytes that uploads without a verdict take on the disk; those that are still being received are not counted.
const MAX_WAITING_BYTES: u64 = 1_000_000_000;
/// As long as fewer uploads than these were in vain within a day, nobody is kept from uploading for it.
const FEW_IN_VAIN: u32 = 20;
/// The queue is thought of in so many equal parts. Whoever finds it full is told to wait until one of them is worked off.
const PARTS_OF_QUEUE: u32 = 10;
/// The longest that a client is told to wait for the queue.
const LONGEST_WAIT_FOR_QUEUE: Duration = Duration::from_secs(600);

/// What takes no more uploads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// The day, with so many uploads more than it takes.
    Day { over: u32 },
    /// The queue, with so many uploads.
    Queue { waiting: u32 },
    /// The store: so many bytes are missing. `waiting` is given where uploads that wait may turn out smaller than what is
    /// reserved for them, and so free enough.
    Store { missing: u64, waiting: Option<u32> },
}

impl Intake {
    /// Fails where the day, the queue or the store is too full for a picture whose files take so many bytes.
    pub(super) fn check_room(&self, gauge: &Gauge, bytes: u64) -> Result<(), Full> {
        let limits = &self.limits;
        if let Some(over) = gauge.counted.checked_sub(limits.uploads_per_day) {
            return Err(Full::Day { over });
        }
        let most_waiting_bytes = MAX_WAITING_BYTES.min(limits.max_stored_bytes);
        if gauge.waiting >= MAX_WAITING || gauge.waiting_bytes >= most_waiting_bytes {
            return Err(Full::Queue {
                waiting: gauge.waiting,
            });
        }
        let all = gauge
            .stored_bytes
            .saturating_add(gauge.reserved_bytes)
            .saturating_add(bytes);
        match all.saturating_sub(limits.max_stored_bytes) {
            0 => Ok(()),
            missing => Err(Full::Store {
                missing,
                waiting: (missing <= gauge.promised_bytes).then_some(gauge.waiting),
            }),
        }
    }

    /// Succeeds unless the day has seen too much in vain, and this client is known for it: whoever sends copies and junk
    /// costs others neither their day nor room in the index.
    pub(super) fn check_client(
        &self,
        gauge: &Gauge,
        client: ClientNetwork,
    ) -> Result<(), UploadError> {
        let per_day = self.limits.uploads_per_day;
        let too_many_refused = (per_day / 2).max(FEW_IN_VAIN);
        if gauge.refused < too_many_refused && gauge.unseen < per_day.max(FEW_IN_VAIN) {
            return Ok(());
        }
        match self.collection.clients.known_for_junk(client) {
            Some(wait) => Err(UploadError::TooManyInVain { wait }),
            None => Ok(()),
        }
    }

    /// Fails where this client has its part of the queue, the day or the store already: a quarter of what the others leave, so
    /// that no few clients can take all of it. A little is left to everybody whatever the others have.
    pub(super) fn check_part(
        &self,
        gauge: &Gauge,
        client: ClientNetwork,
        size_bytes: u64,
        stored_bytes: u64,
    ) -> Result<(), UploadError> {
        let limits = &self.limits;
        let retention = Duration::from_secs(u64::from(self.collection.retention.seconds()));
        let own = self.collection.clients.part_of(client, retention);
        let others = gauge.waiting.saturating_sub(own.waiting);
        let part = (MAX_WAITING.saturating_sub(others) / PART).max(LEAST_WAITING);
        let other_bytes = gauge.waiting_bytes.saturating_sub(own.waiting_bytes);
        let most_bytes = MAX_WAITING_BYTES.saturating_sub(other_bytes) / u64::from(PART);
        let part_bytes = most_bytes.max(LEAST_WAITING_BYTES);
        if own.waiting >= part || own.waiting_bytes.saturating_add(size_bytes) > part_bytes {
            return Err(UploadError::QueueFull {
                wait: self.wait_for_queue(own.waiting),
            });
        }
        let of_day = own.of_day + f64::from(own.waiting);
        let others = (f64::from(gauge.counted) - of_day).max(0.0);
        let part = ((f64::from(limits.uploads_per_day) - others) / f64::from(PART))
            .max(f64::from(LEAST_OF_DAY));
        if of_day >= part {
            return Err(UploadError::PartOfDay {
                wait: self.collection.clients.wait_for_day(client, part),
            });
        }
        let all = gauge.stored_bytes.saturating_add(gauge.reserved_bytes);
        // Sizes of stores are exact as floats.
        let own_bytes = own.stored_bytes + own.reserved_bytes as f64;
        let left = limits.max_stored_bytes as f64 - (all as f64 - own_bytes).max(0.0);
        let part = (left / f64::from(PART)).max(LEAST_STORED as f64);
        if own_bytes + stored_bytes as f64 > part {
            return Err(UploadError::PartOfStore {
                wait: self
                    .collection
                    .clients
                    .wait_for_store(client, part, retention),
            });
        }
        Ok(())
    }

    /// The refusal that tells a client what is full, and when to come again.
    pub(super) async fn refusal_of(&self, full: Full) -> UploadError {
        let now = self.collection.now_second();
        let db = &self.collection.db;
        // The time from now until this second; where there is none, a day, which is also the most.
        let until = |second: Option<i64>| {
            let wait = second.map_or(DAY_SECONDS, |second| second - now);
            Duration::from_secs(wait.clamp(1, DAY_SECONDS).cast_unsigned())
        };
        match full {
            Full::Day { over } => match db.counted_upload(self.day_ago(), now, over).await {
                Ok(received_at) => UploadError::TooManyToday {
                    wait: until(received_at.map(|second| second + DAY_SECONDS)),
                },
                Err(error) => error.into(),
            },
            Full::Queue { waiting } => UploadError::QueueFull {
                wait: self.wait_for_queue(waiting),
            },
            Full::Store {
                waiting: Some(waiting),
                ..
            } => UploadError::StorageFull {
                wait: self.wait_for_queue(waiting),
            },
            Full::Store { missing, .. } => match db.room_by(missing, now + DAY_SECONDS).await {
                Ok(second) => UploadError::StorageFull {
                    wait: until(second.map(|second| second + SWEEP_PATIENCE)),
                },
                Err(error) => error.into(),
            },
        }
    }

    /// How long it takes to work off one of [`PARTS_OF_QUEUE`] of so many waiting uploads, as fast as that went lately.
    fn wait_for_queue(&self, waiting: u32) -> Duration {
        let ahead = waiting.div_ceil(PARTS_OF_QUEUE);
        let wait = f64::from(ahead) * self.collection.clients.pace() / f64::from(MIN_WORKERS);
        Duration::try_from_secs_f64(wait)
            .unwrap_or(LONGEST_WAIT_FOR_QUEUE)
            .min(LONGEST_WAIT_FOR_QUEUE)
    }

    /// What the day, the queue and the store hold now.
    ///
    /// # Errors
    /// When the index fails.
    pub(super) async fn gauge(&self) -> Result<Gauge, DbError> {
        let now = self.collection.now_second();
        self.collection.db.gauge(self.day_ago(), now).await
    }

    /// The second from which on an upload belongs to the last day.
    pub(super) fn day_ago(&self) -> i64 {
        self.collection.now_second() - DAY_SECONDS
    }
}
