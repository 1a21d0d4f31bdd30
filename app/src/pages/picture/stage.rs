//! The picture itself, as large as the screen allows, with the ways to its neighbours.

use leptos::prelude::*;

use super::{SHARED_WIDTH, content_type, images};
use crate::components::picture_card::shape_class;
use crate::images::{Format, choose, sources};
use crate::types::PictureView;

/// The CSS pixels of the screen's height that a wide screen keeps for the header and the row of
/// actions, as in [`sizes`].
const MARGIN: u32 = 168;

/// The picture itself, above a tiny blurred copy that shows while it loads. The browser chooses a
/// fitting width, of AVIF where that is wide enough and it knows it, or of WebP; or it takes the
/// JPEG.
#[component]
pub(super) fn Photo(picture: PictureView) -> impl IntoView {
    let images = images(&picture);
    let size = (picture.largest_width, picture.largest_height);
    let sizes = sizes(size.0, size.1);
    let fallback = choose(&images, Format::Jpeg, SHARED_WIDTH).map(|image| image.url.to_owned());
    // Whoever asked for less motion sees a still, and can open the animation.
    let still = picture.animated.then(|| {
        view! { <source media="(prefers-reduced-motion: reduce)" srcset=fallback.clone()/> }
    });
    let sources = sources(&images, size, MARGIN).into_iter().map(|source| {
        let kind = content_type(source.format);
        view! { <source type=kind srcset=source.srcset sizes=sizes.clone() media=source.media/> }
    });
    let sources = sources.collect::<Vec<_>>();
    // It is what the page is about, so those who cannot see it are told that it is there.
    let alt = if picture.alt.is_empty() {
        "A picture without a description".to_owned()
    } else {
        picture.alt
    };
    let placeholder = (!picture.placeholder.is_empty()).then(|| {
        view! { <img class="placeholder" src=picture.placeholder alt="" aria-hidden="true"/> }
    });
    let large = choose(&images, Format::Webp, u32::MAX).map(|image| image.url.to_owned());
    let [previous, next] = ["previous", "next"].map(|side| format!("/{side}/{}", picture.id));
    let class = shape_class(picture.largest_width, picture.largest_height);
    view! {
        <div class=format!("stage when-alive {class}")>
            {placeholder}
            <a class="photo" href=large title="Open the largest file">
                <picture>
                    {still}
                    {sources}
                    <img
                        src=fallback
                        width=picture.largest_width
                        height=picture.largest_height
                        alt=alt
                        fetchpriority="high"
                    />
                </picture>
            </a>
            <nav aria-label="Other cats">
                <a class="neighbour" rel="prev" href=previous>
                    <span class="visually-hidden">"Newer cat"</span>
                    <svg viewBox="0 0 24 24" aria-hidden="true">
                        <path d="m15 4-8 8 8 8"/>
                    </svg>
                </a>
                <a class="neighbour" rel="next" href=next>
                    <span class="visually-hidden">"Older cat"</span>
                    <svg viewBox="0 0 24 24" aria-hidden="true">
                        <path d="m9 4 8 8-8 8"/>
                    </svg>
                </a>
            </nav>
        </div>
    }
    .into_any()
}

/// How wide the picture is drawn, as the attribute `sizes` says it: as wide and high as the screen
/// beside the header and the row of actions allows, but never at more than twice its size. The
/// style sheet leaves the width to the browser, which takes this one, so that it must agree with
/// the heights in `style/_picture.scss`.
fn sizes(width: u32, height: u32) -> String {
    let most = width.saturating_mul(2);
    let proportion = f64::from(width) / f64::from(height.max(1));
    let within = |height: &str| format!("min({most}px, 100vw, {height} * {proportion:.3})");
    format!(
        "(max-height: 32rem) {}, (min-width: 44rem) {}, {}",
        within("100vh"),
        within("(100vh - 10.5rem)"),
        within("(100vh - 12.5rem)")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_drawn_as_high_as_the_screen_and_at_most_twice_its_size() {
        assert_eq!(
            sizes(1000, 2000),
            "(max-height: 32rem) min(2000px, 100vw, 100vh * 0.500), \
             (min-width: 44rem) min(2000px, 100vw, (100vh - 10.5rem) * 0.500), \
             min(2000px, 100vw, (100vh - 12.5rem) * 0.500)"
        );
    }
}
