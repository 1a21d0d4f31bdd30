//! How long to rest after failures in a row.

use std::time::Duration;

/// Rests that double with each failure in a row, up to a longest one.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// The rest after the first failure.
    pub first: Duration,
    pub longest: Duration,
}

impl Backoff {
    /// Rests from `first` to `longest`, in seconds.
    #[must_use]
    pub const fn of_seconds(first: u64, longest: u64) -> Self {
        Self {
            first: Duration::from_secs(first),
            longest: Duration::from_secs(longest),
        }
    }

    /// The rest after this many failures in a row. It is the first one where there was none.
    #[must_use]
    pub fn rest_after(self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1);
        self.first
            .saturating_mul(2_u32.saturating_pow(doublings))
            .min(self.longest)
    }

    /// The same in whole seconds, as the index counts them.
    #[must_use]
    pub fn seconds_after(self, failures: u32) -> i64 {
        i64::try_from(self.rest_after(failures).as_secs()).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_double_up_to_the_longest() {
        let backoff = Backoff::of_seconds(5, 3600);
        let rests: Vec<i64> = (0..=12)
            .map(|failures| backoff.seconds_after(failures))
            .collect();
        assert_eq!(rests[..5], [5, 5, 10, 20, 40]);
        assert_eq!(rests[10..], [2560, 3600, 3600]);
        assert_eq!(backoff.seconds_after(u32::MAX), 3600);
    }
}
