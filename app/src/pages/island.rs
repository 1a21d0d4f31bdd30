//! Where an island will be.

use leptos::prelude::*;

/// The place of the island with this name, one of those in `islands`. It is empty, and `start.js`
/// finds it by its attribute.
#[component]
pub(super) fn Island(name: &'static str) -> impl IntoView {
    view! { <div class="island" data-island=name></div> }
}
