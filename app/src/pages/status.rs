//! The status page: what the site did this month and what that costs. It shows people what
//! `/status.json` tells programs.

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
                "What this site has done in "{month}" (UTC), as of "
                <time datetime=at.clone()>{readable_time(&at)}</time>
                ". This server counted all of it itself, unless a line says otherwise."
            </p>
            {warnings}
            <dl class="figures">
                <Figure name="Bill so far" value=dollars(bill.so_far)>
                    {dollars(bill.projected)}" by the end of the month, at this pace"
                </Figure>
                <Figure name="Requests that reached this server" value=count(origin.requests)>
                    {size(origin.bytes_sent)}" sent since "
                    <time datetime=origin.counted_since.clone()>
                        {readable_time(&origin.counted_since)}
                    </time>
                </Figure>
                <Figure name="Pictures" value=count(pictures.published.into())>
                    {size(pictures.stored_bytes)}" of "{size(pictures.stored_bytes_limit)}
                </Figure>
                {budgets.into_iter().map(budget).collect_view()}
            </dl>
            <SelfProbe probe=self_probe/>
            <Bill bill/>
            <p>
                "Programs can read all of this at "
                <a href="/status.json"><code>"/status.json"</code></a>"."
            </p>
        </article>
    }
}

/// One number with its name, and a few words that explain it.
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

/// These words, with which a line begins.
fn capitalized(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

fn budget(budget: BudgetView) -> impl IntoView {
    let name = capitalized(&budget.words);
    let limit = count(budget.limit.into());
    let words = if budget.is_known {
        format!("of {limit} this month at most")
    } else {
        format!("of {limit}; the count was lost, so all of them count as used")
    };
    view! { <Figure name value=count(budget.used.into())>{words}</Figure> }
}

#[component]
fn SelfProbe(probe: SelfProbeView) -> impl IntoView {
    let label = format!(
        "A self-probe: every {} minutes this server requests a few of its own public addresses, each several times. \
         This is a sample from one place and does not show what visitors get.",
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
                    <td>
                        {format!(
                            "{:.0} / {:.0} ms",
                            probed.first_byte_p50_ms,
                            probed.first_byte_p95_ms,
                        )}
                    </td>
                    <td>{size(probed.sent_bytes)}</td>
                }
                .into_any(),
            };
            view! { <tr><th scope="row">{probed.what}</th>{outcome}</tr> }
        });
        view! {
            <p>
                <strong>{hits}</strong>
                " of the repeated requests were answered by caches, measured on "
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
        view! {
            <p>"This server knows of no CDN in front of it, so there is no cache to measure."</p>
        }
        .into_any()
    } else {
        view! {
            <p>
                "The server has not measured anything since it started. The first result is still \
                to come."
            </p>
        }
        .into_any()
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
            "In US dollars, at the prices of "
            <time datetime=bill.prices_as_of.clone()>{bill.prices_as_of.clone()}</time>
            ". “Projected” assumes that the rest of the month goes on at the same pace."
        </p>
        <div class="table" tabindex="0" role="region" aria-label="The bill, item by item">
            <table>
                <thead>
                    <tr>
                        <th scope="col">"What"</th>
                        <th scope="col">"Used"</th>
                        <th scope="col">"So far"</th>
                        <th scope="col">"Projected"</th>
                    </tr>
                </thead>
                <tbody>{rows.collect_view()}</tbody>
                <tfoot>
                    <tr>
                        <th scope="row">"Total"</th>
                        <td></td>
                        <td>{dollars(bill.so_far)}</td>
                        <td>{dollars(bill.projected)}</td>
                    </tr>
                </tfoot>
            </table>
        </div>
        <p>"The bill does not include:"</p>
        <ul>{not_counted.collect_view()}</ul>
    }
}
