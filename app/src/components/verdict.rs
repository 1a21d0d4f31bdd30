//! Waits for the verdict on an upload by asking for it again and again, with longer and longer
//! pauses.

use leptos::server_fn::ServerFn;

use super::fetch::{call, sleep};
use super::picture_card::CardView;
use crate::api::Status;
use crate::error::ApiError;

/// The pause before the first request, in milliseconds. Each pause is half as long again as the one
/// before.
const FIRST_PAUSE_MS: i32 = 800;
/// The longest pause between two requests, in milliseconds.
const LONGEST_PAUSE_MS: i32 = 5_000;
/// How many requests in a row may fail before waiting is given up.
const PATIENCE: u32 = 8;

/// Returns the picture once it is published, or the reason why it will not be. It waits for as long
/// as the server says that the picture is being screened.
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
