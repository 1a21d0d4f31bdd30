//! The frame around every page: the link that skips to the content, the header with the search box,
//! and the footer.

use std::sync::Arc;

use leptos::prelude::*;

use super::cat::{Cat, Mood};
use super::load::query_param;
use crate::backend::Backend;
use crate::components::countdown::Countdown;
use crate::components::search_box::{SearchBox, SearchWords};
use crate::types::contact_url;

#[component]
pub(crate) fn Layout(children: Children) -> impl IntoView {
    provide_context(SearchWords(query_param("q")));
    view! {
        <a class="skip-link" href="#main">"Skip to the content"</a>
        <header class="site-header">
            <a class="logo" href="/">
                <Cat mood=Mood::Awake/>
                <span>"Catto"<b>"CDN"</b></span>
            </a>
            <SearchBox/>
            <a class="button header-upload" href="/upload">"Upload"</a>
        </header>
        <main id="main" tabindex="-1">{children()}</main>
        <Footer/>
        <Countdown/>
    }
}

#[component]
fn Footer() -> impl IntoView {
    // The server also renders this once without a backend, to make the list of routes.
    let contact = use_context::<Arc<dyn Backend>>()
        .and_then(|backend| backend.site().abuse_contact)
        .map(|contact| {
            view! {
                <li><a href=contact_url(&contact)>"Report abuse"</a></li>
                <li><a href="/.well-known/security.txt">"Security"</a></li>
            }
        });
    view! {
        <footer class="site-footer">
            <ul>
                <li><a href="/about">"About and rules"</a></li>
                <li><a href="/about#api">"API"</a></li>
                <li><a href="/status">"Status"</a></li>
                {contact}
            </ul>
            <p>"No cookies, no tracking. Only cats."</p>
        </footer>
    }
}
