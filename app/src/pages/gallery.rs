//! A page of a list: the cards, the way to the next page, or kind words where there are none.

use leptos::prelude::*;

use super::cat::{Cat, Mood};
use super::load::{load, when_loaded};
use super::notice::ErrorNotice;
use crate::components::more_pictures::{GALLERY_ID, MorePictures};
use crate::components::picture_card::PictureCard;
use crate::types::{ListQuery, PicturePage};

/// The pictures that `query` asks for; `path` is the page they are on, without its query.
#[component]
pub(super) fn Gallery(
    #[prop(into)] path: String,
    query: ListQuery,
    /// Said where there are no pictures.
    #[prop(into)]
    empty: String,
) -> impl IntoView {
    let asked = query.clone();
    let page = load(|backend| async move { backend.list_pictures(asked).await });
    when_loaded(page, move |loaded| match loaded {
        Ok(page) if page.pictures.is_empty() => view! { <EmptyGallery words=empty/> }.into_any(),
        Ok(page) => view! { <FullGallery page path query/> }.into_any(),
        Err(error) => view! { <ErrorNotice error/> }.into_any(),
    })
}

#[component]
fn FullGallery(page: PicturePage, path: String, query: ListQuery) -> impl IntoView {
    let cards = page
        .pictures
        .into_iter()
        .enumerate()
        .map(|(position, picture)| view! { <PictureCard picture=picture.into() position/> })
        .collect::<Vec<_>>();
    let more = page.next.map(|after| {
        let query = ListQuery { after, ..query };
        let source = format!("/api/v1/pictures?{}", query.to_query_string());
        // The page's own path holds the tag already.
        let tag = String::new();
        let href = format!("{path}?{}", ListQuery { tag, ..query }.to_query_string());
        view! { <More href source/> }
    });
    view! {
        <ul class="gallery" id=GALLERY_ID>{cards}</ul>
        {more}
    }
}

/// A link to `href`, the next page; `source` is the same page as the API has it, for the island.
#[component]
fn More(href: String, source: String) -> impl IntoView {
    view! {
        <nav class="more" aria-label="More pictures">
            <a class="button" rel="next" href=href data-source=source>"More cats"</a>
            <MorePictures/>
        </nav>
    }
}

#[component]
fn EmptyGallery(words: String) -> impl IntoView {
    view! {
        <div class="gallery-empty">
            <Cat mood=Mood::Asleep/>
            <p>{words}</p>
            <a class="button" href="/upload">"Upload a cat"</a>
        </div>
    }
}
