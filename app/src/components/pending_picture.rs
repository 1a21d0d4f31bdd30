//! The island on the page of a picture that is still being looked at.

use leptos::prelude::*;

use super::verdict::verdict;

/// Waits for the verdict, then loads the page anew: the server knows what to show.
#[island]
pub(crate) fn PendingPicture() -> impl IntoView {
    if is_browser() {
        leptos::task::spawn_local(async {
            let path = location_pathname().unwrap_or_default();
            // A refusal too is for the server to put into words.
            let _ = verdict(path.trim_start_matches("/c/")).await;
            // A page that cannot reload stays as it is.
            let _ = location().reload();
        });
    }
    view! { <p role="status">"This page shows the picture as soon as we have seen it."</p> }
}
