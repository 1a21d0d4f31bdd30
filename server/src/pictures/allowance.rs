//! How much one client may upload: so many an hour, in memory only, and less for who sends what is refused.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};
use lru::LruCache;

use crate::clock::{Clock, LimiterClock};
use crate::domain::client::ClientNetwork;

/// The most clients that are remembered. Beyond it the one that was heard of least lately is forgotten, and has its whole
/// allowance again; the rule holds for everybody all the same. Each takes about 100 bytes.
pub(super) const MAX_CLIENTS: usize = 20_000;

/// What becomes of a client's allowance, for the clients that were heard of last.
#[derive(Clone)]
struct Recent(Arc<Mutex<LruCache<ClientNetwork, Nanos>>>);

impl Recent {
    fn new() -> Self {
        let most = NonZeroUsize::new(MAX_CLIENTS).expect("is not 0");
        // It takes its memory as it fills.
        Self(Arc::new(Mutex::new(LruCache::sparse(most))))
    }

    fn states(&self) -> std::sync::MutexGuard<'_, LruCache<ClientNetwork, Nanos>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StateStore for Recent {
    type Key = ClientNetwork;

    fn measure_and_replace<T, F, E>(&self, client: &ClientNetwork, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut states = self.states();
        let (answer, state) = measure(states.get(client).copied())?;
        states.put(*client, state);
        Ok(answer)
    }
}

type Limiter = RateLimiter<ClientNetwork, Recent, LimiterClock, NoOpMiddleware<Nanos>>;

/// What every client may still upload.
pub(super) struct Allowance {
    limiter: Limiter,
    /// The limiter's own memory.
    recent: Recent,
    /// After so long a client may send one more.
    interval: Nanos,
    clock: LimiterClock,
}

impl Allowance {
    /// So many uploads an hour for each client, all at once if it likes.
    pub(super) fn new(per_hour: NonZeroU32, clock: Clock) -> Self {
        let clock = LimiterClock(clock);
        let (quota, recent) = (Quota::per_hour(per_hour), Recent::new());
        Self {
            limiter: RateLimiter::new(quota, recent.clone(), clock.clone()),
            recent,
            interval: quota.replenish_interval().into(),
            clock,
        }
    }

    /// Counts an upload.
    ///
    /// # Errors
    /// How long this client must wait before its next.
    pub(super) fn take(&self, client: ClientNetwork) -> Result<(), Duration> {
        self.limiter
            .check_key(&client)
            .map_err(|until| until.wait_time_from(self.clock.now()))
    }

    /// Takes the count of an upload back that was refused for no fault of this client's.
    pub(super) fn give_back(&self, client: ClientNetwork) {
        if let Some(state) = self.recent.states().peek_mut(&client) {
            *state = state.saturating_sub(self.interval);
        }
    }

    /// Takes one upload off a client's allowance, if it has any left: a refusal costs double, so that abuse runs dry first.
    pub(super) fn charge(&self, client: ClientNetwork) {
        // With nothing left there is nothing to take.
        let _ = self.limiter.check_key(&client);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    fn client(number: u8) -> ClientNetwork {
        ClientNetwork::of([192, 0, 2, number].into())
    }

    fn allowance(per_hour: u32) -> (Allowance, Clock) {
        let clock = Clock::default();
        clock.stop_at(1_800_000_000_000);
        let per_hour = NonZeroU32::new(per_hour).expect("is not zero");
        (Allowance::new(per_hour, clock.clone()), clock)
    }

    #[test]
    fn a_client_may_send_its_share_and_then_waits_for_the_next() {
        let (allowance, clock) = allowance(6);
        for _ in 0..6 {
            assert_eq!(allowance.take(client(1)), Ok(()));
        }
        assert_eq!(allowance.take(client(1)), Err(Duration::from_secs(600)));
        assert_eq!(allowance.take(client(2)), Ok(()));
        clock.stop_at(1_800_000_600_000);
        assert_eq!(allowance.take(client(1)), Ok(()));
        assert!(allowance.take(client(1)).is_err());
    }

    #[test]
    fn what_was_refused_for_no_fault_of_the_clients_costs_it_nothing() {
        let (allowance, _) = allowance(6);
        for _ in 0..6 {
            assert_eq!(allowance.take(client(1)), Ok(()));
        }
        allowance.give_back(client(1));
        allowance.give_back(client(2));
        assert_eq!(allowance.take(client(1)), Ok(()));
        assert!(allowance.take(client(1)).is_err());
    }

    #[test]
    fn strangers_without_number_are_forgotten_and_the_rule_is_not() {
        let (allowance, _) = allowance(2);
        let stranger = |number: u64| {
            let network = (0x2001_0db8_u128 << 96) | (u128::from(number) << 72);
            ClientNetwork::of(Ipv6Addr::from_bits(network).into())
        };
        for number in 0..101_000 {
            assert_eq!(allowance.take(stranger(number)), Ok(()));
        }
        assert!(allowance.recent.states().len() <= MAX_CLIENTS);
        for _ in 0..2 {
            assert_eq!(allowance.take(client(1)), Ok(()));
        }
        assert!(allowance.take(client(1)).is_err());
    }

    #[test]
    fn a_clock_that_is_put_back_keeps_nobody_waiting_for_longer() {
        let clock = Clock::default();
        let per_hour = NonZeroU32::new(6).expect("is not zero");
        let allowance = Allowance::new(per_hour, clock.clone());
        for _ in 0..6 {
            assert_eq!(allowance.take(client(1)), Ok(()));
        }
        clock.put_back(Duration::from_secs(10 * 365 * 24 * 3600));
        let wait = allowance.take(client(1)).expect_err("has none left");
        assert!(wait <= Duration::from_secs(600), "{wait:?}");
        clock.advance(Duration::from_secs(wait.as_secs() + 1));
        assert_eq!(allowance.take(client(1)), Ok(()));
    }
}
