//! The page of a search: what was found, or how to search if nothing was asked for.

use leptos::prelude::*;

use super::gallery::Gallery;
use super::head::{FeedLinks, Head};
use super::load::query_param;
use crate::types::ListQuery;

#[component]
pub(crate) fn SearchPage() -> impl IntoView {
    let query = ListQuery {
        q: query_param("q"),
        after: query_param("after"),
        ..ListQuery::default()
    };
    let words = query.q.clone();
    if words.is_empty() {
        return view! { <SearchHelp/> }.into_any();
    }
    let title = if query.after.is_empty() {
        format!("Search: {words}")
    } else {
        format!("Search: {words}, before no. {}", query.after)
    };
    view! {
        <FeedLinks list=query.clone()/>
        <Head
            title=title
            description=format!("Cat pictures tagged {words}.")
            path=query.page_address()
        />
        <h1 class="section-title">"Cats with " <q>{words}</q></h1>
        <Gallery
            query
            empty="No cat matches that today. Try fewer words, or another tag."
        />
    }
    .into_any()
}

#[component]
fn SearchHelp() -> impl IntoView {
    view! {
        <Head title="Search" description="Search cat pictures by tag." path="/search"/>
        <div class="prose">
            <h1>"Search"</h1>
            <p>
                "Pictures have tags for the cat's coat and for the things around it, where the \
                models are sure of them. Type some of them into the box above:"
            </p>
            <ul>
                <li><code>"tabby sofa"</code>" means both words."</li>
                <li><code>"tabby -dog"</code>" means the first, but not the second."</li>
                <li>
                    <code>"\"black cat\""</code>" means these words next to each other."
                </li>
                <li>
                    <code>"couches"</code>" means the tag sofa, and "<code>"orange"</code>
                    " means ginger."
                </li>
            </ul>
            <p>"Or look at "<a href="/tags">"all tags"</a>" that there are today."</p>
        </div>
    }
}
