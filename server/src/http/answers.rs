//! Bounds what all answers together may hold in memory: how many are made at the same time, and how
//! many bytes wait for their readers. An answer that finds no room waits a little and is then
//! refused with 503.

use std::sync::Arc;
use std::time::Duration;

use app::error::{ApiError, ErrorCode};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use crate::http::error::Error;
use crate::http::handling::{Handling, Takes, is_for_machines};
use crate::http::held;
use crate::http::readers::Readers;

/// How many pages and lists are made at the same time. It is more than the searches that may run
/// and wait, so that searches never take all of them.
const MADE_AT_ONCE: usize = 16;
/// The most bytes of all answers that wait for their readers.
const HELD_BYTES: usize = 24 * 1024 * 1024;
/// How many bytes one permit stands for.
const UNIT: usize = 1024;
/// How long an answer waits for room before the slowest reader is called off, and after that before
/// the next one is.
const PATIENCE_WITH_SLOW: Duration = Duration::from_millis(500);
/// How long an answer waits for its turn, or for room.
const PATIENCE: Duration = Duration::from_secs(10);
/// When a refused client should try again. By then the slowest readers of this moment are finished
/// or were called off.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// The limits that all answers share.
pub struct Answers {
    turns: Arc<Semaphore>,
    room: Arc<Semaphore>,
    readers: Arc<Readers>,
}

impl Default for Answers {
    fn default() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(MADE_AT_ONCE)),
            room: Arc::new(Semaphore::new(HELD_BYTES / UNIT)),
            readers: Arc::default(),
        }
    }
}

/// The permit to make an answer. The answer keeps it until its bytes have room.
#[derive(Clone)]
pub(crate) struct Turn {
    _turn: Arc<OwnedSemaphorePermit>,
}

/// Room for the bytes of one answer or of a piece of it.
pub(crate) struct Room {
    _room: OwnedSemaphorePermit,
}

impl Answers {
    /// Waits for a turn. At most as many requests wait as there are connections.
    ///
    /// # Errors
    /// `storage-unavailable` where no turn came in time.
    pub(crate) async fn turn(&self) -> Result<Turn, Error> {
        match timeout(PATIENCE, self.turns.clone().acquire_owned()).await {
            Ok(Ok(turn)) => Ok(Turn {
                _turn: Arc::new(turn),
            }),
            _ => Err(crowded()),
        }
    }

    /// The readers for whom answers wait.
    pub(crate) fn readers(&self) -> Arc<Readers> {
        self.readers.clone()
    }

    /// Waits for room for this many bytes. The slowest readers are called off to make it.
    ///
    /// # Errors
    /// `storage-unavailable` where readers that are fast enough hold all of the room for too long.
    pub(crate) async fn room(&self, bytes: usize) -> Result<Room, Error> {
        let units = bytes.div_ceil(UNIT).min(HELD_BYTES / UNIT);
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let room = self.room.clone().acquire_many_owned(units);
        tokio::pin!(room);
        let wait = async {
            loop {
                tokio::select! {
                    biased;
                    room = &mut room => return room,
                    () = sleep(PATIENCE_WITH_SLOW) => {
                        self.readers.call_off_slowest();
                    }
                }
            }
        };
        match timeout(PATIENCE, wait).await {
            Ok(Ok(room)) => Ok(Room { _room: room }),
            _ => Err(crowded()),
        }
    }
}

impl Room {
    /// Ties this room to the bytes. It is free again once nobody holds them any more.
    pub(crate) fn keep(self, bytes: Bytes) -> Bytes {
        held::bytes_with(bytes, self)
    }
}

fn crowded() -> Error {
    Error::new(
        ErrorCode::StorageUnavailable,
        "The site is very busy right now. Please try again in a few seconds.",
    )
    .retry_after(AGAIN_AFTER)
}

/// Makes a request wait for its turn. Uploads have turns of their own; only where the answer to one
/// is a page does it take one of these as well.
pub(crate) async fn take_turn(
    State(answers): State<Arc<Answers>>,
    request: Request,
    next: Next,
) -> Response {
    let handling = Handling::of(&request);
    if handling.is_cheap || handling.takes(request.method()) == Takes::Upload {
        return next.run(request).await;
    }
    let wants_page = accepts_html(request.headers()) && !is_for_machines(request.uri().path());
    match answers.turn().await {
        Ok(turn) => {
            let mut answer = next.run(request).await;
            answer.extensions_mut().insert(turn);
            answer
        }
        Err(error) if wants_page => plain_page(&error.0),
        Err(error) => error.into_response(),
    }
}

/// True for a request that asks for a page, as browsers do.
pub(crate) fn accepts_html(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.contains("text/html"))
}

/// A plain page for an error, where there is no turn to render a proper one.
pub(crate) fn plain_page(error: &ApiError) -> Response {
    let title = error.code.title();
    let text = format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title></head>\
         <body><h1>{title}</h1><p>{}</p></body></html>",
        html_escape::encode_text(&error.message)
    );
    let status =
        StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut page = (status, Html(text)).into_response();
    if let Some(seconds) = error.retry_after() {
        page.headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    page
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn bytes_take_room_until_their_last_reader_has_them() {
        let answers = Answers::default();
        let all = answers.room.available_permits();
        let room = answers.room(UNIT + 1).await.expect("there is room");
        let bytes = room.keep(Bytes::from(vec![b'x'; UNIT + 1]));
        let slice = bytes.slice(..1);
        drop(bytes);
        assert_eq!(answers.room.available_permits(), all - 2);
        drop(slice);
        assert_eq!(answers.room.available_permits(), all);
    }

    #[tokio::test]
    async fn what_is_larger_than_all_room_waits_for_all_of_it_and_not_for_ever() {
        let answers = Answers::default();
        assert!(answers.room(HELD_BYTES * 2).await.is_ok());
    }

    #[tokio::test]
    async fn who_finds_all_turns_taken_waits_for_one() {
        let answers = Answers::default();
        let made = join_all((0..MADE_AT_ONCE).map(|_| answers.turn())).await;
        assert!(made.iter().all(Result::is_ok));
        let mut next = Box::pin(answers.turn());
        assert!(futures_util::poll!(next.as_mut()).is_pending());
        drop(made);
        assert!(next.await.is_ok());
    }
}
