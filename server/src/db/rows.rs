//! Converts between rows and domain types: how a picture is written into columns and read from
//! them.

use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteRow};

use super::DbError;
use crate::domain::expiry::{ExpiresAt, Retention};
use crate::domain::hash::Sha256Hash;
use crate::domain::picture::{Life, PictureId, Published, Received, Variant};
use crate::domain::search;
use crate::domain::tag::Tag;
use crate::domain::variant::FileName;
use crate::domain::verdict::{Reason, Rules};

#[derive(Serialize, Deserialize)]
pub(super) struct TagRecord {
    name: String,
    confidence: f32,
}

impl From<&Tag> for TagRecord {
    fn from(tag: &Tag) -> Self {
        Self {
            name: tag.name.clone(),
            confidence: tag.confidence,
        }
    }
}

impl From<TagRecord> for Tag {
    fn from(record: TagRecord) -> Self {
        Self {
            name: record.name,
            confidence: record.confidence,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct VariantRecord {
    name: String,
    width: u32,
    height: u32,
    size_bytes: u64,
    hash: String,
}

/// Fills every column of a publication. [`bind_published`] binds all parameters but the last two,
/// which are the id and the lease of the worker that publishes.
pub(super) const PUBLISH: &str =
    "UPDATE pictures SET state = 'published', leased_until = 0, sequence = ?, published_at = ?, expires_at = ?,
         width = ?, height = ?, animated = ?, alt = ?, tags = ?, tags_text = ?, thumbhash = ?, placeholder = ?,
         perceptual_hash = ?, stripped = ?, variants = ?, stored_bytes = ?, rules = ?, review = NULL, review_rules = NULL, failed_reviews = 0,
         work_ms = 0, reserved_bytes = 0, lacks_room = 0, cut_off = 0, lives = NULL
     WHERE id = ? AND state = 'screening' AND leased_until = ?";

/// Binds the parameters of [`PUBLISH`] except the last two.
pub(super) fn bind_published<'q>(
    query: Query<'q, Sqlite, SqliteArguments>,
    published: &'q Published,
) -> Result<Query<'q, Sqlite, SqliteArguments>, DbError> {
    let variants: Vec<VariantRecord> = published
        .variants
        .iter()
        .map(|variant| VariantRecord {
            name: variant.name.to_string(),
            width: variant.width,
            height: variant.height,
            size_bytes: variant.size_bytes,
            hash: variant.hash.hex(),
        })
        .collect();
    Ok(query
        .bind(published.sequence)
        .bind(published.published_at)
        .bind(published.expires_at.second())
        .bind(published.width)
        .bind(published.height)
        .bind(published.animated)
        .bind(&published.alt)
        .bind(write_tags(&published.tags)?)
        .bind(search::index_text(
            published.tags.iter().map(|tag| tag.name.as_str()),
        ))
        .bind(&published.thumbhash)
        .bind(&published.placeholder)
        .bind(published.perceptual_hash.cast_signed())
        .bind(to_json(&published.stripped)?)
        .bind(to_json(&variants)?)
        .bind(to_i64(published.stored_bytes()))
        .bind(&published.rules.0.0[..]))
}

fn write_tags(tags: &[Tag]) -> Result<String, DbError> {
    to_json(&tags.iter().map(TagRecord::from).collect::<Vec<_>>())
}

/// Parses the `tags` column.
pub(super) fn read_tags(text: &str) -> Result<Vec<Tag>, DbError> {
    let records: Vec<TagRecord> = from_json(text)?;
    Ok(records.into_iter().map(Tag::from).collect())
}

pub(super) fn read_id(row: &SqliteRow) -> Result<PictureId, DbError> {
    read_picture_id(row, "id")
}

pub(super) fn read_picture_id(row: &SqliteRow, column: &str) -> Result<PictureId, DbError> {
    let id: &str = row.try_get(column)?;
    Ok(PictureId::parse(id).context("a stored id is not an id")?)
}

pub(super) fn read_received(row: &SqliteRow) -> Result<Received, DbError> {
    Ok(Received {
        id: read_id(row)?,
        delete_token_hash: read_hash(row, "delete_token_hash")?,
        content_hash: read_hash(row, "content_hash")?,
        size_bytes: row.try_get::<i64, _>("size_bytes")?.cast_unsigned(),
        lives: read_lives(row)?,
        received_at: row.try_get("received_at")?,
        leased_until: row.try_get("leased_until")?,
        attempts: row.try_get("attempts")?,
    })
}

fn read_lives(row: &SqliteRow) -> Result<Option<Retention>, DbError> {
    let seconds: Option<u32> = row.try_get("lives")?;
    let lives = |seconds: u32| Retention::new(Duration::from_secs(seconds.into()));
    let lives = seconds.map(|seconds| lives(seconds).context("a stored life is none"));
    Ok(lives.transpose()?)
}

pub(super) fn read_hash(row: &SqliteRow, column: &str) -> Result<Sha256Hash, DbError> {
    let bytes: &[u8] = row.try_get(column)?;
    Ok(Sha256Hash::from_slice(bytes).context("a stored hash has not 32 bytes")?)
}

/// Reads the state of a picture. `tell` is called as [`read_published`] calls it.
pub(super) fn read_life(row: &SqliteRow, tell: impl Fn(&str)) -> Result<Life, DbError> {
    let state: &str = row.try_get("state")?;
    Ok(match state {
        "screening" => Life::Screening {
            received_at: row.try_get("received_at")?,
        },
        "published" => Life::Published(Box::new(read_published(row, tell)?)),
        "rejected" => Life::Rejected {
            reason: Reason::parse(row.try_get("reason")?).context("a stored reason is unknown")?,
            rejected_at: row.try_get("rejected_at")?,
        },
        "expired" => Life::Expired {
            expires_at: read_expiry(row)?,
        },
        "removed" => Life::Removed {
            expires_at: read_expiry(row)?,
        },
        other => return Err(anyhow::anyhow!("a stored state is unknown: {other}").into()),
    })
}

pub(super) fn read_expiry(row: &SqliteRow) -> Result<Option<ExpiresAt>, DbError> {
    let second: Option<i64> = row.try_get("expires_at")?;
    Ok(second.map(ExpiresAt::from_second))
}

/// Reads the names of a picture's files, so that they can be deleted. `None` where the row names
/// none or its list is damaged, because a picture that is over must be deleted all the same. A name
/// that no version of the program would write is left out, because no file has it.
pub(super) fn read_file_names(row: &SqliteRow) -> Result<Option<Vec<FileName>>, DbError> {
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    let text: Option<&str> = row.try_get("variants")?;
    let named: Option<Vec<Named>> = text.and_then(|text| serde_json::from_str(text).ok());
    let names = |named: Vec<Named>| {
        let names = named.iter().map(|named| FileName::parse(&named.name));
        names.flatten().collect()
    };
    Ok(named.map(names))
}

/// Reads the row of a published picture. `tell` is called with the name of each file that this
/// version of the program cannot serve; the picture is shown without that file.
pub(super) fn read_published(row: &SqliteRow, tell: impl Fn(&str)) -> Result<Published, DbError> {
    let records: Vec<VariantRecord> = from_json(row.try_get("variants")?)?;
    let mut variants = Vec::with_capacity(records.len());
    for record in records {
        let name = FileName::parse(&record.name);
        if name.as_ref().and_then(FileName::known).is_none() {
            tell(&record.name);
        }
        let Some(name) = name else { continue };
        variants.push(Variant {
            name,
            width: record.width,
            height: record.height,
            size_bytes: record.size_bytes,
            hash: Sha256Hash::parse_hex(&record.hash).context("a stored hash is no hash")?,
        });
    }
    Ok(Published {
        id: read_id(row)?,
        sequence: row.try_get("sequence")?,
        published_at: row.try_get("published_at")?,
        expires_at: ExpiresAt::from_second(row.try_get("expires_at")?),
        width: row.try_get("width")?,
        height: row.try_get("height")?,
        animated: row.try_get("animated")?,
        alt: row.try_get("alt")?,
        tags: read_tags(row.try_get("tags")?)?,
        thumbhash: row.try_get("thumbhash")?,
        placeholder: row.try_get("placeholder")?,
        perceptual_hash: row.try_get::<i64, _>("perceptual_hash")?.cast_unsigned(),
        rules: Rules(read_hash(row, "rules")?),
        stripped: from_json(row.try_get("stripped")?)?,
        variants,
    })
}

pub(super) fn to_json<T: Serialize>(value: &T) -> Result<String, DbError> {
    Ok(serde_json::to_string(value).map_err(anyhow::Error::from)?)
}

pub(super) fn from_json<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, DbError> {
    Ok(serde_json::from_str(text).map_err(anyhow::Error::from)?)
}

/// Converts a size. No size here comes near 2^63 bytes.
pub(super) fn to_i64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
