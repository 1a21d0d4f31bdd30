//! The page of all tags.

use leptos::prelude::*;

use super::chips::Chips;
use super::head::Head;
use super::load::{load, when_loaded};
use super::notice::ErrorNotice;
use crate::types::{COMMON_TAGS, TagList};

#[component]
pub(crate) fn TagsPage() -> impl IntoView {
    let tags = load(|backend| async move { backend.list_tags().await });
    when_loaded(tags, |loaded| match loaded {
        Ok(list) => view! { <AllTags list/> }.into_any(),
        Err(error) => view! { <ErrorNotice error/> }.into_any(),
    })
}

#[component]
fn AllTags(list: TagList) -> impl IntoView {
    let tags: Vec<_> = list
        .tags
        .into_iter()
        .filter(|tag| !COMMON_TAGS.contains(&tag.name.as_str()))
        .collect();
    let words = if tags.is_empty() {
        "No cat has a tag right now."
    } else {
        "What the models saw in the pictures that are here now, where they were sure."
    };
    view! {
        <Head title="All tags" description="Cat pictures by tag." path="/tags"/>
        <h1 class="section-title">"All tags"</h1>
        <p>{words}</p>
        {(!tags.is_empty()).then(|| view! { <Chips tags class="tags" label="Tags"/> })}
        <p class="notice-links">
            <a class="button" href="/">"See all cats"</a>
            <a class="button is-quiet" href="/random">"Surprise me"</a>
        </p>
    }
}
