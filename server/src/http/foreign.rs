//! Changes that a browser sends because another site told it to. Our pages make theirs from our own address.
//!
//! There is no cookie that another site could make use of; but its page could have its visitors upload from their addresses, and
//! use up their share. `/api/v1` stays open: it is for programs and for other sites' pages, and says so.

use app::error::ErrorCode;
use axum::extract::Request;
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::error::Error;

/// Where changes come from forms and islands of ours.
const OWN_DOORS: [&str; 3] = ["/upload", "/delete/", "/api/ui/"];
/// Which site's page made a browser send a request (Fetch Metadata, W3C).
const SITE: &str = "sec-fetch-site";

/// Refuses such changes.
pub(crate) async fn refuse_foreign_changes(request: Request, next: Next) -> Response {
    let reads = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    let path = request.uri().path();
    let is_own = OWN_DOORS.iter().any(|door| path.starts_with(door));
    if !reads && is_own && is_foreign(request.headers()) {
        return Error::new(
            ErrorCode::Forbidden,
            "This was sent by a page of another site. Please use our own page.",
        )
        .into_response();
    }
    next.run(request).await
}

/// True for what a page of another site sent, be it a sibling of ours under one domain. `none` is the person at the browser; old
/// browsers and programs say nothing, and over plain HTTP none says anything.
fn is_foreign(headers: &HeaderMap) -> bool {
    headers
        .get(SITE)
        .is_some_and(|site| site != "same-origin" && site != "none")
}
