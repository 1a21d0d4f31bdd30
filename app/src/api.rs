//! Every server function: what islands ask of the server that must never be cached. One to three lines each;
//! the work is the backend's. The islands call them by their paths and read the answers themselves (`components::fetch`),
//! as Leptos' own client would bring a JSON parser into every page.

use leptos::prelude::*;
use leptos::server_fn::codec::{MultipartData, MultipartFormData};
use serde::{Deserialize, Serialize};

use crate::error::UiError;
use crate::types::{PictureView, UploadView};

/// Where an upload stands. A refusal is an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UploadStatus {
    /// Absent while the picture is being looked at.
    pub published: Option<PictureView>,
}

/// Takes a picture from the drop zone: 201 once it is published, 202 while it is still being looked at.
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

/// Tells where an upload stands.
#[server(prefix = "/api/ui", endpoint = "status")]
pub async fn status(id: String) -> Result<UploadStatus, UiError> {
    use crate::backend::{backend, fail};
    let published = backend().picture(&id).await.map_err(fail)?.published();
    Ok(UploadStatus { published })
}
