//! The island that hands a picture to the device's share sheet.

use std::time::Duration;

use js_sys::{Array, Function, Object, Promise, Reflect};
use leptos::ev::{self, MouseEvent};
use leptos::prelude::*;
use leptos::wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, Element, File, FilePropertyBag};

use super::fetch::response;

/// How long the button says that the link was copied.
const FEEDBACK: Duration = Duration::from_secs(3);

/// What a click on the share button shares. The server wrote it into attributes of the button.
struct Shared {
    title: String,
    /// The address of the picture's page.
    page: String,
    /// The address of the file.
    file: String,
    /// The name that the file gets.
    name: String,
}

/// Shares the picture of a button with a `data-page` when that is clicked: with its file where the
/// browser can, else by its link. Where there is no share sheet, the link is copied.
pub(crate) fn start() {
    window_event_listener(ev::click, |event: MouseEvent| {
        let target: Option<Element> = event.target().and_then(|target| target.dyn_into().ok());
        let Some(Ok(Some(button))) = target.map(|target| target.closest("button[data-page]"))
        else {
            return;
        };
        let text = |name| button.get_attribute(name).unwrap_or_default();
        let shared = Shared {
            title: text("data-title"),
            page: text("data-page"),
            file: text("data-file"),
            name: text("data-name"),
        };
        leptos::task::spawn_local(async move {
            if share(&shared).await {
                return;
            }
            let is_copied = match window().navigator().clipboard() {
                clipboard if clipboard.is_undefined() => false,
                clipboard => JsFuture::from(clipboard.write_text(&shared.page))
                    .await
                    .is_ok(),
            };
            let words = if is_copied {
                "Link copied"
            } else {
                "See “More”"
            };
            button.set_text_content(Some(words));
            set_timeout(move || button.set_text_content(Some("Share")), FEEDBACK);
        });
    });
}

/// Opens the share sheet. False if the browser has none or does not open it.
async fn share(shared: &Shared) -> bool {
    let data = Object::new();
    set(&data, "title", &shared.title.as_str().into());
    if let Some(file) = file(shared).await {
        set(&data, "files", &Array::of1(&file));
        if call("canShare", &data).is_some_and(|can| can.is_truthy()) {
            match open(&data).await {
                Some(is_done) => return is_done,
                // By now the click may be too long ago for a file; a link takes no time.
                None => return false,
            }
        }
        // This fails only for an object that cannot be changed.
        let _ = Reflect::delete_property(&data, &"files".into());
    }
    set(&data, "url", &shared.page.as_str().into());
    open(&data).await.unwrap_or(false)
}

/// Calls `share`. True if the visitor shared the picture or decided not to; `None` if the browser
/// has no share sheet or does not open it.
async fn open(data: &Object) -> Option<bool> {
    let sharing: Promise = call("share", data)?.dyn_into().ok()?;
    match JsFuture::from(sharing).await {
        Ok(_) => Some(true),
        Err(error) => {
            let name = Reflect::get(&error, &"name".into()).ok()?;
            (name == "AbortError").then_some(true)
        }
    }
}

/// The picture's file; `None` if the browser shares no files or does not get it.
async fn file(shared: &Shared) -> Option<JsValue> {
    function("canShare")?;
    let answer = response(window().fetch_with_str(&shared.file)).await?;
    let blob: Blob = JsFuture::from(answer.blob().ok()?)
        .await
        .ok()?
        .dyn_into()
        .ok()?;
    let options = FilePropertyBag::new();
    options.set_type(&blob.type_());
    let parts = Array::of1(&blob);
    let file = File::new_with_blob_sequence_and_options(&parts, &shared.name, &options);
    Some(file.ok()?.into())
}

/// Calls a function of the navigator, which not every browser has.
fn call(name: &str, data: &Object) -> Option<JsValue> {
    function(name)?.call1(&window().navigator(), data).ok()
}

/// A function of the navigator.
fn function(name: &str) -> Option<Function> {
    Reflect::get(&window().navigator(), &name.into())
        .ok()?
        .dyn_into()
        .ok()
}

/// Sets a field of an object.
fn set(object: &Object, name: &str, value: &JsValue) {
    // This fails only for an object that cannot be changed.
    let _ = Reflect::set(object, &name.into(), value);
}
