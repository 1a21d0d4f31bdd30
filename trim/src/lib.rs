//! The one call of the C library for which there is no safe wrapper: it makes the allocator give
//! unused memory back to the operating system. It stands in a crate of its own so that all other
//! code can forbid `unsafe`.

/// Gives memory pages that hold nothing back to the operating system, even those that lie between
/// pages in use. Returns true if there were any.
///
/// It takes the locks of the allocator one after another, for some milliseconds in all; a thread
/// that allocates memory meanwhile has to wait. On any system but Linux with glibc it does nothing
/// and returns false.
pub fn give_back() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: malloc_trim(3) takes no pointer and touches only free memory; any thread may call it
    // at any time.
    let given = unsafe { libc::malloc_trim(0) } == 1;
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let given = false;
    given
}
