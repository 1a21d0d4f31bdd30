//! What answers may hold in memory, all together: how many are made at once, and how many bytes wait for their readers.
//! What finds no room waits a little, and is then refused with 503.

use std::sync::Arc;
use std::time::Duration;

use app::error::ErrorCode;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use crate::error::Error;
use crate::http::pages::accepts_html;
use crate::http::readers::Readers;
use crate::state::AppState;

/// So many pages and lists are made at once. More than the searches that may run and wait, so that these never take all.
const MADE_AT_ONCE: usize = 16;
/// So many more wait for that.
const MAX_WAITING: usize = 512;
/// Bytes of answers that wait for their readers, all together.
const HELD_BYTES: usize = 24 * 1024 * 1024;
/// A permit stands for so many of them.
const UNIT: usize = 1024;
/// How long an answer waits for room before the slowest reader is called off, and then before the next is.
const PATIENCE_WITH_SLOW: Duration = Duration::from_millis(500);
/// How long an answer waits for its turn, or for room.
const PATIENCE: Duration = Duration::from_secs(10);
/// When to ask again: by then the slowest readers of now are through, or given up.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// Paths whose answers need no turn: files that are read in pieces, and words that cost nothing.
const CHEAP_PATHS: [&str; 7] = [
    "/i/",
    "/pkg/",
    "/favicon.svg",
    "/robots.txt",
    "/.well-known/",
    "/healthz",
    "/readyz",
];

/// What all answers share.
pub struct Answers {
    turns: Arc<Semaphore>,
    queue: Semaphore,
    room: Arc<Semaphore>,
    readers: Arc<Readers>,
}

impl Default for Answers {
    fn default() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(MADE_AT_ONCE)),
            queue: Semaphore::new(MAX_WAITING),
            room: Arc::new(Semaphore::new(HELD_BYTES / UNIT)),
            readers: Arc::default(),
        }
    }
}

/// The right to make an answer. It goes with the answer until its bytes have room.
#[derive(Clone)]
pub(crate) struct Turn {
    _turn: Arc<OwnedSemaphorePermit>,
}

/// Room for the bytes of one answer, or of a piece of it.
pub(crate) struct Room {
    _room: OwnedSemaphorePermit,
}

/// Bytes that give their room back when their reader has them.
struct Roomed {
    bytes: Bytes,
    _room: Room,
}

impl AsRef<[u8]> for Roomed {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Answers {
    /// Waits for a turn.
    async fn turn(&self) -> Result<Turn, Error> {
        let Ok(_place) = self.queue.try_acquire() else {
            return Err(crowded());
        };
        match timeout(PATIENCE, self.turns.clone().acquire_owned()).await {
            Ok(Ok(turn)) => Ok(Turn {
                _turn: Arc::new(turn),
            }),
            _ => Err(crowded()),
        }
    }

    /// Those for whom answers wait.
    pub(crate) fn readers(&self) -> Arc<Readers> {
        self.readers.clone()
    }

    /// Waits for room for so many bytes. The slowest readers make it.
    ///
    /// # Errors
    /// `storage-unavailable` where many readers that are fast enough hold all of it.
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
    /// The bytes, which take this room as long as anybody has them.
    pub(crate) fn keep(self, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Roomed { bytes, _room: self })
    }
}

fn crowded() -> Error {
    Error::new(
        ErrorCode::StorageUnavailable,
        "Many visitors are here at this moment. Please try again in a few seconds.",
    )
    .retry_after(AGAIN_AFTER)
}

/// Has an answer wait for its turn to be made. Uploads have turns of their own.
pub(crate) async fn take_turn(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if !reads || CHEAP_PATHS.iter().any(|cheap| path.starts_with(cheap)) {
        return next.run(request).await;
    }
    let wants_page = accepts_html(request.headers()) && !path.starts_with("/api/");
    match state.answers.turn().await {
        Ok(turn) => {
            let mut answer = next.run(request).await;
            answer.extensions_mut().insert(turn);
            answer
        }
        Err(error) if wants_page => plain_page(error),
        Err(error) => error.into_response(),
    }
}

/// An error in words where there is no time to make a page of it.
fn plain_page(error: Error) -> Response {
    let title = error.0.code.title();
    let text = format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title></head>\
         <body><h1>{title}</h1><p>{}</p></body></html>",
        html_escape::encode_text(&error.0.message)
    );
    let seconds = error.0.retry_after().unwrap_or_default();
    (
        StatusCode::SERVICE_UNAVAILABLE,
        [(header::RETRY_AFTER, seconds.to_string())],
        Html(text),
    )
        .into_response()
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
    async fn who_comes_when_too_many_wait_is_told_at_once_when_to_come_again() {
        let answers = Answers::default();
        let made = join_all((0..MADE_AT_ONCE).map(|_| answers.turn())).await;
        assert!(made.iter().all(Result::is_ok));
        let waiting = answers
            .queue
            .acquire_many(u32::try_from(MAX_WAITING).expect("fits"))
            .await;
        let refused = answers.turn().await.err().expect("is refused");
        assert_eq!(refused.0.retry_after(), Some(5));
        drop((made, waiting));
        assert!(answers.turn().await.is_ok());
    }
}
