//! What the pages and server functions need from the server: the trait [`Backend`], which the crate
//! `server` implements, and the ways in which a page sets the status of its answer.

use std::sync::Arc;

use async_trait::async_trait;
use leptos::prelude::{expect_context, use_context};
use leptos_axum::ResponseOptions;

use crate::error::{ApiError, UiError};
use crate::types::contract::ContractView;
use crate::types::status::StatusView;
use crate::types::{ListQuery, PicturePage, PictureStatus, SiteView, TagList, UploadView};

/// The server as the pages see it. They find it as an `Arc<dyn Backend>` in the Leptos context.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// What the pages say about the site itself, such as its address and its limits.
    fn site(&self) -> SiteView;
    /// The files that pages load.
    fn files(&self) -> Arc<SiteFiles>;
    /// What programs may ask for.
    fn contract(&self) -> ContractView;
    /// Looks one picture up. If it was rejected, has expired or was never here, the error says so
    /// by its code.
    async fn picture(&self, id: &str) -> Result<PictureStatus, ApiError>;
    /// Reads one page of the gallery, of a tag's pictures or of a search.
    async fn list_pictures(&self, query: ListQuery) -> Result<PicturePage, ApiError>;
    /// Lists all tags, each with the number of published pictures that carry it.
    async fn list_tags(&self) -> Result<TagList, ApiError>;
    /// The most frequent tags, most used first, and at most this many, without those of nearly
    /// every picture. They do not shorten a page's life in caches, so a number may be that of some
    /// minutes ago.
    async fn frequent_tags(&self, most: usize) -> Result<TagList, ApiError>;
    /// Tells what the site did this month and what that costs.
    async fn status(&self) -> Result<StatusView, ApiError>;
    /// Succeeds if this token may delete this picture. It deletes nothing.
    async fn check_deletion(&self, id: &str, token: &str) -> Result<(), ApiError>;
    /// Takes an upload from a form with one field, named `file`, and waits some seconds for the
    /// verdict.
    async fn upload_picture(
        &self,
        form: multer::Multipart<'static>,
    ) -> Result<UploadView, ApiError>;
}

/// The addresses of the files that pages load, each of which is a path with a hash in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteFiles {
    /// The one style sheet.
    pub style: String,
    /// The font that it names.
    pub font: String,
    /// The picture on the preview card of pages that show none of their own, 1200 by 630 pixels.
    pub card: String,
    /// The code of every page but the upload page.
    pub reading: Code,
    /// The code of the upload page.
    pub uploading: Code,
}

/// The addresses of one program for the browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// The JavaScript that loads the WASM.
    pub script: String,
    /// The WASM.
    pub wasm: String,
}

/// The backend of the request that is being answered.
pub(crate) fn backend() -> Arc<dyn Backend> {
    expect_context()
}

/// Gives the response the status of this error and, if the error has one, its `Retry-After`, so
/// that pages and server functions answer as the API does.
pub(crate) fn set_error(error: &ApiError) {
    if let Some(response) = use_context::<ResponseOptions>() {
        set_error_on(&response, error);
    }
}

/// Does the same as [`set_error`] for a response that the caller kept. After an `.await` the
/// context that holds the response may be gone.
pub(crate) fn set_error_on(response: &ResponseOptions, error: &ApiError) {
    set_status_on(response, error.code.status());
    if let Some(seconds) = error.retry_after() {
        response.insert_header(http::header::RETRY_AFTER, seconds.into());
    }
}

/// Gives the response this HTTP status.
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

/// Sets the status of a server function's answer and wraps the error in the envelope that goes over
/// the wire.
pub(crate) fn fail(error: ApiError) -> UiError {
    set_error(&error);
    error.into()
}

/// What is shown instead of a page: the answer to a form that was sent without scripts, or an error
/// that arose outside the pages. The server provides it through the Leptos context and sets the
/// status itself.
#[derive(Clone, Debug)]
pub enum Interstitial {
    /// The request failed for this reason.
    Error(ApiError),
    /// The plain form has uploaded a picture.
    Uploaded(Box<UploadView>),
    /// The picture was deleted.
    Deleted,
}
