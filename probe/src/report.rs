//! What was measured, as JSON and as tables. Scripts rely on the names of the fields.

mod tables;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use url::Url;

use super::Measured;
use super::connection::{Exchange, FetchError, Opening};
use super::findings::{
    Answer, Finding, age_seconds, explain_miss, explain_no_cache, explain_status, explain_uneven,
    oddities,
};
use super::freshness::{freshness, is_cacheable};
use super::layers::{
    Did, Layer, ServerTiming, Sighting, answered_by, server_timings, sightings, text,
};
use super::page::{Asset, Kind};

/// The outcome of the whole probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Caches answered every repeated request for what may be cached.
    Cached,
    /// A repeated request for something that may be cached reached the origin, or something
    /// answered with an error.
    NotCached,
    /// Something could not be fetched at all.
    Unreachable,
}

impl Verdict {
    /// The exit code of the command.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Cached => 0,
            Self::NotCached => 1,
            Self::Unreachable => 2,
        }
    }
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub struct Report {
    pub verdict: Verdict,
    /// How often each URL was requested again.
    repeat: u32,
    pages: Vec<PageReport>,
    /// Each cache and the origin, over all URLs.
    layers: Vec<LayerReport>,
}

/// One URL of the command line and what its page needs.
#[derive(Debug, Serialize)]
pub(super) struct PageReport {
    url: String,
    pub(super) redirects: Vec<Redirect>,
    pub(super) assets: Vec<AssetReport>,
    /// The number of assets that were found but not requested.
    pub(super) left_out: usize,
}

/// One redirect that was followed.
#[derive(Debug, Serialize)]
pub(super) struct Redirect {
    url: String,
    status: u16,
    location: String,
    caches: Vec<CacheWord>,
}

/// What was measured for one URL.
#[derive(Debug, Serialize)]
pub(super) struct AssetReport {
    url: String,
    kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    measured: Option<Measurement>,
    #[serde(skip)]
    short_name: Url,
}

#[derive(Debug, Serialize)]
struct Measurement {
    status: u16,
    content_type: Option<String>,
    cache_control: Option<String>,
    cdn_cache_control: Option<String>,
    expires: Option<String>,
    /// The `Age` of the last answer, in seconds.
    age_seconds: Option<u64>,
    /// Whether the origin lets caches keep it.
    cacheable: bool,
    /// Whether caches answered every repeat; absent where they may not keep it.
    hit_on_repeat: Option<bool>,
    size: Size,
    first: First,
    repeats: Latency,
    /// Each cache, the nearest to the visitor first.
    layers: Vec<AssetLayer>,
    findings: Vec<Finding>,
    /// Every answer, in the order of the requests.
    requests: Vec<RequestReport>,
}

/// The size of the body, in bytes.
#[derive(Debug, Clone, Serialize)]
struct Size {
    sent_bytes: u64,
    encoding: Option<String>,
    plain_bytes: u64,
}

/// The first request with the opening of its connection, in milliseconds.
#[derive(Debug, Clone, Serialize)]
struct First {
    resolve_ms: Option<f64>,
    connect_ms: Option<f64>,
    tls_ms: Option<f64>,
    first_byte_ms: f64,
    total_ms: f64,
}

/// The repeats on the connection that was kept, in milliseconds.
#[derive(Debug, Clone, Serialize)]
struct Latency {
    first_byte_ms: Percentiles,
    total_ms: Percentiles,
}

#[derive(Debug, Clone, Serialize)]
struct Percentiles {
    p50: f64,
    p95: f64,
}

/// What one cache did for one URL.
#[derive(Debug, Clone, Serialize)]
struct AssetLayer {
    layer: String,
    /// Its word on the first request.
    first: Option<String>,
    #[serde(flatten)]
    repeats: Hits,
}

/// How many repeats reached a cache, and how many of them it answered.
#[derive(Debug, Clone, Copy, Default, Serialize)]
struct Hits {
    asked: usize,
    hits: usize,
    hit_ratio: Option<f64>,
}

/// What one layer did for all URLs.
#[derive(Debug, Serialize)]
struct LayerReport {
    layer: String,
    /// The repeats of what may be cached; absent for the origin.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    repeats: Option<Hits>,
    /// The number of answers from this layer, first ones included.
    answered: usize,
    sent_bytes: u64,
    /// The time of the repeats that this layer answered.
    first_byte_ms: Option<Percentiles>,
}

#[derive(Debug, Serialize)]
struct RequestReport {
    status: u16,
    answered_by: String,
    caches: Vec<CacheWord>,
    age_seconds: Option<u64>,
    new_connection: bool,
    first_byte_ms: f64,
    total_ms: f64,
    sent_bytes: u64,
    server_timing: Vec<ServerTiming>,
    #[serde(skip)]
    sightings: Vec<Sighting>,
}

/// A cache and its own word.
#[derive(Debug, Clone, Serialize)]
struct CacheWord {
    layer: String,
    /// Absent where the cache was not asked, so that its word was only stored with the answer.
    word: Option<String>,
}

/// The outcome for one URL, in a few figures.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    pub url: String,
    /// How often it was requested again.
    pub repeats: usize,
    /// How many of these repeats did not reach the origin.
    pub from_cache: usize,
    /// Percentiles of the repeats, in milliseconds.
    pub first_byte_p50_ms: f64,
    pub first_byte_p95_ms: f64,
    pub sent_bytes: u64,
    /// Why there is nothing to learn from it: it could not be fetched, or it answered with an
    /// error.
    pub problem: Option<String>,
}

impl Report {
    /// The outcome for every URL.
    #[must_use]
    pub fn summaries(&self) -> Vec<Summary> {
        let assets = self.pages.iter().flat_map(|page| &page.assets);
        assets.map(AssetReport::summary).collect()
    }

    pub(super) fn new(repeat: u32, pages: Vec<PageReport>) -> Self {
        Self {
            verdict: verdict(&pages),
            repeat,
            layers: layer_reports(&pages),
            pages,
        }
    }

    /// The whole report as JSON.
    ///
    /// # Errors
    /// Never with the types of this report.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }
}

fn verdict(pages: &[PageReport]) -> Verdict {
    let mut verdict = Verdict::Cached;
    for asset in pages.iter().flat_map(|page| &page.assets) {
        let Some(measured) = &asset.measured else {
            return Verdict::Unreachable;
        };
        // A named URL that redirects elsewhere was not what the user meant to measure.
        let worst = if asset.kind == Kind::Named { 300 } else { 400 };
        let failed = measured
            .requests
            .iter()
            .any(|request| request.status >= worst);
        if failed || measured.hit_on_repeat == Some(false) {
            verdict = Verdict::NotCached;
        }
    }
    verdict
}

fn layer_reports(pages: &[PageReport]) -> Vec<LayerReport> {
    #[derive(Default)]
    struct Sum {
        asked: usize,
        hits: usize,
        answered: usize,
        sent_bytes: u64,
        first_bytes: Vec<f64>,
    }
    let mut sums: BTreeMap<Layer, Sum> = BTreeMap::new();
    let assets = pages.iter().flat_map(|page| &page.assets);
    for measured in assets.filter_map(|asset| asset.measured.as_ref()) {
        for (nth, request) in measured.requests.iter().enumerate() {
            let is_repeat = nth > 0;
            for sighting in &request.sightings {
                let sum = sums.entry(sighting.layer.clone()).or_default();
                if is_repeat && measured.cacheable && sighting.did.counts() {
                    sum.asked += 1;
                    sum.hits += usize::from(sighting.did == Did::Hit);
                }
            }
            let by = answered_by(&request.sightings);
            let sum = sums.entry(by).or_default();
            sum.answered += 1;
            sum.sent_bytes += request.sent_bytes;
            if is_repeat && !request.new_connection {
                sum.first_bytes.push(request.first_byte_ms);
            }
        }
    }
    sums.into_iter()
        .map(|(layer, sum)| LayerReport {
            repeats: (layer != Layer::Origin).then(|| Hits::new(sum.asked, sum.hits)),
            layer: layer.to_string(),
            answered: sum.answered,
            sent_bytes: sum.sent_bytes,
            first_byte_ms: percentiles(sum.first_bytes),
        })
        .collect()
}

impl PageReport {
    pub(super) fn new(url: &Url) -> Self {
        Self {
            url: url.to_string(),
            redirects: Vec::new(),
            assets: Vec::new(),
            left_out: 0,
        }
    }
}

impl Redirect {
    pub(super) fn new(url: &Url, exchange: &Exchange, target: &Url) -> Self {
        Self {
            url: url.to_string(),
            status: exchange.status,
            location: target.to_string(),
            caches: cache_words(&sightings(&exchange.headers)),
        }
    }
}

impl AssetReport {
    pub(super) fn new(asset: &Asset, measured: Result<(Measured, u64), FetchError>) -> Self {
        let (error, measured) = match measured {
            Ok((measured, now)) => (None, Some(Measurement::new(&asset.url, &measured, now))),
            Err(error) => (Some(error.to_string()), None),
        };
        Self {
            url: asset.url.to_string(),
            kind: asset.kind,
            error,
            measured,
            short_name: asset.url.clone(),
        }
    }

    fn summary(&self) -> Summary {
        let Some(measured) = &self.measured else {
            let error = self.error.clone();
            return Summary {
                url: self.url.clone(),
                repeats: 0,
                from_cache: 0,
                first_byte_p50_ms: 0.0,
                first_byte_p95_ms: 0.0,
                sent_bytes: 0,
                problem: Some(error.unwrap_or_else(|| "it was not measured".into())),
            };
        };
        let repeats = &measured.requests[1..];
        let cached = |request: &&RequestReport| answered_by(&request.sightings) != Layer::Origin;
        let worst = measured.requests.iter().map(|request| request.status).max();
        let latency = &measured.repeats.first_byte_ms;
        Summary {
            url: self.url.clone(),
            repeats: repeats.len(),
            from_cache: repeats.iter().filter(cached).count(),
            first_byte_p50_ms: latency.p50,
            first_byte_p95_ms: latency.p95,
            sent_bytes: measured.size.sent_bytes,
            problem: worst
                .filter(|status| *status >= 300)
                .map(|status| format!("it answered {status}")),
        }
    }
}

impl Measurement {
    fn new(url: &Url, measured: &Measured, now: u64) -> Self {
        let first = &measured.first;
        let all = std::iter::once(first).chain(&measured.repeats);
        let requests: Vec<RequestReport> = all.clone().map(RequestReport::new).collect();
        let freshness = freshness(&first.headers, now);
        let cacheable = is_cacheable(first.status, &freshness);
        let answers: Vec<Answer<'_>> = all
            .map(|exchange| Answer {
                url,
                status: exchange.status,
                headers: &exchange.headers,
                now,
            })
            .collect();
        let hit = requests[1..].iter().all(|request| {
            request.status == first.status && answered_by(&request.sightings) != Layer::Origin
        });
        let last = measured.repeats.last().unwrap_or(first);
        let header = |name| text(&first.headers, name).map(str::to_owned);
        Self {
            status: first.status,
            content_type: header("content-type"),
            cache_control: header("cache-control"),
            cdn_cache_control: header("cdn-cache-control"),
            expires: header("expires"),
            age_seconds: age_seconds(&last.headers),
            cacheable,
            hit_on_repeat: cacheable.then_some(hit),
            size: Size {
                sent_bytes: first.size,
                encoding: header("content-encoding"),
                plain_bytes: measured.plain_size,
            },
            first: First::new(first),
            repeats: Latency::new(&measured.repeats),
            layers: asset_layers(&requests),
            findings: findings(&requests, &answers),
            requests,
        }
    }
}

impl RequestReport {
    fn new(exchange: &Exchange) -> Self {
        let sightings = sightings(&exchange.headers);
        Self {
            status: exchange.status,
            answered_by: answered_by(&sightings).to_string(),
            caches: cache_words(&sightings),
            age_seconds: age_seconds(&exchange.headers),
            new_connection: exchange.opening.is_some(),
            first_byte_ms: milliseconds(exchange.first_byte),
            total_ms: milliseconds(exchange.total),
            sent_bytes: exchange.size,
            server_timing: server_timings(&exchange.headers, &sightings),
            sightings,
        }
    }

    fn did(&self, layer: &Layer) -> Option<&Sighting> {
        self.sightings
            .iter()
            .find(|sighting| sighting.layer == *layer)
    }
}

impl First {
    fn new(exchange: &Exchange) -> Self {
        let opening = exchange.opening;
        let step = |step: fn(Opening) -> Option<Duration>| opening.and_then(step).map(milliseconds);
        Self {
            resolve_ms: step(|opening| Some(opening.resolve)),
            connect_ms: step(|opening| Some(opening.connect)),
            tls_ms: step(|opening| opening.tls),
            first_byte_ms: milliseconds(exchange.first_byte),
            total_ms: milliseconds(exchange.total),
        }
    }
}

impl Latency {
    fn new(repeats: &[Exchange]) -> Self {
        let of = |time: fn(&Exchange) -> Duration| {
            let times = repeats.iter().map(time).map(milliseconds).collect();
            percentiles(times).unwrap_or(Percentiles { p50: 0.0, p95: 0.0 })
        };
        Self {
            first_byte_ms: of(|exchange| exchange.first_byte),
            total_ms: of(|exchange| exchange.total),
        }
    }
}

impl Hits {
    fn new(asked: usize, hits: usize) -> Self {
        Self {
            asked,
            hits,
            hit_ratio: (asked > 0).then(|| round(hits as f64 / asked as f64, 1000.0)),
        }
    }
}

/// The caches that showed themselves in any answer, the outermost first.
fn caches_of(requests: &[RequestReport]) -> Vec<&Layer> {
    let mut layers: Vec<&Layer> = Vec::new();
    for sighting in requests.iter().flat_map(|request| &request.sightings) {
        if !layers.contains(&&sighting.layer) {
            layers.push(&sighting.layer);
        }
    }
    layers
}

fn asset_layers(requests: &[RequestReport]) -> Vec<AssetLayer> {
    let of_layer = |layer: &Layer| {
        let asked: Vec<Did> = requests[1..]
            .iter()
            .filter_map(|request| request.did(layer).map(|sighting| sighting.did))
            .filter(|did| did.counts())
            .collect();
        let hits = asked.iter().filter(|&&did| did == Did::Hit).count();
        AssetLayer {
            layer: layer.to_string(),
            first: requests[0]
                .did(layer)
                .filter(|sighting| sighting.did != Did::NotAsked)
                .map(|sighting| sighting.word.clone()),
            repeats: Hits::new(asked.len(), hits),
        }
    };
    caches_of(requests).into_iter().map(of_layer).collect()
}

fn findings(requests: &[RequestReport], answers: &[Answer<'_>]) -> Vec<Finding> {
    if let Some(finding) = answers.iter().find_map(|&answer| explain_status(answer)) {
        return vec![finding];
    }
    let layers = caches_of(requests);
    if layers.is_empty() {
        return vec![explain_no_cache()];
    }
    let mut found: Vec<Finding> = Vec::new();
    for layer in layers {
        let repeats = requests.iter().zip(answers).skip(1);
        let seen: Vec<_> = repeats
            .filter_map(|(request, answer)| Some((request.did(layer)?, answer)))
            .filter(|(sighting, _)| !matches!(sighting.did, Did::NotAsked | Did::Made))
            .collect();
        let hits = seen
            .iter()
            .filter(|(sighting, _)| sighting.did == Did::Hit)
            .count();
        let missed = seen
            .iter()
            .rev()
            .find(|(sighting, _)| sighting.did != Did::Hit);
        match missed {
            None => {}
            Some((sighting, answer)) if hits == 0 || sighting.did == Did::Expired => {
                found.extend(explain_miss(sighting, **answer));
            }
            Some(_) => found.push(explain_uneven(layer, hits, seen.len())),
        }
    }
    if let (Some(request), Some(&answer)) = (requests.last(), answers.last()) {
        found.extend(oddities(&request.sightings, answer));
    }
    without_doubles(found)
}

/// Merges findings that say the same about two caches into one that names no cache.
fn without_doubles(found: Vec<Finding>) -> Vec<Finding> {
    let mut kept: Vec<Finding> = Vec::new();
    for finding in found {
        let double = kept
            .iter_mut()
            .find(|known| known.code == finding.code && known.message == finding.message);
        match double {
            Some(known) => known.layer = None,
            None => kept.push(finding),
        }
    }
    kept
}

fn cache_words(sightings: &[Sighting]) -> Vec<CacheWord> {
    let words = sightings.iter().map(|sighting| CacheWord {
        layer: sighting.layer.to_string(),
        word: (sighting.did != Did::NotAsked).then(|| sighting.word.clone()),
    });
    words.collect()
}

/// The percentiles by nearest rank; `None` where there are no values.
fn percentiles(mut values: Vec<f64>) -> Option<Percentiles> {
    values.sort_by(f64::total_cmp);
    let at = |percent: usize| {
        let rank = (values.len() * percent).div_ceil(100);
        values.get(rank.saturating_sub(1)).copied()
    };
    Some(Percentiles {
        p50: at(50)?,
        p95: at(95)?,
    })
}

fn milliseconds(duration: Duration) -> f64 {
    round(duration.as_secs_f64() * 1000.0, 100.0)
}

fn round(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let of = |values: &[f64]| percentiles(values.to_vec()).map(|p| (p.p50, p.p95));
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[7.0]), Some((7.0, 7.0)));
        assert_eq!(of(&[5.0, 1.0, 4.0, 2.0, 3.0]), Some((3.0, 5.0)));
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(of(&hundred), Some((50.0, 95.0)));
    }

    #[test]
    fn the_same_word_on_two_caches_is_said_once() {
        let finding = |layer: &str, message: &str| Finding {
            layer: Some(layer.to_owned()),
            code: "forbidden",
            message: message.to_owned(),
            remedy: String::new(),
        };
        let kept = without_doubles(vec![
            finding("a", "x"),
            finding("b", "x"),
            finding("b", "y"),
        ]);
        let layers: Vec<_> = kept
            .iter()
            .map(|finding| finding.layer.as_deref())
            .collect();
        assert_eq!(layers, [None, Some("b")]);
    }
}
