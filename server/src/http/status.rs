//! `/status.json`: what the site did this month, and what that costs.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};

use crate::error::Error;
use crate::state::AppState;
use crate::status::read_status;

/// `GET /status.json`
pub(crate) async fn get_status(State(state): State<AppState>) -> Result<Response, Error> {
    let (status, policy) = read_status(&state).await?;
    Ok((Extension(policy), Json(status)).into_response())
}
