//! Rate limits and other memory of individual clients. It is kept for a bounded number of clients,
//! in memory only, and goes by a monotonic clock. Beyond that number the client heard of least
//! recently is forgotten and starts anew; a limit then still holds, but that client's tokens are
//! full again.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};
use lru::LruCache;
use parking_lot::{Mutex, MutexGuard};

use crate::domain::client::ClientNetwork;
use crate::runtime::clock::{Clock, LimiterClock};

/// The most clients that are remembered for each purpose. One takes 100 to 200 bytes.
const MAX_CLIENTS: usize = 20_000;

/// A value for each of the clients heard of last. Clones share the values.
#[derive(Clone)]
pub(crate) struct Recent<T>(Arc<Mutex<LruCache<ClientNetwork, T>>>);

impl<T> Recent<T> {
    pub(crate) fn new() -> Self {
        let most = NonZeroUsize::new(MAX_CLIENTS).expect("is not 0");
        // A sparse cache allocates memory as it fills.
        Self(Arc::new(Mutex::new(LruCache::sparse(most))))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, LruCache<ClientNetwork, T>> {
        self.0.lock()
    }
}

impl StateStore for Recent<Nanos> {
    type Key = ClientNetwork;

    fn measure_and_replace<T, F, E>(&self, client: &ClientNetwork, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut states = self.lock();
        let (answer, state) = measure(states.get(client).copied())?;
        states.put(*client, state);
        Ok(answer)
    }
}

type Limiter = RateLimiter<ClientNetwork, Recent<Nanos>, LimiterClock, NoOpMiddleware<Nanos>>;

/// A rate limit for each client: a token bucket.
pub(crate) struct ClientLimit {
    limiter: Limiter,
    /// The state of the limiter, which this shares.
    recent: Recent<Nanos>,
    /// The time after which a client gets one token back.
    interval: Nanos,
    clock: LimiterClock,
}

impl ClientLimit {
    /// Gives every client this quota.
    pub(crate) fn new(quota: Quota, clock: Clock) -> Self {
        let (recent, clock) = (Recent::new(), LimiterClock(clock));
        Self {
            limiter: RateLimiter::new(quota, recent.clone(), clock.clone()),
            recent,
            interval: quota.replenish_interval().into(),
            clock,
        }
    }

    /// Takes a token.
    ///
    /// # Errors
    /// How long this client must wait for its next token.
    pub(crate) fn take(&self, client: ClientNetwork) -> Result<(), Duration> {
        self.limiter
            .check_key(&client)
            .map_err(|until| until.wait_time_from(self.clock.now()))
    }

    /// Returns a token that was taken and not used.
    pub(crate) fn give_back(&self, client: ClientNetwork) {
        if let Some(state) = self.recent.lock().peek_mut(&client) {
            *state = state.saturating_sub(self.interval);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;
    use std::num::NonZeroU32;

    use super::*;

    fn client(number: u8) -> ClientNetwork {
        ClientNetwork::of([192, 0, 2, number].into())
    }

    fn limit(per_hour: u32, clock: &Clock) -> ClientLimit {
        let per_hour = NonZeroU32::new(per_hour).expect("is not zero");
        ClientLimit::new(Quota::per_hour(per_hour), clock.clone())
    }

    #[test]
    fn a_client_may_have_its_share_and_then_waits_for_the_next() {
        let clock = Clock::default();
        clock.stop_at(1_800_000_000_000);
        let limit = limit(6, &clock);
        for _ in 0..6 {
            assert_eq!(limit.take(client(1)), Ok(()));
        }
        assert_eq!(limit.take(client(1)), Err(Duration::from_secs(600)));
        assert_eq!(limit.take(client(2)), Ok(()));
        clock.stop_at(1_800_000_600_000);
        assert_eq!(limit.take(client(1)), Ok(()));
        assert!(limit.take(client(1)).is_err());
    }

    #[test]
    fn what_is_given_back_may_be_taken_again_and_no_more() {
        let clock = Clock::default();
        clock.stop_at(1_800_000_000_000);
        let limit = limit(6, &clock);
        for _ in 0..6 {
            assert_eq!(limit.take(client(1)), Ok(()));
        }
        limit.give_back(client(1));
        limit.give_back(client(2));
        assert_eq!(limit.take(client(1)), Ok(()));
        assert!(limit.take(client(1)).is_err());
    }

    #[test]
    fn strangers_without_number_are_forgotten_and_the_rule_is_not() {
        let clock = Clock::default();
        clock.stop_at(1_800_000_000_000);
        let limit = limit(2, &clock);
        let stranger = |number: u64| {
            let network = (0x2001_0db8_u128 << 96) | (u128::from(number) << 72);
            ClientNetwork::of(Ipv6Addr::from_bits(network).into())
        };
        for number in 0..101_000 {
            assert_eq!(limit.take(stranger(number)), Ok(()));
        }
        assert_eq!(limit.recent.lock().len(), MAX_CLIENTS);
        for _ in 0..2 {
            assert_eq!(limit.take(client(1)), Ok(()));
        }
        assert!(limit.take(client(1)).is_err());
    }

    #[test]
    fn a_clock_that_is_put_back_keeps_nobody_waiting_for_longer() {
        let clock = Clock::default();
        let limit = limit(6, &clock);
        for _ in 0..6 {
            assert_eq!(limit.take(client(1)), Ok(()));
        }
        clock.put_back(Duration::from_secs(10 * 365 * 24 * 3600));
        let wait = limit.take(client(1)).expect_err("has none left");
        assert!(wait <= Duration::from_secs(600), "{wait:?}");
        clock.advance(Duration::from_secs(wait.as_secs() + 1));
        assert_eq!(limit.take(client(1)), Ok(()));
    }
}
