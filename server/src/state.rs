//! What every handler may use, built once when the site is opened.

use std::sync::Arc;

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
use crate::jobs::self_probe::SelfProbe;
use crate::pictures::Pictures;
use crate::runtime::clock::Clock;

/// The dependency bag; cheap to clone.
#[derive(Clone, FromRef)]
pub struct AppState {
    /// The use cases: all that can be done with pictures.
    pub pictures: Arc<Pictures>,
    /// The index, for what is counted in it beside pictures.
    pub index: Db,
    /// What an upload may be, and how much of it there may be.
    pub limits: Arc<LimitsConfig>,
    /// What may still be spent this month, on Rekognition's calls and CloudFront's paths.
    pub budget: Arc<Budget>,
    /// What pages say of the site: its address, how long pictures live, what is taken.
    pub site: Arc<SiteView>,
    /// What is in front of this server: the CDN's keys, and where the client's address is read.
    pub origin: Arc<OriginConfig>,
    /// The time that everything goes by.
    pub clock: Clock,
    /// JavaScript, WASM and CSS of this build, and of earlier ones whose pages caches may still have.
    pub builds: Arc<Builds>,
    /// What was counted of requests and storage, and is not in the index yet.
    pub traffic: Arc<Traffic>,
    /// What of this site costs money, for the bill on `/status`.
    pub billing: Arc<Billing>,
    /// What this server last saw of itself through its public address.
    pub self_probe: Arc<SelfProbe>,
    /// How many answers may be made at once, and how many bytes of them may wait for readers.
    pub answers: Arc<Answers>,
    /// The requests under way of each client that a header names.
    pub shares: Arc<Shares>,
    /// The same of what looks at every picture.
    pub scan_shares: Arc<ScanShares>,
    /// The wrong tokens that each client sent lately.
    pub guesses: Arc<Guesses>,
    /// The content security policy of all pages, made when the first is asked for.
    pub page_policy: Arc<OnceCell<HeaderValue>>,
    /// Leptos' own settings, as its routes want them.
    pub leptos: LeptosOptions,
}
