//! Asking the server from an island, and reading what it answers.

use gloo_net::http::Request;
use js_sys::{Array, JSON, Object, Promise, Reflect};
use leptos::prelude::window;
use leptos::wasm_bindgen::{JsCast, JsValue};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error, StrDeserializer};
use wasm_bindgen_futures::JsFuture;

use crate::error::{ApiError, ErrorCode};

/// A JSON value, parsed by the browser itself and read by name.
pub(super) struct Json(JsValue);

impl Json {
    pub(super) fn parse(text: &str) -> Option<Self> {
        JSON::parse(text).ok().map(Self)
    }

    pub(super) fn get(&self, name: &str) -> Self {
        Self(Reflect::get(&self.0, &name.into()).unwrap_or(JsValue::UNDEFINED))
    }

    /// The string of this name, if there is one.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.get(name).0.as_string()
    }

    /// The whole number of this name; 0 where there is none.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "sizes of pictures fit"
    )]
    pub(super) fn number(&self, name: &str) -> u32 {
        self.get(name).0.as_f64().unwrap_or_default() as u32
    }

    /// The elements of the array of this name; none where it is not an array.
    pub(super) fn list(&self, name: &str) -> Vec<Self> {
        match self.get(name).0.dyn_into::<Array>() {
            Ok(array) => array.iter().map(Self).collect(),
            Err(_) => Vec::new(),
        }
    }

    /// The strings of the object of this name, by their names.
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

/// Gets a document of the API; nothing where it fails for whatever reason.
pub(super) async fn get(url: &str) -> Option<Json> {
    let answer = Request::get(url).send().await.ok()?;
    answer.ok().then_some(())?;
    Json::parse(&answer.text().await.ok()?)
}

/// Calls a server function with an encoded form.
pub(super) async fn call(url: &str, form: &str) -> Result<Json, ApiError> {
    let lost = |_| ApiError::new(ErrorCode::Timeout, "The connection was lost.");
    let request = Request::post(url)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .header("Accept", "application/json")
        .body(form);
    let answer = request.map_err(lost)?.send().await.map_err(lost)?;
    let text = answer.text().await.map_err(lost)?;
    result(answer.status(), &text)
}

/// What the server says with this status and body: a document, or an error in its envelope.
pub(super) fn result(status: u16, body: &str) -> Result<Json, ApiError> {
    let json = Json::parse(body);
    match json {
        Some(json) if matches!(status, 200..=299) => Ok(json),
        Some(json) => Err(error(&json.get("error"))),
        // Something between us and the server answered in its stead.
        None if status == 413 => Err(ApiError::new(
            ErrorCode::TooLarge,
            "A smaller copy will do nicely.",
        )),
        None => Err(ApiError::new(
            ErrorCode::Timeout,
            "The connection was lost on the way.",
        )),
    }
}

fn error(error: &Json) -> ApiError {
    let code = error.text("code").unwrap_or_default();
    let code: StrDeserializer<'_, Error> = code.as_str().into_deserializer();
    ApiError::new(
        ErrorCode::deserialize(code).unwrap_or(ErrorCode::Internal),
        error.text("message").unwrap_or_default(),
    )
}

/// Waits.
pub(super) async fn sleep(pause_ms: i32) {
    let timer = Promise::new(&mut |resolve, _| {
        // Without a timer the promise never resolves, which is also a way to wait.
        let _ = window().set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, pause_ms);
    });
    let _ = JsFuture::from(timer).await;
}
