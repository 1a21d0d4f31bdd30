//! Waiting for a verdict on an upload: asks again and again, ever more slowly.

use leptos::server_fn::ServerFn;

use super::fetch::{call, sleep};
use super::picture_card::CardView;
use crate::api::Status;
use crate::error::ApiError;

/// The first and the longest pause between two questions, milliseconds.
const FIRST_PAUSE_MS: i32 = 800;
const LONGEST_PAUSE_MS: i32 = 5_000;
/// So many unanswered questions in a row and we give up.
const PATIENCE: u32 = 8;

/// Returns the picture once it is published, or the reason why it never will be.
pub(super) async fn verdict(id: &str) -> Result<CardView, ApiError> {
    let form = ["id=", id].concat();
    let mut pause_ms = FIRST_PAUSE_MS;
    let mut failures = 0;
    loop {
        sleep(pause_ms).await;
        match call(Status::PATH, &form).await {
            Ok(answer) => {
                if let Some(picture) = CardView::from_json(&answer.get("published")) {
                    return Ok(picture);
                }
                failures = 0;
            }
            Err(error) if error.code.is_passing() && failures < PATIENCE => failures += 1,
            Err(error) => return Err(error),
        }
        pause_ms = (pause_ms * 3 / 2).min(LONGEST_PAUSE_MS);
    }
}
