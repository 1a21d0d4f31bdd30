//! The caches in front of the site forget a deleted picture. Its purge is requested durably, in the
//! right order, within what the CDNs accept and the budget allows, and checked from outside in the
//! end.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_credential_types::provider::error::CredentialsError;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Method, StatusCode, header};
use cattocdn::cdn::{CloudFrontClient, Purge, PurgeError};
use cattocdn::config::CloudFrontConfig;
use cattocdn::domain::month::Month;
use cattocdn::domain::picture::PictureId;
use cattocdn::domain::purge::CLOUDFRONT_PATHS;
use cattocdn::domain::purge::{Cdn, PurgeItem, PurgeTarget};
use cattocdn::domain::variant::KNOWN_NAMES;
use cattocdn::pictures::PurgeProgress;
use cattocdn::runtime::clock::Clock;
use serde_json::Value;
use sqlx::SqliteConnection;
use tempfile::TempDir;

use crate::support::cdn_server::{CdnServer, DISTRIBUTION, Purged, TOKEN, Trouble};
use crate::support::process::{Launch, Server};
use crate::support::{ADMIN_TOKEN, Setup, Site, fixture, index_of, request};
use crate::variants::{make_newer, make_older, unknown_path};
use tools::stand_ins::aws::{ACCESS_KEY, SECRET_KEY, sdk_without_credentials};

/// How long anything here may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(120);

/// A site behind CDNs, where nothing is purged unless the test does it.
struct World {
    site: Site,
    server: CdnServer,
    dir: TempDir,
}

impl World {
    async fn start() -> Self {
        Self::behind(true, true).await
    }

    async fn behind(cloudflare: bool, cloudfront: bool) -> Self {
        let clock = early_in_a_month();
        let server = CdnServer::start_at(clock.clone());
        let dir = tempfile::tempdir().expect("a folder");
        let cdns = server.cdns(cloudflare, cloudfront).await;
        let setup = Setup::within(dir.path()).behind(cdns, &server.endpoint);
        Self {
            site: setup.start_without_jobs_at(clock).await,
            server,
            dir,
        }
    }

    /// Starts again after a kill. The clock stays where it was.
    async fn restart(self) -> Self {
        self.restart_behind(true, true).await
    }

    /// The same, with these CDNs configured.
    async fn restart_behind(self, cloudflare: bool, cloudfront: bool) -> Self {
        let Self { site, server, dir } = self;
        let clock = site.clock.clone();
        drop(site);
        let cdns = server.cdns(cloudflare, cloudfront).await;
        let setup = Setup::within(dir.path()).behind(cdns, &server.endpoint);
        let site = setup.start_without_jobs_at(clock).await;
        Self { site, server, dir }
    }

    /// Uploads a cat, which every cache holds from then on.
    async fn publish(&self) -> Picture {
        self.publish_file(unique_cat()).await
    }

    async fn publish_file(&self, bytes: Vec<u8>) -> Picture {
        let upload = self.site.send_in(bytes).await;
        let id = upload["id"].as_str().expect("an id").to_owned();
        assert!(
            self.site
                .state
                .pictures
                .screening
                .screen_next()
                .await
                .expect("screens")
        );
        let read = self.site.get(&format!("/api/v1/pictures/{id}")).await;
        assert_eq!(read.status, StatusCode::OK, "{}", read.text());
        let picture = Picture::new(&read.json(), &upload);
        self.server.hold(&picture.paths);
        picture
    }

    async fn delete(&self, picture: &Picture, token: &str) {
        let deleted = self.site.delete(&picture.api(), token).await;
        assert_eq!(deleted.status, StatusCode::NO_CONTENT, "{}", deleted.text());
    }

    /// Deletes a picture as its owner, over a connection from this address.
    async fn delete_from(&self, peer: [u8; 4], id: &str, token: &str) {
        let delete = request(Method::DELETE, &format!("/api/v1/pictures/{id}"))
            .header(header::AUTHORIZATION, format!("Bearer {token}"));
        let mut delete = delete.body(Body::empty()).expect("a request");
        let peer = SocketAddr::from((peer, 1234));
        delete.extensions_mut().insert(ConnectInfo(peer));
        assert_eq!(self.site.send(delete).await.status, StatusCode::NO_CONTENT);
    }

    async fn index(&self) -> SqliteConnection {
        index_of(&self.site.data_dir).await
    }

    /// Does everything that is due.
    async fn work(&self) {
        loop {
            let mut worked = false;
            for target in PurgeTarget::ALL {
                let done = self.site.state.pictures.purging.purge_next(target).await;
                worked |= done.expect("the index works");
            }
            if !worked {
                break;
            }
        }
    }

    /// Does everything that becomes due within this many seconds.
    async fn work_for(&self, seconds: u64) {
        for _ in 0..seconds {
            self.work().await;
            self.site.clock.advance(Duration::from_secs(1));
        }
        self.work().await;
    }

    /// Sets how many of the month's 1000 paths are used.
    async fn use_up(&self, paths: u32) {
        let set = self.site.state.budget.set_used(CLOUDFRONT_PATHS, paths);
        set.await.expect("is set");
    }

    async fn progress(&self, picture: &Picture) -> PurgeProgress {
        let pictures = &self.site.state.pictures;
        let progress = pictures.purging.purge_progress(&picture.parsed_id()).await;
        progress.expect("the index works")
    }

    /// Checks that the picture's purge is over, and that its URL was seen to be gone.
    async fn assert_gone(&self, picture: &Picture) {
        let progress = self.progress(picture).await;
        assert_eq!(progress.left, 0, "{progress}");
        let receipt = progress.receipt.expect("there is a receipt");
        assert_eq!(receipt.status, Some(410));
        assert_eq!(self.server.held(&picture.id), Vec::<String>::new());
    }
}

/// A clock that shows the second day of a month, ten past ten, so that what goes by hours and
/// months comes out the same whenever the test runs.
fn early_in_a_month() -> Clock {
    let clock = Clock::default();
    let now = clock.now();
    let month = Month::of(now).seconds_left(now);
    clock.advance(Duration::from_secs(month + 34 * 3600 + 600));
    clock
}

/// What tests need to know of a published picture.
struct Picture {
    id: String,
    token: String,
    /// The paths of its files and its page.
    paths: Vec<String>,
}

impl Picture {
    fn new(read: &Value, upload: &Value) -> Self {
        let images = read["images"].as_object().expect("images");
        let urls = images.values().chain([&read["url"]]);
        let path = |url: &Value| {
            let url = url.as_str().expect("a URL").parse::<url::Url>();
            url.expect("a URL").path().to_owned()
        };
        Self {
            id: read["id"].as_str().expect("an id").to_owned(),
            token: upload["delete_token"].as_str().expect("a token").to_owned(),
            paths: urls.map(path).collect(),
        }
    }

    fn api(&self) -> String {
        format!("/api/v1/pictures/{}", self.id)
    }

    fn parsed_id(&self) -> PictureId {
        PictureId::parse(&self.id).expect("an id")
    }

    /// The path that CloudFront is told to purge.
    fn wildcard(&self) -> String {
        let folder = self.paths[0].rsplit_once('/').expect("a folder").0;
        format!("{folder}/*")
    }
}

/// A cat with bytes that nobody sent before.
fn unique_cat() -> Vec<u8> {
    let mut bytes = fixture("cat.webp").to_vec();
    bytes.extend_from_slice(PictureId::random().as_str().as_bytes());
    bytes
}

#[tokio::test]
async fn a_deleted_picture_is_forgotten_by_the_inner_cache_and_then_once_more_by_the_outer() {
    let world = World::start().await;
    let picture = world.publish().await;
    world.server.done_after_polls(2);
    world.delete(&picture, &picture.token).await;
    world.work().await;
    let (id, wildcard) = (&picture.id, picture.wildcard());
    let mut told = [
        format!("cloudflare files {KNOWN_NAMES}"),
        "cloudflare prefixes 1".to_owned(),
        format!("cloudflare tags p-{id}"),
        format!("cloudfront {wildcard}"),
        format!("cloudfront #p-{id}"),
    ];
    let mut log = world.server.log();
    log.sort();
    told.sort();
    assert_eq!(log, told, "each is told at once");
    // While CloudFront still has the picture, Cloudflare fetches it from there again.
    assert_eq!(world.server.view(&picture.paths[0]), 200);

    world.work_for(30).await;
    assert_eq!(world.server.log_of("cloudflare").len(), 6, "told again");
    world.assert_gone(&picture).await;
    let receipt = world.progress(&picture).await.receipt.expect("is there");
    assert_eq!(receipt.rounds, 1);
    assert_eq!(receipt.cloudflare.as_deref(), Some("FRA"));
    assert_eq!(receipt.cloudfront.as_deref(), Some("FRA56-P1"));
    assert_eq!(world.server.paid_paths(), 2);
}

#[tokio::test]
async fn a_site_behind_one_cdn_tells_that_one() {
    for (cloudflare, cloudfront, expected) in [(true, false, 3), (false, true, 2)] {
        let world = World::behind(cloudflare, cloudfront).await;
        let picture = world.publish().await;
        world.delete(&picture, ADMIN_TOKEN).await;
        world.work_for(30).await;
        assert_eq!(world.server.log().len(), expected);
        assert_eq!(world.progress(&picture).await.left, 0);
    }
}

#[tokio::test]
async fn a_site_behind_none_queues_nothing() {
    let world = World::behind(false, false).await;
    let picture = world.publish().await;
    world.delete(&picture, &picture.token).await;
    let progress = world.progress(&picture).await;
    assert_eq!((progress.left, progress.receipt), (0, None));
    assert_eq!(world.site.state.pictures.purging.purge_targets(), []);
    assert_eq!(world.server.requests(), 0);
}

#[tokio::test]
async fn a_ban_purges_too_and_a_picture_that_just_ends_does_not() {
    let world = World::start().await;
    let other = fixture("rocket.jpg").to_vec();
    let (banned, ended) = (world.publish().await, world.publish_file(other).await);
    let ban = format!("{}?ban=true", banned.api());
    assert_eq!(
        world.site.delete(&ban, ADMIN_TOKEN).await.status,
        StatusCode::NO_CONTENT
    );
    world.work_for(30).await;
    world.assert_gone(&banned).await;
    let told = world.server.log();
    world.site.clock.advance(Duration::from_secs(8 * 24 * 3600));
    assert_eq!(world.site.sweep().await, 1);
    world.work().await;
    assert_eq!(world.server.log(), told);
    assert_eq!(world.progress(&ended).await.left, 0);
}

#[tokio::test]
async fn a_step_that_only_a_newer_version_can_read_holds_up_no_other_purge() {
    let world = World::start().await;
    let (first, second) = (world.publish().await, world.publish().await);
    world.delete(&first, &first.token).await;
    // As a newer version may have queued it, before its operator went back to this one.
    let done = sqlx::query("UPDATE purges SET item = '~' || item")
        .execute(&mut world.index().await)
        .await;
    assert_eq!(done.expect("is written").rows_affected(), 9);
    world.delete(&second, &second.token).await;
    world.work_for(30).await;
    world.assert_gone(&second).await;
    assert_eq!(world.progress(&first).await.left, 9);

    // The newer version takes them up when it starts.
    let done = sqlx::query("UPDATE purges SET item = substr(item, 2) WHERE item LIKE '~%'")
        .execute(&mut world.index().await)
        .await;
    assert_eq!(done.expect("is written").rows_affected(), 9);
    let world = world.restart().await;
    world.work_for(30).await;
    world.assert_gone(&first).await;
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_purged_by_its_address_too() {
    let world = World::start().await;
    let picture = world.publish().await;
    let read = world.site.get(&picture.api()).await.json();
    make_newer(&world.site.data_dir, &read).await;
    let file = unknown_path(&read);
    world.server.hold(std::slice::from_ref(&file));
    let purged = Arc::new(Mutex::new(Vec::new()));
    let seen = purged.clone();
    world.server.on_purge(move |purge| {
        if let Purged::Outer { files, .. } = purge {
            seen.lock().expect("nobody panics").extend(files.clone());
        }
    });
    world.delete(&picture, &picture.token).await;
    world.work_for(30).await;
    world.assert_gone(&picture).await;
    let url = format!("{}{file}", world.server.endpoint);
    let purged = purged.lock().expect("nobody panics");
    // Once at first, and once more when the inner cache has forgotten it.
    assert_eq!(
        purged.iter().filter(|file| **file == url).count(),
        2,
        "{purged:?}"
    );
}

#[tokio::test]
async fn the_site_is_looked_at_for_a_file_that_the_picture_has() {
    let world = World::start().await;
    let picture = world.publish().await;
    let read = world.site.get(&picture.api()).await.json();
    make_older(&world.site.data_dir, &read, &["512.webp"]).await;
    let held: Vec<String> = picture
        .paths
        .iter()
        .filter(|path| !path.ends_with("/512.webp"))
        .cloned()
        .collect();
    // As they are in truth: no cache holds what there never was.
    world.server.forget(&picture.id);
    world.server.hold(&held);
    world.server.is_idle(true);
    world.delete(&picture, &picture.token).await;
    world.work_for(600).await;
    let receipt = world.progress(&picture).await.receipt.expect("is there");
    assert_eq!(receipt.status, Some(200), "the caches still show it");
}

#[tokio::test]
async fn a_purge_outlives_the_server_that_was_asked_for_it() {
    let world = World::start().await;
    let picture = world.publish().await;
    world.delete(&picture, &picture.token).await;
    assert_eq!(world.server.requests(), 0);
    let world = world.restart().await;
    world.work_for(30).await;
    world.assert_gone(&picture).await;
}

#[tokio::test]
async fn a_server_that_dies_in_the_middle_of_a_request_asks_again_and_pays_once() {
    let world = World::start().await;
    let picture = world.publish().await;
    world.delete(&picture, &picture.token).await;
    for target in [Cdn::Cloudflare, Cdn::CloudFront] {
        world.server.trouble_cloudflare(Trouble::HangsWhenDone);
        world.server.trouble_cloudfront(Trouble::HangsWhenDone);
        let asked = world.server.log().len();
        let pictures = world.site.state.pictures.clone();
        let request =
            tokio::spawn(
                async move { pictures.purging.purge_next(PurgeTarget::Cdn(target)).await },
            );
        wait_until(|| world.server.log().len() > asked).await;
        request.abort();
    }
    let world = world.restart().await;
    // The requests that the dead server no longer made must not meet the troubles that are left.
    world.work_for(60).await;
    assert_eq!(world.progress(&picture).await.left, 0);
    assert_eq!(world.server.paid_paths(), 2, "{:?}", world.server.log());
}

async fn wait_until(is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "it never is so");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn no_answer_that_is_none_is_taken_for_a_yes() {
    let forged = |status: u16, body: &str| Trouble::Says(status, body.into(), None);
    let cloudflare = [
        Trouble::cloudflare(400, 1012),
        Trouble::cloudflare(401, 10_000),
        Trouble::cloudflare(403, 10_000),
        Trouble::cloudflare(404, 7003),
        Trouble::cloudflare(429, 971),
        Trouble::cloudflare(500, 1000),
        Trouble::cloudflare(200, 1000),
        forged(200, "<html>Welcome to the hotel's network</html>"),
        forged(200, "{\"success\":\"true\"}"),
        forged(200, ""),
        forged(302, ""),
    ];
    let cloudfront = [
        Trouble::cloudfront(403, "AccessDenied"),
        Trouble::cloudfront(404, "NoSuchDistribution"),
        Trouble::cloudfront(400, "InvalidArgument"),
        Trouble::cloudfront(413, "BatchTooLarge"),
        Trouble::cloudfront(400, "TooManyInvalidationsInProgress"),
        Trouble::cloudfront(400, "Throttling"),
        Trouble::cloudfront(500, "InternalError"),
        Trouble::cloudfront(503, "ServiceUnavailable"),
        forged(201, "<html>Welcome to the hotel's network</html>"),
        forged(201, ""),
        forged(302, ""),
    ];
    for (number, (at_cloudflare, at_cloudfront)) in
        cloudflare.into_iter().zip(cloudfront).enumerate()
    {
        let world = World::start().await;
        let picture = world.publish().await;
        world.server.trouble_cloudflare(at_cloudflare.clone());
        world.server.trouble_cloudfront(at_cloudfront.clone());
        world.delete(&picture, &picture.token).await;
        let left = world.progress(&picture).await.left;
        for cdn in Cdn::ALL {
            let done = world
                .site
                .state
                .pictures
                .purging
                .purge_next(PurgeTarget::Cdn(cdn))
                .await;
            assert!(done.expect("the index works"));
        }
        let troubles = (at_cloudflare, at_cloudfront);
        assert_eq!(
            world.progress(&picture).await.left,
            left,
            "{number}: {troubles:?}"
        );
        assert_eq!(world.server.log(), Vec::<String>::new(), "{troubles:?}");
        // It is tried again, and then it works.
        world.work_for(150).await;
        world.assert_gone(&picture).await;
    }
}

#[tokio::test]
async fn a_cdn_that_wants_to_be_left_alone_is_left_alone_for_as_long_as_it_says() {
    let world = World::behind(true, false).await;
    let picture = world.publish().await;
    for _ in 0..3 {
        let busy = Trouble::Says(429, "{\"success\":false,\"errors\":[]}".into(), Some(300));
        world.server.trouble_cloudflare(busy);
    }
    world.delete(&picture, &picture.token).await;
    world.work().await;
    assert_eq!(world.server.requests(), 3);
    world.work_for(298).await;
    assert_eq!(world.server.requests(), 3);
    world.work_for(20).await;
    world.assert_gone(&picture).await;
}

#[tokio::test]
async fn a_cdn_that_does_not_answer_is_given_up_and_asked_again() {
    let world = World::behind(true, false).await;
    let picture = world.publish().await;
    world.server.trouble_cloudflare(Trouble::Hangs);
    world.delete(&picture, &picture.token).await;
    let begun = Instant::now();
    world.work().await;
    assert!(
        begun.elapsed() >= Duration::from_secs(9),
        "it was given up too soon"
    );
    world.work_for(30).await;
    world.assert_gone(&picture).await;
}

#[tokio::test]
async fn many_deletions_stay_within_what_the_cdns_take() {
    let world = World::start().await;
    world.server.done_after_polls(3);
    let mut pictures = Vec::new();
    for _ in 0..45 {
        pictures.push(world.publish().await);
    }
    for picture in &pictures {
        world.delete(picture, ADMIN_TOKEN).await;
    }
    world.work_for(240).await;
    for picture in &pictures {
        world.assert_gone(picture).await;
    }
    // Fifteen are purged one by one, and the other thirty by one path for their files and one for
    // their pages. The stand-in accepts no more than the CDNs do, and `log` fails where more was
    // asked.
    let files = world.server.log_of("cloudflare files");
    let most = 100 / KNOWN_NAMES * KNOWN_NAMES;
    assert_eq!(files.first(), Some(&format!("cloudflare files {most}")));
    assert_eq!(world.server.paid_paths(), 15 * 2 + 2);
}

#[tokio::test]
async fn tags_are_asked_for_no_more_often_than_the_free_plan_allows() {
    let world = World::behind(true, false).await;
    for number in 0..30 {
        let tag = format!("tag-{number}");
        let queued = world
            .site
            .state
            .pictures
            .purging
            .enqueue_purge_of_tag(&tag)
            .await;
        queued.expect("is queued");
        world.work().await;
    }
    let sent = world.server.log_of("cloudflare tags").len();
    assert!((25..30).contains(&sent), "{sent}");
    assert_eq!(
        world.server.requests(),
        sent,
        "nothing is sent to be refused"
    );
}

#[tokio::test]
async fn one_item_that_is_refused_does_not_keep_the_others() {
    let world = World::behind(true, false).await;
    let pictures = [
        world.publish().await,
        world.publish().await,
        world.publish().await,
    ];
    // The files of all three are refused, then those of the first alone, and likewise the folders.
    for _ in 0..4 {
        let refusal = Trouble::cloudflare(400, 1016);
        world.server.trouble_cloudflare(refusal);
    }
    for picture in &pictures {
        world.delete(picture, &picture.token).await;
    }
    world.work().await;
    let of_one = format!("cloudflare files {KNOWN_NAMES}");
    assert_eq!(world.server.log_of(&of_one).len(), 2);
    assert_eq!(world.server.log_of("cloudflare prefixes 1").len(), 2);
    assert_eq!(world.server.log_of("cloudflare tags").len(), 1);
    world.work_for(30).await;
    for picture in &pictures {
        world.assert_gone(picture).await;
    }
}

#[tokio::test]
async fn a_cdn_that_says_yes_and_does_nothing_is_noticed_and_told_again_three_times_at_most() {
    let world = World::start().await;
    let picture = world.publish().await;
    world.server.is_idle(true);
    world.delete(&picture, &picture.token).await;
    world.work_for(600).await;
    let progress = world.progress(&picture).await;
    assert_eq!(progress.left, 0);
    let receipt = progress.receipt.clone().expect("there is a receipt");
    assert_eq!((receipt.status, receipt.rounds), (Some(200), 3));
    assert!(
        progress.to_string().contains("STILL SHOWED IT"),
        "{progress}"
    );
    assert_eq!(world.server.looks().len(), 3);
    // They have new caller references: CloudFront would take the old one for a repeat.
    assert_eq!(world.server.paid_paths(), 6);
}

#[tokio::test]
async fn a_cdn_that_does_nothing_at_first_is_told_until_it_does() {
    let world = World::start().await;
    let picture = world.publish().await;
    world.server.is_idle(true);
    world.delete(&picture, &picture.token).await;
    world.work_for(10).await;
    assert_eq!(world.server.looks().len(), 1);
    world.server.is_idle(false);
    world.work_for(60).await;
    world.assert_gone(&picture).await;
    let receipt = world.progress(&picture).await.receipt.expect("is there");
    assert_eq!(receipt.rounds, 2);
}

#[tokio::test]
async fn a_look_that_tells_nothing_is_repeated_and_then_said_to_tell_nothing() {
    let world = World::start().await;
    let picture = world.publish().await;
    world.server.site_says(503);
    world.delete(&picture, &picture.token).await;
    world.work_for(200).await;
    let progress = world.progress(&picture).await;
    let receipt = progress.receipt.clone().expect("there is a receipt");
    assert_eq!((progress.left, receipt.status), (0, Some(503)));
    assert_eq!(world.server.looks().len(), 5);
    assert!(progress.to_string().contains("tells nothing"), "{progress}");
}

#[tokio::test]
async fn looking_shows_no_secret_to_whoever_stands_in_front() {
    let world = World::start().await;
    let picture = world.publish().await;
    world.delete(&picture, &picture.token).await;
    world.work_for(30).await;
    let looks = world.server.looks();
    assert_eq!(looks.len(), 1);
    for secret in [TOKEN, SECRET_KEY, ACCESS_KEY, ADMIN_TOKEN, &picture.token] {
        assert!(!looks[0].contains(secret), "{looks:?}");
    }
    assert!(!looks[0].to_lowercase().contains("authorization"));
}

#[tokio::test]
async fn a_tag_is_purged_by_itself_after_a_restart_too() {
    let world = World::start().await;
    let page = "/about".to_owned();
    world.server.hold(std::slice::from_ref(&page));
    let pictures = &world.site.state.pictures;
    pictures
        .purging
        .enqueue_purge_of_tag("html")
        .await
        .expect("is queued");
    for tag in ["", "a,b", "*", "a b"] {
        assert!(
            pictures.purging.enqueue_purge_of_tag(tag).await.is_err(),
            "{tag}"
        );
    }
    let world = world.restart().await;
    world.work_for(30).await;
    assert_eq!(
        world.server.log(),
        [
            "cloudflare tags html",
            "cloudfront #html",
            "cloudflare tags html"
        ]
    );
    assert_eq!(world.server.view(&page), 410);
    assert_eq!(world.server.looks(), Vec::<String>::new());
}

#[tokio::test]
async fn what_nobody_needs_any_more_is_dropped() {
    let world = World::start().await;
    let picture = world.publish().await;
    for _ in 0..2 {
        world
            .server
            .trouble_cloudfront(Trouble::cloudfront(403, "AccessDenied"));
    }
    world.delete(&picture, &picture.token).await;
    world.work().await;
    assert!(world.progress(&picture).await.left > 0);
    world.site.clock.advance(Duration::from_secs(7 * 24 * 3600));
    world.work().await;
    world.site.sweep().await;
    let progress = world.progress(&picture).await;
    assert_eq!((progress.left, progress.receipt), (0, None));
    assert_eq!(world.server.paid_paths(), 0);
}

#[tokio::test]
async fn caches_that_were_told_before_the_bytes_were_deleted_are_told_again() {
    let world = World::start().await;
    let picture = world.publish().await;
    // Nothing can be deleted from a folder that is not a folder.
    let folder = world.site.data_dir.join("objects/i");
    let aside = folder.with_extension("aside");
    std::fs::rename(&folder, &aside).expect("is put aside");
    std::fs::write(&folder, "no folder").expect("is written");
    world.delete(&picture, &picture.token).await;
    world.work_for(58).await;
    assert_eq!(
        world.server.requests(),
        0,
        "the bucket would fill them again"
    );
    world.work_for(30).await;
    assert_eq!(
        world.server.log_of("cloudfront").len(),
        2,
        "but not for ever"
    );
    assert_eq!(world.progress(&picture).await.left, 1);
    assert_eq!(world.server.looks(), Vec::<String>::new());

    std::fs::remove_file(&folder).expect("is deleted");
    std::fs::rename(&aside, &folder).expect("comes back");
    world.site.sweep().await;
    world.server.hold(&picture.paths);
    world.work_for(30).await;
    world.assert_gone(&picture).await;
    assert_eq!(world.server.log_of("cloudfront").len(), 4);
}

#[tokio::test]
async fn steps_of_a_cdn_that_is_not_there_any_more_keep_nobody() {
    let world = World::start().await;
    let picture = world.publish().await;
    world.delete(&picture, &picture.token).await;
    let world = world.restart_behind(true, false).await;
    world.work_for(30).await;
    let progress = world.progress(&picture).await;
    assert_eq!(progress.left, 0);
    assert!(progress.receipt.is_some(), "somebody looked");
    assert_eq!(world.server.log_of("cloudfront"), Vec::<String>::new());
}

#[tokio::test]
async fn a_takedown_outlives_starts_without_its_cdns() {
    let world = World::start().await;
    let picture = world.publish().await;
    world.delete(&picture, &picture.token).await;
    let mut world = world;
    for (cloudflare, cloudfront) in [(true, false), (false, false)] {
        world = world.restart_behind(cloudflare, cloudfront).await;
        world.work_for(30).await;
        assert_eq!(world.progress(&picture).await.left, 0, "nobody waits");
    }
    assert_eq!(world.server.paid_paths(), 0);
    // CloudFront was never told, and Cloudflare fetched from it what it had forgotten.
    let world = world.restart().await;
    world.server.hold(&picture.paths);
    world.work_for(30).await;
    world.assert_gone(&picture).await;
    assert_eq!(world.server.paid_paths(), 2);
    // What is done is not begun anew.
    let told = world.server.log();
    let world = world.restart().await;
    world.work_for(30).await;
    assert_eq!(world.server.log(), told);
}

#[tokio::test]
async fn what_waits_for_a_cdn_that_never_comes_back_ends_with_its_picture() {
    let world = World::start().await;
    let picture = world.publish().await;
    world.delete(&picture, &picture.token).await;
    let world = world.restart_behind(true, false).await;
    world.work_for(30).await;
    world.site.clock.advance(Duration::from_secs(7 * 24 * 3600));
    world.site.sweep().await;
    let world = world.restart().await;
    world.work_for(30).await;
    assert_eq!(world.progress(&picture).await.left, 0);
    assert_eq!(world.server.paid_paths(), 0);
}

#[tokio::test]
async fn a_client_beyond_its_share_is_purged_together_with_others_and_takes_no_paths_from_them() {
    const STRANGERS: u32 = 2000;
    let stranger = [192, 0, 2, 1];
    let world = World::start().await;
    let own = world.publish().await;
    let copied = world.publish().await;
    // These are copies of one row, because uploading so many would take an hour. They end within
    // the same hour and have no files.
    let columns = "state, received_at, delete_token_hash, content_hash, size_bytes, published_at, width, height, animated, \
                   alt, tags, tags_text, thumbhash, placeholder, perceptual_hash, stripped, variants, stored_bytes, rules";
    let copy = format!(
        "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {STRANGERS})
         INSERT INTO pictures (id, sequence, expires_at, {columns})
         SELECT 'CattoCat' || replace(printf('%08d', n), '0', 'Z'), sequence + n, expires_at - expires_at % 3600 + n, {columns}
         FROM pictures, number WHERE id = '{}'",
        copied.id
    );
    let mut index = world.index().await;
    let copied_rows = sqlx::query(sqlx::AssertSqlSafe(copy)).execute(&mut index);
    copied_rows.await.expect("copies");
    let ids: Vec<String> = sqlx::query_scalar("SELECT id FROM pictures WHERE id LIKE 'CattoCat%'")
        .fetch_all(&mut index)
        .await
        .expect("reads");
    for id in &ids {
        world.delete_from(stranger, id, &copied.token).await;
    }
    for _ in 0..30 {
        world.work().await;
        world.site.clock.advance(Duration::from_secs(60));
    }
    // Five were purged one by one, and those that waited by one path for their files and one for
    // their pages.
    assert_eq!(world.server.paid_paths(), 5 * 2 + 2);

    // Another client's deletion is purged at once and on its own.
    world
        .delete_from([198, 51, 100, 1], &own.id, &own.token)
        .await;
    world.work_for(20).await;
    world.assert_gone(&own).await;
    assert_eq!(world.server.paid_paths(), 5 * 2 + 2 + 2);

    let left: u32 = sqlx::query_scalar("SELECT count(*) FROM purges")
        .fetch_one(&mut index)
        .await
        .expect("counts");
    assert_eq!(left, 0, "every deletion was purged");
    let receipts: u32 = sqlx::query_scalar("SELECT count(*) FROM purge_receipts")
        .fetch_one(&mut index)
        .await
        .expect("counts");
    assert_eq!(receipts, STRANGERS + 1);
}

#[tokio::test]
async fn what_is_purged_together_is_forgotten_by_both_caches_also_after_a_restart() {
    let stranger = [192, 0, 2, 1];
    let mut world = World::start().await;
    world.server.done_after_polls(2);
    let mut pictures = Vec::new();
    for _ in 0..9 {
        pictures.push(world.publish().await);
    }
    for picture in &pictures[..7] {
        world
            .delete_from(stranger, &picture.id, &picture.token)
            .await;
    }
    // CloudFront was asked, and carries it out while the server restarts.
    world.work().await;
    let end = pictures[0].paths[0].split('/').nth(2).expect("an instant");
    let (span, tag) = (end[..11].to_owned(), end[..11].to_ascii_lowercase());
    let told = world.server.log_of("cloudfront");
    assert_eq!(told.len(), 5 * 2 + 2);
    assert!(told.contains(&format!("cloudfront /i/{span}*")), "{told:?}");
    assert!(told.contains(&format!("cloudfront #e-{tag}")), "{told:?}");
    world = world.restart().await;
    world.work_for(30).await;
    for picture in &pictures[..7] {
        world.assert_gone(picture).await;
    }
    assert_eq!(world.server.paid_paths(), 5 * 2 + 2);
    let receipt = world.progress(&pictures[6]).await.receipt;
    assert_eq!(receipt.expect("is there").rounds, 1);

    // The next ones wait until the month can pay for them, and are then purged together.
    for _ in 0..5 {
        // A client's share is kept in memory only, so the restart reset it.
        let filler = world.publish().await;
        world.delete_from(stranger, &filler.id, &filler.token).await;
    }
    world.work_for(30).await;
    for picture in &pictures[7..] {
        world
            .delete_from(stranger, &picture.id, &picture.token)
            .await;
        world.work_for(2).await;
    }
    let paid = world.server.paid_paths();
    world.work_for(60).await;
    assert!(world.progress(&pictures[8]).await.left > 0);
    for _ in 0..130 {
        world.site.clock.advance(Duration::from_secs(60));
        world.work().await;
    }
    world.work_for(30).await;
    for picture in &pictures[7..] {
        world.assert_gone(picture).await;
    }
    assert!(world.server.paid_paths() <= paid + 2);
}

#[tokio::test]
async fn many_banned_copies_cost_an_admin_a_few_paths_and_wait_for_nothing() {
    let world = World::start().await;
    let mut pictures = Vec::new();
    for _ in 0..40 {
        pictures.push(world.publish().await);
    }
    let ban = format!("{}?ban=true", pictures[0].api());
    let banned = world.site.delete(&ban, ADMIN_TOKEN).await;
    assert_eq!(banned.status, StatusCode::NO_CONTENT);
    world.work_for(120).await;
    for picture in &pictures {
        world.assert_gone(picture).await;
    }
    assert_eq!(world.server.paid_paths(), 15 * 2 + 2);
}

#[tokio::test]
async fn the_last_paths_of_a_month_are_for_admins() {
    let world = World::start().await;
    let [first, second, third] = [
        world.publish().await,
        world.publish().await,
        world.publish().await,
    ];
    world.use_up(1000 - 203).await;
    world.delete(&first, &first.token).await;
    world.work_for(30).await;
    world.assert_gone(&first).await;
    // One path is left for owners, and a picture takes two.
    world.delete(&second, &second.token).await;
    world.delete(&third, ADMIN_TOKEN).await;
    world.work_for(30).await;
    world.assert_gone(&third).await;
    let gone = world.site.get(&second.api()).await;
    gone.assert_error(410, "gone");
    let files = world.server.log_of("cloudflare files");
    let numbers = files
        .iter()
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u32>().ok());
    // Two pictures twice, and the second once, together with the third.
    assert_eq!(numbers.sum::<u32>(), 5 * KNOWN_NAMES as u32, "{files:?}");
    assert_eq!(world.server.paid_paths(), 4);
    let waiting = world.progress(&second).await;
    assert!(waiting.left > 0 && waiting.receipt.is_none(), "{waiting}");

    // When the operator changes the count and the month can pay for the purge again, it goes on.
    world.use_up(0).await;
    world.work_for(7200).await;
    world.assert_gone(&second).await;
    assert_eq!(world.server.paid_paths(), 6);
}

#[tokio::test]
async fn a_tag_leaves_the_last_paths_of_a_month_to_admins() {
    let world = World::behind(false, true).await;
    world.use_up(1000 - 200).await;
    let queued = world
        .site
        .state
        .pictures
        .purging
        .enqueue_purge_of_tag("html")
        .await;
    queued.expect("is queued");
    world.work_for(30).await;
    assert_eq!(world.server.log(), Vec::<String>::new());
    world.use_up(1000 - 201).await;
    world.work_for(3601).await;
    assert_eq!(world.server.log(), ["cloudfront #html"]);
}

#[tokio::test]
async fn of_a_small_limit_a_fifth_is_kept_for_admins_and_owners_deletions_reach_cloudfront() {
    let clock = Clock::default();
    let server = CdnServer::start_at(clock.clone());
    let dir = tempfile::tempdir().expect("a folder");
    let cdns = server.cdns(true, true).await;
    let mut setup = Setup::within(dir.path()).behind(cdns, &server.endpoint);
    setup.config.budget.cloudfront_monthly_paths = 10;
    let site = setup.start_without_jobs_at(clock).await;
    let world = World { site, server, dir };
    let [first, second] = [world.publish().await, world.publish().await];
    world.use_up(10 - 4).await;
    world.delete(&first, &first.token).await;
    world.work_for(30).await;
    world.assert_gone(&first).await;
    // The last two paths are not for owners.
    world.delete(&second, &second.token).await;
    world.work_for(30).await;
    assert!(world.progress(&second).await.left > 0);
    assert_eq!(world.server.paid_paths(), 2);
}

#[tokio::test]
async fn a_path_that_waits_for_the_budget_ends_with_its_picture() {
    let world = World::start().await;
    let picture = world.publish().await;
    world.use_up(1000).await;
    world.delete(&picture, ADMIN_TOKEN).await;
    world.work_for(30).await;
    assert!(world.progress(&picture).await.left > 0);
    world.site.clock.advance(Duration::from_secs(7 * 24 * 3600));
    world.work().await;
    world.site.sweep().await;
    assert_eq!(world.progress(&picture).await.left, 0);
    assert_eq!(world.server.paid_paths(), 0);
}

#[tokio::test]
async fn a_path_is_reserved_once_however_often_it_is_asked_for() {
    let world = World::start().await;
    let picture = world.publish().await;
    for _ in 0..6 {
        world
            .server
            .trouble_cloudfront(Trouble::cloudfront(500, "InternalError"));
    }
    world.delete(&picture, &picture.token).await;
    let world = {
        world.work().await;
        world.restart().await
    };
    world.work_for(300).await;
    world.assert_gone(&picture).await;
    let usage = world.site.state.budget.usage(CLOUDFRONT_PATHS).await;
    assert_eq!(usage.expect("is known").used, 2);
}

#[tokio::test]
async fn without_credentials_cloudfront_is_not_asked_and_somebody_must_look() {
    let server = CdnServer::start();
    let config = CloudFrontConfig {
        distribution: DISTRIBUTION.into(),
    };
    for (error, is_refused) in [
        (CredentialsError::not_loaded("there are none"), true),
        // The credentials may be back in a moment.
        (
            CredentialsError::provider_timed_out(Duration::from_secs(1)),
            false,
        ),
    ] {
        let sdk = sdk_without_credentials(&server.endpoint, error).await;
        let client = CloudFrontClient::new(&sdk, &config);
        let item = PurgeItem::parse("#html").expect("an item");
        let error = client.purge(&[item], "a-reference").await;
        match error.expect_err("nothing can be signed") {
            PurgeError::Refused(_) => assert!(is_refused),
            PurgeError::Unavailable(_) => assert!(!is_refused),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(server.requests(), 0);
}

/// A server in a process of its own behind the stand-in.
fn launch(server: &CdnServer, dir: &TempDir) -> Launch {
    let launch = Launch::within(dir.path()).with_variable("CATTO_ADMIN_TOKEN", ADMIN_TOKEN);
    server.before(launch, &server.endpoint)
}

#[test]
fn what_is_wrong_with_the_settings_is_told_at_once_and_no_token_goes_to_another_machine() {
    let dir = tempfile::tempdir().expect("a folder");
    let token = "a token with spaces that must not be shown";
    let told = Launch::within(dir.path())
        .with_variable("CATTO_CLOUDFLARE_TOKEN", token)
        .with_variable("CATTO_CLOUDFLARE_ENDPOINT", "https://api.example.org")
        .with_variable("CATTO_CLOUDFRONT_DISTRIBUTION", "../distribution")
        .run("expire");
    let text = String::from_utf8_lossy(&told.stderr);
    assert!(!told.status.success(), "{text}");
    for problem in [
        "CATTO_CLOUDFLARE_ZONE is not set, but CATTO_CLOUDFLARE_TOKEN is",
        "CATTO_CLOUDFLARE_TOKEN is not an API token",
        "CATTO_CLOUDFLARE_ENDPOINT is `https://api.example.org`",
        "CATTO_CLOUDFRONT_DISTRIBUTION is not the id of a distribution",
    ] {
        assert!(text.contains(problem), "{problem}: {text}");
    }
    assert!(!text.contains(token), "{text}");
}

fn publish(process: &Server, server: &CdnServer) -> Picture {
    let upload = process.client().upload("", &unique_cat_of_the_models());
    let upload = upload.expect("is answered");
    assert_eq!(upload.status, 201, "{}", upload.code());
    let json = upload.json();
    let picture = Picture::new(&json, &json);
    server.hold(&picture.paths);
    picture
}

fn unique_cat_of_the_models() -> Vec<u8> {
    let mut bytes = fixture("chelsea.png").to_vec();
    bytes.extend_from_slice(PictureId::random().as_str().as_bytes());
    bytes
}

#[test]
fn a_killed_server_goes_on_purging_at_its_next_start_and_its_log_holds_no_secret() {
    let (server, dir) = (CdnServer::start(), tempfile::tempdir().expect("a folder"));
    let launch = launch(&server, &dir);
    let process = launch.serve();
    let picture = publish(&process, &server);
    server.trouble_cloudflare(Trouble::cloudflare(403, 10_000));
    server.trouble_cloudflare(Trouble::HangsWhenDone);
    server.trouble_cloudfront(Trouble::cloudfront(403, "AccessDenied"));
    server.trouble_cloudfront(Trouble::HangsWhenDone);
    let deleted = process.client().delete(&picture.api(), &picture.token);
    assert_eq!(deleted.expect("is answered").status, 204);
    wait_while(|| server.log().len() < 2);
    let log = process.log();
    process.kill();

    let process = launch.serve();
    wait_while(|| server.looks().is_empty());
    for path in &picture.paths {
        assert_eq!(server.view(path), 410, "{path}");
    }
    wait_while(|| !process.log().contains("is gone from the caches asked"));
    process.terminate();
    let (status, log_of_the_second) = process.wait();
    assert!(status.success());
    assert!(log.contains("a CDN refuses to purge"), "{log}");
    assert!(
        log_of_the_second.contains("cloudflare=\"FRA\""),
        "{log_of_the_second}"
    );
    assert_eq!(server.paid_paths(), 2);
    for secret in [TOKEN, SECRET_KEY, ADMIN_TOKEN, picture.token.as_str()] {
        assert!(!log.contains(secret) && !log_of_the_second.contains(secret));
    }
}

#[test]
fn a_takedown_is_purged_by_the_running_server_or_else_by_itself_and_tells_what_it_saw() {
    let (server, dir) = (CdnServer::start(), tempfile::tempdir().expect("a folder"));
    let launch = launch(&server, &dir);
    let process = launch.serve();
    let pictures = [publish(&process, &server), publish(&process, &server)];

    let told = launch.run_on("takedown", &pictures[0].id);
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.status.success(), "{told:?}");
    assert!(text.contains("was gone (status 410)"), "{text}");
    assert!(
        text.contains("seen through Cloudflare FRA and CloudFront FRA56-P1"),
        "{text}"
    );
    assert!(process.log().contains("purged"), "the server did the work");
    process.terminate();
    let (status, _) = process.wait();
    assert!(status.success());

    let told = launch.run_on("takedown", &pictures[1].id);
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.status.success(), "{told:?}");
    assert!(text.contains("was gone (status 410)"), "{text}");
    for path in pictures.iter().flat_map(|picture| &picture.paths) {
        assert_eq!(server.view(path), 410, "{path}");
    }
    // When it is run again, it tells the same.
    let again = launch.run_on("takedown", &pictures[1].id);
    assert!(String::from_utf8_lossy(&again.stdout).contains("was gone already"));
    assert!(String::from_utf8_lossy(&again.stdout).contains("was gone (status 410)"));
}

fn wait_while(is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while is_so() {
        assert!(Instant::now() < deadline, "it is so for ever");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}
