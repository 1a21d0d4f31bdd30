//! The protocol of imgbb, and that of Chevereto, from which it comes: a picture in the field
//! `image` or `source`. They differ in how the answer is nested.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::domain::picture::{Published, Variant};
use crate::domain::variant::{Format, VariantName};
use crate::http::direct::{self, direct_file};
use crate::http::error::Error;
use crate::http::lives::parse_elsewhere;
use crate::http::protocols::incoming::{Fields, receive};
use crate::http::protocols::{Outcome, Uploaded, direct_link, outcome};
use crate::http::receive::upload_key;
use crate::http::state::AppState;
use crate::http::upload;
use crate::http::views;

/// The field, or the parameter of the query, that says how long a picture shall live: in seconds
/// for imgbb, as ISO 8601 has it for Chevereto.
pub(crate) const EXPIRATION: &str = "expiration";
const FIELDS: Fields = Fields {
    picture: &["image", "source"],
    texts: &["type", EXPIRATION],
    bare: false,
};
/// The greatest width of the file that stands for the thumbnail, and of the one in the middle.
const THUMB: u32 = 192;
const MEDIUM: u32 = 768;

/// `POST /1/upload`, as imgbb answers it.
pub(crate) async fn upload_as_imgbb(
    State(state): State<AppState>,
    request: Request,
) -> Result<Response, Error> {
    Ok(match received(&state, request).await? {
        Outcome::Published(uploaded) => Json(json!({
            "data": picture(&state, &uploaded),
            "success": true,
            "status": 200,
        }))
        .into_response(),
        Outcome::Pending(message) => error(&message, StatusCode::ACCEPTED),
    })
}

/// `POST /api/1/upload`, as Chevereto answers it.
pub(crate) async fn upload_as_chevereto(
    State(state): State<AppState>,
    request: Request,
) -> Result<Response, Error> {
    Ok(match received(&state, request).await? {
        Outcome::Published(uploaded) => Json(json!({
            "status_code": 200,
            "success": { "message": "image uploaded", "code": 200 },
            "image": picture(&state, &uploaded),
            "status_txt": "OK",
        }))
        .into_response(),
        Outcome::Pending(message) => error(&message, StatusCode::ACCEPTED),
    })
}

async fn received(state: &AppState, request: Request) -> Result<Outcome, Error> {
    let key = upload_key(request.headers())?;
    let site = state.pictures.intake.retention();
    let in_query = upload::find(request.uri().query().unwrap_or_default(), EXPIRATION);
    let in_query = parse_elsewhere(EXPIRATION, in_query.as_deref(), site)?;
    let received = receive(state, request, &FIELDS, key).await?;
    let in_form = parse_elsewhere(EXPIRATION, received.texts.get(EXPIRATION), site)?;
    outcome(state, received.accept(None, in_form.or(in_query)).await?).await
}

/// What is told of a picture. Both protocols name these fields alike.
fn picture(state: &AppState, uploaded: &Uploaded) -> Value {
    let published = &*uploaded.published;
    let id = published.id.as_str();
    let link = direct_link(state, published);
    let file = direct_file(published);
    let (format, size) = file.map_or((Format::Jpeg, 0), |(format, file)| {
        (format, file.size_bytes)
    });
    let (width, height) = file.map_or((published.width, published.height), |(_, file)| {
        (file.width, file.height)
    });
    let image = json!({
        "filename": format!("{id}.{}", format.ending()),
        "name": id,
        "mime": format.content_type(),
        "extension": format.ending(),
        "url": link,
    });
    let now = state.clock.now().as_second();
    json!({
        "id": id,
        "name": id,
        "title": published.alt,
        "filename": image["filename"],
        "extension": image["extension"],
        "mime": image["mime"],
        "url_viewer": format!("{}/c/{id}", state.site.public_url),
        "url": link,
        "display_url": link,
        "width": width,
        "height": height,
        "size": size,
        "time": published.published_at,
        // How many seconds are left.
        "expiration": published.expires_at.second() - now,
        "image": image,
        "thumb": smaller(state, published, THUMB),
        "medium": smaller(state, published, MEDIUM),
        "delete_url": uploaded.delete_url(state),
    })
}

/// The file that is nearest to this width from above, or else the widest.
fn smaller(state: &AppState, published: &Published, width: u32) -> Value {
    let is_webp = |(name, _): &(VariantName, &Variant)| name.format() == Format::Webp;
    let fitting = published
        .readable()
        .filter(is_webp)
        .filter(|(name, _)| name.width() >= width)
        .min_by_key(|(name, _)| name.width())
        .map(|(_, file)| file);
    let file = fitting.or_else(|| direct::file(published, Format::Webp));
    file.map_or(Value::Null, |file| {
        json!({
            "filename": file.name.to_string(),
            "name": published.id.as_str(),
            "mime": Format::Webp.content_type(),
            "extension": Format::Webp.ending(),
            "url": views::image_url(&state.site, published, &file.name),
        })
    })
}

/// An error, as both protocols word it.
pub(super) fn error(message: &str, status: StatusCode) -> Response {
    let body = json!({
        "status_code": status.as_u16(),
        "error": { "message": message, "code": status.as_u16() },
        "status_txt": status.canonical_reason().unwrap_or_default(),
    });
    (status, Json(body)).into_response()
}
