//! The island at the end of a gallery: brings the next page here, where the plain link would lead to it.

use leptos::ev::{self, MouseEvent};
use leptos::prelude::*;
use leptos::wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};

use super::fetch;
use super::picture_card::{CardView, PictureCard};
use crate::query::path_segment;

/// The element that holds the cards.
pub(crate) const GALLERY_ID: &str = "gallery";
/// The parameter that tells where a page of a list begins. It comes last.
const AFTER: &str = "after=";

/// Takes the clicks on the link that has a `data-source`, which is the next page as the API has it;
/// appends its cards to the gallery and says so.
#[island]
pub(crate) fn MorePictures() -> impl IntoView {
    let (words, set_words) = signal("");
    if is_browser() {
        window_event_listener(ev::click, move |event: MouseEvent| {
            let Some(link) = link_of(&event) else {
                return;
            };
            event.prevent_default();
            if link.has_attribute("aria-busy") {
                return;
            }
            set_attribute(&link, "aria-busy", "true");
            set_words.set("Calling them…");
            leptos::task::spawn_local(async move {
                set_words.set(bring(&link).await);
                // Removing what is not there is no mistake.
                let _ = link.remove_attribute("aria-busy");
            });
        });
    }
    view! { <p role="status">{words}</p> }
}

/// The link, unless it is meant to open elsewhere.
fn link_of(event: &MouseEvent) -> Option<Element> {
    if event.ctrl_key() || event.meta_key() || event.shift_key() {
        return None;
    }
    let target: Element = event.target()?.dyn_into().ok()?;
    target.closest("a[data-source]").ok()?
}

/// Brings the page that the link leads to, and lets the link lead to the one after. Returns what to say.
async fn bring(link: &Element) -> &'static str {
    const FAILED: &str = "They did not come. Please try again.";
    let Some(source) = link.get_attribute("data-source") else {
        return FAILED;
    };
    let Some(page) = fetch::get(&source).await else {
        return FAILED;
    };
    append(
        page.list("pictures")
            .iter()
            .filter_map(CardView::from_json)
            .collect(),
    );
    let Some(cursor) = page.text("next") else {
        link.remove();
        return "Those are all of them.";
    };
    for name in ["data-source", "href"] {
        let url = link.get_attribute(name).unwrap_or_default();
        if let Some((start, _)) = url.rsplit_once(AFTER) {
            set_attribute(link, name, &[start, AFTER, &path_segment(&cursor)].concat());
        }
    }
    "More cats have come in."
}

/// Adds cards to the server's own list, so that both form one grid, and moves the focus to the first of them.
fn append(pictures: Vec<CardView>) {
    let Some(gallery) = document().get_element_by_id(GALLERY_ID) else {
        return;
    };
    let gallery: HtmlElement = gallery.unchecked_into();
    let first = gallery.child_element_count();
    for picture in pictures {
        let gallery = gallery.clone();
        mount_to(
            gallery,
            || view! { <PictureCard picture position=usize::MAX/> },
        )
        .forget();
    }
    let first = gallery.children().item(first);
    if let Some(Ok(Some(link))) = first.map(|card| card.query_selector("a")) {
        // A missing focus is no reason to stop.
        let _ = link.unchecked_into::<HtmlElement>().focus();
    }
}

fn set_attribute(element: &Element, name: &str, value: &str) {
    // Only a name that is none can fail.
    let _ = element.set_attribute(name, value);
}
