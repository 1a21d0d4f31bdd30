//! How many of its deletions a client has purged each by itself at a CDN that is paid for by the path. The rest of them are
//! purged together with others, so that no client can spend what the site may spend for all. In memory only.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::clock::{Clock, LimiterClock};
use crate::domain::client::ClientNetwork;

/// So many deletions of one client are purged each by itself…
const SINGLE_PURGES: NonZeroU32 = NonZeroU32::new(5).expect("5 is not 0");
/// …within this time.
const DAY: Duration = Duration::from_secs(24 * 3600);
/// So many clients are counted, in about 2 MB; while they are that many, everybody's deletions are purged together.
const MOST_CLIENTS: usize = 20_000;

type Limiter = RateLimiter<
    ClientNetwork,
    HashMapStateStore<ClientNetwork>,
    LimiterClock,
    NoOpMiddleware<Nanos>,
>;

/// What every client has left.
pub(super) struct PurgeShare {
    limiter: Limiter,
}

impl PurgeShare {
    pub(super) fn new(clock: Clock) -> Self {
        let one_in = DAY / SINGLE_PURGES.get();
        let quota = Quota::with_period(one_in)
            .expect("is not zero")
            .allow_burst(SINGLE_PURGES);
        Self {
            limiter: RateLimiter::hashmap_with_clock(quota, LimiterClock(clock)),
        }
    }

    /// Counts a deletion. True where it may be purged by itself.
    pub(super) fn take(&self, client: ClientNetwork) -> bool {
        if self.limiter.len() >= MOST_CLIENTS {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
        self.limiter.len() < MOST_CLIENTS && self.limiter.check_key(&client).is_ok()
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
    fn beyond_the_clients_that_are_counted_nobody_has_a_share_until_some_are_forgotten() {
        let clock = Clock::default();
        clock.stop_at(1_800_000_000_000);
        let share = PurgeShare::new(clock.clone());
        let client = |number: u32| ClientNetwork::of(std::net::Ipv4Addr::from_bits(number).into());
        let most = u32::try_from(MOST_CLIENTS).expect("is small");
        assert!((0..most).all(|number| share.take(client(number))));
        assert!(!share.take(client(most)));
        assert_eq!(share.limiter.len(), MOST_CLIENTS);
        clock.stop_at(1_800_000_000_000 + 24 * 3600 * 1000);
        assert!(share.take(client(most)));
        assert_eq!(share.limiter.len(), 1);
    }
}
