//! The island that takes pictures that are dropped or pasted on any page, and brings them to the
//! upload page.

use leptos::prelude::location;
use leptos::wasm_bindgen::JsCast;
use web_sys::{ClipboardEvent, DragEvent, File, HtmlElement};

use super::dom::{append, by_id, listen};
use super::fetch::sleep;
use super::handover;
use super::transfer::{Found, is_in_text_field, takes};
use super::upload_queue::FORM_ID;

/// What is said of what was not taken.
const NOTE: &str = "<p class=drop-note role=status></p>";
/// How long it is said, in milliseconds.
const NOTE_MS: i32 = 8_000;
/// What is said where the browser keeps no data for this site.
const CANNOT: &str =
    "The picture cannot be taken along from here. Please drop it on the upload page.";

/// Listens for pictures on the whole window, except on the upload page, which does so itself.
pub(crate) fn start(place: &HtmlElement) {
    if by_id(FORM_ID).is_some() {
        return;
    }
    let note = append(place, NOTE);
    listen(&["dragover", "drop", "paste"], move |event| {
        let is_paste = event.type_() == "paste";
        if is_paste && !is_in_text_field(&event) {
            let event: &ClipboardEvent = event.unchecked_ref();
            bring(Found::pasted(event.clipboard_data()), note.clone());
        }
        let drag: &DragEvent = event.unchecked_ref();
        if !is_paste && takes(drag) {
            event.prevent_default();
            if event.type_() == "drop" {
                bring(Found::dropped(drag.data_transfer()), note.clone());
            }
        }
    });
}

/// Brings files to the upload page, or says why not.
fn bring(found: Found, note: HtmlElement) {
    match found {
        Found::Files(files) => leptos::task::spawn_local(go(files, note)),
        Found::Nothing(words) => leptos::task::spawn_local(say(words, note)),
    }
}

/// Says something for a while.
async fn say(words: &'static str, note: HtmlElement) {
    note.set_text_content(Some(words));
    sleep(NOTE_MS).await;
    if note.text_content().as_deref() == Some(words) {
        note.set_text_content(None);
    }
}

async fn go(files: Vec<File>, note: HtmlElement) {
    let is_left = handover::leave(&files).await.is_ok();
    if !is_left || location().assign("/upload").is_err() {
        say(CANNOT, note).await;
    }
}
