//! The upload protocols of other image hosts: every way in, every answer, and what is refused.

use std::num::NonZeroU32;

use axum::body::Body;
use axum::http::{Method, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};

use crate::support::{
    Answer, BOUNDARY, ScriptedScreener, Setup, Site, fixture, form, path_of, request,
};

/// A secret of a client that owns its pictures by one.
const SECRET: &str = "a-secret-of-my-own-25";

const FORM: &str = "application/x-www-form-urlencoded";

/// A request to upload: an address, the type of the body, and the body.
struct Way {
    path: &'static str,
    kind: String,
    body: Vec<u8>,
}

impl Way {
    fn multipart(path: &'static str, parts: &[(&str, &[u8])]) -> Self {
        let parts: Vec<_> = parts
            .iter()
            .map(|(name, bytes)| (*name, "cat.webp", *bytes))
            .collect();
        Self {
            path,
            kind: format!("multipart/form-data; boundary={BOUNDARY}"),
            body: form(&parts),
        }
    }

    fn urlencoded(path: &'static str, pairs: &[(&str, &[u8])]) -> Self {
        let pairs: Vec<String> = pairs
            .iter()
            .map(|(name, value)| format!("{name}={}", percent_encode(value, NON_ALPHANUMERIC)))
            .collect();
        Self {
            path,
            kind: FORM.into(),
            body: pairs.join("&").into_bytes(),
        }
    }

    fn bare(path: &'static str, kind: &str, body: &[u8]) -> Self {
        Self {
            path,
            kind: kind.into(),
            body: body.into(),
        }
    }

    async fn send(&self, site: &Site) -> Answer {
        let request = request(Method::POST, self.path)
            .header(header::CONTENT_TYPE, &self.kind)
            .header(header::CONTENT_LENGTH, self.body.len());
        site.send(
            request
                .body(Body::from(self.body.clone()))
                .expect("a request"),
        )
        .await
    }
}

/// Every way in which some client sends this file.
fn ways(file: &[u8]) -> Vec<Way> {
    let base64 = STANDARD.encode(file);
    let base64 = base64.as_bytes();
    let catbox: [(&str, &[u8]); 3] = [
        ("reqtype", b"fileupload"),
        ("time", b"1h"),
        ("fileToUpload", file),
    ];
    vec![
        Way::multipart("/3/image", &[("image", file), ("type", b"file")]),
        Way::multipart("/3/upload", &[("type", b"base64"), ("image", base64)]),
        Way::urlencoded("/3/image", &[("title", b"x"), ("image", base64)]),
        Way::bare("/3/upload", "text/plain;charset=UTF-8", base64),
        Way::bare("/3/image", FORM, file),
        Way::bare(
            "/3/upload.xml",
            "application/application/x-www-form-urlencoded",
            file,
        ),
        Way::multipart("/3/image.xml", &[("image", file)]),
        Way::urlencoded("/1/upload", &[("key", b"k"), ("image", base64)]),
        Way::multipart("/1/upload", &[("image", file)]),
        Way::multipart("/1/upload", &[("image", base64), ("expiration", b"600")]),
        Way::urlencoded("/api/1/upload", &[("source", base64), ("key", b"k")]),
        Way::multipart("/api/1/upload", &[("source", file)]),
        Way::multipart("/resources/internals/api.php", &catbox),
        Way::multipart("/user/api.php", &catbox),
        Way::multipart("/", &[("file", file)]),
    ]
}

/// The part of an XML document between these tags.
fn element<'a>(xml: &'a str, name: &str) -> &'a str {
    let (_, rest) = xml.split_once(&format!("<{name}>")).unwrap_or_default();
    rest.split("</").next().unwrap_or_default()
}

/// The direct link in an answer, in whichever protocol it is.
fn link_in(path: &str, answer: &Answer) -> String {
    let text = answer.text();
    match path {
        "/3/image" | "/3/upload" => answer.json()["data"]["link"].to_string(),
        "/3/image.xml" | "/3/upload.xml" => element(&text, "link").to_owned(),
        "/1/upload" => answer.json()["data"]["url"].to_string(),
        "/api/1/upload" => answer.json()["image"]["url"].to_string(),
        _ => text,
    }
    .trim_matches(['"', '\n'])
    .to_owned()
}

/// The message of an error, in whichever protocol it is.
fn message_in(path: &str, answer: &Answer) -> String {
    let text = answer.text();
    match path {
        "/3/image" | "/3/upload" => answer.json()["data"]["error"].to_string(),
        "/3/image.xml" | "/3/upload.xml" => element(&text, "error").to_owned(),
        "/1/upload" | "/api/1/upload" => answer.json()["error"]["message"].to_string(),
        _ => text,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_of_other_clients_publishes_the_picture() {
    let site = Site::start().await;
    for way in ways(&fixture("cat.webp")) {
        let answer = way.send(&site).await;
        let told = format!("{} as {}: {}", way.path, way.kind, answer.text());
        assert_eq!(answer.status, StatusCode::OK, "{told}");
        assert_eq!(answer.header(header::CACHE_CONTROL), "no-store", "{told}");
        let link = link_in(way.path, &answer);
        assert!(link.ends_with(".jpg"), "{told}");
        let lead = site.get(path_of(&link)).await;
        assert_eq!(lead.status, StatusCode::FOUND, "{link}");
        let file = site.get(path_of(lead.header(header::LOCATION))).await;
        assert_eq!(file.header(header::CONTENT_TYPE), "image/jpeg", "{link}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_in_the_words_of_the_client_s_protocol() {
    let site = Setup::new()
        .screened_by(ScriptedScreener::no_cat())
        .start()
        .await;
    for (file, status, words) in [
        (fixture("cat.webp"), 422, "saw no cat"),
        (b"BM no picture at all".as_slice().into(), 415, "JPEG, PNG"),
    ] {
        for way in ways(&file) {
            if status == 415 && way.kind == FORM && way.body == file {
                // Only a picture is known for one where it is called a form.
                continue;
            }
            let answer = way.send(&site).await;
            let told = format!("{} as {}: {}", way.path, way.kind, answer.text());
            assert_eq!(answer.status.as_u16(), status, "{told}");
            assert!(message_in(way.path, &answer).contains(words), "{told}");
            assert_eq!(answer.header(header::CACHE_CONTROL), "no-store", "{told}");
        }
    }
}

#[tokio::test]
async fn what_no_handler_sees_is_refused_in_the_same_words() {
    let mut setup = Setup::new();
    setup.config.limits.uploads_per_hour = NonZeroU32::MIN;
    let site = &setup.start_without_jobs().await;
    for way in ways(b"\xff\xd8\xff no picture").into_iter().take(2) {
        way.send(site).await;
    }
    for way in ways(&fixture("cat.webp")) {
        let answer = way.send(site).await;
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "{}", way.path);
        assert!(
            !answer.header(header::RETRY_AFTER).is_empty(),
            "{}",
            way.path
        );
        let message = message_in(way.path, &answer);
        assert!(message.contains("Many pictures"), "{}: {message}", way.path);
    }
    let wrong_method = site.get("/3/upload").await;
    assert_eq!(wrong_method.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(wrong_method.json()["success"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_fetched_from_a_url() {
    let site = Site::start().await;
    let url = b"http://127.0.0.1:1/cat.jpg".as_slice();
    for way in [
        Way::urlencoded("/3/image", &[("image", url), ("type", b"url")]),
        Way::multipart("/3/upload", &[("image", url)]),
        Way::bare("/3/image", "text/plain", url),
        Way::urlencoded("/1/upload", &[("image", url)]),
        Way::multipart("/api/1/upload", &[("source", url)]),
        Way::urlencoded("/user/api.php", &[("reqtype", b"urlupload"), ("url", url)]),
        Way::multipart(
            "/resources/internals/api.php",
            &[("reqtype", b"urlupload"), ("url", url)],
        ),
        Way::multipart("/", &[("url", url), ("file", b"x")]),
        Way::multipart("/", &[("remote", url)]),
    ] {
        let answer = way.send(&site).await;
        let told = format!("{} as {}: {}", way.path, way.kind, answer.text());
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{told}");
        assert!(
            message_in(way.path, &answer).contains("fetches no pictures"),
            "{told}"
        );
    }
    assert!(site.stored_files().is_empty(), "{:?}", site.stored_files());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_without_one_picture_or_with_too_much_else_is_refused_and_leaves_nothing() {
    let site = Site::start().await;
    let cat = fixture("cat.webp");
    let many: Vec<(&str, &[u8])> = vec![("x", b"y"); 65];
    let long = vec![b'b'; 2000];
    for way in [
        Way::multipart("/3/image", &[("title", b"x")]),
        Way::multipart("/3/image", &[("image", &cat), ("image", &cat)]),
        Way::multipart("/1/upload", &many),
        Way::urlencoded("/1/upload", &many),
        Way::multipart("/3/image", &[("type", &long), ("image", &cat)]),
        Way::urlencoded("/3/image", &[(&"n".repeat(300), b"x")]),
        Way::urlencoded("/3/image", &[("image", b"iVBORw0KGgo!")]),
        Way::multipart(
            "/user/api.php",
            &[("reqtype", b"album"), ("fileToUpload", &cat)],
        ),
        Way::multipart("/", &[("oneshot", b"1"), ("file", &cat)]),
        Way::bare("/3/image", "multipart/form-data", &cat),
        Way::bare(
            "/3/image",
            "multipart/form-data; boundary=b",
            b"--b\r\nhalf",
        ),
        Way::bare("/3/image", "text/plain", b""),
    ] {
        let answer = way.send(&site).await;
        let told = format!("{} as {}: {}", way.path, way.kind, answer.text());
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{told}");
    }
    let way = Way::bare("/1/upload", "image/webp", &cat);
    assert_eq!(
        way.send(&site).await.status,
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
    assert!(site.stored_files().is_empty(), "{:?}", site.stored_files());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_in_base64_is_held_to_the_size_of_the_file() {
    let mut setup = Setup::new();
    let cat = fixture("cat.webp");
    setup.config.limits.max_upload_bytes = cat.len() as u64;
    let site = setup.start().await;
    let base64 = STANDARD.encode(&cat);
    let fits = Way::urlencoded("/1/upload", &[("image", base64.as_bytes())]);
    assert_eq!(fits.send(&site).await.status, StatusCode::OK);
    let mut larger = cat.to_vec();
    larger.push(0);
    let base64 = STANDARD.encode(&larger);
    let is_more = Way::urlencoded("/1/upload", &[("image", base64.as_bytes())]);
    assert_eq!(
        is_more.send(&site).await.status,
        StatusCode::PAYLOAD_TOO_LARGE
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletehash_deletes_and_a_wrong_one_does_not() {
    let site = Site::start().await;
    let way = &ways(&fixture("cat.webp"))[0];
    let data = way.send(&site).await.json()["data"].clone();
    let (id, hash) = (
        data["id"].as_str().expect("an id"),
        data["deletehash"].as_str().expect("a hash"),
    );
    let read = site.get(&format!("/3/image/{id}")).await;
    assert_eq!(read.json()["data"]["link"], data["link"]);
    assert!(read.json()["data"]["deletehash"].is_null());
    let delete = async |hash: &str| {
        let request = request(Method::DELETE, &format!("/3/image/{hash}"));
        let request = request.header(header::AUTHORIZATION, "Client-ID x");
        site.send(request.body(Body::empty()).expect("a request"))
            .await
    };
    assert_eq!(delete(id).await.status, StatusCode::FORBIDDEN);
    let wrong = delete(&format!("{id}{}", "1".repeat(22))).await;
    assert_eq!(wrong.status, StatusCode::FORBIDDEN);
    assert_eq!(wrong.json()["success"], false);
    let done = delete(hash).await;
    assert_eq!(done.status, StatusCode::OK);
    assert_eq!(done.json()["data"], true);
    let gone = site.get(&format!("/3/image/{id}")).await;
    assert_eq!(gone.status, StatusCode::GONE);
    assert_eq!(gone.json()["success"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_delete_url_of_imgbb_leads_to_the_page_that_asks() {
    let site = Site::start().await;
    let cat = fixture("cat.webp");
    let way = Way::multipart("/1/upload", &[("image", &cat)]);
    let answer = way.send(&site).await.json();
    let data = &answer["data"];
    let delete_url = data["delete_url"].as_str().expect("a URL");
    let page = site.get_page(path_of(delete_url)).await;
    assert_eq!(page.status, StatusCode::OK);
    for file in ["image", "thumb", "medium"] {
        let url = data[file]["url"].as_str().expect("a URL");
        let answer = site.get(path_of(url)).await;
        assert!(matches!(answer.status.as_u16(), 200 | 302), "{file}: {url}");
    }
    let week = 7 * 24 * 3600;
    let left = data["expiration"].as_i64().expect("a number");
    assert!((week - 60..=week).contains(&left), "{left}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_with_a_secret_deletes_what_it_uploaded_with_it() {
    let site = Site::start().await;
    let cat = fixture("cat.webp");
    let upload = Way::multipart(
        "/user/api.php",
        &[
            ("reqtype", b"fileupload"),
            ("userhash", SECRET.as_bytes()),
            ("fileToUpload", &cat),
        ],
    );
    let link = upload.send(&site).await.text();
    let name = link.rsplit('/').next().expect("a name");
    let delete = |secret: &str| {
        Way::urlencoded(
            "/user/api.php",
            &[
                ("reqtype", b"deletefiles"),
                ("userhash", secret.as_bytes()),
                ("files", name.as_bytes()),
            ],
        )
    };
    let wrong = delete("another-secret-of-25").send(&site).await;
    assert_eq!(wrong.status, StatusCode::FORBIDDEN, "{}", wrong.text());
    let none = delete("").send(&site).await;
    assert_eq!(none.status, StatusCode::UNAUTHORIZED);
    let done = delete(SECRET).send(&site).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text());
    assert_eq!(site.get(path_of(&link)).await.status, StatusCode::GONE);
}

#[tokio::test(flavor = "multi_thread")]
async fn rustypaste_and_0x0_delete_at_the_address_that_they_were_given() {
    let site = Site::start().await;
    let cat = fixture("cat.webp");
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    let upload = async |secret: Option<&str>| {
        let mut request = request(Method::POST, "/").header(header::CONTENT_TYPE, &kind);
        if let Some(secret) = secret {
            request = request.header(header::AUTHORIZATION, secret);
        }
        let body = form(&[("file", "cat.webp", &cat)]);
        let answer = site
            .send(request.body(Body::from(body)).expect("a request"))
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        answer
    };
    let link = |answer: &Answer| path_of(answer.text().trim()).to_owned();

    let owned = link(&upload(Some(SECRET)).await);
    let delete = async |secret: &str| {
        let request = request(Method::DELETE, &owned).header(header::AUTHORIZATION, secret);
        site.send(request.body(Body::empty()).expect("a request"))
            .await
    };
    assert_eq!(
        delete("another-secret-of-25").await.status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(delete(SECRET).await.status, StatusCode::OK);
    assert_eq!(delete(SECRET).await.status, StatusCode::GONE);

    let plain = upload(None).await;
    assert!(plain.header("x-expires").parse::<i64>().is_ok());
    let token = plain.header("x-token").to_owned();
    let address = link(&plain);
    let post = async |token: &str| {
        let way = Way::urlencoded("/", &[("token", token.as_bytes()), ("delete", b"")]);
        let request = request(Method::POST, &address).header(header::CONTENT_TYPE, FORM);
        site.send(request.body(Body::from(way.body)).expect("a request"))
            .await
    };
    assert_eq!(post(&"1".repeat(22)).await.status, StatusCode::FORBIDDEN);
    assert_eq!(post(&token).await.status, StatusCode::OK);
    assert_eq!(site.get(&address).await.status, StatusCode::GONE);

    let short = request(Method::POST, "/")
        .header(header::CONTENT_TYPE, &kind)
        .header(header::AUTHORIZATION, "too-short");
    let body = form(&[("file", "cat.webp", &cat)]);
    let short = site
        .send(short.body(Body::from(body)).expect("a request"))
        .await;
    assert_eq!(short.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_client_whose_patience_ends_is_told_where_its_picture_will_be() {
    let site = Setup::new().start_without_jobs().await;
    // From here on nobody waits, as if the time were up.
    site.state.pictures.reading.stop_waiting();
    for way in ways(&fixture("cat.webp")) {
        let answer = way.send(&site).await;
        let told = format!("{}: {}", way.path, answer.text());
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{told}");
        let message = message_in(way.path, &answer);
        assert!(
            message.contains("/c/") && message.contains("/delete/"),
            "{told}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_direct_link_leads_to_a_file_for_as_long_as_the_picture_lives() {
    let site = Site::start().await;
    let upload = site.publish().await;
    let id = upload["id"].as_str().expect("an id");
    for (ending, kind) in [
        ("jpg", "image/jpeg"),
        ("jpeg", "image/jpeg"),
        ("webp", "image/webp"),
        ("gif", "image/webp"),
    ] {
        let lead = site.get(&format!("/c/{id}.{ending}?x=1")).await;
        assert_eq!(lead.status, StatusCode::FOUND, "{ending}");
        let page = site.get_page(&format!("/c/{id}")).await;
        assert_eq!(
            lead.header(header::CACHE_CONTROL),
            page.header(header::CACHE_CONTROL)
        );
        let file = site.get(path_of(lead.header(header::LOCATION))).await;
        assert_eq!(file.header(header::CONTENT_TYPE), kind, "{ending}");
    }
    for path in [
        "/c/AAAAAAAAAAAAAAAA.jpg",
        "/c/x.jpg",
        &format!("/c/{id}.png"),
    ] {
        assert_eq!(site.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let token = upload["delete_token"].as_str().expect("a token");
    site.delete(&format!("/api/v1/pictures/{id}"), token).await;
    assert_eq!(
        site.get(&format!("/c/{id}.jpg")).await.status,
        StatusCode::GONE
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_settings_of_sharex_name_what_the_api_answers() {
    let site = Site::start().await;
    let file = site.get("/sharex.sxcu").await;
    assert!(
        file.header(header::CONTENT_DISPOSITION)
            .contains("cattocdn.sxcu")
    );
    let settings = file.json();
    let text = |name: &str| settings[name].as_str().expect(name).to_owned();
    let cat = fixture("cat.webp");
    let upload = async |file: &[u8]| {
        let url = format!("{}?wait=25", text("RequestURL"));
        let field = text("FileFormName");
        site.upload_form(path_of(&url), &[(&field, "cat.webp", file)])
            .await
    };
    // What `{json:a.b}` and `{json:a['b']}` stand for in an answer.
    let found = |name: &str, answer: &Answer| {
        let path = text(name);
        let path = path
            .strip_prefix("{json:")
            .and_then(|path| path.strip_suffix('}'));
        let steps = path.expect("a path").replace("['", "/").replace("']", "");
        let steps = if steps.contains('/') {
            steps
        } else {
            steps.replace('.', "/")
        };
        let value = answer.json().pointer(&format!("/{steps}")).cloned();
        value
            .and_then(|value| value.as_str().map(str::to_owned))
            .unwrap_or_default()
    };
    let published = upload(&cat).await;
    assert_eq!(
        site.get_page(path_of(&found("URL", &published)))
            .await
            .status,
        StatusCode::OK
    );
    let thumbnail = site.get(path_of(&found("ThumbnailURL", &published))).await;
    assert_eq!(thumbnail.header(header::CONTENT_TYPE), "image/webp");
    let asks = site
        .get_page(path_of(&found("DeletionURL", &published)))
        .await;
    assert_eq!(asks.status, StatusCode::OK);
    let refused = upload(b"no picture").await;
    assert!(found("ErrorMessage", &refused).contains("JPEG"));
}
