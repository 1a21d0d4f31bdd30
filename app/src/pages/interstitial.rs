//! What is shown instead of a page: the answer to a form that was sent without scripts, or an error
//! that arose outside the pages.

use leptos::prelude::*;

use super::cat::Mood;
use super::head::HiddenHead;
use super::notice::{ErrorNotice, Notice};
use crate::backend::Interstitial;

#[component]
pub(crate) fn InterstitialPage(interstitial: Interstitial) -> impl IntoView {
    match interstitial {
        Interstitial::Error(error) => view! { <ErrorNotice error/> }.into_any(),
        Interstitial::Deleted => view! {
            <HiddenHead title="Deleted"/>
            <Notice mood=Mood::Asleep title="The picture is deleted">
                <p>
                    "It is no longer on this site. Copies in browsers and caches will be gone, at \
                    the latest, when it would have expired anyway."
                </p>
            </Notice>
        }
        .into_any(),
    }
}
