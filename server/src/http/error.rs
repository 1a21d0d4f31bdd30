//! Turns every failure into the answer that a client gets: a stable code and a sentence, never
//! internal text. `app::error::ErrorCode` maps the codes to statuses.

use std::time::Duration;

use app::error::{ApiError, ErrorBody, ErrorCode};
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::db::DbError;
use crate::domain::verdict::Reason;
use crate::pictures::{DeleteError, UploadError, reason_of};
use crate::runtime::causes::chain;
use crate::storage::StorageError;
use imaging::ImageError;

/// When to search again while too many others search. All searches that wait now are finished by
/// then.
const AFTER_SEARCHES: Duration = Duration::from_secs(3);

/// The message to an uploader whose picture cannot be paid for.
const BUDGET_SPENT: &str = "Checking pictures costs money, and this month's budget is spent, so your picture was not published. Please try again when a new month has begun.";

/// The message to an uploader for whose picture there is no room.
const STORAGE_FULL: &str = "Our picture store is full. There will be room again as older pictures end, so please try again later.";

/// A waiting time as people say it: never too short, and not to the second.
fn in_words(wait: Duration) -> String {
    let minutes = wait.as_secs().div_ceil(60);
    match minutes {
        0 | 1 => "in a minute".to_owned(),
        2..=90 => format!("in {minutes} minutes"),
        _ => format!("in {} hours", minutes.div_ceil(60)),
    }
}

/// An answer that is an error. Handlers return it, and pages show its sentence.
#[derive(Debug, Clone)]
pub(crate) struct Error(pub(crate) ApiError);

impl Error {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self(ApiError::new(code, message))
    }

    /// Sets when to try again, where that is known better than the code alone tells.
    pub(crate) fn retry_after(mut self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.0.retry_after = u32::try_from(seconds.max(1)).ok();
        self
    }

    /// A failure on our side for which there is no better code. The caller logs what happened.
    pub(crate) fn internal() -> Self {
        Self::new(
            ErrorCode::Internal,
            "Something went wrong on our side. Please try again in a moment.",
        )
    }

    /// The address does not know the request's method.
    pub(crate) fn method_not_allowed() -> Self {
        Self::new(
            ErrorCode::MethodNotAllowed,
            "This address does not support that method. Please check both.",
        )
    }

    /// No picture has this id.
    pub(crate) fn not_found() -> Self {
        Self::new(
            ErrorCode::NotFound,
            "There is nothing at this address. Please check it for typing mistakes.",
        )
    }

    /// The picture existed and is over.
    pub(crate) fn gone() -> Self {
        Self::new(
            ErrorCode::Gone,
            "This picture is gone: its time was up, or it was deleted. It cannot be brought back.",
        )
    }

    /// Logs a failure on our side once, and gives the client only the code and this message.
    fn unavailable(
        code: ErrorCode,
        message: &str,
        error: &(dyn std::error::Error + 'static),
    ) -> Self {
        tracing::error!(error = chain(error), code = ?code, "a request failed");
        Self::new(code, message)
    }

    fn storage(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::unavailable(
            ErrorCode::StorageUnavailable,
            "We cannot reach our pictures right now. None of them is lost; please try again in a moment.",
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
        // The layer of the pages finds the error here, and shows it to a browser as a page.
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
            UploadError::Empty => Self::new(
                ErrorCode::Malformed,
                "The upload is empty. Please choose a picture and send it again.",
            ),
            UploadError::TooLarge { max_bytes } => Self::new(
                ErrorCode::TooLarge,
                format!(
                    "The file is larger than {}, which is the most that we take. Please send a smaller copy.",
                    bytesize::ByteSize(max_bytes).display().iec()
                ),
            ),
            UploadError::KeyReused => Self::new(
                ErrorCode::KeyReused,
                "This `Idempotency-Key` belongs to an upload of another file from your network, so nothing was uploaded. Please use a new key for every file.",
            ),
            UploadError::TooManyOfClient { wait } => Self::new(
                ErrorCode::TooManyRequests,
                format!(
                    "Many pictures have come from your network within an hour. You can send the next one {}.",
                    in_words(wait)
                ),
            )
            .retry_after(wait),
            UploadError::TooManyToday { wait } => Self::new(
                ErrorCode::TooManyRequests,
                format!(
                    "The site has taken as many pictures as it can today. You can send yours {}.",
                    in_words(wait)
                ),
            )
            .retry_after(wait),
            UploadError::PartOfDay { wait } => Self::new(
                ErrorCode::TooManyRequests,
                format!(
                    "Many pictures have come from your network today, and we keep some room for others. You can send the next one {}.",
                    in_words(wait)
                ),
            )
            .retry_after(wait),
            UploadError::PartOfStore { wait } => Self::new(
                ErrorCode::TooManyRequests,
                format!(
                    "Pictures from your network already fill all the space that one network may have here. You can send the next one {}.",
                    in_words(wait)
                ),
            )
            .retry_after(wait),
            UploadError::TooManyInVain { wait } => Self::new(
                ErrorCode::TooManyRequests,
                "Many of today's pictures could not be published or are here already, and your last ones are among them. Please wait a little before you send the next one.",
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
                "Many pictures are waiting to be checked, and there is no room for more. Please try again in a few minutes.",
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
        let Some(reason) = reason_of(&error) else {
            return Self::storage(&error);
        };
        let code = Self::from(reason).0.code;
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
                "This token may not do that to this picture, so nothing was deleted. Please check that the token, or the delete link, is complete.",
            ),
            DeleteError::Unavailable(error) => Self::storage(error.as_ref()),
        }
    }
}

/// The message to an uploader whose picture was refused.
impl From<Reason> for Error {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::NotACat => Self::new(
                ErrorCode::NotACat,
                "The computer models that check pictures saw no cat in this one, so it was deleted and never shown. They miss some cats, above all small and dark ones. If there is one, please crop the picture closer to it, or make it brighter, and try again.",
            ),
            Reason::Indecent => Self::new(
                ErrorCode::Unsafe,
                "The computer models that check pictures took this one for indecent, so it was deleted and never shown. They make mistakes. If this is one, we are sorry; please try another picture of your cat.",
            ),
            Reason::Banned => Self::new(
                ErrorCode::Banned,
                "This picture, or one that looks just like it, was taken down before, so it cannot be uploaded again. Please choose a different one.",
            ),
            Reason::Corrupt => Self::new(
                ErrorCode::CorruptImage,
                "The picture is broken or incomplete, so we could not read all of it. Please save or export it again and upload that copy.",
            ),
            Reason::TooManyPixels => Self::new(
                ErrorCode::TooManyPixels,
                "This picture is more than we can process: it has too many pixels or frames, or too much fine detail. Please make it smaller and try again.",
            ),
            Reason::TooSmall => Self::new(
                ErrorCode::TooSmall,
                "The picture is too small or too narrow to see a cat in it. Please choose a larger one.",
            ),
            Reason::BudgetSpent => Self::new(ErrorCode::BudgetSpent, BUDGET_SPENT),
            Reason::StorageFull => Self::new(ErrorCode::StorageFull, STORAGE_FULL),
            Reason::Unsupported => Self::new(
                ErrorCode::UnsupportedType,
                "We can only take the usual kinds of JPEG, PNG, WebP and GIF pictures. Please save yours as an ordinary JPEG or PNG and try again.",
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

    #[test]
    fn a_reason_is_stored_under_the_name_of_the_code_that_clients_get() {
        for reason in Reason::ALL {
            let code = serde_json::to_value(Error::from(reason).0.code).expect("a code is a word");
            assert_eq!(code, reason.as_str());
        }
    }
}
