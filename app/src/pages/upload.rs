//! The upload page.

use leptos::prelude::*;

use super::head::Head;
use super::island::Island;
use crate::backend::backend;
use crate::components::upload_queue::FORM_ID;
use crate::islands::UPLOADS;
use crate::types::{LifeChoice, UploadRules};
use crate::units::readable_bytes;

#[component]
pub(crate) fn UploadPage() -> impl IntoView {
    let site = backend().site();
    view! {
        <Head
            title="Upload a cat"
            description=format!("Upload cat pictures and get links that work for {}.", site.retention)
            path="/upload"
            uploads=true
        />
        <div class="upload-page">
            <h1>"Upload a cat"</h1>
            <UploadForm rules=site.rules retention=site.retention.clone()/>
            <ul class="promises">
                <li>
                    "Cats only, please, and nothing indecent. Every picture is checked before \
                    anybody can see it."
                </li>
                <li>"We remove location, camera details and all other hidden data."</li>
                <li>
                    "After "{site.retention}", or sooner if you like, your picture is gone. "
                    <a href="/about">"Read the rules"</a>
                </li>
            </ul>
        </div>
    }
}

/// The id of the field that says how long the picture shall live.
const LIFE_ID: &str = "upload-life";

/// The choice of how long the picture shall live. It belongs to the form, and stands below its
/// button.
#[component]
fn LifeField(retention: String, choices: Vec<LifeChoice>) -> impl IntoView {
    let options = choices
        .into_iter()
        .map(|LifeChoice { seconds, words }| view! { <option value=seconds>{words}</option> })
        .collect::<Vec<_>>();
    (!options.is_empty()).then(|| {
        view! {
            <p class="upload-life">
                <label for=LIFE_ID>"Gone after"</label>
                <select id=LIFE_ID name="expires_in" form=FORM_ID>
                    <option value="">{retention}</option>
                    {options}
                </select>
            </p>
        }
    })
}

/// What the field for files offers. Chrome on Android 14 shows only its picker of photographs where
/// every kind is one of images, and the camera too where there is one more.
const ACCEPTED: &str = "image/jpeg,image/png,image/webp,image/gif,android/allowCamera";

/// The upload form. Without scripts it takes one picture; with scripts it becomes a box that takes
/// several at once, dropped, pasted or chosen.
#[component]
fn UploadForm(rules: UploadRules, retention: String) -> impl IntoView {
    let limits = format!(
        "JPEG, PNG, WebP or GIF, up to {} and {} megapixels each; a progressive JPEG, a WebP or an animation may have fewer.",
        readable_bytes(rules.max_bytes),
        rules.max_pixels.div_ceil(1_000_000)
    );
    view! {
        <form
            class="upload"
            id=FORM_ID
            method="post"
            action="/upload"
            enctype="multipart/form-data"
            data-max-bytes=rules.max_bytes.to_string()
        >
            <label class="box">
                <span class="box-title">"Put your cat in the box"</span>
                <span class="box-hint">
                    <span class="needs-script">
                        "Drop pictures here, paste them, or click to choose some. "
                    </span>
                    {limits}
                </span>
                <input
                    type="file"
                    name="file"
                    accept=ACCEPTED
                />
            </label>
            <button type="submit" class="button">"Upload"</button>
        </form>
        <LifeField retention choices=rules.shorter_lives/>
        <Island name=UPLOADS/>
    }
}
