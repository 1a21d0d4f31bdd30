//! Small files for machines: `robots.txt`, `security.txt`, the settings of ShareX for this site,
//! and those by which a browser or a phone shows the site as an app.

use app::types::contact_url;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, Uri, header};
use axum::response::IntoResponse;
use serde_json::json;

use crate::domain::expiry::rfc3339;
use crate::http::error::Error;
use crate::http::state::AppState;

/// How far ahead `security.txt` names its own expiry, in seconds. It must name one, at most a year
/// ahead (RFC 9116, section 2.5.5).
const SECURITY_TXT_LIFE: i64 = 180 * 24 * 3600;

const PLAIN_TEXT: [(HeaderName, HeaderValue); 1] = [(
    header::CONTENT_TYPE,
    HeaderValue::from_static("text/plain; charset=utf-8"),
)];

/// The files by which a browser or a phone shows the site as an app, each with its type. They are
/// part of the program, because their names have no hash and they hardly ever change.
const APP_FILES: [(&str, &str, &[u8]); 7] = [
    (
        "/manifest.webmanifest",
        "application/manifest+json",
        include_bytes!("../../../public/manifest.webmanifest"),
    ),
    (
        "/share.js",
        "text/javascript; charset=utf-8",
        include_bytes!("../../../public/share.js"),
    ),
    (
        "/favicon.ico",
        "image/x-icon",
        include_bytes!("../../../public/favicon.ico"),
    ),
    (
        "/apple-touch-icon.png",
        "image/png",
        include_bytes!("../../../public/apple-touch-icon.png"),
    ),
    (
        "/icon-192.png",
        "image/png",
        include_bytes!("../../../public/icon-192.png"),
    ),
    (
        "/icon-512.png",
        "image/png",
        include_bytes!("../../../public/icon-512.png"),
    ),
    (
        "/icon-maskable.png",
        "image/png",
        include_bytes!("../../../public/icon-maskable.png"),
    ),
];

/// `GET` of one of the [`APP_FILES`].
pub(crate) async fn app_file(uri: Uri) -> Result<impl IntoResponse, Error> {
    let file = APP_FILES.into_iter().find(|(path, ..)| *path == uri.path());
    let (_, kind, bytes) = file.ok_or_else(Error::not_found)?;
    let headers = [
        (header::CONTENT_TYPE, kind),
        // A worker has this policy itself. In the sandbox, where answers are by default, it would
        // belong to no site and could leave nothing for the upload page. What it cannot leave there
        // it sends to the server.
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; connect-src 'self'; frame-ancestors 'none'",
        ),
    ];
    Ok((
        headers.map(|(name, value)| (name, HeaderValue::from_static(value))),
        bytes,
    ))
}

/// `GET /robots.txt`: robots may read everything except the API and the pages that delete.
pub(crate) async fn robots(State(state): State<AppState>) -> impl IntoResponse {
    let url = &state.site.public_url;
    let text = format!(
        "User-agent: *\nDisallow: /api/\nDisallow: /delete/\n\nSitemap: {url}/sitemap.xml\n"
    );
    (PLAIN_TEXT, text)
}

/// `GET /.well-known/security.txt` (RFC 9116). It is 404 where no contact is configured.
pub(crate) async fn security(State(state): State<AppState>) -> Result<impl IntoResponse, Error> {
    let contact = state
        .site
        .abuse_contact
        .as_deref()
        .ok_or_else(Error::not_found)?;
    let contact = contact_url(contact);
    let expires = rfc3339(state.clock.now().as_second() + SECURITY_TXT_LIFE);
    let url = &state.site.public_url;
    let text = format!(
        "Contact: {contact}\nExpires: {expires}\nPreferred-Languages: en\n\
         Canonical: {url}/.well-known/security.txt\nPolicy: {url}/about\n"
    );
    Ok((PLAIN_TEXT, text))
}

/// `GET /sharex.sxcu`: the settings by which ShareX uploads here. Where ShareX opens this file, it
/// asks whether it may add the site to its uploaders.
pub(crate) async fn sharex(State(state): State<AppState>) -> impl IntoResponse {
    let url = &state.site.public_url;
    let host = url.split("://").last().unwrap_or_default();
    let settings = json!({
        "Version": "15.0.0",
        "Name": format!("CattoCDN ({host})"),
        "DestinationType": "ImageUploader",
        "RequestMethod": "POST",
        "RequestURL": format!("{url}/api/v1/pictures"),
        // The longest that the API waits, so that ShareX hears of the verdict.
        "Parameters": { "wait": "25" },
        "Body": "MultipartFormData",
        "FileFormName": "file",
        "URL": "{json:url}",
        "ThumbnailURL": "{json:images['320.webp']}",
        "DeletionURL": "{json:delete_url}",
        "ErrorMessage": "{json:error.message}",
    });
    let name = HeaderValue::from_static("attachment; filename=\"cattocdn.sxcu\"");
    ([(header::CONTENT_DISPOSITION, name)], Json(settings))
}
