//! What can be wrong with a picture. There are only as many cases as callers tell apart.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// Why a picture could not be taken. The messages are shown to the person who sent it, except those
/// of [`ImageError::Io`] and [`ImageError::Encode`]. Each case names the HTTP status by which it is
/// answered.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// 415: the file is not JPEG, PNG, WebP or GIF, or is a kind of these that hardly any program
    /// makes.
    #[error("this is {found}, which we cannot read. {}", .advice.unwrap_or("Please send a JPEG, PNG, WebP or GIF instead."))]
    Unsupported {
        /// What the file is, by its first bytes, with an article: "a PDF document".
        found: &'static str,
        /// What the sender can do about it, in one sentence.
        advice: Option<&'static str>,
    },
    /// 422: the file has no bytes.
    #[error("the file is empty; please choose another one")]
    Empty,
    /// 422: the file is broken or cut off.
    #[error("the picture is broken or incomplete; please save or export it again")]
    Corrupt {
        /// What is wrong, for the log only.
        detail: String,
    },
    /// 422: a side has fewer pixels than [`super::MIN_SIDE`], or would have once the picture is
    /// shrunk to the largest size that is stored.
    #[error(
        "a picture of {width} × {height} pixels is too small or too narrow to see a cat in it; please choose a larger one"
    )]
    TooSmall {
        /// The width of the picture in pixels, once it is upright.
        width: u32,
        /// The height of the picture in pixels, once it is upright.
        height: u32,
    },
    /// 413: the picture has more pixels than [`super::Limits::max_pixels`] or
    /// [`super::Limits::max_animation_pixels`], or decoding it takes more memory than
    /// [`super::Limits::memory_bytes`].
    #[error(
        "a picture of {width} × {height} pixels is too large for its kind; please make it smaller{remedy}"
    )]
    TooManyPixels {
        /// The width of the picture in pixels, once it is upright.
        width: u32,
        /// The height of the picture in pixels, once it is upright.
        height: u32,
        /// What else the sender can do, as the end of a sentence; often empty.
        remedy: &'static str,
    },
    /// 413: even with the lowest quality, its files would have too many bytes for its pixels.
    /// Pictures of pure noise are such.
    #[error("the picture has more fine detail than can be stored; please make it smaller")]
    TooManyBytes,
    /// 413: the animation has more frames than [`super::Limits::max_frames`].
    #[error("the animation has more than {limit} frames; please make it shorter")]
    TooManyFrames {
        /// The most frames that are taken.
        limit: u32,
    },
    /// 413: the work on the picture did not end before the caller's deadline.
    #[error("the picture took too long to process; please make it smaller")]
    TimedOut,
    /// 503: the disk could not be read.
    #[error("the picture could not be read")]
    Io(#[source] io::Error),
    /// 503: an encoder refused pixels that we had decoded.
    #[error("the picture could not be encoded")]
    Encode {
        /// What is wrong, for the log only.
        detail: String,
    },
}

impl ImageError {
    /// An [`ImageError::Corrupt`] with this detail.
    pub(super) fn corrupt(detail: impl Into<String>) -> Self {
        Self::Corrupt {
            detail: detail.into(),
        }
    }

    /// An [`ImageError::Encode`] with what the encoder said.
    pub(super) fn encode(error: impl ToString) -> Self {
        Self::Encode {
            detail: error.to_string(),
        }
    }
}

impl From<io::Error> for ImageError {
    /// Tells whose fault an error in reading is: a file that ends too soon or makes no sense is a
    /// broken picture, an error that says “timed out” is a passed deadline, and anything else is a
    /// fault of the disk.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::InvalidData
            | io::ErrorKind::InvalidInput => Self::corrupt(error.to_string()),
            io::ErrorKind::TimedOut => Self::TimedOut,
            _ => Self::Io(error),
        }
    }
}

/// Fails with [`ImageError::TimedOut`] once `deadline` has passed.
pub(super) fn check_deadline(deadline: Instant) -> Result<(), ImageError> {
    if Instant::now() < deadline {
        Ok(())
    } else {
        Err(ImageError::TimedOut)
    }
}

/// Runs `work` and makes a panic in it an [`ImageError::Corrupt`]: a strange file may meet a bug in
/// a decoder.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, ImageError>) -> Result<T, ImageError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panicked(panic.as_ref())))
}

/// The error for a panic that was caught, with the message of the panic as its detail.
pub(super) fn panicked(panic: &(dyn Any + Send)) -> ImageError {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("unknown");
    ImageError::corrupt(format!("a decoder panicked: {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_corrupt() {
        let result: Result<(), _> = guarded(|| panic!("index out of bounds"));
        assert!(
            matches!(result, Err(ImageError::Corrupt { detail }) if detail.contains("index out of bounds"))
        );
    }

    #[test]
    fn a_passed_deadline_is_timed_out() {
        assert!(matches!(
            check_deadline(Instant::now()),
            Err(ImageError::TimedOut)
        ));
    }
}
