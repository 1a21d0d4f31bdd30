//! Looks at frames and says what is in them, without deciding anything: `domain::policy` does that.
//!
//! The local models see every picture; somebody else, who is paid per call, is asked about what
//! they did not decide. Each such vendor has a folder of its own.

mod local;
pub mod rekognition;
mod second_opinion;
pub mod vision;

pub use self::local::{LocalScreener, squares_of};
pub use self::second_opinion::{SecondOpinion, SecondOpinionError, Trial, Vendor};
use crate::domain::verdict::FrameLook;
use imaging::Raster;

/// Screening could not be done. The picture stays unpublished and waits.
#[derive(Debug, thiserror::Error)]
#[error("screening is unavailable")]
pub struct ScreeningError(#[from] pub anyhow::Error);

/// Something that can look at a frame. Its calls block, so they do not belong on async threads.
pub trait Screener: Send + Sync + 'static {
    /// Looks at one frame. Every frame that may be published MUST be shown to it. With
    /// `with_sight` it also says what is in the frame.
    fn look(&self, frame: &Raster, with_sight: bool) -> Result<FrameLook, ScreeningError>;

    /// Names what decides how it sees, such as the hash of its models. A verdict is remembered
    /// under this name, so it changes whenever the same frame could be seen differently.
    fn identity(&self) -> Result<String, ScreeningError>;

    /// Succeeds when frames can be looked at.
    fn check(&self) -> Result<(), ScreeningError>;
}
