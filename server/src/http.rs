//! The routes, then the layers in their order. Only this module and those below it know HTTP.

pub(crate) mod answers;
pub(crate) mod api;
pub(crate) mod assets;
pub(crate) mod backend;
pub(crate) mod body;
pub mod cache;
pub(crate) mod client;
pub(crate) mod connections;
pub(crate) mod contract;
pub(crate) mod count;
pub mod declared;
mod descriptors;
mod direct;
pub(crate) mod documents;
pub(crate) mod error;
mod feeds;
mod foreign;
pub(crate) mod guesses;
pub(crate) mod handling;
pub(crate) mod health;
mod held;
pub(crate) mod images;
pub(crate) mod list;
pub(crate) mod lives;
mod neighbours;
mod oembed;
pub(crate) mod pages;
pub(crate) mod protocols;
pub(crate) mod readers;
mod receive;
pub(crate) mod security;
pub(crate) mod shares;
mod sitemap;
mod spelling;
pub mod state;
pub(crate) mod status;
pub(crate) mod upload;
pub(crate) mod views;
mod xml;

use axum::Router;
use axum::extract::State;
use axum::http::{Method, Uri};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{any, get, post};

use crate::domain::picture::PictureId;
use crate::http::declared::Caching::{Kept, Never};
use crate::http::declared::{Declaration, Key, Kind, Route};
use crate::http::error::Error;
use crate::http::handling::{Protocol, Scans, Takes};
use crate::http::protocols::{catbox, chevereto, imgur, paste};
use crate::http::state::AppState;
use crate::pictures::Status;

/// Every address of the site, with what it declares to caches and to the layers.
fn routes() -> Vec<Route> {
    vec![
        // The bytes of pictures, and the files that pages load.
        Route::new(
            "/i/{expires}/{id}/{name}",
            Kept(Kind::Image, Key::Path),
            any(images::get_image),
        )
        .cheap(),
        Route::new(
            "/pkg/{name}",
            Kept(Kind::Immutable, Key::Path),
            get(assets::get_asset),
        )
        .cheap(),
        Route::new(
            "/favicon.svg",
            Kept(Kind::Document, Key::Path),
            get(assets::get_favicon),
        )
        .cheap(),
        // The pages.
        Route::page("/", Kept(Kind::List, Key::Query(&["after"])))
            .and(post(paste::upload))
            .takes(Takes::Upload, &[Method::POST])
            .speaks(Protocol::Line, &[Method::POST]),
        Route::page("/search", Kept(Kind::List, Key::Query(&["q", "after"]))).scans(Scans::Always),
        Route::page("/tags", Kept(Kind::List, Key::Query(&[]))).scans(Scans::Always),
        Route::page("/tags/{tag}", Kept(Kind::List, Key::Query(&["after"]))).scans(Scans::Always),
        Route::page("/c/{id}", Kept(Kind::Picture, Key::Path))
            .and(post(paste::delete_with_form).delete(paste::delete_with_secret))
            .takes(Takes::AtMost(paste::DELETION_FORM), &[Method::POST])
            .speaks(Protocol::Line, &[Method::POST, Method::DELETE]),
        Route::page("/upload", Kept(Kind::Document, Key::Path))
            .and(post(pages::upload_picture))
            .takes(Takes::Upload, &[Method::POST]),
        Route::page("/mine", Kept(Kind::Document, Key::Path)),
        Route::page("/about", Kept(Kind::Document, Key::Path)),
        Route::page("/docs", Kept(Kind::Document, Key::Path)),
        Route::page("/status", Kept(Kind::List, Key::Query(&[]))).scans(Scans::Always),
        // This address holds a secret.
        Route::page("/delete/{id}/{token}", Never).and(post(pages::delete_picture)),
        // What programs read and send.
        Route::new(
            "/api/v1/pictures",
            Kept(Kind::List, Key::Query(list::PARAMETERS)),
            get(api::list_pictures)
                .post(upload::upload_picture)
                .put(upload::upload_picture),
        )
        .takes(Takes::Upload, &[Method::POST, Method::PUT])
        .scans(Scans::WithQuery)
        .told(&["wait", lives::EXPIRES_IN]),
        Route::new(
            "/api/v1/pictures/{id}",
            Kept(Kind::Picture, Key::Path),
            // `curl -T` appends the file's name, which is ignored.
            get(api::get_picture)
                .delete(api::delete_picture)
                .put(upload::upload_picture),
        )
        .takes(Takes::Upload, &[Method::PUT])
        .told(&["wait", lives::EXPIRES_IN, "ban"]),
        Route::new(
            "/api/v1/tags",
            Kept(Kind::List, Key::Query(&[])),
            get(api::list_tags),
        )
        .scans(Scans::Always),
        Route::new(
            "/random",
            Kept(Kind::Slot, Key::Query(&[])),
            get(api::random_picture),
        )
        .scans(Scans::Always),
        Route::new(
            "/next/{id}",
            Kept(Kind::Slot, Key::Query(neighbours::PARAMETERS)),
            get(neighbours::next),
        )
        .scans(Scans::WithQuery),
        Route::new(
            "/previous/{id}",
            Kept(Kind::Slot, Key::Query(neighbours::PARAMETERS)),
            get(neighbours::previous),
        )
        .scans(Scans::WithQuery),
        Route::new(
            "/status.json",
            Kept(Kind::List, Key::Query(&[])),
            get(status::get_status),
        )
        .scans(Scans::Always),
        // What other sites, search engines and feed readers ask for.
        Route::new(
            "/oembed",
            Kept(Kind::List, Key::Query(oembed::PARAMETERS)),
            get(oembed::get),
        ),
        Route::new(
            "/sitemap.xml",
            Kept(Kind::List, Key::Query(&[])),
            get(sitemap::get),
        )
        .scans(Scans::Always),
        Route::new(
            "/feed.xml",
            Kept(Kind::List, Key::Query(feeds::PARAMETERS)),
            get(feeds::get),
        )
        .scans(Scans::WithQuery),
        Route::new(
            "/feed.json",
            Kept(Kind::List, Key::Query(feeds::PARAMETERS)),
            get(feeds::get),
        )
        .scans(Scans::WithQuery),
        Route::new(
            "/tags/{tag}/feed.xml",
            Kept(Kind::List, Key::Query(feeds::PARAMETERS_OF_TAG)),
            get(feeds::get_of_tag),
        )
        .scans(Scans::Always),
        Route::new(
            "/tags/{tag}/feed.json",
            Kept(Kind::List, Key::Query(feeds::PARAMETERS_OF_TAG)),
            get(feeds::get_of_tag),
        )
        .scans(Scans::Always),
        // What the clients of other hosts send.
        Route::upload("/3/image", Protocol::Imgur, post(imgur::upload)),
        Route::upload("/3/upload", Protocol::Imgur, post(imgur::upload)),
        Route::upload(
            "/3/image.xml",
            Protocol::ImgurXml,
            post(imgur::upload_in_xml),
        ),
        Route::upload(
            "/3/upload.xml",
            Protocol::ImgurXml,
            post(imgur::upload_in_xml),
        ),
        Route::new(
            "/3/image/{id}",
            Never,
            get(imgur::get).delete(imgur::delete_picture),
        )
        .speaks(
            Protocol::Imgur,
            &[Method::GET, Method::HEAD, Method::DELETE],
        ),
        Route::upload(
            "/1/upload",
            Protocol::Chevereto,
            post(chevereto::upload_as_imgbb),
        )
        .told(&[chevereto::EXPIRATION]),
        Route::upload(
            "/api/1/upload",
            Protocol::Chevereto,
            post(chevereto::upload_as_chevereto),
        )
        .told(&[chevereto::EXPIRATION]),
        Route::upload(
            "/resources/internals/api.php",
            Protocol::Line,
            post(catbox::ask),
        ),
        Route::upload("/user/api.php", Protocol::Line, post(catbox::ask)),
        // What the site's own islands send.
        Route::function("/api/ui/upload", Takes::Upload),
        Route::function("/api/ui/status", Takes::AtMost(body::STATUS_FORM)),
        // What makes the site an app.
        Route::new(
            "/manifest.webmanifest",
            Kept(Kind::Document, Key::Path),
            get(documents::app_file),
        )
        .cheap(),
        Route::new(
            "/share.js",
            Kept(Kind::Document, Key::Path),
            get(documents::app_file),
        )
        .cheap(),
        Route::new(
            "/favicon.ico",
            Kept(Kind::Document, Key::Path),
            get(documents::app_file),
        )
        .cheap(),
        Route::new(
            "/apple-touch-icon.png",
            Kept(Kind::Document, Key::Path),
            get(documents::app_file),
        )
        .cheap(),
        Route::new(
            "/icon-192.png",
            Kept(Kind::Document, Key::Path),
            get(documents::app_file),
        )
        .cheap(),
        Route::new(
            "/icon-512.png",
            Kept(Kind::Document, Key::Path),
            get(documents::app_file),
        )
        .cheap(),
        Route::new(
            "/icon-maskable.png",
            Kept(Kind::Document, Key::Path),
            get(documents::app_file),
        )
        .cheap(),
        // Short texts for machines.
        Route::new(
            "/robots.txt",
            Kept(Kind::Document, Key::Path),
            get(documents::robots),
        )
        .cheap(),
        Route::new(
            "/.well-known/security.txt",
            Kept(Kind::Document, Key::Path),
            get(documents::security),
        )
        .cheap(),
        Route::new(
            "/openapi.json",
            Kept(Kind::Document, Key::Path),
            get(contract::get_contract),
        ),
        Route::new(
            "/sharex.sxcu",
            Kept(Kind::Document, Key::Path),
            get(documents::sharex),
        )
        .cheap(),
        Route::health_check("/healthz", get(health::alive)),
        Route::health_check("/readyz", get(health::ready)),
    ]
}

/// The declarations of all addresses.
#[must_use]
pub fn declarations() -> Vec<Declaration> {
    let routes = routes().into_iter();
    routes.map(|route| route.declaration).collect()
}

/// The whole site.
pub fn router(state: AppState) -> Router {
    let (router, declarations) = declared::router_of(routes());
    router
        .merge(pages::routes(&state, &declarations))
        .method_not_allowed_fallback(method_not_allowed)
        // Innermost first, so a request meets them from the last to the first: what its address
        // declares is looked up, its client is identified and has a share of requests under way,
        // changes that another site's page sent are refused, its body is bounded, it waits for a
        // turn where its answer must be made, and its address must be in the canonical spelling.
        // The answer goes the other way: it is put in words for a browser or for the client of
        // another host, gets its content security policy and ETag, then its cache headers, is
        // counted, and keeps its client's share until it was sent.
        .layer(from_fn_with_state(state.clone(), direct::lead_to_files))
        .layer(from_fn(spelling::insist_on_spelling))
        .layer(from_fn(pages::answer_functions_in_json))
        .layer(from_fn(pages::check_form))
        // A turn is taken only once the body has been read and the client is known, because nobody
        // waits for a client while it holds a turn.
        .layer(from_fn_with_state(
            state.answers.clone(),
            answers::take_turn,
        ))
        .layer(from_fn_with_state(
            state.scan_shares.clone(),
            shares::share_scans,
        ))
        .layer(from_fn_with_state(state.limits.clone(), body::bound_body))
        .layer(from_fn(foreign::refuse_foreign_changes))
        .layer(from_fn_with_state(state.clone(), client::identify))
        .layer(from_fn(protocols::translate_errors))
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
        .layer(from_fn_with_state(declarations, declared::look_up))
        .with_state(state)
}

/// Answers a method that an address does not take. A picture that is over answers 410 to every
/// method.
async fn method_not_allowed(State(state): State<AppState>, uri: Uri) -> Error {
    let id = ["/c/", "/api/v1/pictures/"]
        .into_iter()
        .find_map(|prefix| uri.path().strip_prefix(prefix))
        .and_then(PictureId::parse);
    if let Some(id) = id
        && let Ok(Status::Gone { .. }) = state.pictures.reading.status(&id).await
    {
        return Error::gone();
    }
    Error::method_not_allowed()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use leptos::server_fn::axum::server_fn_paths;
    use leptos_axum::generate_route_list;

    use super::*;

    #[tokio::test]
    async fn every_page_and_server_function_declares_what_caches_may_do_with_it() {
        let pages = generate_route_list(app::App);
        let mut served: BTreeSet<String> = pages.iter().map(|page| page.path().into()).collect();
        served.extend(server_fn_paths().map(|(path, _)| path.to_owned()));
        let declared: BTreeSet<String> = routes()
            .into_iter()
            .filter(|route| route.by_leptos)
            .map(|route| route.declaration.path.to_owned())
            .collect();
        let undeclared: Vec<_> = served.difference(&declared).collect();
        assert!(
            undeclared.is_empty(),
            "give each of these a `Route::page` or `Route::function` in server/src/http.rs: \
             {undeclared:?}"
        );
        let absent: Vec<_> = declared.difference(&served).collect();
        assert!(
            absent.is_empty(),
            "server/src/http.rs declares pages that the app does not have: {absent:?}"
        );
    }

    #[test]
    fn a_route_that_nobody_decided_on_takes_no_body() {
        let (routes, nothing) = (routes(), Takes::Nothing);
        for (method, path, expected) in [
            (Method::POST, "/upload", Takes::Upload),
            (Method::POST, "/api/ui/upload", Takes::Upload),
            (Method::POST, "/api/v1/pictures", Takes::Upload),
            (Method::PUT, "/api/v1/pictures", Takes::Upload),
            (Method::PUT, "/api/v1/pictures/cat.jpg", Takes::Upload),
            (
                Method::POST,
                "/api/ui/status",
                Takes::AtMost(body::STATUS_FORM),
            ),
            (Method::GET, "/api/v1/pictures", nothing),
            (Method::POST, "/api/v1/pictures/cat.jpg", nothing),
            (Method::PUT, "/api/v1/pictures/a/b", nothing),
            (Method::PUT, "/upload", nothing),
            (Method::POST, "/api/ui/new", nothing),
            (Method::POST, "/delete/id/token", nothing),
            (Method::DELETE, "/api/v1/pictures/id", nothing),
            (Method::GET, "/", nothing),
            (Method::POST, "/nowhere", nothing),
            (Method::POST, "/i/a/b/c", nothing),
        ] {
            let route = routes.iter().find(|route| route.declaration.covers(path));
            let takes = route.map_or(nothing, |route| route.handling.takes(&method));
            assert_eq!(takes, expected, "{method} {path}");
        }
    }
}
