//! How much one client may upload: so many an hour, and less for who sends what is refused.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::Quota;

use crate::domain::client::ClientNetwork;
use crate::runtime::client_limits::ClientLimit;
use crate::runtime::clock::Clock;

/// What every client may still upload.
pub(super) struct Allowance(ClientLimit);

impl Allowance {
    /// So many uploads an hour for each client, all at once if it likes.
    pub(super) fn new(per_hour: NonZeroU32, clock: Clock) -> Self {
        Self(ClientLimit::new(Quota::per_hour(per_hour), clock))
    }

    /// Counts an upload.
    ///
    /// # Errors
    /// How long this client must wait before its next.
    pub(super) fn take(&self, client: ClientNetwork) -> Result<(), Duration> {
        self.0.take(client)
    }

    /// Takes the count of an upload back that was refused for no fault of this client's.
    pub(super) fn give_back(&self, client: ClientNetwork) {
        self.0.give_back(client);
    }

    /// Takes one upload off a client's allowance, if it has any left: a refusal costs double, so that abuse runs dry first.
    pub(super) fn charge(&self, client: ClientNetwork) {
        // With nothing left there is nothing to take.
        let _ = self.0.take(client);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_costs_double_and_what_was_no_fault_of_the_clients_nothing() {
        let clock = Clock::default();
        clock.stop_at(1_800_000_000_000);
        let allowance = Allowance::new(NonZeroU32::new(4).expect("is not zero"), clock);
        let client = ClientNetwork::of([192, 0, 2, 1].into());
        for _ in 0..2 {
            assert_eq!(allowance.take(client), Ok(()));
            allowance.charge(client);
        }
        assert_eq!(allowance.take(client), Err(Duration::from_secs(900)));
        allowance.charge(client);
        allowance.give_back(client);
        assert_eq!(allowance.take(client), Ok(()));
        assert!(allowance.take(client).is_err());
    }
}
