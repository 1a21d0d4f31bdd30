//! Small steps on the page's elements. The islands that upload draw with them instead of with
//! views: what they draw is large and hardly ever changes, and as a text it takes a quarter of the
//! bytes.

use leptos::prelude::{document, window};
use leptos::wasm_bindgen::JsCast;
use leptos::wasm_bindgen::prelude::Closure;
use web_sys::{Element, Event, HtmlElement};

/// Calls `act` for every event of these names on the page, for as long as the page is open. Unlike
/// the framework's listeners it adds no code for each kind of event.
pub(super) fn listen(names: &[&str], act: impl Fn(Event) + 'static) {
    let act: Box<dyn Fn(Event)> = Box::new(act);
    let act = Closure::wrap(act).into_js_value();
    for name in names {
        // This fails only for what is no function.
        let _ = window().add_event_listener_with_callback(name, act.unchecked_ref());
    }
}

/// The first element in `root` that the selector fits.
pub(super) fn find(root: &Element, selector: &str) -> Option<HtmlElement> {
    let found = root.query_selector(selector).ok()??;
    Some(found.unchecked_into())
}

/// Writes a text into the first element in `root` that the selector fits, unless it is there.
pub(super) fn write(root: &Element, selector: &str, text: &str) {
    if let Some(element) = find(root, selector)
        && element.text_content().as_deref() != Some(text)
    {
        element.set_text_content(Some(text));
    }
}

/// Shows or hides the first element in `root` that the selector fits.
pub(super) fn show(root: &Element, selector: &str, is_shown: bool) {
    if let Some(element) = find(root, selector) {
        element.set_hidden(!is_shown);
    }
}

/// Sets an attribute of an element.
pub(super) fn set(element: &Element, name: &str, value: &str) {
    // This fails only for a name that none can have.
    let _ = element.set_attribute(name, value);
}

/// Appends what this HTML is, one element of our own words, and returns it.
pub(super) fn append(parent: &Element, html: &str) -> HtmlElement {
    // This fails only for a parent that is no element.
    let _ = parent.insert_adjacent_html("beforeend", html);
    let added = parent.last_element_child().expect("it was appended");
    added.unchecked_into()
}

/// Has screen readers say of each button in `root` what it is for.
pub(super) fn name_buttons(root: &Element, name: &str) {
    let Ok(buttons) = root.query_selector_all("[data-act]") else {
        return;
    };
    for button in (0..buttons.length()).filter_map(|at| buttons.item(at)) {
        let action = button.text_content().unwrap_or_default();
        let words = [&action, " ", name].concat();
        set(button.unchecked_ref(), "aria-label", &words);
    }
}

/// The element with this id.
pub(super) fn by_id(id: &str) -> Option<HtmlElement> {
    document().get_element_by_id(id).map(JsCast::unchecked_into)
}

/// The button that an event happened at, in an element that the selector fits: what its attribute
/// `data-act` says, the button, and that element.
pub(super) fn pressed(event: &Event, selector: &str) -> Option<(String, HtmlElement, HtmlElement)> {
    let target: Element = event.target()?.dyn_into().ok()?;
    let button = target.closest("[data-act]").ok()??;
    let place = button.closest(selector).ok()??;
    let act = button.get_attribute("data-act")?;
    Some((act, button.unchecked_into(), place.unchecked_into()))
}
