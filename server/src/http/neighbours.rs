//! The neighbours of a picture in a list, by which visitors go on from its page. Pages are cached
//! for as long as their picture lives, so they cannot name its neighbours; they link to an address
//! that redirects to whichever picture is the neighbour by then.

use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::db::ListFilter;
use crate::domain::expiry::ExpiresAt;
use crate::domain::picture::PictureId;
use crate::http::cache::CachePolicy;
use crate::http::error::Error;
use crate::http::list::{filter_of, parse_query};
use crate::http::state::AppState;
use crate::pictures::Status;

/// The parameters of both addresses: what the list was searched for.
pub(crate) const PARAMETERS: &[&str] = &["q"];

/// How long everyone is led to the same neighbour, in seconds.
const SLOT: i64 = 60;

/// `GET /next/{id}[?q=…]`: redirects to the next older picture, in all of them or in a search.
pub(crate) async fn next(
    State(state): State<AppState>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Error> {
    neighbour(&state, &id, query, |filter, sequence| ListFilter {
        before: Some(sequence),
        ..filter
    })
    .await
}

/// `GET /previous/{id}[?q=…]`: redirects to the next newer picture, in all of them or in a search.
pub(crate) async fn previous(
    State(state): State<AppState>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Error> {
    neighbour(&state, &id, query, |filter, sequence| ListFilter {
        after: Some(sequence),
        ..filter
    })
    .await
}

/// Redirects to the first picture that `beside` leaves in the list, or to the list itself where
/// there is none or the picture is over. The list stands in the fragment of the picture's address,
/// where no cache sees it.
async fn neighbour(
    state: &AppState,
    id: &str,
    query: Option<String>,
    beside: impl FnOnce(ListFilter, i64) -> ListFilter,
) -> Result<Response, Error> {
    let id = PictureId::parse(id).ok_or_else(Error::not_found)?;
    let query = parse_query(query.as_deref().unwrap_or_default(), PARAMETERS)?;
    let list = query.to_query_string();
    let of_list = if list.is_empty() {
        "/".to_owned()
    } else {
        format!("/search?{list}")
    };
    let published = match state.pictures.reading.status(&id).await? {
        Status::Published(published) => published,
        Status::Gone { .. } => return redirect(&of_list),
        Status::Screening | Status::Rejected(_) | Status::Unknown => {
            return Err(Error::not_found());
        }
    };
    let all = filter_of(&query)?;
    let filter = beside(ListFilter { limit: 1, ..all }, published.sequence);
    let found = state.pictures.reading.list(&filter).await?.pop();
    let place = if list.is_empty() { "" } else { "#" };
    let location = match &found {
        Some(found) => format!("/c/{}{place}{list}", found.id),
        None => of_list,
    };
    let leads_to = found.unwrap_or(*published);
    let now = state.clock.now().as_second();
    let ends = now - now.rem_euclid(SLOT) + SLOT;
    let policy = CachePolicy::Slot {
        // As for every slot, but only until one second before the picture expires.
        ends: leads_to.expires_at.min(ExpiresAt::from_second(ends + 1)),
        id: leads_to.id,
    };
    Ok((Extension(policy), redirect(&location)?).into_response())
}

fn redirect(path: &str) -> Result<Response, Error> {
    let location = HeaderValue::try_from(path).map_err(|_| Error::internal())?;
    Ok((StatusCode::FOUND, [(header::LOCATION, location)]).into_response())
}
