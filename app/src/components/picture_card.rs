//! One picture in a gallery.

use std::collections::BTreeMap;

use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::countdown::Countdown;
use crate::images::{srcset, variant};
use crate::types::PictureView;

/// How wide a card is drawn; must agree with `style/_gallery.scss`.
const SIZES: &str = "(min-width: 75rem) 17rem, (min-width: 44rem) 23vw, 46vw";

/// As much of a picture as a card shows, so that the browser need not understand the rest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CardView {
    pub id: String,
    pub images: BTreeMap<String, String>,
    pub tags: Vec<CardTag>,
    pub alt: String,
    pub width: u32,
    pub height: u32,
    pub expires_at: String,
}

/// A tag without its confidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardTag {
    pub name: String,
}

impl From<PictureView> for CardView {
    fn from(picture: PictureView) -> Self {
        let tags = picture.tags.into_iter();
        Self {
            id: picture.id,
            images: picture.images,
            tags: tags.map(|tag| CardTag { name: tag.name }).collect(),
            alt: picture.alt,
            width: picture.width,
            height: picture.height,
            expires_at: picture.expires_at,
        }
    }
}

/// A picture with its first tag and the time it has left. `position` counts from 0 on the page:
/// what is seen at once loads at once, the very first before all else.
#[component]
pub(crate) fn PictureCard(picture: CardView, position: usize) -> impl IntoView {
    let href = ["/c/", &picture.id].concat();
    let srcset = srcset(&picture.images, picture.width);
    let src = variant(&picture.images, "640.webp").to_owned();
    let tag = picture.tags.into_iter().next().map(|tag| tag.name);
    view! {
        <li class="card life">
            <a class="card-link" href=href>
                <span class="card-frame">
                    <img
                        src=src
                        srcset=srcset
                        sizes=SIZES
                        width=picture.width
                        height=picture.height
                        alt=picture.alt
                        loading=(position >= 6).then_some("lazy")
                        fetchpriority=(position == 0).then_some("high")
                        decoding="async"
                    />
                    <span class="when-gone">"This cat has wandered off"</span>
                </span>
                <span class="card-caption">
                    <span class="card-tag">{tag.unwrap_or_else(|| "cat".to_owned())}</span>
                    <Countdown until=picture.expires_at/>
                </span>
            </a>
        </li>
    }
}
