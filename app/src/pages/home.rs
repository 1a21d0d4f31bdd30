//! The home page: the gallery of all pictures, newest first.

use leptos::prelude::*;

use super::cat::{Cat, Mood};
use super::chips::Chips;
use super::gallery::Gallery;
use super::head::{FeedLinks, Head};
use super::load::{load, query_param, when_loaded};
use crate::backend::backend;
use crate::types::ListQuery;

/// How many tags the first page offers: some screens of a phone.
const MOST_CHIPS: usize = 16;

#[component]
pub(crate) fn HomePage() -> impl IntoView {
    let retention = backend().site().retention;
    let after = query_param("after");
    let is_first_page = after.is_empty();
    let title = if is_first_page {
        "Cat pictures for a little while".to_owned()
    } else {
        format!("More cats, before no. {after}")
    };
    let hero = is_first_page.then(|| {
        view! {
            <section class="hero">
                <div class="hero-words">
                    <h1>"Cat pictures, here for " <em>{retention.clone()}</em></h1>
                    <p>
                        "Upload a cat, share the link. "
                        <a href="/tags">"All tags"</a>
                        " · "
                        <a href="/random">"Surprise me"</a>
                    </p>
                </div>
                <Cat mood=Mood::Awake/>
            </section>
        }
    });
    let chips = is_first_page.then(|| {
        let tags = load(|backend| async move { backend.frequent_tags(MOST_CHIPS).await });
        // Where the tags cannot be read, the gallery says what is wrong.
        when_loaded(tags, |loaded| {
            let tags = loaded.map(|list| list.tags).unwrap_or_default();
            (!tags.is_empty()).then(|| {
                view! { <Chips tags class="tags chips" label="Frequent tags"/> }
            })
        })
    });
    let heading = if is_first_page {
        view! { <h2 class="visually-hidden">"Just in"</h2> }.into_any()
    } else {
        view! { <h1 class="section-title">"More cats"</h1> }.into_any()
    };
    let query = ListQuery {
        after,
        ..ListQuery::default()
    };
    view! {
        <FeedLinks list=query.clone()/>
        <Head
            title=title
            description=format!("Share a cat picture with a link that works for {retention}. No account, no tracking, only cats.")
            path=query.page_address()
        />
        {hero}
        {chips}
        {heading}
        <Gallery
            query
            empty="There are no cats here yet. Be the first to upload one."
        />
    }
}
