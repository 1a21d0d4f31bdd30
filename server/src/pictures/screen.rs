//! The blocking middle of a picture's life: decode, look, render.
//! What is screened is what is rendered: every frame is shown to the screener before it is encoded, and the encoders see
//! no other pixels than the screener did.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::domain::ban::Ban;
use crate::domain::picture::{Tag, VariantName};
use crate::domain::verdict::{self, FrameLook, Reason, Thresholds, Verdict};
use crate::imaging::{self, AnimationEncoder, ImageError, Inspected, Limits, Raster};
use crate::screening::{Screener, squares_of};

/// Labels are asked of at most this many frames of an animation, evenly spaced; decency of every one.
const LABELLED_FRAMES: usize = 8;

/// Longer strips than this, as a ratio of the sides, are refused: nobody sees a cat in them.
const LONGEST_STRIP: u32 = 40;

/// The most single looks that one picture is worth. A look takes about 30 ms of one processor.
const MAX_LOOKS: usize = 400;

/// What came of looking at a picture.
pub(super) enum Outcome {
    Rejected(Reason),
    Approved(Box<Rendered>),
}

/// Everything that is published of a picture.
pub(super) struct Rendered {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) animated: bool,
    pub(super) tags: Vec<Tag>,
    pub(super) alt: String,
    pub(super) thumbhash: Vec<u8>,
    pub(super) placeholder: String,
    pub(super) perceptual_hash: u64,
    pub(super) stripped: Vec<String>,
    pub(super) files: Vec<File>,
}

/// One variant, encoded.
pub(super) struct File {
    pub(super) name: VariantName,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) bytes: Bytes,
}

/// One picture to be looked at and rendered.
pub(super) struct Job {
    pub(super) path: PathBuf,
    pub(super) inspected: Inspected,
    pub(super) limits: Limits,
    pub(super) screener: Arc<dyn Screener>,
    pub(super) thresholds: Thresholds,
    pub(super) bans: Arc<[Ban]>,
    /// The tags and words of an earlier approval of the same bytes under the same rules.
    pub(super) approval: Option<(Vec<Tag>, String)>,
    /// How long it may take.
    pub(super) timeout: Duration,
}

impl Job {
    /// Decodes, screens and renders. Blocking.
    ///
    /// # Errors
    /// When screening or reading is unavailable; everything that is wrong with the picture itself is an [`Outcome`].
    pub(super) fn run(&self) -> anyhow::Result<Outcome> {
        let inspected = &self.inspected;
        let (long, short) = (
            inspected.width.max(inspected.height),
            inspected.width.min(inspected.height),
        );
        if long / short.max(1) >= LONGEST_STRIP {
            return Ok(Outcome::Rejected(Reason::TooSmall));
        }
        let frames = self.kept_frames();
        let looks =
            (frames + frames.min(LABELLED_FRAMES)) * squares_of(inspected.width, inspected.height);
        if looks > MAX_LOOKS {
            return Ok(Outcome::Rejected(Reason::TooManyPixels));
        }
        let deadline = Instant::now() + self.timeout;
        let done = if inspected.animated {
            self.animation(deadline)
        } else {
            self.still(deadline)
        };
        match done {
            Ok(outcome) => Ok(outcome),
            Err(Failure::Image(error)) => rejection_of(error).map(Outcome::Rejected),
            Err(Failure::Unavailable(error)) => Err(error),
        }
    }

    fn still(&self, deadline: Instant) -> Result<Outcome, Failure> {
        let raster = imaging::decode_still(&self.path, &self.inspected, deadline)?;
        if self.is_banned(&raster)? {
            return Ok(Outcome::Rejected(Reason::Banned));
        }
        let (tags, alt) = match &self.approval {
            Some(approval) => approval.clone(),
            None => match verdict::judge(&[self.look(&raster, true)?], &self.thresholds) {
                Verdict::Rejected(reason) => return Ok(Outcome::Rejected(reason)),
                Verdict::Approved { tags, alt } => (tags, alt),
            },
        };
        let files = imaging::encode_variants(&raster, deadline)?;
        self.rendered(&raster, tags, alt, files)
    }

    fn animation(&self, deadline: Instant) -> Result<Outcome, Failure> {
        let kept = self.kept_frames();
        let every = kept.div_ceil(LABELLED_FRAMES).max(1);
        let mut looks: Vec<FrameLook> = Vec::with_capacity(kept);
        let mut encoder: Option<AnimationEncoder> = None;
        let mut first = None;
        let frames = imaging::frames(&self.path, &self.inspected, &self.limits, deadline)?;
        for (index, frame) in frames.enumerate() {
            let frame = frame?;
            if index == 0 && self.is_banned(&frame.raster)? {
                return Ok(Outcome::Rejected(Reason::Banned));
            }
            if self.approval.is_none() {
                let look = self.look(&frame.raster, index % every == 0)?;
                let indecent = verdict::is_indecent(&look, &self.thresholds);
                looks.push(look);
                if indecent {
                    return Ok(Outcome::Rejected(Reason::Indecent));
                }
            }
            encoder
                .get_or_insert_with(|| {
                    AnimationEncoder::new(frame.raster.width, frame.raster.height)
                })
                .push(&frame.raster, frame.duration_ms)?;
            first.get_or_insert(frame.raster);
        }
        let (Some(encoder), Some(first)) = (encoder, first) else {
            return Ok(Outcome::Rejected(Reason::Corrupt));
        };
        let (tags, alt) = match &self.approval {
            Some(approval) => approval.clone(),
            None => match verdict::judge(&looks, &self.thresholds) {
                Verdict::Rejected(reason) => return Ok(Outcome::Rejected(reason)),
                Verdict::Approved { tags, alt } => (tags, alt),
            },
        };
        let files = encoder.finish()?;
        self.rendered(&first, tags, alt, files)
    }

    fn kept_frames(&self) -> usize {
        self.inspected.frames.min(imaging::MAX_KEPT_FRAMES) as usize
    }

    fn is_banned(&self, raster: &Raster) -> Result<bool, ImageError> {
        let hash = imaging::perceptual_hash(raster)?;
        Ok(self.bans.iter().any(|ban| ban.covers(hash)))
    }

    fn look(&self, raster: &Raster, with_labels: bool) -> Result<FrameLook, Failure> {
        self.screener
            .look(raster, with_labels)
            .map_err(|error| Failure::Unavailable(error.into()))
    }

    fn rendered(
        &self,
        first: &Raster,
        tags: Vec<Tag>,
        alt: String,
        files: Vec<imaging::Variant>,
    ) -> Result<Outcome, Failure> {
        let thumbhash = imaging::thumbhash(first)?;
        let files = files
            .into_iter()
            .map(|file| {
                let name = VariantName::parse(file.name).ok_or_else(|| ImageError::Encode {
                    detail: format!("no variant is called {}", file.name),
                })?;
                Ok(File {
                    name,
                    width: file.width,
                    height: file.height,
                    bytes: file.bytes,
                })
            })
            .collect::<Result<_, ImageError>>()?;
        Ok(Outcome::Approved(Box::new(Rendered {
            width: self.inspected.width,
            height: self.inspected.height,
            animated: self.inspected.animated,
            tags,
            alt,
            placeholder: imaging::placeholder_data_url(&thumbhash)?,
            thumbhash,
            perceptual_hash: imaging::perceptual_hash(first)?,
            stripped: self
                .inspected
                .stripped
                .iter()
                .map(|kind| (*kind).to_owned())
                .collect(),
            files,
        })))
    }
}

/// The verdict that a decoding error amounts to.
///
/// # Errors
/// When the error is the disk's and not the picture's.
pub(super) fn rejection_of(error: ImageError) -> anyhow::Result<Reason> {
    Ok(match error {
        ImageError::Unsupported { .. } => Reason::Unsupported,
        ImageError::TooManyPixels { .. }
        | ImageError::TooManyFrames { .. }
        | ImageError::TimedOut => Reason::TooManyPixels,
        ImageError::TooSmall { .. } => Reason::TooSmall,
        ImageError::Corrupt { .. } | ImageError::Empty => Reason::Corrupt,
        ImageError::Io(_) | ImageError::Encode { .. } => return Err(error.into()),
    })
}

enum Failure {
    Image(ImageError),
    Unavailable(anyhow::Error),
}

impl From<ImageError> for Failure {
    fn from(error: ImageError) -> Self {
        Self::Image(error)
    }
}
