//! The gallery of the pictures that carry one tag.

use leptos::prelude::*;

use super::gallery::Gallery;
use super::head::Head;
use super::load::{path_param, query_param};
use crate::query::path_segment;
use crate::types::ListQuery;

#[component]
pub(crate) fn TagPage() -> impl IntoView {
    let tag = path_param("tag");
    let after = query_param("after");
    let path = format!("/tags/{}", path_segment(&tag));
    let own_path = if after.is_empty() {
        path.clone()
    } else {
        format!("{path}?after={}", path_segment(&after))
    };
    let title = if after.is_empty() {
        format!("Cats: {tag}")
    } else {
        format!("Cats: {tag}, before no. {after}")
    };
    view! {
        <Head
            title=title
            description=format!("The newest cat pictures tagged {tag}.")
            path=own_path
        />
        <h1 class="section-title">"Cats tagged " <em>{tag.clone()}</em></h1>
        <Gallery
            path
            query=ListQuery { tag, after, ..ListQuery::default() }
            empty="There is no cat with this tag right now."
        />
    }
}
