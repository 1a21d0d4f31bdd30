//! Refuses changes that a browser sends because another site's page told it to. Our own pages send
//! theirs from our own address.
//!
//! There is no cookie that another site could exploit. But its page could have its visitors upload
//! from their own addresses, and so use up their share. `/api/v1` stays open, because it is meant
//! for programs and for other sites' pages.

use app::error::ErrorCode;
use axum::extract::Request;
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::http::error::Error;
use crate::http::handling::Handling;

/// The header that says which site's page made the browser send a request (Fetch Metadata, W3C).
const SITE: &str = "sec-fetch-site";

/// Refuses changes that only our own pages may send where another site's page made a browser send.
pub(crate) async fn refuse_foreign_changes(request: Request, next: Next) -> Response {
    let reads = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    if !reads && Handling::of(&request).is_own && is_foreign(request.headers()) {
        return Error::new(
            ErrorCode::Forbidden,
            "A page of another site sent this request, so we did not act on it. Please use our own page instead.",
        )
        .into_response();
    }
    next.run(request).await
}

/// True for a request that another site's page sent, even where that site is under the same domain
/// as ours. `none` means that the user started the request, for instance by typing the address. Old
/// browsers and programs do not send the header, and over plain HTTP no browser does.
fn is_foreign(headers: &HeaderMap) -> bool {
    headers
        .get(SITE)
        .is_some_and(|site| site != "same-origin" && site != "none")
}
