//! The protocol of 0x0 and rustypaste: a form with a `file`, sent to the site itself, and an answer
//! of one line. The file is deleted at its own address: 0x0 posts the token that came in `X-Token`,
//! rustypaste sends `DELETE` with the secret that it uploads with.

use std::time::Duration;

use app::error::ErrorCode;
use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;

use crate::domain::client::ClientNetwork;
use crate::domain::picture::PictureId;
use crate::http::direct::id_in;
use crate::http::error::Error;
use crate::http::lives::{self, parse_elsewhere};
use crate::http::protocols::content::by_url;
use crate::http::protocols::incoming::{Fields, malformed, read_texts, receive};
use crate::http::protocols::{Outcome, delete, direct_link, line, outcome, owner_secret};
use crate::http::state::AppState;
use crate::pictures::Status;

/// The field in which 0x0 is told how long a file shall live: in hours, or until when, in
/// milliseconds since 1970.
const EXPIRES: &str = "expires";
/// The header in which rustypaste is told the same, such as `10min`.
const EXPIRE: &str = "expire";
/// From this number on 0x0 reads an instant and no number of hours.
const FIRST_INSTANT: u64 = 1_650_460_320_000;
const FIELDS: Fields = Fields {
    picture: &["file"],
    texts: &["url", "remote", "oneshot", "oneshot_url", EXPIRES],
    bare: false,
};
/// The longest form that asks to delete, in bytes.
pub(crate) const DELETION_FORM: u64 = 4096;

/// `POST /`.
pub(crate) async fn upload(
    State(state): State<AppState>,
    request: Request,
) -> Result<Response, Error> {
    let owner = owner_secret(secret(request.headers()))?;
    let site = state.pictures.intake.retention();
    let expire = request.headers().get(EXPIRE).map(|expire| {
        let text = expire.to_str();
        text.map_err(|_| malformed(format!("`{EXPIRE}` must be plain text.")))
    });
    let in_header = parse_elsewhere(EXPIRE, expire.transpose()?, site)?;
    let received = receive(&state, request, &FIELDS, None).await?;
    let said = |name| received.texts.get(name).is_some();
    if said("url") || said("remote") || said("oneshot_url") {
        return Err(by_url());
    }
    if said("oneshot") {
        return Err(malformed(
            "Pictures here can be seen more than once, so there is no `oneshot`.",
        ));
    }
    let in_form = match received.texts.get(EXPIRES) {
        Some(text) => lives::at_most(EXPIRES, span_of(text, &state)?, site)?,
        None => None,
    };
    let accepted = received.accept(owner, in_form.or(in_header)).await?;
    Ok(match outcome(&state, accepted).await? {
        Outcome::Published(uploaded) => {
            let mut response = line(StatusCode::OK, &direct_link(&state, &uploaded.published));
            let headers = response.headers_mut();
            let milliseconds = uploaded.published.expires_at.second() * 1000;
            headers.insert("x-expires", milliseconds.into());
            if let Ok(token) = uploaded.delete_token.expose().parse() {
                headers.insert("x-token", token);
            }
            response
        }
        Outcome::Pending(message) => line(StatusCode::ACCEPTED, &message),
    })
}

/// The time that 0x0 means by this text.
fn span_of(text: &str, state: &AppState) -> Result<Duration, Error> {
    let number: u64 = text.trim().parse().map_err(|_| {
        malformed("`expires` must be a number of hours, or of milliseconds since 1970.")
    })?;
    let seconds = if number < FIRST_INSTANT {
        number.saturating_mul(3600)
    } else {
        // An instant that is past asks for the shortest of lives, which is too short.
        let now = state.clock.now().as_second().unsigned_abs();
        (number / 1000).saturating_sub(now).max(1)
    };
    Ok(Duration::from_secs(seconds))
}

/// `DELETE /c/{id}`, as rustypaste's client sends it: with the secret or the token of the picture
/// in `Authorization`, as it is or as a bearer's.
pub(crate) async fn delete_with_secret(
    State(state): State<AppState>,
    Extension(client): Extension<ClientNetwork>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let id = living(&state, &name).await?;
    let word = secret(&headers).ok_or_else(no_word)?;
    delete_for(&state, client, &id, word).await
}

/// `POST /c/{id}` with a form that holds `token` and `delete`, as 0x0 takes it.
pub(crate) async fn delete_with_form(
    State(state): State<AppState>,
    Extension(client): Extension<ClientNetwork>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Error> {
    let id = living(&state, &name).await?;
    let texts = read_texts(&headers, body, &["token", "delete"]).await?;
    let word = texts.get("token").ok_or_else(no_word)?;
    if texts.get("delete").is_none() {
        return Err(malformed(
            "All that can be done to a picture here is to delete it, with the field `delete`.",
        ));
    }
    delete_for(&state, client, &id, word).await
}

/// The id in a direct link. Of a picture that is over, every method is told so before anything else
/// is asked for.
async fn living(state: &AppState, name: &str) -> Result<PictureId, Error> {
    let id = id_in(name).ok_or_else(Error::not_found)?;
    match state.pictures.reading.status(&id).await? {
        Status::Gone { .. } => Err(Error::gone()),
        Status::Screening | Status::Published(_) | Status::Rejected(_) | Status::Unknown => Ok(id),
    }
}

async fn delete_for(
    state: &AppState,
    client: ClientNetwork,
    id: &PictureId,
    word: &str,
) -> Result<Response, Error> {
    delete(state, client, id, word).await?;
    Ok(line(StatusCode::OK, "The picture was deleted."))
}

/// The secret in `Authorization`. One with another scheme than a bearer's is for somebody else.
fn secret(headers: &HeaderMap) -> Option<&str> {
    let word = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim();
    match word.split_once(' ') {
        None => Some(word),
        Some((scheme, word)) if scheme.eq_ignore_ascii_case("bearer") => Some(word.trim()),
        Some(_) => None,
    }
}

fn no_word() -> Error {
    Error::new(
        ErrorCode::Unauthorized,
        "Deleting a picture needs its delete token, or the secret that it was uploaded with.",
    )
}
