//! The gallery of the pictures that carry one tag.

use leptos::prelude::*;

use super::gallery::Gallery;
use super::head::{FeedLinks, Head};
use super::load::{path_param, query_param};
use crate::types::ListQuery;

#[component]
pub(crate) fn TagPage() -> impl IntoView {
    let tag = path_param("tag");
    let after = query_param("after");
    let title = if after.is_empty() {
        format!("Cats: {tag}")
    } else {
        format!("Cats: {tag}, before no. {after}")
    };
    let query = ListQuery {
        tag: tag.clone(),
        after,
        ..ListQuery::default()
    };
    view! {
        <FeedLinks list=query.clone()/>
        <Head
            title=title
            description=format!("The newest cat pictures tagged {tag}.")
            path=query.page_address()
        />
        <h1 class="section-title">"Cats tagged " <em>{tag}</em></h1>
        <Gallery
            query
            empty="There is no cat with this tag right now."
        />
    }
}
