//! Bad input gets its code, and leaves nothing behind.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, StatusCode, header};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{BOUNDARY, Setup, Site, fixture, form, request};

const MEBIBYTE: usize = 1024 * 1024;

fn assert_nothing_left(site: &Site) {
    assert_eq!(site.stored_files(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_no_picture_of_ours_are_refused_by_their_content() {
    let site = Site::start().await;
    let png = fixture("chelsea.png");
    let webp = fixture("cat.webp");
    let jpeg = fixture("cat-gray.jpg");
    let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".to_vec();
    let avif = b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf".to_vec();
    let cases: Vec<(&str, Bytes, u16, &str)> = vec![
        ("nothing", Bytes::new(), 400, "malformed"),
        (
            "HTML",
            "<!doctype html><script>alert(1)</script>".into(),
            415,
            "unsupported-type",
        ),
        (
            "SVG",
            "<svg xmlns='http://www.w3.org/2000/svg'/>".into(),
            415,
            "unsupported-type",
        ),
        (
            "PDF",
            "%PDF-1.7 and so on and so on".into(),
            415,
            "unsupported-type",
        ),
        (
            "TIFF",
            b"II*\0\x08\0\0\0and so on and so on".to_vec().into(),
            415,
            "unsupported-type",
        ),
        ("HEIC", heic.into(), 415, "unsupported-type"),
        ("AVIF", avif.into(), 415, "unsupported-type"),
        ("a bomb", fixture("bomb.png"), 413, "too-many-pixels"),
        ("one pixel", one_pixel_png(), 422, "too-small"),
        ("5000 frames", many_frames(5000), 413, "too-many-pixels"),
        ("a cut header", png.slice(..20), 422, "corrupt-image"),
        (
            "half a PNG",
            png.slice(..png.len() / 2),
            422,
            "corrupt-image",
        ),
        (
            "a PNG without its end",
            png.slice(..png.len() - 1000),
            422,
            "corrupt-image",
        ),
        (
            "half a JPEG",
            jpeg.slice(..jpeg.len() / 2),
            422,
            "corrupt-image",
        ),
        (
            "a JPEG without its end",
            jpeg.slice(..jpeg.len() - 1000),
            422,
            "corrupt-image",
        ),
        ("a strip", strip_png(), 422, "too-small"),
        (
            "a frame that lies about its size",
            lying_frame(),
            422,
            "corrupt-image",
        ),
        (
            "half a WebP",
            webp.slice(..webp.len() / 2),
            422,
            "corrupt-image",
        ),
    ];
    for (name, bytes, status, code) in cases {
        let answer = site
            .upload_form("/api/v1/pictures", &[("file", "cat.jpg", &bytes)])
            .await;
        assert_eq!(answer.status.as_u16(), status, "{name}: {}", answer.text());
        answer.assert_error(status, code);
        assert_nothing_left(&site);
    }
    assert_eq!(
        site.get("/api/v1/pictures").await.json()["pictures"],
        serde_json::json!([])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn heic_and_avif_are_refused_with_advice() {
    let site = Site::start().await;
    for kind in ["heic", "avif"] {
        let answer = site
            .upload(format!("\0\0\0\x18ftyp{kind}\0\0\0\0mif1{kind}"))
            .await;
        let message = answer.json()["error"]["message"]
            .as_str()
            .unwrap_or_default()
            .to_lowercase();
        assert!(
            message.contains(kind) && message.contains("jpeg"),
            "{message}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_holds_exactly_one_file() {
    let site = Site::start().await;
    let cat = fixture("cat.webp");
    for url in ["/api/v1/pictures", "/api/ui/upload"] {
        site.upload_form(url, &[("picture", "cat.webp", &cat)])
            .await
            .assert_error(400, "malformed");
        site.upload_form(url, &[("file", "a.webp", &cat), ("file", "b.webp", &cat)])
            .await
            .assert_error(400, "malformed");
        site.upload_form(url, &[])
            .await
            .assert_error(400, "malformed");
        site.upload_form(url, &[("file", "cat.webp", b"")])
            .await
            .assert_error(400, "malformed");
        assert_nothing_left(&site);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_without_a_boundary_is_malformed_at_every_door() {
    let site = Site::start().await;
    for (content_type, status, code) in [
        ("multipart/form-data", 400, "malformed"),
        ("multipart/form-data; boundary=", 400, "malformed"),
        ("multipart/mixed; boundary=x", 400, "malformed"),
        ("application/json", 415, "unsupported-type"),
        ("", 415, "unsupported-type"),
    ] {
        let mut request =
            request(Method::POST, "/api/ui/upload").header(header::ACCEPT, "application/json");
        if !content_type.is_empty() {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        let answer = site
            .send(request.body(Body::from("--x\r\n")).expect("a request"))
            .await;
        assert_eq!(
            answer.status.as_u16(),
            status,
            "{content_type}: {}",
            answer.text()
        );
        answer.assert_error(status, code);
    }
    let raw = request(Method::POST, "/api/v1/pictures")
        .header(header::CONTENT_TYPE, "multipart/form-data");
    site.send(raw.body(Body::from("x")).expect("a request"))
        .await
        .assert_error(400, "malformed");
    let cut = form(&[("file", "cat.webp", &fixture("cat.webp"))]);
    let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
    let request =
        request(Method::POST, "/api/v1/pictures").header(header::CONTENT_TYPE, content_type);
    let request = request
        .body(Body::from(cut[..cut.len() - 40].to_vec()))
        .expect("a request");
    site.send(request).await.assert_error(400, "malformed");
    assert_nothing_left(&site);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_over_the_limit_is_too_large_at_every_door() {
    let site = Site::start().await;
    let large = Bytes::from(vec![0xff; 21 * MEBIBYTE]);
    site.upload(large.clone())
        .await
        .assert_error(413, "too-large");
    for url in ["/api/v1/pictures", "/api/ui/upload"] {
        site.upload_form(url, &[("file", "large.jpg", &large)])
            .await
            .assert_error(413, "too-large");
    }
    assert_nothing_left(&site);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_door_that_is_closed_says_when_it_opens() {
    let mut setup = Setup::new();
    setup.config.limits.uploads_per_day = 0;
    let site = setup.start().await;
    let cat = fixture("cat.webp");
    for url in ["/api/v1/pictures", "/api/ui/upload", "/upload"] {
        let answer = site.upload_form(url, &[("file", "cat.webp", &cat)]).await;
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "{url}");
        let wait = answer.header(header::RETRY_AFTER).parse::<u32>();
        assert!(wait.is_ok_and(|seconds| seconds > 0), "{url}");
        assert_eq!(answer.header(header::CACHE_CONTROL), "no-store", "{url}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_function_sends_nobody_to_where_a_request_says_it_came_from() {
    let site = Site::start().await;
    let ask = async |url: &str, content_type: &str, body: Vec<u8>| {
        let ask = request(Method::POST, url)
            .header(header::CONTENT_TYPE, content_type)
            .header(header::ACCEPT, "text/html")
            .header(header::REFERER, "https://evil.example/page");
        site.send(ask.body(Body::from(body)).expect("a request"))
            .await
    };
    let form_type = "application/x-www-form-urlencoded";
    let multipart = format!("multipart/form-data; boundary={BOUNDARY}");
    let cat = form(&[("file", "cat.webp", &fixture("cat.webp"))]);
    let answers = [
        (201, ask("/api/ui/upload", &multipart, cat).await),
        (
            400,
            ask("/api/ui/upload", &multipart, b"nonsense".to_vec()).await,
        ),
        (400, ask("/api/ui/status", form_type, b"x=1".to_vec()).await),
        (
            404,
            ask("/api/ui/status", form_type, b"id=AAAAAAAAAAAAAAAA".to_vec()).await,
        ),
    ];
    for (status, answer) in answers {
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text());
        assert_eq!(answer.header(header::LOCATION), "");
        assert!(answer.json().is_object());
        assert!(!format!("{:?}", answer.headers).contains("evil"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_function_that_is_asked_nonsense_answers_400_and_not_500() {
    let site = Site::start().await;
    for body in ["", "id", "no=id", "id=%ff&id=x", "\u{0}"] {
        let ask = request(Method::POST, "/api/ui/status")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let answer = site
            .send(ask.body(Body::from(body)).expect("a request"))
            .await;
        // An id that is not a picture's is not found.
        if body == "id" || body.starts_with("id=") {
            assert!(answer.status.is_client_error(), "{body}: {}", answer.status);
        } else {
            answer.assert_error(400, "malformed");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wait_must_be_whole_seconds() {
    let site = Site::start().await;
    for wait in ["26", "-1", "1.5", "soon"] {
        site.upload_to(
            &format!("/api/v1/pictures?wait={wait}"),
            fixture("cat.webp"),
        )
        .await
        .assert_error(400, "malformed");
    }
    assert_nothing_left(&site);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_id_is_not_found() {
    let site = Site::start().await;
    for id in ["AAAAAAAAAAAAAAAA", "x", "..%2F..%2Findex.sqlite"] {
        site.get(&format!("/api/v1/pictures/{id}"))
            .await
            .assert_error(404, "not-found");
        let delete = request(Method::DELETE, &format!("/api/v1/pictures/{id}"))
            .header(header::AUTHORIZATION, "Bearer 1111111111111111111111");
        site.send(delete.body(Body::empty()).expect("a request"))
            .await
            .assert_error(404, "not-found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_day_or_store_takes_no_more() {
    let mut setup = Setup::new();
    setup.config.limits.uploads_per_day = 1;
    let site = setup.start().await;
    site.publish().await;
    site.upload(fixture("cat.webp"))
        .await
        .assert_error(429, "too-many-requests");
    site.clock.advance(Duration::from_secs(24 * 3600 + 1));
    site.publish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_store_is_full_no_more_is_taken() {
    let site = Site::start().await;
    site.publish().await;
    let stored = stored_bytes(&site);

    let mut setup = Setup::new();
    setup.config.limits.max_stored_bytes = stored + 1;
    let site = setup.start().await;
    site.publish().await;
    for file in ["chelsea.png", "cat.webp"] {
        site.upload(fixture(file))
            .await
            .assert_error(503, "storage-full");
    }
    assert!(stored_bytes(&site) <= stored + 1);
}

fn stored_bytes(site: &Site) -> u64 {
    let images = site.stored_files();
    images
        .iter()
        .filter(|file| file.starts_with("objects/i/"))
        .map(|file| {
            let metadata = std::fs::metadata(site.data_dir.join(file));
            metadata.expect("is there").len()
        })
        .sum()
}

/// Goes over a real socket, because what a client does with its connection cannot be seen through
/// the router.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stops_half_way_leaves_nothing() {
    let mut setup = Setup::new();
    setup.config.limits.body_idle_timeout = Duration::from_millis(300);
    let site = setup.start().await;
    let address = listen(&site).await;

    let head = "POST /api/v1/pictures HTTP/1.1\r\nHost: catto.test\r\nContent-Length: 5000\r\n\r\n";
    let mut silent = TcpStream::connect(address).await.expect("connects");
    silent
        .write_all(format!("{head}half").as_bytes())
        .await
        .expect("is sent");
    let mut answer = Vec::new();
    silent.read_to_end(&mut answer).await.expect("is answered");
    let answer = String::from_utf8_lossy(&answer);
    assert!(
        answer.starts_with("HTTP/1.1 408") && answer.contains("\"timeout\""),
        "{answer}"
    );

    let mut broken = TcpStream::connect(address).await.expect("connects");
    broken
        .write_all(format!("{head}half").as_bytes())
        .await
        .expect("is sent");
    broken.shutdown().await.expect("closes its side");
    let mut answer = Vec::new();
    // Whether an answer can still be sent depends on the connection. That nothing is kept does not.
    let _ = broken.read_to_end(&mut answer).await;
    assert_nothing_left(&site);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_asks_before_it_sends_is_told_before_it_sends() {
    let site = Site::start().await;
    let address = listen(&site).await;
    let mut client = TcpStream::connect(address).await.expect("connects");
    let head = format!(
        "POST /api/v1/pictures HTTP/1.1\r\nHost: catto.test\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        21 * MEBIBYTE
    );
    client.write_all(head.as_bytes()).await.expect("is sent");
    let mut answer = vec![0; 12];
    client.read_exact(&mut answer).await.expect("is answered");
    assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 413");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_in_the_middle_of_a_large_file_gets_to_read_the_answer() {
    let site = Site::start().await;
    let address = listen(&site).await;
    let mut client = TcpStream::connect(address).await.expect("connects");
    let length = 21 * MEBIBYTE;
    let head = format!(
        "POST /api/v1/pictures HTTP/1.1\r\nHost: catto.test\r\nContent-Length: {length}\r\n\r\n"
    );
    client.write_all(head.as_bytes()).await.expect("is sent");
    client
        .write_all(&vec![0xff; length])
        .await
        .expect("the whole body can be sent");
    let mut answer = vec![0; 12];
    client.read_exact(&mut answer).await.expect("is answered");
    assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 413");
}

async fn listen(site: &Site) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let router = site.router.clone();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// An animation that claims 285 x 225 outside and 16383 x 225 inside its first frame.
fn lying_frame() -> Bytes {
    let mut bytes = fixture("cat-animated.webp").to_vec();
    let start = bytes
        .windows(3)
        .position(|window| window == [0x9d, 0x01, 0x2a])
        .expect("a key frame");
    bytes[start + 3..start + 5].copy_from_slice(&16383_u16.to_le_bytes());
    bytes.into()
}

fn one_pixel_png() -> Bytes {
    plain_png(1, 1)
}

fn strip_png() -> Bytes {
    plain_png(2048, 32)
}

fn plain_png(width: u32, height: u32) -> Bytes {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().expect("a header");
    let samples = vec![90; width as usize * height as usize * 3];
    writer.write_image_data(&samples).expect("pixels");
    writer.finish().expect("an end");
    bytes.into()
}

fn many_frames(count: usize) -> Bytes {
    let mut bytes = Vec::new();
    let mut encoder =
        gif::Encoder::new(&mut bytes, 64, 64, &[0, 0, 0, 255, 255, 255]).expect("a header");
    let frame = gif::Frame {
        width: 64,
        height: 64,
        buffer: vec![0; 64 * 64].into(),
        ..gif::Frame::default()
    };
    for _ in 0..count {
        encoder.write_frame(&frame).expect("a frame");
    }
    drop(encoder);
    bytes.into()
}
