//! Where cats come in.

use leptos::prelude::*;

use super::head::Head;
use crate::backend::backend;
use crate::components::upload_queue::UploadForm;

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
