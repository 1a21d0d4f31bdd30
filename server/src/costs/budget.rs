//! The month's money: whatever costs some is reserved here, durably, before it is spent, and stops at its limit.
//!
//! The index counts. For when the index is lost, one object per month tells an upper bound: the count passes what the object
//! says only after the object was written anew, a block higher. An index that is rebuilt from it never counts too little, and
//! too much by at most a block and what was given back lately. Where neither is known, the month counts as spent until the operator sets it.

use std::sync::Arc;

use anyhow::{Context, anyhow};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::config::BudgetConfig;
use crate::db::{Db, DbError, LedgerRow, Spending};
use crate::domain::month::Month;
pub use crate::domain::paid::{Paid, Usage};
use crate::runtime::clock::Clock;
use crate::storage::{Folder, ObjectStorage, StorageError, StorageKey};

/// The least by which a mark is raised: it saves writing an object for every call, and is what a lost index may cost.
const SMALLEST_BLOCK: u32 = 20;
/// A block is this part of the limit where that is more, so that no month writes the object much more than fifty times.
const BLOCKS_IN_LIMIT: u32 = 50;
/// How often the month's object is written for one mark, while other processes mark too.
const MARK_ATTEMPTS: u32 = 10;

/// Why nothing can be spent.
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

/// What the month's object tells: an upper bound of each kind.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Marks {
    rekognition_calls: u32,
    cloudfront_paths: u32,
}

impl Marks {
    const fn of(self, what: Paid) -> u32 {
        match what {
            Paid::RekognitionCalls => self.rekognition_calls,
            Paid::CloudFrontPaths => self.cloudfront_paths,
        }
    }
}

/// What this site may spend, and has.
pub struct Budget {
    db: Db,
    storage: Arc<dyn ObjectStorage>,
    clock: Clock,
    limits: BudgetConfig,
    /// Held while the month's object is written.
    marking: Mutex<()>,
}

impl Budget {
    /// The budget of the site with this index and these objects.
    #[must_use]
    pub fn new(
        db: Db,
        storage: Arc<dyn ObjectStorage>,
        clock: Clock,
        limits: BudgetConfig,
    ) -> Self {
        Self {
            db,
            storage,
            clock,
            limits,
            marking: Mutex::new(()),
        }
    }

    /// Reserves `count` durably: it is committed before this returns. At least `keep` are left for others.
    ///
    /// # Errors
    /// `Spent` where the month has not that many left; nothing is reserved then, nor where the index or the storage fails.
    pub async fn reserve(
        &self,
        what: Paid,
        count: u32,
        keep: u32,
    ) -> Result<Reserved, BudgetError> {
        let month = self.month();
        let limit = self.limits.limit(what);
        let reserved = Reserved { what, count, month };
        if count == 0 {
            return Ok(reserved);
        }
        loop {
            match self.db.spend(month, what, count, keep, limit).await? {
                Spending::Reserved { warning } => {
                    if let Some(percent) = warning {
                        tracing::warn!(
                            what = what.as_str(),
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

    /// Gives unused ones back, of the month in which they were reserved. Each only once.
    ///
    /// # Errors
    /// When the index fails; they stay used then.
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

    /// What is used of this kind this month. All of it where nobody knows.
    ///
    /// # Errors
    /// When the index fails.
    pub async fn usage(&self, what: Paid) -> Result<Usage, BudgetError> {
        let limit = self.limits.limit(what);
        let row = self.db.ledger_row(self.month(), what).await?;
        Ok(Usage {
            used: row.used.unwrap_or(limit),
            limit,
        })
    }

    /// True where it is not known what was used of this kind this month: it counts as spent until the operator sets it.
    ///
    /// # Errors
    /// When the index fails.
    pub async fn is_unknown(&self, what: Paid) -> Result<bool, BudgetError> {
        Ok(self.db.ledger_row(self.month(), what).await?.used.is_none())
    }

    /// Sets what was used of this kind this month: the operator knows better. May be called while a server runs.
    ///
    /// # Errors
    /// When the index fails, or the month's object cannot be written: it may tell less than this then.
    pub async fn set_used(&self, what: Paid, used: u32) -> Result<(), BudgetError> {
        let month = self.month();
        self.db.set_used(month, what, used).await?;
        let _marking = self.marking.lock().await;
        // Also where nothing was used: an object that tells more, or none at all, would undo this when the index is lost.
        self.write_marks(month, what, used).await
    }

    /// The month that is counted now.
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

    /// Has the month's object let this kind reach `needed`, unless it does.
    async fn raise_mark(&self, month: Month, what: Paid, needed: u32) -> Result<(), BudgetError> {
        let _marking = self.marking.lock().await;
        if self.db.ledger_row(month, what).await?.marked >= needed {
            // Another one did it meanwhile.
            return Ok(());
        }
        self.write_marks(month, what, needed).await
    }

    /// Writes the month's object with a mark that lets this kind reach `needed`, then notes it in the index. Where another
    /// process marked meanwhile, what was written may be older than what it replaced, and tell too little: it is written anew.
    async fn write_marks(&self, month: Month, what: Paid, needed: u32) -> Result<(), BudgetError> {
        for _ in 0..MARK_ATTEMPTS {
            if self.try_write_marks(month, what, needed).await? {
                return Ok(());
            }
        }
        Err(anyhow!("other processes keep writing the month's ledger").into())
    }

    /// False where another process marked meanwhile.
    async fn try_write_marks(
        &self,
        month: Month,
        what: Paid,
        needed: u32,
    ) -> Result<bool, BudgetError> {
        let mut before = Vec::with_capacity(Paid::ALL.len());
        for kind in Paid::ALL {
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
        let mark = |what: Paid| {
            let found = after.iter().find(|(kind, _)| *kind == what);
            found.map_or(0, |(_, mark)| *mark)
        };
        let marks = Marks {
            rekognition_calls: mark(Paid::RekognitionCalls),
            cloudfront_paths: mark(Paid::CloudFrontPaths),
        };
        let bytes = serde_json::to_vec(&marks).context("cannot write the month's ledger")?;
        self.storage
            .put(vec![(StorageKey::Ledger { month }, Bytes::from(bytes))])
            .await
            .context("cannot store the month's ledger")?;
        Ok(self.db.set_marks(month, &before, &after).await?)
    }

    /// The mark of this kind in the object that is about to be written: never below what is used or marked, never above the
    /// limit but where more was used already.
    fn next_mark(&self, what: Paid, row: LedgerRow, needed: Option<u32>) -> u32 {
        let limit = self.limits.limit(what);
        // What nobody knows is not to be known from the object either: whoever reads it counts the limit.
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

    /// Makes an index that lacks this month's count, or is older than the objects, count enough. Before anything else of a
    /// lost index is restored, so that being cut off leaves it known as lost; only while nothing serves from this index.
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
                for what in Paid::ALL {
                    self.db.restore_ledger(month, what, marks.of(what)).await?;
                }
            }
            Err(StorageError::NotFound) => {
                if self.is_index_new().await? && self.is_old_site().await? {
                    self.db.forget_ledger(month).await?;
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

    /// As [`Self::restore`], where the index is new: for commands that may come before the first start.
    ///
    /// # Errors
    /// As there.
    pub async fn restore_if_lost(&self) -> anyhow::Result<()> {
        if self.is_index_new().await? {
            self.restore().await?;
        }
        Ok(())
    }

    async fn is_index_new(&self) -> Result<bool, DbError> {
        Ok(self.db.is_new().await? && self.db.is_ledger_new().await?)
    }

    /// True where the storage holds anything of ours.
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
