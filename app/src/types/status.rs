//! What the site tells about itself on `/status` and `/status.json`: what it did this month and
//! what that costs.

use serde::{Deserialize, Serialize};

/// The answer of `/status.json`. The server counted all of it itself, except where a field says
/// otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatusView {
    /// When these figures were read, as RFC 3339 in whole seconds of UTC.
    pub at: String,
    /// The month that the figures are for, by UTC: `2026-11`.
    pub month: String,
    /// What is stored now.
    pub pictures: StoredView,
    /// What reached this server this month.
    pub origin: OriginView,
    /// What was used this month of each thing that costs money and has a limit.
    pub budgets: Vec<BudgetView>,
    /// What the operator should look at, in sentences; empty while all is well.
    pub warnings: Vec<String>,
    /// What this month costs.
    pub bill: BillView,
    /// What this server saw when it asked for its own public addresses.
    pub self_probe: SelfProbeView,
}

/// What is stored now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredView {
    /// How many pictures are published and have not ended.
    pub published: u32,
    /// How many bytes their files have together.
    pub stored_bytes: u64,
    /// The most bytes that all files together may have.
    pub stored_bytes_limit: u64,
}

/// What reached this server this month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginView {
    /// How many requests reached this server, health checks not counted.
    pub requests: u64,
    /// How many bytes were sent in the bodies of answers, without their headers.
    pub bytes_sent: u64,
    /// Since when this was counted, as RFC 3339. It is later than the beginning of the month if the
    /// server began to count later.
    pub counted_since: String,
}

/// What was used this month of something that costs money, and how much may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetView {
    /// What it is, for programs: `rekognition-calls` or `cloudfront-paths`.
    pub what: String,
    /// The same for people, where there are several: `paths purged at CloudFront`. The JSON does
    /// not have it.
    #[serde(skip)]
    pub words: String,
    /// How many were used.
    pub used: u32,
    /// How many may be used in a month. The server stops there.
    pub limit: u32,
    /// The highest warning level that is reached, in percent of the limit: 95 or 80, and 0 below.
    pub warned_percent: u8,
    /// False if the count was lost. Then everything counts as used until the operator says how much
    /// it was.
    pub is_known: bool,
}

/// What this month costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BillView {
    /// The currency of all amounts: `USD`.
    pub currency: String,
    /// The day on which the prices were read: `2026-10-07`.
    pub prices_as_of: String,
    /// What has been used until now costs this much.
    pub so_far: f64,
    /// What the whole month will cost if it goes on as it has so far.
    pub projected: f64,
    /// One line for each thing that may cost money.
    pub lines: Vec<BillLineView>,
    /// What the bill leaves out because this server cannot count it, in sentences.
    pub not_counted: Vec<String>,
}

/// One line of the bill: a thing that may cost money.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BillLineView {
    /// The stable name of the thing, for programs: `s3-storage`.
    pub item: String,
    /// Its name for people.
    pub label: String,
    /// How much was used this month until now, in `unit`.
    pub used: f64,
    /// The unit in which it is counted, such as `GB-months`.
    pub unit: String,
    /// How much of it is free in each month, in `unit`.
    pub free: f64,
    /// What `per` units cost.
    pub price: f64,
    /// How many units `price` is for.
    pub per: f64,
    /// What has been used until now costs this much.
    pub so_far: f64,
    /// What the whole month will cost if it goes on as it has so far.
    pub projected: f64,
    /// Under which conditions the price holds.
    pub note: String,
    /// Where and when the price was read.
    pub source: String,
}

/// What this server saw when it last asked for its own public addresses, which it does from time to
/// time. This is a sample taken from one place; it does not measure what visitors get.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SelfProbeView {
    /// False if no CDN is known to stand in front of this server, because then there is nothing to
    /// measure.
    pub is_on: bool,
    /// How many minutes pass between two probes.
    pub every_minutes: u32,
    /// When it last asked, as RFC 3339; absent until the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured_at: Option<String>,
    /// Which share of the repeated requests a cache answered, from 0 to 1; absent if there were
    /// none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hit_ratio: Option<f64>,
    /// The addresses that it asked for.
    pub addresses: Vec<ProbedView>,
}

/// One address that the self-probe asked for several times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbedView {
    /// What is at the address, in words. The address itself is not told, because it would lead to a
    /// picture that may have been taken down.
    pub what: String,
    /// How many times it was asked for again after the first time.
    pub repeats: u32,
    /// How many of the repeats a cache answered.
    pub from_cache: u32,
    /// The time until the first byte of a repeat, in milliseconds: half of the repeats took no
    /// longer.
    pub first_byte_p50_ms: f64,
    /// The same for 95 % of the repeats.
    pub first_byte_p95_ms: f64,
    /// How many bytes the body had as it was sent, which is compressed for text.
    pub sent_bytes: u64,
    /// Why there are no figures; absent if there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}
