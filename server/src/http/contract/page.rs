//! The contract as a page shows it.

use app::error::ErrorCode;
use app::types::contract::{
    ContractError, ContractOperation, ContractParameter, ContractSection, ContractView,
};
use serde_json::Value;

use super::{document, name_of, operations};
use crate::http::state::AppState;

/// The contract for people to read.
pub(crate) fn contract_page(state: &AppState) -> ContractView {
    let retention = state.pictures.intake.retention();
    let document = document(&state.site.public_url, &state.limits, retention);
    let sections = operations::TAGS.map(|(name, about)| ContractSection {
        name: name.to_owned(),
        about: about.to_owned(),
        operations: operations_of(&document, name),
    });
    let errors = ErrorCode::ALL.map(|code| ContractError {
        code: name_of(code),
        status: code.status(),
        title: code.title().to_owned(),
    });
    ContractView {
        sections: sections.into(),
        errors: errors.into(),
    }
}

fn operations_of(document: &Value, tag: &str) -> Vec<ContractOperation> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let all = paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().into_iter().flatten();
        methods.map(move |(method, operation)| (path, method, operation))
    });
    all.filter(|(_, _, operation)| operation["tags"][0] == tag)
        .map(|(path, method, operation)| ContractOperation {
            method: method.to_uppercase(),
            path: path.clone(),
            summary: text(&operation["summary"]),
            about: text(&operation["description"]),
            parameters: parameters(document, operation),
            answers: answers(document, operation),
        })
        .collect()
}

fn parameters(document: &Value, operation: &Value) -> Vec<ContractParameter> {
    let listed = operation["parameters"].as_array().into_iter().flatten();
    listed
        .map(|parameter| {
            let parameter = resolve(document, parameter);
            ContractParameter {
                name: text(&parameter["name"]),
                place: text(&parameter["in"]),
                about: text(&parameter["description"]),
            }
        })
        .collect()
}

fn answers(document: &Value, operation: &Value) -> Vec<(String, String)> {
    let listed = operation["responses"].as_object().into_iter().flatten();
    listed
        .map(|(status, answer)| {
            let answer = resolve(document, answer);
            (status.clone(), text(&answer["description"]))
        })
        .collect()
}

/// What a value refers to, or the value itself.
fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let reference = value["$ref"].as_str();
    let pointer = reference.map(|reference| reference.trim_start_matches('#'));
    pointer
        .and_then(|pointer| document.pointer(pointer))
        .unwrap_or(value)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
