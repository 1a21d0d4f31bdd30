//! Direct links: `/c/{id}.jpg` and the like lead to a file of the picture, for forums and programs
//! that want an address with an ending. The address of the file itself holds the picture's end, so
//! it is long, and nobody can make it from an id.

use app::types::SiteView;
use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::domain::picture::{PictureId, Published, Variant};
use crate::domain::variant::Format;
use crate::http::cache::CachePolicy;
use crate::http::error::Error;
use crate::http::images::robots_tag;
use crate::http::state::AppState;
use crate::http::views;
use crate::pictures::Status;

/// Where the pages of pictures are.
const PAGES: &str = "/c/";

/// The endings of direct links, each with the kind of file that it leads to. No file is a GIF, but
/// a WebP moves as well.
const ENDINGS: [(&str, Format); 4] = [
    ("jpg", Format::Jpeg),
    ("jpeg", Format::Jpeg),
    ("webp", Format::Webp),
    ("gif", Format::Webp),
];

/// Answers direct links, which the page of a picture knows nothing of.
pub(crate) async fn lead_to_files(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let name = request.uri().path().strip_prefix(PAGES);
    match name.filter(|_| reads).and_then(|name| name.split_once('.')) {
        Some((id, ending)) => match lead(&state, id, ending).await {
            Ok(response) => response,
            Err(error) => error.into_response(),
        },
        None => next.run(request).await,
    }
}

async fn lead(state: &AppState, id: &str, ending: &str) -> Result<Response, Error> {
    let format = ENDINGS.iter().find(|(known, _)| *known == ending);
    let (_, format) = format.ok_or_else(Error::not_found)?;
    let published = published(state, id).await?;
    let file = file(&published, *format).ok_or_else(Error::not_found)?;
    let address = views::image_url(&state.site, &published, &file.name);
    let location = HeaderValue::try_from(address).map_err(|_| Error::internal())?;
    let policy = CachePolicy::Picture {
        expires_at: published.expires_at,
        id: published.id.clone(),
    };
    let headers = [
        (header::LOCATION, location),
        (
            header::HeaderName::from_static("x-robots-tag"),
            robots_tag(published.expires_at),
        ),
    ];
    Ok((StatusCode::FOUND, Extension(policy), headers).into_response())
}

/// The published picture with this id.
///
/// # Errors
/// Why it was refused, `gone`, or `not-found`, also while it is being screened.
pub(crate) async fn published(state: &AppState, id: &str) -> Result<Box<Published>, Error> {
    let id = PictureId::parse(id).ok_or_else(Error::not_found)?;
    match state.pictures.reading.status(&id).await? {
        Status::Published(published) => Ok(published),
        Status::Gone { .. } => Err(Error::gone()),
        Status::Rejected(reason) => Err(reason.into()),
        Status::Screening | Status::Unknown => Err(Error::not_found()),
    }
}

/// The widest file of this kind that the picture has.
pub(crate) fn file(published: &Published, format: Format) -> Option<&Variant> {
    let files = published
        .readable()
        .filter(|(name, _)| name.format() == format);
    files
        .max_by_key(|(name, _)| name.width())
        .map(|(_, variant)| variant)
}

/// The file for those who take one of any kind, which a direct link leads to as well: a JPEG, which
/// everything can show, or the moving WebP of an animation.
pub(crate) fn direct_file(published: &Published) -> Option<(Format, &Variant)> {
    let format = if published.animated {
        Format::Webp
    } else {
        Format::Jpeg
    };
    file(published, format).map(|variant| (format, variant))
}

/// The direct link with the ending of this kind.
pub(crate) fn ends_with(site: &SiteView, id: &PictureId, format: Format) -> String {
    format!("{}{PAGES}{id}.{}", site.public_url, format.ending())
}

/// The id in a direct link, or in anything that ends with one: an address, a file name or the bare
/// id.
pub(crate) fn id_in(text: &str) -> Option<PictureId> {
    let name = text.trim().rsplit('/').next()?;
    PictureId::parse(name.split('.').next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_in_whatever_a_client_kept_of_a_link() {
        let id = "AAAAAAAAAAAAAAAA";
        for text in [
            "AAAAAAAAAAAAAAAA",
            " AAAAAAAAAAAAAAAA.jpg\n",
            "c/AAAAAAAAAAAAAAAA.webp",
            "https://catto.test/c/AAAAAAAAAAAAAAAA",
        ] {
            let found = id_in(text).map(|id| id.to_string());
            assert_eq!(found.as_deref(), Some(id), "{text}");
        }
        assert_eq!(id_in("1280.jpg"), None);
    }
}
