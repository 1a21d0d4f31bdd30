//! One page of a list of pictures: the cards and the link to the next page, or a few kind words if
//! there are no pictures.

use leptos::prelude::*;

use super::cat::{Cat, Mood};
use super::island::Island;
use super::load::{load, when_loaded};
use super::notice::ErrorNotice;
use crate::components::more_pictures::GALLERY_ID;
use crate::components::picture_card::PictureCard;
use crate::islands::MORE;
use crate::types::{ListQuery, PicturePage};

/// Loads and shows the pictures that `query` asks for. `path` is the path of the page that they are
/// on, without a query string.
#[component]
pub(super) fn Gallery(
    #[prop(into)] path: String,
    query: ListQuery,
    /// What to say if there are no pictures.
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
        // The path of a tag's page names the tag already.
        let tag = String::new();
        let href = format!("{path}?{}", ListQuery { tag, ..query }.to_query_string());
        view! { <More href source/> }
    });
    view! {
        <ul class="gallery" id=GALLERY_ID>{cards}</ul>
        {more}
    }
}

/// The link to the next page of the list, at `href`. The API answers with the same pictures at
/// `source`, from where the island loads them.
#[component]
fn More(href: String, source: String) -> impl IntoView {
    view! {
        <nav class="more" aria-label="More pictures">
            <a class="button" rel="next" href=href data-source=source>"More cats"</a>
            <Island name=MORE/>
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
