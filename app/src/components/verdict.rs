//! Waits for the verdict on an upload by asking for it again and again, with longer and longer
//! pauses.

use leptos::server_fn::ServerFn;

use super::fetch::{Failure, call, sleep};
use super::picture_card::CardView;
use crate::api::Status;
use crate::error::ApiError;

/// The pause before the first request, in milliseconds. Each pause is half as long again as the one
/// before.
const FIRST_PAUSE_MS: i32 = 800;
/// The longest pause between two requests, in milliseconds.
const LONGEST_PAUSE_MS: i32 = 5_000;

/// Returns the picture once it is published, or the reason why it will not be. It waits for as long
/// as the server says that the picture is being screened, and keeps asking where the server cannot
/// be reached. `on_contact` is called with whether it could be, each time that this changes.
pub(super) async fn verdict(id: &str, on_contact: impl Fn(bool)) -> Result<CardView, ApiError> {
    let form = ["id=", id].concat();
    let mut pause_ms = FIRST_PAUSE_MS;
    let mut has_contact = true;
    loop {
        sleep(pause_ms).await;
        let is_reached = match call(Status::PATH, &form).await {
            Ok(answer) => {
                if let Some(picture) = CardView::from_json(&answer.get("published")) {
                    return Ok(picture);
                }
                true
            }
            Err(Failure::Refused(error)) if !error.code.is_passing() => return Err(error),
            Err(Failure::Refused(_)) => true,
            Err(Failure::Lost | Failure::Stalled) => false,
        };
        if is_reached != has_contact {
            has_contact = is_reached;
            on_contact(is_reached);
        }
        pause_ms = (pause_ms * 3 / 2).min(LONGEST_PAUSE_MS);
    }
}
