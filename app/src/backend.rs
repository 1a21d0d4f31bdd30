//! What the pages and server functions need from the server. Implemented in the `server` crate.

use std::sync::Arc;

use async_trait::async_trait;
use leptos::prelude::{expect_context, use_context};
use leptos_axum::ResponseOptions;

use crate::error::{ApiError, UiError};
use crate::types::{ListQuery, PicturePage, PictureStatus, SiteView, TagList, UploadView};

/// The server, as the pages see it. Provided as `Arc<dyn Backend>` through context.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// The site's own facts: its address, its rules.
    fn site(&self) -> SiteView;
    /// One picture. A rejected, expired or unknown one is an error with its code.
    async fn picture(&self, id: &str) -> Result<PictureStatus, ApiError>;
    /// One page of the gallery, of a tag or of a search.
    async fn list_pictures(&self, query: ListQuery) -> Result<PicturePage, ApiError>;
    /// All tags with counts.
    async fn list_tags(&self) -> Result<TagList, ApiError>;
    /// Succeeds when this token may delete this picture; deletes nothing.
    async fn check_deletion(&self, id: &str, token: &str) -> Result<(), ApiError>;
    /// Takes an upload from a form with one `file` field and waits a while for the verdict.
    async fn upload_picture(
        &self,
        form: multer::Multipart<'static>,
    ) -> Result<UploadView, ApiError>;
}

/// The server of this request.
pub(crate) fn backend() -> Arc<dyn Backend> {
    expect_context()
}

/// Gives the response the status of this error, so that pages and server functions answer as the API does, and says when to
/// ask again.
pub(crate) fn set_error(error: &ApiError) {
    if let Some(response) = use_context::<ResponseOptions>() {
        set_error_on(&response, error);
    }
}

/// The same for this response, where the context that holds it may be gone.
pub(crate) fn set_error_on(response: &ResponseOptions, error: &ApiError) {
    set_status_on(response, error.code.status());
    if let Some(seconds) = error.retry_after() {
        response.insert_header(http::header::RETRY_AFTER, seconds.into());
    }
}

/// Gives the response this status.
pub(crate) fn set_status(status: u16) {
    if let Some(response) = use_context::<ResponseOptions>() {
        set_status_on(&response, status);
    }
}

fn set_status_on(response: &ResponseOptions, status: u16) {
    if let Ok(status) = http::StatusCode::from_u16(status) {
        response.set_status(status);
    }
}

/// For server functions: sets the status and wraps the error in the wire's envelope.
pub(crate) fn fail(error: ApiError) -> UiError {
    set_error(&error);
    error.into()
}

/// Provided through context, it takes the place of every page: the answer to a plain form, or an error of the server
/// outside the pages. The status is set by whoever provides it.
#[derive(Clone, Debug)]
pub enum Interstitial {
    Error(ApiError),
    /// The picture was deleted.
    Deleted,
}
