//! What may come in: every body is bounded in length, in silence, in time, and in how much of it is held at once; and it is
//! read to its end even when the answer is given early, so that a client in the middle of sending gets to read it.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, HttpBody};
use axum::extract::{Request, State};
use axum::http::header;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use tokio::time::{Instant, Sleep, sleep, timeout};

use crate::config::LimitsConfig;
use crate::state::AppState;

/// How much beyond the largest file is still read: what a form adds, and a file a little too large, whose sender should get
/// to read the answer.
const ALLOWANCE: u64 = 64 * 1024 * 1024;
/// How much may come before the parts of a form that hold no file end. The parser keeps all of it in memory, and searches
/// all of it again whenever more comes.
const FORM_HEAD: i64 = 64 * 1024;
/// The largest piece that a reader gets at once; a quarter of a form's head, so that the end of a head and the begin of a
/// file may share a piece.
const PIECE: usize = 16 * 1024;
/// How long the rest of a body is read for the sake of its sender, once it was answered.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// Puts bounds on the body of a request, and a [`BodyWatch`] into its extensions.
pub(crate) async fn bound_body(State(state): State<AppState>, mut request: Request) -> Request {
    if request.body().is_end_stream() {
        return request;
    }
    let limits = state.pictures.limits();
    let watch = BodyWatch::default();
    request.extensions_mut().insert(watch.clone());
    // A client that asks before it sends must not be told to go on after a refusal.
    let drains = !request.headers().contains_key(header::EXPECT);
    request.map(|body| Body::from_stream(Bounded::new(body, limits, drains, watch)))
}

/// Why a body ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyEnd {
    /// The client sent nothing for too long, or took too long altogether.
    Late,
    /// More came than is read at all.
    TooLong,
    /// A form's headers did not end.
    EndlessHead,
    /// The connection broke, or what came was no HTTP.
    Broken,
}

/// Shared by a body and its reader: the reader says what it expects, the body says why it ended.
#[derive(Debug, Clone)]
pub(crate) struct BodyWatch(Arc<Watched>);

#[derive(Debug)]
struct Watched {
    /// How many bytes may come before the reader says that it takes them off the parser's hands.
    held: AtomicI64,
    end: Mutex<BodyEnd>,
}

impl Default for BodyWatch {
    fn default() -> Self {
        Self(Arc::new(Watched {
            held: AtomicI64::new(i64::MAX),
            end: Mutex::new(BodyEnd::Broken),
        }))
    }
}

impl BodyWatch {
    /// From here on a form's parser keeps what comes.
    pub(crate) fn expect_form_head(&self) {
        self.0.held.store(FORM_HEAD, Ordering::Relaxed);
    }

    /// From here on the reader takes what comes.
    pub(crate) fn expect_content(&self) {
        self.0.held.store(i64::MAX, Ordering::Relaxed);
    }

    /// Why the body ended, once reading it failed.
    pub(crate) fn end(&self) -> BodyEnd {
        *self.0.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end_with(&self, end: BodyEnd) -> io::Error {
        *self.0.end.lock().unwrap_or_else(PoisonError::into_inner) = end;
        io::ErrorKind::Other.into()
    }

    /// False where this many more bytes are more than a parser may keep.
    fn admits(&self, bytes: usize) -> bool {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.0.held.fetch_sub(bytes, Ordering::Relaxed) >= bytes
    }
}

/// A bounded body. It gives its reader a pause after every piece: the form parser takes all that is ready, which could be a
/// whole upload.
struct Bounded {
    /// Absent once it ended.
    body: Option<BodyDataStream>,
    left: u64,
    idle: Duration,
    deadline: Instant,
    silence: Pin<Box<Sleep>>,
    /// What came and was not given on yet.
    pending: BytesMut,
    paused: bool,
    drains: bool,
    watch: BodyWatch,
}

impl Bounded {
    fn new(body: Body, limits: &LimitsConfig, drains: bool, watch: BodyWatch) -> Self {
        Self {
            body: Some(body.into_data_stream()),
            left: limits.max_upload_bytes.saturating_add(ALLOWANCE),
            idle: limits.body_idle_timeout,
            deadline: Instant::now() + limits.body_timeout,
            silence: Box::pin(sleep(limits.body_idle_timeout)),
            pending: BytesMut::new(),
            paused: false,
            drains,
            watch,
        }
    }

    fn fail(&mut self, end: BodyEnd) -> Poll<Option<Result<Bytes, io::Error>>> {
        if end != BodyEnd::EndlessHead {
            self.body = None;
        }
        Poll::Ready(Some(Err(self.watch.end_with(end))))
    }

    /// Gives on a piece of what is pending.
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
        // What is there is taken together: a client may send its bytes in chunks of one, and each piece costs its reader
        // a search or a write.
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
            self.pending.extend_from_slice(&bytes);
        }
        if self.pending.is_empty() {
            return Poll::Ready(None);
        }
        let now = Instant::now();
        if now >= self.deadline {
            return self.fail(BodyEnd::Late);
        }
        let until = self.deadline.min(now + self.idle);
        self.silence.as_mut().reset(until);
        self.piece()
    }
}

impl Drop for Bounded {
    /// Reads on where the reader stopped: a connection that is closed while its client still sends loses the answer.
    fn drop(&mut self) {
        let (Some(mut body), true) = (self.body.take(), self.drains) else {
            return;
        };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let mut left = self.left;
        runtime.spawn(timeout(DRAIN_TIMEOUT, async move {
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

    /// A body of so many chunks of so many bytes each, all there at once.
    fn chunks(count: usize, bytes: usize, watch: &BodyWatch) -> Bounded {
        let chunk = Bytes::from(vec![b'x'; bytes]);
        let chunks = stream::iter((0..count).map(move |_| Ok::<_, io::Error>(chunk.clone())));
        let limits = LimitsConfig::default();
        Bounded::new(Body::from_stream(chunks), &limits, false, watch.clone())
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
