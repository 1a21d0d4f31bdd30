//! Receives uploads as the clients of other hosts send them: in a form of either kind, or as a bare
//! body; the picture as bytes or in Base64; with fields of which a protocol knows some.

use std::collections::HashMap;

use app::error::ErrorCode;
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use futures_util::StreamExt;

use crate::domain::expiry::Retention;
use crate::domain::owner_secret::OwnerSecret;
use crate::domain::upload_key::UploadKey;
use crate::http::body::BodyWatch;
use crate::http::client;
use crate::http::error::Error;
use crate::http::protocols::content::{Content, begins_picture, by_url};
use crate::http::protocols::urlencoded::{Piece, UrlEncoded};
use crate::http::receive::{broken_body, form_error, multipart_boundary, not_multipart, unless};
use crate::http::state::AppState;
use crate::pictures::{Accepted, IncomingUpload, Pictures};

/// The most fields of a form.
const MOST_FIELDS: usize = 64;
/// The most bytes of a field that is kept.
const LONGEST_TEXT: usize = 1024;

/// The fields with which a client asks for something to be fetched.
const OF_URLS: [&str; 3] = ["url", "remote", "oneshot_url"];

/// Which fields the forms of a protocol have.
pub(super) struct Fields {
    /// Those in which the picture may be.
    pub(super) picture: &'static [&'static str],
    /// Those that say something which the protocol goes by.
    pub(super) texts: &'static [&'static str],
    /// Whether the picture may also come as the body itself.
    pub(super) bare: bool,
}

/// What the texts of a form say, by the names of their fields.
#[derive(Default)]
pub(super) struct Texts(HashMap<&'static str, String>);

impl Texts {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// A picture that has come, before anybody has looked at it.
pub(super) struct Received {
    pub(super) upload: IncomingUpload,
    pub(super) texts: Texts,
}

impl Received {
    /// Hands the picture to those who look at it. With a secret, it is its sender's; with a life it
    /// shall live for so long, and else for the site's retention.
    ///
    /// # Errors
    /// Why it is refused at once.
    pub(super) async fn accept(
        mut self,
        owner: Option<OwnerSecret>,
        lives: Option<Retention>,
    ) -> Result<Accepted, Error> {
        self.upload.lives_for(lives);
        if let Some(secret) = owner {
            self.upload.owned_by(secret);
        }
        Ok(self.upload.finish().await?)
    }
}

/// Receives the body of a request, in whichever of the three ways it comes.
///
/// # Errors
/// What is wrong with it, or why no upload is taken now.
pub(super) async fn receive(
    state: &AppState,
    request: Request,
    fields: &Fields,
    key: Option<UploadKey>,
) -> Result<Received, Error> {
    let pictures = &state.pictures;
    let boundary = multipart_boundary(request.headers())?;
    let is_form = is_urlencoded(request.headers());
    if boundary.is_none() && !is_form && !fields.bare {
        return Err(not_multipart());
    }
    let watch = BodyWatch::of(request.extensions());
    let client = client::network_of(request.extensions());
    // An upload waits for its turn before its first byte is read, because the head of a form is
    // kept in memory.
    let upload = pictures.intake.begin_upload(client, key).await?;
    let sender = upload.sender();
    let reader = Reader::new(fields, upload);
    let read = async {
        match boundary {
            Some(boundary) => {
                reader
                    .read_multipart(pictures, request, boundary, &watch)
                    .await
            }
            None => reader.read_body(pictures, request, is_form, &watch).await,
        }
    };
    unless(pictures, &sender, &watch, read).await
}

/// True for a form of the older kind. Its type must be exactly this: some clients send bytes under
/// names that look like it.
pub(super) fn is_urlencoded(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let name = kind.split(';').next().unwrap_or_default().trim();
    name.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// Where the bytes that come belong.
enum Place {
    Picture,
    Text(&'static str),
    /// In a field that means nothing here.
    Nowhere,
}

/// Reads a form, or a bare body.
struct Reader<'a> {
    fields: &'a Fields,
    upload: IncomingUpload,
    texts: Texts,
    /// The picture, once its field has begun.
    content: Option<Content>,
    place: Place,
    count: usize,
    /// Whether the form is of the older kind.
    is_urlencoded: bool,
}

impl<'a> Reader<'a> {
    fn new(fields: &'a Fields, upload: IncomingUpload) -> Self {
        Self {
            fields,
            upload,
            texts: Texts::default(),
            content: None,
            place: Place::Nowhere,
            count: 0,
            is_urlencoded: false,
        }
    }

    async fn read_multipart(
        mut self,
        pictures: &Pictures,
        request: Request,
        boundary: String,
        watch: &BodyWatch,
    ) -> Result<Received, Error> {
        let body = request.into_body().into_data_stream();
        let mut form = multer::Multipart::new(body, boundary);
        loop {
            watch.expect_form_head();
            let field = form.next_field().await;
            let Some(mut field) = field.map_err(|error| form_error(pictures, &error, watch))?
            else {
                break;
            };
            self.begin(field.name().unwrap_or_default())?;
            watch.expect_content();
            while let Some(bytes) = field
                .chunk()
                .await
                .map_err(|error| form_error(pictures, &error, watch))?
            {
                self.take(&bytes).await?;
            }
        }
        self.finish().await
    }

    /// Reads a form of the older kind or a bare body. Some clients send a picture as it is and call
    /// it a form, as `curl --data-binary` does.
    async fn read_body(
        mut self,
        pictures: &Pictures,
        request: Request,
        is_form: bool,
        watch: &BodyWatch,
    ) -> Result<Received, Error> {
        let mut body = request.into_body().into_data_stream();
        let mut form = UrlEncoded::default();
        let mut begun = false;
        self.is_urlencoded = is_form;
        while let Some(bytes) = body.next().await {
            let bytes = bytes.map_err(|_| broken_body(pictures, watch))?;
            if !std::mem::replace(&mut begun, true) {
                let is_picture = self.fields.bare && begins_picture(&bytes);
                self.is_urlencoded = is_form && !is_picture;
                if !self.is_urlencoded {
                    self.begin_picture()?;
                }
            }
            if !self.is_urlencoded {
                self.take(&bytes).await?;
                continue;
            }
            for piece in form.read(&bytes)? {
                match piece {
                    Piece::Field(name) => self.begin(&name)?,
                    Piece::Value(value) => self.take(&value).await?,
                }
            }
        }
        self.finish().await
    }

    /// Begins the field with this name.
    fn begin(&mut self, name: &str) -> Result<(), Error> {
        self.count += 1;
        if self.count > MOST_FIELDS {
            return Err(malformed("The form has too many fields."));
        }
        if self.fields.picture.contains(&name) {
            return self.begin_picture();
        }
        let known = self.fields.texts.iter().find(|text| **text == name);
        self.place = known.map_or(Place::Nowhere, |name| Place::Text(name));
        if let Place::Text(name) = self.place
            && self.texts.0.insert(name, String::new()).is_some()
        {
            return Err(malformed(format!("The form has the field `{name}` twice.")));
        }
        Ok(())
    }

    fn begin_picture(&mut self) -> Result<(), Error> {
        if self.content.is_some() {
            return Err(self.not_one_picture());
        }
        let declared = self.texts.get("type") == Some("base64");
        self.content = Some(Content::new(self.is_urlencoded, declared));
        self.place = Place::Picture;
        Ok(())
    }

    /// Takes more bytes of the present field.
    async fn take(&mut self, bytes: &[u8]) -> Result<(), Error> {
        match self.place {
            Place::Nowhere => Ok(()),
            Place::Text(name) => {
                let text = self.texts.0.entry(name).or_default();
                text.push_str(&String::from_utf8_lossy(bytes));
                if text.len() > LONGEST_TEXT {
                    return Err(malformed(format!("The field `{name}` is too long.")));
                }
                Ok(())
            }
            Place::Picture => {
                let Some(content) = &mut self.content else {
                    return Ok(());
                };
                Ok(self.upload.write(&content.read(bytes)?).await?)
            }
        }
    }

    async fn finish(mut self) -> Result<Received, Error> {
        let Some(content) = &mut self.content else {
            let asks_to_fetch = OF_URLS.iter().any(|name| self.texts.get(name).is_some());
            return Err(if asks_to_fetch {
                by_url()
            } else {
                self.not_one_picture()
            });
        };
        let rest = content.finish()?;
        if !rest.is_empty() {
            self.upload.write(&rest).await?;
        }
        Ok(Received {
            upload: self.upload,
            texts: self.texts,
        })
    }

    fn not_one_picture(&self) -> Error {
        let name = self.fields.picture.first().copied().unwrap_or_default();
        malformed(format!(
            "The request must hold exactly one picture, in the field `{name}`. Please send one at a time."
        ))
    }
}

pub(super) fn malformed(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::Malformed, message)
}

/// Reads a small form of either kind from its whole body.
///
/// # Errors
/// `malformed` for a body that is no form, or has a field that is too long.
pub(super) async fn read_texts(
    headers: &HeaderMap,
    body: axum::body::Bytes,
    known: &[&'static str],
) -> Result<Texts, Error> {
    let known = |name: &str| known.iter().find(|known| **known == name).copied();
    let mut texts = Texts::default();
    let Some(boundary) = multipart_boundary(headers)? else {
        for (name, value) in url::form_urlencoded::parse(&body) {
            if let Some(name) = known(&name) {
                texts.0.insert(name, value.into_owned());
            }
        }
        return Ok(texts);
    };
    let whole = futures_util::stream::once(async { Ok::<_, std::io::Error>(body) });
    let mut form = multer::Multipart::new(whole, boundary);
    let broken = |_| malformed("The form is broken. Please send it again.");
    while let Some(field) = form.next_field().await.map_err(broken)? {
        if let Some(name) = field.name().and_then(known) {
            let value = field.bytes().await.map_err(broken)?;
            let value = String::from_utf8_lossy(&value).into_owned();
            texts.0.insert(name, value);
        }
    }
    Ok(texts)
}
