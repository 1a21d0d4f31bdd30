//! Limits how many uploads one client may send in an hour. For clients that send what is refused
//! the limit is lower.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::Quota;

use crate::domain::client::ClientNetwork;
use crate::runtime::client_limits::ClientLimit;
use crate::runtime::clock::Clock;

/// The uploads that each client has left.
pub(super) struct Allowance(ClientLimit);

impl Allowance {
    /// Allows each client this many uploads an hour, all at once if it likes.
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

    /// Takes back the count of an upload that was refused through no fault of this client.
    pub(super) fn give_back(&self, client: ClientNetwork) {
        self.0.give_back(client);
    }

    /// Takes one more upload off a client's allowance, if it has any left. A refusal thus costs
    /// double, so that abuse runs dry first.
    pub(super) fn charge(&self, client: ClientNetwork) {
        // Where nothing is left, there is nothing to take.
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
