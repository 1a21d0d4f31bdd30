//! The entry point of the browser's WASM on every page but the upload page. It holds nothing but
//! this function; everything else is in `app`.

use app::islands;
use leptos::web_sys::HtmlElement;
use wasm_bindgen::prelude::wasm_bindgen;

/// Brings one island to life. The page calls it for each of its islands once the WASM is loaded.
#[wasm_bindgen]
pub fn mount(name: &str, place: HtmlElement) {
    islands::mount(name, place);
}
