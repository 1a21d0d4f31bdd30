//! How far second opinions on waiting pictures have come: the columns `review`, `review_rules` and
//! `failed_reviews`. They keep anything from being paid for twice.

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::rows::{TagRecord, from_json, to_json};
use super::{Db, DbError};
use crate::domain::hash::Sha256Hash;
use crate::domain::picture::Received;
use crate::domain::verdict::{Reason, Review, Rules, Verdict};

#[derive(Serialize, Deserialize)]
#[serde(tag = "came", rename_all = "lowercase")]
enum ReviewRecord {
    Asked,
    Decent,
    Rejected { reason: String },
    Approved { tags: Vec<TagRecord>, alt: String },
}

impl ReviewRecord {
    fn of(review: &Review) -> Self {
        match review {
            Review::Asked => Self::Asked,
            Review::Decent => Self::Decent,
            Review::Judged(Verdict::Rejected(reason)) => Self::Rejected {
                reason: reason.as_str().to_owned(),
            },
            Review::Judged(Verdict::Approved { tags, alt }) => Self::Approved {
                tags: tags.iter().map(TagRecord::from).collect(),
                alt: alt.clone(),
            },
        }
    }

    fn read(self) -> Result<Review, DbError> {
        Ok(match self {
            Self::Asked => Review::Asked,
            Self::Decent => Review::Decent,
            Self::Rejected { reason } => Review::Judged(Verdict::Rejected(
                Reason::parse(&reason).context("a stored reason is unknown")?,
            )),
            Self::Approved { tags, alt } => Review::Judged(Verdict::Approved {
                tags: tags.into_iter().map(Into::into).collect(),
                alt,
            }),
        })
    }
}

impl Db {
    /// Notes how far the review of this worker's picture has come. Nothing changes where the worker
    /// no longer holds it.
    pub async fn note_review(
        &self,
        received: &Received,
        rules: &Rules,
        review: &Review,
    ) -> Result<(), DbError> {
        sqlx::query(
            "UPDATE pictures SET review = ?, review_rules = ?
             WHERE id = ? AND state = 'screening' AND leased_until = ?",
        )
        .bind(to_json(&ReviewRecord::of(review))?)
        .bind(&rules.0.0[..])
        .bind(received.id.as_str())
        .bind(received.leased_until)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Notes that this worker's picture needs a review under these rules, unless a review of the
    /// same bytes is noted already. The next attempt then knows this without looking at the picture
    /// again.
    pub async fn note_review_wanted(
        &self,
        received: &Received,
        rules: &Rules,
    ) -> Result<(), DbError> {
        if self
            .find_review(&received.content_hash, rules)
            .await?
            .is_none()
        {
            self.note_review(received, rules, &Review::Asked).await?;
        }
        Ok(())
    }

    /// Counts a failed review that may have been billed, and returns how many there were of these
    /// bytes among the pictures that wait. This worker's picture takes the highest count known and
    /// adds one to it. Returns 0 where the worker no longer holds the picture.
    pub async fn count_failed_review(&self, received: &Received) -> Result<u32, DbError> {
        let count: Option<u32> = sqlx::query_scalar(
            "UPDATE pictures SET failed_reviews = 1 + max(
                 failed_reviews,
                 coalesce((SELECT max(failed_reviews) FROM pictures
                           WHERE content_hash = ?1 AND content_hash <> x'' AND state = 'screening'), 0))
             WHERE id = ?2 AND state = 'screening' AND leased_until = ?3 RETURNING failed_reviews",
        )
        .bind(&received.content_hash.0[..])
        .bind(received.id.as_str())
        .bind(received.leased_until)
        .fetch_optional(&self.pool)
        .await?;
        Ok(count.unwrap_or(0))
    }

    /// How often a review of these bytes failed in a way that may have been billed, among the
    /// pictures that wait.
    pub async fn failed_reviews(&self, received: &Received) -> Result<u32, DbError> {
        let count: Option<u32> = sqlx::query_scalar(
            "SELECT max(failed_reviews) FROM pictures
             WHERE content_hash = ? AND content_hash <> x'' AND state = 'screening'",
        )
        .bind(&received.content_hash.0[..])
        .fetch_one(&self.pool)
        .await?;
        Ok(count.unwrap_or(0))
    }

    /// Until when pictures with the same bytes rest that have failed more often than this one.
    /// Those with fewer or equal failures are left out, so that two pictures never wait for each
    /// other.
    pub async fn failed_others_rest_until(
        &self,
        received: &Received,
    ) -> Result<Option<i64>, DbError> {
        Ok(sqlx::query_scalar(
            "SELECT max(rests_until) FROM pictures
             WHERE content_hash = ?1 AND content_hash <> x'' AND state = 'screening'
               AND failed_reviews > coalesce((SELECT failed_reviews FROM pictures WHERE id = ?2), 0)",
        )
        .bind(&received.content_hash.0[..])
        .bind(received.id.as_str())
        .fetch_one(&self.pool)
        .await?)
    }

    /// The review of these bytes under these rules that has come furthest, among the pictures that
    /// wait.
    pub async fn find_review(
        &self,
        content_hash: &Sha256Hash,
        rules: &Rules,
    ) -> Result<Option<Review>, DbError> {
        let texts: Vec<String> = sqlx::query_scalar(
            "SELECT review FROM pictures
             WHERE content_hash = ? AND content_hash <> x'' AND review_rules = ? AND state = 'screening'
               AND review IS NOT NULL",
        )
        .bind(&content_hash.0[..])
        .bind(&rules.0.0[..])
        .fetch_all(&self.pool)
        .await?;
        let reviews = texts
            .iter()
            .map(|text| from_json::<ReviewRecord>(text)?.read())
            .collect::<Result<Vec<_>, _>>()?;
        Ok(reviews.into_iter().max_by_key(Review::progress))
    }
}
