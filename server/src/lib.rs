//! CattoCDN's server, described from the outside in.
//!
//! Requests drive `http`, and time drives `jobs`. Both call the use cases in `pictures`, which know
//! `storage`, `screening`, `cdn`, `db`, `costs` and the crate `imaging`, and all of those know the
//! rules in `domain`. `builds` keeps the files that browsers load, and `costs` knows what is spent.
//! `site` puts all of it together from `config`, and `runtime` is what everything builds on.
//! `doctor` stands apart: it checks what the configuration names.

// First, because the others use its macro.
#[macro_use]
mod complete;

pub mod aws;
pub mod builds;
pub mod cdn;
pub mod config;
pub mod costs;
pub mod db;
pub mod doctor;
pub mod domain;
pub mod http;
pub mod jobs;
pub mod pictures;
pub mod runtime;
pub mod screening;
pub mod site;
pub mod storage;

use std::future::Future;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::http::state::AppState;
use crate::jobs::Jobs;

/// How long requests under way may take to end after the signal, and after that the pictures that
/// are being worked on. `fly.toml` waits for both before it kills the process.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(25);

/// Serves the site until `shutdown` resolves. Then it starts nothing new, answers those who wait
/// for a verdict that they should ask again, and waits for what is under way.
pub async fn serve(listener: TcpListener, state: AppState, shutdown: impl Future<Output = ()>) {
    let jobs = Jobs::spawn(&state.work());
    let giving_back = tokio::spawn(runtime::allocator::keep_giving_back());
    let (reading, index) = (state.pictures.reading.clone(), state.index.clone());
    let traffic = state.traffic.clone();
    let stop = async {
        shutdown.await;
        tracing::info!("stopping");
        jobs.start_nothing_new();
        reading.stop_waiting();
    };
    let peers = http::client::peers(&state.origin);
    let readers = state.answers.readers();
    let router = http::router(state);
    if !http::connections::serve(listener, router, peers, readers, stop, SHUTDOWN_GRACE).await {
        tracing::warn!("some requests did not end in time");
    }
    giving_back.abort();
    if tokio::time::timeout(SHUTDOWN_GRACE, jobs.stop())
        .await
        .is_err()
    {
        tracing::warn!("a picture was not finished in time; it waits for the next start");
    }
    if let Err(error) = traffic.save(&index).await {
        tracing::warn!(
            error = runtime::causes::chain(&error),
            "what was counted is not saved"
        );
    }
    index.close().await;
    tracing::info!("stopped");
}
