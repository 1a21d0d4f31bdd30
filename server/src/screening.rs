//! Looking at frames: what the models see, without judging it (`domain::policy` judges); and asking Amazon Rekognition, which
//! is paid, about what they did not decide.

mod local;
mod rekognition;
pub mod vision;

pub use self::local::{LocalScreener, squares_of};
pub use self::rekognition::{Found, RekognitionClient, RekognitionError, RekognitionOptions};
use crate::domain::verdict::FrameLook;
use imaging::Raster;

/// Screening could not be done; the picture waits, unpublished.
#[derive(Debug, thiserror::Error)]
#[error("screening is unavailable")]
pub struct ScreeningError(#[from] pub anyhow::Error);

/// Something that can look at a frame. Blocking: call it off the async threads.
pub trait Screener: Send + Sync + 'static {
    /// Looks at one frame. Every frame that may be published MUST be shown; `with_labels` asks also what is in it.
    fn look(&self, frame: &Raster, with_labels: bool) -> Result<FrameLook, ScreeningError>;

    /// What decides how it sees, such as the hash of its models: a verdict is remembered under it.
    fn identity(&self) -> Result<String, ScreeningError>;

    /// Succeeds when frames can be looked at.
    fn check(&self) -> Result<(), ScreeningError>;
}
