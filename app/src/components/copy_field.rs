//! A field with a text that can be copied, and the island that puts the text on the clipboard.

use std::time::Duration;

use leptos::ev::{self, MouseEvent};
use leptos::prelude::*;
use leptos::wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Element, HtmlDocument, HtmlElement, HtmlInputElement};

/// How long the button says how copying went.
const FEEDBACK: Duration = Duration::from_secs(2);
/// What the button says otherwise.
const COPY: &str = "Copy";

/// A labelled text that can be selected by hand, with a button that copies it. The button is seen
/// once the island lives.
#[component]
pub(crate) fn CopyField(label: &'static str, text: String) -> impl IntoView {
    view! {
        <div class="copy-field" role="group" aria-label=label>
            <label>
                <span>{label}</span>
                <input type="text" readonly value=text/>
            </label>
            <button type="button" class="button is-quiet needs-script" aria-live="polite">
                {COPY}
            </button>
        </div>
    }
}

/// Starts the island that copies for every [`CopyField`] on the page, also for those that are added
/// later. If the browser does not allow it, the text is at least selected.
pub(crate) fn start() {
    window_event_listener(ev::click, move |event: MouseEvent| {
        let Some((button, field)) = button_and_field(&event) else {
            return;
        };
        leptos::task::spawn_local(async move {
            let words = if copy(&field).await {
                "Copied"
            } else {
                field.select();
                "Selected"
            };
            // The visitor goes on from the button, wherever copying has led the focus.
            let _ = button.focus();
            button.set_text_content(Some(words));
            set_timeout(move || button.set_text_content(Some(COPY)), FEEDBACK);
        });
    });
}

/// Copies the text of the field. Browsers give pages without encryption, as in a home network, no
/// clipboard; there, copying what is selected works in most of them.
async fn copy(field: &HtmlInputElement) -> bool {
    let clipboard = window().navigator().clipboard();
    if !clipboard.is_undefined() {
        return JsFuture::from(clipboard.write_text(&field.value()))
            .await
            .is_ok();
    }
    field.select();
    let document: HtmlDocument = document().unchecked_into();
    document.exec_command("copy").unwrap_or(false)
}

/// The button that was clicked and the text field that belongs to it.
fn button_and_field(event: &MouseEvent) -> Option<(HtmlElement, HtmlInputElement)> {
    let target: Element = event.target()?.dyn_into().ok()?;
    let button = target.closest(".copy-field button").ok()??;
    let field = button.closest(".copy-field").ok()??;
    let field = field.query_selector("input").ok()??;
    Some((button.dyn_into().ok()?, field.dyn_into().ok()?))
}
