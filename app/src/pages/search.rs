//! What a search found.

use leptos::prelude::*;

use super::gallery::Gallery;
use super::head::Head;
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
    view! {
        <Head
            title=format!("Search: {words}")
            description=format!("Cat pictures tagged {words}.")
            path=format!("/search?{}", query.to_query_string())
        />
        <h1 class="section-title">"Cats with " <q>{words}</q></h1>
        <Gallery path="/search" query empty="No cat fits that today. Try fewer words, or another tag."/>
    }
    .into_any()
}

#[component]
fn SearchHelp() -> impl IntoView {
    view! {
        <Head title="Search" description="Search cat pictures by tag." path="/search"/>
        <div class="prose">
            <h1>"Search"</h1>
            <p>"Every picture is tagged with the breed and the things around the cat. Write some of that above:"</p>
            <ul>
                <li><a href="/search?q=tabby+sofa"><code>"tabby sofa"</code></a>" finds tabbies on sofas."</li>
                <li><a href="/search?q=tabby+-dog"><code>"tabby -dog"</code></a>" leaves out those with a dog."</li>
                <li><a href="/search?q=%22maine+coon%22"><code>"\"maine coon\""</code></a>" finds the two words side by side."</li>
            </ul>
        </div>
    }
}
