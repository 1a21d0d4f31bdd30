//! Accepts connections and bounds them: how many there may be in all and of one client, how long
//! each may take to ask and to read, and how they end when the server stops.

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
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_service::Service;

use self::crowd::Crowd;
use self::paced::Paced;
use crate::domain::client::ClientNetwork;
use crate::http::descriptors;
use crate::http::held;
use crate::http::readers::Readers;

mod crowd;
mod paced;
mod sockets;

/// The most connections at the same time, where the system gives enough file descriptors. While all
/// are busy, further ones wait in the system's queue. A connection that has been idle for a while
/// is closed for the next.
const MAX_CONNECTIONS: usize = 512;
/// The most connections of one client, that is of an IPv4 address or an IPv6 /56. A browser opens
/// six.
const CLIENT_CONNECTIONS: usize = 64;
/// How long the header of a request may take, and how long a connection may idle between requests.
/// CDNs reuse theirs within seconds.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// The most bytes that are read before a handler takes them, which is also the longest header of a
/// request.
const READ_AHEAD: usize = 16 * 1024;
/// The most lines that a request's header may have.
const MAX_HEADERS: usize = 100;
/// The pause after the system refused a connection, mostly for lack of file descriptors.
const PAUSE_AFTER_REFUSAL: Duration = Duration::from_secs(1);
/// How long the next connection waits for a place before an idle one is closed for it.
const ROOM_EVERY: Duration = Duration::from_millis(20);
/// How long the next connection waits, where none is idle, before the network with the most
/// connections must give one up and the slowest reader's connection is closed. After the same time
/// the next ones follow.
const PATIENCE_WITH_SLOW: Duration = Duration::from_millis(250);
/// How long a connection must have been idle before it is closed for another, because one that was
/// just opened may be about to send a request. It then gets as long to end, and a client that is
/// refused as long to read why.
const TIME_TO_LEAVE: Duration = Duration::from_secs(2);
/// How many clients that already have their share are told so at the same time. The connections of
/// further ones are closed without a word.
const MAX_REFUSALS: usize = 32;

/// The answer to a client beyond its share, whatever it came to ask.
const REFUSAL: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\n\
Content-Type: application/json\r\n\
Content-Length: 145\r\n\
Cache-Control: no-store\r\n\
Retry-After: 10\r\n\
Connection: close\r\n\
\r\n\
{\"error\":{\"code\":\"too-many-requests\",\"message\":\"There are too many connections from your network right now. Please try again in a few seconds.\"}}";

static REFUSALS: Semaphore = Semaphore::const_new(MAX_REFUSALS);

/// Whose share a connection counts towards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peers {
    /// Each peer is a client and has a share of its own.
    Clients,
    /// The peers belong to a CDN or a proxy, and each brings many clients.
    Proxies,
}

/// Serves until `stop` resolves. Then it accepts no more connections and gives requests under way
/// `grace` to end. Returns false when some did not.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    peers: Peers,
    readers: Arc<Readers>,
    stop: impl Future<Output = ()>,
    grace: Duration,
) -> bool {
    let slots = Arc::new(Semaphore::new(descriptors::connections(MAX_CONNECTIONS)));
    let crowd = Arc::new(Crowd::default());
    let (tasks, stopping) = (TaskTracker::new(), CancellationToken::new());
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(READ_AHEAD);
    tokio::pin!(stop);
    loop {
        let next = async {
            let stream = accept(&listener).await;
            let slot = slots.clone().acquire_owned();
            tokio::pin!(slot);
            let begun = tokio::time::Instant::now();
            let mut asked_for_room = PATIENCE_WITH_SLOW;
            loop {
                tokio::select! {
                    biased;
                    // The semaphore is never closed, so this is always a permit.
                    slot = &mut slot => break (slot, stream),
                    () = tokio::time::sleep(ROOM_EVERY) => {
                        let is_room = crowd.close_idle(|_| true, TIME_TO_LEAVE);
                        if !is_room && begun.elapsed() >= asked_for_room {
                            // Room is asked for only at intervals, because a connection that must
                            // leave may finish its answer first.
                            asked_for_room += PATIENCE_WITH_SLOW;
                            crowd.make_room_for(network_of(peers, &stream));
                            readers.call_off_slowest();
                        }
                    }
                }
            }
        };
        let (slot, stream) = tokio::select! {
            next = next => next,
            () = &mut stop => break,
        };
        let peer = match stream.peer_addr() {
            Ok(peer) => peer,
            // The peer has already hung up.
            Err(_) => continue,
        };
        let network = (peers == Peers::Clients).then(|| ClientNetwork::of(peer.ip()));
        let Some(guest) = crowd.admit(network, CLIENT_CONNECTIONS) else {
            refuse(stream);
            continue;
        };
        sockets::bound_buffers(&stream, crowd.len());
        let under_way = guest.clone();
        let router = router.clone();
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let mut router = router.clone();
            let turn = under_way.begin_request();
            async move {
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(ConnectInfo(peer));
                let answer: Result<_, Infallible> = router.call(request).await;
                answer.map(|answer| held::until_sent(answer, turn))
            }
        });
        let stream = TokioIo::new(Paced::new(stream, readers.enroll()));
        let connection = builder.serve_connection(stream, service);
        let stopping = stopping.clone();
        tasks.spawn(async move {
            tokio::pin!(connection);
            let ended = tokio::select! {
                ended = &mut connection => ended,
                () = stopping.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
                () = guest.must_leave() => {
                    connection.as_mut().graceful_shutdown();
                    tokio::select! {
                        ended = connection => ended,
                        () = guest.overstays() => Ok(()),
                    }
                }
            };
            if let Err(error) = ended {
                // A client that hangs up is nothing to warn of.
                tracing::debug!(%error, "a connection broke");
            }
            drop((guest, slot));
        });
    }
    drop(listener);
    stopping.cancel();
    tasks.close();
    tokio::time::timeout(grace, tasks.wait()).await.is_ok()
}

/// Whose share a connection counts towards, where its peer is a client and its address is known.
fn network_of(peers: Peers, stream: &TcpStream) -> Option<ClientNetwork> {
    let peer = stream.peer_addr().ok()?;
    (peers == Peers::Clients).then(|| ClientNetwork::of(peer.ip()))
}

/// Tells a client that it already has its share, and closes its connection.
fn refuse(mut stream: TcpStream) {
    let Ok(turn) = REFUSALS.try_acquire() else {
        return;
    };
    tokio::spawn(tokio::time::timeout(TIME_TO_LEAVE, async move {
        let _turn = turn;
        if stream.write_all(REFUSAL).await.is_ok() && stream.shutdown().await.is_ok() {
            // The answer is lost where a connection is closed before its request was read.
            let mut rest = [0; 1024];
            while matches!(stream.read(&mut rest).await, Ok(1..)) {}
        }
    }));
}

/// Accepts the next connection.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Answers are written as a whole, so waiting to fill a packet would only delay
                // them.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_as_long_as_it_says() {
        let text = std::str::from_utf8(REFUSAL).expect("is text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())));
        let error: app::error::ErrorBody = serde_json::from_str(body).expect("is an error");
        assert_eq!(error.error.code, app::error::ErrorCode::TooManyRequests);
    }
}
