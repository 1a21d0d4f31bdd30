//! Counts what this server does. The counts are kept in memory and added to the index every minute,
//! so a crash loses one minute of them. Only the status page depends on them.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use crate::db::{Db, DbError};
use crate::domain::month::Month;
use crate::domain::traffic::Counts;
use crate::runtime::clock::Clock;

/// How often the counts are added to the index.
pub(crate) const SAVE_EVERY: Duration = Duration::from_secs(60);

/// What was counted and is not in the index yet.
pub struct Traffic {
    clock: Clock,
    /// When this server began to count, in seconds since 1970.
    began: i64,
    /// The counts by the month to which they belong.
    unsaved: Mutex<BTreeMap<Month, Counts>>,
}

impl Traffic {
    /// Starts counting now.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            began: clock.now().as_second(),
            clock,
            unsaved: Mutex::default(),
        }
    }

    /// Counts a request that reached the server.
    pub fn count_request(&self) {
        self.count(|counts| counts.requests += 1);
    }

    /// Counts bytes of a body that were sent.
    pub fn count_sent(&self, bytes: u64) {
        self.count(|counts| counts.bytes_sent += bytes);
    }

    /// Counts requests to the storage that add or list objects.
    pub fn count_storage_writes(&self, requests: u64) {
        self.count(|counts| counts.storage_writes += requests);
    }

    /// Counts a request to the storage that reads an object.
    pub fn count_storage_read(&self) {
        self.count(|counts| counts.storage_reads += 1);
    }

    /// What was counted this month, in the index and since it was last saved.
    ///
    /// # Errors
    /// When the index fails.
    pub async fn this_month(&self, db: &Db) -> Result<Counts, DbError> {
        let month = Month::of(self.clock.now());
        let began = Counts::none(self.began.max(month.begins()));
        let saved = db.traffic(month).await?;
        let unsaved = self.unsaved().get(&month).copied();
        Ok([saved, unsaved]
            .into_iter()
            .flatten()
            .fold(began, Counts::and))
    }

    /// Adds the counts to the index.
    ///
    /// # Errors
    /// When the index fails; the counts stay here then.
    pub async fn save(&self, db: &Db) -> Result<(), DbError> {
        let counted = std::mem::take(&mut *self.unsaved());
        if counted.is_empty() {
            return Ok(());
        }
        let counted: Vec<(Month, Counts)> = counted.into_iter().collect();
        let saved = db.add_traffic(&counted).await;
        if saved.is_err() {
            let mut unsaved = self.unsaved();
            for (month, counts) in counted {
                let meanwhile = unsaved.entry(month).or_insert(counts);
                if *meanwhile != counts {
                    *meanwhile = meanwhile.and(counts);
                }
            }
        }
        saved
    }

    fn count(&self, add: impl FnOnce(&mut Counts)) {
        let now = self.clock.now();
        let month = Month::of(now);
        let since = self.began.max(month.begins());
        add(self
            .unsaved()
            .entry(month)
            .or_insert_with(|| Counts::none(since)));
    }

    fn unsaved(&self) -> MutexGuard<'_, BTreeMap<Month, Counts>> {
        self.unsaved.lock()
    }
}
