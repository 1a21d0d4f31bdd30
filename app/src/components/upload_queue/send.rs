//! One upload on its way: an `XMLHttpRequest`, because `fetch` cannot tell how much was sent.

use js_sys::Promise;
use leptos::server_fn::ServerFn;
use leptos::wasm_bindgen::prelude::Closure;
use leptos::wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{File, FormData, ProgressEvent, XmlHttpRequest};

use crate::api::Upload;
use crate::components::fetch::{Json, result};
use crate::error::ApiError;

/// Posts a file to the upload server function. `on_start` gets the request, to be able to abort it.
pub(super) async fn send(
    file: &File,
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
            // It ends in any case; how, the status tells: 0 when it was stopped or lost.
            let _ = JsFuture::from(ended).await;
            let body = request.response_text().ok().flatten().unwrap_or_default();
            result(request.status().unwrap_or_default(), &body)
        }
        Err(_) => result(0, ""),
    }
}

/// Sends the request; the promise resolves when it is over.
fn start(
    file: &File,
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
