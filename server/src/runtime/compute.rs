//! Runs long computations beside the answering of requests. They get threads of their own, which
//! yield the processor to requests and which a caller can give up.

use std::io;

use tokio::sync::oneshot;

/// The niceness of computing threads. At 10 the scheduler gives them a tenth of what a thread that
/// answers requests gets when both want the processor. At 19 uploads would starve on a busy
/// machine.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Why a computation did not finish.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ComputeError {
    /// The system is at fault.
    #[error("no thread can be started")]
    NoThread(#[from] io::Error),
    /// The computation itself is at fault.
    #[error("the work panicked")]
    Panicked,
}

/// Runs `work` on a new thread of low priority. Whoever drops the future gives the thread up: it
/// ends when its work is done, and drops what it was given only then.
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
            // The receiver may have been dropped.
            let _ = done.send(work());
        })?;
    result.await.map_err(|_| ComputeError::Panicked)
}

/// Lowers the priority of the calling thread and of threads that it starts. On systems other than
/// Linux it does nothing, because there the call would affect the whole process.
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
