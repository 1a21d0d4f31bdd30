//! How much one client may upload: so many an hour, in memory only, and less for who sends what is refused.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::clock::{Clock, LimiterClock};
use crate::domain::client::ClientNetwork;
use crate::domain::picture::PictureId;

/// So many clients are remembered; beyond it those that have their whole allowance back are forgotten first.
const MOST_CLIENTS: usize = 100_000;

type Limiter = RateLimiter<
    ClientNetwork,
    HashMapStateStore<ClientNetwork>,
    LimiterClock,
    NoOpMiddleware<Nanos>,
>;

/// What every client may still upload.
pub(super) struct Allowance {
    limiter: Limiter,
    clock: LimiterClock,
    /// Who sent the uploads that wait for their verdict. As few as may wait.
    senders: Mutex<HashMap<PictureId, ClientNetwork>>,
}

impl Allowance {
    /// So many uploads an hour for each client, all at once if it likes.
    pub(super) fn new(per_hour: NonZeroU32, clock: Clock) -> Self {
        let clock = LimiterClock(clock);
        Self {
            limiter: RateLimiter::hashmap_with_clock(Quota::per_hour(per_hour), clock.clone()),
            clock,
            senders: Mutex::default(),
        }
    }

    /// Counts an upload.
    ///
    /// # Errors
    /// How long this client must wait before its next.
    pub(super) fn take(&self, client: ClientNetwork) -> Result<(), Duration> {
        if self.limiter.len() >= MOST_CLIENTS {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
        if self.limiter.len() >= MOST_CLIENTS {
            // So many active clients are an attack from everywhere; the day's limit holds for all of them together.
            tracing::warn!("too many clients to count each one's uploads");
            return Ok(());
        }
        self.limiter
            .check_key(&client)
            .map_err(|until| until.wait_time_from(self.clock.now()))
    }

    /// Remembers who sent an upload until [`Self::settle`].
    pub(super) fn remember(&self, id: &PictureId, client: ClientNetwork) {
        self.senders().insert(id.clone(), client);
    }

    /// The verdict on an upload is known: a refusal counts as one upload more, so that abuse runs dry first.
    pub(super) fn settle(&self, id: &PictureId, refused: bool) {
        let sender = self.senders().remove(id);
        if let (Some(client), true) = (sender, refused) {
            self.charge(client);
        }
    }

    /// Takes one upload off a client's allowance, if it has any left.
    pub(super) fn charge(&self, client: ClientNetwork) {
        // With nothing left there is nothing to take.
        let _ = self.limiter.check_key(&client);
    }

    fn senders(&self) -> std::sync::MutexGuard<'_, HashMap<PictureId, ClientNetwork>> {
        self.senders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
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
    fn a_refusal_costs_double_also_when_the_verdict_comes_later() {
        let (allowance, _) = allowance(6);
        let (refused, published) = (PictureId::random(), PictureId::random());
        for id in [&refused, &published] {
            assert_eq!(allowance.take(client(1)), Ok(()));
            allowance.remember(id, client(1));
        }
        allowance.settle(&refused, true);
        allowance.settle(&published, false);
        allowance.settle(&refused, true);
        for _ in 0..3 {
            assert_eq!(allowance.take(client(1)), Ok(()));
        }
        assert!(allowance.take(client(1)).is_err());
    }
}
