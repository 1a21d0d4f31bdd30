//! The page behind a delete link, which asks for confirmation. Opening it deletes nothing; only the
//! POST of its form does, which `server` handles without this page.

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
            <p>
                "Its links will stop working here at once. Copies in browsers and caches may last \
                until its time is up. You cannot undo this."
            </p>
            <form class="notice-links" method="post" action=action>
                <button type="submit" class="button is-danger">"Delete it"</button>
                <a class="button is-quiet" href=back>"Keep it"</a>
            </form>
        </section>
    }
}
