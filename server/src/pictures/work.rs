//! What a worker does with the next waiting picture: screen it, render it, publish or refuse it.

use std::io::ErrorKind;
use std::time::Duration;

use crate::background::{self, BackgroundError};
use crate::db::{Begun, Blame, DbError, Publishing};
use crate::domain::expiry::ExpiresAt;
use crate::domain::picture::{Published, Received, Sha256Hash, Variant};
use crate::domain::verdict::{Reason, Review, Rules, Verdict};
use crate::imaging;
use crate::screening::ScreeningError;
use crate::storage::{StorageError, StorageKey};

use super::endings::REMEMBERED_SECONDS;
use super::manifest::Manifest;
use super::review::{Unpaid, Waiting};
use super::screen::{self, Job, Outcome, Rendered};
use super::{MEMORY_UNIT, Pictures};

/// How long a worker may hold a picture before another may take it. Longer than any picture is worked on.
const LEASE: Duration = Duration::from_secs(600);
/// How often work on one picture is begun before it is refused: it may be what kills the workers. Kills from outside hit
/// the same picture so often only by malice; an attempt that failed by the picture's own doing counts twice.
const MAX_ATTEMPTS: u32 = 10;
/// How long a picture rests when screening or storage is unavailable, seconds.
const RETRY_SECONDS: i64 = 5;
/// How long a picture rests for which there is no room, seconds: room comes as others end.
const RETRY_FULL_SECONDS: i64 = 60;
/// How long a picture waits for memory, well within its lease; a decoder that was given up may hold some for ever.
const MEMORY_WAIT: Duration = Duration::from_secs(180);

/// There is no room for a picture's files; it waits.
#[derive(Debug, thiserror::Error)]
#[error("the store is full (CATTO_MAX_STORED_BYTES)")]
struct Full;

/// The memory that pictures share is taken; this one waits.
#[derive(Debug, thiserror::Error)]
#[error("no memory became free in time")]
struct NoMemory;

/// True for what is not the picture's fault; whatever else fails again and again is.
fn is_outage(error: &anyhow::Error) -> bool {
    error.is::<NoMemory>()
        || error.is::<Waiting>()
        || error.is::<Unpaid>()
        || error.is::<ScreeningError>()
        || error.is::<StorageError>()
        || error.is::<DbError>()
        || matches!(error.downcast_ref(), Some(BackgroundError::NoThread(_)))
        || matches!(error.downcast_ref(), Some(imaging::ImageError::Io(_)))
}

/// What is to become of a picture.
pub(super) enum Judged {
    /// Its pixels were seen, under these rules.
    Looked(Outcome, Rules),
    /// Refused without a look: for what the file is, or because the same bytes were refused before.
    Refused(Reason),
}

impl Pictures {
    /// Takes the next waiting picture through screening and publication. False when none waits.
    pub async fn screen_next(&self) -> Result<bool, DbError> {
        let now = self.parts.clock.now();
        let second = now.as_second();
        let lease = i64::try_from(LEASE.as_secs()).unwrap_or(i64::MAX);
        let Some(received) = self
            .parts
            .db
            .claim_next(second, second.saturating_add(lease), self.overdue(now))
            .await?
        else {
            return Ok(false);
        };
        if let Err(error) = self.screen_and_publish(&received).await {
            let waiting = error.downcast_ref::<Waiting>();
            if waiting.is_some() {
                // The log has told of it, once for all pictures.
                tracing::debug!(picture = %received.id, error = format!("{error:#}"), "a picture waits");
            } else {
                tracing::error!(
                    picture = %received.id, error = format!("{error:#}"),
                    "could not screen a picture; it waits"
                );
            }
            let full = error.is::<Full>();
            let blame = if full || is_outage(&error) {
                Blame::Outage
            } else {
                Blame::Picture
            };
            let pause = match waiting {
                Some(waiting) => i64::try_from(waiting.rest.as_secs())
                    .unwrap_or(i64::MAX)
                    .max(1),
                None if full => RETRY_FULL_SECONDS,
                None => RETRY_SECONDS,
            };
            self.parts
                .db
                .postpone(&received, self.now_second() + pause, blame)
                .await?;
        }
        self.changed();
        Ok(true)
    }

    async fn screen_and_publish(&self, received: &Received) -> anyhow::Result<()> {
        let judged = if received.attempts > MAX_ATTEMPTS {
            Judged::Refused(Reason::Corrupt)
        } else {
            self.screen(received).await?
        };
        let kept = match judged {
            Judged::Looked(Outcome::Approved(rendered), rules) => {
                self.publish(received, *rendered, rules).await?
            }
            Judged::Looked(Outcome::Rejected(reason), rules) => {
                let rules = reason.is_of_the_pixels().then_some(rules);
                self.reject(received, reason, rules).await?
            }
            Judged::Looked(Outcome::Unsure(_), _) => {
                anyhow::bail!("a picture that nobody decided reached its end")
            }
            Judged::Refused(reason) => self.reject(received, reason, None).await?,
        };
        if kept {
            return self.delete_incoming(&received.id).await;
        }
        // Deleted or overdue meanwhile, which leaves the bytes to us or the sweeper; or another worker's, whose they are.
        self.parts.db.release(received).await?;
        self.clear_removed(&received.id).await
    }

    async fn reject(
        &self,
        received: &Received,
        reason: Reason,
        rules: Option<Rules>,
    ) -> anyhow::Result<bool> {
        let id = &received.id;
        // An attempt that was cut off while publishing, under other rules or before too many others, left its objects.
        if let Some(planned) = self.parts.db.planned_expiry(received).await? {
            self.delete_attempt(id, planned).await?;
        }
        let kept = self
            .parts
            .db
            .reject(received, reason, rules.as_ref(), self.now_second())
            .await?;
        if kept {
            // An empty purse is not the client's fault.
            self.allowance.settle(id, reason != Reason::BudgetSpent);
            tracing::info!(picture = %id, reason = reason.as_str(), "rejected a picture");
        }
        Ok(kept)
    }

    /// Looks at the picture and renders it, within the memory that all pictures share. The same bytes under the same rules
    /// are not looked at again.
    async fn screen(&self, received: &Received) -> anyhow::Result<Judged> {
        let path = self.incoming_path(&received.id);
        let limits = self.image_limits();
        let (screener, policy) = (self.parts.screener.clone(), self.parts.policy);
        let looks_locally = self.looks_locally();
        let (inspected, identity) = {
            let (path, limits, screener) = (path.clone(), limits.clone(), screener.clone());
            background::run(move || {
                let identity = looks_locally.then(|| screener.identity()).transpose();
                (imaging::inspect(&path, &limits), identity)
            })
            .await?
        };
        let identity = identity?.unwrap_or_default();
        let rules = policy.rules(&identity);
        let now = self.now_second();
        let known = self
            .parts
            .db
            .find_verdict(
                &received.content_hash,
                &rules,
                now,
                now - REMEMBERED_SECONDS,
            )
            .await?;
        let mut review = None;
        let approval = match known {
            Some(Verdict::Rejected(reason)) => return Ok(Judged::Refused(reason)),
            Some(Verdict::Approved { tags, alt }) => Some((tags, alt)),
            None if policy.asks() => {
                review = self
                    .parts
                    .db
                    .find_review(&received.content_hash, &rules)
                    .await?;
                match &review {
                    // Paid for before a crash, or before there was no room.
                    Some(Review::Judged(Verdict::Rejected(reason))) => {
                        return Ok(Judged::Looked(Outcome::Rejected(*reason), rules));
                    }
                    Some(Review::Judged(Verdict::Approved { tags, alt })) => {
                        Some((tags.clone(), alt.clone()))
                    }
                    Some(review) => {
                        if let Some(judged) = self.foresee_review(received, review).await? {
                            return Ok(judged);
                        }
                        None
                    }
                    None => None,
                }
            }
            None => None,
        };
        let inspected = match inspected {
            Ok(inspected) => inspected,
            // Without its bytes it can never be decided. A whole folder that is away may come back.
            Err(imaging::ImageError::Io(error)) if error.kind() == ErrorKind::NotFound => {
                tokio::fs::metadata(&self.parts.incoming_dir)
                    .await
                    .map_err(imaging::ImageError::Io)?;
                tracing::error!(picture = %received.id, "an upload's file is missing");
                return Ok(Judged::Refused(Reason::Corrupt));
            }
            Err(error) => return Ok(Judged::Refused(screen::rejection_of(error)?)),
        };
        // A picture that needs the last byte of the budget must not wait for a permit that does not exist.
        let all = self.parts.limits.decode_memory_bytes / MEMORY_UNIT;
        let units = u32::try_from(inspected.working_bytes.div_ceil(MEMORY_UNIT).min(all))?;
        let memory = self.memory.clone().acquire_many_owned(units);
        let memory = tokio::time::timeout(MEMORY_WAIT, memory)
            .await
            .map_err(|_| NoMemory)??;
        let job = Job {
            path,
            inspected,
            limits,
            screener,
            policy,
            looks_locally,
            bans: self.parts.db.list_bans().await?.into(),
            approval,
            timeout: self.parts.limits.picture_timeout,
        };
        let give_up = job.timeout + self.parts.limits.give_up_after;
        let work = background::run(move || {
            // Held by the thread, which may outlive this call.
            let _memory = memory;
            job.run()
        });
        let Ok(done) = tokio::time::timeout(give_up, work).await else {
            tracing::error!(picture = %received.id, "gave up a picture that a decoder does not let go of");
            return Ok(Judged::Refused(Reason::TooManyPixels));
        };
        match done?? {
            Outcome::Unsure(unsure) => {
                let from = review.unwrap_or(Review::Asked);
                let alone = policy.local_alone().rules(&identity);
                self.review(received, unsure, &from, rules, alone).await
            }
            outcome => Ok(Judged::Looked(outcome, rules)),
        }
    }

    /// Stores the variants, then the manifest, then the row; only then does any URL answer. Refuses the picture where a ban
    /// came meanwhile. False when the picture is no longer this worker's.
    async fn publish(
        &self,
        received: &Received,
        rendered: Rendered,
        rules: Rules,
    ) -> anyhow::Result<bool> {
        let now = self.parts.clock.now();
        let id = &received.id;
        // Before anything is stored; a ban that comes later is found by the step that publishes.
        if self.is_banned(rendered.perceptual_hash).await? {
            return self.reject(received, Reason::Banned, None).await;
        }
        let expires_at = ExpiresAt::after(now, self.parts.retention);
        let variants: Vec<Variant> = rendered
            .files
            .iter()
            .map(|file| Variant {
                name: file.name,
                width: file.width,
                height: file.height,
                size_bytes: file.bytes.len() as u64,
                hash: Sha256Hash::of(&file.bytes).hex(),
            })
            .collect();
        let bytes = variants.iter().map(|variant| variant.size_bytes).sum();
        // Before this attempt notes an instant of its own: only the noted one tells what an attempt has left.
        let earlier = self.parts.db.planned_expiry(received).await?;
        if let Some(earlier) = earlier {
            self.delete_attempt(id, earlier).await?;
        }
        let begun = self
            .parts
            .db
            .begin_publishing(
                received,
                expires_at,
                bytes,
                self.parts.limits.max_stored_bytes,
                self.overdue(now),
            )
            .await?;
        let sequence = match begun {
            Begun::Lost => return Ok(false),
            Begun::Full => return Err(Full.into()),
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
                    name: file.name,
                };
                (key, file.bytes)
            })
            .collect();
        self.parts.storage.put(objects).await?;
        // Storing may have taken longer than the lease.
        if self.parts.db.planned_expiry(received).await? != Some(expires_at) {
            return Ok(false);
        }
        let manifest = Manifest::new(received, &published).to_json()?;
        self.create_manifest(id, manifest, expires_at, earlier)
            .await?;
        match self.parts.db.publish(&published, received).await? {
            Publishing::Done => {
                self.allowance.settle(id, false);
                tracing::info!(picture = %id, expires_at = %expires_at.timestamp(), "published a picture");
                Ok(true)
            }
            // What was stored is deleted with it.
            Publishing::Banned => self.reject(received, Reason::Banned, None).await,
            Publishing::Lost => Ok(false),
        }
    }
}
