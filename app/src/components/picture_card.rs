//! The card that shows one picture in a gallery.

use leptos::prelude::*;

use super::countdown::TimeLeft;
use super::fetch::Json;
use crate::images::{Format, Images, srcset, url};
use crate::types::PictureView;

/// How wide a card is drawn on screens of different widths. This must agree with
/// `style/_gallery.scss`.
const SIZES: &str = "(min-width: 75rem) 16rem, (min-width: 44rem) 23vw, 46vw";
/// How many cards are about to be seen when a page opens. Their images are loaded at once, and
/// those of the others when they come near.
const SEEN_AT_ONCE: usize = 6;

/// What a card shows of a picture. The fields are those of [`PictureView`].
#[derive(Clone)]
pub(crate) struct CardView {
    pub(crate) id: String,
    pub(crate) images: Images,
    pub(crate) tags: Vec<String>,
    pub(crate) alt: String,
    /// The width of the widest image file, in pixels.
    pub(crate) width: u32,
    /// The height of the widest image file, in pixels.
    pub(crate) height: u32,
    pub(crate) expires_at: String,
}

impl From<PictureView> for CardView {
    fn from(picture: PictureView) -> Self {
        Self {
            id: picture.id,
            images: picture.images.into_iter().collect(),
            tags: picture.tags.into_iter().map(|tag| tag.name).collect(),
            alt: picture.alt,
            width: picture.largest_width,
            height: picture.largest_height,
            expires_at: picture.expires_at,
        }
    }
}

impl CardView {
    /// Reads a published picture out of the answer to a list, an upload or a status; `None` if it
    /// is not published.
    pub(super) fn from_json(picture: &Json) -> Option<Self> {
        Some(Self {
            expires_at: picture.text("expires_at")?,
            id: picture.text("id")?,
            images: picture.texts("images"),
            tags: picture
                .list("tags")
                .iter()
                .filter_map(|tag| tag.text("name"))
                .collect(),
            alt: picture.text("alt").unwrap_or_default(),
            width: picture.number("largest_width"),
            height: picture.number("largest_height"),
        })
    }
}

/// A picture with a few words about it and the time it has left. `position` is its place on the
/// page, counted from 0: the first cards load their images at once, and the very first does so with
/// priority.
#[component]
pub(crate) fn PictureCard(picture: CardView, position: usize) -> impl IntoView {
    let href = ["/c/", &picture.id].concat();
    let srcset = srcset(&picture.images, picture.width);
    let src = url(&picture.images, Format::Webp, 640);
    let words = (!picture.alt.is_empty())
        .then(|| view! { <span class="card-tag">{picture.alt.clone()}</span> });
    view! {
        <li class="card life">
            <a class="card-link" href=href>
                <span class="card-frame">
                    <img
                        src=src
                        srcset=srcset
                        sizes=SIZES
                        width=picture.width.to_string()
                        height=picture.height.to_string()
                        alt=picture.alt
                        loading=if position < SEEN_AT_ONCE { "eager" } else { "lazy" }
                        fetchpriority=if position == 0 { "high" } else { "auto" }
                        decoding="async"
                    />
                    <span class="when-gone">"This cat has wandered off"</span>
                </span>
                <span class="card-caption">
                    {words}
                    <TimeLeft until=picture.expires_at/>
                </span>
            </a>
        </li>
    }
}
