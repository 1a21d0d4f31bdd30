//! The island that searches: a plain form everywhere, with tags completed in the browser.

mod completion;

use gloo_net::http::Request;
use leptos::ev::KeyboardEvent;
use leptos::prelude::*;

use crate::types::TagList;
use completion::{complete, suggestions};

/// A form that asks `/search?q=…`. The first time it gets the focus it loads all tags and from then on completes the
/// word being written: the combobox pattern of the ARIA authoring practices.
#[island]
pub(crate) fn SearchBox(query: String) -> impl IntoView {
    let form = NodeRef::<leptos::html::Form>::new();
    let input = NodeRef::<leptos::html::Input>::new();
    let (is_ready, set_ready) = signal(false);
    let (asked, set_asked) = signal(false);
    let (tags, set_tags) = signal(Vec::<String>::new());
    let (options, set_options) = signal(Vec::<String>::new());
    let (active, set_active) = signal(None::<usize>);
    Effect::new(move || set_ready.set(true));

    let load_tags = move |_| {
        if asked.get_untracked() {
            return;
        }
        set_asked.set(true);
        leptos::task::spawn_local(async move {
            match fetch_tags().await {
                Some(list) => set_tags.set(list),
                None => set_asked.set(false),
            }
        });
    };
    let written = move || {
        input
            .get_untracked()
            .map(|input| input.value())
            .unwrap_or_default()
    };
    let suggest = move || {
        set_active.set(None);
        set_options.set(suggestions(&written(), &tags.read_untracked()));
    };
    let close = move || {
        set_active.set(None);
        set_options.set(Vec::new());
    };
    let choose = move |index: usize| {
        let tag = options.read_untracked().get(index).cloned();
        if let (Some(tag), Some(input), Some(form)) =
            (tag, input.get_untracked(), form.get_untracked())
        {
            input.set_value(&complete(&written(), &tag));
            close();
            // A browser too old to submit keeps the completed text.
            let _ = form.request_submit();
        }
    };
    let on_key = move |event: KeyboardEvent| {
        let count = options.read_untracked().len();
        let step = |forward: bool| match (active.get_untracked(), forward) {
            (None, true) => 0,
            (None, false) => count - 1,
            (Some(index), true) => (index + 1) % count,
            (Some(index), false) => (index + count - 1) % count,
        };
        match event.key().as_str() {
            "ArrowDown" | "ArrowUp" => {
                if count == 0 {
                    suggest();
                } else {
                    set_active.set(Some(step(event.key() == "ArrowDown")));
                }
                event.prevent_default();
            }
            "Enter" => {
                if let Some(index) = active.get_untracked() {
                    event.prevent_default();
                    choose(index);
                }
            }
            "Escape" if count > 0 => {
                event.prevent_default();
                close();
            }
            _ => {}
        }
    };
    let is_open = move || !options.read().is_empty();
    let option_views = move || {
        options
            .get()
            .into_iter()
            .enumerate()
            .map(|(index, tag)| {
                let selected = move || active.get() == Some(index);
                view! {
                    <li
                        role="option"
                        id=option_id(index)
                        aria-selected=move || if selected() { "true" } else { "false" }
                        on:mousedown=|event| event.prevent_default()
                        on:click=move |_| choose(index)
                    >
                        {tag}
                    </li>
                }
            })
            .collect::<Vec<_>>()
    };

    view! {
        <form class="search" role="search" action="/search" method="get" node_ref=form>
            <label class="visually-hidden" for="search-input">"Search for cats by tag"</label>
            <input
                id="search-input"
                type="search"
                name="q"
                value=query
                placeholder="tabby, sofa, -dog…"
                maxlength="200"
                autocomplete="off"
                autocapitalize="none"
                spellcheck="false"
                role=move || is_ready.get().then_some("combobox")
                aria-autocomplete=move || is_ready.get().then_some("list")
                aria-controls=move || is_ready.get().then_some("search-options")
                aria-expanded=move || is_ready.get().then(|| if is_open() { "true" } else { "false" })
                aria-activedescendant=move || active.get().map(option_id)
                node_ref=input
                on:focus=load_tags
                on:input=move |_| suggest()
                on:keydown=on_key
                on:blur=move |_| close()
            />
            <button type="submit" class="search-button">
                <span class="visually-hidden">"Search"</span>
                <svg viewBox="0 0 24 24" aria-hidden="true">
                    <path d="M10.5 4a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13zm4.7 11.2L20 20"/>
                </svg>
            </button>
            <ul id="search-options" role="listbox" aria-label="Tags" hidden=move || !is_open()>
                {option_views}
            </ul>
        </form>
    }
}

fn option_id(index: usize) -> String {
    ["search-option-", &index.to_string()].concat()
}

/// All tags, most used first; nothing where they cannot be had, as searching works without.
async fn fetch_tags() -> Option<Vec<String>> {
    let answer = Request::get("/api/v1/tags").send().await.ok()?;
    let list: TagList = answer.json().await.ok()?;
    Some(list.tags.into_iter().map(|tag| tag.name).collect())
}
