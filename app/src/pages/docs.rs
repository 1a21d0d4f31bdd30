//! The page about the API: the contract at `/openapi.json`, for people to read.

use leptos::prelude::*;

use super::head::Head;
use crate::backend::backend;
use crate::types::contract::{ContractError, ContractOperation, ContractSection};

#[component]
pub(crate) fn DocsPage() -> impl IntoView {
    let site = backend().site();
    let contract = backend().contract();
    let curl = format!("curl -F file=@cat.jpg {}/api/v1/pictures", site.public_url);
    let sections: Vec<_> = contract.sections.into_iter().map(section).collect();
    let errors: Vec<_> = contract.errors.into_iter().map(error).collect();
    view! {
        <Head
            title="The API"
            description="What programs may ask CattoCDN for, and what they are answered."
            path="/docs"
        />
        <article class="prose">
            <h1>"The API"</h1>
            <p class="lead">
                "Everything that this site does, programs can ask for, without an account. Any page \
                on the web may read what is here."
            </p>
            <pre tabindex="0"><code>{curl}</code></pre>
            <p>
                "For programs that read contracts, the same is at "
                <a href="/openapi.json">"/openapi.json"</a>" as OpenAPI 3.1. ShareX takes its \
                settings from "<a href="/sharex.sxcu" rel="external">"/sharex.sxcu"</a>"."
            </p>
            {sections}
            <h2 id="errors">"Errors"</h2>
            <p>
                "An error is JSON: "
                <code>r#"{"error": {"code": "…", "message": "…"}}"#</code>
                ". Programs should go by the code. 429 and 503 say in "<code>"Retry-After"</code>
                " when to try again."
            </p>
            <dl>{errors}</dl>
        </article>
    }
}

/// A text in which code stands between backticks.
fn prose(text: &str) -> Vec<AnyView> {
    let parts = text.split('`').map(str::to_owned).enumerate();
    parts
        .map(|(at, part)| match at % 2 {
            0 => part.into_any(),
            _ => view! { <code>{part}</code> }.into_any(),
        })
        .collect()
}

/// A group of addresses.
fn section(section: ContractSection) -> impl IntoView {
    let operations: Vec<_> = section.operations.into_iter().map(operation).collect();
    view! {
        <h2>{section.name}</h2>
        <p>{prose(&section.about)}</p>
        {operations}
    }
}

/// One method at one address.
fn operation(operation: ContractOperation) -> impl IntoView {
    let parameters: Vec<_> = operation
        .parameters
        .into_iter()
        .map(|parameter| {
            view! {
                <li>
                    <code>{parameter.name}</code>" ("{parameter.place}"): "
                    {prose(&parameter.about)}
                </li>
            }
        })
        .collect();
    let parameters =
        (!parameters.is_empty()).then(|| view! { <ul aria-label="Parameters">{parameters}</ul> });
    let answers: Vec<_> = operation
        .answers
        .into_iter()
        .map(|(status, about)| view! { <li><code>{status}</code>" "{prose(&about)}</li> })
        .collect();
    let about = (!operation.about.is_empty()).then(|| view! { <p>{prose(&operation.about)}</p> });
    view! {
        <h3>
            <code>{operation.method}" "{operation.path}</code>
        </h3>
        <p>{prose(&operation.summary)}"."</p>
        {about}
        {parameters}
        <details>
            <summary>"Answers"</summary>
            <ul>{answers}</ul>
        </details>
    }
}

/// One code of an error.
fn error(error: ContractError) -> impl IntoView {
    view! {
        <dt>
            <code>{error.code}</code>" "{error.status}
        </dt>
        <dd>{error.title}"."</dd>
    }
}
