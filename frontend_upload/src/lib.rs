//! The entry point of the browser's WASM on the upload page. Other pages do not load the island
//! that uploads, which is larger than all others together, so it has a program of its own.

use app::islands;
use leptos::web_sys::HtmlElement;
use wasm_bindgen::prelude::wasm_bindgen;

/// Brings one island to life. The page calls it for each of its islands once the WASM is loaded.
#[wasm_bindgen]
pub fn mount(name: &str, place: HtmlElement) {
    islands::mount_with_uploads(name, place);
}
