//! The one list of error codes, with their names on the wire, their HTTP statuses and their
//! headlines. The JSON API, the server functions and the error pages all use it, so that they
//! cannot disagree.

use leptos::server_fn::codec::JsonEncoding;
use leptos::server_fn::error::{FromServerFnError, ServerFnErrorErr};
use serde::{Deserialize, Serialize};

/// The public reason of an error. Programs go by these codes, so they never change; the messages
/// may.
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// The request cannot be read: a form, a cursor, a parameter, or an empty upload.
    Malformed,
    /// Deleting needs a token, and none was sent.
    Unauthorized,
    /// The token is not allowed to do this, the request went round the CDN, or a page of another
    /// site sent it.
    Forbidden,
    /// Nothing is at this address.
    NotFound,
    /// The address does not take this method.
    MethodNotAllowed,
    /// The body of the request stopped half-way or came too slowly.
    Timeout,
    /// The picture has expired or was deleted.
    Gone,
    /// The file, or any other body, has more bytes than are taken.
    TooLarge,
    /// The picture has too many pixels or frames, or needs too much memory, time or space.
    TooManyPixels,
    /// The file is not JPEG, PNG, WebP or GIF, or the form is not a multipart form.
    UnsupportedType,
    /// The `Range` asks for bytes that the picture does not have.
    RangeNotSatisfiable,
    /// Screening found no cat.
    NotACat,
    /// Screening found the picture indecent.
    Unsafe,
    /// The picture looks like one that the operator has banned.
    Banned,
    /// The picture is broken or cut off.
    CorruptImage,
    /// The picture has too few pixels.
    TooSmall,
    /// The key of the upload belongs to an earlier upload with other bytes.
    KeyReused,
    /// The client, its network or all clients together have used up what they may have for now.
    TooManyRequests,
    /// The site has a fault.
    Internal,
    /// The answer cannot be written in the format that was asked for.
    UnsupportedFormat,
    /// Too many uploads are arriving, or too many wait for their verdict.
    ScreeningUnavailable,
    /// This month's paid calls are used up, so the picture cannot be screened.
    BudgetSpent,
    /// The storage or the index cannot be used, or too many visitors are being served.
    StorageUnavailable,
    /// There is no room for more pictures.
    StorageFull,
}

impl ErrorCode {
    /// Every code there is.
    pub const ALL: [Self; 24] = [
        Self::Malformed,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Timeout,
        Self::Gone,
        Self::TooLarge,
        Self::TooManyPixels,
        Self::UnsupportedType,
        Self::RangeNotSatisfiable,
        Self::NotACat,
        Self::Unsafe,
        Self::Banned,
        Self::CorruptImage,
        Self::TooSmall,
        Self::KeyReused,
        Self::TooManyRequests,
        Self::Internal,
        Self::UnsupportedFormat,
        Self::ScreeningUnavailable,
        Self::BudgetSpent,
        Self::StorageUnavailable,
        Self::StorageFull,
    ];

    /// The HTTP status that every answer with this code has.
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
            Self::NotACat
            | Self::Unsafe
            | Self::Banned
            | Self::CorruptImage
            | Self::TooSmall
            | Self::KeyReused => 422,
            Self::TooManyRequests => 429,
            Self::Internal => 500,
            Self::UnsupportedFormat => 501,
            Self::ScreeningUnavailable
            | Self::BudgetSpent
            | Self::StorageUnavailable
            | Self::StorageFull => 503,
        }
    }

    /// A headline that tells a person what happened.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Malformed => "We could not read that request",
            Self::Unauthorized | Self::Forbidden => "Sorry, that is not allowed",
            Self::NotFound => "No cat lives here",
            Self::MethodNotAllowed => "That does not work here",
            Self::Timeout => "That took too long",
            Self::Gone => "This cat has wandered off",
            Self::TooLarge => "That file is too big",
            Self::TooManyPixels => "We cannot process this picture",
            Self::UnsupportedType => "We cannot read this kind of file",
            Self::RangeNotSatisfiable => "There is nothing in that range",
            Self::NotACat => "We could not find a cat",
            Self::Unsafe => "We cannot show this picture",
            Self::Banned => "This picture cannot come back",
            Self::CorruptImage => "This picture seems to be broken",
            Self::TooSmall => "This picture is too small",
            Self::KeyReused => "That key is taken",
            Self::TooManyRequests => "Please wait a little",
            Self::Internal => "Something broke on our side",
            Self::UnsupportedFormat => "We do not write that format",
            Self::ScreeningUnavailable => "We cannot check pictures right now",
            Self::BudgetSpent => "We cannot check more pictures this month",
            Self::StorageUnavailable => "We cannot reach our pictures",
            Self::StorageFull => "There is no room for more pictures",
        }
    }

    /// Tells whether the same request may succeed if it is simply sent again later.
    #[must_use]
    pub const fn is_passing(self) -> bool {
        matches!(self.status(), 408 | 429 | 500 | 503)
    }

    /// How many seconds a client should wait before it asks again, where nothing better is known.
    /// Only codes with status 429 or 503 have such a time; it is sent as `Retry-After`.
    #[must_use]
    pub const fn retry_after(self) -> Option<u32> {
        match self {
            Self::TooManyRequests => Some(60),
            Self::ScreeningUnavailable | Self::StorageUnavailable => Some(10),
            Self::BudgetSpent | Self::StorageFull => Some(3600),
            Self::Malformed
            | Self::Unauthorized
            | Self::Forbidden
            | Self::NotFound
            | Self::MethodNotAllowed
            | Self::Timeout
            | Self::Gone
            | Self::TooLarge
            | Self::TooManyPixels
            | Self::UnsupportedType
            | Self::RangeNotSatisfiable
            | Self::NotACat
            | Self::Unsafe
            | Self::Banned
            | Self::CorruptImage
            | Self::TooSmall
            | Self::KeyReused
            | Self::Internal
            | Self::UnsupportedFormat => None,
        }
    }
}

/// The error that a client is told: a stable code, and a message for a person. It never holds
/// internal details.
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct ApiError {
    /// The stable reason, for programs.
    pub code: ErrorCode,
    /// One sentence or more for a person: what happened, why, and what to do next.
    pub message: String,
    /// How many seconds to wait before asking again, if that is known better than
    /// [`ErrorCode::retry_after`] tells. It is sent as a header and not in the body.
    #[serde(skip)]
    pub retry_after: Option<u32>,
}

impl ApiError {
    /// An error with this code and message, whose waiting time is that of its code.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            retry_after: None,
        }
    }

    /// How many seconds a client should wait before it asks again; `None` if the answer says
    /// nothing of that.
    #[must_use]
    pub fn retry_after(&self) -> Option<u32> {
        self.retry_after.or(self.code.retry_after())
    }
}

/// The envelope of every error on the wire: `{"error":{"code":"…","message":"…"}}`.
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The error itself.
    pub error: ApiError,
}

/// The error of a server function, which has the same envelope as an error of the JSON API.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{}", .error.message)]
pub struct UiError {
    /// The error itself.
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
        ApiError::new(
            code,
            "We could not handle this request. Please reload the page and try again.",
        )
        .into()
    }
}
