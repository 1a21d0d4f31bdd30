//! The blocking middle of a picture's life: decode, look, render.
//!
//! What is screened is what is rendered: every frame is shown to the screener before it is encoded,
//! and the encoders see no other pixels than the screener did. The image for a second opinion is
//! made from those pixels as well. Everything is rendered before the second opinion is asked for,
//! so no picture holds the memory for decoding while somebody else decides.

use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::domain::ban::Ban;
use crate::domain::draw;
use crate::domain::policy::{Policy, Triage};
use crate::domain::tag::Tag;
use crate::domain::variant::{Format, OF_ANIMATIONS, OF_STILLS, PUBLISHED, VariantName};
use crate::domain::verdict::{self, FrameLook, Reason, Seen, Verdict};
use crate::screening::{Screener, squares_of};
use imaging::{
    self, Aim, AnimationEncoder, ContactSheet, Encoding, ImageError, Inspected, Limits, Output,
    Pushed, Raster, ScreeningImage, Subject,
};

/// Strips of this ratio of the sides or longer are refused, because nobody sees a cat in them.
const LONGEST_STRIP: u32 = 40;

/// The most looks that one picture is worth: every frame's decency, and a search for a cat in those
/// that are drawn, in each square of a long picture. Of one processor, a look at decency takes some
/// 35 ms and a search up to 90 ms, so this is 35 s at most: half of the looks are searches then.
const MAX_LOOKS: usize = 560;

/// The outcome of looking at a picture.
pub(super) enum Outcome {
    Rejected(Reason),
    Approved(Box<Rendered>),
    /// Somebody else must be asked.
    Unsure(Unsure),
}

/// A picture that the local look did not decide.
pub(super) struct Unsure {
    /// The rendered picture, without tags and description.
    pub(super) rendered: Box<Rendered>,
    /// The image of it that is shown for the second opinion.
    pub(super) image: ScreeningImage,
    /// The verdict of the local models alone, where they looked.
    pub(super) local: Option<Verdict>,
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

/// What may be made of a new picture: one output for each published name.
#[must_use]
pub fn outputs() -> Vec<Output> {
    made()
        .map(|(name, subject)| output(name, subject))
        .collect()
}

/// The name of every file that may be made of a new picture, and of which pictures it is made.
fn made() -> impl Iterator<Item = (VariantName, Subject)> {
    let lists = [
        (PUBLISHED, Subject::All),
        (OF_STILLS, Subject::Stills),
        (OF_ANIMATIONS, Subject::Animations),
    ];
    let each = |(names, subject): (&'static [VariantName], Subject)| {
        names.iter().map(move |name| (*name, subject))
    };
    lists.into_iter().flat_map(each)
}

/// How the file of this name is made.
fn output(name: VariantName, subject: Subject) -> Output {
    Output {
        encoding: match name.format() {
            Format::Webp => Encoding::WebP,
            Format::Avif => Encoding::Avif,
            Format::Jpeg => Encoding::Jpeg,
        },
        most_width: name.width(),
        subject,
    }
}

/// The name of the file that is this output.
fn name_of(wanted: Output) -> Result<VariantName, ImageError> {
    made()
        .find(|(name, subject)| output(*name, *subject) == wanted)
        .map(|(name, _)| name)
        .ok_or_else(|| ImageError::Encode {
            detail: format!("{wanted:?} has no name"),
        })
}

/// One picture that is to be looked at and rendered.
pub(super) struct Job {
    pub(super) path: PathBuf,
    pub(super) inspected: Inspected,
    pub(super) limits: Limits,
    pub(super) screener: Arc<dyn Screener>,
    pub(super) policy: Policy,
    /// Whether the screener sees the picture.
    pub(super) looks_locally: bool,
    pub(super) bans: Arc<[Ban]>,
    /// The tags and the description of an earlier approval of the same bytes under the same rules.
    pub(super) approval: Option<(Vec<Tag>, String)>,
    /// Becomes true once the screener has seen any of it.
    pub(super) looked: Arc<AtomicBool>,
    /// How long it may take.
    pub(super) timeout: Duration,
}

/// Why a picture of this shape is refused whatever it shows: it is too narrow to see a cat in it,
/// or would take too many looks.
pub(crate) fn refusal_by_shape(inspected: &Inspected) -> Option<Reason> {
    let (long, short) = (
        inspected.width.max(inspected.height),
        inspected.width.min(inspected.height),
    );
    if long / short.max(1) >= LONGEST_STRIP {
        return Some(Reason::TooSmall);
    }
    let frames = inspected.kept_frames() as usize;
    let looks = (frames + draw::most_drawn(frames)) * squares_of(inspected.width, inspected.height);
    (looks > MAX_LOOKS).then_some(Reason::TooManyPixels)
}

impl Job {
    /// Decodes, screens and renders. This blocks.
    ///
    /// # Errors
    /// When screening or reading is unavailable. Everything that is wrong with the picture itself
    /// is an [`Outcome`].
    pub(super) fn run(&self) -> anyhow::Result<Outcome> {
        if let Some(reason) = refusal_by_shape(&self.inspected) {
            return Ok(Outcome::Rejected(reason));
        }
        let deadline = Instant::now() + self.timeout;
        let done = if self.inspected.animated {
            self.animation(deadline)
        } else {
            self.still(deadline)
        };
        match done {
            Ok(outcome) => Ok(outcome),
            Err(Failure::Image(error)) => match reason_of(&error) {
                Some(reason) => Ok(Outcome::Rejected(reason)),
                None => Err(error.into()),
            },
            Err(Failure::Unavailable(error)) => Err(error),
        }
    }

    fn still(&self, deadline: Instant) -> Result<Outcome, Failure> {
        let raster = imaging::decode_still(&self.path, &self.inspected, deadline)?;
        if self.is_banned(&raster)? {
            return Ok(Outcome::Rejected(Reason::Banned));
        }
        let (seen, aim) = self.look_and_aim(&raster, deadline)?;
        let next = match self.decide(&seen, || imaging::screening_image(&raster))? {
            Err(reason) => return Ok(Outcome::Rejected(reason)),
            Ok(next) => next,
        };
        let files = imaging::encode_variants(&raster, &self.inspected.outputs, aim?, deadline)?;
        self.outcome(&raster, files, next)
    }

    /// What the screener sees in a still, and how well its files are to be encoded. The models work
    /// on one thread, so a second one finds out the other meanwhile.
    fn look_and_aim(
        &self,
        raster: &Raster,
        deadline: Instant,
    ) -> Result<(Vec<Seen>, Result<Aim, ImageError>), Failure> {
        if !self.is_seen() {
            return Ok((Vec::new(), Aim::at(raster, deadline)));
        }
        let (look, aim) = std::thread::scope(|scope| {
            let aim = scope.spawn(|| Aim::at(raster, deadline));
            let look = self.look(raster, true);
            let aim = aim.join().unwrap_or_else(|panic| resume_unwind(panic));
            (look, aim)
        });
        Ok((vec![Seen::whole(look?)], aim))
    }

    /// True where the screener is shown this picture.
    fn is_seen(&self) -> bool {
        self.looks_locally && self.approval.is_none()
    }

    /// Decides about a picture by what was seen of it. The image for a second opinion is made only
    /// where one is needed.
    fn decide(
        &self,
        seen: &[Seen],
        image: impl FnOnce() -> Result<ScreeningImage, ImageError>,
    ) -> Result<Result<Next, Reason>, ImageError> {
        if let Some((tags, alt)) = self.approval.clone() {
            return Ok(Ok(Next::Publish { tags, alt }));
        }
        Ok(match self.policy.triage(seen) {
            Triage::Refuse(reason) => Err(reason),
            Triage::Approve { tags, alt } => Ok(Next::Publish { tags, alt }),
            Triage::Ask => Ok(Next::Ask {
                image: image()?,
                local: self
                    .is_seen()
                    .then(|| verdict::judge(seen, &self.policy.thresholds)),
            }),
        })
    }

    fn animation(&self, deadline: Instant) -> Result<Outcome, Failure> {
        let kept = self.kept_frames();
        let durations_ms = self.inspected.kept_durations_ms();
        // The draw is random, so that nobody can put cats only where they will be looked for.
        let weights = draw::weights(&durations_ms, &rand::random());
        let mut seen: Vec<Seen> = Vec::with_capacity(kept);
        let mut encoder: Option<AnimationEncoder> = None;
        let mut sheet: Option<ContactSheet> = None;
        let mut first = None;
        let frames = imaging::frames(&self.path, &self.inspected, &self.limits, deadline)?;
        for (frame, weight) in frames.zip(weights) {
            let frame = frame?;
            if first.is_none() && self.is_banned(&frame.raster)? {
                return Ok(Outcome::Rejected(Reason::Banned));
            }
            let (width, height) = (frame.raster.width, frame.raster.height);
            if self.is_seen() {
                let look = self.look(&frame.raster, weight.is_drawn())?;
                let condemned = self.policy.condemns(&look);
                seen.push(Seen { look, weight });
                if condemned {
                    return Ok(Outcome::Rejected(Reason::Indecent));
                }
            }
            let pushed = encoder
                .get_or_insert_with(|| {
                    let outputs = &self.inspected.outputs;
                    AnimationEncoder::new(kept as u32, width, height, outputs)
                        .playing(self.inspected.plays)
                })
                .push(&frame.raster, frame.duration_ms)?;
            match pushed {
                Pushed::Kept if self.policy.asks() && self.approval.is_none() => {
                    sheet
                        .get_or_insert_with(|| ContactSheet::new(kept as u32, width, height))
                        .push(&frame.raster)?;
                }
                Pushed::Kept => {}
                Pushed::Dropped => {
                    if let Some(last) = seen.last_mut() {
                        last.drop_frame();
                    }
                }
            }
            first.get_or_insert(frame.raster);
        }
        let (Some(encoder), Some(first)) = (encoder, first) else {
            return Ok(Outcome::Rejected(Reason::Corrupt));
        };
        let image = || match sheet {
            Some(sheet) => sheet.finish(),
            None => imaging::screening_image(&first),
        };
        let next = match self.decide(&seen, image)? {
            Err(reason) => return Ok(Outcome::Rejected(reason)),
            Ok(next) => next,
        };
        let files = encoder.finish()?;
        self.outcome(&first, files, next)
    }

    fn kept_frames(&self) -> usize {
        self.inspected.kept_frames() as usize
    }

    fn is_banned(&self, raster: &Raster) -> Result<bool, ImageError> {
        let hash = imaging::perceptual_hash(raster)?;
        Ok(self.bans.iter().any(|ban| ban.covers(hash)))
    }

    fn look(&self, raster: &Raster, with_sight: bool) -> Result<FrameLook, Failure> {
        let look = self
            .screener
            .look(raster, with_sight)
            .map_err(|error| Failure::Unavailable(error.into()))?;
        self.looked.store(true, Ordering::Relaxed);
        Ok(look)
    }

    fn outcome(
        &self,
        first: &Raster,
        files: Vec<imaging::Variant>,
        next: Next,
    ) -> Result<Outcome, Failure> {
        let mut rendered = Box::new(self.rendered(first, files)?);
        Ok(match next {
            Next::Publish { tags, alt } => {
                rendered.tags = tags;
                rendered.alt = alt;
                Outcome::Approved(rendered)
            }
            Next::Ask { image, local } => Outcome::Unsure(Unsure {
                rendered,
                image,
                local,
            }),
        })
    }

    fn rendered(
        &self,
        first: &Raster,
        files: Vec<imaging::Variant>,
    ) -> Result<Rendered, ImageError> {
        let thumbhash = imaging::thumbhash(first)?;
        // The files are in the order of the outputs that were asked for.
        let outputs = self.inspected.outputs.iter();
        let files = outputs.zip(files).map(|(output, file)| {
            Ok(File {
                name: name_of(*output)?,
                width: file.width,
                height: file.height,
                bytes: file.bytes,
            })
        });
        let files = files.collect::<Result<_, ImageError>>()?;
        Ok(Rendered {
            width: self.inspected.width,
            height: self.inspected.height,
            animated: self.inspected.animated,
            tags: Vec::new(),
            alt: String::new(),
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
        })
    }
}

/// What is to be done with a picture that is not refused.
enum Next {
    Publish {
        tags: Vec<Tag>,
        alt: String,
    },
    Ask {
        image: ScreeningImage,
        local: Option<Verdict>,
    },
}

/// The reason for which a picture with this error is refused; `None` where the disk or an encoder
/// failed, which is not the picture's fault.
#[must_use]
pub(crate) fn reason_of(error: &ImageError) -> Option<Reason> {
    Some(match error {
        ImageError::Unsupported { .. } => Reason::Unsupported,
        ImageError::TooManyPixels { .. }
        | ImageError::TooManyBytes
        | ImageError::TooManyFrames { .. }
        | ImageError::TimedOut => Reason::TooManyPixels,
        ImageError::TooSmall { .. } => Reason::TooSmall,
        ImageError::Corrupt { .. } | ImageError::Empty => Reason::Corrupt,
        ImageError::Io(_) | ImageError::Encode { .. } => return None,
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
