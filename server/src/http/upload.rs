//! The three doors of an upload, and the one corridor behind them: `POST|PUT /api/v1/pictures`, the plain form's
//! `POST /upload`, and (through the backend) the drop zone's server function.

use std::time::Duration;

use app::backend::Interstitial;
use app::error::ErrorCode;
use app::types::UploadView;
use axum::Json;
use axum::body::BodyDataStream;
use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};

use crate::error::Error;
use crate::http::pages;
use crate::pictures::{Accepted, IncomingUpload, Pictures, Status};
use crate::state::AppState;
use crate::views;

/// How long an upload's answer waits for the verdict when the client does not say.
pub(crate) const DEFAULT_WAIT: Duration = Duration::from_secs(20);
/// The longest a client may ask to wait, seconds.
const MAX_WAIT_SECONDS: u64 = 25;
/// What a form may add to its file: boundaries, headers, the file's name.
const FORM_BYTES: u64 = 64 * 1024;
/// How much of a body that is too large is still read, so that the client sees the answer and not a broken pipe.
const DRAIN_BYTES: u64 = 64 * 1024 * 1024;

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
        Err(error) => pages::render_interstitial(&state, Interstitial::Error(error.0)).await,
    }
}

/// Takes a form's file; for the drop zone's server function, whose body is already being parsed.
pub(crate) async fn upload_from_form(
    state: &AppState,
    form: multer::Multipart<'static>,
) -> Result<UploadView, Error> {
    let accepted = receive_field(&state.pictures, form).await?;
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
            "The form is not multipart/form-data with a boundary.",
        )
    })
}

/// The answer to a form that is not multipart.
pub(crate) fn not_multipart() -> Error {
    Error::new(
        ErrorCode::UnsupportedType,
        "The form must be sent as multipart/form-data.",
    )
}

async fn receive(pictures: &Pictures, request: Request) -> Result<Accepted, Error> {
    match multipart_boundary(request.headers())? {
        Some(boundary) => receive_multipart(pictures, request, boundary).await,
        None => receive_raw(pictures, request).await,
    }
}

async fn receive_raw(pictures: &Pictures, request: Request) -> Result<Accepted, Error> {
    let expects_continue = refuse_by_length(pictures, request.headers())?;
    let mut upload = pictures.begin_upload().await?;
    let mut body = request.into_body().into_data_stream();
    loop {
        let Some(chunk) = next_chunk(pictures, &mut body).await? else {
            break;
        };
        if let Err(error) = upload.write(&chunk).await {
            drop(upload);
            if !expects_continue {
                drain(pictures, body).await;
            }
            return Err(error.into());
        }
    }
    Ok(upload.finish().await?)
}

async fn receive_multipart(
    pictures: &Pictures,
    request: Request,
    boundary: String,
) -> Result<Accepted, Error> {
    refuse_by_length(pictures, request.headers())?;
    let idle = pictures.body_idle_timeout();
    let body = idle_limited(request.into_body().into_data_stream(), idle);
    receive_field(pictures, multer::Multipart::new(body, boundary)).await
}

/// Takes exactly one field named `file`.
async fn receive_field(
    pictures: &Pictures,
    mut form: multer::Multipart<'static>,
) -> Result<Accepted, Error> {
    let one_file = || {
        Error::new(
            ErrorCode::Malformed,
            "The form must hold exactly one file, in the field `file`.",
        )
    };
    let mut upload: Option<IncomingUpload<'_>> = None;
    while let Some(mut field) = form.next_field().await.map_err(form_error)? {
        if field.name() != Some("file") || upload.is_some() {
            return Err(one_file());
        }
        let mut incoming = pictures.begin_upload().await?;
        while let Some(chunk) = field.chunk().await.map_err(form_error)? {
            if let Err(error) = incoming.write(&chunk).await {
                drop(incoming);
                drain_field(field).await;
                return Err(error.into());
            }
        }
        upload = Some(incoming);
    }
    Ok(upload.ok_or_else(one_file)?.finish().await?)
}

/// Waits for the verdict, then says what the uploader needs.
async fn answer(state: &AppState, accepted: Accepted, wait: Duration) -> Result<UploadView, Error> {
    match state.pictures.wait_for_verdict(&accepted.id, wait).await? {
        Status::Screening => Ok(views::upload(&state.site, &accepted, None)),
        Status::Published(published) => Ok(views::upload(&state.site, &accepted, Some(&published))),
        Status::Rejected(reason) => Err(reason.into()),
        Status::Gone | Status::Unknown => Err(Error::gone()),
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
                "`wait` must be whole seconds from 0 to 25.",
            )
        })
}

/// Refuses a body that announces more than is taken, before it is asked for. True when the client waits to be asked.
fn refuse_by_length(pictures: &Pictures, headers: &HeaderMap) -> Result<bool, Error> {
    let expects_continue = headers.contains_key(header::EXPECT);
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<u64>().ok());
    if expects_continue && announced.is_some_and(|length| length > max_body_bytes(pictures)) {
        return Err(crate::pictures::UploadError::TooLarge {
            max_bytes: pictures.max_upload_bytes(),
        }
        .into());
    }
    Ok(expects_continue)
}

/// The largest body that is read at all: the largest file and what a form adds to it.
pub(crate) fn max_body_bytes(pictures: &Pictures) -> u64 {
    pictures.max_upload_bytes().saturating_add(FORM_BYTES)
}

async fn next_chunk(
    pictures: &Pictures,
    body: &mut BodyDataStream,
) -> Result<Option<Bytes>, Error> {
    match tokio::time::timeout(pictures.body_idle_timeout(), body.next()).await {
        Err(_) => Err(timed_out()),
        Ok(None) => Ok(None),
        Ok(Some(Ok(chunk))) => Ok(Some(chunk)),
        Ok(Some(Err(_))) => Err(cut_off()),
    }
}

/// Reads on a little without keeping anything, so that a client in the middle of sending gets to read the answer.
async fn drain(pictures: &Pictures, mut body: BodyDataStream) {
    let mut left = DRAIN_BYTES;
    while let Ok(Some(chunk)) = next_chunk(pictures, &mut body).await {
        left = left.saturating_sub(chunk.len() as u64);
        if left == 0 {
            break;
        }
    }
}

/// The same for a form's file. The body itself is limited, so this ends.
async fn drain_field(mut field: multer::Field<'static>) {
    while let Ok(Some(_)) = field.chunk().await {}
}

/// The body with an error in place of a long silence.
fn idle_limited(
    body: BodyDataStream,
    idle: Duration,
) -> impl Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static {
    futures_util::stream::unfold(body, move |mut body| async move {
        let next = match tokio::time::timeout(idle, body.next()).await {
            Err(_) => Some(Err(std::io::Error::from(std::io::ErrorKind::TimedOut))),
            Ok(next) => next.map(|chunk| chunk.map_err(std::io::Error::other)),
        };
        next.map(|chunk| (chunk, body))
    })
}

fn form_error(error: multer::Error) -> Error {
    match error {
        multer::Error::StreamReadFailed(source) if is_length_limit(source.as_ref()) => Error::new(
            ErrorCode::TooLarge,
            "The form is larger than any file that is taken.",
        ),
        multer::Error::StreamReadFailed(source)
            if source
                .downcast_ref::<std::io::Error>()
                .is_some_and(|error| error.kind() == std::io::ErrorKind::TimedOut) =>
        {
            timed_out()
        }
        _ => Error::new(
            ErrorCode::Malformed,
            "The form could not be read to its end.",
        ),
    }
}

fn is_length_limit(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<http_body_util::LengthLimitError>() || error.source().is_some_and(is_length_limit)
}

fn timed_out() -> Error {
    Error::new(ErrorCode::Timeout, "The upload stopped half-way.")
}

fn cut_off() -> Error {
    Error::new(
        ErrorCode::Malformed,
        "The upload ended before it was complete.",
    )
}

fn internal() -> Error {
    Error::new(ErrorCode::Internal, "Something went wrong on our side.")
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
