//! File descriptors: the system gives a process a limited number, and every connection and every
//! open file takes one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// File descriptors for everything but connections: up to 32 uploads being received, files being
/// read, the index, and calls to AWS and CDNs.
const OTHER_FILES: usize = 256;
/// There are always at least this many connections, however few descriptors the system gives.
const LEAST_CONNECTIONS: usize = 16;

/// Asks the system for as many descriptors as this many connections may need, and returns how many
/// of them fit into what it gives.
pub(super) fn connections(most: usize) -> usize {
    let needed = (most + OTHER_FILES) as u64;
    let given = raise(needed);
    if given < needed {
        tracing::warn!(
            given,
            needed,
            "the system gives few file descriptors, so there will be fewer connections (`ulimit -n`, LimitNOFILE)"
        );
    }
    that_fit(given, most)
}

/// Raises the soft limit to what is needed, as far as the hard limit allows, and returns the new
/// soft limit.
fn raise(needed: u64) -> u64 {
    let limit = getrlimit(Resource::Nofile);
    // A limit that is absent means unlimited.
    let (soft, hard) = (
        limit.current.unwrap_or(u64::MAX),
        limit.maximum.unwrap_or(u64::MAX),
    );
    if soft >= needed {
        return soft;
    }
    let raised = needed.min(hard);
    let wanted = Rlimit {
        current: Some(raised),
        ..limit
    };
    match setrlimit(Resource::Nofile, wanted) {
        Ok(()) => raised,
        Err(error) => {
            tracing::warn!(%error, "the limit on file descriptors cannot be raised");
            soft
        }
    }
}

/// How many connections fit into this many descriptors, at most `most`.
fn that_fit(descriptors: u64, most: usize) -> usize {
    usize::try_from(descriptors)
        .unwrap_or(usize::MAX)
        .saturating_sub(OTHER_FILES)
        .clamp(LEAST_CONNECTIONS, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_files() {
        for (descriptors, connections) in [
            (64, LEAST_CONNECTIONS),
            (300, 44),
            (768, 512),
            (u64::MAX, 512),
        ] {
            assert_eq!(that_fit(descriptors, 512), connections, "{descriptors}");
        }
    }
}
