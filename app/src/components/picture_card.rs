//! The card that shows one picture in a gallery.

use leptos::prelude::*;

use super::countdown::TimeLeft;
use super::fetch::Json;
use crate::images::{Format, Images, srcset, still, url};
use crate::types::PictureView;

/// How many cards are about to be seen when a page opens on a phone. Their images are loaded at
/// once, and those of the others when they come near.
const SEEN_AT_ONCE: usize = 10;

/// The proportion, width to height, of the narrowest card. Pictures that are narrower still are
/// cropped to it.
const NARROWEST: f32 = 0.4;
/// How many times as wide as one shape of cards the next one is, at the same height. A card so
/// crops at most 3 % off a picture.
const STEP: f32 = 1.06;
/// How many shapes of cards there are. The widest is 2.4 times as wide as high.
const SHAPES: usize = 32;

/// How wide a card is that is as wide as it is high, in pixels of CSS, in the mean: on phones, from
/// a width of 44rem on, and from 75rem on. The rows in `style/_gallery.scss` are less high, and
/// grow to fill their width. Browsers round up to the next file, so that few are ever too small.
const SQUARE: [u32; 3] = [115, 180, 210];

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
    /// The thumbhash in Base64, from which the colour is made that shows while the image loads.
    pub(crate) thumbhash: String,
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
            thumbhash: picture.thumbhash,
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
            thumbhash: picture.text("thumbhash").unwrap_or_default(),
        })
    }
}

/// The number of the shape that this picture's card has: the closest of [`SHAPES`] proportions.
/// A style sheet cannot read an image's proportions, and the pages' policy allows no inline styles,
/// so `style/_gallery.scss` has a class for each shape.
fn shape(width: u32, height: u32) -> usize {
    #[expect(clippy::cast_precision_loss, reason = "sides of pictures are exact")]
    let proportion = width as f32 / height.max(1) as f32;
    // The bound between a shape and the next is half a step away.
    let mut bound = NARROWEST * (1.0 + STEP) / 2.0;
    let mut shape = 0;
    while proportion > bound && shape + 1 < SHAPES {
        bound *= STEP;
        shape += 1;
    }
    shape
}

/// The class of the shape that a picture with these sides has.
pub(crate) fn shape_class(width: u32, height: u32) -> String {
    ["shape-", &shape(width, height).to_string()].concat()
}

/// How wide the card of a picture with these sides is drawn, as the attribute `sizes` says it.
/// Browsers that can measure an image that they load lazily do that instead.
fn sizes(width: u32, height: u32, is_lazy: bool) -> String {
    let [phone, middle, large] = SQUARE.map(|square| {
        let width = u64::from(square) * u64::from(width) / u64::from(height.max(1));
        width
            .clamp(u64::from(square) * 2 / 5, u64::from(square) * 12 / 5)
            .to_string()
    });
    let measured = if is_lazy { "auto, " } else { "" };
    let parts = [
        measured,
        "(min-width: 75rem) ",
        &large,
        "px, (min-width: 44rem) ",
        &middle,
        "px, ",
    ];
    [&parts.concat(), phone.as_str(), "px"].concat()
}

/// The average colour of a picture with this thumbhash, as `#rrggbb`; no colour for an empty one.
/// The first 18 bits of a thumbhash are the averages of three channels: lightness, yellow against
/// blue, and red against green. The colour is an attribute of SVG, which the pages' policy allows,
/// while it allows no inline styles.
fn tint(thumbhash: &str) -> String {
    let mut bits = 0;
    for letter in thumbhash.bytes().take(4) {
        let digit = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            _ => 63,
        };
        bits = bits << 6 | u32::from(digit);
    }
    if thumbhash.len() < 4 {
        return "none".to_owned();
    }
    // The three bytes are in the order of a little-endian number.
    let bits = bits.swap_bytes() >> 8;
    #[expect(clippy::cast_precision_loss, reason = "six bits are exact")]
    let channel = |shift: u32| (bits >> shift & 63) as f32;
    let lightness = channel(0) / 63.0;
    let yellow = channel(6) / 31.5 - 1.0;
    let red_green = channel(12) / 31.5 - 1.0;
    let blue = lightness - 2.0 / 3.0 * yellow;
    let red = (3.0 * lightness - blue + red_green) / 2.0;
    let green = red - red_green;
    let mut color = String::from("#");
    for value in [red, green, blue] {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is within the range of a byte"
        )]
        let value = (value.clamp(0.0, 1.0) * 255.0) as u8;
        for digit in [value >> 4, value & 15] {
            color.push(char::from_digit(digit.into(), 16).unwrap_or('0'));
        }
    }
    color
}

/// A picture in its own proportions. What is known of it and the time it has left lie over it, and
/// are seen while one points at it. `position` is its place on the page, counted from 0: the first
/// cards load their images at once, and the very first does so with priority. `list` is the query
/// of the search that the card is in, if it is in one; it stands in the fragment of the link, where
/// no cache sees it, and the picture's page reads it there.
#[component]
pub(crate) fn PictureCard(picture: CardView, position: usize, list: String) -> impl IntoView {
    let place = if list.is_empty() { "" } else { "#" };
    let href = ["/c/", &picture.id, place, &list].concat();
    let is_lazy = position >= SEEN_AT_ONCE;
    let sizes = sizes(picture.width, picture.height, is_lazy);
    let srcset = srcset(&picture.images, Format::Webp, picture.width);
    let src = url(&picture.images, Format::Webp, 512);
    // An animation shows its still, and is neither loaded nor played until one points at it. The
    // style sheet does that, so it needs no script.
    let (still_src, still_srcset, moving) = match still(&picture.images) {
        None => (src, Some(srcset), None),
        Some(still) => {
            let moving = view! {
                <img
                    class="moving"
                    loading="lazy"
                    sizes=sizes.clone()
                    src=src
                    srcset=srcset
                    alt=""
                    decoding="async"
                />
                <span class="moves">
                    <span class="visually-hidden">"Animation: "</span>
                </span>
            };
            (still, None, Some(moving))
        }
    };
    let shape = shape_class(picture.width, picture.height);
    // The words are the link's name. Every picture is one of a cat, so a sighted visitor need not
    // be told where nothing more is known.
    let words = if picture.alt.is_empty() {
        view! { <span class="visually-hidden">"Cat picture"</span> }.into_any()
    } else {
        view! { <span class="card-words">{picture.alt}</span> }.into_any()
    };
    view! {
        <li class=["card life ", &shape].concat()>
            <a class="card-link" href=href>
                <svg class="tint" aria-hidden="true">
                    <rect width="100%" height="100%" fill=tint(&picture.thumbhash)></rect>
                </svg>
                // Where a script makes the card, the order matters: an image that gets its source
                // before it is lazy is taken for one as wide as the screen.
                <img
                    loading=if is_lazy { "lazy" } else { "eager" }
                    sizes=sizes
                    src=still_src
                    srcset=still_srcset
                    width=picture.width.to_string()
                    height=picture.height.to_string()
                    alt=""
                    fetchpriority=if position == 0 { "high" } else { "auto" }
                    decoding="async"
                />
                {moving}
                <span class="when-gone">"This cat has wandered off"</span>
                <span class="card-caption">
                    {words}
                    " "
                    <TimeLeft until=picture.expires_at/>
                </span>
            </a>
        </li>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_has_the_proportions_of_its_picture_within_three_percent() {
        for (width, height) in [(450, 1000), (3, 4), (1, 1), (4, 3), (16, 9), (2048, 900)] {
            let step = i32::try_from(shape(width, height)).unwrap();
            let drawn = NARROWEST * STEP.powi(step);
            let own = f64::from(width) / f64::from(height);
            let ratio = f64::from(drawn) / own;
            assert!((0.97..1.031).contains(&ratio), "{width}x{height}: {ratio}");
        }
    }

    #[test]
    fn what_is_longer_than_every_card_gets_the_longest() {
        assert_eq!(shape(1, 1000), 0);
        assert_eq!(shape(1000, 1), SHAPES - 1);
        assert_eq!(shape(1000, 0), SHAPES - 1);
    }

    /// The style sheet has a class for each shape, made with the same figures.
    #[test]
    fn the_style_sheet_has_the_same_shapes() {
        let style = include_str!("../../../style/_gallery.scss");
        for line in [
            format!("$narrowest: {NARROWEST};"),
            format!("$step: {STEP};"),
            format!("$shapes: {SHAPES};"),
        ] {
            assert!(style.contains(&line), "{line}");
        }
    }

    #[test]
    fn a_tint_is_the_average_that_the_thumbhash_begins_with() {
        // What the reference implementation says of three cats.
        for (thumbhash, color) in [
            ("lBgKDYINRGiJdohkhYp2cwqJo5A3", "#5d5143"),
            ("2BgKDwBHS5dGmZeQaalqh3h29apSnQwE", "#70644e"),
            ("HQgKDQAGZG+Hx6mnVXllWXFfI/QV", "#787472"),
            ("", "none"),
        ] {
            assert_eq!(tint(thumbhash), color, "{thumbhash}");
        }
    }

    #[test]
    fn sizes_follow_the_proportions_and_end_where_the_shapes_do() {
        assert_eq!(
            sizes(400, 200, false),
            "(min-width: 75rem) 420px, (min-width: 44rem) 360px, 230px"
        );
        assert_eq!(
            sizes(10, 1000, true),
            "auto, (min-width: 75rem) 84px, (min-width: 44rem) 72px, 46px"
        );
    }
}
