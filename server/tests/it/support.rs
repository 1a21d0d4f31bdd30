//! A whole site in a temporary folder, and a client for it.

pub(crate) mod caches;
pub(crate) mod cdn_server;
pub(crate) mod process;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use bytes::Bytes;
use cattocdn::cdn::Cdns;
use cattocdn::config::Config;
use cattocdn::domain::expiry::Retention;
use cattocdn::domain::labels::Words;
use cattocdn::domain::sight::Sight;
use cattocdn::domain::variant::{Format, OF_STILLS, PUBLISHED, VariantName};
use cattocdn::domain::verdict::FrameLook;
use cattocdn::http::cache::Overruled;
use cattocdn::http::declared::{Caching, Declaration, Key};
use cattocdn::http::router;
use cattocdn::http::state::AppState;
use cattocdn::jobs::Jobs;
use cattocdn::pictures::Rebuilt;
use cattocdn::runtime::clock::Clock;
use cattocdn::screening::{LocalScreener, Screener, ScreeningError, SecondOpinion};
use cattocdn::site::{self, Services, open_storage};
use cattocdn::storage::ObjectStorage;
use http_body_util::BodyExt;
use imaging::Raster;
use serde_json::Value;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tower::ServiceExt;

/// Everything that a test may set before the site starts.
pub(crate) struct Setup {
    pub(crate) config: Config,
    pub(crate) screener: Arc<dyn Screener>,
    storage: Option<Arc<dyn ObjectStorage>>,
    second_opinion: Option<Arc<dyn SecondOpinion>>,
    cdns: Option<Cdns>,
    dir: Option<TempDir>,
}

impl Setup {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let setup = Self::within(dir.path());
        Self {
            dir: Some(dir),
            ..setup
        }
    }

    /// A site whose data lie in a folder that outlives it.
    pub(crate) fn within(dir: &Path) -> Self {
        let mut config = tools::config::for_testing(dir);
        config.files.models_dir = models_dir();
        write_site(&config.http.site_dir);
        Self {
            config,
            screener: Arc::new(ScriptedScreener::cat()),
            storage: None,
            second_opinion: None,
            cdns: None,
            dir: None,
        }
    }

    pub(crate) fn screened_by(mut self, screener: impl Screener) -> Self {
        self.screener = Arc::new(screener);
        self
    }

    /// Makes the site ask this one for second opinions.
    pub(crate) fn asking(mut self, opinion: impl SecondOpinion) -> Self {
        self.second_opinion = Some(Arc::new(opinion));
        self
    }

    /// Gives the site a storage that is open already, instead of the data folder's.
    pub(crate) fn stored_in(mut self, storage: Arc<dyn ObjectStorage>) -> Self {
        self.storage = Some(storage);
        self
    }

    /// Puts the site behind these CDNs, with `public_url` as its address.
    pub(crate) fn behind(mut self, cdns: Cdns, public_url: &str) -> Self {
        self.config.http.public_url = public_url.parse().expect("a URL");
        self.cdns = Some(cdns);
        self
    }

    pub(crate) fn with_real_models(self) -> Self {
        let screener = LocalScreener::new(&self.config.files.models_dir);
        self.screened_by(screener)
    }

    pub(crate) fn with_retention(mut self, retention: Duration) -> Self {
        self.config.retention = Retention::new(retention).expect("a valid retention");
        self
    }

    pub(crate) async fn start(self) -> Site {
        let mut site = self.start_without_jobs().await;
        site.jobs = Some(Jobs::spawn(&site.state.work()));
        site
    }

    /// Starts a site without background jobs: only the test screens and sweeps.
    pub(crate) async fn start_without_jobs(self) -> Site {
        self.start_without_jobs_at(Clock::default()).await
    }

    /// The same, with a clock that may have been moved before.
    pub(crate) async fn start_without_jobs_at(self, clock: Clock) -> Site {
        let storage = match self.storage {
            Some(storage) => storage,
            None => open_storage(&self.config).await.expect("opens"),
        };
        let cdns = match self.cdns {
            Some(cdns) => cdns,
            None => Cdns::open(&self.config.cdn, &self.config.http.public_url, &clock)
                .await
                .expect("opens"),
        };
        let services = Services {
            storage,
            cdns,
            screener: self.screener,
            second_opinion: self.second_opinion,
        };
        let state = site::open_with(&self.config, services, clock.clone())
            .await
            .expect("the site starts");
        Site {
            router: router(state.clone()),
            data_dir: self.config.files.data_dir.clone(),
            clock,
            state,
            jobs: None,
            _dir: self.dir,
        }
    }
}

/// A running site.
pub(crate) struct Site {
    pub(crate) router: Router,
    pub(crate) clock: Clock,
    pub(crate) state: AppState,
    pub(crate) data_dir: PathBuf,
    jobs: Option<Jobs>,
    _dir: Option<TempDir>,
}

impl Site {
    pub(crate) async fn start() -> Self {
        Setup::new().start().await
    }

    /// Stops workers and sweeper, as a restart would.
    pub(crate) async fn stop(self) {
        if let Some(jobs) = self.jobs {
            jobs.stop().await;
        }
        self.state.index.close().await;
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self
            .router
            .clone()
            .oneshot(request)
            .await
            .expect("the router never fails");
        let (parts, body) = response.into_parts();
        let overruled = parts.extensions.get::<Overruled>();
        assert_eq!(overruled, None, "a handler told caches too much");
        let body = body.collect().await.expect("the body ends").to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    pub(crate) async fn get(&self, url: &str) -> Answer {
        self.send(
            request(Method::GET, url)
                .body(Body::empty())
                .expect("a request"),
        )
        .await
    }

    pub(crate) async fn get_page(&self, url: &str) -> Answer {
        let request = request(Method::GET, url).header(header::ACCEPT, "text/html,*/*;q=0.8");
        self.send(request.body(Body::empty()).expect("a request"))
            .await
    }

    /// Uploads raw bytes to the API.
    pub(crate) async fn upload(&self, bytes: impl Into<Bytes>) -> Answer {
        self.upload_to("/api/v1/pictures", bytes).await
    }

    pub(crate) async fn upload_to(&self, url: &str, bytes: impl Into<Bytes>) -> Answer {
        self.send(
            request(Method::POST, url)
                .body(Body::from(bytes.into()))
                .expect("a request"),
        )
        .await
    }

    /// Uploads raw bytes over a connection from this address.
    pub(crate) async fn upload_from(
        &self,
        peer: &str,
        url: &str,
        bytes: impl Into<Bytes>,
    ) -> Answer {
        let mut upload = request(Method::POST, url)
            .body(Body::from(bytes.into()))
            .expect("a request");
        let peer: SocketAddr = format!("{peer}:1234").parse().expect("an address");
        upload.extensions_mut().insert(ConnectInfo(peer));
        self.send(upload).await
    }

    /// Uploads a form with these parts, each `(field, file name, bytes)`.
    pub(crate) async fn upload_form(&self, url: &str, parts: &[(&str, &str, &[u8])]) -> Answer {
        let request = request(Method::POST, url)
            .header(
                header::CONTENT_TYPE,
                format!("multipart/form-data; boundary={BOUNDARY}"),
            )
            .header(header::ACCEPT, "application/json");
        self.send(request.body(Body::from(form(parts))).expect("a request"))
            .await
    }

    /// Uploads a cat and returns the JSON of the 201.
    pub(crate) async fn publish(&self) -> Value {
        self.publish_file("cat.webp", fixture("cat.webp")).await
    }

    /// Uploads this file and returns the JSON of the 201. A failure is reported under `name`.
    pub(crate) async fn publish_file(&self, name: &str, file: impl Into<Bytes>) -> Value {
        let answer = self.upload(file).await;
        assert_eq!(
            answer.status,
            StatusCode::CREATED,
            "{name}: {}",
            answer.text()
        );
        answer.json()
    }

    /// Uploads without waiting for the verdict and returns the JSON of the 202.
    pub(crate) async fn send_in(&self, bytes: impl Into<Bytes>) -> Value {
        let answer = self.upload_to("/api/v1/pictures?wait=0", bytes).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
        answer.json()
    }

    /// Has one worker's turn done, on a site without jobs. Returns false where no picture waits.
    pub(crate) async fn work(&self) -> bool {
        let worked = self.state.pictures.screening.screen_next().await;
        worked.expect("the worker works")
    }

    /// Uploads a cat to a site without jobs, screens it, and returns its JSON.
    pub(crate) async fn publish_by_hand(&self) -> Value {
        let upload = self.send_in(fixture("cat.webp")).await;
        assert!(self.work().await, "a picture waits");
        self.status_of(&upload).await.json()
    }

    /// Asks for what became of this upload.
    pub(crate) async fn status_of(&self, upload: &Value) -> Answer {
        self.get(upload["status_url"].as_str().expect("a URL"))
            .await
    }

    /// Has the sweeper pass once, and returns how many pictures it swept.
    pub(crate) async fn sweep(&self) -> u64 {
        let swept = self.state.pictures.endings.expire().await;
        swept.expect("the sweeper works")
    }

    /// Rebuilds the index from the objects.
    pub(crate) async fn rebuild(&self) -> Rebuilt {
        let rebuilt = self.state.pictures.recovery.rebuild().await;
        rebuilt.expect("is rebuilt")
    }

    /// Deletes with this token.
    pub(crate) async fn delete(&self, path: &str, token: &str) -> Answer {
        let delete =
            request(Method::DELETE, path).header(header::AUTHORIZATION, format!("Bearer {token}"));
        self.send(delete.body(Body::empty()).expect("a request"))
            .await
    }

    /// Every file in the data folder, except the index and what belongs to the build.
    pub(crate) fn stored_files(&self) -> Vec<String> {
        let mut files = Vec::new();
        collect_files(&self.data_dir, &mut files);
        let mut names: Vec<String> = files
            .iter()
            .filter_map(|path| path.strip_prefix(&self.data_dir).ok())
            .map(|path| path.to_string_lossy().into_owned())
            .filter(|name| !name.starts_with("index.sqlite") && name != "lock")
            .filter(|name| {
                !name.starts_with("objects/pkg/") && !name.starts_with("objects/meta/builds/")
            })
            .collect();
        names.sort();
        names
    }
}

/// An answer that was read to its end.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub(crate) fn header(&self, name: impl axum::http::header::AsHeaderName) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// Checks the status, the error code and the message, and that caches keep the answer only as
    /// long as they should.
    #[track_caller]
    pub(crate) fn assert_error(&self, status: u16, code: &str) {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        let json = self.json();
        assert_eq!(json["error"]["code"], code);
        assert!(
            json["error"]["message"]
                .as_str()
                .is_some_and(|message| message.len() > 10),
            "{json}"
        );
        // Missing and deleted pictures are requested again and again, so caches may keep these
        // answers. They must not keep any other.
        let cache_control = self.header(header::CACHE_CONTROL);
        match status {
            404 => assert!(["public, max-age=10", "no-store"].contains(&cache_control)),
            410 => assert!(["public, max-age=86400", "no-store"].contains(&cache_control)),
            _ => assert_eq!(cache_control, "no-store"),
        }
        if matches!(status, 429 | 503) {
            assert!(
                self.header(header::RETRY_AFTER)
                    .parse::<u32>()
                    .is_ok_and(|seconds| seconds > 0)
            );
        }
    }
}

/// A screener that sees the same thing in every frame, and waits where the test makes it wait.
pub(crate) struct ScriptedScreener {
    cat: f32,
    indecency: f32,
    /// After this many looks it calls everything indecent.
    indecent_after: u32,
    available: bool,
    /// Every look takes a permit.
    gate: Arc<Semaphore>,
    /// The runtime on which the looking threads wait for the permit.
    runtime: Handle,
    /// How often it was asked to look.
    pub(crate) arrived: Arc<AtomicU32>,
    /// How often it looked.
    pub(crate) looks: Arc<AtomicU32>,
    /// The name that it gives itself.
    pub(crate) identity: &'static str,
}

impl ScriptedScreener {
    pub(crate) fn cat() -> Self {
        let gate = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
        Self {
            cat: 0.9,
            indecency: 0.0,
            indecent_after: u32::MAX,
            available: true,
            gate,
            runtime: Handle::current(),
            arrived: Arc::default(),
            looks: Arc::default(),
            identity: "scripted",
        }
    }

    /// A screener that sees a cat and indecency with these probabilities.
    pub(crate) fn seeing(cat: f32, indecency: f32) -> Self {
        Self {
            cat,
            indecency,
            ..Self::cat()
        }
    }

    /// Calls every frame after this many looks indecent.
    pub(crate) fn turning_indecent_after(self, looks: u32) -> Self {
        Self {
            indecent_after: looks,
            ..self
        }
    }

    pub(crate) fn no_cat() -> Self {
        Self {
            cat: 0.0,
            ..Self::cat()
        }
    }

    pub(crate) fn indecent() -> Self {
        Self {
            indecency: 0.99,
            ..Self::cat()
        }
    }

    pub(crate) fn unavailable() -> Self {
        Self {
            available: false,
            ..Self::cat()
        }
    }

    /// Looks only once the semaphore has a permit.
    pub(crate) fn waiting_for(gate: Arc<Semaphore>) -> Self {
        Self {
            gate,
            ..Self::cat()
        }
    }
}

impl Screener for ScriptedScreener {
    fn look(&self, _frame: &Raster, with_sight: bool) -> Result<FrameLook, ScreeningError> {
        self.arrived.fetch_add(1, Ordering::SeqCst);
        let permit = self.runtime.block_on(self.gate.acquire());
        // The permit is not given back: each look takes one.
        permit.map_err(anyhow::Error::from)?.forget();
        self.check()?;
        let before = self.looks.fetch_add(1, Ordering::SeqCst);
        Ok(FrameLook {
            indecency: if before >= self.indecent_after {
                1.0
            } else {
                self.indecency
            },
            sight: with_sight.then(|| Sight {
                cat: self.cat,
                words: Words {
                    coat: Some(("tabby cat", self.cat)),
                    things: Vec::new(),
                },
            }),
        })
    }

    fn identity(&self) -> Result<String, ScreeningError> {
        Ok(self.identity.to_owned())
    }

    fn check(&self) -> Result<(), ScreeningError> {
        if self.available {
            Ok(())
        } else {
            Err(anyhow::anyhow!("the scripted screener is down").into())
        }
    }
}

/// A connection of the test's own to the index in this data folder.
pub(crate) async fn index_of(data_dir: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(data_dir.join("index.sqlite"));
    let index = SqliteConnection::connect_with(&options).await;
    index.expect("opens")
}

/// A path that leads to this route and, where it can show a picture, shows this one.
pub(crate) fn showing(declaration: &Declaration, picture: &Value) -> String {
    let id = picture["id"].as_str().expect("an id");
    let tag = picture["tags"][0]["name"].as_str().expect("a tag");
    let path = declaration.path.replace("{id}", id).replace("{tag}", tag);
    match declaration.caching {
        Caching::Kept(_, Key::Query(known)) if known.contains(&"url") => {
            path + "?" + &asking_to_embed(picture)
        }
        Caching::Kept(_, Key::Query(known)) if known.contains(&"q") => path + "?q=cat",
        Caching::Kept(_, Key::Query(_) | Key::Path) | Caching::Never => path,
    }
}

/// The query by which oEmbed is asked for a picture.
pub(crate) fn asking_to_embed(picture: &Value) -> String {
    let url = picture["url"].as_str().expect("a URL");
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("url", url).finish()
}

/// The URL of one of a picture's images.
pub(crate) fn image(picture: &Value) -> &str {
    picture["images"]["512.webp"].as_str().expect("a URL")
}

pub(crate) fn request(method: Method, url: &str) -> axum::http::request::Builder {
    Request::builder().method(method).uri(path_of(url))
}

/// The path of a URL of the site, which may be absolute.
pub(crate) fn path_of(url: &str) -> &str {
    url.strip_prefix("http://catto.test").unwrap_or(url)
}

pub(crate) fn fixture(name: &str) -> Bytes {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name);
    std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .into()
}

/// The folder of the real models: where the test command says, or where `make models` puts them.
pub(crate) fn models_dir() -> PathBuf {
    std::env::var_os("CATTO_TEST_MODELS_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../models"),
        PathBuf::from,
    )
}

/// The admin's token of every test site.
pub(crate) const ADMIN_TOKEN: &str = tools::config::ADMIN_TOKEN;

pub(crate) const BOUNDARY: &str = "catto-boundary";

pub(crate) fn form(parts: &[(&str, &str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (field, file_name, bytes) in parts {
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"{file_name}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}

/// Width and height of an encoded picture.
pub(crate) fn dimensions(bytes: &[u8]) -> (u32, u32) {
    if bytes.starts_with(b"RIFF") {
        return image_webp::WebPDecoder::new(std::io::Cursor::new(bytes))
            .expect("is a WebP")
            .dimensions();
    }
    let mut decoder = jpeg_decoder::Decoder::new(bytes);
    decoder.read_info().expect("is a JPEG");
    let info = decoder.info().expect("was read");
    (info.width.into(), info.height.into())
}

/// The files that a still as small as the tests' pictures has.
pub(crate) fn files_of_a_still() -> Vec<VariantName> {
    let all = PUBLISHED.iter().chain(OF_STILLS).copied();
    all.filter(|name| name.format() != Format::Avif).collect()
}

/// Writes what a build leaves, in small: enough for the pages to name their files.
pub(crate) fn write_site(site_dir: &Path) {
    tools::built_site::write(site_dir, "0123");
}

fn collect_files(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            collect_files(&entry.path(), files);
        } else {
            files.push(entry.path());
        }
    }
}
