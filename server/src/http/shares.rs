//! How much of the server one client may have at once, where the peers are a CDN's and only a header tells clients apart.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;

use crate::domain::client::ClientNetwork;
use crate::http::held;

/// So many requests of one client are under way at once. Whoever shares an address, as behind a carrier, shares them; but
/// caches answer most of what they ask for.
const CLIENT_REQUESTS: usize = 64;

/// Requests under way of each client that has some: no more clients than connections.
#[derive(Default)]
pub struct Shares(Mutex<HashMap<ClientNetwork, usize>>);

/// A request under way; it ends when this is dropped.
pub(crate) struct UnderWay {
    client: ClientNetwork,
    shares: Arc<Shares>,
}

/// Counts a request until its answer was handed over. Outermost: on its way here an answer gets other bodies.
pub(crate) async fn hold_until_sent(request: Request, next: Next) -> Response {
    let mut answer = next.run(request).await;
    match answer.extensions_mut().remove::<Arc<UnderWay>>() {
        Some(under_way) => held::until_sent(answer, under_way),
        None => answer,
    }
}

impl Shares {
    /// Counts a request of this client; `None` where it has its share.
    pub(crate) fn begin(self: &Arc<Self>, client: ClientNetwork) -> Option<UnderWay> {
        let mut shares = self.lock();
        let requests = shares.entry(client).or_default();
        if *requests >= CLIENT_REQUESTS {
            return None;
        }
        *requests += 1;
        Some(UnderWay {
            client,
            shares: self.clone(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ClientNetwork, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut shares = self.shares.lock();
        if let Some(requests) = shares.get_mut(&self.client) {
            *requests -= 1;
            if *requests == 0 {
                shares.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_its_share_of_requests_and_is_forgotten_when_all_are_over() {
        let shares = Arc::new(Shares::default());
        let client = |number| ClientNetwork::of([192, 0, 2, number].into());
        let own: Vec<_> = (0..CLIENT_REQUESTS)
            .map(|_| shares.begin(client(1)).expect("fits"))
            .collect();
        assert!(shares.begin(client(1)).is_none());
        assert!(shares.begin(client(2)).is_some());
        drop(own);
        assert!(shares.begin(client(1)).is_some());
        assert!(shares.lock().is_empty());
    }
}
