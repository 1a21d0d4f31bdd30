//! The background loops: workers that screen pictures, the sweeper, the keeper of builds, one loop
//! for each purge target, one that saves the traffic counts, and one that probes the site. All of
//! them can be stopped without losing anything.

pub(crate) mod self_probe;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::builds::Builds;
use crate::costs::traffic::{self, Traffic};
use crate::db::Db;
use crate::domain::purge::PurgeTarget;
use crate::jobs::self_probe::SelfProbe;
use crate::pictures::{Endings, MIN_WORKERS, Pictures, Purging, Reading, Screening};
use crate::runtime::causes::chain;
use crate::runtime::clock::Clock;

/// How often the loops look for what was postponed or was queued by another process.
const RECHECK: Duration = Duration::from_secs(2);
/// The longest pause of the sweeper.
const SWEEP_AT_LEAST_EVERY: Duration = Duration::from_secs(60);
/// The sweeper's pause after a failure.
const SWEEP_AGAIN_AFTER: Duration = Duration::from_secs(10);
/// The shortest pause of the sweeper, so that it does not spin where something cannot be deleted.
const SWEEP_AT_MOST_EVERY: Duration = Duration::from_millis(500);

/// The most workers, however many processors there are, because each may hold the files of a
/// picture.
const MAX_WORKERS: usize = 4;

/// What the loops work on.
pub struct Work {
    pub pictures: Arc<Pictures>,
    /// The index, for the counts in it that are not about pictures.
    pub index: Db,
    pub builds: Arc<Builds>,
    pub traffic: Arc<Traffic>,
    pub self_probe: Arc<SelfProbe>,
    pub clock: Clock,
}

/// The running loops.
pub struct Jobs {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Jobs {
    /// Starts one worker for each processor, but at least [`MIN_WORKERS`] and at most
    /// [`MAX_WORKERS`], and one loop for each other task.
    #[must_use]
    pub fn spawn(work: &Work) -> Self {
        let pictures = &work.pictures;
        let jobs = Self {
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let least = usize::from(MIN_WORKERS);
        let workers = std::thread::available_parallelism()
            .map_or(least, |number| number.get().clamp(least, MAX_WORKERS));
        for _ in 0..workers {
            jobs.tasks.spawn(screen(
                pictures.screening.clone(),
                pictures.reading.changes(),
                jobs.stop.clone(),
            ));
        }
        jobs.tasks.spawn(sweep(
            pictures.endings.clone(),
            work.clock.clone(),
            pictures.reading.changes(),
            jobs.stop.clone(),
        ));
        jobs.tasks
            .spawn(keep_builds(work.builds.clone(), jobs.stop.clone()));
        jobs.tasks.spawn(save_traffic(
            work.traffic.clone(),
            work.index.clone(),
            jobs.stop.clone(),
        ));
        if work.self_probe.is_on() {
            jobs.tasks.spawn(look_at_self(
                work.self_probe.clone(),
                pictures.reading.clone(),
                work.clock.clone(),
                jobs.stop.clone(),
            ));
        }
        for target in pictures.purging.purge_targets() {
            jobs.tasks.spawn(purge(
                pictures.purging.clone(),
                target,
                pictures.reading.changes(),
                jobs.stop.clone(),
            ));
        }
        jobs
    }

    /// Starts nothing new. What is under way goes on.
    pub fn start_nothing_new(&self) {
        self.stop.cancel();
    }

    /// Starts nothing new, and waits for what is under way.
    pub async fn stop(self) {
        self.start_nothing_new();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

async fn screen(
    screening: Arc<Screening>,
    mut changes: watch::Receiver<u64>,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        changes.mark_unchanged();
        match screening.screen_next().await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::error!(error = chain(&error), "the index failed a worker"),
        }
        tokio::select! {
            () = stop.cancelled() => {}
            _ = tokio::time::timeout(RECHECK, changes.changed()) => {}
        }
    }
}

async fn purge(
    purging: Arc<Purging>,
    target: PurgeTarget,
    mut changes: watch::Receiver<u64>,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        changes.mark_unchanged();
        match purging.purge_next(target).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::error!(
                error = format!("{error:#}"),
                "the index failed the purging of caches"
            ),
        }
        tokio::select! {
            () = stop.cancelled() => {}
            _ = tokio::time::timeout(RECHECK, changes.changed()) => {}
        }
    }
}

async fn sweep(
    endings: Arc<Endings>,
    clock: Clock,
    mut changes: watch::Receiver<u64>,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        changes.mark_unchanged();
        let swept = endings.expire().await;
        if let Err(error) = &swept {
            tracing::error!(
                error = format!("{error:#}"),
                "the sweeper failed; it tries again"
            );
        }
        let next = match endings.next_expiry().await {
            Ok(next) => next,
            Err(error) => {
                tracing::error!(error = chain(&error), "the index failed the sweeper");
                None
            }
        };
        let pause = next
            .map_or(SWEEP_AT_LEAST_EVERY, |next| {
                Duration::from_secs(next.seconds_left(clock.now()))
            })
            .clamp(SWEEP_AT_MOST_EVERY, SWEEP_AT_LEAST_EVERY);
        let pause = if swept.is_ok() {
            pause
        } else {
            SWEEP_AGAIN_AFTER
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(SWEEP_AT_MOST_EVERY) => {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(pause.saturating_sub(SWEEP_AT_MOST_EVERY)) => {}
                    _ = changes.changed() => {}
                }
            }
        }
    }
}

/// Stores the files of this build where that failed at the start, and deletes the files of builds
/// that are no longer served.
async fn keep_builds(builds: Arc<Builds>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(builds.pause()) => {}
        }
        if let Err(error) = builds.keep().await {
            tracing::warn!(
                error = format!("{error:#}"),
                "the files of this build could not be kept; they will be later"
            );
        }
    }
}

/// Adds the traffic counts to the index at regular intervals. `serve` adds the last of them once
/// all requests have ended.
async fn save_traffic(traffic: Arc<Traffic>, index: Db, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(traffic::SAVE_EVERY) => {}
        }
        if let Err(error) = traffic.save(&index).await {
            tracing::warn!(error = chain(&error), "what was counted is not saved yet");
        }
    }
}

/// Probes this site from outside at regular intervals.
async fn look_at_self(
    self_probe: Arc<SelfProbe>,
    reading: Arc<Reading>,
    clock: Clock,
    stop: CancellationToken,
) {
    let mut pause = self_probe::FIRST_AFTER;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = self_probe.probe_site(&reading, &clock) => {}
        }
        pause = self_probe::EVERY;
    }
}
