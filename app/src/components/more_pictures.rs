//! The island at the end of a gallery. It loads the next page into this one; without scripts, its
//! link leads to the next page.

use leptos::ev::{self, MouseEvent};
use leptos::prelude::*;
use leptos::wasm_bindgen::{JsCast, JsValue};
use web_sys::{Element, HtmlElement, ScrollRestoration};

use super::fetch;
use super::picture_card::{CardView, PictureCard};
use crate::query::path_segment;

/// The id of the element that holds the cards.
pub(crate) const GALLERY_ID: &str = "gallery";
/// The parameter that says where a page of a list begins. It is the last one in every link to a
/// next page.
const AFTER: &str = "after=";

/// Takes over the clicks on the link with a `data-source`, which is the address where the API has
/// the next page. It appends the cards of that page to the gallery and tells screen readers so.
#[component]
pub(crate) fn MorePictures() -> impl IntoView {
    let (words, set_words) = signal("");
    window_event_listener(ev::click, move |event: MouseEvent| {
        let Some(link) = link_of(&event) else {
            return;
        };
        event.prevent_default();
        if link.has_attribute("aria-busy") {
            return;
        }
        set_attribute(&link, "aria-busy", "true");
        set_words.set("Loading more cats…");
        leptos::task::spawn_local(async move {
            set_words.set(bring(&link).await);
            // This can only fail if the attribute is gone already.
            let _ = link.remove_attribute("aria-busy");
        });
    });
    window_event_listener(ev::scroll, |_| fetch_when_near());
    return_to_card();
    window_event_listener(ev::click, |event| keep_place(&event));
    // A translator replaces texts, but not what stands in a property.
    view! { <p role="status" prop:textContent=words></p> }
}

/// Has the browser fetch the next page once the link to it comes near, so that it is there when the
/// link is clicked: lists may be kept for some seconds.
fn fetch_when_near() {
    let Ok(Some(link)) = document().query_selector("a[data-source]:not([data-fetched])") else {
        return;
    };
    let height = document_element().client_height();
    if link.get_bounding_client_rect().top() < f64::from(2 * height) {
        set_attribute(&link, "data-fetched", "");
        let source = link.get_attribute("data-source").unwrap_or_default();
        leptos::task::spawn_local(async move {
            // If this fails, the click asks again.
            let _ = fetch::get(&source).await;
        });
    }
}

/// The page itself.
fn document_element() -> Element {
    document().document_element().expect("a page has a root")
}

/// Notes in the history which card was opened.
fn keep_place(event: &MouseEvent) {
    let target: Option<Element> = event.target().and_then(|target| target.dyn_into().ok());
    let card = target.and_then(|target| target.closest("a.card-link").ok().flatten());
    if let Some(href) = card.and_then(|card| card.get_attribute("href"))
        && let Ok(history) = window().history()
    {
        // If the browser does not note it, it goes back to the top of the page. Where it would go
        // by itself was measured on a page that may have held more.
        let _ = history.set_scroll_restoration(ScrollRestoration::Manual);
        let _ = history.replace_state(&href.into(), "");
    }
}

/// Shows the card again that was opened from here, where the browser went back to this page by
/// loading it anew.
fn return_to_card() {
    let state = window().history().and_then(|history| history.state());
    let Some(href) = state.ok().and_then(|state| state.as_string()) else {
        return;
    };
    let cards = document().get_elements_by_class_name("card-link");
    for card in (0..cards.length()).filter_map(|index| cards.item(index)) {
        let rect = card.get_bounding_client_rect();
        let is_seen =
            rect.bottom() > 0.0 && rect.top() < f64::from(document_element().client_height());
        if card.get_attribute("href").as_ref() == Some(&href) && !is_seen {
            card.scroll_into_view();
        }
    }
}

/// The link that was clicked; `None` if the click is not on it or is meant to open it in another
/// tab or window.
fn link_of(event: &MouseEvent) -> Option<Element> {
    if event.ctrl_key() || event.meta_key() || event.shift_key() {
        return None;
    }
    let target: Element = event.target()?.dyn_into().ok()?;
    target.closest("a[data-source]").ok()?
}

/// Loads the page that the link leads to, and lets the link lead to the page after that. Returns
/// what to tell the visitor.
async fn bring(link: &Element) -> &'static str {
    const FAILED: &str = "That did not work. Please try again.";
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
        &link.get_attribute("data-list").unwrap_or_default(),
    );
    // The address now leads to what was added, and so does going back to it.
    let href = link.get_attribute("href").unwrap_or_default();
    if let Ok(history) = window().history() {
        // If the browser does not take the address, it goes back to the first page.
        let _ = history.replace_state_with_url(&JsValue::NULL, "", Some(&href));
    }
    // This can only fail if the attribute is gone already.
    let _ = link.remove_attribute("data-fetched");
    let Some(cursor) = page.text("next") else {
        link.remove();
        return "Those are all the cats.";
    };
    for name in ["data-source", "href"] {
        let url = link.get_attribute(name).unwrap_or_default();
        if let Some((start, _)) = url.rsplit_once(AFTER) {
            set_attribute(link, name, &[start, AFTER, &path_segment(&cursor)].concat());
        }
    }
    "More cats have been added."
}

/// Adds cards to the list that the server drew, so that all of them form one grid, and moves the
/// focus to the first new one.
fn append(pictures: Vec<CardView>, list: &str) {
    let Some(gallery) = document().get_element_by_id(GALLERY_ID) else {
        return;
    };
    let gallery: HtmlElement = gallery.unchecked_into();
    let first = gallery.child_element_count();
    for picture in pictures {
        let (gallery, list) = (gallery.clone(), list.to_owned());
        mount_to(
            gallery,
            || view! { <PictureCard picture position=usize::MAX list/> },
        )
        .forget();
    }
    let first = gallery.children().item(first);
    if let Some(Ok(Some(link))) = first.map(|card| card.query_selector("a")) {
        // If the focus cannot be moved, the cards are there all the same.
        let _ = link.unchecked_into::<HtmlElement>().focus();
    }
}

/// Sets an attribute of an element.
fn set_attribute(element: &Element, name: &str, value: &str) {
    // This fails only if the name is no valid name of an attribute.
    let _ = element.set_attribute(name, value);
}
