//! What a worker does with the next waiting picture: screen it, render it, publish or refuse it.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use crate::db::{Begun, Blame, Claimed, DbError, Publishing};
use crate::domain::expiry::ExpiresAt;
use crate::domain::picture::{PictureId, Published, Received, Sha256Hash, Variant};
use crate::domain::verdict::{Reason, Review, Rules, Verdict};
use crate::runtime::compute::{self, ComputeError};
use crate::screening::ScreeningError;
use crate::storage::{StorageError, StorageKey};
use imaging::{self, ImageError, Inspected};

use super::clients::Ending;
use super::endings::REMEMBERED_SECONDS;
use super::manifest::Manifest;
use super::order;
use super::review::{Unpaid, Waiting};
use super::screen::{self, Job, Outcome, Rendered};
use super::{MEMORY_UNIT, Pictures};

/// How long a worker may hold a picture before another may take it. Longer than any picture is worked on.
const LEASE: Duration = Duration::from_secs(600);
/// How often work on one picture is begun before it is refused: it may be what kills the workers. Kills from outside hit
/// the same picture so often only by malice; an attempt that failed by the picture's own doing counts twice.
const MAX_ATTEMPTS: u32 = 10;
/// How often the process may end while a picture has all memory to itself, before the picture is refused as too large: each
/// attempt that is cut off doubles the memory that the next one sets aside, since the estimate may be too low.
const MAX_ENDS_WITH_ALL_MEMORY: usize = 3;
/// What is held of the image that Rekognition is shown, as a multiple of it: the image, and the request made of it in base64,
/// with what is left over while that grows.
const COPIES_OF_SHOWN: usize = 4;
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
        || matches!(error.downcast_ref(), Some(ComputeError::NoThread(_)))
        || matches!(error.downcast_ref(), Some(imaging::ImageError::Io(_)))
}

/// What is to become of a picture.
pub(super) enum Judged {
    /// Its pixels were seen, under these rules.
    Looked(Outcome, Rules),
    /// Refused without a look: for what the file is, or because the same bytes were refused before.
    Refused(Reason),
}

/// What came of an attempt before anything is stored.
struct Screened {
    judged: Judged,
    /// Somebody looked at the picture for it; otherwise the same bytes were known.
    looked: bool,
    /// The share of the memory that what was encoded takes, until it is stored or dropped.
    memory: Option<OwnedSemaphorePermit>,
}

impl Screened {
    fn without_a_look(judged: Judged) -> Self {
        Self {
            judged,
            looked: false,
            memory: None,
        }
    }

    fn refused(reason: Reason) -> Self {
        Self::without_a_look(Judged::Refused(reason))
    }
}

impl Pictures {
    /// Takes the next waiting picture through screening and publication. False when none waits.
    pub async fn screen_next(&self) -> Result<bool, DbError> {
        let Some((claimed, estimate)) = self.claim_next().await? else {
            return Ok(false);
        };
        let received = &claimed.received;
        // Counted at once, so that whoever chooses next knows of it, and mended once it is known.
        let sender = self.clients.sender(&received.id);
        self.clients.note_work(sender, estimate.as_secs_f64());
        let mut worked = Duration::ZERO;
        let begun = self.parts.clock.elapsed();
        let done = self.screen_and_publish(&claimed, &mut worked).await;
        let correction = worked.as_secs_f64() - estimate.as_secs_f64();
        self.clients.note_work(sender, correction);
        let took = self.parts.clock.elapsed().saturating_sub(begun);
        self.clients.note_pace(took.as_secs_f64());
        if let Err(error) = done {
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
                .postpone(received, self.now_second() + pause, blame)
                .await?;
        }
        self.changed();
        Ok(true)
    }

    /// Takes the picture that should be worked on next, with how long that may take, where one may be begun.
    async fn claim_next(&self) -> Result<Option<(Claimed, Duration)>, DbError> {
        let db = &self.parts.db;
        let _choosing = self.choosing.lock().await;
        loop {
            let now = self.parts.clock.now();
            let (second, overdue) = (now.as_second(), self.overdue(now));
            let waiting = db.list_waiting(second, overdue).await?;
            let room = if waiting.iter().any(|one| one.lacks_room) {
                let promised = db.promised_bytes().await?;
                self.parts.limits.max_stored_bytes.saturating_sub(promised)
            } else {
                0
            };
            let work_for = |one: &crate::db::Waiting| self.clients.work_for_sender(&one.id);
            let Some(next) = order::next(&waiting, work_for, room, second) else {
                return Ok(None);
            };
            let lease = i64::try_from(LEASE.as_secs()).unwrap_or(i64::MAX);
            let leased_until = second.saturating_add(lease);
            // Where it was deleted meanwhile, another one is next.
            if let Some(claimed) = db.claim(&next.id, second, leased_until, overdue).await? {
                return Ok(Some((claimed, next.work)));
            }
        }
    }

    /// What became of an upload, for whoever sent it.
    fn settle(&self, id: &PictureId, ending: Ending) {
        if let Some(client) = self.clients.forget(id) {
            if ending == Ending::Refused {
                self.allowance.charge(client);
            }
            self.clients.note_ending(client, ending);
        }
    }

    async fn screen_and_publish(
        &self,
        claimed: &Claimed,
        worked: &mut Duration,
    ) -> anyhow::Result<()> {
        let received = &claimed.received;
        let Screened {
            judged,
            looked,
            // Until what was encoded is stored or dropped.
            memory: _memory,
        } = if received.attempts > MAX_ATTEMPTS {
            Screened::refused(Reason::Corrupt)
        } else {
            self.screen(claimed, worked).await?
        };
        let kept = match judged {
            Judged::Looked(Outcome::Approved(rendered), rules) => {
                self.publish(received, *rendered, rules, looked).await?
            }
            Judged::Looked(Outcome::Rejected(reason), rules) => {
                // What cannot be decoded cannot be the next time either.
                let lasts = reason.is_of_the_pixels() || reason == Reason::Corrupt;
                let rules = lasts.then_some(rules);
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
            self.settle(
                id,
                match reason {
                    // An empty purse and a small store are not the client's fault.
                    Reason::BudgetSpent | Reason::StorageFull => Ending::NobodysFault,
                    _ => Ending::Refused,
                },
            );
            tracing::info!(picture = %id, reason = reason.as_str(), "rejected a picture");
        }
        Ok(kept)
    }

    /// Looks at a file's header, and asks under which rules pictures are judged now and what the screener calls itself. On a
    /// thread that steps back for requests.
    pub(super) async fn inspect(
        &self,
        path: PathBuf,
    ) -> Result<
        (
            Result<Inspected, ImageError>,
            Result<(Rules, String), ScreeningError>,
        ),
        ComputeError,
    > {
        let limits = self.image_limits();
        let (screener, policy) = (self.parts.screener.clone(), self.parts.policy);
        let looks_locally = self.looks_locally();
        compute::run(move || {
            let identity = looks_locally.then(|| screener.identity()).transpose();
            let rules = identity.map(|identity| {
                let identity = identity.unwrap_or_default();
                (policy.rules(&identity), identity)
            });
            (imaging::inspect(&path, &limits, &screen::outputs()), rules)
        })
        .await
    }

    /// What was decided on these bytes under these rules.
    async fn known_verdict(
        &self,
        content_hash: &Sha256Hash,
        rules: &Rules,
    ) -> Result<Option<Verdict>, DbError> {
        let now = self.now_second();
        self.parts
            .db
            .find_verdict(content_hash, rules, now, now - REMEMBERED_SECONDS)
            .await
    }

    /// Why these bytes were refused before, under these rules.
    pub(super) async fn known_refusal(
        &self,
        content_hash: &Sha256Hash,
        rules: &Rules,
    ) -> Result<Option<Reason>, DbError> {
        match self.known_verdict(content_hash, rules).await? {
            Some(Verdict::Rejected(reason)) => Ok(Some(reason)),
            _ => Ok(None),
        }
    }

    /// Looks at the picture and renders it, within the memory that all pictures share. The same bytes under the same rules
    /// are not looked at again. What time was spent on it is put into `worked`.
    async fn screen(&self, claimed: &Claimed, worked: &mut Duration) -> anyhow::Result<Screened> {
        let received = &claimed.received;
        let path = self.incoming_path(&received.id);
        let (inspected, rules) = self.inspect(path.clone()).await?;
        let (rules, identity) = rules?;
        let policy = self.parts.policy;
        let known = self.known_verdict(&received.content_hash, &rules).await?;
        let review = match &known {
            Some(_) => None,
            None => {
                self.parts
                    .db
                    .find_review(&received.content_hash, &rules)
                    .await?
            }
        };
        let approval = match (known, &review) {
            (Some(Verdict::Rejected(reason)), _) => return Ok(Screened::refused(reason)),
            (Some(Verdict::Approved { tags, alt }), _) => Some((tags, alt)),
            // Decided before a crash, or before there was no room.
            (None, Some(Review::Judged(Verdict::Rejected(reason)))) => {
                let judged = Judged::Looked(Outcome::Rejected(*reason), rules);
                return Ok(Screened::without_a_look(judged));
            }
            (None, Some(Review::Judged(Verdict::Approved { tags, alt }))) => {
                Some((tags.clone(), alt.clone()))
            }
            (None, Some(review)) => {
                if let Some(judged) = self.foresee_review(received, review).await? {
                    return Ok(Screened::without_a_look(judged));
                }
                None
            }
            (None, None) => None,
        };
        let inspected = match inspected {
            Ok(inspected) => inspected,
            // Without its bytes it can never be decided. A whole folder that is away may come back.
            Err(ImageError::Io(error)) if error.kind() == ErrorKind::NotFound => {
                tokio::fs::metadata(&self.parts.incoming_dir)
                    .await
                    .map_err(ImageError::Io)?;
                tracing::error!(picture = %received.id, "an upload's file is missing");
                return Ok(Screened::refused(Reason::Corrupt));
            }
            Err(error) => return Ok(Screened::refused(screen::rejection_of(error)?)),
        };
        // A picture that needs the last byte of the budget must not wait for a permit that does not exist.
        let all = self.parts.limits.decode_memory_bytes / MEMORY_UNIT;
        let Some(units) = share_of_memory(
            inspected.working_bytes.div_ceil(MEMORY_UNIT),
            claimed.cut_off,
            all,
        ) else {
            tracing::error!(picture = %received.id, "refused a picture with which the process ended again and again");
            return Ok(Screened::refused(Reason::TooManyPixels));
        };
        let memory = self
            .memory
            .clone()
            .acquire_many_owned(u32::try_from(units)?);
        let mut memory = tokio::time::timeout(MEMORY_WAIT, memory)
            .await
            .map_err(|_| NoMemory)??;
        let looked = Arc::new(AtomicBool::new(false));
        let job = Job {
            path,
            inspected,
            limits: self.image_limits(),
            screener: self.parts.screener.clone(),
            policy,
            looks_locally: self.looks_locally(),
            bans: self.parts.db.list_bans().await?.into(),
            approval,
            looked: looked.clone(),
            timeout: self.parts.limits.picture_timeout,
        };
        let give_up = job.timeout + self.parts.limits.give_up_after;
        let work = compute::run(move || {
            let done = job.run();
            // Held by the thread until here, which may outlive this call. What was encoded is still held afterwards.
            let kept = done.as_ref().map_or(0, encoded_bytes).div_ceil(MEMORY_UNIT);
            let kept = usize::try_from(kept).unwrap_or(usize::MAX);
            let kept = memory.split(kept.min(memory.num_permits()));
            (done, kept)
        });
        let begun = self.parts.clock.elapsed();
        let done = tokio::time::timeout(give_up, work).await;
        *worked = self.parts.clock.elapsed().saturating_sub(begun);
        let looked = looked.load(Ordering::Relaxed);
        if looked {
            self.parts.db.note_looked(received).await?;
        }
        let Ok(done) = done else {
            tracing::error!(picture = %received.id, "gave up a picture that a decoder does not let go of");
            return Ok(Screened::refused(Reason::TooManyPixels));
        };
        let (outcome, memory) = done?;
        let (judged, looked) = match outcome? {
            Outcome::Unsure(unsure) => {
                self.parts.db.note_looked(received).await?;
                let from = review.unwrap_or(Review::Asked);
                let alone = policy.local_alone().rules(&identity);
                let judged = self.review(received, unsure, &from, rules, alone).await?;
                (judged, true)
            }
            outcome => (Judged::Looked(outcome, rules), looked),
        };
        Ok(Screened {
            judged,
            looked,
            memory,
        })
    }

    /// Stores the variants, then the manifest, then the row; only then does any URL answer. Refuses the picture where a ban
    /// came meanwhile. False when the picture is no longer this worker's.
    async fn publish(
        &self,
        received: &Received,
        rendered: Rendered,
        rules: Rules,
        looked: bool,
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
                name: file.name.into(),
                width: file.width,
                height: file.height,
                size_bytes: file.bytes.len() as u64,
                hash: Sha256Hash::of(&file.bytes),
            })
            .collect();
        let bytes = variants.iter().map(|variant| variant.size_bytes).sum();
        let max_stored_bytes = self.parts.limits.max_stored_bytes;
        if bytes > max_stored_bytes {
            // It would wait for ever.
            return self.reject(received, Reason::StorageFull, None).await;
        }
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
                max_stored_bytes,
                self.overdue(now),
            )
            .await?;
        let sequence = match begun {
            Begun::Lost => return Ok(false),
            Begun::Full => {
                // So that it need not be looked at again when there is room.
                let approved = Verdict::Approved {
                    tags: rendered.tags,
                    alt: rendered.alt,
                };
                let review = Review::Judged(approved);
                self.parts.db.note_review(received, &rules, &review).await?;
                return Err(Full.into());
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
                let ending = if looked {
                    Ending::Published
                } else {
                    Ending::Copy
                };
                let retention = Duration::from_secs(u64::from(self.parts.retention.seconds()));
                self.clients.note_stored(id, bytes, retention);
                self.settle(id, ending);
                tracing::info!(picture = %id, expires_at = %expires_at.timestamp(), "published a picture");
                Ok(true)
            }
            // What was stored is deleted with it.
            Publishing::Banned => self.reject(received, Reason::Banned, None).await,
            Publishing::Lost => Ok(false),
        }
    }
}

/// How much of the memory a picture sets aside that needs `base`, in the same units as `all`, after so many attempts that
/// ended with the process. `None` where it had all of it often enough.
fn share_of_memory(base: u64, cut_off: u32, all: u64) -> Option<u64> {
    let share = |doublings: u32| {
        base.saturating_mul(2_u64.saturating_pow(doublings))
            .min(all)
    };
    let ends_with_all = (0..cut_off).filter(|doublings| share(*doublings) == all);
    (ends_with_all.count() < MAX_ENDS_WITH_ALL_MEMORY).then(|| share(cut_off))
}

/// The bytes that are held of what was encoded, until it is stored or dropped.
fn encoded_bytes(outcome: &Outcome) -> u64 {
    let of = |rendered: &Rendered| {
        rendered
            .files
            .iter()
            .map(|file| file.bytes.len())
            .sum::<usize>()
    };
    let bytes = match outcome {
        Outcome::Rejected(_) => 0,
        Outcome::Approved(rendered) => of(rendered),
        Outcome::Unsure(unsure) => {
            of(&unsure.rendered) + unsure.image.jpeg().len() * COPIES_OF_SHOWN
        }
    };
    bytes as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_attempt_that_ended_with_the_process_doubles_the_memory_of_the_next() {
        let shares: Vec<_> = (0..8).map(|ends| share_of_memory(30, ends, 110)).collect();
        let some = |share| Some(share);
        assert_eq!(
            shares,
            [
                some(30),
                some(60),
                some(110),
                some(110),
                some(110),
                None,
                None,
                None
            ]
        );
        assert_eq!(share_of_memory(200, 0, 110), Some(110));
        assert_eq!(share_of_memory(200, 2, 110), Some(110));
        assert_eq!(share_of_memory(200, 3, 110), None);
        assert_eq!(share_of_memory(1, 100, 110), None);
    }
}
