//! Why a picture has no verdict yet although a worker took it up, and how long it rests before the next one does.

use std::time::Duration;

use imaging::ImageError;

use crate::db::{Blame, DbError};
use crate::runtime::compute::ComputeError;
use crate::screening::ScreeningError;
use crate::storage::StorageError;

/// How long a picture rests when screening or storage is unavailable, seconds.
const RETRY_SECONDS: i64 = 5;
/// How long a picture rests for which there is no room, seconds: room comes as others end.
const RETRY_FULL_SECONDS: i64 = 60;

/// What keeps a picture from its verdict, and is not its own fault.
#[derive(Debug, thiserror::Error)]
pub(super) enum Delay {
    /// There is no room for the picture's files.
    #[error("the store is full (CATTO_MAX_STORED_BYTES)")]
    Full,
    /// The memory that all pictures share stayed taken.
    #[error("no memory became free in time")]
    NoMemory,
    /// It waits for somebody else: for an outage to end, or for a month. The log has told of it, once for all pictures.
    #[error("{why}; it waits for {} s", .rest.as_secs())]
    SecondOpinion { why: String, rest: Duration },
    /// Budget or index failed before or after a paid call.
    #[error("a second opinion could not be had")]
    Unpaid(#[source] anyhow::Error),
}

/// True where the log must tell that this picture waits.
pub(super) fn is_news(error: &anyhow::Error) -> bool {
    !matches!(error.downcast_ref(), Some(Delay::SecondOpinion { .. }))
}

/// Whose fault the failure of an attempt is. What is not an outage and comes again and again is the picture's.
pub(super) fn blame(error: &anyhow::Error) -> Blame {
    let is_outage = error.is::<Delay>()
        || error.is::<ScreeningError>()
        || error.is::<StorageError>()
        || error.is::<DbError>()
        || matches!(error.downcast_ref(), Some(ComputeError::NoThread(_)))
        || matches!(error.downcast_ref(), Some(ImageError::Io(_)));
    if is_outage {
        Blame::Outage
    } else {
        Blame::Picture
    }
}

/// How long a picture rests after an attempt that failed so, seconds.
pub(super) fn rest_seconds(error: &anyhow::Error) -> i64 {
    match error.downcast_ref() {
        Some(Delay::SecondOpinion { rest, .. }) => {
            i64::try_from(rest.as_secs()).unwrap_or(i64::MAX).max(1)
        }
        Some(Delay::Full) => RETRY_FULL_SECONDS,
        _ => RETRY_SECONDS,
    }
}
