//! Reads the `pictures` table.

use std::collections::HashMap;

use anyhow::Context;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};

use super::postings::Walk;
use super::rows::{read_life, read_published, read_tag_names, read_tags};
use super::{Db, DbError};
use crate::domain::hash::Sha256Hash;
use crate::domain::picture::{Life, PictureId, Published};
use crate::domain::search::{self, SearchQuery};
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

/// How many candidates of a search are read at once. A page has 40 pictures.
const CANDIDATES_AT_ONCE: usize = 48;

/// The query for a list, of all pictures or of these candidates.
fn conditions(filter: &ListFilter, now: i64, candidates: Option<&[i64]>) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "SELECT * FROM pictures WHERE state = 'published' AND expires_at > ",
    );
    query.push_bind(now);
    if let Some(candidates) = candidates {
        query.push(" AND sequence IN (");
        let mut list = query.separated(", ");
        for sequence in candidates {
            list.push_bind(*sequence);
        }
        query.push(")");
    }
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
    for phrase in &filter.search.required {
        query
            .push(" AND instr(tags_text, ")
            .push_bind(format!(" {phrase} "))
            .push(") > 0");
    }
    for phrase in &filter.search.excluded {
        query
            .push(" AND instr(tags_text, ")
            .push_bind(format!(" {phrase} "))
            .push(") = 0");
    }
    let order = if filter.after.is_some() {
        "ASC"
    } else {
        "DESC"
    };
    query
        .push(format!(" ORDER BY sequence {order} LIMIT "))
        .push_bind(filter.limit);
    query
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
        if filter.tag.is_none() && filter.search.is_empty() {
            let rows = conditions(filter, now, None)
                .build()
                .fetch_all(&self.pool)
                .await?;
            return rows.iter().map(|row| self.read_published(row)).collect();
        }
        let next = match (filter.after, filter.before) {
            (Some(after), _) => after.saturating_add(1),
            (None, Some(before)) => before.saturating_sub(1),
            (None, None) => i64::MAX,
        };
        let tag = filter.tag.as_deref().map(search::fold);
        let ascending = filter.after.is_some();
        let mut walk =
            Walk::begin(&self.pool, &filter.search, tag.as_deref(), next, ascending).await?;
        let mut found = Vec::new();
        while let Some(candidates) = walk.advance(&self.pool).await? {
            for some in candidates.chunks(CANDIDATES_AT_ONCE) {
                let rows = conditions(filter, now, Some(some))
                    .build()
                    .fetch_all(&self.pool)
                    .await?;
                for row in &rows {
                    found.push(self.read_published(row)?);
                    if found.len() == filter.limit as usize {
                        return Ok(found);
                    }
                }
            }
        }
        Ok(found)
    }

    /// Picks one of the pictures that were published by `published_by` and expire after `alive_at`.
    /// It begins at the picture at position `number` modulo the count of all that are published,
    /// and takes the first that fits from there on.
    pub async fn pick(
        &self,
        published_by: i64,
        alive_at: i64,
        number: u32,
    ) -> Result<Option<Published>, DbError> {
        let position = i64::from(number)
            .checked_rem(self.count_entries().await?)
            .unwrap_or_default();
        let first = self.sequence_at(position).await?.unwrap_or_default();
        for from in [first, i64::MIN] {
            let row = sqlx::query(
                "SELECT * FROM pictures
                 WHERE state = 'published' AND sequence >= ? AND published_at <= ? AND expires_at > ?
                 ORDER BY sequence LIMIT 1",
            )
            .bind(from)
            .bind(published_by)
            .bind(alive_at)
            .fetch_optional(&self.pool)
            .await?;
            if let Some(row) = row {
                return self.read_published(&row).map(Some);
            }
        }
        Ok(None)
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
        let counts: Vec<(String, u32)> = sqlx::query_as("SELECT name, pictures FROM tag_counts")
            .fetch_all(&self.pool)
            .await?;
        // What expired and waits for the sweeper is counted still.
        let over: Vec<String> = sqlx::query_scalar(
            "SELECT tags FROM pictures WHERE state = 'published' AND expires_at <= ?",
        )
        .bind(now)
        .fetch_all(&self.pool)
        .await?;
        let mut counts: HashMap<String, u32> = counts.into_iter().collect();
        for tags in over {
            for name in read_tag_names(&tags)? {
                counts
                    .entry(name)
                    .and_modify(|count| *count = count.saturating_sub(1));
            }
        }
        let mut counts: Vec<_> = counts.into_iter().filter(|(_, count)| *count > 0).collect();
        counts.sort_by(|(one, few), (other, many)| many.cmp(few).then_with(|| one.cmp(other)));
        Ok(counts)
    }

    /// The size of all stored objects together, in bytes.
    pub async fn stored_bytes(&self) -> Result<u64, DbError> {
        let sum: i64 = sqlx::query_scalar("SELECT stored_bytes FROM totals")
            .fetch_one(&self.pool)
            .await?;
        Ok(sum.cast_unsigned())
    }

    /// How many published pictures are live at `now`.
    pub async fn count_published(&self, now: i64) -> Result<u32, DbError> {
        let over: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pictures WHERE state = 'published' AND expires_at <= ?",
        )
        .bind(now)
        .fetch_one(&self.pool)
        .await?;
        let all = self.count_entries().await?;
        Ok(u32::try_from((all - over).max(0)).unwrap_or(u32::MAX))
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
