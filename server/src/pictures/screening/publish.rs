//! Carries out a picture's verdict: it is published, with the files first and the row last, or
//! refused.

use std::time::Duration;

use super::Screening;
use super::delay::Delay;
use super::pixels::Rendered;
use crate::db::{Begun, DbError, Publishing};
use crate::domain::expiry::ExpiresAt;
use crate::domain::hash::Sha256Hash;
use crate::domain::picture::{Published, Received, Variant};
use crate::domain::verdict::{Reason, Review, Rules, Verdict};
use crate::pictures::clients::Ending;
use crate::pictures::manifest::Manifest;
use crate::storage::StorageKey;

impl Screening {
    /// Stores the variants, then the manifest, then the row; only then does any URL answer. Refuses
    /// the picture where a ban came meanwhile. Returns false when the worker no longer holds the
    /// picture.
    pub(super) async fn publish(
        &self,
        received: &Received,
        rendered: Rendered,
        rules: Rules,
        looked: bool,
    ) -> anyhow::Result<bool> {
        let now = self.collection.clock.now();
        let id = &received.id;
        // This is checked before anything is stored. A ban that comes later is found by the
        // transaction that publishes.
        if self.is_banned(rendered.perceptual_hash).await? {
            return self.reject(received, Reason::Banned, None).await;
        }
        let retention = self.collection.retention;
        let lives = received
            .lives
            .map_or(retention, |asked| asked.min(retention));
        let expires_at = ExpiresAt::after(now, lives);
        let variants: Vec<Variant> = rendered
            .files
            .iter()
            .map(|file| Variant {
                name: file.name.into(),
                width: file.width,
                height: file.height,
                size_bytes: file.bytes.len() as u64,
                hash: Sha256Hash::of(&file.bytes),
            })
            .collect();
        let bytes = variants.iter().map(|variant| variant.size_bytes).sum();
        let max_stored_bytes = self.limits.max_stored_bytes;
        if bytes > max_stored_bytes {
            // The picture would wait for ever.
            return self.reject(received, Reason::StorageFull, None).await;
        }
        // This comes before the attempt notes an expiry of its own, because only the noted one
        // tells what an earlier attempt has left.
        let earlier = self.collection.db.planned_expiry(received).await?;
        if let Some(earlier) = earlier {
            self.delete_attempt(id, earlier).await?;
        }
        let begun = self
            .collection
            .db
            .begin_publishing(
                received,
                expires_at,
                bytes,
                max_stored_bytes,
                self.collection.overdue(now),
            )
            .await?;
        let sequence = match begun {
            Begun::Lost => return Ok(false),
            Begun::Full => {
                // The verdict is noted, so that the picture need not be looked at again when there
                // is room.
                let approved = Verdict::Approved {
                    tags: rendered.tags,
                    alt: rendered.alt,
                };
                let review = Review::Judged(approved);
                self.collection
                    .db
                    .note_review(received, &rules, &review)
                    .await?;
                return Err(Delay::Full.into());
            }
            Begun::Ready { sequence } => sequence,
        };
        let published = Published {
            id: id.clone(),
            sequence,
            published_at: now.as_second(),
            expires_at,
            width: rendered.width,
            height: rendered.height,
            animated: rendered.animated,
            alt: rendered.alt,
            tags: rendered.tags,
            thumbhash: rendered.thumbhash,
            placeholder: rendered.placeholder,
            perceptual_hash: rendered.perceptual_hash,
            stripped: rendered.stripped,
            variants,
            rules,
        };
        let objects = rendered
            .files
            .into_iter()
            .map(|file| {
                let key = StorageKey::Image {
                    expires_at,
                    id: id.clone(),
                    name: file.name.into(),
                };
                (key, file.bytes)
            })
            .collect();
        self.collection.storage.put(objects).await?;
        // Storing may have taken longer than the lease.
        if self.collection.db.planned_expiry(received).await? != Some(expires_at) {
            return Ok(false);
        }
        let manifest = Manifest::new(received, &published).to_json()?;
        self.create_manifest(id, manifest, expires_at, earlier)
            .await?;
        match self.collection.db.publish(&published, received).await? {
            Publishing::Done => {
                let ending = if looked {
                    Ending::Published
                } else {
                    Ending::Copy
                };
                // What lives shorter takes its place for a shorter time.
                let share = bytes * u64::from(lives.seconds()) / u64::from(retention.seconds());
                let retention = Duration::from_secs(retention.seconds().into());
                self.collection.clients.note_stored(id, share, retention);
                self.collection.clients.settle(id, ending);
                tracing::info!(picture = %id, expires_at = %expires_at.timestamp(), "published a picture");
                Ok(true)
            }
            // This also deletes what was stored.
            Publishing::Banned => self.reject(received, Reason::Banned, None).await,
            Publishing::Lost => Ok(false),
        }
    }

    /// Refuses a picture for this reason, which is remembered under `rules` where they are given.
    /// Returns false when the worker no longer holds the picture.
    pub(super) async fn reject(
        &self,
        received: &Received,
        reason: Reason,
        rules: Option<Rules>,
    ) -> anyhow::Result<bool> {
        let id = &received.id;
        // An attempt that was cut off while publishing, under other rules or too often, left its
        // objects behind.
        if let Some(planned) = self.collection.db.planned_expiry(received).await? {
            self.delete_attempt(id, planned).await?;
        }
        let kept = self
            .collection
            .db
            .reject(
                received,
                reason,
                rules.as_ref(),
                self.collection.now_second(),
            )
            .await?;
        if kept {
            self.collection.clients.settle(
                id,
                match reason {
                    // An empty budget and a small store are not the client's fault.
                    Reason::BudgetSpent | Reason::StorageFull => Ending::NobodysFault,
                    _ => Ending::Refused,
                },
            );
            tracing::info!(picture = %id, reason = reason.as_str(), "rejected a picture");
        }
        Ok(kept)
    }

    async fn is_banned(&self, perceptual_hash: u64) -> Result<bool, DbError> {
        let bans = self.collection.db.list_bans().await?;
        Ok(bans.iter().any(|ban| ban.covers(perceptual_hash)))
    }
}
