//! Waiting for a verdict on an upload: asks again and again, ever more slowly.

use js_sys::Promise;
use wasm_bindgen_futures::JsFuture;

use crate::api::status;
use crate::components::picture_card::CardView;
use crate::error::ApiError;

/// The first and the longest pause between two questions, milliseconds.
const FIRST_PAUSE_MS: i32 = 800;
const LONGEST_PAUSE_MS: i32 = 5_000;
/// So many unanswered questions in a row and we give up.
const PATIENCE: u32 = 8;

/// Returns the picture once it is published, or the reason why it never will be.
pub(super) async fn verdict(id: &str) -> Result<CardView, ApiError> {
    let mut pause_ms = FIRST_PAUSE_MS;
    let mut failures = 0;
    loop {
        sleep(pause_ms).await;
        match status(id.to_owned()).await {
            Ok(answer) => {
                if let Some(picture) = answer.published {
                    return Ok(picture);
                }
                failures = 0;
            }
            Err(failure) if failure.error.code.is_passing() && failures < PATIENCE => failures += 1,
            Err(failure) => return Err(failure.error),
        }
        pause_ms = (pause_ms * 3 / 2).min(LONGEST_PAUSE_MS);
    }
}

async fn sleep(pause_ms: i32) {
    let timer = Promise::new(&mut |resolve, _| {
        // Without a timer the promise never resolves, which is also a way to wait.
        let _ = leptos::prelude::window()
            .set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, pause_ms);
    });
    let _ = JsFuture::from(timer).await;
}
