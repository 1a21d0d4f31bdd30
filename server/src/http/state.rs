//! The state that every handler may use. It is built once, when the site is opened.

use std::sync::Arc;

use app::backend::SiteFiles;
use app::types::SiteView;
use axum::extract::FromRef;
use axum::http::HeaderValue;
use leptos::config::LeptosOptions;
use tokio::sync::OnceCell;

use crate::builds::Builds;
use crate::config::{LimitsConfig, OriginConfig};
use crate::costs::billing::Billing;
use crate::costs::budget::Budget;
use crate::costs::traffic::Traffic;
use crate::db::Db;
use crate::http::answers::Answers;
use crate::http::guesses::Guesses;
use crate::http::shares::{ScanShares, Shares};
use crate::jobs::Work;
use crate::jobs::self_probe::SelfProbe;
use crate::pictures::Pictures;
use crate::runtime::clock::Clock;

/// The shared state. It is cheap to clone.
#[derive(Clone, FromRef)]
pub struct AppState {
    /// The use cases: all that can be done with pictures.
    pub pictures: Arc<Pictures>,
    /// The index, for the counts in it that are not about pictures.
    pub index: Db,
    /// What an upload may be, and how many there may be.
    pub limits: Arc<LimitsConfig>,
    /// What may still be spent this month on Rekognition's calls and CloudFront's paths.
    pub budget: Arc<Budget>,
    /// What pages say about the site: its address, how long pictures live, and what uploads are
    /// accepted.
    pub site: Arc<SiteView>,
    /// The files that pages load.
    pub files: Arc<SiteFiles>,
    /// What stands in front of this server: the CDN's keys, and where the client's address is read
    /// from.
    pub origin: Arc<OriginConfig>,
    /// The clock by which everything goes.
    pub clock: Clock,
    /// JavaScript, WASM and CSS of this build, and of earlier builds whose pages caches may still
    /// hold.
    pub builds: Arc<Builds>,
    /// Counts of requests and storage use that are not in the index yet.
    pub traffic: Arc<Traffic>,
    /// The services that this site pays for, for the bill on `/status`.
    pub billing: Arc<Billing>,
    /// What this server last saw of itself through its public address.
    pub self_probe: Arc<SelfProbe>,
    /// Limits on how many answers are made at once, and on the bytes of answers that wait for slow
    /// readers.
    pub answers: Arc<Answers>,
    /// The number of requests under way of each client, where a header names the client.
    pub shares: Arc<Shares>,
    /// The number of requests under way of each client that may look at every picture, such as
    /// searches.
    pub scan_shares: Arc<ScanShares>,
    /// The wrong tokens that each client sent lately.
    pub guesses: Arc<Guesses>,
    /// The content security policy of all pages, which is made when the first page is requested.
    pub page_policy: Arc<OnceCell<HeaderValue>>,
    /// Leptos' own settings, which its routes need.
    pub leptos: LeptosOptions,
}

impl AppState {
    /// The parts of this state that the background loops work on.
    #[must_use]
    pub fn work(&self) -> Work {
        Work {
            pictures: self.pictures.clone(),
            index: self.index.clone(),
            builds: self.builds.clone(),
            traffic: self.traffic.clone(),
            self_probe: self.self_probe.clone(),
            clock: self.clock.clone(),
        }
    }
}
