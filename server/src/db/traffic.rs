//! The `traffic` table: what the server did in each month.

use sqlx::Row;

use super::{Db, DbError};
use crate::domain::month::Month;
use crate::domain::traffic::Counts;

impl Db {
    /// Adds these counts to their months, all of them or none.
    pub async fn add_traffic(&self, counted: &[(Month, Counts)]) -> Result<(), DbError> {
        let mut transaction = self.pool.begin().await?;
        for (month, counts) in counted {
            sqlx::query(
                "INSERT INTO traffic (month, requests, bytes_sent, storage_writes, storage_reads, counted_since)
                 VALUES (?, ?, ?, ?, ?, ?)
                 ON CONFLICT (month) DO UPDATE SET
                     requests = requests + excluded.requests,
                     bytes_sent = bytes_sent + excluded.bytes_sent,
                     storage_writes = storage_writes + excluded.storage_writes,
                     storage_reads = storage_reads + excluded.storage_reads,
                     counted_since = min(counted_since, excluded.counted_since)",
            )
            .bind(month.to_string())
            .bind(counts.requests.cast_signed())
            .bind(counts.bytes_sent.cast_signed())
            .bind(counts.storage_writes.cast_signed())
            .bind(counts.storage_reads.cast_signed())
            .bind(counts.since)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// What was counted in this month; `None` where nothing was.
    pub async fn traffic(&self, month: Month) -> Result<Option<Counts>, DbError> {
        let row = sqlx::query("SELECT * FROM traffic WHERE month = ?")
            .bind(month.to_string())
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| {
            let number =
                |name| Ok::<_, sqlx::Error>(row.try_get::<i64, _>(name)?.max(0).cast_unsigned());
            Ok(Counts {
                requests: number("requests")?,
                bytes_sent: number("bytes_sent")?,
                storage_writes: number("storage_writes")?,
                storage_reads: number("storage_reads")?,
                since: row.try_get("counted_since")?,
            })
        })
        .transpose()
    }
}
