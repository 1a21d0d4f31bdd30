//! The protocol of catbox and litterbox: a form whose field `reqtype` says what is asked for, and
//! an answer of one line. A client that sends a `userhash` can delete by it what it uploaded with
//! it.

use axum::Extension;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::domain::client::ClientNetwork;
use crate::http::direct::id_in;
use crate::http::error::Error;
use crate::http::lives::parse_elsewhere;
use crate::http::protocols::content::by_url;
use crate::http::protocols::incoming::{
    Fields, Texts, is_urlencoded, malformed, read_texts, receive,
};
use crate::http::protocols::{Outcome, delete, direct_link, line, outcome, owner_secret};
use crate::http::state::AppState;

/// The field that says how long a picture shall live, such as `72h`.
const TIME: &str = "time";
const FIELDS: Fields = Fields {
    picture: &["fileToUpload"],
    texts: &["reqtype", "userhash", TIME],
    bare: false,
};
/// The fields of a request to delete.
const OF_DELETION: &[&str] = &["reqtype", "userhash", "files"];
/// The longest form that may ask to delete, in bytes. What is longer is an upload.
const SMALL: u64 = 8 * 1024;
/// The most pictures that one request deletes.
const MOST_DELETED: usize = 32;

/// `POST /resources/internals/api.php` and `POST /user/api.php`.
pub(crate) async fn ask(
    State(state): State<AppState>,
    Extension(client): Extension<ClientNetwork>,
    request: Request,
) -> Result<Response, Error> {
    let request = match small_body(request).await? {
        Read::Small(headers, texts, request) => match texts.get("reqtype") {
            Some("deletefiles") => return delete_files(&state, client, &texts).await,
            Some("urlupload") => return Err(by_url()),
            _ if is_urlencoded(&headers) => return Err(no_request()),
            _ => request,
        },
        Read::Large(request) => request,
    };
    let received = receive(&state, request, &FIELDS, None).await?;
    match received.texts.get("reqtype") {
        Some("fileupload") | None => {}
        Some("urlupload") => return Err(by_url()),
        Some(_) => return Err(no_request()),
    }
    let owner = owner_secret(received.texts.get("userhash"))?;
    let site = state.pictures.intake.retention();
    let lives = parse_elsewhere(TIME, received.texts.get(TIME), site)?;
    let accepted = received.accept(owner, lives).await?;
    Ok(match outcome(&state, accepted).await? {
        // Clients of these hosts expect the link and nothing behind it.
        Outcome::Published(uploaded) => {
            let link = direct_link(&state, &uploaded.published);
            let token = [("x-token", uploaded.delete_token.expose().to_owned())];
            (StatusCode::OK, token, link).into_response()
        }
        Outcome::Pending(message) => line(StatusCode::ACCEPTED, &message),
    })
}

fn no_request() -> Error {
    malformed("`reqtype` must be `fileupload` or `deletefiles`. Nothing else is done here.")
}

/// A request, with its texts where it is so small that it may ask for something else than an
/// upload.
enum Read {
    Small(HeaderMap, Texts, Request),
    Large(Request),
}

/// Reads a request that announces a small body, which goes on with that body.
async fn small_body(request: Request) -> Result<Read, Error> {
    let announced = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<u64>().ok());
    if announced.is_none_or(|length| length > SMALL) {
        return Ok(Read::Large(request));
    }
    let (parts, body) = request.into_parts();
    let bytes = to_bytes(body, SMALL as usize)
        .await
        .map_err(|_| malformed("The request ended before all of it had arrived."))?;
    let headers = parts.headers.clone();
    let texts = read_texts(&headers, bytes.clone(), OF_DELETION).await?;
    let request = Request::from_parts(parts, Body::from(bytes));
    Ok(Read::Small(headers, texts, request))
}

/// Deletes the files that are named, each by its file name or its link.
async fn delete_files(
    state: &AppState,
    client: ClientNetwork,
    texts: &Texts,
) -> Result<Response, Error> {
    let Some(secret) = texts.get("userhash").filter(|secret| !secret.is_empty()) else {
        return Err(Error::new(
            app::error::ErrorCode::Unauthorized,
            "Deleting needs the `userhash` that the picture was uploaded with, or its delete token.",
        ));
    };
    let files = texts.get("files").unwrap_or_default();
    let ids: Option<Vec<_>> = files.split_whitespace().map(id_in).collect();
    let ids = ids.ok_or_else(Error::not_found)?;
    if ids.is_empty() || ids.len() > MOST_DELETED {
        return Err(malformed(format!(
            "`files` must name 1 to {MOST_DELETED} pictures by their file names, with a space between them."
        )));
    }
    for id in &ids {
        delete(state, client, id, secret).await?;
    }
    Ok((StatusCode::OK, "Files successfully deleted.").into_response())
}
