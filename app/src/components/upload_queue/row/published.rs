//! What a row shows of a picture that is online.

use leptos::prelude::*;

use crate::components::copy_field::CopyField;
use crate::components::mine;
use crate::components::picture_card::CardView;
use crate::components::tag_links::TagLinks;
use crate::images::{self, Format};

/// What the uploader gets: the links, the tags, and the delete link.
#[component]
pub(super) fn Published(
    picture: CardView,
    url: String,
    token: String,
    deletion: String,
) -> impl IntoView {
    let deletion_path = ["/delete/", &picture.id, "/", &token].concat();
    let image = images::url(&picture.images, Format::Jpeg, 1280);
    let keeping = if mine::is_on() {
        view! {
            "This browser remembers it among " <a href="/mine">"your cats"</a>
            ". Keep the link as well if you may want to delete the picture from elsewhere. "
        }
        .into_any()
    } else {
        "Keep this link in case you change your mind. We show it only here and now. ".into_any()
    };
    view! {
        <TagLinks tags=picture.tags/>
        <CopyField label="Page" text=url/>
        <CopyField label="Image" text=image/>
        <div class="delete-link">
            <CopyField label="Delete link" text=deletion/>
            <p>{keeping} <a href=deletion_path>"Delete the picture"</a></p>
        </div>
    }
}
