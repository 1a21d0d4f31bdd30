//! A field with a text that can be copied, and the island that puts the text on the clipboard.

use std::time::Duration;

use leptos::ev::MouseEvent;
use leptos::prelude::*;
use leptos::wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::HtmlInputElement;

/// How long the button says “Copied” after a click.
const FEEDBACK: Duration = Duration::from_secs(2);

/// A labelled text that can be selected by hand, with a button that copies it.
#[component]
pub(crate) fn CopyField(label: &'static str, text: String) -> impl IntoView {
    view! {
        <div class="copy-field" role="group" aria-label=label>
            <label>
                <span>{label}</span>
                <input type="text" readonly value=text/>
            </label>
            <CopyButton/>
        </div>
    }
}

/// A button that copies the text of the field that it stands in. If the browser does not allow
/// that, the text is at least selected.
#[island]
fn CopyButton() -> impl IntoView {
    let (is_copied, set_copied) = signal(false);
    let copy = move |event: MouseEvent| {
        let Some(field) = field_of(&event) else {
            return;
        };
        field.select();
        leptos::task::spawn_local(async move {
            let writing = window().navigator().clipboard().write_text(&field.value());
            if JsFuture::from(writing).await.is_ok() {
                set_copied.set(true);
                set_timeout(move || set_copied.set(false), FEEDBACK);
            }
        });
    };
    view! {
        <button type="button" class="button is-quiet needs-script" aria-live="polite" on:click=copy>
            {move || if is_copied.get() { "Copied" } else { "Copy" }}
        </button>
    }
}

/// The text field that belongs to the button that was clicked.
fn field_of(event: &MouseEvent) -> Option<HtmlInputElement> {
    let button: web_sys::Element = event.target()?.dyn_into().ok()?;
    let field = button.closest(".copy-field").ok()??;
    field.query_selector("input").ok()??.dyn_into().ok()
}
