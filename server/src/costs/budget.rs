//! The month's budget: everything that costs money is reserved here, durably, before it is spent,
//! and reserving stops at the limit.
//!
//! The index keeps the count. In case the index is lost, one object per month states an upper
//! bound, the mark. The count passes the mark only after the object was written anew with a mark
//! that is a block higher. An index that is rebuilt from the object therefore never counts too
//! little, and too much by at most one block and what was given back lately. Where neither is
//! known, the month counts as spent until the operator sets it.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::db::{Db, DbError, LedgerRow, Spending};
use crate::domain::month::Month;
pub use crate::domain::paid::{Paid, Usage};
use crate::runtime::clock::Clock;
use crate::storage::{Folder, ObjectStorage, StorageError, StorageKey};

/// The least by which a mark is raised. It saves writing the object for every call, and is what the
/// loss of an index may cost.
const SMALLEST_BLOCK: u32 = 20;
/// A block is this fraction of the limit where that is more, so that the object is written hardly
/// more than fifty times a month.
const BLOCKS_IN_LIMIT: u32 = 50;
/// How often the month's object is written for one mark while other processes keep raising marks
/// too.
const MARK_ATTEMPTS: u32 = 10;

/// Why something cannot be spent.
#[derive(Debug, thiserror::Error)]
pub enum BudgetError {
    #[error("this month's budget is spent")]
    Spent,
    /// The count cannot be made durable, so nothing may be spent.
    #[error(transparent)]
    Unavailable(#[from] anyhow::Error),
}

impl From<DbError> for BudgetError {
    fn from(error: DbError) -> Self {
        Self::Unavailable(error.into())
    }
}

/// What was reserved, and in which month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reserved {
    pub what: Paid,
    pub count: u32,
    pub month: Month,
}

/// What the month's object tells: an upper bound of each kind, under its name with `_` for `-`.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Marks(BTreeMap<String, u32>);

impl Marks {
    fn of(marks: &[(Paid, u32)]) -> Self {
        let named = marks.iter().map(|(what, mark)| (Self::name(*what), *mark));
        Self(named.collect())
    }

    /// `None` where the object was written by a program that did not know this kind.
    fn get(&self, what: Paid) -> Option<u32> {
        self.0.get(&Self::name(what)).copied()
    }

    fn name(what: Paid) -> String {
        what.name.replace('-', "_")
    }
}

/// What this site may spend, and what it has spent.
pub struct Budget {
    db: Db,
    storage: Arc<dyn ObjectStorage>,
    clock: Clock,
    /// Everything that costs money, and how much of it a month may take.
    limits: Vec<(Paid, u32)>,
    /// Held while the month's object is written.
    marking: Mutex<()>,
}

impl Budget {
    /// The budget of the site that has this index and this storage.
    #[must_use]
    pub fn new(
        db: Db,
        storage: Arc<dyn ObjectStorage>,
        clock: Clock,
        limits: Vec<(Paid, u32)>,
    ) -> Self {
        Self {
            db,
            storage,
            clock,
            limits,
            marking: Mutex::new(()),
        }
    }

    /// Reserves `count` durably: it is committed before this returns. At least `keep` are left for
    /// others.
    ///
    /// # Errors
    /// `Spent` where the month has not that many left; `Unavailable` where the index or the storage
    /// fails. Nothing is reserved then.
    pub async fn reserve(
        &self,
        what: Paid,
        count: u32,
        keep: u32,
    ) -> Result<Reserved, BudgetError> {
        let month = self.month();
        let limit = self.limit(what);
        let reserved = Reserved { what, count, month };
        if count == 0 {
            return Ok(reserved);
        }
        loop {
            match self.db.spend(month, what, count, keep, limit).await? {
                Spending::Reserved { warning } => {
                    if let Some(percent) = warning {
                        tracing::warn!(
                            what = what.name,
                            percent,
                            limit,
                            %month,
                            "most of the month's budget is used"
                        );
                    }
                    return Ok(reserved);
                }
                Spending::Spent => return Err(BudgetError::Spent),
                Spending::BeyondMark(needed) => self.raise_mark(month, what, needed).await?,
            }
        }
    }

    /// Gives back `count` that were not used, to the month in which they were reserved. The same
    /// ones must not be given back twice.
    ///
    /// # Errors
    /// When the index fails; they stay counted then.
    pub async fn give_back(&self, reserved: &Reserved, count: u32) -> Result<(), BudgetError> {
        debug_assert!(
            count <= reserved.count,
            "nobody gives back more than was reserved"
        );
        let count = count.min(reserved.count);
        if count > 0 {
            self.db
                .unspend(reserved.month, reserved.what, count)
                .await?;
        }
        Ok(())
    }

    /// Everything that costs money.
    pub fn kinds(&self) -> impl Iterator<Item = Paid> {
        self.limits.iter().map(|(what, _)| *what)
    }

    /// How much of this kind a month may take: nothing of one that nobody has declared.
    fn limit(&self, what: Paid) -> u32 {
        let found = self.limits.iter().find(|(kind, _)| *kind == what);
        found.map_or(0, |(_, limit)| *limit)
    }

    /// How many of this kind are used this month. Where nobody knows, it is the whole limit.
    ///
    /// # Errors
    /// When the index fails.
    pub async fn usage(&self, what: Paid) -> Result<Usage, BudgetError> {
        let limit = self.limit(what);
        let row = self.db.ledger_row(self.month(), what).await?;
        Ok(Usage {
            used: row.used.unwrap_or(limit),
            limit,
        })
    }

    /// True where nobody knows how many of this kind were used this month. It counts as spent until
    /// the operator sets it.
    ///
    /// # Errors
    /// When the index fails.
    pub async fn is_unknown(&self, what: Paid) -> Result<bool, BudgetError> {
        Ok(self.db.ledger_row(self.month(), what).await?.used.is_none())
    }

    /// Sets how many of this kind were used this month, because the operator knows better. It may
    /// be called while a server runs.
    ///
    /// # Errors
    /// When the index fails, or when the month's object cannot be written. In the second case the
    /// object may state less than was set.
    pub async fn set_used(&self, what: Paid, used: u32) -> Result<(), BudgetError> {
        let month = self.month();
        self.db.set_used(month, what, used).await?;
        let _marking = self.marking.lock().await;
        // The object is written even where nothing was used. An object that states more, or none at
        // all, would undo this when the index is lost.
        self.write_marks(month, what, used).await
    }

    /// The current month (UTC).
    #[must_use]
    pub fn month(&self) -> Month {
        Month::of(self.clock.now())
    }

    /// Seconds until the next month begins, at least 1.
    #[must_use]
    pub fn seconds_left(&self) -> u64 {
        let now = self.clock.now();
        Month::of(now).seconds_left(now).max(1)
    }

    /// Raises the mark of this kind to at least `needed`, unless it is that high already.
    async fn raise_mark(&self, month: Month, what: Paid, needed: u32) -> Result<(), BudgetError> {
        let _marking = self.marking.lock().await;
        if self.db.ledger_row(month, what).await?.marked >= needed {
            // Another task raised it meanwhile.
            return Ok(());
        }
        self.write_marks(month, what, needed).await
    }

    /// Writes the month's object with a mark of at least `needed` for this kind, then notes the
    /// mark in the index. Where another process raised a mark meanwhile, the object that was
    /// written may be older than the one it replaced and state too little, so it is written anew.
    async fn write_marks(&self, month: Month, what: Paid, needed: u32) -> Result<(), BudgetError> {
        for _ in 0..MARK_ATTEMPTS {
            if self.try_write_marks(month, what, needed).await? {
                return Ok(());
            }
        }
        Err(anyhow!("other processes keep writing the month's ledger").into())
    }

    /// Returns false where another process raised a mark meanwhile.
    async fn try_write_marks(
        &self,
        month: Month,
        what: Paid,
        needed: u32,
    ) -> Result<bool, BudgetError> {
        let mut before = Vec::with_capacity(self.limits.len());
        for kind in self.kinds() {
            before.push((kind, self.db.ledger_row(month, kind).await?));
        }
        let after: Vec<(Paid, u32)> = before
            .iter()
            .map(|(kind, row)| {
                (
                    *kind,
                    self.next_mark(*kind, *row, (*kind == what).then_some(needed)),
                )
            })
            .collect();
        let bytes =
            serde_json::to_vec(&Marks::of(&after)).context("cannot write the month's ledger")?;
        self.storage
            .put(vec![(StorageKey::Ledger { month }, Bytes::from(bytes))])
            .await
            .context("cannot store the month's ledger")?;
        Ok(self.db.set_marks(month, &before, &after).await?)
    }

    /// The mark of this kind in the object that is about to be written. It is never below what is
    /// used or marked, and above the limit only where more was used already.
    fn next_mark(&self, what: Paid, row: LedgerRow, needed: Option<u32>) -> u32 {
        let limit = self.limit(what);
        // Where nobody knows the count, the object must not suggest one: an index restored from it
        // counts the limit.
        let Some(used) = row.used else {
            return limit.max(row.marked);
        };
        let least = row.marked.max(used);
        match needed {
            None => least,
            Some(needed) => {
                let block = (limit / BLOCKS_IN_LIMIT).max(SMALLEST_BLOCK);
                needed
                    .saturating_add(block)
                    .min(limit)
                    .max(needed)
                    .max(least)
            }
        }
    }

    /// Raises the counts of an index that lacks this month or is older than the storage. It must
    /// run before anything else of a lost index is restored, so that an index whose rebuild was cut
    /// off is still recognised as lost, and only while no server uses this index.
    ///
    /// # Errors
    /// When the index or the storage cannot be used, or the month's object cannot be read.
    pub async fn restore(&self) -> anyhow::Result<()> {
        let month = self.month();
        match self.storage.get(&StorageKey::Ledger { month }, None).await {
            Ok(bytes) => {
                let marks: Marks = serde_json::from_slice(&bytes).with_context(|| {
                    format!(
                        "{} cannot be read; delete it, and what it counted is unknown",
                        StorageKey::Ledger { month }.path()
                    )
                })?;
                for what in self.kinds() {
                    match marks.get(what) {
                        Some(mark) => self.db.restore_ledger(month, what, mark).await?,
                        None => self.db.forget_ledger(month, &[what]).await?,
                    }
                }
            }
            Err(StorageError::NotFound) => {
                if self.is_index_new().await? && self.is_old_site().await? {
                    let kinds: Vec<Paid> = self.kinds().collect();
                    self.db.forget_ledger(month, &kinds).await?;
                    tracing::warn!(
                        %month,
                        "nobody knows what was spent this month: nothing more is until `cattocdn budget set` tells"
                    );
                }
            }
            Err(StorageError::Unavailable(error)) => return Err(error),
        }
        Ok(())
    }

    /// Calls [`Self::restore`] where the index is new. This is for commands that may run before the
    /// server's first start.
    ///
    /// # Errors
    /// The same as those of [`Self::restore`].
    pub async fn restore_if_lost(&self) -> anyhow::Result<()> {
        if self.is_index_new().await? {
            self.restore().await?;
        }
        Ok(())
    }

    async fn is_index_new(&self) -> Result<bool, DbError> {
        Ok(self.db.is_new().await? && self.db.is_ledger_new().await?)
    }

    /// True where the storage already holds objects of this site.
    async fn is_old_site(&self) -> anyhow::Result<bool> {
        for folder in [
            Folder::Ledgers,
            Folder::Manifests,
            Folder::Bans,
            Folder::Images,
        ] {
            if !self.storage.list(folder).await?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
