//! The page of one picture, which is the link that people share.

use leptos::prelude::*;
use leptos_meta::Meta;

use super::cat::{Cat, Mood};
use super::head::{Head, HiddenHead};
use super::island::Island;
use super::load::{load, path_param, when_loaded};
use super::notice::ErrorNotice;
use crate::backend::backend;
use crate::components::copy_field::CopyField;
use crate::components::countdown::TimeLeft;
use crate::components::picture_card::shape_class;
use crate::components::tag_links::TagLinks;
use crate::images::{Format, Image, Images, all, avif_media, choose, srcset};
use crate::islands::{NEIGHBOURS, OWNER, PENDING, SHARING};
use crate::time::readable_time;
use crate::types::contact_url;
use crate::types::{PictureStatus, PictureView};

/// The width in pixels of the files that link previews show and that visitors copy or download. A
/// picture that has no file of this width gives the one that comes nearest.
const SHARED_WIDTH: u32 = 1280;

/// The width in pixels of the file by which an animation is shown elsewhere.
const MOVING_WIDTH: u32 = 768;

/// The CSS pixels of the screen's height that a wide screen keeps for the header and the row of
/// actions, as in [`sizes`].
const MARGIN: u32 = 168;

#[component]
pub(crate) fn PicturePage() -> impl IntoView {
    let id = path_param("id");
    let picture = load(|backend| async move { backend.picture(&id).await });
    when_loaded(picture, move |loaded| match loaded {
        Ok(PictureStatus::Published(picture)) => view! { <Published picture=*picture/> }.into_any(),
        Ok(PictureStatus::Screening(_)) => view! { <Pending/> }.into_any(),
        Err(error) => view! { <ErrorNotice error/> }.into_any(),
    })
}

#[component]
fn Published(picture: PictureView) -> impl IntoView {
    let tags: Vec<String> = picture.tags.iter().map(|tag| tag.name.clone()).collect();
    let title = title(&picture);
    let until = picture.expires_at.clone();
    let until_words = format!("until {}", readable_time(&until));
    let words = (!picture.alt.is_empty())
        .then(|| view! { <p class="picture-alt">{picture.alt.clone()}</p> });
    let facts = facts(&picture);
    view! {
        <Head
            title=title.clone()
            description=description(&picture)
            path=format!("/c/{}", picture.id)
            has_card=true
        />
        <PreviewCard picture=picture.clone()/>
        <article class="picture life">
            <h1 class="visually-hidden">{title}</h1>
            <Photo picture=picture.clone()/>
            <div class="when-gone notice" role="status">
                <Cat mood=Mood::Asleep/>
                <h2>"This cat has wandered off"</h2>
                <p>"Its time here is up, but there are other cats to see."</p>
                <p class="notice-links">
                    <a class="button" href="/">"See the cats"</a>
                    <a class="button is-quiet" href="/random">"Surprise me"</a>
                </p>
            </div>
            <div class="picture-bar when-alive">
                <div class="picture-facts">
                    {words}
                    <p class="picture-life">
                        <svg viewBox="0 0 24 24" aria-hidden="true">
                            <path d="M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 7v5l3.5 2"/>
                        </svg>
                        <TimeLeft until=until.clone()/>
                        <time class="until needs-script" datetime=until>{until_words}</time>
                    </p>
                    <p class="picture-file">{facts}</p>
                    <TagLinks tags/>
                    <Island name=OWNER/>
                </div>
                <Actions picture/>
            </div>
        </article>
        <Island name=NEIGHBOURS/>
        <Island name=SHARING/>
    }
}

/// The title of a picture's page: its description with a capital letter, or until when it is here
/// where nothing is known of it.
fn title(picture: &PictureView) -> String {
    let mut letters = picture.alt.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => format!("A cat, here until {}", readable_time(&picture.expires_at)),
    }
}

/// What search engines and preview cards say below the title.
fn description(picture: &PictureView) -> String {
    format!(
        "A cat picture that is here until {}, and then gone.",
        readable_time(&picture.expires_at)
    )
}

/// How large the picture is, and what was removed from its file that may tell of its maker.
fn facts(picture: &PictureView) -> String {
    let (width, height) = (picture.largest_width, picture.largest_height);
    let removed: Vec<&str> = [
        ("gps", "the place"),
        ("exif", "camera details"),
        ("iptc", "names and captions"),
        ("comment", "comments"),
    ]
    .into_iter()
    .filter(|(kind, _)| picture.stripped.iter().any(|stripped| stripped == kind))
    .map(|(_, words)| words)
    .collect();
    let moves = if picture.animated { ", animated" } else { "" };
    let size = format!("{width} × {height} pixels{moves}");
    if removed.is_empty() {
        size
    } else {
        format!("{size}. Removed from the file: {}", removed.join(", "))
    }
}

/// The picture itself, above a tiny blurred copy that shows while it loads. The browser chooses a
/// fitting width, of AVIF where that is wide enough and it knows it, or of WebP; or it takes the
/// JPEG.
#[component]
fn Photo(picture: PictureView) -> impl IntoView {
    let images = images(&picture);
    let size = (picture.largest_width, picture.largest_height);
    let sizes = sizes(size.0, size.1);
    let webp = srcset(&images, Format::Webp, size.0);
    let avif = srcset(&images, Format::Avif, size.0);
    let fallback = choose(&images, Format::Jpeg, SHARED_WIDTH).map(|image| image.url.to_owned());
    // Whoever asked for less motion sees a still, and can open the animation.
    let still = picture.animated.then(|| {
        view! { <source media="(prefers-reduced-motion: reduce)" srcset=fallback.clone()/> }
    });
    let avif = (!avif.is_empty()).then(|| {
        let media = avif_media(&images, size, MARGIN);
        view! { <source type="image/avif" srcset=avif sizes=sizes.clone() media=media/> }
    });
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
                    {avif}
                    <source type="image/webp" srcset=webp sizes=sizes/>
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

/// What can be done with the picture, in one row.
#[component]
fn Actions(picture: PictureView) -> impl IntoView {
    let images = images(&picture);
    let file = choose(&images, Format::Jpeg, SHARED_WIDTH);
    let title = title(&picture);
    let saved = if picture.animated {
        choose(&images, Format::Webp, u32::MAX)
    } else {
        file
    };
    let share = file.map(|file| {
        view! {
            <button
                type="button"
                class="button needs-script"
                aria-live="polite"
                data-page=picture.url.clone()
                data-title=title
                data-file=file.url.to_owned()
                data-name=file_name(&picture, file)
            >
                "Share"
            </button>
        }
    });
    let save = saved.map(|image| {
        let name = file_name(&picture, image);
        view! {
            <a class="button is-quiet" href=image.url.to_owned() download=name>
                "Save"
            </a>
        }
    });
    view! {
        <div class="actions">
            {share}
            {save}
            <a class="button is-quiet" href="/random">"Another cat"</a>
            <details class="more-actions">
                <summary class="button is-quiet">"More"</summary>
                <div class="more-panel">
                    <Links picture/>
                </div>
            </details>
        </div>
    }
    .into_any()
}

/// The links that can be copied, every file of the picture, and how to report it.
#[component]
fn Links(picture: PictureView) -> impl IntoView {
    let images = images(&picture);
    // Everything shows a JPEG, but that does not move.
    let shared = if picture.animated {
        choose(&images, Format::Webp, MOVING_WIDTH)
    } else {
        choose(&images, Format::Jpeg, SHARED_WIDTH)
    };
    let links = shared.map(|image| {
        let (markdown, html) = (markdown(&picture, image), html(&picture, image));
        view! {
            <CopyField label="Image" text=image.url.to_owned()/>
            <CopyField label="Markdown" text=markdown/>
            <CopyField label="HTML" text=html/>
        }
    });
    let files = all(&images)
        .into_iter()
        .map(|image| {
            let (width, height) = size(image, &picture);
            let name = file_name(&picture, image);
            let kind = match image.format {
                Format::Webp if picture.animated => "Animated WebP",
                Format::Webp => "WebP",
                Format::Avif => "AVIF",
                Format::Jpeg => "JPEG",
            };
            view! {
                <li>
                    <a href=image.url.to_owned() download=name>
                        {format!("{kind}, {width} × {height}")}
                    </a>
                </li>
            }
        })
        .collect::<Vec<_>>();
    let report = backend().site().abuse_contact.map(|contact| {
        let href = contact_url(&contact);
        view! { <p class="report"><a href=href>"Report this picture"</a></p> }
    });
    view! {
        <CopyField label="Page" text=picture.url.clone()/>
        {links}
        <p class="files-title">"Save as"</p>
        <ul class="files">{files}</ul>
        {report}
    }
}

/// The name that a file of the picture gets when it is saved.
fn file_name(picture: &PictureView, image: Image<'_>) -> String {
    format!("catto-{}.{}", picture.id, image.format.ending())
}

/// The preview card that messengers and social sites show for a link to the page.
#[component]
fn PreviewCard(picture: PictureView) -> impl IntoView {
    let images = images(&picture);
    let image = choose(&images, Format::Jpeg, SHARED_WIDTH).map(|image| {
        let (width, height) = size(image, &picture);
        let alt = (!picture.alt.is_empty()).then(|| {
            view! {
                <Meta property="og:image:alt" content=picture.alt.clone()/>
                <Meta name="twitter:image:alt" content=picture.alt.clone()/>
            }
        });
        view! {
            <Meta property="og:image" content=image.url.to_owned()/>
            <Meta property="og:image:type" content=content_type(image.format)/>
            <Meta property="og:image:width" content=width.to_string()/>
            <Meta property="og:image:height" content=height.to_string()/>
            <Meta name="twitter:card" content="summary_large_image"/>
            <Meta name="twitter:image" content=image.url.to_owned()/>
            {alt}
        }
    });
    view! {
        <Meta property="og:type" content="article"/>
        {image}
    }
}

/// The page while the picture is being screened. It reloads by itself once there is a verdict;
/// without scripts it reloads every three seconds.
#[component]
fn Pending() -> impl IntoView {
    view! {
        <HiddenHead title="Looking for the cat"/>
        <section class="notice">
            <Cat mood=Mood::Searching/>
            <h1>"Looking for the cat…"</h1>
            <p role="status">"The picture will appear here as soon as we have checked it."</p>
            <Island name=PENDING/>
            <noscript><meta http-equiv="refresh" content="3"/></noscript>
        </section>
    }
}

/// The files of the picture.
fn images(picture: &PictureView) -> Images {
    picture.images.clone().into_iter().collect()
}

/// The media type of files of this format.
const fn content_type(format: Format) -> &'static str {
    match format {
        Format::Webp => "image/webp",
        Format::Avif => "image/avif",
        Format::Jpeg => "image/jpeg",
    }
}

/// The width and height in pixels of this file of the picture.
fn size(image: Image<'_>, picture: &PictureView) -> (u32, u32) {
    scaled(
        image.most_width,
        picture.largest_width,
        picture.largest_height,
    )
}

/// Markdown that shows the image and links it to the picture's page.
fn markdown(picture: &PictureView, image: Image<'_>) -> String {
    let alt: String = picture
        .alt
        .chars()
        .filter(|letter| !"[]\\\n".contains(*letter))
        .collect();
    format!("[![{alt}]({})]({})", image.url, picture.url)
}

/// HTML that shows the image and links it to the picture's page.
fn html(picture: &PictureView, image: Image<'_>) -> String {
    let alt = picture
        .alt
        .replace('&', "&amp;")
        .replace('"', "&quot;")
        .replace('<', "&lt;");
    let (width, height) = size(image, picture);
    format!(
        "<a href=\"{}\"><img src=\"{}\" width=\"{width}\" height=\"{height}\" alt=\"{alt}\"></a>",
        picture.url, image.url
    )
}

/// The real width and height in pixels of a variant that is at most `limit` pixels wide, where the
/// widest file is `width` by `height`.
fn scaled(limit: u32, width: u32, height: u32) -> (u32, u32) {
    if width <= limit {
        return (width, height);
    }
    let exact = (u64::from(height) * u64::from(limit) + u64::from(width) / 2) / u64::from(width);
    (limit, u32::try_from(exact).unwrap_or(u32::MAX).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::PictureState;

    const IMAGE: Image<'_> = Image {
        format: Format::Webp,
        most_width: 1280,
        url: "https://catto.test/i",
    };

    fn picture(alt: &str) -> PictureView {
        PictureView {
            id: "x".into(),
            state: PictureState::Published,
            url: "https://catto.test/c/x".into(),
            images: [].into(),
            tags: Vec::new(),
            alt: alt.into(),
            width: 2560,
            height: 1280,
            largest_width: 2048,
            largest_height: 1024,
            animated: false,
            stripped: Vec::new(),
            placeholder: String::new(),
            thumbhash: String::new(),
            published_at: String::new(),
            expires_at: String::new(),
        }
    }

    #[test]
    fn a_title_is_the_description_or_says_until_when_the_picture_is_here() {
        assert_eq!(
            title(&picture("tabby cat with a box")),
            "Tabby cat with a box"
        );
        let unknown = PictureView {
            expires_at: "2026-12-05T10:15:02Z".into(),
            ..picture("")
        };
        assert_eq!(title(&unknown), "A cat, here until 5 Dec, 10:15 UTC");
    }

    #[test]
    fn a_picture_is_drawn_as_high_as_the_screen_and_at_most_twice_its_size() {
        assert_eq!(
            sizes(1000, 2000),
            "(max-height: 32rem) min(2000px, 100vw, 100vh * 0.500), \
             (min-width: 44rem) min(2000px, 100vw, (100vh - 10.5rem) * 0.500), \
             min(2000px, 100vw, (100vh - 12.5rem) * 0.500)"
        );
    }

    #[test]
    fn what_was_removed_is_told_where_it_says_something() {
        let stripped = |kinds: &[&str]| PictureView {
            stripped: kinds.iter().map(ToString::to_string).collect(),
            ..picture("")
        };
        assert_eq!(facts(&stripped(&["icc"])), "2048 × 1024 pixels");
        assert_eq!(
            facts(&stripped(&["exif", "gps", "thumbnail"])),
            "2048 × 1024 pixels. Removed from the file: the place, camera details"
        );
    }

    #[test]
    fn markdown_survives_brackets_in_the_description() {
        assert_eq!(
            markdown(&picture("A [tabby] cat"), IMAGE),
            "[![A tabby cat](https://catto.test/i)](https://catto.test/c/x)"
        );
    }

    #[test]
    fn html_escapes_the_description_and_gives_the_size_of_the_variant() {
        assert_eq!(
            html(&picture("\"<cat>\" & dog"), IMAGE),
            "<a href=\"https://catto.test/c/x\"><img src=\"https://catto.test/i\" width=\"1280\" height=\"640\" \
             alt=\"&quot;&lt;cat>&quot; &amp; dog\"></a>"
        );
    }

    #[test]
    fn scaling_keeps_the_shape_and_never_enlarges() {
        assert_eq!(scaled(1280, 800, 600), (800, 600));
        assert_eq!(scaled(1280, 2560, 1707), (1280, 854));
        assert_eq!(scaled(1280, 100_000, 1), (1280, 1));
    }
}
