//! The island that leads from a picture's page to those before and after it in a list.

use std::cell::Cell;
use std::rc::Rc;

use leptos::ev::{self, KeyboardEvent, TouchEvent};
use leptos::prelude::*;
use leptos::wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};

/// How far a finger must move sideways to turn the page, in pixels of CSS.
const SWIPE: i32 = 60;

/// Lets the links to the neighbours stay in the list that the visitor came from, which stands in
/// the fragment of the address, and follows them at the arrow keys and when the picture is swiped.
pub(crate) fn start() {
    keep_list();
    window_event_listener(ev::hashchange, |_| keep_list());
    window_event_listener(ev::keydown, |event: KeyboardEvent| {
        let is_free =
            !(event.alt_key() || event.ctrl_key() || event.meta_key() || event.shift_key());
        let target: Option<Element> = event.target().and_then(|target| target.dyn_into().ok());
        // In a field the arrows move the cursor, and in what scrolls sideways they scroll.
        let moves = |target: Element| matches!(target.closest("input, textarea, pre"), Ok(None));
        if is_free && target.is_none_or(moves) {
            match event.key().as_str() {
                "ArrowLeft" => follow("prev"),
                "ArrowRight" => follow("next"),
                _ => {}
            }
        }
    });
    let began = Rc::new(Cell::new(None::<(i32, i32)>));
    let begins = Rc::clone(&began);
    window_event_listener(ev::touchstart, move |event: TouchEvent| {
        // Two fingers zoom, and on an enlarged page one finger moves it.
        let touches = event.touches();
        let is_turn = touches.length() == 1 && !is_enlarged() && on_picture(&event);
        let touch = touches.get(0).filter(|_| is_turn);
        begins.set(touch.map(|touch| (touch.client_x(), touch.client_y())));
    });
    window_event_listener(ev::touchend, move |event: TouchEvent| {
        let touch = event.changed_touches().get(0);
        let (Some((x, y)), Some(touch)) = (began.take(), touch) else {
            return;
        };
        let (right, down) = (touch.client_x() - x, touch.client_y() - y);
        if right.abs() >= SWIPE && right.abs() > 2 * down.abs() {
            follow(if right > 0 { "prev" } else { "next" });
        }
    });
}

/// Writes the list from the fragment of the address into the query of both links.
fn keep_list() {
    let list = location_hash().unwrap_or_default();
    if !list.starts_with("q=") {
        return;
    }
    for rel in ["prev", "next"] {
        if let Some(link) = link(rel) {
            let href = link.get_attribute("href").unwrap_or_default();
            let path = href.split('?').next().unwrap_or_default();
            // This cannot fail: the name is valid.
            let _ = link.set_attribute("href", &[path, "?", &list].concat());
        }
    }
}

/// Follows the link to a neighbour.
fn follow(rel: &str) {
    if let Some(link) = link(rel) {
        link.click();
    }
}

/// The link to a neighbour.
fn link(rel: &str) -> Option<HtmlElement> {
    let link = document().query_selector(&[".neighbour[rel=", rel, "]"].concat());
    link.ok()??.dyn_into().ok()
}

/// True for a touch of the picture.
fn on_picture(event: &TouchEvent) -> bool {
    let target: Option<Element> = event.target().and_then(|target| target.dyn_into().ok());
    target.is_some_and(|target| matches!(target.closest(".stage"), Ok(Some(_))))
}

/// True while the visitor has enlarged the page with two fingers.
fn is_enlarged() -> bool {
    window()
        .visual_viewport()
        .is_some_and(|viewport| viewport.scale() > 1.01)
}
