//! CattoCDN's server. From the outside in:
//!
//! `http` and `jobs` are what the world and the clock drive; both call the use cases in `pictures`, which know `storage`,
//! `screening`, `imaging` and `db`, and all of those know `domain`, the rules. `views`, `list`, `backend` and `error` turn
//! the domain into what the wire and the pages speak.

pub mod aws;
pub mod clock;
pub mod config;
pub mod db;
pub mod domain;
mod env;
mod error;
pub mod http;
pub mod imaging;
pub mod jobs;
mod list;
pub mod memory;
pub mod pictures;
pub mod screening;
pub mod state;
pub mod storage;
pub mod telemetry;
mod views;
pub mod vision;

mod backend;

use std::future::Future;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;

use crate::jobs::Jobs;
use crate::state::AppState;

/// How long requests under way may take to end after the signal; a little less than platforms wait before they kill.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(25);

/// Serves the site until `shutdown` resolves, then ends what is under way and starts nothing new.
///
/// # Errors
/// When the socket fails.
pub async fn serve(
    listener: TcpListener,
    state: AppState,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let jobs = Jobs::spawn(&state.pictures, &state.clock);
    let (stopping, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = axum::serve(listener, http::router(state)).with_graceful_shutdown(async move {
        shutdown.await;
        tracing::info!("stopping");
        drop(stopping);
    });
    let grace = async {
        // The sender is dropped, never used: an error is the signal.
        let _ = stopped.await;
        tokio::time::sleep(SHUTDOWN_GRACE).await;
    };
    let served = tokio::select! {
        served = server => served.context("the server failed"),
        () = grace => {
            tracing::warn!("some requests did not end in time");
            Ok(())
        }
    };
    jobs.stop().await;
    served
}
