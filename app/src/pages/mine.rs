//! The page of the visitor's own cats. It is the same for everyone: a script fills it from the
//! browser's storage.

use leptos::prelude::*;

use super::head::Head;
use super::island::Island;
use crate::islands::MINE;

#[component]
pub(crate) fn MinePage() -> impl IntoView {
    view! {
        <Head
            title="My cats"
            description="The cats that you have uploaded from this browser, with their delete links."
            path="/mine"
            uploads=true
        />
        <div class="mine">
            <h1>"My cats"</h1>
            <p>
                "What you uploaded from this browser, until its time is up. The list is kept in the \
                browser and never sent to us, so clearing the browser's data clears it too. Save it \
                as a file to keep it, or to take it to another browser."
            </p>
            <Island name=MINE/>
            <p class="plain-only">
                "This page needs scripts, and they do not run here. Your delete links work without \
                them."
            </p>
        </div>
    }
}
