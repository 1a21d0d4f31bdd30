//! The one list of error codes: their names on the wire and their HTTP statuses.
//! The JSON API, the server functions and the error pages all speak through it, so that they cannot disagree.

use leptos::server_fn::codec::JsonEncoding;
use leptos::server_fn::error::{FromServerFnError, ServerFnErrorErr};
use serde::{Deserialize, Serialize};

/// A stable, public reason for a refusal. Codes are forever; messages may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    Malformed,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    Timeout,
    Gone,
    TooLarge,
    TooManyPixels,
    UnsupportedType,
    RangeNotSatisfiable,
    NotACat,
    Unsafe,
    Banned,
    CorruptImage,
    TooSmall,
    TooManyRequests,
    Internal,
    ScreeningUnavailable,
    BudgetSpent,
    StorageUnavailable,
    StorageFull,
}

impl ErrorCode {
    /// The HTTP status that always goes with this code.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::Timeout => 408,
            Self::Gone => 410,
            Self::TooLarge | Self::TooManyPixels => 413,
            Self::UnsupportedType => 415,
            Self::RangeNotSatisfiable => 416,
            Self::NotACat | Self::Unsafe | Self::Banned | Self::CorruptImage | Self::TooSmall => {
                422
            }
            Self::TooManyRequests => 429,
            Self::Internal => 500,
            Self::ScreeningUnavailable
            | Self::BudgetSpent
            | Self::StorageUnavailable
            | Self::StorageFull => 503,
        }
    }

    /// What happened, as a headline for a person.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Malformed => "We could not read that request",
            Self::Unauthorized | Self::Forbidden => "That is not yours to do",
            Self::NotFound => "No cat lives here",
            Self::MethodNotAllowed => "That cannot be done here",
            Self::Timeout => "That took too long",
            Self::Gone => "This cat has wandered off",
            Self::TooLarge => "That file is too heavy",
            Self::TooManyPixels => "That picture is too large",
            Self::UnsupportedType => "We cannot read this kind of file",
            Self::RangeNotSatisfiable => "There is nothing in that range",
            Self::NotACat => "We could not find a cat in it",
            Self::Unsafe => "We cannot show this one",
            Self::Banned => "This picture may not come back",
            Self::CorruptImage => "This picture seems to be broken",
            Self::TooSmall => "This picture is too small",
            Self::TooManyRequests => "One cat at a time, please",
            Self::Internal => "Something broke on our side",
            Self::ScreeningUnavailable => "Our cat spotter is napping",
            Self::BudgetSpent => "We are out of treats for now",
            Self::StorageUnavailable => "We cannot reach the shelf",
            Self::StorageFull => "The box is full",
        }
    }

    /// Whether the same request may succeed a little later.
    #[must_use]
    pub const fn is_passing(self) -> bool {
        matches!(self.status(), 408 | 429 | 500..)
    }

    /// The seconds a client should wait before it asks again, for the answers that must say so (429 and 503).
    #[must_use]
    pub const fn retry_after(self) -> Option<u32> {
        match self {
            Self::TooManyRequests => Some(60),
            Self::ScreeningUnavailable | Self::StorageUnavailable => Some(10),
            Self::BudgetSpent | Self::StorageFull => Some(3600),
            _ => None,
        }
    }
}

/// What a client is told: a stable code and a sentence for a person. Never internal detail.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct ApiError {
    pub code: ErrorCode,
    pub message: String,
    /// Seconds to wait before asking again, where known better than by the code; sent as a header.
    #[serde(skip)]
    pub retry_after: Option<u32>,
}

impl ApiError {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            retry_after: None,
        }
    }

    /// The seconds a client should wait before it asks again, for the answers that must say so (429 and 503).
    #[must_use]
    pub fn retry_after(&self) -> Option<u32> {
        self.retry_after.or(self.code.retry_after())
    }
}

/// The envelope of every error on the wire: `{"error":{"code":"…","message":"…"}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    pub error: ApiError,
}

/// The server functions' error: the same envelope as the JSON API's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{}", .error.message)]
pub struct UiError {
    pub error: ApiError,
}

impl From<ApiError> for UiError {
    fn from(error: ApiError) -> Self {
        Self { error }
    }
}

impl FromServerFnError for UiError {
    type Encoder = JsonEncoding;

    fn from_server_fn_error(error: ServerFnErrorErr) -> Self {
        let code = match error {
            ServerFnErrorErr::Args(_)
            | ServerFnErrorErr::MissingArg(_)
            | ServerFnErrorErr::Deserialization(_) => ErrorCode::Malformed,
            _ => ErrorCode::Internal,
        };
        ApiError::new(code, "The request could not be handled.").into()
    }
}
