//! From every failure to the one answer a client gets: a stable code and a sentence, never internal text.
//! The statuses themselves are in `app::error::ErrorCode`.

use std::time::Duration;

use app::error::{ApiError, ErrorBody, ErrorCode};
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::db::DbError;
use crate::domain::verdict::Reason;
use crate::pictures::{DeleteError, UploadError};
use crate::storage::StorageError;
use imaging::ImageError;

/// When to search again where too many search: all that wait now are through by then.
const AFTER_SEARCHES: Duration = Duration::from_secs(3);

/// What an uploader is told whose picture cannot be paid for.
const BUDGET_SPENT: &str = "Looking at pictures costs money, and this month's is spent. Nothing was published; please try again when a new month has begun.";

/// What an uploader is told for whose picture there is no room.
const STORAGE_FULL: &str =
    "The picture store is full. Space frees itself as old pictures end; please try again later.";

/// When that will be, as people say it: no sooner, and not to the second.
fn in_words(wait: Duration) -> String {
    let minutes = wait.as_secs().div_ceil(60);
    match minutes {
        0 | 1 => "in a minute".to_owned(),
        2..=90 => format!("in {minutes} minutes"),
        _ => format!("in {} hours", minutes.div_ceil(60)),
    }
}

/// An answer that is an error. Handlers return it; the pages show it in words.
#[derive(Debug, Clone)]
pub(crate) struct Error(pub(crate) ApiError);

impl Error {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self(ApiError::new(code, message))
    }

    /// Says when to ask again, where that is known better than by the code alone.
    pub(crate) fn retry_after(mut self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.0.retry_after = u32::try_from(seconds.max(1)).ok();
        self
    }

    /// No picture has this id.
    pub(crate) fn not_found() -> Self {
        Self::new(ErrorCode::NotFound, "There is nothing at this address.")
    }

    /// The picture existed and is over.
    pub(crate) fn gone() -> Self {
        Self::new(
            ErrorCode::Gone,
            "This picture is gone. Pictures are deleted for good when their time is up.",
        )
    }

    /// Logs a failure of ours once, and tells the client only its code.
    fn unavailable(code: ErrorCode, message: &str, error: &dyn std::error::Error) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        tracing::error!(error = text, code = ?code, "a request failed");
        Self::new(code, message)
    }

    fn storage(error: &dyn std::error::Error) -> Self {
        Self::unavailable(
            ErrorCode::StorageUnavailable,
            "The picture store is not available. Nothing was lost; please try again in a moment.",
            error,
        )
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let code = self.0.code;
        let status =
            StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (
            status,
            Json(ErrorBody {
                error: self.0.clone(),
            }),
        )
            .into_response();
        if let Some(seconds) = self.0.retry_after() {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if code == ErrorCode::Unauthorized {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        // The page layer finds it here and says the same in words to a browser.
        response.extensions_mut().insert(self.0);
        response
    }
}

impl From<ApiError> for Error {
    fn from(error: ApiError) -> Self {
        Self(error)
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        error.0
    }
}

impl From<DbError> for Error {
    fn from(error: DbError) -> Self {
        if error.is_crowded() {
            return Self::new(
                ErrorCode::StorageUnavailable,
                "Many people are searching right now. Please try again in a few seconds.",
            )
            .retry_after(AFTER_SEARCHES);
        }
        Self::storage(&error)
    }
}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Self {
        Self::storage(&error)
    }
}

impl From<UploadError> for Error {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Empty => Self::new(ErrorCode::Malformed, "The upload is empty."),
            UploadError::TooLarge { max_bytes } => Self::new(
                ErrorCode::TooLarge,
                format!(
                    "The file is larger than {}, the most that is taken.",
                    bytesize::ByteSize(max_bytes).display().iec()
                ),
            ),
            UploadError::TooManyOfClient { wait } => Self::new(
                ErrorCode::TooManyRequests,
                format!(
                    "You have sent many pictures within an hour. The next may come {}.",
                    in_words(wait)
                ),
            )
            .retry_after(wait),
            UploadError::TooManyToday { wait } => Self::new(
                ErrorCode::TooManyRequests,
                format!(
                    "The site has taken all the pictures it can today. The next may come {}.",
                    in_words(wait)
                ),
            )
            .retry_after(wait),
            UploadError::PartOfDay { wait } => Self::new(
                ErrorCode::TooManyRequests,
                format!(
                    "You have sent many pictures today, and others want to as well. The next may come {}.",
                    in_words(wait)
                ),
            )
            .retry_after(wait),
            UploadError::PartOfStore { wait } => Self::new(
                ErrorCode::TooManyRequests,
                format!(
                    "Your pictures take all the space that one person may have here. The next may come {}.",
                    in_words(wait)
                ),
            )
            .retry_after(wait),
            UploadError::TooManyInVain { wait } => Self::new(
                ErrorCode::TooManyRequests,
                "Your last pictures were refused or are already here, and the site has had many like them today. Please wait a little before the next.",
            )
            .retry_after(wait),
            UploadError::BudgetSpent { wait } => {
                Self::new(ErrorCode::BudgetSpent, BUDGET_SPENT).retry_after(wait)
            }
            UploadError::Busy => Self::new(
                ErrorCode::ScreeningUnavailable,
                "Too many pictures are arriving right now. Please try again in a moment.",
            ),
            UploadError::QueueFull { wait } => Self::new(
                ErrorCode::ScreeningUnavailable,
                "Many pictures are waiting to be checked. Please try again in a moment.",
            )
            .retry_after(wait),
            UploadError::StorageFull { wait } => {
                Self::new(ErrorCode::StorageFull, STORAGE_FULL).retry_after(wait)
            }
            UploadError::Refused(reason) => Self::from(reason),
            UploadError::Image(error) => Self::from(error),
            UploadError::Unavailable(error) => Self::storage(error.as_ref()),
        }
    }
}

impl From<ImageError> for Error {
    fn from(error: ImageError) -> Self {
        let code = match &error {
            ImageError::Unsupported { .. } => ErrorCode::UnsupportedType,
            ImageError::TooManyPixels { .. }
            | ImageError::TooManyBytes
            | ImageError::TooManyFrames { .. }
            | ImageError::TimedOut => ErrorCode::TooManyPixels,
            ImageError::TooSmall { .. } => ErrorCode::TooSmall,
            ImageError::Corrupt { .. } | ImageError::Empty => ErrorCode::CorruptImage,
            ImageError::Io(_) | ImageError::Encode { .. } => return Self::storage(&error),
        };
        let message = error.to_string();
        let mut letters = message.chars();
        let first = letters
            .next()
            .map(|letter| letter.to_uppercase().to_string())
            .unwrap_or_default();
        let sentence = format!("{first}{}", letters.as_str());
        let end = if sentence.ends_with('.') { "" } else { "." };
        Self::new(code, sentence + end)
    }
}

impl From<DeleteError> for Error {
    fn from(error: DeleteError) -> Self {
        match error {
            DeleteError::NotFound => Self::not_found(),
            DeleteError::Gone => Self::gone(),
            DeleteError::Forbidden => Self::new(
                ErrorCode::Forbidden,
                "This token does not belong to this picture.",
            ),
            DeleteError::Unavailable(error) => Self::storage(error.as_ref()),
        }
    }
}

/// What an uploader is told of a refusal.
impl From<Reason> for Error {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::NotACat => Self::new(
                ErrorCode::NotACat,
                "The picture was deleted unseen. One where the cat is larger or sharper may pass.",
            ),
            Reason::Indecent => Self::new(
                ErrorCode::Unsafe,
                "This picture looks indecent to our model, so it was deleted. Models err; a different shot may pass.",
            ),
            Reason::Banned => Self::new(
                ErrorCode::Banned,
                "This picture was taken down before and may not come back.",
            ),
            Reason::Corrupt => Self::new(
                ErrorCode::CorruptImage,
                "The picture could not be read to its end. Please export it again and retry.",
            ),
            Reason::TooManyPixels => Self::new(
                ErrorCode::TooManyPixels,
                "The picture has more pixels or frames than can be handled. Please make it smaller.",
            ),
            Reason::TooSmall => Self::new(
                ErrorCode::TooSmall,
                "The picture is too small, or too narrow, to see a cat in it.",
            ),
            Reason::BudgetSpent => Self::new(ErrorCode::BudgetSpent, BUDGET_SPENT),
            Reason::StorageFull => Self::new(ErrorCode::StorageFull, STORAGE_FULL),
            Reason::Unsupported => Self::new(
                ErrorCode::UnsupportedType,
                "Only JPEG, PNG, WebP and GIF pictures are taken.",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_in_words_and_never_too_short() {
        for (seconds, words) in [
            (0, "in a minute"),
            (60, "in a minute"),
            (61, "in 2 minutes"),
            (1799, "in 30 minutes"),
            (5400, "in 90 minutes"),
            (5401, "in 2 hours"),
            (86_400, "in 24 hours"),
        ] {
            assert_eq!(in_words(Duration::from_secs(seconds)), words);
        }
    }
}
