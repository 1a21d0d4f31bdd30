//! The island on the page of a picture that is still being looked at.

use leptos::prelude::*;

use super::verdict::verdict;

/// Waits for the verdict, then loads the page anew: the server knows what to show.
#[island]
pub(crate) fn PendingPicture(id: String) -> impl IntoView {
    Effect::new(move || {
        let id = id.clone();
        leptos::task::spawn_local(async move {
            let _ = verdict(&id).await;
            // A page that cannot reload stays as it is, with its link to itself.
            let _ = location().reload();
        });
    });
    view! {
        <p class="pending-words" role="status">
            "This page shows the picture as soon as we have seen it."
        </p>
    }
}
