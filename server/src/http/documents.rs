//! Small text files for machines: `robots.txt`, `security.txt`.

use app::types::contact_url;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::IntoResponse;

use crate::domain::expiry::rfc3339;
use crate::http::error::Error;
use crate::http::state::AppState;

/// `security.txt` must name its own end, at most a year ahead (RFC 9116, section 2.5.5); seconds.
const SECURITY_TXT_LIFE: i64 = 180 * 24 * 3600;

const PLAIN_TEXT: [(HeaderName, HeaderValue); 1] = [(
    header::CONTENT_TYPE,
    HeaderValue::from_static("text/plain; charset=utf-8"),
)];

/// `GET /robots.txt`: everything may be read, save what only acts.
pub(crate) async fn robots() -> impl IntoResponse {
    (
        PLAIN_TEXT,
        "User-agent: *\nDisallow: /api/\nDisallow: /delete/\n",
    )
}

/// `GET /.well-known/security.txt` (RFC 9116); 404 where no contact is configured.
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
