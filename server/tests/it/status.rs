//! What a site tells about itself: what was counted, what it costs, and what it sees of its caches.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, StatusCode, header};
use cattocdn::screening::rekognition;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::support::caches::Chain;
use crate::support::{Setup, Site, request};

async fn status(site: &Site) -> Value {
    let answer = site.get("/status.json").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer.json()
}

fn number(json: &Value) -> u64 {
    json.as_u64()
        .unwrap_or_else(|| panic!("{json} is no count"))
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_and_bytes_are_counted_and_survive_a_restart() {
    let dir = tempfile::tempdir().expect("a folder");
    let site = Setup::within(dir.path()).start().await;
    let before = status(&site).await;
    assert_eq!(number(&before["origin"]["requests"]), 1);
    assert_eq!(number(&before["origin"]["bytes_sent"]), 0);
    let picture = site.publish().await;
    let mut sent = before.to_string().len();
    sent += picture.to_string().len();
    for name in ["320.webp", "1280.jpg"] {
        let image = site.get(picture["images"][name].as_str().expect("a URL"));
        sent += image.await.body.len();
    }
    let head = request(Method::HEAD, "/about").body(Body::empty());
    assert!(site.send(head.expect("a request")).await.body.is_empty());
    // The platform's health checks are not traffic.
    for check in ["/healthz", "/readyz"] {
        assert_eq!(site.get(check).await.status, StatusCode::OK);
    }
    let counted = status(&site).await;
    assert_eq!(number(&counted["origin"]["requests"]), 6);
    assert_eq!(number(&counted["origin"]["bytes_sent"]), sent as u64);
    assert_eq!(number(&counted["pictures"]["published"]), 1);
    assert!(number(&counted["pictures"]["stored_bytes"]) > 1000);

    let index = &site.state.index;
    site.state.traffic.save(index).await.expect("is saved");
    let saved = status(&site).await;
    assert_eq!(number(&saved["origin"]["requests"]), 7, "counted once");
    site.stop().await;

    let site = Setup::within(dir.path()).start().await;
    let after = status(&site).await;
    // The request before this one came after the last save, so its count was lost.
    assert_eq!(number(&after["origin"]["requests"]), 7);
    assert_eq!(
        after["origin"]["counted_since"],
        before["origin"]["counted_since"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_saved_is_saved_later() {
    let site = Site::start().await;
    site.get("/about").await;
    let other = Site::start().await;
    let closed = other.state.index.clone();
    other.stop().await;
    assert!(site.state.traffic.save(&closed).await.is_err());
    site.get("/about").await;
    let index = &site.state.index;
    site.state.traffic.save(index).await.expect("is saved");
    assert_eq!(number(&status(&site).await["origin"]["requests"]), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_month_is_counted_anew_from_its_first_second() {
    let site = Site::start().await;
    let noon = "2026-11-30T12:00:00Z".parse::<jiff::Timestamp>();
    site.clock.stop_at(noon.expect("a time").as_millisecond());
    let november = status(&site).await;
    assert_eq!(november["month"], "2026-11");
    site.get("/about").await;
    let midnight = "2026-12-01T00:00:00Z".parse::<jiff::Timestamp>();
    let midnight = midnight.expect("a time").as_millisecond();
    site.clock.stop_at(midnight + 1000);
    let december = status(&site).await;
    assert_eq!(december["month"], "2026-12");
    assert_eq!(number(&december["origin"]["requests"]), 1);
    assert_eq!(december["origin"]["counted_since"], "2026-12-01T00:00:00Z");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_may_be_kept_for_a_minute_and_is_the_same_for_everyone() {
    let site = Site::start().await;
    for url in ["/status.json", "/status"] {
        let answer = site.get_page(url).await;
        assert_eq!(answer.status, StatusCode::OK, "{url}");
        let caching = answer.header(header::CACHE_CONTROL);
        assert!(
            caching.contains("max-age=60, s-maxage=60"),
            "{url}: {caching}"
        );
        assert!(!answer.headers.contains_key(header::SET_COOKIE), "{url}");
        assert!(
            matches!(answer.header(header::VARY), "" | "accept-encoding"),
            "{url}"
        );
    }
    site.state.index.close().await;
    site.get("/status.json")
        .await
        .assert_error(503, "storage-unavailable");
    let page = site.get_page("/status").await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(page.header(header::CACHE_CONTROL), "no-store");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_paid_for_is_told_with_a_warning_before_it_is_spent() {
    let site = Site::start().await;
    let quiet = status(&site).await;
    assert_eq!(quiet["warnings"], Value::Array(Vec::new()));
    assert_eq!(quiet["bill"]["so_far"], 0.0);

    let calls = rekognition::VENDOR.call;
    site.state
        .budget
        .reserve(calls, 960, 0)
        .await
        .expect("is there");
    let status = status(&site).await;
    let budget = &status["budgets"][0];
    assert_eq!(budget["what"], "rekognition-calls");
    assert_eq!(
        (number(&budget["used"]), number(&budget["limit"])),
        (960, 1000)
    );
    assert_eq!(number(&budget["warned_percent"]), 95);
    let warning = status["warnings"][0].as_str().expect("a warning");
    assert!(warning.contains("960 of 1000"), "{warning}");
    let bill = &status["bill"];
    assert_eq!(bill["so_far"], 0.96);
    let projected = bill["projected"].as_f64().expect("a sum");
    assert!(
        (0.96..=1.0).contains(&projected),
        "never beyond the limit: {projected}"
    );
    let line = &bill["lines"][0];
    assert_eq!(
        (&line["price"], &line["used"]),
        (&0.001.into(), &960.0.into())
    );
    assert!(
        line["source"]
            .as_str()
            .is_some_and(|source| source.starts_with("https://"))
    );

    // The page says the same in words.
    let page = site.get_page("/status").await.text();
    for words in [
        warning,
        "$0.96",
        "960",
        "of 1,000 this month",
        "The bill does not include:",
        "self-probe",
    ] {
        assert!(page.contains(words), "{words}");
    }
    let lines = bill["lines"].as_array().expect("lines");
    for line in lines {
        assert!(page.contains(line["label"].as_str().expect("a label")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_nothing_before_it_does_not_look_at_itself() {
    let is_on = async |keys: &[&str], url: &str| {
        let mut setup = Setup::new();
        setup.config.origin.keys = keys.iter().map(|key| (*key).to_owned().into()).collect();
        setup.config.http.public_url = url.parse().expect("a URL");
        let site = setup.start_without_jobs().await;
        site.state.self_probe.is_on()
    };
    let key = "a-key-of-sixteen-characters";
    assert!(is_on(&[key], "https://catto.example").await);
    assert!(!is_on(&[], "https://catto.example").await);
    assert!(!is_on(&[key], "http://127.0.0.1:3000").await);
    let site = Site::start().await;
    let probe = &status(&site).await["self_probe"];
    assert_eq!(probe["is_on"], false);
    assert_eq!(probe["hit_ratio"], Value::Null);
}

/// Goes through a real Varnish and nginx, to which the public URL leads.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_sees_through_its_public_address_what_caches_do() {
    let dir = tempfile::tempdir().expect("a folder");
    let caches = tokio::task::spawn_blocking({
        let dir = dir.path().to_owned();
        // There is no server yet.
        move || Chain::before("127.0.0.1:9", &dir)
    });
    let caches = caches.await.expect("starts");
    let mut setup = Setup::within(dir.path());
    let public_url = format!("http://{}", caches.address());
    setup.config.http.public_url = public_url.parse().expect("a URL");
    let site = setup.start().await;
    let picture = site.publish().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    caches.lead_to(&listener.local_addr().expect("has one").to_string());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(cattocdn::serve(listener, site.state.clone(), async move {
        let _ = stopped.await;
    }));

    let look = async || {
        let self_probe = &site.state.self_probe;
        self_probe
            .probe_site(&site.state.pictures.reading, &site.clock)
            .await;
    };
    look().await;
    let probe = &status(&site).await["self_probe"];
    assert_eq!(probe["hit_ratio"], 1.0, "{probe}");
    assert!(probe["measured_at"].is_string());
    let addresses = probe["addresses"].as_array().expect("addresses");
    assert_eq!(addresses.len(), 2);
    assert_eq!(addresses[0]["what"], "the gallery");
    assert_eq!(addresses[1]["what"], "an image of the newest picture");
    // The picture is not named here, because it may be taken down.
    let id = picture["id"].as_str().expect("an id");
    assert!(!probe.to_string().contains(id), "{probe}");
    for address in addresses {
        assert_eq!(number(&address["repeats"]), 3);
        assert_eq!(number(&address["from_cache"]), 3);
        assert!(
            address["first_byte_p50_ms"]
                .as_f64()
                .is_some_and(|time| time > 0.0)
        );
        assert!(
            !address
                .as_object()
                .expect("an object")
                .contains_key("problem")
        );
    }
    let image = site.get(
        picture["images"]["512.webp"]
            .as_str()
            .expect("a URL")
            .trim_start_matches(&*public_url),
    );
    assert_eq!(
        number(&addresses[1]["sent_bytes"]),
        image.await.body.len() as u64
    );
    let page = site.get_page("/status").await.text();
    for words in ["100 %", "3 of 3", "a sample from one place"] {
        assert!(page.contains(words), "{words}");
    }

    // Where the server cannot be reached through its public URL, it says so.
    drop(caches);
    tokio::time::timeout(Duration::from_secs(60), look())
        .await
        .expect("ends");
    let probe = &status(&site).await["self_probe"];
    assert_eq!(probe["hit_ratio"], Value::Null, "{probe}");
    assert!(probe["addresses"][0]["problem"].is_string(), "{probe}");
    stop.send(()).expect("runs");
    server.await.expect("ends");
}
