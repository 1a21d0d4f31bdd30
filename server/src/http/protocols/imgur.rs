//! imgur's protocol, version 3: a picture in the field `image`, as the body, or in Base64. The
//! answer is JSON, or XML where the address ends so. A `deletehash` is the picture's id and its
//! delete token in one word.

use std::fmt::Write;

use axum::extract::{Path, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use html_escape::encode_text;
use serde_json::{Value, json};

use crate::domain::client::ClientNetwork;
use crate::domain::picture::{DeleteToken, PictureId, Published};
use crate::domain::variant::Format;
use crate::http::direct::{self, direct_file};
use crate::http::error::Error;
use crate::http::protocols::content::by_url;
use crate::http::protocols::incoming::{Fields, receive};
use crate::http::protocols::{Outcome, delete, direct_link, outcome};
use crate::http::receive::upload_key;
use crate::http::state::AppState;

const FIELDS: Fields = Fields {
    picture: &["image"],
    texts: &["type"],
    bare: true,
};

/// `POST /3/image` and `POST /3/upload`.
pub(crate) async fn upload(
    State(state): State<AppState>,
    request: Request,
) -> Result<Response, Error> {
    let answer = received(&state, request).await?;
    Ok((answer.status, Json(answer.in_json())).into_response())
}

/// `POST /3/image.xml` and `POST /3/upload.xml`.
pub(crate) async fn upload_in_xml(
    State(state): State<AppState>,
    request: Request,
) -> Result<Response, Error> {
    let answer = received(&state, request).await?;
    Ok(xml(answer.status, true, &answer.data))
}

/// `GET /3/image/{id}`.
pub(crate) async fn get(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Response, Error> {
    let published = direct::published(&state, &id).await?;
    let answer = Answer::published(image(&state, &published, None));
    Ok(Json(answer.in_json()).into_response())
}

/// `DELETE /3/image/{deletehash}`.
pub(crate) async fn delete_picture(
    State(state): State<AppState>,
    Extension(client): Extension<ClientNetwork>,
    Path(hash): Path<String>,
) -> Result<Response, Error> {
    let (id, token) = split_hash(&hash).ok_or_else(Error::not_found)?;
    delete(&state, client, &id, token).await?;
    let done = Answer::published(Value::Bool(true));
    Ok(Json(done.in_json()).into_response())
}

/// What is answered to a request that went well.
struct Answer {
    status: StatusCode,
    data: Value,
}

impl Answer {
    fn published(data: Value) -> Self {
        Self {
            status: StatusCode::OK,
            data,
        }
    }

    fn in_json(&self) -> Value {
        let (status, success) = (self.status.as_u16(), self.status == StatusCode::OK);
        json!({ "data": self.data, "success": success, "status": status })
    }
}

async fn received(state: &AppState, request: Request) -> Result<Answer, Error> {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let key = upload_key(request.headers())?;
    let received = receive(state, request, &FIELDS, key).await?;
    if received
        .texts
        .get("type")
        .is_some_and(|kind| kind.eq_ignore_ascii_case("url"))
    {
        return Err(by_url());
    }
    let accepted = received.accept(None, None).await?;
    Ok(match outcome(state, accepted).await? {
        Outcome::Published(uploaded) => {
            let hash = hash_of(&uploaded.id, &uploaded.delete_token);
            Answer::published(image(state, &uploaded.published, Some(&hash)))
        }
        Outcome::Pending(message) => Answer {
            status: StatusCode::ACCEPTED,
            data: failure(&message, &method, &path),
        },
    })
}

/// What imgur tells of a picture, as far as there is such a thing here.
fn image(state: &AppState, published: &Published, hash: Option<&str>) -> Value {
    let file = direct_file(published);
    let format = file.map_or(Format::Jpeg, |(format, _)| format);
    let (width, height, size) = file.map_or((published.width, published.height, 0), |(_, file)| {
        (file.width, file.height, file.size_bytes)
    });
    let tags: Vec<&str> = published.tags.iter().map(|tag| &*tag.name).collect();
    json!({
        "id": published.id.as_str(),
        "deletehash": hash,
        "account_id": null,
        "account_url": null,
        "ad_type": null,
        "ad_url": null,
        "title": null,
        "description": published.alt,
        "name": "",
        "type": format.content_type(),
        "width": width,
        "height": height,
        "size": size,
        "views": 0,
        "section": null,
        "vote": null,
        "bandwidth": 0,
        "animated": published.animated,
        "favorite": false,
        "in_gallery": false,
        "in_most_viral": false,
        "has_sound": false,
        "is_ad": false,
        "nsfw": false,
        "link": direct_link(state, published),
        "tags": tags,
        "datetime": published.published_at,
        "mp4": "",
        "hls": "",
    })
}

/// The id and the token of a picture in one word.
fn hash_of(id: &PictureId, token: &DeleteToken) -> String {
    format!("{id}{}", token.expose())
}

/// The id and the token that such a word is made of.
fn split_hash(hash: &str) -> Option<(PictureId, &str)> {
    let (id, token) = hash.split_at_checked(PictureId::LENGTH)?;
    Some((PictureId::parse(id)?, token))
}

/// An error in JSON.
pub(super) fn error_in_json(
    message: &str,
    status: StatusCode,
    method: &Method,
    path: &str,
) -> Response {
    let answer = Answer {
        status,
        data: failure(message, method, path),
    };
    (status, Json(answer.in_json())).into_response()
}

/// An error in XML.
pub(super) fn error_in_xml(
    message: &str,
    status: StatusCode,
    method: &Method,
    path: &str,
) -> Response {
    xml(status, false, &failure(message, method, path))
}

/// What imgur tells of a request that did not go well.
fn failure(message: &str, method: &Method, path: &str) -> Value {
    json!({ "error": message, "request": path, "method": method.as_str() })
}

/// An answer in XML with these elements.
fn xml(status: StatusCode, success: bool, data: &Value) -> Response {
    let success = u8::from(success && status == StatusCode::OK);
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<data type=\"array\" success=\"{success}\" status=\"{}\">",
        status.as_u16()
    );
    for (name, value) in data.as_object().into_iter().flatten() {
        write_element(&mut text, name, value);
    }
    text.push_str("</data>\n");
    let kind = [(header::CONTENT_TYPE, "application/xml; charset=utf-8")];
    (status, kind, text).into_response()
}

/// Writes an element with a value, which is escaped: none of our texts holds a control character.
fn write_element(text: &mut String, name: &str, value: &Value) {
    let inside = match value {
        Value::Null => String::new(),
        Value::Bool(value) => u8::from(*value).to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(value) => encode_text(value).into_owned(),
        Value::Array(items) => {
            let mut inside = String::new();
            items
                .iter()
                .for_each(|item| write_element(&mut inside, "item", item));
            inside
        }
        Value::Object(fields) => {
            let mut inside = String::new();
            fields
                .iter()
                .for_each(|(name, value)| write_element(&mut inside, name, value));
            inside
        }
    };
    // Writing to a text never fails.
    let _ = write!(text, "<{name}>{inside}</{name}>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_an_id_and_a_token() {
        let (id, token) = (PictureId::random(), DeleteToken::random());
        let hash = hash_of(&id, &token);
        assert_eq!(split_hash(&hash), Some((id, token.expose())));
        for text in ["", "AAAA", "0000000000000000x", "AAAAAAAAAAAAAAAé"] {
            assert_eq!(split_hash(text), None, "{text}");
        }
    }

    #[test]
    fn nothing_that_is_told_becomes_markup() {
        let mut text = String::new();
        let value = json!({ "a": "<x a=\"1\">&", "tags": ["b<"], "no": null });
        write_element(&mut text, "data", &value);
        assert_eq!(
            text,
            "<data><a>&lt;x a=\"1\"&gt;&amp;</a><no></no><tags><item>b&lt;</item></tags></data>"
        );
    }
}
