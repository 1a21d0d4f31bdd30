//! Receives uploads: from the body of a request, which is a multipart form or the bytes of the file
//! itself, to a file that waits for its verdict. `http/upload` and `http/pages` answer them. What
//! the clients of other hosts send is received in `http/protocols`.

use std::sync::Arc;
use std::time::Duration;

use app::error::ErrorCode;
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use futures_util::StreamExt;

use crate::domain::client::ClientNetwork;
use crate::domain::expiry::Retention;
use crate::domain::upload_key::UploadKey;
use crate::http::body::{BodyEnd, BodyWatch};
use crate::http::client;
use crate::http::error::Error;
use crate::http::lives::{self, EXPIRES_IN};
use crate::pictures::{Accepted, IncomingUpload, Pictures, Sender, UploadError};

/// When a sender that was called off should try again.
const CALLED_OFF_FOR: Duration = Duration::from_secs(30);
/// The header with the key by which an upload may be repeated
/// (draft-ietf-httpapi-idempotency-key-header).
const KEY: &str = "idempotency-key";
/// How many bytes a form may add to its file: boundaries, headers and the file's name.
const FORM_BYTES: u64 = 64 * 1024;
/// How many bytes of a time are read. None is as long.
const LONGEST_TIME: usize = 64;

/// The boundary of a multipart form, or `None` for any other content type.
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

/// The key by which the client may repeat an upload, from the header `Idempotency-Key`.
///
/// # Errors
/// `malformed` for a key that is none, because an upload that only seems to be repeatable would be
/// published twice.
pub(crate) fn upload_key(headers: &HeaderMap) -> Result<Option<UploadKey>, Error> {
    let mut keys = headers.get_all(KEY).iter();
    let Some(key) = keys.next() else {
        return Ok(None);
    };
    match UploadKey::parse(key.as_bytes()) {
        Some(key) if keys.next().is_none() => Ok(Some(key)),
        Some(_) | None => Err(Error::new(
            ErrorCode::Malformed,
            "The `Idempotency-Key` must be given once and consist of 16 to 255 visible ASCII characters. A random UUID is a good one.",
        )),
    }
}

/// The error for a form that is not multipart.
pub(crate) fn not_multipart() -> Error {
    Error::new(
        ErrorCode::UnsupportedType,
        "The form is not multipart/form-data, so no picture can be in it. Please send it as that.",
    )
}

/// Receives the body of a request: a multipart form with one file, or else the file's bytes. The
/// picture shall live for `lives`, or for the site's retention.
///
/// # Errors
/// What is wrong with the body, or why no upload is taken now.
pub(crate) async fn receive(
    pictures: &Arc<Pictures>,
    request: Request,
    lives: Option<Retention>,
) -> Result<Accepted, Error> {
    match multipart_boundary(request.headers())? {
        Some(boundary) => receive_multipart(pictures, request, boundary, lives).await,
        None => receive_raw(pictures, request, lives).await,
    }
}

/// Receives the body of a request that must be a multipart form with one file.
///
/// # Errors
/// What is wrong with the body, or why no upload is taken now.
pub(crate) async fn receive_form(
    pictures: &Arc<Pictures>,
    request: Request,
) -> Result<Accepted, Error> {
    let boundary = multipart_boundary(request.headers())?.ok_or_else(not_multipart)?;
    receive_multipart(pictures, request, boundary, None).await
}

async fn receive_raw(
    pictures: &Arc<Pictures>,
    request: Request,
    lives: Option<Retention>,
) -> Result<Accepted, Error> {
    refuse_by_length(pictures, request.headers())?;
    let watch = BodyWatch::of(request.extensions());
    let client = client::network_of(request.extensions());
    let key = upload_key(request.headers())?;
    let mut upload = pictures.intake.begin_upload(client, key).await?;
    upload.lives_for(lives);
    let sender = upload.sender();
    let read = async {
        let mut body = request.into_body().into_data_stream();
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|_| broken_body(pictures, &watch))?;
            upload.write(&chunk).await?;
        }
        Ok(upload)
    };
    let upload = unless(pictures, &sender, &watch, read).await?;
    Ok(upload.finish().await?)
}

/// Reads an upload to its end, unless its sender is called off to make room for others.
///
/// # Errors
/// `timeout` where the sender is called off, or what reading it says.
pub(crate) async fn unless<T>(
    pictures: &Pictures,
    sender: &Sender,
    watch: &BodyWatch,
    read: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::select! {
        biased;
        read = read => read,
        () = sender.called_off.cancelled() => {
            watch.give_up();
            pictures.intake.note_called_off(sender);
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
    lives: Option<Retention>,
) -> Result<Accepted, Error> {
    refuse_by_length(pictures, request.headers())?;
    let watch = BodyWatch::of(request.extensions());
    let client = client::network_of(request.extensions());
    let key = upload_key(request.headers())?;
    let body = request.into_body().into_data_stream();
    receive_field(
        pictures,
        multer::Multipart::new(body, boundary),
        &watch,
        client,
        key,
        lives,
    )
    .await
}

/// Receives the file of a form that holds exactly one, in the field `file`. The form may also say
/// in the field `expires_in` how long the picture shall live; else that is `lives`, or the site's
/// retention. `watch` belongs to the body that the form is read from.
///
/// # Errors
/// What is wrong with the form, or why no upload is taken now.
pub(crate) async fn receive_field(
    pictures: &Arc<Pictures>,
    mut form: multer::Multipart<'static>,
    watch: &BodyWatch,
    client: ClientNetwork,
    key: Option<UploadKey>,
    mut lives: Option<Retention>,
) -> Result<Accepted, Error> {
    let one_file = || {
        Error::new(
            ErrorCode::Malformed,
            "The form must hold exactly one picture, as a file in the field `file`. Please choose one and send it again.",
        )
    };
    // An upload waits for its turn before its first byte is read, because a form's head is kept in
    // memory.
    let upload = pictures.intake.begin_upload(client, key).await?;
    let sender = upload.sender();
    let read = async {
        let (mut waiting, mut received) = (Some(upload), None);
        let mut has_time = false;
        loop {
            watch.expect_form_head();
            let field = form.next_field().await;
            let Some(mut field) = field.map_err(|error| form_error(pictures, &error, watch))?
            else {
                break;
            };
            let is_expires_in = field.name() == Some(EXPIRES_IN);
            let is_file = field.name() == Some("file");
            // A time is short, so its field may hold no more than the head of a form.
            if is_file {
                watch.expect_content();
            }
            let mut chunk = async || {
                let chunk = field.chunk().await;
                chunk.map_err(|error| form_error(pictures, &error, watch))
            };
            if is_expires_in {
                if has_time {
                    let twice = format!("The form has the field `{EXPIRES_IN}` twice.");
                    return Err(Error::new(ErrorCode::Malformed, twice));
                }
                has_time = true;
                let mut text = Vec::new();
                while let Some(bytes) = chunk().await? {
                    text.extend_from_slice(&bytes);
                    // One byte too many says enough.
                    text.truncate(LONGEST_TIME + 1);
                }
                let retention = pictures.intake.retention();
                let text = str::from_utf8(&text)
                    .ok()
                    .filter(|text| text.len() <= LONGEST_TIME)
                    .ok_or_else(|| lives::bad(EXPIRES_IN, retention))?;
                lives = lives::parse(text, pictures.intake.retention())?.or(lives);
                continue;
            }
            let mut incoming = waiting.take().filter(|_| is_file).ok_or_else(one_file)?;
            while let Some(bytes) = chunk().await? {
                incoming.write(&bytes).await?;
            }
            received = Some(incoming);
        }
        let mut received: IncomingUpload = received.ok_or_else(one_file)?;
        received.lives_for(lives);
        Ok(received)
    };
    let upload = unless(pictures, &sender, watch, read).await?;
    Ok(upload.finish().await?)
}

/// Refuses a client that asks before it sends (`Expect: 100-continue`) whether it may send more
/// than is taken.
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

/// The error for a form that cannot be read on.
pub(crate) fn form_error(pictures: &Pictures, error: &multer::Error, watch: &BodyWatch) -> Error {
    match error {
        multer::Error::StreamReadFailed(_) => broken_body(pictures, watch),
        _ => malformed_form(),
    }
}

/// The error for a body that cannot be read on.
pub(crate) fn broken_body(pictures: &Pictures, watch: &BodyWatch) -> Error {
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
