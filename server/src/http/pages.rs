//! The pages: the wiring of Leptos, the forms that work without scripts, and errors as pages for
//! browsers.

use std::sync::Arc;

use app::backend::Interstitial;
use app::error::{ApiError, ErrorBody};
use app::{App, shell};
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use leptos::prelude::provide_context;
use leptos_axum::{LeptosRoutes, generate_route_list, render_app_async_with_context};

use crate::domain::client::ClientNetwork;
use crate::domain::picture::PictureId;
use crate::http::answers::{self, Turn, accepts_html};
use crate::http::backend::ServerBackend;
use crate::http::cache::{CachePolicy, IsPage, Shown};
use crate::http::declared::{Caching, Declarations};
use crate::http::error::Error;
use crate::http::handling::{Handling, is_for_machines};
use crate::http::images::robots_tag;
use crate::http::receive::{self, receive_form};
use crate::http::shares::UnderWay;
use crate::http::state::AppState;
use crate::http::upload::{self, DEFAULT_WAIT};

/// The prefix of the server functions.
const FUNCTIONS: &str = "/api/ui/";
/// The most bytes of a server function's error. None comes near this; it only bounds the buffer.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// Every declared page of the app, its server functions, and the page for what is not found. A page
/// without a declaration is left out.
pub(crate) fn routes(state: &AppState, declarations: &Declarations) -> Router<AppState> {
    let mut pages = generate_route_list(App);
    pages.retain(|page| declarations.names_page(page.path()));
    let context = {
        let state = state.clone();
        move || provide_context(ServerBackend::of_request(state.clone()))
    };
    Router::new()
        .leptos_routes_with_context(state, pages, context, shell)
        .layer(from_fn(attach_page_policy))
        .fallback({
            let declarations = declarations.clone();
            move |method, uri| not_found(declarations, method, uri)
        })
}

/// Attaches the cache policy of what a page shows. A page that shows no picture gets the policy
/// that its address declares; where there is none either, the page is not kept, because it waits
/// for something.
async fn attach_page_policy(mut request: Request, next: Next) -> Response {
    let shown = Shown::default();
    request.extensions_mut().insert(shown.clone());
    let mut response = next.run(request).await;
    if let Some(policy) = shown.policy().filter(|_| response.status().is_success()) {
        if let CachePolicy::Picture { expires_at, .. } = policy {
            let tag = robots_tag(expires_at);
            response.headers_mut().insert("x-robots-tag", tag);
        }
        response.extensions_mut().insert(policy);
    }
    response.extensions_mut().insert(IsPage);
    response
}

/// `POST /upload`: the form that works without scripts, and what a phone shares with the site. The
/// answer is a page with the links, or one that explains the error.
pub(crate) async fn upload_picture(State(state): State<AppState>, request: Request) -> Response {
    let done = async {
        let accepted = receive_form(&state.pictures, request).await?;
        upload::answer(&state, accepted, DEFAULT_WAIT).await
    };
    match done.await {
        Ok(view) => {
            let status = upload::status(&view);
            let page = Interstitial::Uploaded(Box::new(view));
            let mut response = render_interstitial(&state, page).await;
            *response.status_mut() = status;
            response
        }
        Err(error) => render_error(&state, error.0, None).await,
    }
}

/// `POST /delete/{id}/{token}`: the confirmed deletion, answered with a page.
pub(crate) async fn delete_picture(
    State(state): State<AppState>,
    Extension(client): Extension<ClientNetwork>,
    Path((id, token)): Path<(String, String)>,
) -> Response {
    let done = match PictureId::parse(&id) {
        Some(id) => {
            let deletion = state.pictures.endings.delete_own(&id, &token, client);
            state.guesses.owner(client, deletion).await
        }
        None => Err(Error::not_found()),
    };
    let page = match done {
        Ok(()) => Interstitial::Deleted,
        Err(error) => Interstitial::Error(error.0),
    };
    render_interstitial(&state, page).await
}

/// The page that explains an error, made in this turn or in one of its own. It is a plain page
/// where too many pages are being made.
pub(crate) async fn render_error(
    state: &AppState,
    error: ApiError,
    turn: Option<Turn>,
) -> Response {
    let turn = match turn {
        Some(turn) => Ok(turn),
        None => state.answers.turn().await,
    };
    match turn {
        Ok(turn) => {
            let mut page = render_interstitial(state, Interstitial::Error(error)).await;
            page.extensions_mut().insert(turn);
            page
        }
        // Caches keep one page for everyone, and it must not be this one.
        Err(crowded)
            if StatusCode::from_u16(error.code.status())
                .is_ok_and(|status| CachePolicy::of_absence(status).is_some()) =>
        {
            answers::plain_page(&crowded.0)
        }
        Err(_) => answers::plain_page(&error),
    }
}

/// A page outside the router: the outcome of a form, or an error.
pub(crate) async fn render_interstitial(state: &AppState, page: Interstitial) -> Response {
    let error = match &page {
        Interstitial::Error(error) => Some(error.clone()),
        Interstitial::Uploaded(_) | Interstitial::Deleted => None,
    };
    let handler = {
        let state = state.clone();
        render_app_async_with_context(
            move || {
                provide_context(ServerBackend::of_request(state.clone()));
                provide_context(page.clone());
            },
            shell,
        )
    };
    let mut response = handler(Request::new(Body::empty())).await;
    if let Some(error) = error {
        *response.status_mut() =
            StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if let Some(seconds) = error.retry_after() {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
    }
    response
}

/// Answers an address at which there is nothing. With a slash too many it is redirected to the
/// address without it, where there is one; an upload is sent there again as it is.
async fn not_found(
    declarations: Declarations,
    method: Method,
    uri: Uri,
) -> Result<Response, Error> {
    let path = uri.path().trim_end_matches('/');
    // What lies below these is named by us alone, and the CDN answers it by itself.
    let is_file = ["/i/", "/pkg/"].iter().any(|start| path.starts_with(start));
    if path.len() == uri.path().len() || is_file {
        return Err(Error::not_found());
    }
    let caching = declarations.caching(path).ok_or_else(Error::not_found)?;
    let address = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let location = HeaderValue::try_from(address).map_err(|_| Error::not_found())?;
    let status = match method {
        Method::GET | Method::HEAD => StatusCode::MOVED_PERMANENTLY,
        _ => StatusCode::PERMANENT_REDIRECT,
    };
    let response = (status, [(header::LOCATION, location)]).into_response();
    // An address that nobody may keep may hold a secret, and so does the way to it.
    Ok(match caching {
        Caching::Kept(..) => (Extension(CachePolicy::Redirect), response).into_response(),
        Caching::Never => response,
    })
}

/// Replaces an error by a page that explains it, where a browser asked for a page.
pub(crate) async fn explain_errors(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    let wants_page = accepts_html(request.headers());
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let is_page_path = !is_for_machines(request.uri().path());
    if Handling::of(&request).protocol(request.method()).is_some() {
        // The client of another host reads its own words.
        return next.run(request).await;
    }
    let mut response = next.run(request).await;
    // The framework refuses a path that is not valid UTF-8, in its own words.
    if response.status() == StatusCode::BAD_REQUEST
        && response.extensions().get::<ApiError>().is_none()
    {
        let ours = response
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| !kind.as_bytes().starts_with(b"text/plain"));
        if !ours {
            response = Error::not_found().into_response();
        }
    }
    let Some(error) = response.extensions_mut().remove::<ApiError>() else {
        return response;
    };
    // What caches keep must read the same for everyone, so under the paths of pages it is always a
    // page.
    let kept = reads && CachePolicy::of_absence(response.status()).is_some();
    if !is_page_path || !(wants_page || kept) {
        return response;
    }
    let extensions = response.extensions_mut();
    let (policy, turn) = (
        extensions.remove::<CachePolicy>(),
        extensions.remove::<Turn>(),
    );
    let under_way = extensions.remove::<Arc<UnderWay>>();
    let mut page = render_error(&state, error, turn).await;
    let extensions = page.extensions_mut();
    extensions.insert(IsPage);
    if let Some(policy) = policy {
        extensions.insert(policy);
    }
    if let Some(under_way) = under_way {
        extensions.insert(under_way);
    }
    page
}

/// Answers a body that is no form with a boundary before a server function parses it, which it does
/// unasked.
pub(crate) async fn check_form(request: Request, next: Next) -> Response {
    if request.method() == Method::POST && request.uri().path() == "/api/ui/upload" {
        match receive::multipart_boundary(request.headers()) {
            Ok(Some(_)) => {}
            Ok(None) => return receive::not_multipart().into_response(),
            Err(error) => return error.into_response(),
        }
    }
    next.run(request).await
}

/// Makes server functions answer as the API does. Leptos redirects a client that accepts HTML to
/// the `Referer`, with the error in the address, and answers 500 to whatever it cannot read. Here
/// every client gets JSON, and an error has the status of its code.
pub(crate) async fn answer_functions_in_json(mut request: Request, next: Next) -> Response {
    if !request.uri().path().starts_with(FUNCTIONS) {
        return next.run(request).await;
    }
    let json = HeaderValue::from_static("application/json");
    request.headers_mut().insert(header::ACCEPT, json);
    request.headers_mut().remove(header::REFERER);
    let response = next.run(request).await;
    if response.status() != StatusCode::INTERNAL_SERVER_ERROR {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let body = match to_bytes(body, MAX_ERROR_BYTES).await {
        Ok(body) => body,
        Err(error) => {
            tracing::error!(%error, "a server function's error could not be read");
            return Error::internal().into_response();
        }
    };
    if let Ok(ErrorBody { error }) = serde_json::from_slice(&body)
        && let Ok(status) = StatusCode::from_u16(error.code.status())
    {
        parts.status = status;
    }
    Response::from_parts(parts, Body::from(body))
}
