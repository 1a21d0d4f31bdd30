//! Who asks: whether the CDN vouches for a request, and from which network it comes.

use std::net::{IpAddr, SocketAddr};

use app::error::ErrorCode;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use secrecy::ExposeSecret;
use subtle::{Choice, ConstantTimeEq};

use crate::config::{ClientAddress, OriginConfig};
use crate::domain::client::ClientNetwork;
use crate::error::Error;
use crate::state::AppState;

/// What the CDN adds to every request that it passes on.
const ORIGIN_KEY: HeaderName = HeaderName::from_static("x-catto-origin-key");
/// Asked by the platform itself, from beside the CDN.
pub(crate) const HEALTH_CHECKS: [&str; 2] = ["/healthz", "/readyz"];

/// Refuses what did not come through the CDN where one is configured, and notes the client's network.
pub(crate) async fn identify(
    State(state): State<AppState>,
    mut request: Request,
    next: Next,
) -> Response {
    let vouched = has_key(&state.origin, request.headers());
    let is_health_check = HEALTH_CHECKS.contains(&request.uri().path());
    if !state.origin.keys.is_empty() && !vouched && !is_health_check {
        return Error::new(
            ErrorCode::Forbidden,
            "This server answers only through its CDN.",
        )
        .into_response();
    }
    let client = network(&state.origin, vouched, &request);
    request.extensions_mut().insert(client);
    // Nothing behind this needs the secret.
    request.headers_mut().remove(ORIGIN_KEY);
    next.run(request).await
}

/// True where the request carries one of the configured keys. Takes as long whichever it is, and whether or not.
fn has_key(config: &OriginConfig, headers: &HeaderMap) -> bool {
    let Some(given) = headers.get(ORIGIN_KEY) else {
        return false;
    };
    let found = config.keys.iter().fold(Choice::from(0), |found, key| {
        found | key.expose_secret().as_bytes().ct_eq(given.as_bytes())
    });
    found.into()
}

/// The network of the connection, or of the address in the configured header where the CDN vouches for it.
fn network(config: &OriginConfig, vouched: bool, request: &Request) -> ClientNetwork {
    let named = match &config.client_address {
        ClientAddress::Header(name) if vouched => last_address(request.headers(), name),
        _ => None,
    };
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    named
        .or(peer.map(|ConnectInfo(peer)| peer.ip()))
        .map_or(ClientNetwork::UNKNOWN, ClientNetwork::of)
}

/// The last address of a header: what stands before it in a list was sent by the client itself.
fn last_address(headers: &HeaderMap, name: &HeaderName) -> Option<IpAddr> {
    let value = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    let last = value.rsplit(',').next()?.trim();
    last.parse()
        .ok()
        .or_else(|| last.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
}
