//! The route table, then the layers in order. Only here and below is HTTP known.

pub mod answers;
pub(crate) mod api;
pub(crate) mod assets;
pub(crate) mod backend;
pub(crate) mod body;
pub mod cache;
pub(crate) mod client;
pub(crate) mod connections;
pub(crate) mod count;
mod descriptors;
pub(crate) mod documents;
pub(crate) mod error;
mod foreign;
pub mod guesses;
pub(crate) mod health;
mod held;
pub(crate) mod images;
pub(crate) mod list;
pub(crate) mod pages;
pub mod readers;
pub(crate) mod security;
pub mod shares;
mod spelling;
pub(crate) mod status;
pub(crate) mod upload;
pub(crate) mod views;

use app::error::ErrorCode;
use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{any, get, post};

use crate::domain::picture::PictureId;
use crate::http::error::Error;
use crate::pictures::Status;
use crate::state::AppState;

/// The whole site.
pub fn router(state: AppState) -> Router {
    Router::new()
        .route("/i/{expires}/{id}/{name}", any(images::get_image))
        .route("/pkg/{name}", get(assets::get_asset))
        .route("/favicon.svg", get(assets::get_favicon))
        .route(
            "/api/v1/pictures",
            get(api::list_pictures)
                .post(upload::upload_picture)
                .put(upload::upload_picture),
        )
        .route(
            "/api/v1/pictures/{id}",
            // `curl -T` appends the file's name, which is ignored.
            get(api::get_picture)
                .delete(api::delete_picture)
                .put(upload::upload_picture),
        )
        .route("/upload", post(upload::upload_form))
        .route("/api/v1/tags", get(api::list_tags))
        .route("/random", get(api::random_picture))
        .route("/status.json", get(status::get_status))
        .route("/delete/{id}/{token}", post(pages::delete_picture))
        .route("/robots.txt", get(documents::robots))
        .route("/.well-known/security.txt", get(documents::security))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .merge(pages::routes(&state))
        .method_not_allowed_fallback(method_not_allowed)
        // Innermost first, so a request meets them from the last to the first: its client is identified and has a share of
        // requests under way, changes that another site's page sent are refused, its body is bounded, it waits for a turn
        // where its answer must be made, and its address must be in the canonical spelling.
        // The answer goes the other way: it is put in words for a browser, gets its content security policy and ETag, then
        // its cache headers, is counted, and keeps its client's share until it was sent.
        .layer(from_fn(spelling::insist_on_spelling))
        .layer(from_fn(pages::answer_functions_in_json))
        .layer(from_fn(pages::check_form))
        // Only once the body is there and the client is known: who takes a turn is not waited for.
        .layer(from_fn_with_state(state.clone(), answers::take_turn))
        .layer(from_fn_with_state(
            state.scan_shares.clone(),
            shares::share_scans,
        ))
        .layer(from_fn_with_state(state.clone(), body::bound_body))
        .layer(from_fn(foreign::refuse_foreign_changes))
        .layer(from_fn_with_state(state.clone(), client::identify))
        .layer(from_fn_with_state(state.clone(), pages::explain_errors))
        .layer(from_fn_with_state(
            state.clone(),
            security::write_security_headers,
        ))
        .layer(from_fn_with_state(
            state.clock.clone(),
            cache::write_cache_headers,
        ))
        .layer(from_fn_with_state(
            state.traffic.clone(),
            count::count_traffic,
        ))
        .layer(from_fn(shares::hold_until_sent))
        .with_state(state)
}

/// A picture that is over answers so to every method.
async fn method_not_allowed(State(state): State<AppState>, uri: Uri) -> Error {
    let id = ["/c/", "/api/v1/pictures/"]
        .into_iter()
        .find_map(|prefix| uri.path().strip_prefix(prefix))
        .and_then(PictureId::parse);
    if let Some(id) = id
        && let Ok(Status::Gone { .. }) = state.pictures.status(&id).await
    {
        return Error::gone();
    }
    not_allowed()
}

fn not_allowed() -> Error {
    Error::new(
        ErrorCode::MethodNotAllowed,
        "This address does not support that method. Please check both.",
    )
}
