//! What is shown instead of a page: the answer to a form that was sent without scripts, or an error
//! that arose outside the pages.

use leptos::prelude::*;

use super::cat::{Cat, Mood};
use super::head::HiddenHead;
use super::island::Island;
use super::notice::{ErrorNotice, Notice};
use crate::backend::Interstitial;
use crate::components::copy_field::CopyField;
use crate::components::owner::UPLOADED_ID;
use crate::images::{Format, Images, url};
use crate::islands::{FORGET, KEEP};
use crate::types::UploadView;

#[component]
pub(crate) fn InterstitialPage(interstitial: Interstitial) -> impl IntoView {
    match interstitial {
        Interstitial::Error(error) => view! { <ErrorNotice error/> }.into_any(),
        Interstitial::Uploaded(upload) => view! { <Uploaded upload=*upload/> }.into_any(),
        Interstitial::Deleted => view! {
            <HiddenHead title="Deleted"/>
            <Island name=FORGET/>
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

/// The answer to the plain form: the links to the picture, and the one that deletes it. They are
/// told here only, so the answer says whether the verdict is there instead of waiting for it.
#[component]
fn Uploaded(upload: UploadView) -> impl IntoView {
    let page = format!("/c/{}", upload.id);
    let (image, until) = match upload.published {
        Some(published) => {
            let images: Images = published.images.into_iter().collect();
            (url(&images, Format::Webp, 320), published.expires_at)
        }
        None => (String::new(), String::new()),
    };
    let is_published = !until.is_empty();
    let (title, mood) = if is_published {
        ("That is a cat!", Mood::Awake)
    } else {
        ("Looking for the cat…", Mood::Searching)
    };
    let words = if is_published {
        "Your picture is online."
    } else {
        "Your picture has arrived and is being checked. Its page says what became of it."
    };
    let picture = is_published.then(|| {
        view! { <img class="uploaded-picture" src=image.clone() alt=""/> }
    });
    view! {
        <HiddenHead title/>
        <section
            class="notice uploaded"
            id=UPLOADED_ID
            data-id=upload.id
            data-token=upload.delete_token
            data-until=until
            data-image=image
        >
            {(!is_published).then(|| view! { <Cat mood/> })}
            {picture}
            <h1>{title}</h1>
            <p>{words}</p>
            <CopyField label="Page" text=upload.url/>
            <CopyField label="Delete link" text=upload.delete_url.clone()/>
            <p>
                "Keep the delete link in case you change your mind. We show it only here and now. "
                <a href=upload.delete_url>"Delete the picture"</a>
            </p>
            <p class="notice-links">
                <a class="button" href=page>"See its page"</a>
                <a class="button is-quiet" href="/upload">"Upload another"</a>
            </p>
            <Island name=KEEP/>
        </section>
    }
}
