//! Long computing beside the answering of requests: on threads of its own, which step back when a request needs the
//! processor, and which a caller can give up.

use std::io;

use tokio::sync::oneshot;

/// The niceness of computing threads. At 10 the scheduler gives them a tenth of what a thread that answers gets, when both
/// want the processor; at 19 uploads would starve on a busy machine.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Why work came to no end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ComputeError {
    /// The system's fault.
    #[error("no thread can be started")]
    NoThread(#[from] io::Error),
    /// The work's own.
    #[error("the work panicked")]
    Panicked,
}

/// Runs `work` on a new thread with little claim to the processor. Whoever drops the future gives the thread up: it ends
/// when its work does, and takes along what it was given.
///
/// # Errors
/// When no thread can be started, or `work` panicked.
pub(crate) async fn run<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ComputeError> {
    let (done, result) = oneshot::channel();
    std::thread::Builder::new()
        .name("background".into())
        .spawn(move || {
            lower_priority();
            // Nobody may be listening any more.
            let _ = done.send(work());
        })?;
    result.await.map_err(|_| ComputeError::Panicked)
}

/// Makes the calling thread, and those it starts, step back behind all others. Elsewhere than on Linux it does nothing:
/// there the call would mean the whole process.
pub(crate) fn lower_priority() {
    #[cfg(target_os = "linux")]
    if let Err(error) =
        rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS)
    {
        tracing::warn!(%error, "a computing thread keeps its priority");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_costs_the_work_and_nothing_else() {
        let panicked: Result<(), _> = run(|| panic!("a decoder's bug")).await;
        assert!(panicked.is_err());
        assert_eq!(run(|| 7).await.expect("runs"), 7);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn computing_threads_and_their_children_step_back_and_others_do_not() {
        let niceness = || {
            rustix::process::getpriority_process(Some(rustix::thread::gettid())).expect("is known")
        };
        let own = niceness();
        let child = run(move || std::thread::spawn(niceness).join().expect("ends"));
        assert_eq!(child.await.expect("runs"), NICENESS.max(own));
        assert_eq!(niceness(), own);
    }
}
