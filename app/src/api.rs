//! The server functions: the calls of islands that change something, or whose answer must never
//! come from a cache. Each has a few lines, because the backend does the work.
//!
//! The islands call them by their paths and read the answers themselves (`components::fetch`):
//! Leptos' own client would put a JSON parser into the download of every page.

use leptos::prelude::*;
use leptos::server_fn::codec::{MultipartData, MultipartFormData};
use serde::{Deserialize, Serialize};

use crate::error::UiError;
use crate::types::{PictureView, UploadView};

/// How far an upload has come. A refused upload is not told in this type but as a [`UiError`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UploadStatus {
    /// The picture once it is published; absent while it is still being screened.
    pub published: Option<PictureView>,
}

/// Takes a picture from the upload page. Answers 201 if it is published by then, and 202 if it is
/// still being screened.
#[server(prefix = "/api/ui", endpoint = "upload", input = MultipartFormData)]
pub async fn upload(form: MultipartData) -> Result<UploadView, UiError> {
    use crate::backend::{backend, fail, set_status};
    let form = form
        .into_inner()
        .expect("on the server a form is always a stream");
    let upload = backend().upload_picture(form).await.map_err(fail)?;
    set_status(if upload.published.is_some() { 201 } else { 202 });
    Ok(upload)
}

/// Tells how far the upload with this id has come.
#[server(prefix = "/api/ui", endpoint = "status")]
pub async fn status(id: String) -> Result<UploadStatus, UiError> {
    use crate::backend::{backend, fail};
    let published = backend().picture(&id).await.map_err(fail)?.published();
    Ok(UploadStatus { published })
}
