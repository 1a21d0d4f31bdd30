//! What is in a drop or on the clipboard, and whether it is for us.

use leptos::wasm_bindgen::JsCast;
use web_sys::{DataTransfer, DragEvent, Element, Event, File, FileList};

/// The answer to a folder.
const FOLDER: &str = "That is a folder. Please open it and drop the pictures that are in it.";
/// The answer to a picture or a link that was dragged from another page.
const LINK: &str = "That is only a link to a picture. Please save the picture first, and then drop \
    the saved file here.";
/// The answer to text on the clipboard.
const TEXT: &str = "There is no picture on the clipboard, only text.";
/// The answer to anything else.
const NOTHING: &str = "There is no picture in that.";

/// What was found in a drop or on the clipboard.
pub(super) enum Found {
    /// Files, to be uploaded.
    Files(Vec<File>),
    /// Nothing that can be uploaded, and what to say about that; nothing where that is empty.
    Nothing(&'static str),
}

impl Found {
    /// What was dropped.
    pub(super) fn dropped(data: Option<DataTransfer>) -> Self {
        let Some(data) = data else {
            return Self::Nothing(NOTHING);
        };
        if has_folder(&data) {
            return Self::Nothing(FOLDER);
        }
        match data.files().map(|files| list(&files)) {
            Some(files) if !files.is_empty() => Self::Files(files),
            Some(_) | None if has(&data, "text/uri-list") => Self::Nothing(LINK),
            Some(_) | None => Self::Nothing(NOTHING),
        }
    }

    /// What was pasted. Where there is text beside a picture, as when part of a document was
    /// copied, the text is what was meant.
    pub(super) fn pasted(data: Option<DataTransfer>) -> Self {
        let Some(data) = data else {
            return Self::Nothing("");
        };
        let files = data.files().map(|files| list(&files)).unwrap_or_default();
        match (files.is_empty(), has(&data, "text/plain")) {
            (false, false) => Self::Files(files),
            (true, true) => Self::Nothing(TEXT),
            (_, _) => Self::Nothing(""),
        }
    }
}

/// Whether what is dragged is for us: files or links, and not over a field that takes text itself.
pub(super) fn takes(event: &DragEvent) -> bool {
    let data = event.data_transfer();
    let is_for_us = data.is_some_and(|data| has(&data, "Files") || has(&data, "text/uri-list"));
    is_for_us && !is_in_text_field(event)
}

/// Whether something happens in a field that takes text.
pub(super) fn is_in_text_field(event: &Event) -> bool {
    let target = event
        .target()
        .and_then(|target| target.dyn_into::<Element>().ok());
    let field = "textarea, [contenteditable], input:not([type=file], [type=range], [readonly])";
    target.is_some_and(|target| target.closest(field).ok().flatten().is_some())
}

/// The files of a list.
pub(super) fn list(files: &FileList) -> Vec<File> {
    (0..files.length())
        .filter_map(|at| files.item(at))
        .collect()
}

/// Whether something of this type is there.
fn has(data: &DataTransfer, kind: &str) -> bool {
    data.types().iter().any(|found| found == kind)
}

/// Whether a folder is among what was dropped.
fn has_folder(data: &DataTransfer) -> bool {
    let items = data.items();
    (0..items.length()).any(|at| {
        let entry = items
            .get(at)
            .and_then(|item| item.webkit_get_as_entry().ok().flatten());
        entry.is_some_and(|entry| entry.is_directory())
    })
}
