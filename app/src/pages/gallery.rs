//! One page of a list of pictures: the cards and the link to the next page, or a few kind words if
//! there are no pictures.

use leptos::prelude::*;
use leptos_meta::Link;

use super::cat::{Cat, Mood};
use super::island::Island;
use super::load::{load, when_loaded};
use super::notice::ErrorNotice;
use crate::components::more_pictures::GALLERY_ID;
use crate::components::picture_card::PictureCard;
use crate::islands::MORE;
use crate::types::{ListQuery, PicturePage};

/// Loads and shows the pictures that `query` asks for.
#[component]
pub(super) fn Gallery(
    query: ListQuery,
    /// What to say if there are no pictures.
    #[prop(into)]
    empty: String,
) -> impl IntoView {
    let asked = query.clone();
    let page = load(|backend| async move { backend.list_pictures(asked).await });
    when_loaded(page, move |loaded| match loaded {
        Ok(page) if page.pictures.is_empty() => view! { <EmptyGallery words=empty/> }.into_any(),
        Ok(page) => view! { <FullGallery page query/> }.into_any(),
        Err(error) => view! { <ErrorNotice error/> }.into_any(),
    })
}

/// A list with at least one picture.
#[component]
pub(super) fn FullGallery(page: PicturePage, query: ListQuery) -> impl IntoView {
    let list = list_of(&query);
    let cards = page
        .pictures
        .into_iter()
        .enumerate()
        .map(|(position, picture)| {
            view! { <PictureCard picture=picture.into() position list=list.clone()/> }
        })
        .collect::<Vec<_>>();
    let at = |after: String| ListQuery {
        after,
        ..query.clone()
    };
    let newer = page.previous.map(|after| {
        let href = at(after).page_address();
        view! {
            <p class="newer">
                <Link rel="prev" href=href.clone()/>
                <a class="button is-quiet" rel="prev" href=href>"Newer cats"</a>
            </p>
        }
    });
    let more = page.next.map(|after| {
        let query = at(after);
        let source = format!("/api/v1/pictures?{}", query.to_query_string());
        let href = query.page_address();
        view! {
            <Link rel="next" href=href.clone()/>
            <More href source list/>
        }
    });
    view! {
        {newer}
        <ul class="gallery" id=GALLERY_ID>{cards}</ul>
        {more}
        <div class="more-status"><Island name=MORE/></div>
    }
}

/// The query of the search that gives the same list, wherever it begins; empty for all pictures. A
/// tag is searched for as a phrase.
fn list_of(query: &ListQuery) -> String {
    let phrase = || format!("\"{}\"", query.tag);
    let q = if query.tag.is_empty() {
        query.q.clone()
    } else {
        phrase()
    };
    ListQuery {
        q,
        ..ListQuery::default()
    }
    .to_query_string()
}

/// The link to the next page of the list, at `href`. The API answers with the same pictures at
/// `source`, from where the island loads them.
#[component]
fn More(href: String, source: String, list: String) -> impl IntoView {
    view! {
        <nav class="more" aria-label="More pictures">
            <a class="button" rel="next" href=href data-source=source data-list=list>
                "More cats"
            </a>
        </nav>
    }
}

/// A list without pictures.
#[component]
pub(super) fn EmptyGallery(#[prop(into)] words: String) -> impl IntoView {
    view! {
        <div class="gallery-empty">
            <Cat mood=Mood::Asleep/>
            <p>{words}</p>
            <p class="notice-links">
                <a class="button" href="/upload">"Upload a cat"</a>
                <a class="button is-quiet" href="/">"See all cats"</a>
                <a class="button is-quiet" href="/tags">"All tags"</a>
                <a class="button is-quiet" href="/random">"Surprise me"</a>
            </p>
        </div>
    }
}
