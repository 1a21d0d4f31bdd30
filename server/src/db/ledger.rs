//! The `ledger` table: what was spent in each month, by kind.
//!
//! Each row also has a mark: the upper bound that the month's object in the storage states. The
//! count never passes the mark, so that an index which is rebuilt from the object never counts too
//! little.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Db, DbError};
use crate::domain::month::Month;
use crate::domain::paid::{Paid, Usage};

/// The outcome of an attempt to spend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spending {
    /// The amount is counted and committed. `warning` is the share of the limit in percent of which
    /// the operator is to be warned now, if any.
    Reserved { warning: Option<u8> },
    /// The amount would pass the limit; nothing is counted.
    Spent,
    /// The count would pass the mark, which must first be raised to at least this number; nothing
    /// is counted.
    BeyondMark(u32),
}

/// What the index knows of one kind of spending in one month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerRow {
    /// How many were used. `None` means that nobody knows, and counts as if everything were spent.
    pub used: Option<u32>,
    /// The upper bound that the month's object states.
    pub marked: u32,
}

impl Db {
    /// Counts `count` more of this kind, unless fewer than `keep` would then be left of `limit`, or
    /// the count would pass the mark.
    pub async fn spend(
        &self,
        month: Month,
        what: Paid,
        count: u32,
        keep: u32,
        limit: u32,
    ) -> Result<Spending, DbError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let row = sqlx::query(
            "SELECT used, marked, warned_percent FROM ledger WHERE month = ? AND what = ?",
        )
        .bind(month.to_string())
        .bind(what.name)
        .fetch_optional(&mut *transaction)
        .await?;
        let warned: u8 = match &row {
            Some(row) => row.try_get("warned_percent")?,
            None => 0,
        };
        let LedgerRow { used, marked } = read_row(row.as_ref())?;
        let Some(after) = used.and_then(|used| used.checked_add(count)) else {
            return Ok(Spending::Spent);
        };
        if after.checked_add(keep).is_none_or(|needed| needed > limit) {
            return Ok(Spending::Spent);
        }
        if after > marked {
            return Ok(Spending::BeyondMark(after));
        }
        let share = Usage { used: after, limit }.warned_percent();
        // The row exists by now: without one the mark is 0, so only a count of 0 gets this far, and
        // that changes nothing.
        sqlx::query(
            "UPDATE ledger SET used = ?1, warned_percent = max(warned_percent, ?2) WHERE month = ?3 AND what = ?4",
        )
        .bind(after)
        .bind(share)
        .bind(month.to_string())
        .bind(what.name)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(Spending::Reserved {
            warning: (share > warned).then_some(share),
        })
    }

    /// Takes back `count` that were reserved and not used. The month may be over.
    pub async fn unspend(&self, month: Month, what: Paid, count: u32) -> Result<(), DbError> {
        sqlx::query("UPDATE ledger SET used = max(used - ?, 0) WHERE month = ? AND what = ?")
            .bind(count)
            .bind(month.to_string())
            .bind(what.name)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// What is known of this kind in this month. Where there is no row, nothing was spent.
    pub async fn ledger_row(&self, month: Month, what: Paid) -> Result<LedgerRow, DbError> {
        let row = sqlx::query("SELECT used, marked FROM ledger WHERE month = ? AND what = ?")
            .bind(month.to_string())
            .bind(what.name)
            .fetch_optional(&self.pool)
            .await?;
        read_row(row.as_ref())
    }

    /// Raises the marks of all kinds to what the month's object states now. Returns false and
    /// changes nothing where the marks are no longer those of `before`.
    pub async fn set_marks(
        &self,
        month: Month,
        before: &[(Paid, LedgerRow)],
        after: &[(Paid, u32)],
    ) -> Result<bool, DbError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for (what, before) in before {
            let row = sqlx::query("SELECT used, marked FROM ledger WHERE month = ? AND what = ?")
                .bind(month.to_string())
                .bind(what.name)
                .fetch_optional(&mut *transaction)
                .await?;
            if read_row(row.as_ref())?.marked != before.marked {
                return Ok(false);
            }
        }
        for (what, mark) in after {
            sqlx::query(
                "INSERT INTO ledger (month, what, used, marked) VALUES (?1, ?2, 0, ?3)
                 ON CONFLICT DO UPDATE SET marked = ?3",
            )
            .bind(month.to_string())
            .bind(what.name)
            .bind(mark)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// Sets how many were used. The mark goes to 0, so that the month's object is written anew.
    pub async fn set_used(&self, month: Month, what: Paid, used: u32) -> Result<(), DbError> {
        sqlx::query(
            "INSERT INTO ledger (month, what, used) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET used = ?3, marked = 0, warned_percent = 0",
        )
        .bind(month.to_string())
        .bind(what.name)
        .bind(used)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Takes over an upper bound that the month's object states. It only counts where the index has
    /// a smaller mark, because then the index is the older of the two.
    pub async fn restore_ledger(
        &self,
        month: Month,
        what: Paid,
        marked: u32,
    ) -> Result<(), DbError> {
        sqlx::query(
            "INSERT INTO ledger (month, what, used, marked) VALUES (?1, ?2, ?3, ?3)
             ON CONFLICT DO UPDATE SET used = max(used, ?3), marked = ?3 WHERE marked < ?3",
        )
        .bind(month.to_string())
        .bind(what.name)
        .bind(marked)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Notes for each of these kinds that has no row that nobody knows what was used.
    pub async fn forget_ledger(&self, month: Month, kinds: &[Paid]) -> Result<(), DbError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for what in kinds {
            sqlx::query(
                "INSERT INTO ledger (month, what, used) VALUES (?, ?, NULL) ON CONFLICT DO NOTHING",
            )
            .bind(month.to_string())
            .bind(what.name)
            .execute(&mut *transaction)
            .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// True where the index has never counted anything.
    pub async fn is_ledger_new(&self) -> Result<bool, DbError> {
        Ok(
            sqlx::query_scalar("SELECT NOT EXISTS (SELECT 1 FROM ledger)")
                .fetch_one(&self.pool)
                .await?,
        )
    }
}

/// Where there is no row, nothing was spent.
fn read_row(row: Option<&SqliteRow>) -> Result<LedgerRow, DbError> {
    let Some(row) = row else {
        return Ok(LedgerRow {
            used: Some(0),
            marked: 0,
        });
    };
    Ok(LedgerRow {
        used: row.try_get("used")?,
        marked: row.try_get("marked")?,
    })
}
