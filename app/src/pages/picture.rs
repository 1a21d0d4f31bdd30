//! The page of one picture, which is the link that people share.

mod actions;
mod stage;

use leptos::prelude::*;
use leptos_meta::{Link, Meta};

use self::actions::Actions;
use self::stage::Photo;
use super::cat::{Cat, Mood};
use super::head::{Head, HiddenHead};
use super::island::Island;
use super::load::{load, path_param, when_loaded};
use super::notice::ErrorNotice;
use crate::backend::backend;
use crate::components::countdown::TimeLeft;
use crate::components::tag_links::TagLinks;
use crate::images::{Format, Image, Images, choose};
use crate::islands::{NEIGHBOURS, OWNER, PENDING, RELATED, SHARING};
use crate::query::{embed_address, path_segment};
use crate::time::readable_time;
use crate::types::{COMMON_TAGS, ListQuery, PictureStatus, PictureView};
use crate::words::{picture_summary, picture_title};

/// The width in pixels of the files that link previews show and that visitors copy or download. A
/// picture that has no file of this width gives the one that comes nearest.
const SHARED_WIDTH: u32 = 1280;

/// How many cats are shown below a picture.
const MOST_RELATED: u32 = 12;

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
    let id = picture.id.clone();
    let title = picture_title(&picture.alt, &picture.expires_at);
    let until = picture.expires_at.clone();
    let until_words = format!("until {}", readable_time(&until));
    let words = (!picture.alt.is_empty())
        .then(|| view! { <p class="picture-alt">{picture.alt.clone()}</p> });
    let facts = facts(&picture);
    view! {
        <Head
            title=title.clone()
            description=picture_summary(&picture.expires_at)
            path=format!("/c/{}", picture.id)
            has_card=true
        />
        <PreviewCard picture=picture.clone()/>
        <EmbedLinks url=picture.url.clone()/>
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
                    <TagLinks tags=tags.clone()/>
                    <Island name=OWNER/>
                </div>
                <Actions picture/>
            </div>
        </article>
        <Related id tag=tags.into_iter().find(|tag| !COMMON_TAGS.contains(&tag.as_str()))/>
        <Island name=NEIGHBOURS/>
        <Island name=SHARING/>
    }
}

/// A way on to the cats that share the picture's surest tag, or to all cats where it has none. The
/// page is kept for as long as its picture lives, so it cannot show them itself; the island fetches
/// them when the reader comes near.
#[component]
fn Related(id: String, tag: Option<String>) -> impl IntoView {
    let (href, words) = match &tag {
        Some(tag) => (
            format!("/tags/{}", path_segment(tag)),
            format!("More cats tagged “{tag}”"),
        ),
        None => ("/".to_owned(), "More cats".to_owned()),
    };
    let q = tag.as_ref().map(|tag| format!("\"{tag}\""));
    let list = ListQuery {
        q: q.unwrap_or_default(),
        ..ListQuery::default()
    };
    let query = ListQuery {
        tag: tag.unwrap_or_default(),
        // The picture itself may be among them.
        limit: Some(MOST_RELATED + 1),
        ..ListQuery::default()
    };
    let source = format!("/api/v1/pictures?{}", query.to_query_string());
    view! {
        <section
            class="related"
            data-id=id
            data-source=source
            data-list=list.to_query_string()
        >
            <h2 class="section-title">
                <a href=href>{words}</a>
            </h2>
            <Island name=RELATED/>
        </section>
    }
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

/// Leads sites that show pictures behind links to how that is done here.
#[component]
fn EmbedLinks(url: String) -> impl IntoView {
    let address = format!("{}{}", backend().site().public_url, embed_address(&url));
    view! {
        <Link rel="alternate" type_="application/json+oembed" href=address.clone()/>
        <Link rel="alternate" type_="text/xml+oembed" href=format!("{address}&format=xml")/>
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

    pub(super) fn picture(alt: &str) -> PictureView {
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
    fn scaling_keeps_the_shape_and_never_enlarges() {
        assert_eq!(scaled(1280, 800, 600), (800, 600));
        assert_eq!(scaled(1280, 2560, 1707), (1280, 854));
        assert_eq!(scaled(1280, 100_000, 1), (1280, 1));
    }
}
