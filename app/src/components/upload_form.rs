//! The island that uploads: a plain form everywhere; in the browser a box to drop pictures into.

mod queue;
mod row;
mod send;

use leptos::ev::{self, DragEvent};
use leptos::prelude::*;
use web_sys::{DataTransfer, FileList};

use crate::types::UploadRules;
use queue::Queue;
use row::UploadRow;

/// A form for one picture without scripts; with them, several at once: dropped, pasted or chosen.
#[island]
pub(crate) fn UploadForm(rules: UploadRules) -> impl IntoView {
    let input = NodeRef::<leptos::html::Input>::new();
    let (is_ready, set_ready) = signal(false);
    let (is_over, set_over) = signal(false);
    let queue = Queue::new(rules.max_bytes);

    let take = move |files: Option<FileList>| {
        let files = files
            .into_iter()
            .flat_map(|list| (0..list.length()).filter_map(move |index| list.item(index)));
        queue.add(files.collect());
    };
    let take_chosen = move || {
        if let Some(input) = input.get_untracked() {
            take(input.files());
            // The same file can then be chosen again.
            input.set_value("");
        }
    };
    Effect::new(move || {
        set_ready.set(true);
        // What was chosen before the browser was ready.
        take_chosen();
        listen(set_over, take);
    });

    let megabytes = rules.max_bytes / 1_048_576;
    let megapixels = rules.max_pixels / 1_000_000;
    view! {
        <form class="upload" method="post" action="/upload" enctype="multipart/form-data">
            <label class="box" class:is-over=is_over>
                <span class="box-flap" aria-hidden="true"></span>
                <span class="box-title">"Put your cat in the box"</span>
                <span class="box-hint">
                    <span class="needs-script">"Drop pictures here, paste them, or choose some. "</span>
                    "JPEG, PNG, WebP or GIF, up to "{megabytes}" MB and "{megapixels}" megapixels each."
                </span>
                <input
                    type="file"
                    multiple
                    name="file"
                    accept="image/jpeg,image/png,image/webp,image/gif"
                    node_ref=input
                    on:change=move |_| take_chosen()
                />
            </label>
            <button type="submit" class="button" hidden=is_ready>"Upload"</button>
        </form>
        <p class="visually-hidden" role="status">{queue.announcement}</p>
        <ol class="uploads" aria-label="Your uploads" hidden=move || queue.rows.read().is_empty()>
            <For each=move || queue.rows.get() key=|row| row.key let:row>
                <UploadRow row queue/>
            </For>
        </ol>
    }
}

/// Takes files from anywhere on the page, so that a near miss of the box does not leave the page.
fn listen(set_over: WriteSignal<bool>, take: impl Fn(Option<FileList>) + Copy + 'static) {
    let files_of = |data: Option<DataTransfer>| data.and_then(|data| data.files());
    window_event_listener(ev::dragover, move |event: DragEvent| {
        event.prevent_default();
        set_over.set(true);
    });
    window_event_listener(ev::dragleave, move |event: DragEvent| {
        // Only leaving the window has no element to go to.
        if event.related_target().is_none() {
            set_over.set(false);
        }
    });
    window_event_listener(ev::drop, move |event: DragEvent| {
        event.prevent_default();
        set_over.set(false);
        take(files_of(event.data_transfer()));
    });
    window_event_listener(ev::paste, move |event| {
        take(files_of(event.clipboard_data()))
    });
}
