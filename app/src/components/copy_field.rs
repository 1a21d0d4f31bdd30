//! The island that puts a text on the clipboard.

use std::time::Duration;

use leptos::prelude::*;
use wasm_bindgen_futures::JsFuture;

/// How long a button says that it has copied.
const FEEDBACK: Duration = Duration::from_secs(2);

/// A labelled text to select by hand, with a button that copies it.
#[island]
pub(crate) fn CopyField(label: String, text: String) -> impl IntoView {
    let field = NodeRef::<leptos::html::Input>::new();
    let (feedback, set_feedback) = signal("Copy");
    let name = ["Copy: ", &label].concat();
    let value = text.clone();

    let copy = move |_| {
        let copied = JsFuture::from(window().navigator().clipboard().write_text(&text));
        leptos::task::spawn_local(async move {
            let done = copied.await.is_ok();
            if !done && let Some(field) = field.get_untracked() {
                field.select();
            }
            set_feedback.set(if done { "Copied" } else { "Press Ctrl+C" });
            set_timeout(move || set_feedback.set("Copy"), FEEDBACK);
        });
    };

    view! {
        <div class="copy-field">
            <label>
                <span>{label}</span>
                <input type="text" readonly value=value node_ref=field/>
            </label>
            <button type="button" class="button is-quiet needs-script" aria-label=name on:click=copy>
                <span aria-live="polite">{feedback}</span>
            </button>
        </div>
    }
}
