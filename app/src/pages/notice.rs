//! A page that has one thing to say.

use leptos::prelude::*;

use super::cat::{Cat, Mood};
use super::head::HiddenHead;
use crate::error::{ApiError, ErrorCode};

/// A cat, a headline, a few words and where to go from here.
#[component]
pub(super) fn Notice(mood: Mood, #[prop(into)] title: String, children: Children) -> impl IntoView {
    view! {
        <section class="notice">
            <Cat mood/>
            <h1>{title}</h1>
            {children()}
            <p class="notice-links">
                <a class="button" href="/">"See the cats"</a>
                <a class="button is-quiet" href="/upload">"Upload one"</a>
            </p>
        </section>
    }
}

/// An error in words; the status is set by whoever met it.
#[component]
pub(super) fn ErrorNotice(error: ApiError) -> impl IntoView {
    let title = error.code.title();
    let mood = match error.code {
        ErrorCode::Gone | ErrorCode::ScreeningUnavailable => Mood::Asleep,
        _ => Mood::Puzzled,
    };
    view! {
        <HiddenHead title/>
        <Notice mood title>
            <p>{error.message}</p>
        </Notice>
    }
}
