//! The island below a picture, which shows further cats once the reader comes near. What it shows
//! is fetched by then, so that a page which caches keep shows no picture beyond its end.

use std::cell::Cell;

use leptos::mount::mount_to;
use leptos::prelude::*;
use leptos::web_sys::{Element, HtmlElement};

use super::dom::listen;
use super::fetch;
use super::picture_card::{CardView, PictureCard};

/// The position of the first card: none is seen at once.
const FIRST: usize = 100;

/// Shows the cats that the section around this place names, in this place.
pub(crate) fn start(place: HtmlElement) {
    let Ok(Some(section)) = place.closest(".related") else {
        return;
    };
    let waits = Cell::new(true);
    let look = move || {
        if waits.get() && is_near(&section) {
            waits.set(false);
            leptos::task::spawn_local(show(section.clone(), place.clone()));
        }
    };
    look();
    listen(&["scroll"], move |_| look());
}

/// Whether less than half a screen is between the window and the section.
fn is_near(section: &Element) -> bool {
    let height = document()
        .document_element()
        .map(|root| root.client_height());
    let near = f64::from(height.unwrap_or_default()) * 1.5;
    section.get_bounding_client_rect().top() < near
}

/// Fetches the cats and draws them. Where there are none, or they cannot be had, the words above
/// them still lead to the list.
async fn show(section: Element, place: HtmlElement) {
    let told = |name: &str| section.get_attribute(name).unwrap_or_default();
    let Some(page) = fetch::get(&told("data-source")).await else {
        return;
    };
    let (id, list) = (told("data-id"), told("data-list"));
    let cards: Vec<_> = page
        .list("pictures")
        .iter()
        .filter_map(CardView::from_json)
        .filter(|picture| picture.id != id)
        .map(|picture| view! { <PictureCard picture position=FIRST list=list.clone()/> })
        .collect();
    if cards.is_empty() {
        section.set_attribute("hidden", "").unwrap_or_default();
        return;
    }
    mount_to(place, || view! { <ul class="gallery">{cards}</ul> }).forget();
}
