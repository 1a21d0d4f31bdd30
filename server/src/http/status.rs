//! Gathers what `/status` and `/status.json` tell: what the site did this month, and what that
//! costs. The only estimate in it is the bill at the end of the month, which is called “projected”.

use app::types::status::{
    BillLineView, BillView, BudgetView, OriginView, ProbedView, SelfProbeView, StatusView,
    StoredView,
};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};

use crate::costs::bill::{Bill, Elapsed, Use};
use crate::costs::billing::{Billing, number};
use crate::costs::budget::{Budget, BudgetError, Paid, Usage};
use crate::db::DbError;
use crate::domain::expiry::rfc3339;
use crate::domain::month::Month;
use crate::http::cache::CachePolicy;
use crate::http::error::Error;
use crate::http::state::AppState;
use crate::jobs::self_probe::{self, SelfProbe};

/// `GET /status.json`
pub(crate) async fn get_status(State(state): State<AppState>) -> Result<Response, Error> {
    let (status, policy) = read_status(&state).await?;
    Ok((Extension(policy), Json(status)).into_response())
}

/// Reads all figures. Also returns what caches may do with the answer.
pub(crate) async fn read_status(state: &AppState) -> Result<(StatusView, CachePolicy), Error> {
    let now = state.clock.now();
    let month = Month::of(now);
    let index = &state.index;
    let counts = state.traffic.this_month(index).await?;
    let stored = StoredView {
        published: index.count_published(now.as_second()).await?,
        stored_bytes: index.stored_bytes().await?,
        stored_bytes_limit: state.limits.max_stored_bytes,
    };
    let mut paid = Vec::new();
    let mut budgets = Vec::new();
    for what in state.budget.kinds() {
        let (usage, is_known) = read_budget(&state.budget, what).await?;
        paid.push((what, usage));
        budgets.push(BudgetView {
            what: what.name.to_owned(),
            words: what.words.to_owned(),
            used: usage.used,
            limit: usage.limit,
            warned_percent: usage.warned_percent(),
            is_known,
        });
    }
    let elapsed = Elapsed {
        passed: seconds(now.as_second() - month.begins()),
        left: number(month.seconds_left(now)),
        counted: seconds(now.as_second() - counts.since),
    };
    let uses = state
        .billing
        .uses(elapsed, stored.stored_bytes, &counts, &paid);
    let view = StatusView {
        at: rfc3339(now.as_second()),
        month: month.to_string(),
        warnings: warnings(&stored, &budgets),
        pictures: stored,
        origin: OriginView {
            requests: counts.requests,
            bytes_sent: counts.bytes_sent,
            counted_since: rfc3339(counts.since),
        },
        budgets,
        bill: bill(&state.billing, &uses),
        self_probe: probed(&state.self_probe),
    };
    // It shows no picture, so it may be kept for as long as an empty list.
    Ok((view, CachePolicy::list([])))
}

async fn read_budget(budget: &Budget, what: Paid) -> Result<(Usage, bool), Error> {
    let failed = |error: BudgetError| Error::from(DbError::from(anyhow::anyhow!(error)));
    let usage = budget.usage(what).await.map_err(failed)?;
    let is_unknown = budget.is_unknown(what).await.map_err(failed)?;
    Ok((usage, !is_unknown))
}

/// What the operator should look at, in sentences.
fn warnings(stored: &StoredView, budgets: &[BudgetView]) -> Vec<String> {
    let mut warnings = Vec::new();
    for budget in budgets {
        let what = &budget.words;
        if !budget.is_known {
            warnings.push(format!(
                "It is not known how many {what} were used this month, so no more are made until the operator tells the number with `cattocdn budget set`."
            ));
        } else if budget.warned_percent > 0 {
            warnings.push(format!(
                "{} of {} {what} are used this month, which is {} % or more.",
                budget.used, budget.limit, budget.warned_percent
            ));
        }
    }
    let reached = [95, 80].into_iter().find(|percent| {
        u128::from(stored.stored_bytes) * 100 >= u128::from(stored.stored_bytes_limit) * percent
    });
    if let Some(percent) = reached {
        warnings.push(format!("The picture store is {percent} % full or more."));
    }
    warnings
}

fn bill(billing: &Billing, uses: &[Use]) -> BillView {
    let bill = Bill::of(&billing.prices, uses);
    let lines = bill.lines.into_iter().map(|line| BillLineView {
        item: line.item.0.to_owned(),
        label: line.price.label,
        used: rounded(line.used, 1e6),
        unit: line.price.unit,
        free: line.price.free,
        price: line.price.price,
        per: line.price.per,
        so_far: rounded(line.so_far, 1e4),
        projected: rounded(line.projected, 1e4),
        note: line.price.note,
        source: line.price.source,
    });
    BillView {
        currency: billing.prices.currency.clone(),
        prices_as_of: billing.prices.as_of.clone(),
        so_far: rounded(bill.so_far, 1e4),
        projected: rounded(bill.projected, 1e4),
        lines: lines.collect(),
        not_counted: billing.not_counted(),
    }
}

fn probed(self_probe: &SelfProbe) -> SelfProbeView {
    let sample = self_probe.latest();
    SelfProbeView {
        is_on: self_probe.is_on(),
        every_minutes: u32::try_from(self_probe::EVERY.as_secs() / 60).unwrap_or(u32::MAX),
        measured_at: sample.as_ref().map(|sample| rfc3339(sample.at.as_second())),
        hit_ratio: sample
            .as_ref()
            .and_then(self_probe::Sample::hit_ratio)
            .map(|ratio| rounded(ratio, 1e3)),
        addresses: sample
            .map(|sample| sample.summaries)
            .unwrap_or_default()
            .into_iter()
            .map(|summary| ProbedView {
                what: self_probe::what_is_at(&summary.url).to_owned(),
                repeats: u32::try_from(summary.repeats).unwrap_or(u32::MAX),
                from_cache: u32::try_from(summary.from_cache).unwrap_or(u32::MAX),
                first_byte_p50_ms: summary.first_byte_p50_ms,
                first_byte_p95_ms: summary.first_byte_p95_ms,
                sent_bytes: summary.sent_bytes,
                problem: summary.problem,
            })
            .collect(),
    }
}

/// Rounds an amount to a multiple of `1 / parts`.
fn rounded(amount: f64, parts: f64) -> f64 {
    (amount * parts).round() / parts
}

fn seconds(seconds: i64) -> f64 {
    number(u64::try_from(seconds).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(used: u32, is_known: bool) -> BudgetView {
        let usage = Usage { used, limit: 1000 };
        BudgetView {
            what: "calls".into(),
            words: "calls of somebody".into(),
            used,
            limit: 1000,
            warned_percent: usage.warned_percent(),
            is_known,
        }
    }

    #[test]
    fn warnings_begin_at_80_percent_and_change_at_95() {
        let stored = |bytes| StoredView {
            published: 1,
            stored_bytes: bytes,
            stored_bytes_limit: 1000,
        };
        assert_eq!(
            warnings(&stored(799), &[budget(799, true)]),
            [""; 0].map(str::to_owned)
        );
        for (share, words) in [(800, "80 %"), (950, "95 %")] {
            let found = warnings(&stored(u64::from(share)), &[budget(share, true)]);
            assert_eq!(found.len(), 2);
            assert!(
                found.iter().all(|warning| warning.contains(words)),
                "{found:?}"
            );
        }
        let lost = warnings(&stored(0), &[budget(1000, false)]);
        assert_eq!(lost.len(), 1);
        assert!(lost[0].contains("not known"), "{lost:?}");
    }
}
