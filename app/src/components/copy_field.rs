//! A field with a text that can be copied, and the island that puts the text on the clipboard.

use leptos::prelude::*;
use leptos::wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Element, Event, HtmlDocument, HtmlElement, HtmlInputElement, HtmlTextAreaElement};

use super::dom::{append, listen};
use super::fetch::sleep;

/// How long a button says how copying went, in milliseconds.
pub(crate) const FEEDBACK_MS: i32 = 2_000;
/// What the button says otherwise.
const COPY: &str = "Copy";

/// The field, which nobody sees, out of which a text is copied.
const FIELD: &str = "<textarea class=copy-source aria-hidden=true tabindex=-1></textarea>";

/// A labelled text that can be selected by hand, with a button that copies it. The button is seen
/// once the island lives.
#[component]
pub(crate) fn CopyField(label: &'static str, text: String) -> impl IntoView {
    // The group has the button, and the label the field, so their names must differ.
    let group = [label, " to copy"].concat();
    view! {
        <div class="copy-field" role="group" aria-label=group>
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
    listen(&["click"], |event| {
        let Some((button, field)) = button_and_field(&event) else {
            return;
        };
        leptos::task::spawn_local(async move {
            let is_copied = copy_with(&field.value(), || field.select()).await;
            // The visitor goes on from the button, wherever copying has led the focus.
            let _ = button.focus();
            let words = if is_copied { "Copied" } else { "Selected" };
            button.set_text_content(Some(words));
            sleep(FEEDBACK_MS).await;
            button.set_text_content(Some(COPY));
        });
    });
}

/// The button that was clicked and the text field that belongs to it.
fn button_and_field(event: &Event) -> Option<(HtmlElement, HtmlInputElement)> {
    let target: Element = event.target()?.dyn_into().ok()?;
    let button = target.closest(".copy-field button").ok()??;
    let field = button.closest(".copy-field").ok()??;
    let field = field.query_selector("input").ok()??;
    Some((button.dyn_into().ok()?, field.dyn_into().ok()?))
}

/// Puts a text on the clipboard, and tells whether that worked. Browsers give pages without
/// encryption, as in a home network, no clipboard; there, most of them copy what `select` selects.
async fn copy_with(text: &str, select: impl FnOnce()) -> bool {
    let clipboard = window().navigator().clipboard();
    if !clipboard.is_undefined() && JsFuture::from(clipboard.write_text(text)).await.is_ok() {
        return true;
    }
    select();
    let document: HtmlDocument = document().unchecked_into();
    document.exec_command("copy").unwrap_or(false)
}

/// Puts a text on the clipboard that stands in no field, and tells whether that worked. The focus
/// stays where it is.
pub(crate) async fn copy_text(text: &str) -> bool {
    let Some(body) = document().body() else {
        return false;
    };
    let focused = document().active_element();
    let field: HtmlTextAreaElement = append(&body, FIELD).unchecked_into();
    let select = || {
        field.set_value(text);
        // If the field cannot have the focus, nothing is copied.
        let _ = field.focus();
        field.select();
    };
    let is_copied = copy_with(text, select).await;
    field.remove();
    if let Some(focused) = focused {
        let _ = focused.unchecked_into::<HtmlElement>().focus();
    }
    is_copied
}
