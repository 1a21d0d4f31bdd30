//! Cloudflare and CloudFront in one stand-in. It is strict about what their two APIs are asked. It
//! also plays a site behind two caches in a row, where the outer cache fetches from the inner one
//! whatever that still has.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri, header};
use cattocdn::cdn::{Cdns, CloudFrontClient, CloudflareClient};
use cattocdn::config::{CloudFrontConfig, CloudflareConfig};
use cattocdn::runtime::clock::Clock;
use serde_json::{Value, json};

use super::process::Launch;
use tools::stand_ins::aws::{self, ACCESS_KEY, REGION, SECRET_KEY, lock};
use tools::stand_ins::rekognition_server::{signature_violation, text};

const ZONE: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const TOKEN: &str = "a-token-of-the-tests-that-purges-0123456";
pub(crate) const DISTRIBUTION: &str = "E2QWRUHAPOMQZL";

/// How many requests with tags or prefixes Cloudflare's Free plan takes at once, and per minute
/// after that.
const LIMITED_REQUESTS_AT_ONCE: f64 = 25.0;
const LIMITED_REQUESTS_A_MINUTE: f64 = 5.0;
/// How many wildcard invalidations CloudFront carries out at once.
const MOST_WILDCARDS: usize = 15;
const NAMESPACE: &str = "http://cloudfront.amazonaws.com/doc/2020-05-31/";

/// What was purged, for tests that have real caches to purge.
#[derive(Debug, Clone)]
pub(crate) enum Purged {
    /// URLs, prefixes or tags, at the outer cache.
    Outer {
        files: Vec<String>,
        prefixes: Vec<String>,
        tags: Vec<String>,
    },
    /// Paths and `#tags`, at the inner cache.
    Inner { paths: Vec<String> },
}

type Effect = Box<dyn Fn(&Purged) + Send>;

/// How the next request to an API is answered instead of as it deserves.
#[derive(Debug, Clone)]
pub(crate) enum Trouble {
    /// With this status, body and `Retry-After`.
    Says(u16, String, Option<u32>),
    /// Not at all.
    Hangs,
    /// It is carried out, but no answer comes.
    HangsWhenDone,
}

impl Trouble {
    /// An error in Cloudflare's format.
    pub(crate) fn cloudflare(status: u16, code: u32) -> Self {
        let body = json!({
            "success": false, "errors": [{"code": code, "message": "as scripted"}],
            "messages": [], "result": null,
        });
        Self::Says(status, body.to_string(), None)
    }

    /// An error in CloudFront's format.
    pub(crate) fn cloudfront(status: u16, code: &str) -> Self {
        Self::Says(status, error_document(code), None)
    }
}

fn error_document(code: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>Sender</Type><Code>{code}</Code>\
         <Message>as scripted</Message></Error><RequestId>00000000-0000</RequestId></ErrorResponse>"
    )
}

/// One invalidation that CloudFront knows.
#[derive(Debug, Clone)]
struct Invalidation {
    id: String,
    paths: Vec<String>,
    /// How often it must still be asked about before it is done.
    polls_left: u32,
}

#[derive(Default)]
struct State {
    cloudflare_troubles: VecDeque<Trouble>,
    cloudfront_troubles: VecDeque<Trouble>,
    /// Accepts every purge and does nothing.
    idle: bool,
    polls: u32,
    /// The invalidations by their caller reference.
    invalidations: BTreeMap<String, Invalidation>,
    /// What was asked and accepted, in order: `cloudflare files 5`, `cloudflare tags p-…`,
    /// `cloudfront /i/…/*`.
    log: Vec<String>,
    requests: usize,
    /// When requests with tags or prefixes were accepted, in seconds since 1970.
    limited_requests: Vec<f64>,
    clock: Clock,
    violations: Vec<String>,
    /// The paths that each of the two caches holds, where the cache is there. The id in a path
    /// tells its tags.
    outer: Option<BTreeSet<String>>,
    inner: Option<BTreeSet<String>>,
    /// When pictures end, as their URLs say, by their id.
    ends: BTreeMap<String, String>,
    /// What the site answers for paths that no cache holds.
    site_status: u16,
    effect: Option<Effect>,
    /// The method, URI and headers of every request by which the site looked at itself.
    looks: Vec<String>,
}

/// The stand-in. It serves until the process ends.
#[derive(Clone)]
pub(crate) struct CdnServer {
    /// The address of both APIs, and of the site through both caches.
    pub(crate) endpoint: String,
    state: Arc<Mutex<State>>,
}

impl CdnServer {
    pub(crate) fn start() -> Self {
        Self::start_at(Clock::default())
    }

    /// A stand-in that goes by this clock.
    pub(crate) fn start_at(clock: Clock) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("is set");
        let endpoint = format!("http://{}", listener.local_addr().expect("is bound"));
        let state = Arc::new(Mutex::new(State {
            site_status: 410,
            clock,
            outer: Some(BTreeSet::new()),
            inner: Some(BTreeSet::new()),
            ..State::default()
        }));
        let shared = state.clone();
        // It has a thread of its own, so that tests that block on processes can use it too.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("listens");
                let handler = move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
                    let state = shared.clone();
                    async move { answer(&state, &method, &uri, &headers, &body).await }
                };
                let _ = axum::serve(listener, Router::new().fallback(handler)).await;
            });
        });
        Self { endpoint, state }
    }

    /// Clients of this stand-in, as the configuration would make them.
    pub(crate) async fn cdns(&self, with_cloudflare: bool, with_cloudfront: bool) -> Cdns {
        {
            let mut state = lock(&self.state);
            state.outer = with_cloudflare.then(|| state.outer.take().unwrap_or_default());
            state.inner = with_cloudfront.then(|| state.inner.take().unwrap_or_default());
        }
        let url = self.endpoint.parse().expect("a URL");
        let sdk = aws::sdk(&self.endpoint, SECRET_KEY, None).await;
        let cloudflare = with_cloudflare.then(|| self.cloudflare(TOKEN));
        let cloudfront = with_cloudfront.then(|| {
            let config = CloudFrontConfig {
                distribution: DISTRIBUTION.into(),
            };
            CloudFrontClient::new(&sdk, &config)
        });
        Cdns::with(url, cloudflare, cloudfront)
    }

    pub(crate) fn cloudflare(&self, token: &str) -> CloudflareClient {
        let config = CloudflareConfig {
            zone: ZONE.into(),
            token: token.to_owned().into(),
            endpoint: self.endpoint.parse().expect("a URL"),
        };
        let clock = lock(&self.state).clock.clone();
        let url = self.endpoint.parse().expect("a URL");
        CloudflareClient::new(&config, url, clock).expect("a client")
    }

    /// Sets up a server in a process of its own that is behind this stand-in, with the site at this
    /// address.
    pub(crate) fn before(&self, launch: Launch, public_url: &str) -> Launch {
        launch
            .with_variable("CATTO_PUBLIC_URL", public_url)
            .with_variable("CATTO_CLOUDFLARE_ZONE", ZONE)
            .with_variable("CATTO_CLOUDFLARE_TOKEN", TOKEN)
            .with_variable("CATTO_CLOUDFLARE_ENDPOINT", &self.endpoint)
            .with_variable("CATTO_CLOUDFRONT_DISTRIBUTION", DISTRIBUTION)
            .with_variable("AWS_ENDPOINT_URL_CLOUDFRONT", &self.endpoint)
            .with_variable("AWS_REGION", REGION)
            .with_variable("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .with_variable("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    }

    /// From now on it accepts every purge and does nothing, or stops doing so.
    pub(crate) fn is_idle(&self, idle: bool) {
        lock(&self.state).idle = idle;
    }

    /// Invalidations are done once they have been asked about this often.
    pub(crate) fn done_after_polls(&self, polls: u32) {
        lock(&self.state).polls = polls;
    }

    pub(crate) fn trouble_cloudflare(&self, trouble: Trouble) {
        lock(&self.state).cloudflare_troubles.push_back(trouble);
    }

    pub(crate) fn trouble_cloudfront(&self, trouble: Trouble) {
        lock(&self.state).cloudfront_troubles.push_back(trouble);
    }

    /// The status that the site answers with where no cache holds anything.
    pub(crate) fn site_says(&self, status: u16) {
        lock(&self.state).site_status = status;
    }

    /// Both caches hold these paths from now on.
    pub(crate) fn hold(&self, paths: &[String]) {
        let mut state = lock(&self.state);
        let state = &mut *state;
        for path in paths {
            if let ["", "i", end, id, _] = path.split('/').collect::<Vec<_>>()[..] {
                state.ends.insert(id.to_owned(), end.to_ascii_lowercase());
            }
        }
        for cache in [&mut state.outer, &mut state.inner].into_iter().flatten() {
            cache.extend(paths.iter().cloned());
        }
        // Cloudflare's cache key also holds the site whose script fetched it.
        if let Some(outer) = &mut state.outer {
            outer.extend(paths.iter().map(|path| format!("{path} for another site")));
        }
    }

    /// Makes both caches drop everything under paths that contain this.
    pub(crate) fn forget(&self, part: &str) {
        let mut state = lock(&self.state);
        let state = &mut *state;
        for cache in [&mut state.outer, &mut state.inner].into_iter().flatten() {
            cache.retain(|path| !path.contains(part));
        }
    }

    /// What the caches hold under paths that contain this.
    pub(crate) fn held(&self, part: &str) -> Vec<String> {
        let state = lock(&self.state);
        let caches = [&state.outer, &state.inner].into_iter().flatten();
        let held = caches.flatten().filter(|path| path.contains(part));
        held.cloned().collect()
    }

    /// Requests this path as a visitor does, and returns the status that was shown.
    pub(crate) fn view(&self, path: &str) -> u16 {
        lock(&self.state).view(path).0
    }

    /// Calls `effect` for every purge that takes effect.
    pub(crate) fn on_purge(&self, effect: impl Fn(&Purged) + Send + 'static) {
        lock(&self.state).effect = Some(Box::new(effect));
    }

    /// What was asked of both APIs and accepted, in order. Panics if any request was not in order.
    #[track_caller]
    pub(crate) fn log(&self) -> Vec<String> {
        let state = lock(&self.state);
        assert_eq!(state.violations, Vec::<String>::new());
        state.log.clone()
    }

    /// The part of the log whose lines begin like this.
    #[track_caller]
    pub(crate) fn log_of(&self, start: &str) -> Vec<String> {
        let log = self.log();
        log.into_iter()
            .filter(|line| line.starts_with(start))
            .collect()
    }

    /// How many requests reached an API at all.
    pub(crate) fn requests(&self) -> usize {
        lock(&self.state).requests
    }

    /// The number of paths in all invalidations, which is what would be paid for.
    pub(crate) fn paid_paths(&self) -> usize {
        let state = lock(&self.state);
        state
            .invalidations
            .values()
            .map(|one| one.paths.len())
            .sum()
    }

    /// The method, URI and headers of every request by which the site looked at itself.
    pub(crate) fn looks(&self) -> Vec<String> {
        lock(&self.state).looks.clone()
    }
}

impl State {
    /// The status, and the word of each cache.
    fn view(&mut self, path: &str) -> (u16, &'static str, &'static str) {
        let holds = |cache: &Option<BTreeSet<String>>| {
            cache.as_ref().is_some_and(|cache| cache.contains(path))
        };
        if holds(&self.outer) {
            (200, "HIT", "Hit from cloudfront")
        } else if holds(&self.inner) {
            if let Some(outer) = &mut self.outer {
                outer.insert(path.to_owned());
            }
            (200, "MISS", "Hit from cloudfront")
        } else {
            (self.site_status, "MISS", "Miss from cloudfront")
        }
    }

    fn take_effect(&mut self, purged: &Purged) {
        if self.idle {
            return;
        }
        match purged {
            Purged::Outer {
                files,
                prefixes,
                tags,
            } => {
                if let Some(outer) = &mut self.outer {
                    outer.retain(|path| {
                        let is_below = |prefix: &String| {
                            let path_of_prefix = prefix.split_once('/').map(|(_, path)| path);
                            path_of_prefix.is_some_and(|start| path[1..].starts_with(start))
                        };
                        !files.iter().any(|file| file.ends_with(path.as_str()))
                            && !prefixes.iter().any(is_below)
                            && !tags.iter().any(|tag| carries(&self.ends, path, tag))
                    });
                }
            }
            Purged::Inner { paths } => {
                if let Some(inner) = &mut self.inner {
                    inner.retain(|path| !paths.iter().any(|item| covers(&self.ends, item, path)));
                }
            }
        }
        if let Some(effect) = &self.effect {
            effect(purged);
        }
    }
}

/// True where this item of an invalidation covers this path.
fn covers(ends: &BTreeMap<String, String>, item: &str, path: &str) -> bool {
    match item.strip_prefix('#') {
        Some(tag) => carries(ends, path, tag),
        None => path.starts_with(item.trim_end_matches('*')),
    }
}

/// True where an answer for this path carries this tag. Images lie in the bucket, whose answers
/// have no tag that a CDN reads. Pages have the tag of their picture, and those of when it ends.
fn carries(ends: &BTreeMap<String, String>, path: &str, tag: &str) -> bool {
    let is_of = |id: &str| path.contains(id);
    let is_page = !path.starts_with("/i/");
    let is_tagged = match tag.split_once('-') {
        None => tag == "html" || (tag == "e" && ends.keys().any(|id| is_of(id))),
        Some(("p", id)) => is_of(id),
        Some(("e", span)) => ends
            .iter()
            .any(|(id, end)| is_of(id) && end.starts_with(span)),
        Some(_) => false,
    };
    is_page && is_tagged
}

async fn answer(
    state: &Mutex<State>,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &Bytes,
) -> Response<Body> {
    let path = uri.path();
    let is_cloudflare = path.starts_with("/client/");
    let is_cloudfront = path.starts_with("/2020-05-31/");
    if !is_cloudflare && !is_cloudfront {
        return site(state, method, uri, headers);
    }
    let trouble = {
        let mut state = lock(state);
        state.requests += 1;
        match is_cloudflare {
            true => state.cloudflare_troubles.pop_front(),
            false => state.cloudfront_troubles.pop_front(),
        }
    };
    match trouble {
        Some(Trouble::Says(status, body, retry_after)) => {
            let answer = Response::builder().status(status);
            let answer = match retry_after {
                Some(seconds) => answer.header(header::RETRY_AFTER, seconds),
                None => answer,
            };
            return answer.body(Body::from(body)).expect("an answer");
        }
        Some(Trouble::Hangs) => return std::future::pending().await,
        Some(Trouble::HangsWhenDone) | None => {}
    }
    let answer = {
        let mut state = lock(state);
        if is_cloudflare {
            cloudflare(&mut state, method, uri, headers, body)
        } else {
            cloudfront(&mut state, method, uri, headers, body)
        }
    };
    if matches!(trouble, Some(Trouble::HangsWhenDone)) {
        return std::future::pending().await;
    }
    answer
}

fn site(state: &Mutex<State>, method: &Method, uri: &Uri, headers: &HeaderMap) -> Response<Body> {
    let mut state = lock(state);
    state.looks.push(format!("{method} {uri} {headers:?}"));
    let (status, outer, inner) = state.view(uri.path());
    Response::builder()
        .status(status)
        .header("cf-ray", "8f1e2d3c4b5a6978-FRA")
        .header("cf-cache-status", outer)
        .header("x-cache", inner)
        .header("x-amz-cf-pop", "FRA56-P1")
        .body(Body::from("what the site shows"))
        .expect("an answer")
}

fn json_answer(status: StatusCode, body: &Value) -> Response<Body> {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_string()))
        .expect("an answer")
}

fn cloudflare(
    state: &mut State,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &[u8],
) -> Response<Body> {
    let refusal = |status: u16, code: u32, message: &str| {
        let body = json!({
            "success": false, "errors": [{"code": code, "message": message}], "messages": [], "result": null,
        });
        json_answer(StatusCode::from_u16(status).expect("a status"), &body)
    };
    if text(headers, "authorization") != format!("Bearer {TOKEN}") {
        return refusal(401, 10_000, "Authentication error");
    }
    let [files, prefixes, tags] = match cloudflare_items(method, uri, headers, body) {
        Ok(items) => items,
        Err(violation) => {
            state.violations.push(violation.clone());
            return refusal(400, 1_012, &violation);
        }
    };
    if files.is_empty() && !take_limited_request(state) {
        let violation = "more requests with tags and prefixes than the Free plan takes";
        state.violations.push(violation.into());
        return refusal(429, 10_000, violation);
    }
    state.log.push(match (files.len(), prefixes.len()) {
        (0, 0) => format!("cloudflare tags {}", tags.join(",")),
        (0, prefixes) => format!("cloudflare prefixes {prefixes}"),
        (files, _) => format!("cloudflare files {files}"),
    });
    state.take_effect(&Purged::Outer {
        files,
        prefixes,
        tags,
    });
    let result = json!({
        "success": true, "errors": [], "messages": [], "result": {"id": ZONE},
    });
    json_answer(StatusCode::OK, &result)
}

/// The files, prefixes and tags of a request, or what is wrong with it.
fn cloudflare_items(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<[Vec<String>; 3], String> {
    let expected = format!("/client/v4/zones/{ZONE}/purge_cache");
    if (method, uri.path(), uri.query()) != (&Method::POST, expected.as_str(), None) {
        return Err(format!("{method} {uri}"));
    }
    if text(headers, "content-type") != "application/json" {
        return Err(format!("content type {}", text(headers, "content-type")));
    }
    let Ok(Value::Object(request)) = serde_json::from_slice::<Value>(body) else {
        return Err("the body is no JSON object".into());
    };
    let list = |name: &str| -> Result<Vec<String>, String> {
        let Some(list) = request.get(name) else {
            return Ok(Vec::new());
        };
        let list: Vec<String> =
            serde_json::from_value(list.clone()).map_err(|error| error.to_string())?;
        if list.is_empty() || list.len() > 100 {
            return Err(format!("{} {name}", list.len()));
        }
        Ok(list)
    };
    let (files, prefixes, tags) = (list("files")?, list("prefixes")?, list("tags")?);
    let given = [&files, &prefixes, &tags];
    if request.len() != 1 || given.iter().all(|list| list.is_empty()) {
        return Err("either files, prefixes or tags, and nothing else".into());
    }
    // A prefix has no scheme, and has a path.
    let is_prefix = |text: &String| {
        let parts = text.split_once('/');
        !text.contains("//")
            && !text.contains('*')
            && parts.is_some_and(|(host, path)| !host.is_empty() && !path.is_empty())
    };
    if let Some(prefix) = prefixes.iter().find(|prefix| !is_prefix(prefix)) {
        return Err(format!("no prefix: {prefix}"));
    }
    for file in &files {
        let url: url::Url = file.parse().map_err(|_| format!("no address: {file}"))?;
        if url.host().is_none() || url.query().is_some() || file.contains('*') {
            return Err(format!("no plain address: {file}"));
        }
    }
    if tags
        .iter()
        .any(|tag| tag.len() > 1024 || !tag.is_ascii() || tag.contains([',', ' ']))
    {
        return Err("a tag that is none".into());
    }
    Ok([files, prefixes, tags])
}

/// Cloudflare's token bucket. It is full at first, and one token is put back every twelve seconds.
fn take_limited_request(state: &mut State) -> bool {
    let now = state.clock.now().as_duration().as_secs_f64();
    let (mut tokens, mut last) = (LIMITED_REQUESTS_AT_ONCE, now);
    for (number, at) in state.limited_requests.iter().chain([&now]).enumerate() {
        if number > 0 {
            tokens += (at - last) * LIMITED_REQUESTS_A_MINUTE / 60.0;
        }
        tokens = tokens.min(LIMITED_REQUESTS_AT_ONCE) - 1.0;
        last = *at;
    }
    let taken = tokens >= 0.0;
    if taken {
        state.limited_requests.push(now);
    }
    taken
}

fn xml_answer(status: u16, body: String) -> Response<Body> {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "text/xml")
        .body(Body::from(body))
        .expect("an answer")
}

fn cloudfront(
    state: &mut State,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &[u8],
) -> Response<Body> {
    if let Some(violation) = signature_violation(headers, "cloudfront", &["host", "x-amz-date"]) {
        state.violations.push(violation);
        return xml_answer(403, error_document("SignatureDoesNotMatch"));
    }
    let all = format!("/2020-05-31/distribution/{DISTRIBUTION}/invalidation");
    match (method, uri.path().strip_prefix(&all)) {
        (&Method::POST, Some("")) => create_invalidation(state, headers, body),
        (&Method::GET, Some(rest)) => get_invalidation(state, rest.trim_start_matches('/')),
        (_, None) if uri.path().contains("/distribution/") => {
            xml_answer(404, error_document("NoSuchDistribution"))
        }
        _ => {
            state.violations.push(format!("{method} {uri}"));
            xml_answer(400, error_document("InvalidArgument"))
        }
    }
}

fn create_invalidation(state: &mut State, headers: &HeaderMap, body: &[u8]) -> Response<Body> {
    let read = if text(headers, "content-type") == "application/xml" {
        read_batch(&String::from_utf8_lossy(body))
    } else {
        Err(format!("content type {}", text(headers, "content-type")))
    };
    let (paths, reference) = match read {
        Ok(batch) => batch,
        Err(violation) => {
            state.violations.push(violation);
            return xml_answer(400, error_document("InvalidArgument"));
        }
    };
    if let Some(known) = state.invalidations.get(&reference) {
        return if known.paths == paths {
            xml_answer(201, document(known, &reference))
        } else {
            state
                .violations
                .push(format!("{reference} for other paths"));
            xml_answer(409, error_document("InvalidationBatchAlreadyExists"))
        };
    }
    let under_way = state.invalidations.values();
    let wildcards = under_way.filter(|one| one.polls_left > 0 && one.paths[0].ends_with('*'));
    if wildcards.count() >= MOST_WILDCARDS && paths[0].ends_with('*') {
        state
            .violations
            .push("more wildcards than may be under way".into());
        return xml_answer(400, error_document("TooManyInvalidationsInProgress"));
    }
    let invalidation = Invalidation {
        id: format!("I{:013}", state.invalidations.len()),
        paths: paths.clone(),
        polls_left: state.polls,
    };
    let answer = xml_answer(201, document(&invalidation, &reference));
    let is_done = invalidation.polls_left == 0;
    state.invalidations.insert(reference, invalidation);
    state.log.push(format!("cloudfront {}", paths.join(" ")));
    if is_done {
        state.take_effect(&Purged::Inner { paths });
    }
    answer
}

fn get_invalidation(state: &mut State, id: &str) -> Response<Body> {
    let found = state.invalidations.iter_mut().find(|(_, one)| one.id == id);
    let Some((reference, invalidation)) = found else {
        return xml_answer(404, error_document("NoSuchInvalidation"));
    };
    let was_under_way = invalidation.polls_left > 0;
    invalidation.polls_left = invalidation.polls_left.saturating_sub(1);
    let answer = xml_answer(200, document(invalidation, reference));
    if was_under_way && invalidation.polls_left == 0 {
        let paths = invalidation.paths.clone();
        state.take_effect(&Purged::Inner { paths });
    }
    answer
}

fn document(invalidation: &Invalidation, reference: &str) -> String {
    let status = match invalidation.polls_left {
        0 => "Completed",
        _ => "InProgress",
    };
    let mut items = String::new();
    for path in &invalidation.paths {
        let _ = write!(items, "<Path>{path}</Path>");
    }
    format!(
        "<?xml version=\"1.0\"?>\n<Invalidation xmlns=\"{NAMESPACE}\"><Id>{}</Id><Status>{status}</Status>\
         <CreateTime>2026-11-26T12:00:00.000Z</CreateTime><InvalidationBatch><Paths><Quantity>{}</Quantity>\
         <Items>{items}</Items></Paths><CallerReference>{reference}</CallerReference></InvalidationBatch></Invalidation>",
        invalidation.id,
        invalidation.paths.len(),
    )
}

/// The paths and the caller reference of an invalidation batch, or what is wrong with it.
fn read_batch(body: &str) -> Result<(Vec<String>, String), String> {
    let wrong = || format!("no invalidation batch: {body}");
    let inside = |text: &str, start: &str, end: &str| -> Option<(String, String)> {
        let (inside, rest) = text.strip_prefix(start)?.split_once(end)?;
        Some((inside.to_owned(), rest.to_owned()))
    };
    let start = format!("<InvalidationBatch xmlns=\"{NAMESPACE}\"><Paths><Quantity>");
    let (quantity, rest) = inside(body, &start, "</Quantity>").ok_or_else(wrong)?;
    let (items, rest) = inside(&rest, "<Items>", "</Items></Paths>").ok_or_else(wrong)?;
    let end = "</CallerReference></InvalidationBatch>";
    let (reference, rest) = inside(&rest, "<CallerReference>", end).ok_or_else(wrong)?;
    let mut paths = Vec::new();
    let mut left = items;
    while !left.is_empty() {
        let (path, rest) = inside(&left, "<Path>", "</Path>").ok_or_else(wrong)?;
        paths.push(path);
        left = rest;
    }
    let is_tag = |path: &str| path.starts_with('#') && path.len() <= 257 && !path.contains('*');
    let is_path =
        |path: &str| path.starts_with('/') && path.find('*').is_none_or(|at| at + 1 == path.len());
    let well_formed = rest.is_empty()
        && quantity == paths.len().to_string()
        && !paths.is_empty()
        && !reference.is_empty()
        && paths.iter().all(|path| is_tag(path) || is_path(path));
    well_formed.then_some((paths, reference)).ok_or_else(wrong)
}
