//! Probes this site from outside at regular intervals: through its public address, and so through
//! the caches in front of it. This is a sample from one place, and is called that wherever it is
//! shown.

use std::time::Duration;

use jiff::Timestamp;
use parking_lot::RwLock;
use url::Url;

use crate::config::{Config, is_here};
use crate::db::ListFilter;
use crate::domain::address::file_path;
use crate::pictures::Reading;
use crate::runtime::causes::chain;
use crate::runtime::clock::Clock;
use probe::{Probe, Summary};

/// How often the site is probed. The 8 requests of each time are 23,000 a month, of which caches
/// should leave a few thousand to the server.
pub(crate) const EVERY: Duration = Duration::from_secs(15 * 60);
/// How soon after the start the site is first probed.
pub(crate) const FIRST_AFTER: Duration = Duration::from_secs(60);
/// How often each address is requested again.
const REPEATS: u32 = 3;
/// How long one probe may take in all. Each request may take 10 s, and none may hang for ever.
const AT_MOST: Duration = Duration::from_secs(120);

/// The result of one probe: a sample, because it is taken at one place and one time.
#[derive(Debug, Clone)]
pub struct Sample {
    pub at: Timestamp,
    pub summaries: Vec<Summary>,
}

impl Sample {
    /// The share of repeated requests that caches answered; `None` where nothing could be repeated.
    #[must_use]
    pub fn hit_ratio(&self) -> Option<f64> {
        let sound = self
            .summaries
            .iter()
            .filter(|summary| summary.problem.is_none());
        let (asked, hits) = sound.fold((0, 0), |(asked, hits), summary| {
            (asked + summary.repeats, hits + summary.from_cache)
        });
        #[expect(clippy::cast_precision_loss, reason = "a few requests")]
        (asked > 0).then(|| hits as f64 / asked as f64)
    }
}

/// What this server last saw of itself from outside.
pub struct SelfProbe {
    is_on: bool,
    /// The public address of this site.
    public_url: Url,
    latest: RwLock<Option<Sample>>,
}

impl SelfProbe {
    /// Probes only where a CDN is known to stand in front of this server and the public address is
    /// not this machine's own.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            is_on: !config.origin.keys.is_empty() && !is_here(&config.http.public_url),
            public_url: config.http.public_url.clone(),
            latest: RwLock::default(),
        }
    }

    /// Whether the site is probed at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// The latest result since this server started.
    #[must_use]
    pub fn latest(&self) -> Option<Sample> {
        self.latest.read().clone()
    }

    /// Probes the gallery, and an image of the newest picture.
    pub async fn probe_site(&self, reading: &Reading, clock: &Clock) {
        let gallery = self.public_url.join("/").ok();
        let newest = ListFilter {
            limit: 1,
            ..ListFilter::default()
        };
        let image = match reading.list(&newest).await {
            Ok(pictures) => pictures.first().and_then(|picture| {
                let name = picture.in_gallery()?.into();
                let path = file_path(picture.expires_at, &picture.id, &name);
                self.public_url.join(&path).ok()
            }),
            Err(error) => {
                tracing::warn!(error = chain(&error), "no picture to probe");
                None
            }
        };
        let urls = gallery.into_iter().chain(image).collect();
        self.probe(urls, clock).await;
    }

    /// Probes these addresses.
    async fn probe(&self, urls: Vec<Url>, clock: &Clock) {
        let probe = Probe::of(urls, REPEATS);
        let now = || clock.seconds();
        let sample = match tokio::time::timeout(AT_MOST, probe.run(&now)).await {
            Ok(report) => Sample {
                at: clock.now(),
                summaries: report.summaries(),
            },
            Err(_) => {
                tracing::warn!("this server cannot be reached through its public address");
                return;
            }
        };
        *self.latest.write() = Some(sample);
    }
}

/// Describes what [`SelfProbe::probe_site`] requested at this address, without naming a picture.
#[must_use]
pub(crate) fn what_is_at(url: &str) -> &'static str {
    let is_gallery = Url::parse(url).is_ok_and(|url| url.path() == "/");
    if is_gallery {
        "the gallery"
    } else {
        "an image of the newest picture"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(repeats: usize, from_cache: usize, problem: Option<&str>) -> Summary {
        Summary {
            url: "https://catto.example/".into(),
            repeats,
            from_cache,
            first_byte_p50_ms: 1.0,
            first_byte_p95_ms: 2.0,
            sent_bytes: 3,
            problem: problem.map(str::to_owned),
        }
    }

    #[test]
    fn a_ratio_counts_what_could_be_measured() {
        let ratio = |summaries| {
            let at = Timestamp::UNIX_EPOCH;
            Sample { at, summaries }.hit_ratio()
        };
        assert_eq!(ratio(Vec::new()), None);
        assert_eq!(ratio(vec![summary(3, 0, Some("it answered 403"))]), None);
        assert_eq!(
            ratio(vec![summary(3, 3, None), summary(1, 0, None)]),
            Some(0.75)
        );
    }
}
