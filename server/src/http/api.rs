//! `/api/v1`: reads and deletes pictures as JSON. Uploads have a file of their own.

use app::error::ErrorCode;
use app::types::{ListQuery, PicturePage};
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};

use crate::domain::client::ClientNetwork;
use crate::domain::expiry::ExpiresAt;
use crate::domain::picture::PictureId;
use crate::http::cache::CachePolicy;
use crate::http::error::Error;
use crate::http::images::robots_tag;
use crate::http::list;
use crate::http::state::AppState;
use crate::http::views;
use crate::pictures::Status;

/// How long `/random` leads everyone to the same picture, in seconds.
const SLOT: i64 = 60;

/// `GET /api/v1/pictures?q=&tag=&after=&limit=`, or `?ids=`
pub(crate) async fn list_pictures(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
) -> Result<Response, Error> {
    let query = list::parse_query(query.as_deref().unwrap_or_default(), list::PARAMETERS)?;
    let (page, policy) = list::list_pictures(&state.pictures, &state.site, &query).await?;
    let links = neighbouring_pages(&query, &page);
    let mut response = (Extension(policy), Json(page)).into_response();
    if let Ok(links) = HeaderValue::try_from(links)
        && !links.is_empty()
    {
        response.headers_mut().insert(header::LINK, links);
    }
    Ok(response)
}

/// The addresses of the next page and the one before, as the header `Link` has them (RFC 8288).
fn neighbouring_pages(query: &ListQuery, page: &PicturePage) -> String {
    let link = |relation: &str, after: &String| {
        let page = ListQuery {
            after: after.clone(),
            ..query.clone()
        };
        let query = page.to_query_string();
        let separator = if query.is_empty() { "" } else { "?" };
        format!("</api/v1/pictures{separator}{query}>; rel=\"{relation}\"")
    };
    let next = page.next.as_ref().map(|after| link("next", after));
    let previous = page.previous.as_ref().map(|after| link("prev", after));
    next.into_iter()
        .chain(previous)
        .collect::<Vec<_>>()
        .join(", ")
}

/// `GET /api/v1/tags`
pub(crate) async fn list_tags(State(state): State<AppState>) -> Result<Response, Error> {
    let (tags, policy) = list::list_tags(&state.pictures).await?;
    Ok((Extension(policy), Json(tags)).into_response())
}

/// `GET /api/v1/pictures/{id}`: the picture, or the state of its screening.
pub(crate) async fn get_picture(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Response, Error> {
    let id = PictureId::parse(&id).ok_or_else(Error::not_found)?;
    match state.pictures.reading.status(&id).await? {
        Status::Published(published) => {
            let policy = CachePolicy::Picture {
                expires_at: published.expires_at,
                id,
            };
            let robots = [("x-robots-tag", robots_tag(published.expires_at))];
            let view = views::picture(&state.site, &published);
            Ok((Extension(policy), robots, Json(view)).into_response())
        }
        Status::Screening => Ok(Json(views::pending(&state.site, &id)).into_response()),
        Status::Rejected(reason) => Err(reason.into()),
        Status::Gone { .. } => Err(Error::gone()),
        Status::Unknown => Err(Error::not_found()),
    }
}

/// `GET /random`: redirects to a picture, which is the same for everyone within a minute.
pub(crate) async fn random_picture(State(state): State<AppState>) -> Result<Response, Error> {
    let now = state.clock.now().as_second();
    let begins = now - now.rem_euclid(SLOT);
    let ends = ExpiresAt::from_second(begins + SLOT);
    let Some(published) = state.pictures.reading.choose(begins, ends.second()).await? else {
        return Err(Error::not_found());
    };
    let policy = CachePolicy::Slot {
        // The redirect may be kept to the end of the slot, but only until one second before the
        // picture expires.
        ends: published
            .expires_at
            .min(ExpiresAt::from_second(ends.second() + 1)),
        id: published.id.clone(),
    };
    let location =
        HeaderValue::try_from(format!("/c/{}", published.id)).map_err(|_| Error::internal())?;
    let headers = [(header::LOCATION, location)];
    Ok((StatusCode::FOUND, Extension(policy), headers).into_response())
}

/// `DELETE /api/v1/pictures/{id}[?ban=true]` with the picture's or the admin's token as bearer.
/// Only an admin can ban.
pub(crate) async fn delete_picture(
    State(state): State<AppState>,
    Extension(client): Extension<ClientNetwork>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<StatusCode, Error> {
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or_else(|| {
            Error::new(
                ErrorCode::Unauthorized,
                "Deleting a picture needs its delete token. Please send it as `Authorization: Bearer TOKEN`.",
            )
        })?;
    let id = PictureId::parse(&id).ok_or_else(Error::not_found)?;
    if parse_ban(query.as_deref().unwrap_or_default())? {
        let ban = state.pictures.endings.ban(&id, token);
        state.guesses.guard(client, ban).await?;
    } else {
        let own = state.pictures.endings.delete_own(&id, token, client);
        let guess = state.pictures.endings.delete_as_admin(&id, token);
        state.guesses.owner_or(client, own, guess).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Parses `ban` from the query, which may be `true`, `false` or absent. Anything else is refused:
/// after a typing error, a picture that an admin believes banned could otherwise come back.
fn parse_ban(query: &str) -> Result<bool, Error> {
    let mut parameters = url::form_urlencoded::parse(query.as_bytes());
    let first = parameters.next();
    let first = first
        .as_ref()
        .map(|(name, value)| (name.as_ref(), value.as_ref()));
    match (first, parameters.next()) {
        (None | Some(("ban", "false")), None) => Ok(false),
        (Some(("ban", "true")), None) => Ok(true),
        _ => Err(Error::new(
            ErrorCode::Malformed,
            "The only parameter here is `ban`, which must be `true` or `false`. Nothing was deleted.",
        )),
    }
}
