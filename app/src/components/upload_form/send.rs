//! One upload on its way: an `XMLHttpRequest`, because `fetch` cannot tell how much was sent.

use std::collections::BTreeMap;

use js_sys::Promise;
use leptos::server_fn::ServerFn;
use leptos::wasm_bindgen::JsCast;
use leptos::wasm_bindgen::prelude::Closure;
use serde::Deserialize;
use wasm_bindgen_futures::JsFuture;
use web_sys::{File, FormData, ProgressEvent, XmlHttpRequest};

use crate::components::picture_card::{CardTag, CardView};
use crate::error::{ApiError, ErrorBody, ErrorCode};

/// The server's answer, as far as the browser needs it. The second half is there once the picture is published.
#[derive(Clone, Deserialize)]
pub(super) struct Upload {
    pub(super) id: String,
    pub(super) url: String,
    pub(super) delete_token: String,
    pub(super) delete_url: String,
    #[serde(default)]
    images: BTreeMap<String, String>,
    #[serde(default)]
    tags: Vec<CardTag>,
    #[serde(default)]
    alt: String,
    #[serde(default)]
    width: u32,
    #[serde(default)]
    height: u32,
    expires_at: Option<String>,
}

impl Upload {
    /// The picture, if the verdict came with the answer.
    pub(super) fn published(&self) -> Option<CardView> {
        Some(CardView {
            expires_at: self.expires_at.clone()?,
            id: self.id.clone(),
            images: self.images.clone(),
            tags: self.tags.clone(),
            alt: self.alt.clone(),
            width: self.width,
            height: self.height,
        })
    }
}

/// Posts a file to the upload server function. `on_start` gets the request, to be able to abort it.
pub(super) async fn send(
    file: &File,
    on_progress: impl Fn(f64) + 'static,
    on_start: impl FnOnce(XmlHttpRequest),
) -> Result<Upload, ApiError> {
    let lost = || ApiError::new(ErrorCode::Timeout, "The connection was lost on the way.");
    let request = XmlHttpRequest::new().map_err(|_| lost())?;
    let on_progress = Closure::<dyn Fn(ProgressEvent)>::new(move |event: ProgressEvent| {
        if event.length_computable() && event.total() > 0.0 {
            on_progress(event.loaded() / event.total());
        }
    });
    let ended = Promise::new(&mut |resolve, _| request.set_onloadend(Some(&resolve)));
    let start = || {
        let form = FormData::new()?;
        form.append_with_blob("file", file)?;
        request
            .upload()?
            .set_onprogress(Some(on_progress.as_ref().unchecked_ref()));
        request.open("POST", crate::api::Upload::PATH)?;
        request.set_request_header("Accept", "application/json")?;
        request.send_with_opt_form_data(Some(&form))
    };
    start().map_err(|_| lost())?;
    on_start(request.clone());
    let _ = JsFuture::from(ended).await;

    let status = request.status().unwrap_or_default();
    let body = request.response_text().ok().flatten().unwrap_or_default();
    if matches!(status, 200..=299) {
        return serde_json::from_str(&body).map_err(|_| lost());
    }
    match serde_json::from_str::<ErrorBody>(&body) {
        Ok(body) => Err(body.error),
        // Something between us and the server answered in its stead.
        Err(_) if status == 413 => Err(ApiError::new(
            ErrorCode::TooLarge,
            "A smaller copy will do nicely.",
        )),
        Err(_) => Err(lost()),
    }
}
