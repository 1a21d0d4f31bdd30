//! How an island asks the server, and how it reads the answers.

use js_sys::{Array, JSON, Object, Promise, Reflect};
use leptos::prelude::window;
use leptos::wasm_bindgen::{JsCast, JsValue};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error, StrDeserializer};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Response, XmlHttpRequest};

use super::mine;
use crate::error::{ApiError, ErrorCode};

/// How long the answer to a short request may take, in milliseconds.
const PATIENCE_MS: u32 = 15_000;
/// The header by which server functions are asked for JSON.
pub(super) const ACCEPT_JSON: (&str, &str) = ("Accept", "application/json");

/// A JSON value that the browser's own parser has read. Its fields are looked up by their names.
pub(super) struct Json(JsValue);

impl Json {
    /// Parses a text; `None` if it is no JSON.
    pub(super) fn parse(text: &str) -> Option<Self> {
        JSON::parse(text).ok().map(Self)
    }

    /// The field with this name. If there is none, the result is `undefined`, in which nothing is
    /// found.
    pub(super) fn get(&self, name: &str) -> Self {
        Self(Reflect::get(&self.0, &name.into()).unwrap_or(JsValue::UNDEFINED))
    }

    /// The field with this name, if it is a text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.get(name).0.as_string()
    }

    /// The field with this name as a whole number; 0 if it is no number.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "sizes of pictures fit"
    )]
    pub(super) fn number(&self, name: &str) -> u32 {
        self.get(name).0.as_f64().unwrap_or_default() as u32
    }

    /// The elements of the field with this name; none if it is no array.
    pub(super) fn list(&self, name: &str) -> Vec<Self> {
        match self.get(name).0.dyn_into::<Array>() {
            Ok(array) => array.iter().map(Self).collect(),
            Err(_) => Vec::new(),
        }
    }

    /// The field with this name, which is an object, as pairs of names and texts. What is no text
    /// is left out.
    pub(super) fn texts(&self, name: &str) -> Vec<(String, String)> {
        let object = self.get(name);
        let Some(fields) = object.0.dyn_ref::<Object>() else {
            return Vec::new();
        };
        Object::keys(fields)
            .iter()
            .filter_map(|name| {
                let name = name.as_string()?;
                let text = object.text(&name)?;
                Some((name, text))
            })
            .collect()
    }
}

/// Why there is no answer that could be used.
pub(super) enum Failure {
    /// The connection was lost, or something in between answered instead of the server.
    Lost,
    /// Nothing moved for so long that it is not worth waiting any more.
    Stalled,
    /// The server refused.
    Refused(ApiError),
}

/// Gets a JSON document from the API; `None` if that fails for any reason.
pub(super) async fn get(url: &str) -> Option<Json> {
    let request = request("GET", url, &[], None).await.ok()?;
    read(&request).ok()
}

/// The answer that a request was promised; `None` if it cannot be had.
pub(super) async fn response(promise: Promise) -> Option<Response> {
    JsFuture::from(promise).await.ok()?.dyn_into().ok()
}

/// Has the browser fetch a page anew, so that its own cache no longer holds an old one.
pub(super) async fn refresh(url: &str) {
    // If this fails, the old page ends by itself within a minute.
    let _ = request("GET", url, &[("Cache-Control", "no-cache")], None).await;
}

/// Calls a server function with the fields of `form`, which are encoded as in a query string.
pub(super) async fn call(url: &str, form: &str) -> Result<Json, Failure> {
    let kind = ("Content-Type", "application/x-www-form-urlencoded");
    match request("POST", url, &[kind, ACCEPT_JSON], Some(form)).await {
        Ok(request) => read(&request),
        Err(_) => Err(Failure::Lost),
    }
}

/// Deletes a picture with its own token, and tells whether it is gone.
pub(super) async fn delete(id: &str, token: &str) -> bool {
    let (url, token) = (
        ["/api/v1/pictures/", id].concat(),
        ["Bearer ", token].concat(),
    );
    let answer = request("DELETE", &url, &[("Authorization", &token)], None).await;
    let status = answer.and_then(|request| request.status());
    let is_gone = matches!(status, Ok(204 | 404 | 410));
    if is_gone {
        mine::forget(id);
    }
    is_gone
}

/// Sends a request, and returns it once it is over, however it ended.
async fn request(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: Option<&str>,
) -> Result<XmlHttpRequest, JsValue> {
    let request = XmlHttpRequest::new()?;
    let end = ended(&request);
    request.open(method, url)?;
    // A connection may die without a word; then the browser itself would wait for minutes.
    request.set_timeout(PATIENCE_MS);
    for (name, value) in headers {
        request.set_request_header(name, value)?;
    }
    request.send_with_opt_str(body)?;
    JsFuture::from(end).await?;
    Ok(request)
}

/// A promise that resolves when the request is over, however it ended.
pub(super) fn ended(request: &XmlHttpRequest) -> Promise {
    Promise::new(&mut |resolve, _| request.set_onloadend(Some(&resolve)))
}

/// Reads the answer of a request that is over: a JSON document, or an error in its envelope.
pub(super) fn read(request: &XmlHttpRequest) -> Result<Json, Failure> {
    // The status is 0 if the request was aborted, took too long, or the connection was lost.
    let status = request.status().unwrap_or_default();
    let body = request.response_text().ok().flatten().unwrap_or_default();
    let wait = request.get_response_header("Retry-After").ok().flatten();
    result(status, wait, &body)
}

/// The same, of an answer with this status, `Retry-After` and body.
fn result(status: u16, wait: Option<String>, body: &str) -> Result<Json, Failure> {
    let json = Json::parse(body);
    match json {
        Some(json) if matches!(status, 200..=299) => Ok(json),
        Some(json) => {
            let mut error = error(&json.get("error"));
            error.retry_after = wait.and_then(|seconds| seconds.parse().ok());
            Err(Failure::Refused(error))
        }
        // The body is not the server's own: a proxy or a CDN in between has answered instead.
        None if status == 413 => Err(Failure::Refused(ApiError::new(
            ErrorCode::TooLarge,
            "The file is too large to be sent. Please try a smaller copy.",
        ))),
        None => Err(Failure::Lost),
    }
}

/// Reads the inner part of an error's envelope. A code that this version does not know counts as
/// [`ErrorCode::Internal`].
fn error(error: &Json) -> ApiError {
    let code = error.text("code").unwrap_or_default();
    let code: StrDeserializer<'_, Error> = code.as_str().into_deserializer();
    ApiError::new(
        ErrorCode::deserialize(code).unwrap_or(ErrorCode::Internal),
        error.text("message").unwrap_or_default(),
    )
}

/// Waits for this many milliseconds.
pub(super) async fn sleep(pause_ms: i32) {
    let _ = JsFuture::from(timer(pause_ms)).await;
}

/// A promise that resolves after this many milliseconds.
pub(super) fn timer(pause_ms: i32) -> Promise {
    Promise::new(&mut |resolve, _| {
        // If the browser gives no timer, the promise never resolves, and the caller waits for ever.
        let _ = window().set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, pause_ms);
    })
}
