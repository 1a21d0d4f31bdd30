//! What the system itself holds for a connection: bytes that came and nobody read yet, and bytes that a reader did not take
//! yet. Left alone it may be megabytes for each, and they count as ours.

#[cfg(target_os = "linux")]
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;

/// So many connections get [`LARGE`] buffers, the others [`SMALL`] ones.
const WITH_LARGE_BUFFERS: usize = 64;
/// Bytes in each direction, which the system doubles: enough for a megabyte a second to a reader who is 50 ms away.
const LARGE: usize = 64 * 1024;
/// Bytes in each direction while there is a crowd.
const SMALL: usize = 16 * 1024;
/// How long bytes may lie that a client does not take, also after the connection was closed.
#[cfg(target_os = "linux")]
const UNTAKEN: Duration = Duration::from_secs(90);

/// Bounds the buffers of a new connection, which is one of so many that are open.
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
