//! What may come in: every body is bounded in length, in silence, and in how much of it is held at once.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::{Request, State};
use axum::http::header;
use bytes::Bytes;
use futures_util::Stream;
use tokio::time::{Sleep, sleep};

use crate::state::AppState;

/// How much of a form beyond the largest file is still read: what a form adds, and a file a little too large, whose sender
/// should get to read the answer.
const FORM_ALLOWANCE: u64 = 4 * 1024 * 1024;
/// The same for a bare file. It costs no memory, so it may be generous.
const FILE_ALLOWANCE: u64 = 64 * 1024 * 1024;

/// Puts bounds on the body of every request.
pub(crate) async fn bound_body(State(state): State<AppState>, request: Request) -> Request {
    let is_form = request
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| {
            value
                .as_bytes()
                .to_ascii_lowercase()
                .starts_with(b"multipart/")
        });
    let allowance = if is_form {
        FORM_ALLOWANCE
    } else {
        FILE_ALLOWANCE
    };
    let most = state.pictures.max_upload_bytes().saturating_add(allowance);
    let idle = state.pictures.body_idle_timeout();
    request.map(|body| Body::from_stream(Bounded::new(body.into_data_stream(), most, idle)))
}

/// Why a body ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyEnd {
    /// The client sent nothing for too long.
    Silent,
    /// More came than is read at all.
    TooLong,
    /// The connection broke, or what came was no HTTP.
    Broken,
}

impl BodyEnd {
    /// Finds the reason in an error that came out of a body, however wrapped.
    pub(crate) fn of(error: &(dyn std::error::Error + 'static)) -> Self {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        match kind {
            Some(io::ErrorKind::TimedOut) => Self::Silent,
            Some(io::ErrorKind::FileTooLarge) => Self::TooLong,
            _ => error.source().map_or(Self::Broken, Self::of),
        }
    }
}

/// A body that errs when it is too long or silent, and that gives its reader a pause after every piece: the form parser
/// takes all that is ready, which could be a whole upload.
struct Bounded {
    body: BodyDataStream,
    left: u64,
    idle: Duration,
    silence: Pin<Box<Sleep>>,
    paused: bool,
}

impl Bounded {
    fn new(body: BodyDataStream, most: u64, idle: Duration) -> Self {
        Self {
            body,
            left: most,
            idle,
            silence: Box::pin(sleep(idle)),
            paused: false,
        }
    }
}

impl Stream for Bounded {
    type Item = Result<Bytes, io::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.paused) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let Poll::Ready(next) = Pin::new(&mut self.body).poll_next(context) else {
            ready!(self.silence.as_mut().poll(context));
            return Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())));
        };
        Poll::Ready(match next {
            None => None,
            Some(Err(error)) => Some(Err(io::Error::other(error))),
            Some(Ok(bytes)) if bytes.len() as u64 > self.left => {
                Some(Err(io::ErrorKind::FileTooLarge.into()))
            }
            Some(Ok(bytes)) => {
                self.left -= bytes.len() as u64;
                self.paused = true;
                let deadline = tokio::time::Instant::now() + self.idle;
                self.silence.as_mut().reset(deadline);
                Some(Ok(bytes))
            }
        })
    }
}
