//! The search box. Without scripts it is a plain form; in the browser it is an island that
//! completes tags.

mod completion;

use leptos::ev::{FocusEvent, KeyboardEvent, MouseEvent};
use leptos::prelude::*;
use leptos::wasm_bindgen::JsCast;
use web_sys::{Element, HtmlInputElement};

use super::fetch;
use completion::{complete, suggestions};

/// What the page searched for. The server provides it through the Leptos context; in the browser it
/// stands in the field already.
#[derive(Clone)]
pub(crate) struct SearchWords(pub(crate) String);

/// The tags that the box offers.
#[derive(Clone, Default)]
struct Offer {
    /// All tags; empty until the box has had the focus and they are loaded.
    tags: Vec<String>,
    /// Whether the tags are loaded or being loaded.
    is_asked: bool,
    /// The tags that complete the last word, in the order in which they are shown.
    options: Vec<String>,
    /// The position of the option that the arrow keys have reached.
    active: Option<usize>,
}

impl Offer {
    /// Offers the tags that complete what is written.
    fn suggest(&mut self, written: &str) {
        self.active = None;
        self.options = suggestions(written, &self.tags);
    }

    /// Offers nothing any more.
    fn close(&mut self) {
        self.active = None;
        self.options.clear();
    }

    /// Moves by one option down or up, and from one end of the list to the other.
    fn step(&mut self, is_down: bool) {
        let count = self.options.len();
        self.active = match self.active {
            _ if count == 0 => None,
            None if is_down => Some(0),
            None => Some(count - 1),
            Some(index) if is_down => Some((index + 1) % count),
            Some(index) => Some((index + count - 1) % count),
        };
    }
}

/// A form that opens `/search?q=…`. When it first gets the focus it loads all tags, and from then
/// on it completes the word that is being written. It follows the combobox pattern of the ARIA
/// Authoring Practices Guide.
#[island]
pub(crate) fn SearchBox() -> impl IntoView {
    let words = use_context::<SearchWords>().map(|words| words.0);
    let offer = RwSignal::new(Offer::default());

    let load_tags = move |_: FocusEvent| {
        if offer.read_untracked().is_asked {
            return;
        }
        offer.write_untracked().is_asked = true;
        leptos::task::spawn_local(async move {
            match fetch::get("/api/v1/tags").await {
                Some(list) => {
                    let tags = list.list("tags");
                    offer.write_untracked().tags =
                        tags.iter().filter_map(|tag| tag.text("name")).collect();
                }
                // Searching works without the tags; the next focus asks for them again.
                None => offer.write_untracked().is_asked = false,
            }
        });
    };
    let on_key = move |event: KeyboardEvent| {
        let Offer {
            options, active, ..
        } = offer.get_untracked();
        let key = event.key();
        let is_down = key == "ArrowDown";
        if is_down || key == "ArrowUp" {
            event.prevent_default();
            offer.update(|offer| {
                if options.is_empty() {
                    offer.suggest(&input().value());
                } else {
                    offer.step(is_down);
                }
            });
        } else if key == "Escape" && !options.is_empty() {
            event.prevent_default();
            offer.update(Offer::close);
        } else if key == "Enter"
            && let Some(tag) = active.and_then(|active| options.get(active))
        {
            event.prevent_default();
            choose(tag);
        }
    };
    let on_click = move |event: MouseEvent| {
        let option = event
            .target()
            .and_then(|target| target.dyn_into::<Element>().ok());
        if let Some(tag) = option.and_then(|option| option.text_content()) {
            choose(&tag);
        }
    };
    let options = move || {
        let offer = offer.read();
        let options = offer.options.iter().enumerate();
        options
            .map(|(index, tag)| {
                let selected = if offer.active == Some(index) {
                    "true"
                } else {
                    "false"
                };
                view! {
                    <li role="option" id=option_id(index) aria-selected=selected>
                        {tag.clone()}
                    </li>
                }
            })
            .collect::<Vec<_>>()
    };

    view! {
        <form class="search" role="search" action="/search" method="get">
            <label class="visually-hidden" for="search-input">"Search for cats by tag"</label>
            <input
                id="search-input"
                type="search"
                name="q"
                value=words
                placeholder="tabby, sofa, -dog…"
                maxlength="200"
                autocomplete="off"
                autocapitalize="none"
                spellcheck="false"
                role="combobox"
                aria-autocomplete="list"
                aria-controls="search-options"
                aria-expanded=move || if offer.read().options.is_empty() { "false" } else { "true" }
                aria-activedescendant=move || {
                    offer.read().active.map(option_id).unwrap_or_default()
                }
                on:focus=load_tags
                on:input=move |_| offer.update(|offer| offer.suggest(&input().value()))
                on:keydown=on_key
                on:blur=move |_| offer.update(Offer::close)
            />
            <button type="submit" class="search-button">
                <span class="visually-hidden">"Search"</span>
                <svg viewBox="0 0 24 24" aria-hidden="true">
                    <path d="M10.5 4a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13zm4.7 11.2L20 20"></path>
                </svg>
            </button>
            <ul
                id="search-options"
                role="listbox"
                aria-label="Tags"
                on:mousedown=|event| event.prevent_default()
                on:click=on_click
            >
                {options}
            </ul>
        </form>
    }
}

/// The id of the element that shows this option.
fn option_id(index: usize) -> String {
    ["search-option-", &index.to_string()].concat()
}

/// Completes what is written with this tag and searches for it.
fn choose(tag: &str) {
    let input = input();
    input.set_value(&complete(&input.value(), tag));
    if let Some(form) = input.form() {
        // A browser that is too old for this leaves the completed text in the field.
        let _ = form.request_submit();
    }
}

/// The field of the search box.
fn input() -> HtmlInputElement {
    document()
        .get_element_by_id("search-input")
        .expect("the box has its input")
        .unchecked_into()
}
