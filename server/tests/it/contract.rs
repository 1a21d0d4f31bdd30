//! The contract at `/openapi.json` says what the router does, and nothing else.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::{Method, StatusCode, header};
use cattocdn::http::declarations;
use serde_json::Value;

use crate::support::{Site, request};

/// The addresses that belong to the contract with all their methods.
const PROGRAMS: [&str; 6] = ["/api/v1/", "/3/", "/1/", "/api/1/", "/resources/", "/user/"];

/// The methods that operations have.
const METHODS: [Method; 5] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
];

fn is_for_programs(path: &str) -> bool {
    PROGRAMS.iter().any(|start| path.starts_with(start))
}

#[tokio::test]
async fn the_contract_has_every_address_for_programs_and_no_other() {
    let site = Site::start().await;
    let contract = site.get("/openapi.json").await.json();
    let told: BTreeSet<&str> = contract["paths"]
        .as_object()
        .expect("paths")
        .keys()
        .map(String::as_str)
        .collect();
    let declared: BTreeSet<&str> = declarations().iter().map(|one| one.path).collect();
    let untold: Vec<_> = declared
        .iter()
        .filter(|path| is_for_programs(path) && !told.contains(*path))
        .collect();
    assert!(untold.is_empty(), "not in the contract: {untold:?}");
    let absent: Vec<_> = told.difference(&declared).collect();
    assert!(absent.is_empty(), "in the contract alone: {absent:?}");
}

#[tokio::test]
async fn the_contract_has_every_method_of_these_addresses_and_no_other() {
    let site = Site::start().await;
    let contract = site.get("/openapi.json").await.json();
    for (path, operations) in contract["paths"].as_object().expect("paths") {
        let address = path.replace("{id}", "AAAAAAAAAAAAAAAA");
        for method in METHODS {
            let asked = request(method.clone(), &address);
            let answer = site
                .send(asked.body(Body::empty()).expect("a request"))
                .await;
            let is_taken = answer.status != StatusCode::METHOD_NOT_ALLOWED;
            let is_told = operations.get(method.as_str().to_lowercase()).is_some();
            assert_eq!(is_told, is_taken, "{method} {path}: {}", answer.status);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_has_the_fields_that_the_contract_requires() {
    let site = Site::start().await;
    let contract = site.get("/openapi.json").await.json();
    let required = |name: &str| -> Vec<String> {
        let schema = &contract["components"]["schemas"][name];
        let fields = schema["required"].as_array().into_iter().flatten();
        let known = schema["properties"].as_object().expect(name);
        fields
            .map(|field| field.as_str().expect("a name").to_owned())
            .inspect(|field| assert!(known.contains_key(field), "{name}: {field}"))
            .collect()
    };
    let upload = site.publish().await;
    let id = upload["id"].as_str().expect("an id");
    let picture = site.get(&format!("/api/v1/pictures/{id}")).await.json();
    let list = site.get("/api/v1/pictures").await.json();
    let tags = site.get("/api/v1/tags").await.json();
    let error = site.get("/api/v1/pictures?limit=0").await.json();
    let nothing = Value::Null;
    for (name, answer) in [
        ("UploadView", &upload),
        ("PublishedView", &upload),
        ("PictureView", &picture),
        ("PicturePage", &list),
        ("PictureView", &list["pictures"][0]),
        ("TagView", &picture["tags"][0]),
        ("TagList", &tags),
        ("TagCount", &tags["tags"][0]),
        ("ErrorBody", &error),
        ("ApiError", &error["error"]),
    ] {
        let fields = required(name);
        assert!(!fields.is_empty(), "{name}");
        for field in fields {
            let found = answer.get(&field).unwrap_or(&nothing);
            assert!(!found.is_null(), "{name}: {field} in {answer}");
        }
    }
}

#[tokio::test]
async fn the_contract_is_kept_and_read_by_any_page() {
    let site = Site::start().await;
    let contract = site.get("/openapi.json").await;
    assert_eq!(contract.header(header::ACCESS_CONTROL_ALLOW_ORIGIN), "*");
    assert!(
        contract
            .header(header::CACHE_CONTROL)
            .contains("max-age=60")
    );
    let etag = contract.header(header::ETAG).to_owned();
    for path in ["/openapi.json", "/sharex.sxcu"] {
        let etag = match path {
            "/openapi.json" => etag.clone(),
            _ => site.get(path).await.header(header::ETAG).to_owned(),
        };
        let again = request(Method::GET, path).header(header::IF_NONE_MATCH, etag);
        let again = site
            .send(again.body(Body::empty()).expect("a request"))
            .await;
        assert_eq!(again.status, StatusCode::NOT_MODIFIED, "{path}");
    }
}

#[tokio::test]
async fn the_page_about_the_api_tells_all_of_the_contract_and_loads_no_script_of_others() {
    let site = Site::start().await;
    let contract = site.get("/openapi.json").await.json();
    let page = site.get_page("/docs").await;
    assert_eq!(page.status, StatusCode::OK);
    let text = page.text();
    for (path, operations) in contract["paths"].as_object().expect("paths") {
        for method in operations.as_object().expect("operations").keys() {
            let told = format!("{} {path}", method.to_uppercase());
            let plain = text.replace("<!>", "").replace("<!---->", "");
            assert!(plain.contains(&told), "{told}");
        }
    }
    for code in ["not-a-cat", "storage-full"] {
        assert!(text.contains(code), "{code}");
    }
    assert!(!text.contains("src=\"http"));
}
