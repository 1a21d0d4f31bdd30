//! The three doors of an upload, and the one corridor behind them: `POST|PUT /api/v1/pictures`, the plain form's
//! `POST /upload`, and (through the backend) the drop zone's server function.

use std::sync::Arc;
use std::time::Duration;

use app::error::ErrorCode;
use app::types::UploadView;
use axum::Json;
use axum::extract::{RawQuery, Request, State};
use axum::http::{Extensions, HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;

use crate::domain::client::ClientNetwork;
use crate::http::body::{BodyEnd, BodyWatch};
use crate::http::error::Error;
use crate::http::pages;
use crate::http::views;
use crate::pictures::{Accepted, IncomingUpload, Pictures, Status, UploadError};
use crate::runtime::causes::chain;
use crate::state::AppState;

/// How long an upload's answer waits for the verdict when the client does not say.
pub(crate) const DEFAULT_WAIT: Duration = Duration::from_secs(20);
/// The longest a client may ask to wait, seconds.
const MAX_WAIT_SECONDS: u64 = 25;
/// When a sender that was called off should try again.
const CALLED_OFF_FOR: Duration = Duration::from_secs(30);
/// What a form may add to its file: boundaries, headers, the file's name.
const FORM_BYTES: u64 = 64 * 1024;

/// `POST /api/v1/pictures` and `PUT /api/v1/pictures[/{name}]`: multipart with one `file`, or the raw bytes.
pub(crate) async fn upload_picture(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Response, Error> {
    let wait = parse_wait(query.as_deref().unwrap_or_default())?;
    let accepted = receive(&state.pictures, request).await?;
    let view = answer(&state, accepted, wait).await?;
    let status = if view.published.is_some() {
        StatusCode::CREATED
    } else {
        StatusCode::ACCEPTED
    };
    let location = HeaderValue::try_from(&view.url).map_err(|_| internal())?;
    Ok((status, [(header::LOCATION, location)], Json(view)).into_response())
}

/// `POST /upload`: the form without scripts. A page with the link and the delete link, or the error in words.
pub(crate) async fn upload_form(State(state): State<AppState>, request: Request) -> Response {
    let done = async {
        let boundary = multipart_boundary(request.headers())?.ok_or_else(not_multipart)?;
        let accepted = receive_multipart(&state.pictures, request, boundary).await?;
        answer(&state, accepted, DEFAULT_WAIT).await
    };
    match done.await {
        Ok(view) => see_other(&view),
        Err(error) => pages::render_error(&state, error.0, None).await,
    }
}

/// Takes a form's file; for the drop zone's server function, whose body is already being parsed.
pub(crate) async fn upload_from_form(
    state: &AppState,
    form: multer::Multipart<'static>,
    watch: &BodyWatch,
    client: ClientNetwork,
) -> Result<UploadView, Error> {
    let accepted = receive_field(&state.pictures, form, watch, client).await?;
    answer(state, accepted, DEFAULT_WAIT).await
}

/// The boundary of a multipart form; `None` for any other content type.
///
/// # Errors
/// `malformed` for a multipart form without a boundary.
pub(crate) fn multipart_boundary(headers: &HeaderMap) -> Result<Option<String>, Error> {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if !content_type
        .trim_start()
        .to_ascii_lowercase()
        .starts_with("multipart/")
    {
        return Ok(None);
    }
    multer::parse_boundary(content_type).map(Some).map_err(|_| {
        Error::new(
            ErrorCode::Malformed,
            "The form cannot be read, because it is not multipart/form-data with a boundary. Please send it as that.",
        )
    })
}

/// The answer to a form that is not multipart.
pub(crate) fn not_multipart() -> Error {
    Error::new(
        ErrorCode::UnsupportedType,
        "The form is not multipart/form-data, so no picture can be in it. Please send it as that.",
    )
}

async fn receive(pictures: &Arc<Pictures>, request: Request) -> Result<Accepted, Error> {
    match multipart_boundary(request.headers())? {
        Some(boundary) => receive_multipart(pictures, request, boundary).await,
        None => receive_raw(pictures, request).await,
    }
}

async fn receive_raw(pictures: &Arc<Pictures>, request: Request) -> Result<Accepted, Error> {
    refuse_by_length(pictures, request.headers())?;
    let watch = watch_of(request.extensions());
    let client = client_of(request.extensions());
    let mut upload = pictures.intake.begin_upload(client).await?;
    let called_off = upload.called_off();
    let read = async {
        let mut body = request.into_body().into_data_stream();
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|_| broken_body(pictures, &watch))?;
            upload.write(&chunk).await?;
        }
        Ok(upload)
    };
    let upload = unless(pictures, client, called_off, &watch, read).await?;
    Ok(upload.finish().await?)
}

/// Reads an upload, unless its sender must make room for others.
async fn unless(
    pictures: &Pictures,
    client: ClientNetwork,
    called_off: CancellationToken,
    watch: &BodyWatch,
    read: impl Future<Output = Result<IncomingUpload, Error>>,
) -> Result<IncomingUpload, Error> {
    tokio::select! {
        biased;
        read = read => read,
        () = called_off.cancelled() => {
            watch.give_up();
            pictures.intake.note_called_off(client);
            let error = Error::new(
                ErrorCode::Timeout,
                "Your upload was stopped because it was slow and others were waiting for their turn. Please try again a little later.",
            );
            Err(error.retry_after(CALLED_OFF_FOR))
        }
    }
}

async fn receive_multipart(
    pictures: &Arc<Pictures>,
    request: Request,
    boundary: String,
) -> Result<Accepted, Error> {
    refuse_by_length(pictures, request.headers())?;
    let watch = watch_of(request.extensions());
    let client = client_of(request.extensions());
    let body = request.into_body().into_data_stream();
    receive_field(
        pictures,
        multer::Multipart::new(body, boundary),
        &watch,
        client,
    )
    .await
}

/// Takes exactly one field named `file`.
async fn receive_field(
    pictures: &Arc<Pictures>,
    mut form: multer::Multipart<'static>,
    watch: &BodyWatch,
    client: ClientNetwork,
) -> Result<Accepted, Error> {
    let one_file = || {
        Error::new(
            ErrorCode::Malformed,
            "The form must hold exactly one picture, as a file in the field `file`. Please choose one and send it again.",
        )
    };
    // Its turn comes before its first byte: a form's head is kept in memory.
    let upload = pictures.intake.begin_upload(client).await?;
    let called_off = upload.called_off();
    let read = async {
        let (mut waiting, mut received) = (Some(upload), None);
        loop {
            watch.expect_form_head();
            let field = form.next_field().await;
            let Some(mut field) = field.map_err(|error| form_error(pictures, &error, watch))?
            else {
                break;
            };
            let (Some("file"), Some(mut incoming)) = (field.name(), waiting.take()) else {
                return Err(one_file());
            };
            watch.expect_content();
            while let Some(chunk) = field
                .chunk()
                .await
                .map_err(|error| form_error(pictures, &error, watch))?
            {
                incoming.write(&chunk).await?;
            }
            received = Some(incoming);
        }
        received.ok_or_else(one_file)
    };
    let upload = unless(pictures, client, called_off, watch, read).await?;
    Ok(upload.finish().await?)
}

/// The watch that belongs to a request's body; an empty body has none, and needs none.
pub(crate) fn watch_of(extensions: &Extensions) -> BodyWatch {
    extensions.get::<BodyWatch>().cloned().unwrap_or_default()
}

/// The network that a request came from.
pub(crate) fn client_of(extensions: &Extensions) -> ClientNetwork {
    extensions
        .get::<ClientNetwork>()
        .copied()
        .unwrap_or(ClientNetwork::UNKNOWN)
}

/// Waits for the verdict, then says what the uploader needs.
async fn answer(state: &AppState, accepted: Accepted, wait: Duration) -> Result<UploadView, Error> {
    let status = match state
        .pictures
        .reading
        .wait_for_verdict(&accepted.id, wait)
        .await
    {
        Ok(status) => status,
        // The upload is safe; an error here would lose its token.
        Err(error) => {
            tracing::error!(
                error = chain(&error),
                "the index failed while an upload waited for its verdict"
            );
            Status::Screening
        }
    };
    match status {
        Status::Screening => Ok(views::upload(&state.site, &accepted, None)),
        Status::Published(published) => Ok(views::upload(&state.site, &accepted, Some(&published))),
        Status::Rejected(reason) => Err(reason.into()),
        Status::Gone { .. } | Status::Unknown => Err(Error::gone()),
    }
}

fn see_other(view: &UploadView) -> Response {
    match HeaderValue::try_from(&view.url) {
        Ok(location) => (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response(),
        Err(_) => internal().into_response(),
    }
}

/// Reads `wait` from the query: whole seconds, 0 to 25.
fn parse_wait(query: &str) -> Result<Duration, Error> {
    let Some((_, value)) =
        url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "wait")
    else {
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

/// Refuses a client that asks whether to send more than is taken, before it sends.
fn refuse_by_length(pictures: &Pictures, headers: &HeaderMap) -> Result<(), Error> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<u64>().ok());
    let too_long =
        announced.is_some_and(|length| length > pictures.intake.max_upload_bytes() + FORM_BYTES);
    if too_long && headers.contains_key(header::EXPECT) {
        Err(too_large(pictures))
    } else {
        Ok(())
    }
}

fn form_error(pictures: &Pictures, error: &multer::Error, watch: &BodyWatch) -> Error {
    match error {
        multer::Error::StreamReadFailed(_) => broken_body(pictures, watch),
        _ => malformed_form(),
    }
}

fn broken_body(pictures: &Pictures, watch: &BodyWatch) -> Error {
    match watch.end() {
        BodyEnd::Late => Error::new(
            ErrorCode::Timeout,
            "The rest of the upload did not arrive in time. Please try again.",
        ),
        BodyEnd::TooLong => too_large(pictures),
        BodyEnd::EndlessHead => malformed_form(),
        BodyEnd::Broken => Error::new(
            ErrorCode::Malformed,
            "The upload ended before all of it had arrived. Please try again.",
        ),
    }
}

fn malformed_form() -> Error {
    Error::new(
        ErrorCode::Malformed,
        "The form is broken, so the picture in it cannot be read. Please send it again.",
    )
}

fn too_large(pictures: &Pictures) -> Error {
    UploadError::TooLarge {
        max_bytes: pictures.intake.max_upload_bytes(),
    }
    .into()
}

fn internal() -> Error {
    Error::new(
        ErrorCode::Internal,
        "Something went wrong on our side. Please try again in a moment.",
    )
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
