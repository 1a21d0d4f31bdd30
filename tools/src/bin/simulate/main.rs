//! Simulates a week of traffic on a virtual clock: the real router behind simulated caches, with
//! one inner cache and 1, 10 or 100 outer ones. Prints what reaches each level. Everything random
//! is seeded, so two runs print the same.

#![expect(clippy::print_stdout, reason = "the report is for the terminal")]

mod site;
mod workload;

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::sync::Arc;

use axum::http::header;

use self::site::Site;
use self::workload::{Event, ROUTES, Workload};
use tools::caches::{Answer, Chain};
use tools::keys::Keys;

type Fetched = Result<Arc<Answer>, Box<dyn Error>>;

/// How many outer caches there are in each of the worlds that are compared.
const OUTERS: [usize; 3] = [1, 10, 100];

fn main() -> Result<(), Box<dyn Error>> {
    let begun = std::time::Instant::now();
    let runtime = tokio::runtime::Runtime::new()?;
    let mut site = runtime.block_on(Site::start())?;
    let mut workload = Workload::new(site::START_MS);
    let mut worlds = OUTERS.map(World::new);
    let mut renders = 0_u64;
    let keys = Keys::of_the_site();
    while let Some((now, event)) = workload.next() {
        site.clock.stop_at(now);
        match event {
            Event::Publish(picture) => runtime.block_on(site.publish(&picture))?,
            Event::Delete(id) => {
                runtime.block_on(site.delete(&id))?;
                for world in &mut worlds {
                    world.chain.purge(&id);
                }
            }
            Event::Sweep => runtime.block_on(site.sweep())?,
            Event::Ask(request) => {
                let keys = (keys.outer(&request.url), keys.inner(&request.url));
                // At one instant the server gives all worlds the same answer.
                let mut fetched: Option<Arc<Answer>> = None;
                for world in &mut worlds {
                    world.ask(&request, &keys, now, || {
                        if let Some(answer) = &fetched {
                            return Ok(answer.clone());
                        }
                        renders += 1;
                        let answer = runtime.block_on(site.get(&keys.1))?;
                        fetched = Some(answer.clone());
                        Ok(answer)
                    })?;
                }
            }
        }
    }
    for world in &worlds {
        world.report();
    }
    println!(
        "{renders} answers of the real router, {:.0} s",
        begun.elapsed().as_secs_f64()
    );
    Ok(())
}

/// A number of requests and the bytes of their answers.
#[derive(Debug, Default, Clone, Copy)]
struct Count {
    requests: u64,
    bytes: u64,
}

impl Count {
    fn add(&mut self, answer: &Answer) {
        let headers: usize = answer
            .headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len())
            .sum();
        self.requests += 1;
        self.bytes += answer.body_bytes + headers as u64;
    }

    fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            bytes: self.bytes + other.bytes,
        }
    }
}

/// Why the server was asked.
#[derive(Debug, Default, Clone, Copy)]
struct Reasons {
    /// It was never asked for this before.
    first: u64,
    /// What was kept has expired.
    over: u64,
    /// The answer before was one that must not be kept.
    unkept: u64,
}

#[derive(Debug, Default, Clone, Copy)]
struct Line {
    client: Count,
    to_inner: Count,
    to_origin: Count,
    reasons: Reasons,
}

/// A number of outer caches in front of one inner cache, and what went through them.
struct World {
    outers: usize,
    chain: Chain,
    lines: HashMap<&'static str, Line>,
    asked: HashSet<String>,
    unkept: HashSet<String>,
    /// Answers that showed a picture past its end. There must be none.
    late: u64,
    /// Answers that showed a picture after its deletion.
    after_deletion: u64,
}

impl World {
    fn new(outers: usize) -> Self {
        Self {
            outers,
            chain: Chain::new(outers),
            lines: HashMap::new(),
            asked: HashSet::new(),
            unkept: HashSet::new(),
            late: 0,
            after_deletion: 0,
        }
    }

    fn ask(
        &mut self,
        request: &workload::Request,
        keys: &(String, String),
        now: i64,
        origin: impl FnOnce() -> Fetched,
    ) -> Result<(), Box<dyn Error>> {
        let outer = request.client % self.outers;
        let trip = self.chain.ask(outer, (&keys.0, &keys.1), now, origin)?;
        let line = self.lines.entry(request.route).or_default();
        line.client.add(&trip.shown);
        if let Some(answer) = &trip.from_inner {
            line.to_inner.add(answer);
        }
        if let Some(answer) = &trip.from_origin {
            line.to_origin.add(answer);
            let key = keys.1.as_str();
            if self.unkept.contains(key) {
                line.reasons.unkept += 1;
            } else if self.asked.contains(key) {
                line.reasons.over += 1;
            } else {
                line.reasons.first += 1;
                self.asked.insert(key.to_owned());
            }
            let kept = answer.headers.get(header::CACHE_CONTROL);
            if kept.is_some_and(|value| value == "no-store") {
                self.unkept.insert(key.to_owned());
            } else {
                self.unkept.remove(key);
            }
        }
        if trip.shown.status.is_success() {
            self.late += u64::from(request.ends.is_some_and(|ends| now >= ends));
            self.after_deletion += u64::from(request.deleted);
        }
        Ok(())
    }

    fn report(&self) {
        println!("\n{} outer cache(s) over one inner cache", self.outers);
        println!(
            "{:<16} {:>9}  {:>22}  {:>22}  {:>26}",
            "", "client", "outer to inner", "inner to origin", "origin requests because"
        );
        println!(
            "{:<16} {:>9}  {:>11} {:>10}  {:>11} {:>10}  {:>8} {:>8} {:>8}",
            "per 1,000 client",
            "requests",
            "requests",
            "MB",
            "requests",
            "MB",
            "first",
            "over",
            "unkept"
        );
        let mut all = Line::default();
        for route in ROUTES {
            let line = self.lines.get(route).copied().unwrap_or_default();
            print_line(route, &line);
            all = Line {
                client: all.client.plus(line.client),
                to_inner: all.to_inner.plus(line.to_inner),
                to_origin: all.to_origin.plus(line.to_origin),
                reasons: Reasons {
                    first: all.reasons.first + line.reasons.first,
                    over: all.reasons.over + line.reasons.over,
                    unkept: all.reasons.unkept + line.reasons.unkept,
                },
            };
        }
        print_line("all", &all);
        println!(
            "shown past its end: {}; shown after its deletion and purge: {}",
            self.late, self.after_deletion
        );
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn print_line(name: &str, line: &Line) {
    let thousands = line.client.requests.max(1) as f64 / 1000.0;
    let per = |number: u64| number as f64 / thousands;
    println!(
        "{name:<16} {:>9}  {:>11.1} {:>10.3}  {:>11.2} {:>10.3}  {:>8} {:>8} {:>8}",
        line.client.requests,
        per(line.to_inner.requests),
        per(line.to_inner.bytes) / 1e6,
        per(line.to_origin.requests),
        per(line.to_origin.bytes) / 1e6,
        line.reasons.first,
        line.reasons.over,
        line.reasons.unkept,
    );
}
