//! A connection whose reader must keep up. A reader that takes a byte a minute would hold an answer
//! for ever.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::http::readers::Enrolled;

/// How long a client may take no byte of an answer that waits for it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// The average speed that a reader must keep beyond that, in bytes per second. At this speed a page
/// of the gallery takes less than a minute.
const LEAST_SPEED: u64 = 4096;

/// A connection that is closed when its reader is too slow, or when its reader is called off
/// because others need what it holds.
pub(super) struct Paced {
    stream: TcpStream,
    reader: Enrolled,
    called_off: Pin<Box<WaitForCancellationFutureOwned>>,
    patience: Patience,
    /// Since when an answer has been waiting for its reader, and the timer that ends the wait.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

/// How much longer a reader is waited for. Waiting uses it up, and every byte that the reader takes
/// adds to it.
#[derive(Debug, Clone, Copy)]
struct Patience(Duration);

impl Default for Patience {
    fn default() -> Self {
        Self(WRITE_TIMEOUT)
    }
}

impl Patience {
    fn after(self, waited: Duration, taken: usize) -> Self {
        let earned = Duration::from_millis(taken as u64 * 1000 / LEAST_SPEED);
        Self((self.0.saturating_sub(waited) + earned).min(WRITE_TIMEOUT))
    }
}

impl Paced {
    pub(super) fn new(stream: TcpStream, reader: Enrolled) -> Self {
        Self {
            stream,
            called_off: Box::pin(reader.called_off().cancelled_owned()),
            reader,
            patience: Patience::default(),
            waiting: None,
        }
    }

    /// Notes the outcome of a write and how long it waited for the reader. It fails where the
    /// patience is used up or the reader was called off.
    fn pace(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = written {
            let waited = self.waiting.take().map(|(since, _)| since.elapsed());
            let taken = *written.as_ref().unwrap_or(&0);
            self.patience = self.patience.after(waited.unwrap_or_default(), taken);
            self.reader.takes(taken);
            return Poll::Ready(written);
        }
        let patience = self.patience.0;
        let (_, until) = self
            .waiting
            .get_or_insert_with(|| (Instant::now(), Box::pin(sleep(patience))));
        self.reader.keeps_waiting();
        if self.called_off.as_mut().poll(context).is_pending() {
            ready!(until.as_mut().poll(context));
        }
        // This discards what the system still holds for this reader, which it would otherwise keep
        // for minutes.
        if let Err(error) = self.stream.set_zero_linger() {
            tracing::debug!(%error, "the system keeps what a slow reader did not take");
        }
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Paced {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Paced {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.pace(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.pace(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long a reader lasts that takes this many bytes after each pause.
    fn lasts(pause: Duration, bytes: usize) -> Duration {
        let (mut patience, mut lasted) = (Patience::default(), Duration::ZERO);
        while patience.0 > pause && lasted < Duration::from_secs(3600) {
            patience = patience.after(pause, bytes);
            lasted += pause;
        }
        lasted
    }

    #[test]
    fn a_reader_that_takes_a_byte_now_and_then_is_waited_for_a_minute_in_all() {
        for pause in [1, 10, 59] {
            let lasted = lasts(Duration::from_secs(pause), 1);
            assert!(lasted <= WRITE_TIMEOUT, "{pause} s: {lasted:?}");
        }
    }

    #[test]
    fn a_slow_reader_that_keeps_up_gets_all_of_it() {
        let hour = Duration::from_secs(3600);
        assert_eq!(lasts(Duration::from_secs(1), 5000), hour);
        // The system reports room in its buffer only at intervals.
        assert_eq!(lasts(Duration::from_secs(10), 48_000), hour);
    }
}
