//! Where cats come in.

use leptos::prelude::*;

use super::head::Head;
use crate::backend::backend;
use crate::components::upload_queue::{FORM_ID, UploadQueue};
use crate::types::UploadRules;
use crate::units::readable_bytes;

#[component]
pub(crate) fn UploadPage() -> impl IntoView {
    let site = backend().site();
    view! {
        <Head
            title="Upload a cat"
            description=format!("Upload cat pictures and get links that work for {}.", site.retention)
            path="/upload"
        />
        <div class="upload-page">
            <h1>"Upload a cat"</h1>
            <UploadForm rules=site.rules/>
            <ul class="promises">
                <li>"Cats only, and nothing indecent: two models look at every picture before anybody else does."</li>
                <li>"Place, camera and all other hidden data are taken out."</li>
                <li>"After "{site.retention}" it is gone. "<a href="/about">"The rules"</a></li>
            </ul>
        </div>
    }
}

/// A form for one picture; with scripts, a box for several at once: dropped, pasted or chosen.
#[component]
fn UploadForm(rules: UploadRules) -> impl IntoView {
    let limits = format!(
        "JPEG, PNG, WebP or GIF, up to {} and {} megapixels each.",
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
                    <span class="needs-script">"Drop pictures here, paste them, or choose some. "</span>
                    {limits}
                </span>
                <input
                    type="file"
                    name="file"
                    accept="image/jpeg,image/png,image/webp,image/gif"
                />
            </label>
            <button type="submit" class="button">"Upload"</button>
        </form>
        <UploadQueue/>
    }
}
