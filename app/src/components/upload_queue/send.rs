//! Sends one file to the server. It uses an `XMLHttpRequest`, because `fetch` cannot tell how much
//! has been sent.

use js_sys::Promise;
use leptos::server_fn::ServerFn;
use leptos::wasm_bindgen::prelude::Closure;
use leptos::wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, FormData, ProgressEvent, XmlHttpRequest};

use crate::api::Upload;
use crate::components::fetch::{Json, result};
use crate::error::ApiError;

/// Sends a file to the server function that takes uploads, and returns its answer. `on_progress` is
/// called with the part that has been sent, from 0 to 1, and `on_start` with the request, so that
/// the caller can abort it.
pub(super) async fn send(
    file: &Blob,
    on_progress: impl Fn(f64) + 'static,
    on_start: impl FnOnce(XmlHttpRequest),
) -> Result<Json, ApiError> {
    let on_progress = Closure::<dyn Fn(ProgressEvent)>::new(move |event: ProgressEvent| {
        if event.total() > 0.0 {
            on_progress(event.loaded() / event.total());
        }
    });
    match start(file, &on_progress) {
        Ok((request, ended)) => {
            on_start(request.clone());
            // The promise is only ever resolved. The status tells how the request ended; it is 0 if
            // it was aborted or the connection was lost.
            let _ = JsFuture::from(ended).await;
            let body = request.response_text().ok().flatten().unwrap_or_default();
            result(request.status().unwrap_or_default(), &body)
        }
        Err(_) => result(0, ""),
    }
}

/// Starts the request. The promise resolves when the request is over, however it ended.
fn start(
    file: &Blob,
    on_progress: &Closure<dyn Fn(ProgressEvent)>,
) -> Result<(XmlHttpRequest, Promise), JsValue> {
    let request = XmlHttpRequest::new()?;
    let ended = Promise::new(&mut |resolve, _| request.set_onloadend(Some(&resolve)));
    request
        .upload()?
        .set_onprogress(Some(on_progress.as_ref().unchecked_ref()));
    let form = FormData::new()?;
    form.append_with_blob("file", file)?;
    request.open("POST", Upload::PATH)?;
    request.set_request_header("Accept", "application/json")?;
    request.send_with_opt_form_data(Some(&form))?;
    Ok((request, ended))
}
