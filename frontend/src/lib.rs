//! The entry point of the browser's WASM. It holds nothing but this function; everything else is in
//! `app`.

// Without this line the crate `app`, and so the islands, would not be linked in.
use app as _;

/// Brings the islands of the page to life. The page calls it once its WASM is loaded.
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    leptos::mount::hydrate_islands();
}
