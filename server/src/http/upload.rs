//! Answers uploads once they were received (`http/receive`): waits for the verdict and says what
//! the uploader needs. There are three ways to upload: `POST|PUT /api/v1/pictures` here, the drop
//! zone's server function through `http/backend`, and the plain form's `POST /upload` in
//! `http/pages`. The clients of other hosts have theirs in `http/protocols`.

use std::borrow::Cow;
use std::time::Duration;

use app::error::ErrorCode;
use app::types::UploadView;
use axum::Json;
use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::domain::picture::Published;
use crate::http::error::Error;
use crate::http::lives::{self, EXPIRES_IN};
use crate::http::receive::receive;
use crate::http::state::AppState;
use crate::http::views;
use crate::pictures::{Accepted, Status};
use crate::runtime::causes::chain;

/// How long the answer to an upload waits for the verdict where the client does not say.
pub(crate) const DEFAULT_WAIT: Duration = Duration::from_secs(20);
/// The longest that a client may ask to wait, in seconds.
pub(crate) const MAX_WAIT_SECONDS: u64 = 25;

/// `POST /api/v1/pictures` and `PUT /api/v1/pictures[/{name}]`: a multipart form with one file, or
/// the bytes of the file itself.
pub(crate) async fn upload_picture(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Response, Error> {
    let query = query.unwrap_or_default();
    let wait = parse_wait(&query)?;
    let lives = match find(&query, EXPIRES_IN) {
        Some(text) => lives::parse(&text, state.pictures.intake.retention())?,
        None => None,
    };
    let accepted = receive(&state.pictures, request, lives).await?;
    let view = answer(&state, accepted, wait).await?;
    let status = status(&view);
    let location = HeaderValue::try_from(&view.url).map_err(|_| Error::internal())?;
    Ok((status, [(header::LOCATION, location)], Json(view)).into_response())
}

/// The status of the answer to an upload.
pub(crate) const fn status(view: &UploadView) -> StatusCode {
    if view.published.is_some() {
        StatusCode::CREATED
    } else {
        StatusCode::ACCEPTED
    }
}

/// Waits for the verdict on an upload, at most this long, then says what the uploader needs.
///
/// # Errors
/// Why the picture was refused, or `gone` where it was deleted meanwhile.
pub(crate) async fn answer(
    state: &AppState,
    accepted: Accepted,
    wait: Duration,
) -> Result<UploadView, Error> {
    let published = decided(state, &accepted, wait).await?;
    Ok(views::upload(&state.site, &accepted, published.as_deref()))
}

/// Waits for the verdict on an upload, at most this long. The picture is given once it is
/// published; `None` where there is no verdict yet.
///
/// # Errors
/// Why the picture was refused, or `gone` where it was deleted meanwhile.
pub(crate) async fn decided(
    state: &AppState,
    accepted: &Accepted,
    wait: Duration,
) -> Result<Option<Box<Published>>, Error> {
    let status = match state
        .pictures
        .reading
        .wait_for_verdict(&accepted.id, wait)
        .await
    {
        Ok(status) => status,
        // The upload is safe, and an error here would lose its delete token.
        Err(error) => {
            tracing::error!(
                error = chain(&error),
                "the index failed while an upload waited for its verdict"
            );
            Status::Screening
        }
    };
    match status {
        Status::Screening => Ok(None),
        Status::Published(published) => Ok(Some(published)),
        Status::Rejected(reason) => Err(reason.into()),
        Status::Gone { .. } | Status::Unknown => Err(Error::gone()),
    }
}

/// The value of the parameter with this name.
pub(crate) fn find<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let mut parameters = url::form_urlencoded::parse(query.as_bytes());
    parameters
        .find(|(parameter, _)| parameter == name)
        .map(|(_, value)| value)
}

/// Parses `wait` from the query: whole seconds from 0 to 25.
fn parse_wait(query: &str) -> Result<Duration, Error> {
    let Some(value) = find(query, "wait") else {
        return Ok(DEFAULT_WAIT);
    };
    value
        .parse::<u64>()
        .ok()
        .filter(|seconds| {
            *seconds <= MAX_WAIT_SECONDS && value.bytes().all(|byte| byte.is_ascii_digit())
        })
        .map(Duration::from_secs)
        .ok_or_else(|| {
            Error::new(
                ErrorCode::Malformed,
                "`wait` must be a whole number of seconds from 0 to 25.",
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_is_whole_seconds_from_0_to_25() {
        assert_eq!(parse_wait("").map(|wait| wait.as_secs()).ok(), Some(20));
        assert_eq!(
            parse_wait("wait=0").map(|wait| wait.as_secs()).ok(),
            Some(0)
        );
        assert_eq!(
            parse_wait("wait=25").map(|wait| wait.as_secs()).ok(),
            Some(25)
        );
        for query in [
            "wait=26",
            "wait=-1",
            "wait=1.5",
            "wait=+1",
            "wait=",
            "wait=soon",
        ] {
            assert!(parse_wait(query).is_err(), "{query}");
        }
    }
}
