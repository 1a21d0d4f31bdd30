//! `cattocdn probe`, the real program, against a small Cloudflare in front of a small CloudFront in
//! front of a small origin. They store what they may, and report it as the real ones do.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

const WEEK: &str = "public, max-age=604800";
/// An absolute lifetime, as pictures have it.
const UNTIL_2126: [(&str, &str); 2] = [
    ("cache-control", "public, immutable, must-revalidate"),
    ("expires", "Fri, 29 Nov 2126 10:15:00 GMT"),
];

/// An answer on its way to the visitor.
#[derive(Clone)]
struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl Reply {
    fn new(kind: &str, headers: &[(&str, &str)], body: &str) -> Self {
        let mut reply = Self {
            status: 200,
            headers: Vec::new(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        };
        reply.set("content-type", kind);
        for (name, value) in headers {
            reply.set(name, value);
        }
        reply
    }

    fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    fn set(&mut self, name: &str, value: &str) {
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    fn replace(&mut self, name: &str, value: &str) {
        self.headers.retain(|(known, _)| known != name);
        self.set(name, value);
    }

    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    /// True where there is a lifetime and nothing against storing the answer.
    fn may_be_stored(&self, by_expires: bool) -> bool {
        let cache_control = self.header("cache-control");
        let fresh = cache_control.contains("max-age=6")
            || (by_expires && self.header("expires").contains("2126"));
        fresh && !cache_control.contains("no-store")
    }
}

/// How the two caches are configured.
#[derive(Clone, Copy, PartialEq)]
enum Rules {
    /// No cache shows itself.
    NoCaches,
    /// Cloudflare with its defaults: it caches by file extension. This one ignores `Expires`.
    AsItComes,
    /// Cloudflare with the rule that makes everything eligible.
    Everything,
}

/// Both caches and the origin, and what was asked of the outermost and of the innermost.
struct Chain {
    origin: HashMap<&'static str, Reply>,
    rules: Rules,
    close: bool,
    cloudflare: Mutex<HashMap<String, Reply>>,
    cloudfront: Mutex<HashMap<String, Reply>>,
    requests: Mutex<Vec<HeaderMap>>,
    origin_asked: Mutex<Vec<String>>,
}

impl Chain {
    fn new(rules: Rules, origin: impl IntoIterator<Item = (&'static str, Reply)>) -> Self {
        Self {
            origin: origin.into_iter().collect(),
            rules,
            close: false,
            cloudflare: Mutex::default(),
            cloudfront: Mutex::default(),
            requests: Mutex::default(),
            origin_asked: Mutex::default(),
        }
    }

    fn at_viewer(&self, path: &str, packed: bool) -> Reply {
        if self.rules == Rules::NoCaches {
            return self.at_origin(path, packed);
        }
        let ending = path.rsplit('.').next().unwrap_or_default();
        let by_default = ["css", "js", "svg", "png", "webp", "jpg"].contains(&ending);
        let say = |mut reply: Reply, word: &str| {
            reply.set("cf-cache-status", word);
            reply.set("cf-ray", "8f1a2b3c4d5e6f70-FRA");
            reply.set("server-timing", "cfEdge;dur=2,cfOrigin;dur=0");
            reply
        };
        if !by_default && self.rules == Rules::AsItComes {
            return say(self.at_cloudfront(path, packed), "DYNAMIC");
        }
        let key = format!("{path} {packed}");
        if let Some(mut stored) = self
            .cloudflare
            .lock()
            .expect("no holder panics")
            .get(&key)
            .cloned()
        {
            stored.replace("age", "1");
            return say(stored, "HIT");
        }
        let reply = self.at_cloudfront(path, packed);
        if !reply.may_be_stored(true) || !reply.header("set-cookie").is_empty() {
            return say(reply, "BYPASS");
        }
        if reply.may_be_stored(self.rules == Rules::Everything) {
            self.cloudflare
                .lock()
                .expect("no holder panics")
                .insert(key, reply.clone());
        }
        say(reply, "MISS")
    }

    fn at_cloudfront(&self, path: &str, packed: bool) -> Reply {
        let key = format!("{path} {packed}");
        let mut stores = self.cloudfront.lock().expect("no holder panics");
        let (mut reply, word) = match stores.get(&key) {
            Some(stored) => (stored.clone(), "Hit from cloudfront"),
            None => {
                let reply = self.at_origin(path, packed);
                if reply.may_be_stored(true) {
                    stores.insert(key, reply.clone());
                }
                let word = match reply.status {
                    400.. => "Error from cloudfront",
                    _ => "Miss from cloudfront",
                };
                (reply, word)
            }
        };
        reply.set("x-cache", word);
        reply.set("server-timing", "cdn-hit-layer;desc=\"EDGE\"");
        reply
    }

    fn at_origin(&self, path: &str, packed: bool) -> Reply {
        self.origin_asked
            .lock()
            .expect("no holder panics")
            .push(path.to_owned());
        let mut reply = match self.origin.get(path) {
            Some(reply) => reply.clone(),
            None => Reply::new("text/plain", &[], "nothing here").status(404),
        };
        if packed && reply.header("content-type").starts_with("text/") {
            reply.set("content-encoding", "br");
            reply.body = reply.body.slice(..reply.body.len() / 2);
        }
        reply
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        self.requests
            .lock()
            .expect("no holder panics")
            .push(request.headers().clone());
        let packed = request.headers().contains_key("accept-encoding");
        let reply = self.at_viewer(request.uri().path(), packed);
        let mut response = Response::builder().status(reply.status);
        for (name, value) in reply.headers {
            response = response.header(name, value);
        }
        if self.close {
            response = response.header("connection", "close");
        }
        response.body(Full::new(reply.body)).expect("an answer")
    }

    async fn serve_on(
        self: Arc<Self>,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) {
        let answer = service_fn(move |request| {
            let response = self.answer(&request);
            async move { Ok::<_, Infallible>(response) }
        });
        // The connection ends when the client closes it.
        let _ = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), answer)
            .await;
    }
}

/// A chain that listens.
struct Edge {
    chain: Arc<Chain>,
    address: String,
    _runtime: tokio::runtime::Runtime,
}

impl Edge {
    fn start(chain: Chain, tls: Option<TlsAcceptor>) -> Self {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"));
        let listener = listener.expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let chain = Arc::new(chain);
        let served = chain.clone();
        runtime.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let (chain, tls) = (served.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => chain.serve_on(stream).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                chain.serve_on(stream).await;
                            }
                        }
                    }
                });
            }
        });
        Self {
            chain,
            address,
            _runtime: runtime,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn origin_asked(&self) -> Vec<String> {
        self.chain
            .origin_asked
            .lock()
            .expect("no holder panics")
            .clone()
    }
}

/// Runs the program in an empty folder, with a configuration that no other command would accept.
fn probe(arguments: &[&str]) -> Output {
    probe_with(arguments, &[])
}

fn probe_with(arguments: &[&str], variables: &[(&str, &Path)]) -> Output {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join(".env"), "this is = no 'configuration").expect("is written");
    let output = Command::new(env!("CARGO_BIN_EXE_cattocdn"))
        .args(["probe", "--pause", "0s"])
        .args(arguments)
        .current_dir(dir.path())
        .env("CATTO_LISTEN", "nonsense")
        .env("CATTO_DATABASE_URL", "nonsense")
        .env("CATTO_ADMIN_TOKEN", "the secret of secrets")
        .env("CATTO_ORIGIN_KEY", "the secret of secrets")
        .envs(variables.iter().copied())
        .output()
        .expect("the program runs");
    let left = std::fs::read_dir(dir.path()).expect("a folder").count();
    assert_eq!(left, 1, "only .env is there, as before");
    output
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("is text")
}

#[track_caller]
fn json(output: &Output, exit_code: i32) -> Value {
    let text = text(output);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(exit_code), "{text}\n{errors}");
    serde_json::from_str(&text).expect("is JSON")
}

/// The one asset with this path, of the first page.
#[track_caller]
fn asset<'a>(report: &'a Value, path: &str) -> &'a Value {
    let assets = report["pages"][0]["assets"].as_array().expect("a list");
    let found = assets
        .iter()
        .find(|asset| asset["url"].as_str().expect("a URL").ends_with(path));
    found.unwrap_or_else(|| panic!("{path} is not in {report:#}"))
}

/// `layer: code` of every finding about an asset.
fn findings(asset: &Value) -> Vec<String> {
    let findings = asset["findings"].as_array().expect("a list").iter();
    findings
        .map(|finding| {
            let layer = finding["layer"].as_str().unwrap_or("all");
            format!("{layer}: {}", finding["code"].as_str().expect("a code"))
        })
        .collect()
}

fn page() -> Reply {
    let html = r#"<!DOCTYPE html><head><link rel="stylesheet" href="/pkg/a.css">
        <link rel="preload" as="fetch" href="/pkg/a.wasm"><link rel="icon" href="/favicon.svg">
        <meta property="og:image" content="/i/1280.jpg"><script type="module" src="/pkg/a.js"></script></head>
        <body><img src="/i/1280.jpg" srcset="/i/320.webp 320w, /i/512.webp 640w"><a href="/not-an-asset"></a>"#;
    Reply::new(
        "text/html; charset=utf-8",
        &[("cache-control", "public, max-age=60, s-maxage=600")],
        html,
    )
}

fn good_site() -> Vec<(&'static str, Reply)> {
    let week = [("cache-control", WEEK)];
    vec![
        ("/", page()),
        (
            "/pkg/a.css",
            Reply::new("text/css", &week, &"a{}".repeat(900)),
        ),
        (
            "/pkg/a.js",
            Reply::new("text/javascript", &week, &"f();".repeat(900)),
        ),
        ("/pkg/a.wasm", Reply::new("application/wasm", &week, "wasm")),
        ("/favicon.svg", Reply::new("image/svg+xml", &week, "<svg/>")),
        ("/i/1280.jpg", Reply::new("image/jpeg", &UNTIL_2126, "jpeg")),
        ("/i/320.webp", Reply::new("image/webp", &UNTIL_2126, "webp")),
        ("/i/512.webp", Reply::new("image/webp", &UNTIL_2126, "webp")),
    ]
}

#[test]
fn a_page_and_its_assets_are_measured_through_both_caches() {
    let edge = Edge::start(Chain::new(Rules::Everything, good_site()), None);
    let output = probe(&["--json", "--repeat", "3", &edge.url("/")]);
    let report = json(&output, 0);
    assert_eq!(report["verdict"], "cached");

    let assets = report["pages"][0]["assets"].as_array().expect("a list");
    let kinds: Vec<_> = assets.iter().map(|asset| asset["kind"].as_str()).collect();
    assert_eq!(
        kinds.into_iter().flatten().collect::<Vec<_>>(),
        [
            "named", "style", "script", "wasm", "icon", "image", "image", "image"
        ]
    );
    for asset in assets {
        assert_eq!(asset["hit_on_repeat"], true, "{asset:#}");
        assert!(findings(asset).is_empty(), "{asset:#}");
        assert!(asset["first"]["connect_ms"].is_f64() && asset["first"]["tls_ms"].is_null());
        let requests = asset["requests"].as_array().expect("a list");
        assert_eq!(requests.len(), 4);
        assert_eq!(requests[0]["answered_by"], "origin");
        for repeat in &requests[1..] {
            assert_eq!(repeat["answered_by"], "Cloudflare");
            assert_eq!(repeat["new_connection"], false);
            // What CloudFront said was stored with the answer and belongs to the first request.
            assert_eq!(repeat["caches"][1]["word"], Value::Null);
            assert_eq!(repeat["server_timing"].as_array().map(Vec::len), Some(2));
        }
        assert_eq!(
            requests[0]["server_timing"].as_array().map(Vec::len),
            Some(3)
        );
        assert!(asset["repeats"]["total_ms"]["p95"].is_f64());
    }
    let style = asset(&report, "a.css");
    assert_eq!(style["size"]["sent_bytes"], 1350);
    assert_eq!(style["size"]["plain_bytes"], 2700);
    assert_eq!(style["size"]["encoding"], "br");
    assert_eq!(style["age_seconds"], 1);
    assert_eq!(style["layers"][0]["layer"], "Cloudflare");
    assert_eq!(style["layers"][0]["first"], "MISS");
    assert_eq!(style["layers"][0]["hits"], 3);
    assert_eq!(style["layers"][1]["first"], "Miss");
    assert_eq!(style["layers"][1]["asked"], 0);
    let [cloudflare, cloudfront, origin] = report["layers"].as_array().expect("a list").as_slice()
    else {
        panic!("{report:#}");
    };
    assert_eq!(cloudflare["hit_ratio"], 1.0);
    assert_eq!(
        (&cloudflare["asked"], &cloudflare["answered"]),
        (&24.into(), &24.into())
    );
    assert_eq!(cloudfront["hit_ratio"], Value::Null);
    assert_eq!(origin["answered"], 8);

    // Each was asked for once compressed; the page, its script and its style also once
    // uncompressed.
    assert_eq!(edge.origin_asked().len(), 8 + 3);
    for headers in edge.chain.requests.lock().expect("no holder panics").iter() {
        for name in ["cookie", "authorization", "x-catto-origin-key", "referer"] {
            assert!(!headers.contains_key(name), "{headers:?}");
        }
        assert!(!format!("{headers:?}").contains("secret"));
        assert_eq!(headers["host"], edge.address.as_str());
    }
}

#[test]
fn the_tables_tell_the_same_to_a_person() {
    let edge = Edge::start(Chain::new(Rules::Everything, good_site()), None);
    let output = probe(&["--repeat", "2", &edge.url("/")]);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for (start, words) in [
        (
            "FIRST REQUEST",
            "KIND STATUS SENT PLAIN CONNECT TLS FIRST BYTE TOTAL",
        ),
        (
            "/pkg/a.css",
            "style 200 1.4 kB 2.7 kB Cloudflare MISS, CloudFront Miss",
        ),
        ("2 REPEATS", "p50 p95"),
        ("/i/320.webp", "Cloudflare 2/2, CloudFront not asked"),
        ("Cloudflare", "16 16/16 100 %"),
        ("origin", "8 -"),
        ("8 of 8 cacheable addresses", "all is well"),
    ] {
        let mut lines = text.lines().filter(|line| line.starts_with(start));
        assert!(
            lines.any(|line| words.split(' ').all(|word| line.contains(word))),
            "{start} … {words} is not in:\n{text}"
        );
    }
}

#[test]
fn every_miss_is_explained_with_its_remedy() {
    let mut site = good_site();
    site.extend([
        ("/", page()),
        (
            "/pkg/a.css",
            Reply::new(
                "text/css",
                &[("cache-control", WEEK), ("set-cookie", "id=7; Path=/")],
                "a{}",
            ),
        ),
        ("/pkg/a.js", Reply::new("text/javascript", &[], "f()")),
        (
            "/favicon.svg",
            Reply::new("image/svg+xml", &[("cache-control", "no-store")], "<svg/>"),
        ),
        (
            "/i/512.webp",
            Reply::new("text/plain", &[], "oops").status(500),
        ),
    ]);
    let edge = Edge::start(Chain::new(Rules::AsItComes, site), None);
    let output = probe(&["--json", &edge.url("/")]);
    let report = json(&output, 1);
    assert_eq!(report["verdict"], "not-cached");
    for (path, hit, expected) in [
        // CloudFront keeps these, so no repeat reaches the origin, but Cloudflare is still
        // mentioned.
        ("/", true.into(), vec!["Cloudflare: not-default-extension"]),
        (
            "a.wasm",
            true.into(),
            vec!["Cloudflare: not-default-extension"],
        ),
        ("320.webp", true.into(), vec!["Cloudflare: only-expires"]),
        (
            "a.css",
            true.into(),
            vec!["Cloudflare: set-cookie", "CloudFront: shared-cookie"],
        ),
        ("a.js", false.into(), vec!["all: no-freshness"]),
        ("favicon.svg", Value::Null, vec!["all: forbidden"]),
        ("512.webp", Value::Null, vec!["all: error-status"]),
    ] {
        let asset = asset(&report, path);
        assert_eq!(findings(asset), expected, "{path}");
        assert_eq!(asset["hit_on_repeat"], hit, "{path}");
    }
    assert!(
        !text(&output).contains("id=7"),
        "a cookie's value is nobody's business"
    );

    let output = probe(&[&edge.url("/")]);
    let table = text(&output);
    assert_eq!(output.status.code(), Some(1));
    for words in [
        "`.wasm` is not among the default extensions that Cloudflare caches [not-default-extension]",
        "sets a cookie (id) [set-cookie]",
        "nothing says how long it may be kept",
        "  -> add a Cache Rule",
        "5 of 6 cacheable addresses",
    ] {
        assert!(table.contains(words), "{words} is not in:\n{table}");
    }
}

#[test]
fn an_origin_without_a_cache_in_front_is_told_as_such() {
    let edge = Edge::start(Chain::new(Rules::NoCaches, good_site()), None);
    let output = probe(&["--json", "--no-assets", &edge.url("/")]);
    let report = json(&output, 1);
    assert_eq!(findings(asset(&report, "/")), ["all: no-cache"]);
    let assets = report["pages"][0]["assets"].as_array().expect("a list");
    assert_eq!(assets.len(), 1);
    assert_eq!(edge.origin_asked().len(), 1 + 5 + 1);
}

#[test]
fn redirects_are_followed_on_the_same_host_and_shown() {
    let moved = |to: &str| Reply::new("text/plain", &[("location", to)], "").status(302);
    let site = [
        ("/old", moved("/older")),
        ("/older", moved("/i/1280.jpg")),
        ("/i/1280.jpg", Reply::new("image/jpeg", &UNTIL_2126, "jpeg")),
        ("/away", moved("http://other.test/")),
        ("/round", moved("/round")),
    ];
    let edge = Edge::start(Chain::new(Rules::Everything, site), None);
    let output = probe(&["--json", &edge.url("/old")]);
    let report = json(&output, 0);
    let redirects = report["pages"][0]["redirects"].as_array().expect("a list");
    let locations: Vec<_> = redirects
        .iter()
        .map(|redirect| &redirect["location"])
        .collect();
    assert_eq!(locations, [&edge.url("/older"), &edge.url("/i/1280.jpg")]);
    assert_eq!(asset(&report, "1280.jpg")["status"], 200);

    let report = json(&probe(&["--json", &edge.url("/away")]), 1);
    assert_eq!(findings(asset(&report, "/away")), ["all: redirect"]);
    let report = json(&probe(&["--json", &edge.url("/round")]), 1);
    assert_eq!(
        report["pages"][0]["redirects"].as_array().map(Vec::len),
        Some(5)
    );
}

#[test]
fn a_server_that_keeps_no_connection_is_measured_on_new_ones() {
    let mut chain = Chain::new(Rules::Everything, good_site());
    chain.close = true;
    let edge = Edge::start(chain, None);
    let report = json(
        &probe(&["--json", "--repeat", "2", &edge.url("/pkg/a.js")]),
        0,
    );
    let requests = asset(&report, "a.js")["requests"]
        .as_array()
        .expect("a list");
    assert!(
        requests
            .iter()
            .all(|request| request["new_connection"] == true)
    );
}

#[test]
fn a_page_with_very_many_pictures_is_asked_for_fifty() {
    let pictures: String = (0..60)
        .map(|nth| format!("<img src=/i/{nth}.png>"))
        .collect();
    let site = [(
        "/",
        Reply::new("text/html", &[("cache-control", WEEK)], &pictures),
    )];
    let edge = Edge::start(Chain::new(Rules::Everything, site), None);
    let report = json(&probe(&["--json", "--repeat", "1", &edge.url("/")]), 1);
    assert_eq!(report["pages"][0]["left_out"], 10);
    assert_eq!(
        report["pages"][0]["assets"].as_array().map(Vec::len),
        Some(51)
    );
}

#[test]
fn what_cannot_be_fetched_is_told_in_words_and_ends_with_2() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let closed_address = closed.local_addr().expect("an address");
    drop(closed);
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let silent_address = silent.local_addr().expect("an address");
    for (url, timeout, words) in [
        (format!("http://{closed_address}/"), "60s", "cannot connect"),
        (format!("http://{silent_address}/"), "1s", "no answer from"),
    ] {
        let output = probe(&["--timeout", timeout, &url]);
        let text = text(&output);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(words), "{words} is not in:\n{text}");
    }
    for url in ["ftp://catto.test/", "catto.test", "https://a:b@catto.test/"] {
        let output = probe(&[url]);
        assert_eq!(output.status.code(), Some(2), "{url}");
        assert!(!output.stderr.is_empty() && output.stdout.is_empty());
    }
    assert_eq!(
        probe(&["--repeat", "0", "http://127.0.0.1/"]).status.code(),
        Some(2)
    );
}

#[test]
fn a_certificate_is_checked_and_tls_is_timed() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("is made");
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a certificate");
    let chain = Chain::new(Rules::Everything, good_site());
    let edge = Edge::start(chain, Some(TlsAcceptor::from(Arc::new(config))));
    let port = edge.address.rsplit(':').next().expect("a port").to_owned();
    let url = format!("https://localhost:{port}/pkg/a.js");

    let mut trusted = tempfile::NamedTempFile::new().expect("a file");
    trusted
        .write_all(pem(made.cert.der()).as_bytes())
        .expect("is written");
    let variables = [("SSL_CERT_FILE", trusted.path())];
    let report = json(&probe_with(&["--json", &url], &variables), 0);
    assert!(asset(&report, "a.js")["first"]["tls_ms"].is_f64());

    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("is made");
    let mut foreign = tempfile::NamedTempFile::new().expect("a file");
    foreign
        .write_all(pem(other.cert.der()).as_bytes())
        .expect("is written");
    let output = probe_with(&[&url], &[("SSL_CERT_FILE", foreign.path())]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output).contains("cannot agree on TLS"),
        "{}",
        text(&output)
    );
}

fn pem(der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}
