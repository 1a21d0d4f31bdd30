//! Reads the `pictures` table.

use anyhow::Context;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};

use super::rows::{read_life, read_published, read_tags};
use super::{Db, DbError};
use crate::domain::hash::Sha256Hash;
use crate::domain::picture::{Life, PictureId, Published};
use crate::domain::search::{self, SearchQuery, Term};
use crate::domain::verdict::{Reason, Rules, Verdict};

/// For how many names of files that only another version of the program knows a warning is logged.
/// There is none for further names, so that few of them have to be remembered.
const UNKNOWN_FILES: usize = 32;

/// Which pictures a list holds.
#[derive(Debug, Clone, Default)]
pub struct ListFilter {
    pub search: SearchQuery,
    /// A whole tag that each picture must have, as text.
    pub tag: Option<String>,
    /// Only pictures published before the one with this sequence number.
    pub before: Option<i64>,
    /// Only pictures published after the one with this sequence number, and the oldest of them
    /// first.
    pub after: Option<i64>,
    pub limit: u32,
}

impl Db {
    /// The state of this picture; `None` for an id that is unknown or forgotten.
    pub async fn find(&self, id: &PictureId) -> Result<Option<Life>, DbError> {
        let row = sqlx::query("SELECT * FROM pictures WHERE id = ?")
            .bind(id.as_str())
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| read_life(&row, |name| self.tell_of_unknown_file(name)))
            .transpose()
    }

    /// The hash of the token that deletes this picture. It is `None` for an unknown id, and for a
    /// picture whose token is no longer kept.
    pub async fn delete_token_hash(&self, id: &PictureId) -> Result<Option<Sha256Hash>, DbError> {
        let hash: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT delete_token_hash FROM pictures WHERE id = ?")
                .bind(id.as_str())
                .fetch_optional(&self.pool)
                .await?;
        Ok(hash.and_then(|hash| Sha256Hash::from_slice(&hash)))
    }

    /// Lists published pictures that are live at `now`, newest first unless the filter says
    /// otherwise.
    pub async fn list(&self, filter: &ListFilter, now: i64) -> Result<Vec<Published>, DbError> {
        let mut query = QueryBuilder::<Sqlite>::new(
            "SELECT * FROM pictures WHERE state = 'published' AND expires_at > ",
        );
        query.push_bind(now);
        if let Some(before) = filter.before {
            query.push(" AND sequence < ").push_bind(before);
        }
        if let Some(after) = filter.after {
            query.push(" AND sequence > ").push_bind(after);
        }
        if let Some(tag) = &filter.tag {
            query
                .push(" AND instr(tags_text, ")
                .push_bind(format!("| {} |", search::fold(tag)))
                .push(") > 0");
        }
        for term in &filter.search.required {
            push_has(query.push(" AND "), term);
        }
        for term in &filter.search.excluded {
            push_has(query.push(" AND NOT "), term);
        }
        let order = if filter.after.is_some() {
            "ASC"
        } else {
            "DESC"
        };
        query
            .push(format!(" ORDER BY sequence {order} LIMIT "))
            .push_bind(filter.limit);
        // Without a condition the query stops at its limit and so does not count as a scan.
        let searches = filter.tag.is_some() || !filter.search.is_empty();
        let _turn = if searches {
            Some(self.scan().await?)
        } else {
            None
        };
        let rows = query.build().fetch_all(&self.pool).await?;
        rows.iter().map(|row| self.read_published(row)).collect()
    }

    /// Picks one of the pictures that were published by `published_by` and expire after `alive_at`:
    /// the one at position `number` modulo their count.
    pub async fn pick(
        &self,
        published_by: i64,
        alive_at: i64,
        number: u32,
    ) -> Result<Option<Published>, DbError> {
        let _turn = self.scan().await?;
        let row = sqlx::query(
            "WITH candidates AS (SELECT id, sequence FROM pictures
                                 WHERE state = 'published' AND published_at <= ?1 AND expires_at > ?2)
             SELECT * FROM pictures
             WHERE id = (SELECT id FROM candidates ORDER BY sequence LIMIT 1
                         OFFSET ?3 % max(1, (SELECT count(*) FROM candidates)))",
        )
        .bind(published_by)
        .bind(alive_at)
        .bind(number)
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(|row| self.read_published(row)).transpose()
    }

    fn read_published(&self, row: &SqliteRow) -> Result<Published, DbError> {
        read_published(row, |name| self.tell_of_unknown_file(name))
    }

    /// Logs a warning once for each name, however many pictures have such a file.
    fn tell_of_unknown_file(&self, name: &str) {
        let mut told = self.unknown_files.lock();
        if told.len() < UNKNOWN_FILES && told.insert(name.to_owned()) {
            tracing::warn!(
                name,
                "files of this name are not served: another version of the program made them"
            );
        }
    }

    /// Lists every tag of the pictures that are live at `now` with the number of pictures that have
    /// it, most used first.
    pub async fn list_tags(&self, now: i64) -> Result<Vec<(String, u32)>, DbError> {
        let _turn = self.scan().await?;
        let rows = sqlx::query(
            "SELECT json_extract(tag.value, '$.name') AS name, count(*) AS count
             FROM pictures, json_each(pictures.tags) AS tag
             WHERE state = 'published' AND expires_at > ?
             GROUP BY name ORDER BY count DESC, name",
        )
        .bind(now)
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| Ok((row.try_get("name")?, row.try_get("count")?)))
            .collect()
    }

    /// The size of all stored objects together, in bytes.
    pub async fn stored_bytes(&self) -> Result<u64, DbError> {
        let sum: i64 = sqlx::query_scalar(
            "SELECT coalesce(sum(stored_bytes), 0) FROM pictures WHERE stored_bytes > 0",
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(sum.cast_unsigned())
    }

    /// How many published pictures are live at `now`.
    pub async fn count_published(&self, now: i64) -> Result<u32, DbError> {
        let _turn = self.scan().await?;
        Ok(sqlx::query_scalar(
            "SELECT count(*) FROM pictures WHERE state = 'published' AND expires_at > ?",
        )
        .bind(now)
        .fetch_one(&self.pool)
        .await?)
    }

    /// The verdict that was reached on the same bytes under the same rules. An approval holds while
    /// a picture of these bytes is live, and a refusal where it was made after `rejected_since`.
    pub async fn find_verdict(
        &self,
        content_hash: &Sha256Hash,
        rules: &Rules,
        now: i64,
        rejected_since: i64,
    ) -> Result<Option<Verdict>, DbError> {
        let row = sqlx::query(
            "SELECT state, reason, tags, alt FROM pictures
             WHERE content_hash = ? AND content_hash <> x'' AND rules = ?
               AND (state = 'published' AND expires_at > ? OR state = 'rejected' AND rejected_at > ?)
             LIMIT 1",
        )
        .bind(&content_hash.0[..])
        .bind(&rules.0.0[..])
        .bind(now)
        .bind(rejected_since)
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(match row.try_get("state")? {
            "rejected" => Verdict::Rejected(
                Reason::parse(row.try_get("reason")?).context("a stored reason is unknown")?,
            ),
            _ => Verdict::Approved {
                tags: read_tags(row.try_get("tags")?)?,
                alt: row.try_get("alt")?,
            },
        }))
    }
}

/// Adds the condition that a picture has this word or phrase in one of its spellings.
fn push_has(query: &mut QueryBuilder<Sqlite>, term: &Term) {
    let mut spellings = query.separated(" OR ");
    spellings.push_unseparated("(");
    for phrase in &term.spellings {
        spellings
            .push("instr(tags_text, ")
            .push_bind_unseparated(format!(" {phrase} "))
            .push_unseparated(") > 0");
    }
    spellings.push_unseparated(")");
}
