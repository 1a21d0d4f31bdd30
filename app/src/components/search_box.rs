//! The island in the search box, which completes tags. Without it the box is a plain form.

mod completion;

use leptos::ev::{self, KeyboardEvent, MouseEvent};
use leptos::prelude::*;
use leptos::wasm_bindgen::JsCast;
use web_sys::{Element, Event, HtmlInputElement};

use super::fetch;
use completion::{complete, suggestions};

/// The id of the field in the search box.
pub(crate) const FIELD_ID: &str = "search-input";

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

/// The tags that complete the last word in the search box. When the box first gets the focus, all
/// tags are loaded. It follows the combobox pattern of the ARIA Authoring Practices Guide. It
/// listens on the window, because the field may have been replaced since.
#[component]
pub(crate) fn Suggestions() -> impl IntoView {
    let offer = RwSignal::new(Offer::default());
    Effect::new(move |_| describe(&offer.read()));
    if field().is_some_and(|field| document().active_element().as_ref() == Some(field.as_ref())) {
        load_tags(offer);
    }
    window_event_listener(ev::focusin, move |event| {
        if field_of(&event).is_some() {
            load_tags(offer);
        }
    });
    window_event_listener(ev::focusout, move |event| {
        if field_of(&event).is_some() {
            offer.update(Offer::close);
        }
    });
    window_event_listener(ev::input, move |event| {
        if let Some(field) = field_of(&event) {
            offer.update(|offer| offer.suggest(&field.value()));
        }
    });
    window_event_listener(ev::keydown, move |event| {
        if let Some(field) = field_of(&event) {
            on_key(offer, &event, &field);
        }
    });
    let on_click = move |event: MouseEvent| {
        // A translator may have changed the words, so the tag is not read from them.
        let option = event
            .target()
            .and_then(|target| target.dyn_into::<Element>().ok())
            .and_then(|target| target.closest("[role=option]").ok().flatten());
        if let Some(tag) = option.and_then(|option| option.get_attribute("data-tag")) {
            choose(&tag);
        }
    };
    let options = move || {
        let offer = offer.read();
        let options = offer.options.iter().enumerate();
        options
            .map(|(index, tag)| {
                let selected = truth(offer.active == Some(index));
                let id = option_id(index);
                view! {
                    <li role="option" id=id aria-selected=selected data-tag=tag.clone()>
                        {tag.clone()}
                    </li>
                }
            })
            .collect::<Vec<_>>()
    };
    view! {
        <ul
            id="search-options"
            role="listbox"
            aria-label="Tags"
            on:mousedown=|event| event.prevent_default()
            on:click=on_click
        >
            {options}
        </ul>
    }
}

/// Loads all tags unless they are there, and then offers those that fit what was written meanwhile.
fn load_tags(offer: RwSignal<Offer>) {
    if offer.read_untracked().is_asked {
        return;
    }
    offer.write_untracked().is_asked = true;
    leptos::task::spawn_local(async move {
        let Some(list) = fetch::get("/api/v1/tags").await else {
            // Searching works without the tags; the next focus asks for them again.
            offer.write_untracked().is_asked = false;
            return;
        };
        let tags = list.list("tags");
        offer.write_untracked().tags = tags.iter().filter_map(|tag| tag.text("name")).collect();
        let field = field();
        let is_here = document().active_element();
        if let Some(field) = field.filter(|field| is_here.as_ref() == Some(field.as_ref())) {
            offer.update(|offer| offer.suggest(&field.value()));
        }
    });
}

/// Moves through the options, chooses one, or closes the list.
fn on_key(offer: RwSignal<Offer>, event: &KeyboardEvent, field: &HtmlInputElement) {
    let Offer {
        options, active, ..
    } = offer.get_untracked();
    let key = event.key();
    let is_down = key == "ArrowDown";
    if is_down || key == "ArrowUp" {
        event.prevent_default();
        offer.update(|offer| {
            if options.is_empty() {
                offer.suggest(&field.value());
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
}

/// Tells assistive technology what the field offers.
fn describe(offer: &Offer) {
    let Some(field) = field() else {
        return;
    };
    let active = offer.active.map(option_id).unwrap_or_default();
    for (name, value) in [
        ("role", "combobox"),
        ("aria-autocomplete", "list"),
        ("aria-controls", "search-options"),
        ("aria-expanded", truth(!offer.options.is_empty())),
        ("aria-activedescendant", &active),
    ] {
        // This cannot fail: the names are valid.
        let _ = field.set_attribute(name, value);
    }
}

/// A truth value as the attributes of ARIA have it.
const fn truth(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

/// The id of the element that shows this option.
fn option_id(index: usize) -> String {
    ["search-option-", &index.to_string()].concat()
}

/// Completes what is written with this tag and searches for it.
fn choose(tag: &str) {
    let Some(field) = field() else {
        return;
    };
    field.set_value(&complete(&field.value(), tag));
    if let Some(form) = field.form() {
        // A browser that is too old for this leaves the completed text in the field.
        let _ = form.request_submit();
    }
}

/// The field of the search box; `None` if somebody has taken it out of the page.
fn field() -> Option<HtmlInputElement> {
    document().get_element_by_id(FIELD_ID)?.dyn_into().ok()
}

/// The field of the search box, if the event happened in it.
fn field_of(event: &Event) -> Option<HtmlInputElement> {
    let target: HtmlInputElement = event.target()?.dyn_into().ok()?;
    (target.id() == FIELD_ID).then_some(target)
}
