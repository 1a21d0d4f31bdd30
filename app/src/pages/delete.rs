//! Asks before deleting. Only the form's POST, which the server takes itself, deletes anything.

use leptos::prelude::*;

use super::cat::{Cat, Mood};
use super::head::HiddenHead;
use super::load::{load, path_param, when_loaded};
use super::notice::ErrorNotice;

#[component]
pub(crate) fn DeletePage() -> impl IntoView {
    let (id, token) = (path_param("id"), path_param("token"));
    let action = format!("/delete/{id}/{token}");
    let back = format!("/c/{id}");
    let allowed = load(|backend| async move { backend.check_deletion(&id, &token).await });
    when_loaded(allowed, move |loaded| match loaded {
        Ok(()) => view! { <Confirmation action back/> }.into_any(),
        Err(error) => view! { <ErrorNotice error/> }.into_any(),
    })
}

#[component]
fn Confirmation(action: String, back: String) -> impl IntoView {
    view! {
        <HiddenHead title="Delete this picture?"/>
        <section class="notice">
            <Cat mood=Mood::Puzzled/>
            <h1>"Delete this picture?"</h1>
            <p>"Its links stop working at once, but for copies that browsers and caches hold until its time is up. This cannot be undone."</p>
            <form class="notice-links" method="post" action=action>
                <button type="submit" class="button is-danger">"Delete it"</button>
                <a class="button is-quiet" href=back>"Keep it"</a>
            </form>
        </section>
    }
}
