//! Limits how many requests of one client are under way, where the peers are a CDN's and only a
//! header tells clients apart.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use app::error::ErrorCode;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use parking_lot::{Mutex, MutexGuard};

use crate::domain::client::ClientNetwork;
use crate::http::error::Error;
use crate::http::handling::Handling;
use crate::http::held;

/// The most requests of one client at the same time. Clients behind one address, such as a
/// carrier's, share them, but caches answer most of what they ask for.
const CLIENT_REQUESTS: usize = 64;

/// The most of them that may look at every picture, such as searches. Ten of these may run and
/// wait, so most are left to other clients.
const CLIENT_SCANS: usize = 3;
/// When a client that has its share of searches should try again.
const SCAN_ENDS_WITHIN: Duration = Duration::from_secs(3);

/// The number of requests under way of each client that has any. There are no more clients than
/// connections.
pub struct Shares {
    clients: Mutex<HashMap<ClientNetwork, usize>>,
    share: usize,
}

/// The shares of requests that may look at every picture. They are a type of their own, because
/// axum tells the parts of the state apart by type.
pub struct ScanShares(Arc<Shares>);

impl Default for ScanShares {
    fn default() -> Self {
        Self(Arc::new(Shares {
            clients: Mutex::default(),
            share: CLIENT_SCANS,
        }))
    }
}

/// Refuses a request that may look at every picture where its client already has its share of them.
pub(crate) async fn share_scans(
    State(shares): State<Arc<ScanShares>>,
    request: Request,
    next: Next,
) -> Response {
    let is_scan = Handling::of(&request).is_scan(&request);
    let client = request.extensions().get::<ClientNetwork>().copied();
    let known = client.filter(|client| is_scan && *client != ClientNetwork::UNKNOWN);
    let _scan = match known.map(|client| shares.0.begin(client)) {
        Some(None) => {
            return Error::new(
                ErrorCode::TooManyRequests,
                "There are too many searches from your network right now. Please try again in a few seconds.",
            )
            .retry_after(SCAN_ENDS_WITHIN)
            .into_response();
        }
        scan => scan.flatten(),
    };
    next.run(request).await
}

/// A request under way. It ends when this is dropped.
pub(crate) struct UnderWay {
    client: ClientNetwork,
    shares: Arc<Shares>,
}

/// Counts a request until its answer was handed to the system. This must be the outermost layer,
/// because inner layers give an answer another body.
pub(crate) async fn hold_until_sent(request: Request, next: Next) -> Response {
    let mut answer = next.run(request).await;
    match answer.extensions_mut().remove::<Arc<UnderWay>>() {
        Some(under_way) => held::until_sent(answer, under_way),
        None => answer,
    }
}

impl Shares {
    /// The shares of all requests.
    pub(crate) fn of_requests() -> Self {
        Self {
            clients: Mutex::default(),
            share: CLIENT_REQUESTS,
        }
    }

    /// Counts a request of this client; `None` where the client already has its share.
    pub(crate) fn begin(self: &Arc<Self>, client: ClientNetwork) -> Option<UnderWay> {
        let mut shares = self.lock();
        let requests = shares.entry(client).or_default();
        if *requests >= self.share {
            return None;
        }
        *requests += 1;
        Some(UnderWay {
            client,
            shares: self.clone(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ClientNetwork, usize>> {
        self.clients.lock()
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
        let shares = Arc::new(Shares::of_requests());
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
