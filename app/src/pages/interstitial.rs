//! What takes the place of every page: the answer to a plain form, or an error outside the pages.

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
                <p>"It is gone from here. Copies in browsers and caches go when its time would have been up, at the latest."</p>
            </Notice>
        }
        .into_any(),
    }
}
