//! Counters of what a server did.

/// What one server has counted since a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Requests that reached the server, without health checks.
    pub requests: u64,
    /// Bytes of response bodies.
    pub bytes_sent: u64,
    /// Requests to the object storage that add or list.
    pub storage_writes: u64,
    /// Requests to the object storage that read.
    pub storage_reads: u64,
    /// When counting began, in seconds since 1970.
    pub since: i64,
}

impl Counts {
    /// Counters that start at zero at this second.
    #[must_use]
    pub const fn none(since: i64) -> Self {
        Self {
            requests: 0,
            bytes_sent: 0,
            storage_writes: 0,
            storage_reads: 0,
            since,
        }
    }

    /// The sum of two counters. It counts from the earlier of the two beginnings.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_add(other.requests),
            bytes_sent: self.bytes_sent.saturating_add(other.bytes_sent),
            storage_writes: self.storage_writes.saturating_add(other.storage_writes),
            storage_reads: self.storage_reads.saturating_add(other.storage_reads),
            since: self.since.min(other.since),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_and_keep_the_earlier_beginning() {
        let one = Counts {
            requests: 1,
            bytes_sent: 2,
            storage_writes: 3,
            storage_reads: u64::MAX,
            since: 20,
        };
        let both = one.and(Counts { since: 10, ..one });
        assert_eq!((both.requests, both.bytes_sent, both.since), (2, 4, 10));
        assert_eq!((both.storage_writes, both.storage_reads), (6, u64::MAX));
        assert_eq!(one.and(Counts::none(30)), one);
    }
}
