//! What can be done with a picture: sharing, saving, going on, and what "More" folds away.

use leptos::prelude::*;

use super::{SHARED_WIDTH, images, size};
use crate::backend::backend;
use crate::components::copy_field::CopyField;
use crate::images::{Format, Image, all, choose};
use crate::pages::qr_code::QrCode;
use crate::types::{PictureView, contact_url};
use crate::words::picture_title;

/// The width in pixels of the file by which an animation is shown elsewhere.
const MOVING_WIDTH: u32 = 688;

/// The id of the words above the list of files.
const FILES_ID: &str = "files";

/// What can be done with the picture, in one row.
#[component]
pub(super) fn Actions(picture: PictureView) -> impl IntoView {
    let images = images(&picture);
    let file = choose(&images, Format::Jpeg, SHARED_WIDTH);
    let title = picture_title(&picture.alt, &picture.expires_at);
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
            <details class="folded">
                <summary>"Embed codes"</summary>
                <CopyField label="Markdown" text=markdown/>
                <CopyField label="HTML" text=html/>
            </details>
        }
    });
    let mut files = all(&images);
    // Of a small picture several files are of the same size.
    files.dedup_by_key(|image| (image.format.ending(), size(*image, &picture)));
    let files = files
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
        <details class="folded">
            <summary>"QR code"</summary>
            <QrCode url=picture.url/>
        </details>
        <p class="files-title" id=FILES_ID>"Save as"</p>
        <ul class="files" aria-labelledby=FILES_ID>{files}</ul>
        {report}
    }
}

/// The name that a file of the picture gets when it is saved.
fn file_name(picture: &PictureView, image: Image<'_>) -> String {
    format!("catto-{}.{}", picture.id, image.format.ending())
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

#[cfg(test)]
mod tests {
    use super::super::tests::picture;
    use super::*;

    const IMAGE: Image<'_> = Image {
        format: Format::Webp,
        most_width: 1280,
        url: "https://catto.test/i",
    };

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
}
