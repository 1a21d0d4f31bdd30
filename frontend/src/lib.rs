//! The browser's entry point. Never more than this: everything else lives in `app`.

// Links the islands in.
use app as _;

/// Brings the page's islands to life.
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    leptos::mount::hydrate_islands();
}
