//! What can be wrong with a picture. There is one case for each that callers treat differently.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// Why a picture was refused. Each case names its HTTP status in the public table of errors.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// 415: the file is no JPEG, PNG, WebP or GIF, or a rare kind of these that is not supported.
    #[error("this is {found}; send JPEG, PNG, WebP or GIF{}", .advice.map(|text| format!(". {text}")).unwrap_or_default())]
    Unsupported {
        /// What the first bytes say it is, with its article: "a PDF document".
        found: &'static str,
        /// What the sender can do about it, as one sentence.
        advice: Option<&'static str>,
    },
    /// 422: the file holds no bytes.
    #[error("the file is empty")]
    Empty,
    /// 422: the file is broken or cut off.
    #[error("the picture is broken or incomplete")]
    Corrupt {
        /// A description for the log, not for the public.
        detail: String,
    },
    /// 422: a side is shorter than [`super::MIN_SIDE`], either now or after shrinking the picture
    /// to fit.
    #[error("{width} x {height} pixels are too few to show")]
    TooSmall {
        /// Width of the upright picture, in pixels.
        width: u32,
        /// Height of the upright picture, in pixels.
        height: u32,
    },
    /// 413: the picture exceeds [`super::Limits::max_pixels`] or
    /// [`super::Limits::max_animation_pixels`], or decoding it does not fit in
    /// [`super::Limits::memory_bytes`].
    #[error("{width} x {height} pixels are too many for this kind of picture")]
    TooManyPixels {
        /// Width of the upright picture, in pixels.
        width: u32,
        /// Height of the upright picture, in pixels.
        height: u32,
    },
    /// 413: its files would be too large for its pixels even at the lowest quality. Only something
    /// like noise is.
    #[error("the picture has more fine detail than can be stored; please make it smaller")]
    TooManyBytes,
    /// 413: the animation exceeds [`super::Limits::max_frames`].
    #[error("the animation has more than {limit} frames")]
    TooManyFrames {
        /// The most frames that are accepted.
        limit: u32,
    },
    /// 408: the caller's deadline passed.
    #[error("the picture took too long to process")]
    TimedOut,
    /// 500: the file could not be read.
    #[error("the picture could not be read")]
    Io(#[source] io::Error),
    /// 500: an encoder refused pixels that we made.
    #[error("the picture could not be encoded")]
    Encode {
        /// A description for the log, not for the public.
        detail: String,
    },
}

impl ImageError {
    /// Makes an [`ImageError::Corrupt`] with this detail.
    pub(super) fn corrupt(detail: impl Into<String>) -> Self {
        Self::Corrupt {
            detail: detail.into(),
        }
    }

    /// Makes an [`ImageError::Encode`] with the encoder's own message.
    pub(super) fn encode(error: impl ToString) -> Self {
        Self::Encode {
            detail: error.to_string(),
        }
    }
}

impl From<io::Error> for ImageError {
    /// A file that ends too soon is the picture's fault, a timeout comes from the deadline, and
    /// anything else is a fault of the disk.
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

/// Runs `work`. A panic in it, such as a bug of a decoder that a strange file triggers, becomes
/// [`ImageError::Corrupt`].
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, ImageError>) -> Result<T, ImageError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panicked(panic.as_ref())))
}

/// The error for a caught panic, with the panic's message as its detail.
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
