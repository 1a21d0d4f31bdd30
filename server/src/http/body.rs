//! Bounds what comes in. Each route declares what body it takes, and all other routes take none.
//! Every body is bounded in length, silence, speed, total time, and in how much of it is held at
//! the same time. It is read to its end even where the answer is given early, so that a client
//! which is still sending gets to read it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use app::error::ErrorCode;
use axum::body::{Body, BodyDataStream, HttpBody};
use axum::extract::{Request, State};
use axum::http::{Extensions, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::{Instant, Sleep, sleep, timeout};

use crate::config::LimitsConfig;
use crate::http::error::Error;
use crate::http::handling::{Handling, Takes};

/// How many bytes beyond the largest file are still read: what a form adds, and a file that is a
/// little too large, so that its sender gets to read the answer.
const ALLOWANCE: u64 = 64 * 1024 * 1024;
/// The longest body that asks for the status of an upload, in bytes: a form with one field, an id
/// of 16 characters.
pub(crate) const STATUS_FORM: u64 = 1024;
/// How many bytes are read and discarded of a body that is larger than its route takes. Uploads
/// have [`ALLOWANCE`].
const SMALL_ALLOWANCE: u64 = 256 * 1024;
/// How long a body that is no upload may take.
const SMALL_TIMEOUT: Duration = Duration::from_secs(10);
/// How many bytes may come before the parts of a form that hold no file end. The parser keeps all
/// of them in memory, and searches them again whenever more come.
const FORM_HEAD: i64 = 64 * 1024;
/// The largest piece that a reader gets, in bytes. It is a quarter of [`FORM_HEAD`], so that the
/// end of a form's head and the beginning of a file may share a piece.
const PIECE: usize = 16 * 1024;
/// The average speed that a body must keep, in bytes per second. It is a tenth of what a phone
/// reaches in a bad place.
const LEAST_SPEED: u64 = 4096;
/// How long a body may be slower than that at its beginning.
const SPEED_GRACE: Duration = Duration::from_secs(30);
/// How long the rest of a body is read for its sender's sake, once it was answered.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// How many rests are read at the same time. Where there are more, their connections are closed.
const MAX_DRAINS: usize = 32;

static DRAINS: Semaphore = Semaphore::const_new(MAX_DRAINS);

/// Bounds the body of a request, and puts a [`BodyWatch`] into the request's extensions where it is
/// an upload. A body that is too large for its route is refused before a handler reads it, and one
/// that its route does not take is discarded.
pub(crate) async fn bound_body(
    State(limits): State<Arc<LimitsConfig>>,
    mut request: Request,
    next: Next,
) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let limits = &*limits;
    // Where a client sent `Expect`, reading the rest would tell it to continue after a refusal.
    let drains = !request.headers().contains_key(header::EXPECT);
    let watch = BodyWatch::default();
    match Handling::of(&request).takes(request.method()) {
        Takes::Upload => {
            request.extensions_mut().insert(watch.clone());
            let bounds = Bounds::of_upload(limits);
            next.run(
                request.map(|body| Body::from_stream(Bounded::new(body, &bounds, drains, watch))),
            )
            .await
        }
        Takes::AtMost(bytes) => {
            let (parts, body) = request.into_parts();
            let announced = body.size_hint().lower();
            let bounds = Bounds::of_small(bytes, limits);
            let body = Bounded::new(body, &bounds, drains, watch.clone());
            match body.read_whole(announced, bytes).await {
                Ok(body) => next.run(Request::from_parts(parts, body.into())).await,
                Err(()) => refusal(watch.end(), bytes).into_response(),
            }
        }
        Takes::Nothing => {
            let (parts, body) = request.into_parts();
            // Dropping it reads on for a while, so that the sender gets to read the answer.
            drop(Bounded::new(
                body,
                &Bounds::of_small(0, limits),
                drains,
                watch,
            ));
            next.run(Request::from_parts(parts, Body::empty())).await
        }
    }
}

/// The error for a body that is no upload and was not taken.
fn refusal(end: BodyEnd, most: u64) -> Error {
    match end {
        BodyEnd::TooLong | BodyEnd::EndlessHead => Error::new(
            ErrorCode::TooLarge,
            match most {
                0 => "This address takes no request body. Please send the request without one."
                    .to_owned(),
                _ => format!("This address takes at most {most} bytes. Please send less."),
            },
        ),
        BodyEnd::Late => Error::new(
            ErrorCode::Timeout,
            "The rest of the request did not arrive in time. Please send it again.",
        ),
        BodyEnd::Broken => Error::new(
            ErrorCode::Malformed,
            "The request ended before all of it had arrived. Please send it again.",
        ),
    }
}

/// How long a body may be, and how long it may take.
struct Bounds {
    /// The most bytes that a reader is given.
    most: u64,
    /// How many further bytes are read and discarded.
    allowance: u64,
    /// How long nothing may come.
    idle: Duration,
    whole: Duration,
}

impl Bounds {
    fn of_upload(limits: &LimitsConfig) -> Self {
        Self {
            most: limits.max_upload_bytes.saturating_add(ALLOWANCE),
            allowance: 0,
            idle: limits.body_idle_timeout,
            whole: limits.body_timeout,
        }
    }

    fn of_small(most: u64, limits: &LimitsConfig) -> Self {
        Self {
            most,
            allowance: SMALL_ALLOWANCE,
            idle: limits.body_idle_timeout,
            whole: SMALL_TIMEOUT,
        }
    }
}

/// Why a body ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyEnd {
    /// The client sent nothing for too long, or took too long altogether.
    Late,
    /// More came than is read at all.
    TooLong,
    /// The head of a form did not end.
    EndlessHead,
    /// The connection broke, or what came was no valid HTTP.
    Broken,
}

/// Shared by a body and its reader. The reader says what it expects, and the body says why it
/// ended.
#[derive(Debug, Clone)]
pub(crate) struct BodyWatch(Arc<Watched>);

#[derive(Debug)]
struct Watched {
    /// How many more bytes may come before the reader says that the parser does not have to keep
    /// them.
    held: AtomicI64,
    end: Mutex<BodyEnd>,
    /// Whether the rest is left unread.
    given_up: AtomicBool,
}

impl Default for BodyWatch {
    fn default() -> Self {
        Self(Arc::new(Watched {
            held: AtomicI64::new(i64::MAX),
            end: Mutex::new(BodyEnd::Broken),
            given_up: AtomicBool::new(false),
        }))
    }
}

impl BodyWatch {
    /// The watch over the body of the request with these extensions. An empty body has none, and
    /// needs none.
    pub(crate) fn of(extensions: &Extensions) -> Self {
        extensions.get::<Self>().cloned().unwrap_or_default()
    }

    /// Says that from now on a form's parser keeps what comes.
    pub(crate) fn expect_form_head(&self) {
        self.0.held.store(FORM_HEAD, Ordering::Relaxed);
    }

    /// Says that from now on the reader takes what comes.
    pub(crate) fn expect_content(&self) {
        self.0.held.store(i64::MAX, Ordering::Relaxed);
    }

    /// Says that nobody waits for this sender any more, so that the rest of its body is not read.
    pub(crate) fn give_up(&self) {
        self.0.given_up.store(true, Ordering::Relaxed);
    }

    /// Why the body ended, once reading it failed.
    pub(crate) fn end(&self) -> BodyEnd {
        *self.0.end.lock()
    }

    fn end_with(&self, end: BodyEnd) -> io::Error {
        *self.0.end.lock() = end;
        io::ErrorKind::Other.into()
    }

    /// False where the parser would have to keep too much with this many more bytes.
    fn admits(&self, bytes: usize) -> bool {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.0.held.fetch_sub(bytes, Ordering::Relaxed) >= bytes
    }
}

/// A body within bounds. It pauses after every piece, because the form parser takes all that is
/// ready, which could be a whole upload.
struct Bounded {
    /// The body; `None` once it has ended.
    body: Option<BodyDataStream>,
    left: u64,
    /// How many bytes may be discarded beyond `left`.
    allowance: u64,
    received: u64,
    idle: Duration,
    begun: Instant,
    deadline: Instant,
    silence: Pin<Box<Sleep>>,
    /// Bytes that came and were not passed on yet.
    pending: BytesMut,
    paused: bool,
    drains: bool,
    watch: BodyWatch,
}

impl Bounded {
    fn new(body: Body, bounds: &Bounds, drains: bool, watch: BodyWatch) -> Self {
        let begun = Instant::now();
        Self {
            body: Some(body.into_data_stream()),
            left: bounds.most,
            allowance: bounds.allowance,
            received: 0,
            idle: bounds.idle,
            begun,
            deadline: begun + bounds.whole,
            silence: Box::pin(sleep(bounds.idle.min(bounds.whole))),
            pending: BytesMut::new(),
            paused: false,
            drains,
            watch,
        }
    }

    /// Reads the whole body, for which the client announced at least `announced` bytes. Where that
    /// fails, the watch says why.
    async fn read_whole(mut self, announced: u64, most: u64) -> Result<Bytes, ()> {
        if announced > most {
            self.watch.end_with(BodyEnd::TooLong);
            return Err(());
        }
        let mut whole = BytesMut::new();
        while let Some(piece) = self.next().await {
            whole.extend_from_slice(&piece.map_err(|_| ())?);
        }
        Ok(whole.freeze())
    }

    fn fail(&mut self, end: BodyEnd) -> Poll<Option<Result<Bytes, io::Error>>> {
        if matches!(end, BodyEnd::Late | BodyEnd::Broken) {
            self.body = None;
        }
        Poll::Ready(Some(Err(self.watch.end_with(end))))
    }

    /// Passes on a piece of what is pending.
    fn piece(&mut self) -> Poll<Option<Result<Bytes, io::Error>>> {
        let length = self.pending.len().min(PIECE);
        let piece = self.pending.split_to(length).freeze();
        if !self.watch.admits(piece.len()) {
            return self.fail(BodyEnd::EndlessHead);
        }
        self.paused = true;
        Poll::Ready(Some(Ok(piece)))
    }
}

impl Stream for Bounded {
    type Item = Result<Bytes, io::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.paused) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        // Everything that is ready is joined. A client may send its bytes in chunks of one, and
        // each piece costs its reader a search or a write.
        while self.pending.len() < PIECE {
            let Some(body) = &mut self.body else { break };
            let bytes = match Pin::new(body).poll_next(context) {
                Poll::Ready(Some(Ok(bytes))) => bytes,
                Poll::Ready(Some(Err(_))) => return self.fail(BodyEnd::Broken),
                Poll::Ready(None) => {
                    self.body = None;
                    break;
                }
                Poll::Pending if self.pending.is_empty() => {
                    ready!(self.silence.as_mut().poll(context));
                    return self.fail(BodyEnd::Late);
                }
                Poll::Pending => break,
            };
            let Some(left) = self.left.checked_sub(bytes.len() as u64) else {
                return self.fail(BodyEnd::TooLong);
            };
            self.left = left;
            self.received += bytes.len() as u64;
            self.pending.extend_from_slice(&bytes);
        }
        if self.pending.is_empty() {
            return Poll::Ready(None);
        }
        let now = Instant::now();
        if now >= self.deadline {
            return self.fail(BodyEnd::Late);
        }
        let until = (now + self.idle)
            .min(self.deadline)
            .min(self.begun + time_for(self.received));
        self.silence.as_mut().reset(until);
        self.piece()
    }
}

/// How long after its beginning a body of which this many bytes came is waited for.
fn time_for(bytes: u64) -> Duration {
    SPEED_GRACE + Duration::from_millis(bytes * 1000 / LEAST_SPEED)
}

impl Drop for Bounded {
    /// Reads on where the reader stopped, because the answer is lost where a connection is closed
    /// while its client still sends.
    fn drop(&mut self) {
        let drains = self.drains && !self.watch.0.given_up.load(Ordering::Relaxed);
        let (Some(mut body), true) = (self.body.take(), drains) else {
            return;
        };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let Ok(turn) = DRAINS.try_acquire() else {
            return;
        };
        let mut left = self.left.saturating_add(self.allowance);
        runtime.spawn(timeout(DRAIN_TIMEOUT, async move {
            let _turn = turn;
            while let Some(Ok(bytes)) = body.next().await {
                match left.checked_sub(bytes.len() as u64) {
                    Some(rest) => left = rest,
                    None => break,
                }
            }
        }));
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    /// A body of this many chunks of this many bytes each, all of them ready.
    fn chunks(count: usize, bytes: usize, watch: &BodyWatch) -> Bounded {
        let chunk = Bytes::from(vec![b'x'; bytes]);
        let chunks = stream::iter((0..count).map(move |_| Ok::<_, io::Error>(chunk.clone())));
        let bounds = Bounds::of_upload(&LimitsConfig::default());
        Bounded::new(Body::from_stream(chunks), &bounds, false, watch.clone())
    }

    async fn sizes(body: Bounded) -> Vec<Result<usize, io::ErrorKind>> {
        body.map(|piece| piece.map(|bytes| bytes.len()).map_err(|error| error.kind()))
            .collect()
            .await
    }

    #[tokio::test]
    async fn chunks_of_one_byte_reach_the_reader_in_whole_pieces_and_large_ones_are_cut() {
        for (count, bytes) in [(4 * PIECE, 1), (4, PIECE), (1, 4 * PIECE)] {
            let pieces = sizes(chunks(count, bytes, &BodyWatch::default())).await;
            assert_eq!(pieces, [Ok(PIECE); 4], "{count} chunks of {bytes}");
        }
    }

    #[test]
    fn a_body_must_keep_up_with_the_least_speed_but_for_its_begin() {
        assert_eq!(time_for(1), SPEED_GRACE);
        // Five megabytes at 50 kB/s take 100 s.
        assert!(time_for(5_000_000) > Duration::from_secs(1000));
        // One byte every fifteen seconds.
        assert!(time_for(3) < Duration::from_secs(3 * 15));
    }

    #[tokio::test]
    async fn a_parser_is_given_no_more_than_it_may_keep_until_the_reader_takes_over() {
        let head = usize::try_from(FORM_HEAD).expect("fits");
        let watch = BodyWatch::default();
        watch.expect_form_head();
        let pieces = sizes(chunks(head + 1, 1, &watch)).await;
        let given: usize = pieces.iter().flatten().sum();
        assert_eq!(given, head);
        assert_eq!(pieces.last(), Some(&Err(io::ErrorKind::Other)));
        assert_eq!(watch.end(), BodyEnd::EndlessHead);

        let watch = BodyWatch::default();
        watch.expect_form_head();
        let mut body = chunks(head + 1, 1, &watch);
        assert!(body.next().await.is_some_and(|piece| piece.is_ok()));
        watch.expect_content();
        assert!(sizes(body).await.iter().all(Result::is_ok));
    }
}
