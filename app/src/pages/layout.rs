//! The frame around every page: the link that skips to the content, the header with the search box,
//! and the footer.

use std::sync::Arc;

use leptos::prelude::*;

use super::cat::{Cat, Mood};
use super::island::Island;
use super::load::query_param;
use crate::backend::Backend;
use crate::components::search_box::FIELD_ID;
use crate::islands::{COPYING, COUNTDOWN, DROPS, SUGGESTIONS};
use crate::types::contact_url;

#[component]
pub(crate) fn Layout(children: Children) -> impl IntoView {
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
        <Island name=COUNTDOWN/>
        <Island name=COPYING/>
        <Island name=DROPS/>
    }
}

/// A form that opens `/search?q=…`. The island in it completes what is written.
#[component]
fn SearchBox() -> impl IntoView {
    let words = query_param("q");
    view! {
        <form class="search" role="search" action="/search" method="get">
            <label class="visually-hidden" for=FIELD_ID>"Search for cats by tag"</label>
            <input
                id=FIELD_ID
                type="search"
                name="q"
                value=words
                placeholder="Search by tag"
                maxlength="200"
                autocomplete="off"
                autocapitalize="none"
                spellcheck="false"
            />
            <button type="submit" class="search-button">
                <span class="visually-hidden">"Search"</span>
                <svg viewBox="0 0 24 24" aria-hidden="true">
                    <path d="M10.5 4a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13zm4.7 11.2L20 20"></path>
                </svg>
            </button>
            <Island name=SUGGESTIONS/>
        </form>
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
                <li><a href="/mine">"My cats"</a></li>
                <li><a href="/about">"About and rules"</a></li>
                <li><a href="/docs">"API"</a></li>
                <li><a href="/status">"Status"</a></li>
                {contact}
            </ul>
            <p>"No cookies, no tracking. Only cats."</p>
        </footer>
    }
}
