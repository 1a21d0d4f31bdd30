//! The island at the end of a gallery that brings its next page.

use gloo_net::http::Request;
use leptos::prelude::*;
use leptos::wasm_bindgen::JsCast;
use serde::Deserialize;

use super::picture_card::{CardView, PictureCard};
use crate::types::ListQuery;

/// The element that `pages::gallery` puts its cards into.
pub(crate) const GALLERY_ID: &str = "gallery";

/// A page of a list, as far as cards need it.
#[derive(Deserialize)]
struct CardPage {
    pictures: Vec<CardView>,
    next: Option<String>,
}

/// A plain link to the next page at `path`; in the browser it appends that page's cards to the gallery instead.
#[island]
pub(crate) fn MorePictures(path: String, query: ListQuery) -> impl IntoView {
    let (query, set_query) = signal(query);
    let (is_loading, set_loading) = signal(false);
    let (is_last, set_last) = signal(false);
    let (words, set_words) = signal("");

    let load = move |event: leptos::ev::MouseEvent| {
        if event.ctrl_key() || event.meta_key() || event.shift_key() {
            return;
        }
        event.prevent_default();
        if is_loading.get_untracked() {
            return;
        }
        set_loading.set(true);
        set_words.set("");
        leptos::task::spawn_local(async move {
            match fetch(&query.get_untracked()).await {
                Some(page) => {
                    append(page.pictures);
                    set_words.set("More cats have come in.");
                    match page.next {
                        Some(after) => set_query.update(|query| query.after = after),
                        None => set_last.set(true),
                    }
                }
                None => set_words.set("They did not come. Please try again."),
            }
            set_loading.set(false);
        });
    };

    let href = move || [path.as_str(), "?", &query.read().to_query_string()].concat();
    view! {
        <nav class="more" aria-label="More pictures">
            <a class="button" href=href on:click=load hidden=is_last rel="next">
                {move || if is_loading.get() { "Calling them…" } else { "More cats" }}
            </a>
            <p role="status">{words}</p>
            <p hidden=move || !is_last.get()>"Those are all of them."</p>
        </nav>
    }
}

/// Asks the cacheable API for one page; nothing where it fails for whatever reason.
async fn fetch(query: &ListQuery) -> Option<CardPage> {
    let url = ["/api/v1/pictures?", &query.to_query_string()].concat();
    let answer = Request::get(&url).send().await.ok()?;
    if !answer.ok() {
        return None;
    }
    answer.json().await.ok()
}

/// Adds cards to the server's own list, so that both form one grid, and moves the focus to the first of them.
fn append(pictures: Vec<CardView>) {
    let Some(gallery) = document().get_element_by_id(GALLERY_ID) else {
        return;
    };
    let before = gallery.child_element_count();
    let gallery: web_sys::HtmlElement = gallery.unchecked_into();
    let list = gallery.clone();
    mount_to(list, move || {
        pictures
            .into_iter()
            .map(|picture| view! { <PictureCard picture position=usize::MAX/> })
            .collect::<Vec<_>>()
    })
    .forget();
    let first = gallery.children().item(before);
    if let Some(Ok(Some(link))) = first.map(|card| card.query_selector("a")) {
        // A missing focus is no reason to stop.
        let _ = link.unchecked_into::<web_sys::HtmlElement>().focus();
    }
}
