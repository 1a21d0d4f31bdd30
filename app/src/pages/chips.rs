//! Tags with the numbers of their pictures, each a link to its gallery.

use leptos::prelude::*;

use crate::query::path_segment;
use crate::types::TagCount;

/// The tags as a list of links. The style sheet lays a list of the class `chips` in one line.
#[component]
pub(super) fn Chips(
    tags: Vec<TagCount>,
    class: &'static str,
    label: &'static str,
) -> impl IntoView {
    let links = tags
        .into_iter()
        .map(|tag| {
            let href = format!("/tags/{}", path_segment(&tag.name));
            view! {
                <li>
                    <a class="tag" href=href>{tag.name}" "<small>{tag.count}</small></a>
                </li>
            }
        })
        .collect::<Vec<_>>();
    view! { <ul class=class aria-label=label>{links}</ul> }
}
