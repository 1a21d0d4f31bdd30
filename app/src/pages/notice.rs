//! A page that tells one thing only, such as an error.

use leptos::prelude::*;

use super::cat::{Cat, Mood};
use super::head::HiddenHead;
use crate::error::{ApiError, ErrorCode};

/// A cat, a headline, a few words, and links that lead on.
#[component]
pub(super) fn Notice(mood: Mood, #[prop(into)] title: String, children: Children) -> impl IntoView {
    view! {
        <section class="notice">
            <Cat mood/>
            <h1>{title}</h1>
            {children()}
            <p class="notice-links">
                <a class="button" href="/">"See the cats"</a>
                <a class="button is-quiet" href="/random">"Surprise me"</a>
                <a class="button is-quiet" href="/upload">"Upload one"</a>
            </p>
        </section>
    }
}

/// Says an error in words. It does not set the status; whoever met the error does.
#[component]
pub(super) fn ErrorNotice(error: ApiError) -> impl IntoView {
    let title = error.code.title();
    let mood = match error.code {
        ErrorCode::Gone | ErrorCode::ScreeningUnavailable => Mood::Asleep,
        ErrorCode::Malformed
        | ErrorCode::Unauthorized
        | ErrorCode::Forbidden
        | ErrorCode::NotFound
        | ErrorCode::MethodNotAllowed
        | ErrorCode::Timeout
        | ErrorCode::TooLarge
        | ErrorCode::TooManyPixels
        | ErrorCode::UnsupportedType
        | ErrorCode::RangeNotSatisfiable
        | ErrorCode::NotACat
        | ErrorCode::Unsafe
        | ErrorCode::Banned
        | ErrorCode::CorruptImage
        | ErrorCode::TooSmall
        | ErrorCode::KeyReused
        | ErrorCode::TooManyRequests
        | ErrorCode::Internal
        | ErrorCode::BudgetSpent
        | ErrorCode::StorageUnavailable
        | ErrorCode::StorageFull
        | ErrorCode::UnsupportedFormat => Mood::Puzzled,
    };
    view! {
        <HiddenHead title/>
        <Notice mood title>
            <p>{error.message}</p>
        </Notice>
    }
}
