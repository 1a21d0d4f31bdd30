//! Limits how many of a client's deletions are purged one by one at a CDN that is paid for by the
//! path. The rest are purged together with others, so that no client can use up the site's budget.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::Quota;

use crate::domain::client::ClientNetwork;
use crate::runtime::client_limits::ClientLimit;
use crate::runtime::clock::Clock;

/// How many deletions of one client are purged one by one…
const SINGLE_PURGES: NonZeroU32 = NonZeroU32::new(5).expect("5 is not 0");
/// …within this time.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The deletions that each client has left.
pub(super) struct PurgeShare(ClientLimit);

impl PurgeShare {
    pub(super) fn new(clock: Clock) -> Self {
        let one_in = DAY / SINGLE_PURGES.get();
        let quota = Quota::with_period(one_in)
            .expect("is not zero")
            .allow_burst(SINGLE_PURGES);
        Self(ClientLimit::new(quota, clock))
    }

    /// Counts a deletion. Returns true where it may be purged alone.
    pub(super) fn take(&self, client: ClientNetwork) -> bool {
        self.0.take(client).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_its_share_each_day_and_takes_nothing_from_others() {
        let clock = Clock::default();
        clock.stop_at(1_800_000_000_000);
        let share = PurgeShare::new(clock.clone());
        let [first, second] = [1, 2].map(|number| ClientNetwork::of([192, 0, 2, number].into()));
        for _ in 0..SINGLE_PURGES.get() {
            assert!(share.take(first));
        }
        assert!(!share.take(first));
        assert!(share.take(second));
        clock.stop_at(1_800_000_000_000 + 24 * 3600 * 1000);
        assert!(share.take(first));
    }

    #[test]
    fn strangers_without_number_take_no_share_from_others() {
        let clock = Clock::default();
        clock.stop_at(1_800_000_000_000);
        let share = PurgeShare::new(clock);
        let client = |number: u32| ClientNetwork::of(std::net::Ipv4Addr::from_bits(number).into());
        assert!((0..30_000).all(|number| share.take(client(number))));
        for _ in 0..SINGLE_PURGES.get() {
            assert!(share.take(client(1_000_000)));
        }
        assert!(!share.take(client(1_000_000)));
    }
}
