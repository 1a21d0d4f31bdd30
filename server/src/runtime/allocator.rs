//! Gives memory back to the system. A picture takes tens of megabytes for a moment, and the machine
//! has 256.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use tokio::task::spawn_blocking;

/// The variable from which the GNU C library reads its allocator's settings, once, before the
/// program begins.
pub const VARIABLE: &str = "GLIBC_TUNABLES";

/// Every block of 128 KiB and more becomes a mapping of its own, which ends when the block is
/// freed. Left alone, the allocator raises that threshold as it goes and keeps what it was given:
/// 445 MB after uploads that never hold more than 140 MB at once (`make bench`). With mimalloc it
/// is even more, 541 MB.
pub const SETTINGS: &str = "glibc.malloc.mmap_threshold=131072:glibc.malloc.arena_max=2";

/// How often free memory between used blocks is given back. A burst of 1,000 pages leaves 100 MB of
/// it.
const GIVE_BACK_EVERY: Duration = Duration::from_secs(20);

/// Gives free memory back at regular intervals, for as long as this is polled.
pub(crate) async fn keep_giving_back() {
    loop {
        tokio::time::sleep(GIVE_BACK_EVERY).await;
        if let Err(error) = spawn_blocking(trim::give_back).await {
            tracing::warn!(%error, "the allocator keeps what is free");
        }
    }
}

/// Restarts this program within the same process, with an allocator that gives back what is freed.
/// It does nothing where [`VARIABLE`] `is_configured`: that is done already, or the operator has
/// made settings of their own. On systems other than Linux with glibc it changes nothing.
///
/// # Errors
/// When the program cannot be restarted. It can go on without.
pub fn give_back_what_is_freed(is_configured: bool) -> io::Result<()> {
    if is_configured {
        return Ok(());
    }
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_default();
    // This returns only where it fails.
    Err(Command::new(std::env::current_exe()?)
        .arg0(name)
        .args(arguments)
        .env(VARIABLE, SETTINGS)
        .exec())
}
