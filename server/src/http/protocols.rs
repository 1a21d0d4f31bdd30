//! The upload protocols of other image hosts, so that their clients can upload here as they are:
//! those of imgur, of imgbb and Chevereto, of catbox and litterbox, and of 0x0 and rustypaste.
//!
//! Each is thin. `incoming` receives a picture in whichever way such clients send one, and hands it
//! to the same use case as `http/receive` does; a file for each protocol says where its fields are
//! and words the answer. An error is put in the words of its client's protocol by one layer, so
//! that a refusal reads the same whichever layer or handler decided it.

pub(crate) mod catbox;
pub(crate) mod chevereto;
mod content;
pub(crate) mod imgur;
mod incoming;
pub(crate) mod paste;
mod urlencoded;

use std::time::Duration;

use app::error::ApiError;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::domain::client::ClientNetwork;
use crate::domain::owner_secret::OwnerSecret;
use crate::domain::picture::{DeleteToken, PictureId, Published};
use crate::domain::variant::Format;
use crate::http::direct::{direct_file, ends_with};
use crate::http::error::Error;
use crate::http::handling::{Handling, Protocol};
use crate::http::state::AppState;
use crate::http::upload;
use crate::pictures::{Accepted, DeleteError};

/// How long the answer to an upload waits for the verdict. The least patient of the clients that
/// wait at all hang up after 15 s.
const PATIENCE: Duration = Duration::from_secs(12);

/// Puts an error in the words of the protocol that its address speaks.
pub(crate) async fn translate_errors(request: Request, next: Next) -> Response {
    let Some(protocol) = Handling::of(&request).protocol(request.method()) else {
        return next.run(request).await;
    };
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = next.run(request).await;
    let Some(error) = response.extensions_mut().remove::<ApiError>() else {
        return response;
    };
    let status = response.status();
    let mut translated = match protocol {
        Protocol::Imgur => imgur::error_in_json(&error.message, status, &method, &path),
        Protocol::ImgurXml => imgur::error_in_xml(&error.message, status, &method, &path),
        Protocol::Chevereto => chevereto::error(&error.message, status),
        Protocol::Line => line(status, &error.message),
    };
    let (from, to) = (response.headers(), translated.headers_mut());
    for name in [header::RETRY_AFTER, header::WWW_AUTHENTICATE] {
        if let Some(value) = from.get(&name) {
            to.insert(name, value.clone());
        }
    }
    // Other layers note things on the answer, such as the share of its client.
    translated
        .extensions_mut()
        .extend(std::mem::take(response.extensions_mut()));
    translated
}

/// An answer of one line of text.
fn line(status: StatusCode, text: &str) -> Response {
    (status, format!("{text}\n")).into_response()
}

/// A picture that was uploaded and is published.
struct Uploaded {
    id: PictureId,
    delete_token: DeleteToken,
    published: Box<Published>,
}

impl Uploaded {
    /// The page that deletes the picture once that is confirmed.
    fn delete_url(&self, state: &AppState) -> String {
        delete_url(state, &self.id, &self.delete_token)
    }
}

fn delete_url(state: &AppState, id: &PictureId, token: &DeleteToken) -> String {
    let token = token.expose();
    format!("{}/delete/{id}/{token}", state.site.public_url)
}

/// What became of an upload within the patience of its client.
enum Outcome {
    Published(Uploaded),
    /// It is still being looked at. The text says so, and where it will be.
    Pending(String),
}

/// Waits for the verdict on an upload.
///
/// # Errors
/// Why the picture was refused.
async fn outcome(state: &AppState, accepted: Accepted) -> Result<Outcome, Error> {
    let decided = upload::decided(state, &accepted, PATIENCE).await?;
    let Accepted {
        id, delete_token, ..
    } = accepted;
    Ok(match decided {
        Some(published) => Outcome::Published(Uploaded {
            id,
            delete_token,
            published,
        }),
        None => Outcome::Pending(format!(
            "Your picture has arrived and is still being checked, so please do not send it again. \
             If it is published, it will be at {url}/c/{id}. To delete it, open {delete}.",
            url = state.site.public_url,
            delete = delete_url(state, &id, &delete_token),
        )),
    })
}

/// The direct link to a picture's file, such as `https://host/c/{id}.jpg`. It is short, it has an
/// ending, and it names the picture that a client later asks to delete.
fn direct_link(state: &AppState, published: &Published) -> String {
    let format = direct_file(published).map_or(Format::Jpeg, |(format, _)| format);
    ends_with(&state.site, &published.id, format)
}

/// The secret by which a client owns what it uploads, where it sends one.
///
/// # Errors
/// `malformed` for a secret that is too short to be one, because an upload with it could not be
/// deleted.
fn owner_secret(text: Option<&str>) -> Result<Option<OwnerSecret>, Error> {
    match text.map(str::trim).filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => OwnerSecret::parse(text).map(Some).ok_or_else(|| {
            incoming::malformed(
                "The secret must consist of 16 to 255 visible ASCII characters. Please use a longer one, or none.",
            )
        }),
    }
}

/// Deletes a picture for whoever knows its delete token, or the secret that it was uploaded with. A
/// secret may be easier to guess than a token, so a client can try only a few.
///
/// # Errors
/// `too-many-requests`, or the error of the deletion.
async fn delete(
    state: &AppState,
    client: ClientNetwork,
    id: &PictureId,
    word: &str,
) -> Result<(), Error> {
    let endings = &state.pictures.endings;
    let own = endings.delete_own(id, word, client);
    let by_secret = async {
        match OwnerSecret::parse(word) {
            Some(secret) => {
                let token = secret.delete_token(id);
                endings.delete_own(id, token.expose(), client).await
            }
            None => Err(DeleteError::Forbidden),
        }
    };
    state.guesses.owner_or(client, own, by_secret).await
}
