//! What the site did this month and what that costs: `/status.json` for people.

use leptos::prelude::*;

use super::figures::{amount, count, dollars, size};
use super::head::Head;
use super::load::{load, when_loaded};
use super::notice::ErrorNotice;
use crate::time::readable_time;
use crate::types::status::{BillView, BudgetView, SelfProbeView, StatusView};

#[component]
pub(crate) fn StatusPage() -> impl IntoView {
    let status = load(|backend| async move { backend.status().await });
    view! {
        <Suspense>
            {when_loaded(status, |status| match status {
                Ok(status) => view! { <Status status/> }.into_any(),
                Err(error) => view! { <ErrorNotice error/> }.into_any(),
            })}
        </Suspense>
    }
}

#[component]
fn Status(status: StatusView) -> impl IntoView {
    let StatusView {
        at,
        month,
        pictures,
        origin,
        budgets,
        warnings,
        bill,
        self_probe,
    } = status;
    let warnings = (!warnings.is_empty()).then(|| {
        let items = warnings
            .into_iter()
            .map(|warning| view! { <li>{warning}</li> });
        view! {
            <section class="status-warnings" aria-labelledby="warnings">
                <h2 id="warnings">"Warnings"</h2>
                <ul>{items.collect_view()}</ul>
            </section>
        }
    });
    view! {
        <Head
            title="Status"
            description="What this site did this month, and what that costs."
            path="/status"
        />
        <article class="prose status">
            <h1>"Status"</h1>
            <p class="lead">
                "The month so far, "{month}" by UTC, read on "<time datetime=at.clone()>{readable_time(&at)}</time>
                ". Everything here was counted by this server, but where it says otherwise."
            </p>
            {warnings}
            <dl class="figures">
                <Figure name="Bill so far" value=dollars(bill.so_far)>
                    {dollars(bill.projected)}" by the month's end, if it goes on like this"
                </Figure>
                <Figure name="Requests that reached this server" value=count(origin.requests)>
                    {size(origin.bytes_sent)}" sent, counted since "
                    <time datetime=origin.counted_since.clone()>{readable_time(&origin.counted_since)}</time>
                </Figure>
                <Figure name="Pictures" value=count(pictures.published.into())>
                    {size(pictures.stored_bytes)}" of "{size(pictures.stored_bytes_limit)}
                </Figure>
                {budgets.into_iter().map(budget).collect_view()}
            </dl>
            <SelfProbe probe=self_probe/>
            <Bill bill/>
            <p>"The same for programs: "<a href="/status.json"><code>"/status.json"</code></a>"."</p>
        </article>
    }
}

/// One number with its name and what belongs to it.
#[component]
fn Figure(#[prop(into)] name: String, value: String, children: Children) -> impl IntoView {
    view! {
        <div class="figure">
            <dt>{name}</dt>
            <dd>
                <strong>{value}</strong>
                <span>{children()}</span>
            </dd>
        </div>
    }
}

fn budget(budget: BudgetView) -> impl IntoView {
    let name = match budget.what.as_str() {
        "rekognition-calls" => "Calls of Rekognition".to_owned(),
        "cloudfront-paths" => "Paths purged at CloudFront".to_owned(),
        _ => budget.what,
    };
    let limit = count(budget.limit.into());
    let words = if budget.is_known {
        format!("of {limit} this month, and never more")
    } else {
        format!("of {limit}: the count was lost, so all of it counts as used")
    };
    view! { <Figure name value=count(budget.used.into())>{words}</Figure> }
}

#[component]
fn SelfProbe(probe: SelfProbeView) -> impl IntoView {
    let label = format!(
        "A self-probe: every {} minutes this server asks for its own public addresses a few times, from where it stands. \
         It is a sample, and does not say what visitors get.",
        probe.every_minutes
    );
    let body = if let Some(at) = probe.measured_at {
        let hits = probe
            .hit_ratio
            .map_or("–".to_owned(), |ratio| format!("{:.0} %", ratio * 100.0));
        let rows = probe.addresses.into_iter().map(|probed| {
            let outcome = match probed.problem {
                Some(problem) => view! { <td colspan="3">{problem}</td> }.into_any(),
                None => view! {
                    <td>{format!("{} of {}", probed.from_cache, probed.repeats)}</td>
                    <td>{format!("{:.0} / {:.0} ms", probed.first_byte_p50_ms, probed.first_byte_p95_ms)}</td>
                    <td>{size(probed.sent_bytes)}</td>
                }
                .into_any(),
            };
            view! { <tr><th scope="row">{probed.what}</th>{outcome}</tr> }
        });
        view! {
            <p>
                <strong>{hits}</strong>" of the repeats were answered by caches, on "
                <time datetime=at.clone()>{readable_time(&at)}</time>"."
            </p>
            <div class="table" tabindex="0" role="region" aria-label="Self-probe, by address">
                <table>
                    <thead>
                        <tr>
                            <th scope="col">"Address"</th>
                            <th scope="col">"From a cache"</th>
                            <th scope="col">"First byte, p50 / p95"</th>
                            <th scope="col">"Size"</th>
                        </tr>
                    </thead>
                    <tbody>{rows.collect_view()}</tbody>
                </table>
            </div>
        }
        .into_any()
    } else if !probe.is_on {
        view! { <p>"No CDN is known to stand in front of this server, so there is no cache to measure."</p> }
            .into_any()
    } else {
        view! { <p>"The first one since the server started is still to come."</p> }.into_any()
    };
    view! {
        <h2>"Caches and latency"</h2>
        <p>{label}</p>
        {body}
    }
}

#[component]
fn Bill(bill: BillView) -> impl IntoView {
    let rows = bill.lines.into_iter().map(|line| {
        let mut price = if line.per > 1.0 {
            format!("${} for {}", line.price, amount(line.per, &line.unit))
        } else {
            format!("${} each", line.price)
        };
        if line.free > 0.0 {
            price = format!("{price}, {} free", amount(line.free, ""));
        }
        view! {
            <tr>
                <th scope="row">
                    {line.label}
                    <small>{price}</small>
                </th>
                <td>{amount(line.used, &line.unit)}</td>
                <td>{dollars(line.so_far)}</td>
                <td>{dollars(line.projected)}</td>
            </tr>
        }
    });
    let not_counted = bill
        .not_counted
        .into_iter()
        .map(|sentence| view! { <li>{sentence}</li> });
    view! {
        <h2>"The bill"</h2>
        <p>
            "From the prices of "<time datetime=bill.prices_as_of.clone()>{bill.prices_as_of.clone()}</time>
            ", in US dollars. “At the end” carries this month's pace on to its last day."
        </p>
        <div class="table" tabindex="0" role="region" aria-label="The bill, by what was used">
            <table>
                <thead>
                    <tr>
                        <th scope="col">"What"</th>
                        <th scope="col">"Used"</th>
                        <th scope="col">"So far"</th>
                        <th scope="col">"At the end"</th>
                    </tr>
                </thead>
                <tbody>{rows.collect_view()}</tbody>
                <tfoot>
                    <tr>
                        <th scope="row">"Together"</th>
                        <td></td>
                        <td>{dollars(bill.so_far)}</td>
                        <td>{dollars(bill.projected)}</td>
                    </tr>
                </tfoot>
            </table>
        </div>
        <p>"Not in it:"</p>
        <ul>{not_counted.collect_view()}</ul>
    }
}
