//! What a worker does with a picture before anything of it is stored: it finds out whether the
//! bytes are known, looks at the picture, renders it, and asks for a second opinion where one is
//! needed.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use imaging::ImageError;

use super::Screening;
use super::decode_memory::Room;
use super::inspector::RulesNow;
use super::judged::Judged;
use super::pixels::{Job, Outcome, Rendered, reason_of};
use crate::db::Claimed;
use crate::domain::verdict::{Reason, Review, Verdict};
use crate::runtime::compute;

/// How many times the size of the image for a second opinion is held in memory: the image, and the
/// request made of it in base64, with what is left over while that grows.
const COPIES_OF_SHOWN: usize = 4;

/// The outcome of an attempt before anything is stored.
pub(super) struct Screened {
    pub(super) judged: Judged,
    /// Whether the picture was looked at in this attempt. Otherwise the same bytes were known.
    pub(super) looked: bool,
    /// The room in the memory that the encoded files take until they are stored or dropped.
    pub(super) memory: Option<Room>,
}

impl Screened {
    fn without_a_look(judged: Judged) -> Self {
        Self {
            judged,
            looked: false,
            memory: None,
        }
    }

    pub(super) fn refused(reason: Reason) -> Self {
        Self::without_a_look(Judged::Refused(reason))
    }
}

impl Screening {
    /// Looks at the picture and renders it, within the memory that all pictures share. The same
    /// bytes under the same rules are not looked at again. `worked` is set to the time that was
    /// spent on it.
    pub(super) async fn screen(
        &self,
        claimed: &Claimed,
        worked: &mut Duration,
    ) -> anyhow::Result<Screened> {
        let received = &claimed.received;
        let (collection, inspector) = (&self.collection, &self.inspector);
        let path = collection.incoming.path(&received.id);
        let header = inspector.inspect(path.clone()).await?;
        let RulesNow {
            in_force: rules,
            local_alone,
        } = header.rules?;
        let hash = &received.content_hash;
        let known = collection.known_verdict(hash, &rules).await?;
        let review = match &known {
            Some(_) => None,
            None => collection.db.find_review(hash, &rules).await?,
        };
        let approval = match (known, &review) {
            (Some(Verdict::Rejected(reason)), _) => return Ok(Screened::refused(reason)),
            (Some(Verdict::Approved { tags, alt }), _) => Some((tags, alt)),
            // It was decided before a crash, or before there was no room.
            (None, Some(Review::Judged(Verdict::Rejected(reason)))) => {
                let judged = Judged::Rejected(*reason, rules);
                return Ok(Screened::without_a_look(judged));
            }
            (None, Some(Review::Judged(Verdict::Approved { tags, alt }))) => {
                Some((tags.clone(), alt.clone()))
            }
            (None, Some(review)) => {
                if let Some(judged) = self.second_opinions.foresee(received, review).await? {
                    return Ok(Screened::without_a_look(judged));
                }
                None
            }
            (None, None) => None,
        };
        let inspected = match header.inspected {
            Ok(inspected) => inspected,
            // Without its file the picture can never be decided. But a whole folder that is missing
            // may come back.
            Err(ImageError::Io(error)) if error.kind() == ErrorKind::NotFound => {
                tokio::fs::metadata(collection.incoming.folder())
                    .await
                    .map_err(ImageError::Io)?;
                tracing::error!(picture = %received.id, "an upload's file is missing");
                return Ok(Screened::refused(Reason::Corrupt));
            }
            Err(error) => {
                let reason = reason_of(&error).ok_or(error)?;
                return Ok(Screened::refused(reason));
            }
        };
        let memory = self
            .memory
            .wait_for(inspected.working_bytes, claimed.cut_off)
            .await?;
        let Some(memory) = memory else {
            tracing::error!(picture = %received.id, "refused a picture with which the process ended again and again");
            return Ok(Screened::refused(Reason::TooManyPixels));
        };
        let looked = Arc::new(AtomicBool::new(false));
        let job = Job {
            path,
            inspected,
            limits: inspector.limits.clone(),
            screener: inspector.screener.clone(),
            policy: inspector.policy,
            looks_locally: inspector.looks_locally,
            bans: collection.db.list_bans().await?.into(),
            approval,
            looked: looked.clone(),
            timeout: self.limits.picture_timeout,
        };
        let give_up = job.timeout + self.limits.give_up_after;
        let work = compute::run(move || {
            let done = job.run();
            // The thread holds the memory until here, and may outlive this call. What was encoded
            // is still held afterwards.
            let kept = memory.keep(done.as_ref().map_or(0, encoded_bytes));
            (done, kept)
        });
        let begun = collection.clock.elapsed();
        let done = tokio::time::timeout(give_up, work).await;
        *worked = collection.clock.elapsed().saturating_sub(begun);
        let looked = looked.load(Ordering::Relaxed);
        if looked {
            collection.db.note_looked(received).await?;
        }
        let Ok(done) = done else {
            tracing::error!(picture = %received.id, "gave up a picture that a decoder does not let go of");
            return Ok(Screened::refused(Reason::TooManyPixels));
        };
        let (outcome, memory) = done?;
        let (judged, looked) = match outcome? {
            Outcome::Unsure(unsure) => {
                collection.db.note_looked(received).await?;
                let from = review.unwrap_or(Review::Asked);
                let judged = self
                    .second_opinions
                    .review(received, unsure, &from, rules, local_alone)
                    .await?;
                (judged, true)
            }
            Outcome::Approved(rendered) => (Judged::Approved(rendered, rules), looked),
            Outcome::Rejected(reason) => (Judged::Rejected(reason, rules), looked),
        };
        Ok(Screened {
            judged,
            looked,
            memory: Some(memory),
        })
    }
}

/// The bytes of what was encoded, which are held until it is stored or dropped.
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
