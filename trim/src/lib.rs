//! The one call of the C library that has no safe wrapper: it makes the allocator give back the pages that nobody uses.
//! In a crate of its own, so that all other code can forbid `unsafe`.

/// Gives pages that hold nothing back to the system, also those between others that do. True where there were some.
///
/// It takes the allocator's locks one after another, for some milliseconds in all; whoever allocates meanwhile waits.
/// Elsewhere than on Linux with glibc it does nothing.
pub fn give_back() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: malloc_trim(3) takes no pointer and touches only free memory; any thread may call it at any time.
    let given = unsafe { libc::malloc_trim(0) } == 1;
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let given = false;
    given
}
