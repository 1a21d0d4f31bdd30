//! Connections: how many there may be, how long each may take to ask and to read, and how they end when the server stops.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;
use tower_service::Service;

/// More connections than these wait in the system's queue until another ends.
const MAX_CONNECTIONS: usize = 1024;
/// How long a request's header may take, and a connection may idle between requests. CDNs reuse theirs within seconds.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a client may take no byte of an answer that waits for it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// The most that is read ahead of a handler, bytes; also the longest header of a request.
const READ_AHEAD: usize = 16 * 1024;
/// The pause after the system refused a connection, mostly for want of file descriptors.
const PAUSE_AFTER_REFUSAL: Duration = Duration::from_secs(1);

/// Serves until `stop` resolves, then accepts no more, and gives what is under way `grace` to end.
/// Answers false when something did not.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()>,
    grace: Duration,
) -> bool {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let watcher = GracefulShutdown::new();
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(READ_AHEAD);
    tokio::pin!(stop);
    loop {
        let next = async {
            // Never closed, so it is always a permit.
            let slot = slots.clone().acquire_owned().await;
            (slot, accept(&listener).await)
        };
        let (slot, stream) = tokio::select! {
            next = next => next,
            () = &mut stop => break,
        };
        let peer = match stream.peer_addr() {
            Ok(peer) => peer,
            // Gone already.
            Err(_) => continue,
        };
        let router = router.clone();
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let mut router = router.clone();
            async move {
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(ConnectInfo(peer));
                let answer: Result<_, Infallible> = router.call(request).await;
                answer
            }
        });
        let mut stream = Box::pin(TimeoutStream::new(stream));
        stream
            .as_mut()
            .set_write_timeout_pinned(Some(WRITE_TIMEOUT));
        let connection = watcher.watch(builder.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                // Clients that hang up are no event.
                tracing::debug!(%error, "a connection broke");
            }
            drop(slot);
        });
    }
    drop(listener);
    tokio::time::timeout(grace, watcher.shutdown())
        .await
        .is_ok()
}

/// The next connection.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Answers are whole; waiting to fill a packet only delays them.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "a connection keeps its delay");
                }
                return stream;
            }
            Err(error) if is_of_the_client(&error) => {}
            Err(error) => {
                tracing::error!(%error, "the system refuses connections");
                tokio::time::sleep(PAUSE_AFTER_REFUSAL).await;
            }
        }
    }
}

/// True for a connection that ended before it was accepted.
fn is_of_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}
