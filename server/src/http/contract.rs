//! The contract: what programs may ask for and what they are answered, as an OpenAPI 3.1 document.
//! The shapes of answers come from the types themselves, the codes of errors from their list, and
//! the limits from the configuration; `server/tests/it/contract.rs` holds the addresses to those
//! that the router has.

mod operations;
mod page;

use app::error::{ApiError, ErrorBody, ErrorCode};
use app::types::{
    PendingView, PicturePage, PictureState, PictureView, PublishedView, TagCount, TagList, TagView,
    UploadView,
};
use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use serde_json::{Map, Value, json};
use utoipa::{PartialSchema, ToSchema};

use crate::config::LimitsConfig;
use crate::domain::expiry::Retention;
use crate::http::state::AppState;

pub(crate) use self::page::contract_page;

/// `GET /openapi.json`.
pub(crate) async fn get_contract(State(state): State<AppState>) -> impl IntoResponse {
    Json(document(
        &state.site.public_url,
        &state.limits,
        state.pictures.intake.retention(),
    ))
}

/// The document for the site at this address.
fn document(public_url: &str, limits: &LimitsConfig, retention: Retention) -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "CattoCDN",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Share cat pictures that are screened, cached and forgotten.",
            "description": "No account is needed. Every picture is looked at before anybody can \
                see it, and it ends after a while, to the second. Addresses, names of fields and \
                codes of errors are stable; messages may change.",
            "license": {
                "name": "MIT OR Apache-2.0",
                "identifier": "MIT OR Apache-2.0",
            },
        },
        "servers": [{ "url": public_url }],
        "security": [],
        "tags": operations::TAGS
            .map(|(name, description)| json!({ "name": name, "description": description })),
        "paths": operations::paths(limits),
        "components": {
            "schemas": schemas(),
            "parameters": operations::parameters(retention),
            "headers": operations::headers(),
            "responses": error_responses(),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The delete token of the picture, or the operator's token.",
                },
            },
        },
    })
}

/// The shapes of everything that is answered in JSON.
fn schemas() -> Value {
    let mut schemas = Map::new();
    add::<TagView>(&mut schemas);
    add::<PictureState>(&mut schemas);
    add::<PictureView>(&mut schemas);
    add::<PicturePage>(&mut schemas);
    add::<TagCount>(&mut schemas);
    add::<TagList>(&mut schemas);
    add::<UploadView>(&mut schemas);
    add::<PublishedView>(&mut schemas);
    add::<PendingView>(&mut schemas);
    add::<ErrorCode>(&mut schemas);
    add::<ApiError>(&mut schemas);
    add::<ErrorBody>(&mut schemas);
    // Each of these is in one state alone, by which they are told apart.
    for (name, state) in [
        ("PictureView", PictureState::Published),
        ("PendingView", PictureState::Screening),
    ] {
        schemas[name]["properties"]["state"] = json!({ "const": state });
    }
    Value::Object(schemas)
}

/// Adds the shape of a type under its name.
fn add<T: ToSchema + PartialSchema>(schemas: &mut Map<String, Value>) {
    let mut schema = serde_json::to_value(T::schema()).unwrap_or_default();
    in_plain_words(&mut schema);
    schemas.insert(T::name().into_owned(), schema);
}

/// Takes the marks of links out of what the types' own documentation says.
fn in_plain_words(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if name == "description" => {
                        *text = text.replace("[`", "`").replace("`]", "`");
                    }
                    _ => in_plain_words(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(in_plain_words),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The statuses of errors, each once and in order.
fn error_statuses() -> Vec<u16> {
    let mut statuses: Vec<u16> = ErrorCode::ALL.map(ErrorCode::status).to_vec();
    statuses.sort_unstable();
    statuses.dedup();
    statuses
}

/// The name of a code on the wire.
fn name_of(code: ErrorCode) -> String {
    let name = serde_json::to_value(code).unwrap_or_default();
    name.as_str().unwrap_or_default().to_owned()
}

/// The codes that come with this status.
fn codes_of(status: u16) -> impl Iterator<Item = ErrorCode> {
    let codes = ErrorCode::ALL.into_iter();
    codes.filter(move |code| code.status() == status)
}

/// An answer for each status of an error, with an example of each of its codes.
fn error_responses() -> Value {
    let responses = error_statuses().into_iter().map(|status| {
        let examples: Map<String, Value> = codes_of(status)
            .map(|code| {
                let name = name_of(code);
                let error = json!({ "code": name, "message": format!("{}.", code.title()) });
                (name, json!({ "value": { "error": error } }))
            })
            .collect();
        let names: Vec<String> = examples.keys().map(|name| format!("`{name}`")).collect();
        let mut response = json!({
            "description": names.join(", "),
            "content": {
                "application/json": {
                    "schema": { "$ref": "#/components/schemas/ErrorBody" },
                    "examples": examples,
                },
            },
        });
        if codes_of(status).any(|code| code.retry_after().is_some()) {
            response["headers"] =
                json!({ "Retry-After": { "$ref": "#/components/headers/RetryAfter" } });
        }
        (format!("Error{status}"), response)
    });
    Value::Object(responses.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Value {
        let retention = Retention::default();
        document("https://catto.test", &LimitsConfig::default(), retention)
    }

    #[test]
    fn every_code_of_an_error_has_an_example() {
        let text = example().to_string();
        for code in ErrorCode::ALL {
            let example = format!("{{\"code\":\"{}\",\"message\":", name_of(code));
            assert!(text.contains(&example), "{example}");
        }
    }

    /// Every `$ref` in the document.
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = example();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 20, "{found:?}");
        for reference in found {
            let pointer = reference.trim_start_matches('#');
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }
}
