//! Identifies the client: whether the CDN vouches for a request, and from which network it comes.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use app::error::ErrorCode;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Extensions, HeaderMap, HeaderName, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use secrecy::ExposeSecret;
use subtle::{Choice, ConstantTimeEq};

use crate::config::{ClientAddress, OriginConfig};
use crate::domain::client::ClientNetwork;
use crate::http::connections::Peers;
use crate::http::error::Error;
use crate::http::handling::Handling;
use crate::http::state::AppState;

/// The header with the secret that the CDN adds to every request that it passes on.
const ORIGIN_KEY: HeaderName = HeaderName::from_static("x-catto-origin-key");
/// When a client that has its share of requests should try again. Most answers take far less time.
const SHARE_FREES_ITSELF: Duration = Duration::from_secs(5);

/// Whose share a connection counts towards, according to the configuration.
pub(crate) fn peers(config: &OriginConfig) -> Peers {
    match config.client_address {
        ClientAddress::Socket => Peers::Clients,
        ClientAddress::Header(_) => Peers::Proxies,
    }
}

/// Refuses requests that did not come through the CDN, where one is configured, and notes the
/// client's network.
pub(crate) async fn identify(
    State(state): State<AppState>,
    mut request: Request,
    next: Next,
) -> Response {
    let vouched = has_key(&state.origin, request.headers());
    let is_health_check = Handling::of(&request).is_health_check;
    if !state.origin.keys.is_empty() && !vouched && !is_health_check {
        let refusal = Error::new(
            ErrorCode::Forbidden,
            "This server can only be reached through its CDN. Please use the public address of the site.",
        );
        // A client that bypasses the CDN may not keep its connection.
        return ([(header::CONNECTION, "close")], refusal).into_response();
    }
    let named = named_client(&state.origin, vouched, request.headers());
    let client = named.unwrap_or_else(|| peer_network(&request));
    request.extensions_mut().insert(client);
    // Nothing after this needs the secret.
    request.headers_mut().remove(ORIGIN_KEY);
    match named.map(|client| state.shares.begin(client)) {
        // Where no header names the client, its connections are counted instead.
        None => next.run(request).await,
        Some(Some(under_way)) => {
            let mut answer = next.run(request).await;
            answer.extensions_mut().insert(Arc::new(under_way));
            answer
        }
        Some(None) => Error::new(
            ErrorCode::TooManyRequests,
            "There are too many requests from your network right now. Please try again in a few seconds.",
        )
        .retry_after(SHARE_FREES_ITSELF)
        .into_response(),
    }
}

/// The network that the request with these extensions came from, as [`identify`] noted it.
pub(crate) fn network_of(extensions: &Extensions) -> ClientNetwork {
    let noted = extensions.get::<ClientNetwork>().copied();
    noted.unwrap_or(ClientNetwork::UNKNOWN)
}

/// True where the request carries one of the configured keys. It takes the same time for each key
/// and for none.
fn has_key(config: &OriginConfig, headers: &HeaderMap) -> bool {
    let Some(given) = headers.get(ORIGIN_KEY) else {
        return false;
    };
    let found = config.keys.iter().fold(Choice::from(0), |found, key| {
        found | key.expose_secret().as_bytes().ct_eq(given.as_bytes())
    });
    found.into()
}

/// The network of the address in the configured header, where the CDN vouches for that header.
fn named_client(
    config: &OriginConfig,
    vouched: bool,
    headers: &HeaderMap,
) -> Option<ClientNetwork> {
    match &config.client_address {
        ClientAddress::Header(name) if vouched => {
            last_address(headers, name).map(ClientNetwork::of)
        }
        _ => None,
    }
}

/// The network of the connection's peer.
fn peer_network(request: &Request) -> ClientNetwork {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    peer.map_or(ClientNetwork::UNKNOWN, |ConnectInfo(peer)| {
        ClientNetwork::of(peer.ip())
    })
}

/// The last address in a header. Those before it in the list were sent by the client itself.
fn last_address(headers: &HeaderMap, name: &HeaderName) -> Option<IpAddr> {
    let value = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    let last = value.rsplit(',').next()?.trim();
    last.parse()
        .ok()
        .or_else(|| last.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
}
