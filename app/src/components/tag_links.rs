//! A picture's tags as links to their galleries.

use leptos::prelude::*;

use crate::query::path_segment;
use crate::types::COMMON_TAGS;

/// The tags as a list of links, but for those that nearly every picture has; nothing if there are
/// no others.
#[component]
pub(crate) fn TagLinks(tags: Vec<String>) -> impl IntoView {
    let links = tags
        .into_iter()
        .filter(|tag| !COMMON_TAGS.contains(&tag.as_str()))
        .map(|tag| {
            let href = ["/tags/", &path_segment(&tag)].concat();
            view! { <li><a class="tag" href=href>{tag}</a></li> }
        })
        .collect::<Vec<_>>();
    (!links.is_empty()).then(|| view! { <ul class="tags" aria-label="Tags">{links}</ul> })
}
