//! Keeps track of who is connected: each client's share of the connections, and which of them makes
//! room for somebody else.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::TIME_TO_LEAVE;
use crate::domain::client::ClientNetwork;

/// All open connections.
#[derive(Default)]
pub(super) struct Crowd(Mutex<Vec<Arc<Place>>>);

/// What is known of one connection.
struct Place {
    /// The client's network; `None` where the peer brings many clients.
    network: Option<ClientNetwork>,
    state: Mutex<State>,
    leave: CancellationToken,
}

#[derive(Clone, Copy)]
enum State {
    /// No request is under way, since this instant.
    Idle(Instant),
    /// This many requests are under way.
    Busy(usize),
}

/// A connection that was admitted. It gives its place back when this is dropped.
pub(super) struct Guest {
    place: Arc<Place>,
    crowd: Arc<Crowd>,
}

/// A request under way. It ends when this is dropped, once its answer was handed to the system.
pub(super) struct RequestTurn(Arc<Place>);

impl Crowd {
    /// How many connections are open.
    pub(super) fn len(&self) -> usize {
        self.places().len()
    }

    /// Admits a connection, unless its network already has `share` of them and all are busy. Where
    /// one of them is idle, that one is closed instead.
    pub(super) fn admit(
        self: &Arc<Self>,
        network: Option<ClientNetwork>,
        share: usize,
    ) -> Option<Arc<Guest>> {
        if network.is_some() {
            let taken = self.places();
            let own = taken.iter().filter(|place| place.network == network);
            let is_full = own.count() >= share;
            drop(taken);
            if is_full && !self.close_idle(|other| other == network, Duration::ZERO) {
                return None;
            }
        }
        let place = Arc::new(Place {
            network,
            state: Mutex::new(State::Idle(Instant::now())),
            leave: CancellationToken::new(),
        });
        self.places().push(place.clone());
        Some(Arc::new(Guest {
            place,
            crowd: self.clone(),
        }))
    }

    /// Closes the connection that has been idle the longest, among those of the networks that `of`
    /// accepts, and stops counting it. Returns false where none has been idle for `at_least`.
    pub(super) fn close_idle(
        &self,
        of: impl Fn(Option<ClientNetwork>) -> bool,
        at_least: Duration,
    ) -> bool {
        let mut places = self.places();
        let idle = places
            .iter()
            .enumerate()
            .filter(|(_, place)| of(place.network))
            .filter_map(|(at, place)| Some((place.idle_since()?, at)));
        let Some((since, at)) = idle.min() else {
            return false;
        };
        if since.elapsed() < at_least {
            return false;
        }
        places.swap_remove(at).leave.cancel();
        true
    }

    /// Closes a connection of the network that has the most, to make room for one of `network`,
    /// unless that network would then have more. It closes the one that has been idle the longest,
    /// however short that is. Where all are busy it closes the oldest, after its answer. Returns
    /// false where no network has that many.
    pub(super) fn make_room_for(&self, network: Option<ClientNetwork>) -> bool {
        let mut places = self.places();
        let mut counts = HashMap::new();
        for place in places.iter() {
            *counts.entry(place.network).or_insert(0_usize) += 1;
        }
        let own = counts.get(&network).copied().unwrap_or_default();
        let Some((largest, count)) = counts.into_iter().max_by_key(|(_, count)| *count) else {
            return false;
        };
        if count <= own + 1 {
            return false;
        }
        let its = places
            .iter()
            .enumerate()
            .filter(|(_, place)| place.network == largest);
        // The list is in order of arrival, except where a connection was removed.
        let Some((at, _)) = its.min_by_key(|(at, place)| match place.idle_since() {
            Some(since) => (0, Some(since), *at),
            None => (1, None, *at),
        }) else {
            return false;
        };
        places.swap_remove(at).leave.cancel();
        true
    }

    fn places(&self) -> MutexGuard<'_, Vec<Arc<Place>>> {
        self.0.lock()
    }
}

impl Place {
    fn idle_since(&self) -> Option<Instant> {
        match *self.state() {
            State::Idle(since) => Some(since),
            State::Busy(_) => None,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl Guest {
    /// Marks the connection as busy until the result is dropped.
    pub(super) fn begin_request(&self) -> RequestTurn {
        let mut state = self.place.state();
        *state = match *state {
            State::Idle(_) => State::Busy(1),
            State::Busy(requests) => State::Busy(requests + 1),
        };
        RequestTurn(self.place.clone())
    }

    /// Resolves when this connection lost its place to another.
    pub(super) async fn must_leave(&self) {
        self.place.leave.cancelled().await;
    }

    /// Resolves once the connection has been idle for [`TIME_TO_LEAVE`]. Until then the end of its
    /// last answer may still be on its way.
    pub(super) async fn overstays(&self) {
        loop {
            let until = match self.place.idle_since() {
                Some(since) if since.elapsed() >= TIME_TO_LEAVE => return,
                Some(since) => since + TIME_TO_LEAVE,
                None => Instant::now() + TIME_TO_LEAVE,
            };
            sleep_until(until).await;
        }
    }
}

impl Drop for RequestTurn {
    fn drop(&mut self) {
        let mut state = self.0.state();
        *state = match *state {
            State::Busy(requests) if requests > 1 => State::Busy(requests - 1),
            _ => State::Idle(Instant::now()),
        };
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut places = self.crowd.places();
        places.retain(|place| !Arc::ptr_eq(place, &self.place));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(number: u8) -> Option<ClientNetwork> {
        Some(ClientNetwork::of([192, 0, 2, number].into()))
    }

    fn is_leaving(guest: &Guest) -> bool {
        guest.place.leave.is_cancelled()
    }

    #[tokio::test]
    async fn a_client_has_its_share_and_leaves_the_rest_to_others() {
        let crowd = Arc::new(Crowd::default());
        let own: Vec<_> = (0..2).map(|_| crowd.admit(network(1), 2)).collect();
        let own: Vec<_> = own.into_iter().map(|guest| guest.expect("fits")).collect();
        let requests: Vec<_> = own.iter().map(|guest| guest.begin_request()).collect();
        assert!(crowd.admit(network(1), 2).is_none(), "both are busy");
        assert!(crowd.admit(network(2), 2).is_some());
        drop(requests);
        let third = crowd.admit(network(1), 2).expect("an idle one makes room");
        assert!(is_leaving(&own[0]) != is_leaving(&own[1]));
        assert!(!is_leaving(&third));
    }

    #[tokio::test]
    async fn of_a_proxy_no_connection_is_refused() {
        let crowd = Arc::new(Crowd::default());
        let guests: Vec<_> = (0..9).map(|_| crowd.admit(None, 2)).collect();
        assert!(guests.iter().all(Option::is_some));
        assert_eq!(crowd.len(), 9);
        drop(guests);
        assert_eq!(crowd.len(), 0);
    }

    #[tokio::test]
    async fn the_connection_that_idles_longest_makes_room_and_a_busy_one_never() {
        let crowd = Arc::new(Crowd::default());
        let busy = crowd.admit(None, 2).expect("fits");
        let _request = busy.begin_request();
        let old = crowd.admit(None, 2).expect("fits");
        let new = crowd.admit(None, 2).expect("fits");
        // It came first, but was used last.
        drop(old.begin_request());
        assert!(!crowd.close_idle(|_| true, Duration::from_secs(60)));
        assert!(crowd.close_idle(|_| true, Duration::ZERO));
        assert!(is_leaving(&new) && !is_leaving(&old) && !is_leaving(&busy));
        assert!(!crowd.close_idle(|_| true, Duration::from_secs(60)));
        assert!(crowd.close_idle(|_| true, Duration::ZERO));
        assert!(!crowd.close_idle(|_| true, Duration::ZERO));
        assert!(!is_leaving(&busy));
    }

    #[tokio::test]
    async fn where_all_are_taken_the_network_with_the_most_makes_room_whatever_it_does() {
        let crowd = Arc::new(Crowd::default());
        let many: Vec<_> = (0..4)
            .map(|_| crowd.admit(network(1), 9).expect("fits"))
            .collect();
        let few: Vec<_> = (0..2)
            .map(|_| crowd.admit(network(2), 9).expect("fits"))
            .collect();
        let requests: Vec<_> = many
            .iter()
            .skip(1)
            .map(|guest| guest.begin_request())
            .collect();
        assert!(crowd.make_room_for(network(3)));
        assert!(
            is_leaving(&many[0]),
            "the idle one first, however short it was"
        );
        assert!(crowd.make_room_for(network(3)));
        assert_eq!(many.iter().filter(|guest| is_leaving(guest)).count(), 2);
        assert!(!few.iter().any(|guest| is_leaving(guest)));
        // No network makes room for one that would then have more.
        assert!(!crowd.make_room_for(network(1)));
        assert!(!crowd.make_room_for(network(2)));
        drop(requests);
    }
}
