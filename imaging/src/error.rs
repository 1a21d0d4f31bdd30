//! What can be wrong with a picture, as few cases as callers tell apart.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// Why a picture was refused. The status named is the one of the public error table.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// 415: not JPEG, PNG, WebP or GIF, or a kind of them that nobody makes any more.
    #[error("this is {found}; send JPEG, PNG, WebP or GIF{}", .advice.map(|text| format!(". {text}")).unwrap_or_default())]
    Unsupported {
        /// What the first bytes say it is, with its article: "a PDF document".
        found: &'static str,
        /// What the sender can do about it, one sentence.
        advice: Option<&'static str>,
    },
    /// 422: no bytes at all.
    #[error("the file is empty")]
    Empty,
    /// 422: broken or cut off.
    #[error("the picture is broken or incomplete")]
    Corrupt {
        /// For the log, not for the public.
        detail: String,
    },
    /// 422: a side is under [`super::MIN_SIDE`], now or once the picture is shrunk to fit.
    #[error("{width} x {height} pixels are too few to show")]
    TooSmall {
        /// Width of the upright picture, in pixels.
        width: u32,
        /// Height of the upright picture, in pixels.
        height: u32,
    },
    /// 413: over [`super::Limits::max_pixels`] or [`super::Limits::max_animation_pixels`], or its decoding does not fit in [`super::Limits::memory_bytes`].
    #[error("{width} x {height} pixels are too many for this kind of picture")]
    TooManyPixels {
        /// Width of the upright picture, in pixels.
        width: u32,
        /// Height of the upright picture, in pixels.
        height: u32,
    },
    /// 413: its files would be too large for its pixels even with the least quality. Noise is, if anything.
    #[error("the picture has more fine detail than can be stored; please make it smaller")]
    TooManyBytes,
    /// 413: over [`super::Limits::max_frames`].
    #[error("the animation has more than {limit} frames")]
    TooManyFrames {
        /// The most that is taken.
        limit: u32,
    },
    /// 408: the caller's deadline passed.
    #[error("the picture took too long to process")]
    TimedOut,
    /// 500: the file could not be read.
    #[error("the picture could not be read")]
    Io(#[source] io::Error),
    /// 500: an encoder refused pixels of ours.
    #[error("the picture could not be encoded")]
    Encode {
        /// For the log, not for the public.
        detail: String,
    },
}

impl ImageError {
    /// [`ImageError::Corrupt`] with its detail.
    pub(super) fn corrupt(detail: impl Into<String>) -> Self {
        Self::Corrupt {
            detail: detail.into(),
        }
    }

    /// [`ImageError::Encode`] with the encoder's own words.
    pub(super) fn encode(error: impl ToString) -> Self {
        Self::Encode {
            detail: error.to_string(),
        }
    }
}

impl From<io::Error> for ImageError {
    /// A file that ends too soon is the picture's fault; a deadline is the clock's; the rest is the disk's.
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

/// Runs `work`; a panic in it (a decoder's bug met by a strange file) becomes [`ImageError::Corrupt`].
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, ImageError>) -> Result<T, ImageError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panicked(panic.as_ref())))
}

/// The error for a caught panic, with its message as detail.
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
