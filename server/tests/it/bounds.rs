//! Everything that a stranger sends, asks for or keeps open has a bound.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Method, Request, StatusCode, header};
use bytes::Bytes;
use cattocdn::config::ClientAddress;
use futures_util::future::join_all;
use futures_util::stream;
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

use crate::made::{jpeg, painted};
use crate::support::{ADMIN_TOKEN, Answer, Setup, Site, path_of, request};

const FORM: &str = "application/x-www-form-urlencoded";

/// Serves the site on a real socket, with the bounds on connections.
async fn listen(site: &Site) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let state = site.state.clone();
    tokio::spawn(cattocdn::serve(listener, state, std::future::pending()));
    address
}

/// A body of this many bytes that does not announce its length.
fn chunked(bytes: usize) -> Body {
    let pieces = (0..bytes).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(b"x")));
    Body::from_stream(stream::iter(pieces))
}

async fn send(site: &Site, method: Method, path: &str, body: Body) -> Answer {
    let request = request(method, path).header(header::CONTENT_TYPE, FORM);
    site.send(request.body(body).expect("a request")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_refused_where_it_is_too_large_and_ignored_where_none_is_taken() {
    let site = Site::start().await;
    for body in [Body::from(vec![b'x'; 1025]), chunked(1025)] {
        send(&site, Method::POST, "/api/ui/status", body)
            .await
            .assert_error(413, "too-large");
    }
    let id = "id=AAAAAAAAAAAAAAAA";
    let asked = send(&site, Method::POST, "/api/ui/status", Body::from(id)).await;
    asked.assert_error(404, "not-found");
    // Pictures that are over or unknown answer as such, whatever body comes with the request.
    let over = "/i/20200101T000000Z/AAAAAAAAAAAAAAAA/512.webp";
    for (method, path, status) in [
        (Method::GET, "/", 200),
        (Method::GET, "/search?q=cat", 200),
        (Method::GET, "/api/v1/pictures", 200),
        (Method::DELETE, "/api/v1/pictures/AAAAAAAAAAAAAAAA", 401),
        (Method::POST, "/api/v1/pictures/cat.jpg", 405),
        (Method::PUT, "/upload", 405),
        (Method::POST, "/nowhere", 404),
        (Method::POST, over, 410),
    ] {
        // One of the bodies never sends anything.
        let silent = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        for body in [Body::from(vec![b'x'; 2_000_000]), chunked(10), silent] {
            let answer = send(&site, method.clone(), path, body).await;
            assert_eq!(answer.status.as_u16(), status, "{method} {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_whose_bodies_do_not_come_keep_no_page_from_anybody() {
    let site = Site::start().await;
    let silent = || {
        let body = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        Box::pin(send(&site, Method::POST, "/api/ui/status", body))
    };
    let silent = futures_util::future::select_all((0..64).map(|_| silent()));
    tokio::select! {
        _ = silent => panic!("a request was answered before its body came"),
        page = site.get_page("/") => assert_eq!(page.status, StatusCode::OK),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_of_many_words_is_malformed_everywhere() {
    let site = Site::start().await;
    // The query holds one phrase, and one word twice, which counts once.
    let words = "a+b+c+d+-e+-f+%22g+h%22+i+j+k+l+m+n+o+p+q+q";
    let found = site.get(&format!("/api/v1/pictures?q={words}")).await;
    assert_eq!(found.status, StatusCode::OK, "{}", found.text());
    let answer = site.get(&format!("/api/v1/pictures?q={words}+r")).await;
    answer.assert_error(400, "malformed");
    let page = site.get_page(&format!("/search?q={words}+r")).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(page.text().contains("at most 16 words"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_another_site_makes_a_browser_send_is_refused() {
    let site = Site::start().await;
    let post = async |path: &str, from: Option<&'static str>| {
        let mut post = request(Method::POST, path).header(header::CONTENT_TYPE, FORM);
        if let Some(from) = from {
            post = post.header("sec-fetch-site", HeaderValue::from_static(from));
        }
        site.send(post.body(Body::empty()).expect("a request"))
            .await
    };
    for path in [
        "/upload",
        "/api/ui/upload",
        "/api/ui/status",
        "/delete/AAAAAAAAAAAAAAAA/x",
    ] {
        for from in ["cross-site", "same-site"] {
            post(path, Some(from)).await.assert_error(403, "forbidden");
        }
        for from in [Some("same-origin"), Some("none"), None] {
            let status = post(path, from).await.status;
            assert_ne!(status, StatusCode::FORBIDDEN, "{path} {from:?}");
        }
    }
    // These are for programs, and for pages of other sites.
    let upload = post("/api/v1/pictures", Some("cross-site")).await;
    upload.assert_error(400, "malformed");
    let link = request(Method::GET, "/").header("sec-fetch-site", "cross-site");
    let page = site
        .send(link.body(Body::empty()).expect("a request"))
        .await;
    assert_eq!(page.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_link_takes_only_its_own_token_and_wrong_ones_are_counted() {
    let site = Site::start().await;
    let picture = site.publish().await;
    let id = picture["id"].as_str().expect("an id");
    let token = picture["delete_token"].as_str().expect("a token");
    let from = async |peer: &str, method: Method, token: &str| {
        let ask = request(method, &format!("/delete/{id}/{token}"));
        let mut ask = ask.body(Body::empty()).expect("a request");
        let peer: SocketAddr = format!("{peer}:1").parse().expect("an address");
        ask.extensions_mut().insert(ConnectInfo(peer));
        site.send(ask).await
    };
    // The admin's token is as wrong as any other, and is answered in the same words.
    for method in [Method::GET, Method::POST] {
        let admin = from("192.0.2.1", method.clone(), ADMIN_TOKEN).await;
        let wrong = from("192.0.2.1", method, "an-admin-token-of-others").await;
        assert_eq!(admin.status, StatusCode::FORBIDDEN);
        assert_eq!(admin.status, wrong.status);
        assert_eq!(
            admin.text().replace(ADMIN_TOKEN, ""),
            wrong.text().replace("an-admin-token-of-others", "")
        );
    }
    for _ in 0..6 {
        let wrong = from("192.0.2.1", Method::GET, "1111111111111111111111").await;
        assert_eq!(wrong.status, StatusCode::FORBIDDEN);
    }
    let limited = from("192.0.2.1", Method::GET, "1111111111111111111111").await;
    assert_eq!(limited.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(limited.header(header::RETRY_AFTER), "3600");
    // The owner is never kept out, although they may share the network with whoever guesses.
    for _ in 0..20 {
        let asked = from("192.0.2.1", Method::GET, token).await;
        assert_eq!(asked.status, StatusCode::OK);
    }
    let deleted = from("192.0.2.1", Method::POST, token).await;
    assert_eq!(deleted.status, StatusCode::OK, "{}", deleted.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admins_token_still_deletes_as_a_bearer_and_guesses_at_it_are_counted() {
    let site = Site::start().await;
    let picture = site.publish().await;
    let path = format!(
        "/api/v1/pictures/{}",
        picture["id"].as_str().expect("an id")
    );
    for number in 0..10 {
        let query = if number % 2 == 0 { "" } else { "?ban=true" };
        let guess = format!("a-guess-of-many-{number}");
        let answer = site.delete(&format!("{path}{query}"), &guess).await;
        answer.assert_error(403, "forbidden");
    }
    let limited = site.delete(&path, ADMIN_TOKEN).await;
    limited.assert_error(429, "too-many-requests");
    site.clock.advance(std::time::Duration::from_secs(3600));
    let deleted = site.delete(&path, ADMIN_TOKEN).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT, "{}", deleted.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_deletions_at_once_of_pictures_that_are_gone_or_never_were_are_no_guesses() {
    let site = Site::start().await;
    let picture = site.publish().await;
    let path = |id: &str| format!("/api/v1/pictures/{id}");
    let own = path(picture["id"].as_str().expect("an id"));
    let deleted = site.delete(&own, ADMIN_TOKEN).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT, "{}", deleted.text());
    for (path, status) in [
        (own, StatusCode::GONE),
        (path("AAAAAAAAAAAAAAAA"), StatusCode::NOT_FOUND),
    ] {
        let answers = join_all((0..40).map(|_| site.delete(&path, ADMIN_TOKEN))).await;
        for answer in answers {
            assert_eq!(answer.status, status, "{}", answer.text());
        }
    }
}

/// A cat whose files are large, and the path of one of them.
async fn large_picture(site: &Site) -> (String, String) {
    let mut seed = 1_u32;
    let noise: Vec<u8> = (0..1300 * 1300 * 3)
        .map(|_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 24) as u8
        })
        .collect();
    let noise = painted(1300, 1300, |x, y| {
        let at = ((y * 1300 + x) * 3) as usize;
        [noise[at], noise[at + 1], noise[at + 2]]
    });
    let picture = site.publish_file("noise", jpeg(&noise)).await;
    let path = |value: &serde_json::Value| path_of(value.as_str().expect("text")).to_owned();
    (path(&picture["images"]["1280.jpg"]), path(&picture["id"]))
}

/// Reads the first piece of an image, lets something happen, and says whether the rest breaks off.
async fn breaks_off(site: &Site, image: &str, happens: impl AsyncFnOnce()) -> bool {
    let ask = request(Method::GET, image).body(Body::empty());
    let answer = site.router.clone().oneshot(ask.expect("a request")).await;
    let mut body = answer.expect("never fails").into_body();
    let first = body.frame().await.expect("a piece").expect("is whole");
    assert_eq!(first.data_ref().map(Bytes::len), Some(64 * 1024));
    happens().await;
    match body.frame().await {
        Some(Err(_)) => true,
        Some(Ok(_)) => false,
        None => panic!("the file is too small"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_under_way_breaks_off_when_its_picture_is_over_or_deleted() {
    let site = Site::start().await;
    let (image, id) = large_picture(&site).await;
    assert!(!breaks_off(&site, &image, async || {}).await);
    let delete = async || {
        let path = format!("/api/v1/pictures/{id}");
        let answer = site.delete(&path, ADMIN_TOKEN).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
    };
    assert!(breaks_off(&site, &image, delete).await);

    let site = Site::start().await;
    let (image, _) = large_picture(&site).await;
    let end = async || {
        site.clock
            .advance(std::time::Duration::from_secs(7 * 24 * 3600))
    };
    assert!(breaks_off(&site, &image, end).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_idle_connection_of_a_client_makes_room_for_its_next() {
    let site = Setup::new().start_without_jobs().await;
    let address = listen(&site).await;
    let mut first = TcpStream::connect(address).await.expect("connects");
    let mut others = Vec::new();
    for _ in 0..64 {
        others.push(TcpStream::connect(address).await.expect("connects"));
    }
    let mut nothing = Vec::new();
    first.read_to_end(&mut nothing).await.expect("is closed");
    assert!(nothing.is_empty());
    // The last one is served.
    let last = others.last_mut().expect("there are some");
    let ask = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    last.write_all(ask).await.expect("is sent");
    let mut answer = String::new();
    last.read_to_string(&mut answer).await.expect("is answered");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_with_all_its_connections_busy_is_told_to_come_again() {
    let site = Setup::new().start_without_jobs().await;
    let address = listen(&site).await;
    // These uploads announce a body and do not send it.
    let head = "POST /api/v1/pictures HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\nhalf";
    let mut busy = Vec::new();
    // The server takes up what was sent in its own time. Once it has, there is no room.
    let refused = loop {
        let mut next = TcpStream::connect(address).await.expect("connects");
        if next.write_all(head.as_bytes()).await.is_err() {
            continue;
        }
        let mut start = [0; 12];
        let read = tokio::select! {
            biased;
            read = next.read_exact(&mut start) => read.is_ok(),
            () = tokio::task::yield_now() => false,
        };
        if read && start.starts_with(b"HTTP/1.1 429") {
            let mut rest = String::new();
            next.read_to_string(&mut rest).await.expect("is answered");
            break rest;
        }
        busy.push(next);
        assert!(busy.len() < 2000, "nobody is refused");
    };
    assert!(refused.contains("Retry-After: 10\r\n"), "{refused}");
    assert!(refused.contains("\"too-many-requests\""), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_cdn_each_client_that_it_names_has_its_share_of_requests() {
    let mut setup = Setup::new();
    setup.config.origin.keys = vec!["the-key-of-the-cdn-1".into()];
    let name = "x-client".parse().expect("a name");
    setup.config.origin.client_address = ClientAddress::Header(name);
    let site = setup.start_without_jobs().await;
    let ask = async |client: &str| {
        let ask = Request::get("/about")
            .header("x-catto-origin-key", "the-key-of-the-cdn-1")
            .header("x-client", client);
        let ask = ask.body(Body::empty()).expect("a request");
        site.router.clone().oneshot(ask).await.expect("never fails")
    };
    // Nobody reads these answers.
    let mut unread = Vec::new();
    for _ in 0..64 {
        let answer = ask("192.0.2.1").await;
        assert_eq!(answer.status(), StatusCode::OK);
        unread.push(answer);
    }
    let refused = ask("192.0.2.1").await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()[header::RETRY_AFTER], "5");
    assert_eq!(ask("192.0.2.2").await.status(), StatusCode::OK);
    drop(unread);
    assert_eq!(ask("192.0.2.1").await.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_spelling_is_sent_to_the_first_or_is_not_found_and_never_to_an_error() {
    let site = Site::start().await;
    let picture = site.publish().await;
    let id = picture["id"].as_str().expect("an id");
    let escaped = format!("%{:02X}{}", id.as_bytes()[0], &id[1..]);
    for (asked, canonical) in [
        ("/?", "/"),
        ("/?q=cat&limit=3", "/"),
        ("/tags/t%61bby%20cat", "/tags/tabby%20cat"),
        ("/tags/CAT", "/tags/cat"),
        ("/search?q=%63at", "/search?q=cat"),
    ] {
        let moved = site.get(asked).await;
        assert_eq!(moved.status, StatusCode::MOVED_PERMANENTLY, "{asked}");
        assert_eq!(moved.header(header::LOCATION), canonical, "{asked}");
        assert_eq!(site.get(canonical).await.status, StatusCode::OK);
    }
    for (asked, status) in [
        (format!("/c/{escaped}"), 404),
        (format!("/api/v1/pictures/{escaped}"), 404),
        (format!("/c//{id}"), 404),
        (format!("/c/./{id}"), 404),
        (format!("/C/{id}"), 404),
        ("//".to_owned(), 404),
        ("/%61bout".to_owned(), 404),
        ("/about/../about".to_owned(), 404),
        ("/?after=5%20".to_owned(), 400),
        ("/tags/cat?after=5%20".to_owned(), 400),
    ] {
        assert_eq!(site.get(&asked).await.status.as_u16(), status, "{asked}");
    }
    assert_eq!(site.get(&format!("/c/{id}")).await.status, StatusCode::OK);
}
