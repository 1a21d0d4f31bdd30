//! `/healthz`: the process is alive. `/readyz`: index, storage and models can be used.

use app::error::ErrorCode;
use axum::extract::State;

use crate::http::error::Error;
use crate::http::state::AppState;

pub(crate) async fn alive() -> &'static str {
    "ok\n"
}

pub(crate) async fn ready(State(state): State<AppState>) -> Result<&'static str, Error> {
    match state.pictures.check().await {
        Ok(()) => Ok("ready\n"),
        Err(error) => {
            tracing::warn!(error = format!("{error:#}"), "not ready");
            Err(Error::new(
                ErrorCode::StorageUnavailable,
                "A part of the site is not available. Its log says which one.",
            ))
        }
    }
}
