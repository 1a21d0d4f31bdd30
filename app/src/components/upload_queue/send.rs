//! Sends one file to the server. It uses an `XMLHttpRequest`, because `fetch` cannot tell how much
//! has been sent.

use std::cell::Cell;
use std::rc::Rc;

use js_sys::{Array, Date, Promise};
use leptos::server_fn::ServerFn;
use leptos::wasm_bindgen::prelude::Closure;
use leptos::wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, FormData, ProgressEvent, XmlHttpRequest};

use super::form;
use crate::api::Upload;
use crate::components::fetch::{ACCEPT_JSON, Failure, Json, ended, read, timer};

/// The field of the form that says how long the picture shall live.
const EXPIRES_IN: &str = "expires_in";

/// How long nothing may move while a file is being sent, in milliseconds. The server gives up
/// earlier.
const SENDING_PATIENCE_MS: f64 = 30_000.0;
/// How long the answer may take once all is sent, in milliseconds. The server waits up to 20 s for
/// the verdict, and what the browser calls sent may still be on its way.
const ANSWER_PATIENCE_MS: f64 = 60_000.0;
/// How often it is looked whether anything moves, in milliseconds.
const LOOK_EVERY_MS: i32 = 1_000;

/// Sends a file to the server function that takes uploads, and returns its answer. A repeated
/// upload is known by its `key`, and `life` is what [`chosen_life`] was for it. `on_progress` is
/// called with the part that has been sent, from 0 to 1, and `on_start` with the request, so that
/// the caller can abort it.
pub(super) async fn send(
    file: &Blob,
    key: &str,
    life: &str,
    on_progress: impl Fn(f64) + 'static,
    on_start: impl FnOnce(XmlHttpRequest),
) -> Result<Json, Failure> {
    let moved_at = Rc::new(Cell::new(Date::now()));
    let patience_ms = Rc::new(Cell::new(SENDING_PATIENCE_MS));
    let on_progress = {
        let (moved_at, patience_ms) = (Rc::clone(&moved_at), Rc::clone(&patience_ms));
        Closure::<dyn Fn(ProgressEvent)>::new(move |event: ProgressEvent| {
            moved_at.set(Date::now());
            if event.total() > 0.0 {
                if event.loaded() >= event.total() {
                    patience_ms.set(ANSWER_PATIENCE_MS);
                }
                on_progress(event.loaded() / event.total());
            }
        })
    };
    let Ok((request, ended)) = start(file, key, life, &on_progress) else {
        return Err(Failure::Lost);
    };
    on_start(request.clone());
    // A request that was aborted is like one that has not begun.
    while ![XmlHttpRequest::DONE, XmlHttpRequest::UNSENT].contains(&request.ready_state()) {
        if Date::now() - moved_at.get() > patience_ms.get() {
            // This fails only if the request is over already.
            let _ = request.abort();
            return Err(Failure::Stalled);
        }
        let first = Promise::race(&Array::of2(&ended, &timer(LOOK_EVERY_MS)));
        // Neither promise is ever rejected.
        let _ = JsFuture::from(first).await;
    }
    read(&request)
}

/// How long new pictures shall live, as the page's form says now; empty for as long as the site
/// keeps them.
pub(super) fn chosen_life() -> String {
    let form = form().and_then(|form| FormData::new_with_form(form.unchecked_ref()).ok());
    let chosen = form.and_then(|form| form.get(EXPIRES_IN).as_string());
    chosen.unwrap_or_default()
}

/// Starts the request. The promise resolves when the request is over, however it ended.
fn start(
    file: &Blob,
    key: &str,
    life: &str,
    on_progress: &Closure<dyn Fn(ProgressEvent)>,
) -> Result<(XmlHttpRequest, Promise), JsValue> {
    let request = XmlHttpRequest::new()?;
    let ended = ended(&request);
    request
        .upload()?
        .set_onprogress(Some(on_progress.as_ref().unchecked_ref()));
    let form = FormData::new()?;
    form.append_with_str(EXPIRES_IN, life)?;
    form.append_with_blob("file", file)?;
    request.open("POST", Upload::PATH)?;
    request.set_request_header(ACCEPT_JSON.0, ACCEPT_JSON.1)?;
    request.set_request_header("Idempotency-Key", key)?;
    request.send_with_opt_form_data(Some(&form))?;
    Ok((request, ended))
}

/// A new key for an upload: 128 random bits in hexadecimal digits.
pub(super) fn new_key() -> String {
    let mut bytes = [0; 16];
    let crypto = leptos::prelude::window().crypto();
    // `randomUUID` would be there only over HTTPS. This fails only for far more bytes.
    let _ = crypto.and_then(|crypto| crypto.get_random_values_with_u8_array(&mut bytes));
    bytes.iter().fold(String::new(), |mut key, byte| {
        for digit in [byte >> 4, byte & 15] {
            key.extend(char::from_digit(digit.into(), 16));
        }
        key
    })
}
