//! One upload as a row: the preview, how far it is, and what became of it.

use leptos::prelude::*;
use web_sys::{File, Url};

use super::queue::{Published, Queue, Row, Stage};
use crate::components::copy_field::CopyField;
use crate::components::countdown::Countdown;
use crate::components::tag_links::TagLinks;
use crate::images::variant;

#[component]
pub(super) fn UploadRow(row: Row, queue: Queue) -> impl IntoView {
    let element = NodeRef::<leptos::html::Li>::new();
    let name = row.file.with_value(File::name);
    let preview = row
        .file
        .with_value(|file| Url::create_object_url_with_blob(file));
    let preview = StoredValue::new(preview.unwrap_or_default());
    on_cleanup(move || {
        // A URL that is gone already needs no revoking.
        let _ = Url::revoke_object_url(&preview.get_value());
    });
    // A button that vanishes under the focus leaves it on its row.
    let keep_focus = move || {
        if let Some(element) = element.get_untracked() {
            let _ = element.focus();
        }
    };
    let cancel = move |_| {
        queue.cancel(row);
        keep_focus();
    };
    let retry = move |_| {
        queue.retry(row);
        keep_focus();
    };

    let body = move || {
        match row.stage.get() {
        Stage::Waiting => view! {
            <p class="upload-state">"Waiting in line…"</p>
            <button type="button" class="button is-quiet" on:click=cancel>"Cancel"</button>
        }
        .into_any(),
        Stage::Sending => view! {
            <progress max="1" aria-label="Upload" prop:value=row.progress></progress>
            <button type="button" class="button is-quiet" on:click=cancel>"Cancel"</button>
        }
        .into_any(),
        Stage::Looking => view! {
            <p class="upload-state is-looking">"Looking for the cat…"</p>
        }
        .into_any(),
        Stage::Published(published) => view! { <PublishedUpload published=*published/> }.into_any(),
        Stage::Refused(error) => view! {
            <p class="upload-state is-refused">
                <strong>{error.code.title()}</strong>" "{error.message}
            </p>
            {error.code.is_passing().then(|| view! {
                <button type="button" class="button is-quiet" on:click=retry>"Try again"</button>
            })}
            <button type="button" class="button is-quiet" on:click=move |_| queue.dismiss(row)>"Dismiss"</button>
        }
        .into_any(),
        Stage::Cancelled => view! {
            <p class="upload-state">"Cancelled."</p>
            <button type="button" class="button is-quiet" on:click=retry>"Try again"</button>
            <button type="button" class="button is-quiet" on:click=move |_| queue.dismiss(row)>"Dismiss"</button>
        }
        .into_any(),
    }
    };

    view! {
        <li class="upload-row" tabindex="-1" node_ref=element>
            <img class="upload-preview" src=preview.get_value() alt=""/>
            <div class="upload-body">
                <p class="upload-name">{name}</p>
                {body}
            </div>
        </li>
    }
}

/// What the uploader gets: the links, the tags, the time left and the only copy of the delete link.
#[component]
fn PublishedUpload(published: Published) -> impl IntoView {
    let Published { picture, upload } = published;
    let page = ["/c/", &upload.id].concat();
    let deletion = ["/delete/", &upload.id, "/", &upload.delete_token].concat();
    let image = variant(&picture.images, "1280.webp").to_owned();
    let tags = picture.tags.into_iter().map(|tag| tag.name).collect();
    view! {
        <p class="upload-state is-published">
            <strong>"That is a cat!"</strong>" "
            <a href=page>"See its page"</a>", "<Countdown until=picture.expires_at/>"."
        </p>
        <TagLinks tags/>
        <CopyField label="Page".to_owned() text=upload.url/>
        <CopyField label="Image".to_owned() text=image/>
        <div class="delete-link">
            <CopyField label="Delete link".to_owned() text=upload.delete_url/>
            <p>
                "Keep it if you may change your mind: it is shown only here and only now. "
                <a href=deletion>"Delete the picture"</a>
            </p>
        </div>
    }
}
