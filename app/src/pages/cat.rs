//! The site's own cat, a drawing that can show several moods.

use leptos::prelude::*;

/// The mood that the cat is drawn in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// Its eyes are open.
    Awake,
    /// Its eyes wander from side to side. The style sheet moves them, so it works without scripts
    /// too.
    Searching,
    /// Its eyes are closed.
    Asleep,
    /// It screws up one eye.
    Puzzled,
}

/// The face of a cat. It is decoration only, so screen readers skip it.
#[component]
pub(super) fn Cat(mood: Mood) -> impl IntoView {
    let eyes = match mood {
        Mood::Awake | Mood::Searching => view! {
            <g class="cat-eyes">
                <ellipse cx="38" cy="56" rx="6.5" ry="8"/>
                <ellipse cx="82" cy="56" rx="6.5" ry="8"/>
            </g>
        }
        .into_any(),
        Mood::Asleep => view! {
            <g class="cat-lids">
                <path d="M30 57q8 7 16 0"/>
                <path d="M74 57q8 7 16 0"/>
            </g>
        }
        .into_any(),
        Mood::Puzzled => view! {
            <g class="cat-eyes">
                <ellipse cx="38" cy="56" rx="6.5" ry="8"/>
                <ellipse cx="82" cy="57" rx="6.5" ry="3.5"/>
            </g>
        }
        .into_any(),
    };
    let class = match mood {
        Mood::Searching => "cat is-searching",
        Mood::Asleep => "cat is-asleep",
        Mood::Awake | Mood::Puzzled => "cat",
    };
    view! {
        <svg class=class viewBox="0 0 120 108" aria-hidden="true" focusable="false">
            <path
                class="cat-head"
                d="M16 50 12 12q0-7 7-4l26 16q15-4 30 0L101 8q7-3 7 4l-4 38q6 10 6 20 0 32-50 32T10 70q0-10 6-20z"
            />
            <path class="cat-ear" d="m21 20 3 20q5-7 13-11z"/>
            <path class="cat-ear" d="m99 20-3 20q-5-7-13-11z"/>
            <path class="cat-stripe" d="M60 24v13M49 26l2 9M71 26l-2 9"/>
            {eyes}
            <path class="cat-nose" d="M54 70h12q0 6-6 8-6-2-6-8z"/>
            <path class="cat-mouth" d="M60 78q-1 9-10 8M60 78q1 9 10 8"/>
            <path class="cat-whisker" d="M30 74 8 70M30 80 9 84M90 74l22-4M90 80l21 4"/>
        </svg>
    }
}
