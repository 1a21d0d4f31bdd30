//! A picture's tags as links to their galleries.

use leptos::prelude::*;

use crate::query::path_segment;

/// The tags as a list of links; nothing if there are no tags.
#[component]
pub(crate) fn TagLinks(tags: Vec<String>) -> impl IntoView {
    let links = tags
        .into_iter()
        .map(|tag| {
            let href = ["/tags/", &path_segment(&tag)].concat();
            view! { <li><a class="tag" href=href>{tag}</a></li> }
        })
        .collect::<Vec<_>>();
    (!links.is_empty()).then(|| view! { <ul class="tags" aria-label="Tags">{links}</ul> })
}
