//! How an island asks the server, and how it reads the answers.

use js_sys::{Array, JSON, Object, Promise, Reflect};
use leptos::prelude::window;
use leptos::wasm_bindgen::{JsCast, JsValue};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error, StrDeserializer};
use wasm_bindgen_futures::JsFuture;
use web_sys::{RequestInit, Response};

use crate::error::{ApiError, ErrorCode};

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

/// Gets a JSON document from the API; `None` if that fails for any reason.
pub(super) async fn get(url: &str) -> Option<Json> {
    let answer = response(window().fetch_with_str(url)).await?;
    answer.ok().then_some(())?;
    Json::parse(&text(&answer).await?)
}

/// The answer that a request was promised; `None` if it cannot be had.
pub(super) async fn response(promise: Promise) -> Option<Response> {
    JsFuture::from(promise).await.ok()?.dyn_into().ok()
}

/// The body of an answer; `None` if it does not arrive.
async fn text(answer: &Response) -> Option<String> {
    let text = JsFuture::from(answer.text().ok()?).await.ok()?;
    text.as_string()
}

/// Calls a server function with the fields of `form`, which are encoded as in a query string.
pub(super) async fn call(url: &str, form: &str) -> Result<Json, ApiError> {
    let lost = || {
        ApiError::new(
            ErrorCode::Timeout,
            "The connection was lost. Please try again.",
        )
    };
    let headers = Object::new();
    for (name, value) in [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Accept", "application/json"),
    ] {
        // This fails only for an object that cannot be changed.
        let _ = Reflect::set(&headers, &name.into(), &value.into());
    }
    let request = RequestInit::new();
    request.set_method("POST");
    request.set_headers(&headers);
    request.set_body(&form.into());
    let answer = window().fetch_with_str_and_init(url, &request);
    let answer = response(answer).await.ok_or_else(lost)?;
    let text = text(&answer).await.ok_or_else(lost)?;
    result(answer.status(), &text)
}

/// Reads an answer of the server with this status and body: a JSON document, or an error in its
/// envelope.
pub(super) fn result(status: u16, body: &str) -> Result<Json, ApiError> {
    let json = Json::parse(body);
    match json {
        Some(json) if matches!(status, 200..=299) => Ok(json),
        Some(json) => Err(error(&json.get("error"))),
        // The body is not the server's own: a proxy or a CDN in between has answered instead.
        None if status == 413 => Err(ApiError::new(
            ErrorCode::TooLarge,
            "The file is too large to be sent. Please try a smaller copy.",
        )),
        None => Err(ApiError::new(
            ErrorCode::Timeout,
            "The connection was lost. Please try again.",
        )),
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
    let timer = Promise::new(&mut |resolve, _| {
        // If the browser gives no timer, the promise never resolves, and the caller waits for ever.
        let _ = window().set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, pause_ms);
    });
    let _ = JsFuture::from(timer).await;
}
