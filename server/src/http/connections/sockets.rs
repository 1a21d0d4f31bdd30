//! Bounds the system's own buffers of a connection: bytes that came and were not read yet, and
//! bytes that a reader did not take yet. By default they grow to megabytes for each connection, and
//! they count towards this server's memory.

#[cfg(target_os = "linux")]
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;

/// How many connections get [`LARGE`] buffers; further ones get [`SMALL`] ones.
const WITH_LARGE_BUFFERS: usize = 64;
/// The buffer for each direction in bytes, which the system doubles. It is enough for a megabyte
/// per second to a reader who is 50 ms away.
const LARGE: usize = 64 * 1024;
/// The buffer for each direction in bytes while many connections are open.
const SMALL: usize = 16 * 1024;
/// How long bytes may wait for a client that does not take them, even after the connection was
/// closed.
#[cfg(target_os = "linux")]
const UNTAKEN: Duration = Duration::from_secs(90);

/// Bounds the buffers of a new connection while `open` connections are open.
pub(super) fn bound_buffers(stream: &TcpStream, open: usize) {
    let bytes = if open <= WITH_LARGE_BUFFERS {
        LARGE
    } else {
        SMALL
    };
    let socket = SockRef::from(stream);
    let bounded = socket
        .set_send_buffer_size(bytes)
        .and_then(|()| socket.set_recv_buffer_size(bytes));
    #[cfg(target_os = "linux")]
    let bounded = bounded.and_then(|()| socket.set_tcp_user_timeout(Some(UNTAKEN)));
    if let Err(error) = bounded {
        tracing::warn!(%error, "the system's buffers for a connection stay as they are");
    }
}
