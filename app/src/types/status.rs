//! What a site tells about itself: what it did this month, and what that costs.

use serde::{Deserialize, Serialize};

/// The answer of `/status.json`. Everything was counted but where a field says otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatusView {
    /// When this was read. RFC 3339, whole seconds, UTC.
    pub at: String,
    /// The month that is counted, by UTC: `2026-11`.
    pub month: String,
    pub pictures: StoredView,
    pub origin: OriginView,
    pub budgets: Vec<BudgetView>,
    /// Sentences for the operator; none while all is well.
    pub warnings: Vec<String>,
    pub bill: BillView,
    pub self_probe: SelfProbeView,
}

/// What is stored now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredView {
    /// Published pictures that live.
    pub published: u32,
    pub stored_bytes: u64,
    pub stored_bytes_limit: u64,
}

/// What reached this server this month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginView {
    /// Health checks aside.
    pub requests: u64,
    /// Of bodies.
    pub bytes_sent: u64,
    /// From when on; later than the month's beginning where the server began to count later.
    pub counted_since: String,
}

/// What may be used of something that costs money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetView {
    /// `rekognition-calls`, `cloudfront-paths`.
    pub what: String,
    pub used: u32,
    /// Nothing is used beyond it.
    pub limit: u32,
    /// The highest of 80 and 95 % that is reached, else 0.
    pub warned_percent: u8,
    /// False where the count was lost, and all of it counts as used.
    pub is_known: bool,
}

/// The month's costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BillView {
    pub currency: String,
    /// When the prices were read: `2026-10-07`.
    pub prices_as_of: String,
    /// What was used until now.
    pub so_far: f64,
    /// What the month will have cost if it goes on as it did.
    pub projected: f64,
    pub lines: Vec<BillLineView>,
    /// What this server cannot count, in sentences.
    pub not_counted: Vec<String>,
}

/// One thing that may cost money.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BillLineView {
    /// `s3-storage`
    pub item: String,
    /// In words.
    pub label: String,
    /// This month until now, in `unit`.
    pub used: f64,
    pub unit: String,
    /// Of each month, in `unit`.
    pub free: f64,
    /// For so many units as `per` says.
    pub price: f64,
    pub per: f64,
    pub so_far: f64,
    pub projected: f64,
    /// What the price holds for.
    pub note: String,
    /// Where and when it was read.
    pub source: String,
}

/// What this server sees when it asks for its own public addresses, now and then. A sample by one asker from one place, and no
/// measurement of what visitors get.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SelfProbeView {
    /// False where no CDN is known to stand in front of this server: there is nothing to measure then.
    pub is_on: bool,
    pub every_minutes: u32,
    /// Absent before the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured_at: Option<String>,
    /// Repeats that caches answered, of all; absent where none was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hit_ratio: Option<f64>,
    pub addresses: Vec<ProbedView>,
}

/// One address that was asked for several times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbedView {
    /// What is there: no address, which a picture that is taken down would be found by.
    pub what: String,
    /// How often it was asked for again after the first time.
    pub repeats: u32,
    /// How many of those a cache answered.
    pub from_cache: u32,
    /// Of the repeats, milliseconds.
    pub first_byte_p50_ms: f64,
    pub first_byte_p95_ms: f64,
    pub sent_bytes: u64,
    /// Why there is nothing to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}
