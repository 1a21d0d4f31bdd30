//! Cloudflare's purge: `POST /client/v4/zones/{zone}/purge_cache` with addresses, prefixes or tags.
//! <https://developers.cloudflare.com/cache/how-to/purge-cache/>

mod token;

use std::num::NonZeroU32;
use std::time::Duration;

use anyhow::{Context, anyhow};
use async_trait::async_trait;
use bytes::Bytes;
use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Request, Response, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::json;
use tokio_rustls::rustls::crypto;
use url::{Position, Url};

use super::look::image_url;
use super::{Asked, Purge, PurgeError};
use crate::config::CloudflareConfig;
use crate::domain::purge::{PurgeItem, PurgeKind};
use crate::domain::variant::{self, FileName, KNOWN_NAMES};
use crate::runtime::clock::{Clock, LimiterClock};

/// The most addresses, prefixes or tags in one request, on every plan but the largest.
const MOST_ITEMS: usize = 100;
/// All files of a picture fit into one request.
const _: () = assert!(KNOWN_NAMES <= MOST_ITEMS);
/// The Free plan's rate limit for requests that name tags or folders: the refill of the token
/// bucket, in requests per minute…
const LIMITED_REQUESTS_A_MINUTE: NonZeroU32 = NonZeroU32::new(5).expect("5 is not 0");
/// …and its size, in requests.
const LIMITED_REQUESTS_AT_ONCE: NonZeroU32 = NonZeroU32::new(25).expect("25 is not 0");
/// How long a request may take, including the connection and the answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The most bytes that are read of an answer.
const LONGEST_ANSWER: usize = 64 * 1024;
/// The most characters of an answer's message that are logged.
const LONGEST_MESSAGE: usize = 200;

const CLIENT_NAME: &str = concat!("cattocdn/", env!("CARGO_PKG_VERSION"));

type Limiter = RateLimiter<NotKeyed, InMemoryState, LimiterClock, NoOpMiddleware<Nanos>>;

/// Purges the cache of one zone.
pub struct CloudflareClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    uri: Uri,
    authorization: HeaderValue,
    /// The site's address, with which the URLs of images in the cache begin.
    public_url: Url,
    limited_requests: Limiter,
    clock: LimiterClock,
}

/// What every answer of Cloudflare's API holds.
#[derive(Debug, Deserialize)]
struct Envelope {
    success: bool,
    #[serde(default)]
    errors: Vec<Complaint>,
}

#[derive(Debug, Deserialize)]
struct Complaint {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
}

impl CloudflareClient {
    /// Prepares a client; nothing is sent yet.
    ///
    /// # Errors
    /// When the machine has no list of trusted certificates.
    pub fn new(config: &CloudflareConfig, public_url: Url, clock: Clock) -> anyhow::Result<Self> {
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(crypto::ring::default_provider())
            .context("this machine has no list of trusted certificates; on Debian, install the package `ca-certificates`")?;
        // Plain HTTP is allowed only for a stand-in on this machine.
        let connector = match config.endpoint.scheme() {
            "http" => connector.https_or_http(),
            _ => connector.https_only(),
        };
        let uri = config
            .endpoint
            .join(&format!("/client/v4/zones/{}/purge_cache", config.zone))?;
        let mut authorization =
            HeaderValue::try_from(format!("Bearer {}", config.token.expose_secret()))
                .map_err(|_| anyhow!("the token cannot be sent (CATTO_CLOUDFLARE_TOKEN)"))?;
        authorization.set_sensitive(true);
        let quota =
            Quota::per_minute(LIMITED_REQUESTS_A_MINUTE).allow_burst(LIMITED_REQUESTS_AT_ONCE);
        let clock = LimiterClock(clock);
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector.enable_http1().build()),
            uri: uri.as_str().parse()?,
            authorization,
            public_url,
            limited_requests: RateLimiter::direct_with_clock(quota, clock.clone()),
            clock,
        })
    }

    /// The body of a request for these items, which must all be of one kind.
    fn body(&self, items: &[PurgeItem]) -> serde_json::Value {
        let (mut files, mut prefixes, mut tags) = (Vec::new(), Vec::new(), Vec::new());
        for item in items {
            match item {
                PurgeItem::Images { id, expires_at } => {
                    let url =
                        |name| image_url(&self.public_url, id, *expires_at, &FileName::Known(name));
                    files.extend(variant::known().map(|name| url(name).to_string()));
                }
                PurgeItem::Image {
                    id,
                    expires_at,
                    name,
                } => {
                    files.push(image_url(&self.public_url, id, *expires_at, name).to_string());
                }
                // A prefix without a scheme covers both HTTP and HTTPS.
                PurgeItem::Folder { .. } | PurgeItem::Ending(_) => prefixes.push(format!(
                    "{}{}",
                    &self.public_url[Position::BeforeHost..Position::AfterPort],
                    item.to_string().trim_end_matches('*')
                )),
                PurgeItem::Tag(tag) => tags.push(tag.as_str()),
            }
        }
        match (files.is_empty(), prefixes.is_empty()) {
            (false, _) => json!({ "files": files }),
            (true, false) => json!({ "prefixes": prefixes }),
            (true, true) => json!({ "tags": tags }),
        }
    }

    async fn send(&self, body: Bytes) -> Result<(), PurgeError> {
        let request = Request::post(self.uri.clone())
            .header(header::AUTHORIZATION, self.authorization.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, CLIENT_NAME)
            .body(Full::new(body))
            .map_err(|error| PurgeError::Unavailable(error.into()))?;
        let answered = async {
            let answer = self.client.request(request).await?;
            read(answer).await
        };
        let (status, headers, body) = tokio::time::timeout(TIMEOUT, answered)
            .await
            .map_err(|_| PurgeError::Unavailable(anyhow!("no answer within {TIMEOUT:?}")))?
            .map_err(PurgeError::Unavailable)?;
        verdict(status, &headers, &body)
    }
}

#[async_trait]
impl Purge for CloudflareClient {
    fn most_at_once(&self, kind: PurgeKind) -> usize {
        match kind {
            PurgeKind::Images => MOST_ITEMS / KNOWN_NAMES,
            PurgeKind::Folder | PurgeKind::Tag => MOST_ITEMS,
        }
    }

    fn most_under_way(&self) -> u32 {
        0
    }

    async fn purge(&self, items: &[PurgeItem], _reference: &str) -> Result<Asked, PurgeError> {
        let is_limited = items.iter().any(|item| item.kind() != PurgeKind::Images);
        if is_limited && let Err(until) = self.limited_requests.check() {
            let wait = until.wait_time_from(self.clock.now());
            return Err(PurgeError::Throttled { wait: Some(wait) });
        }
        self.send(Bytes::from(self.body(items).to_string())).await?;
        Ok(Asked::Done)
    }

    /// Cloudflare answers only once the purge is done.
    async fn is_done(&self, _ticket: &str) -> Result<bool, PurgeError> {
        Ok(true)
    }
}

async fn read(answer: Response<Incoming>) -> anyhow::Result<(u16, HeaderMap, Bytes)> {
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, LONGEST_ANSWER)
        .collect()
        .await
        .map_err(|error| anyhow!("the answer cannot be read: {error}"))?
        .to_bytes();
    Ok((head.status.as_u16(), head.headers, body))
}

/// Classifies an answer. Only a 200 whose envelope says so is a success.
fn verdict(status: u16, headers: &HeaderMap, body: &[u8]) -> Result<(), PurgeError> {
    let envelope: Option<Envelope> = serde_json::from_slice(body).ok();
    if status == 200 && envelope.as_ref().is_some_and(|envelope| envelope.success) {
        return Ok(());
    }
    let error = anyhow!("status {status}: {}", complaints(envelope.as_ref()));
    Err(match status {
        429 => PurgeError::Throttled {
            wait: retry_after(headers),
        },
        401 | 403 | 404 => PurgeError::Refused(error),
        200 if envelope.is_some() => PurgeError::Rejected(error),
        400 | 405..=407 | 409..=499 => PurgeError::Rejected(error),
        _ => PurgeError::Unavailable(error),
    })
}

fn complaints(envelope: Option<&Envelope>) -> String {
    let Some(envelope) = envelope else {
        return "not an answer of Cloudflare's API".into();
    };
    let all = envelope.errors.iter().map(|complaint| {
        let message: String = complaint.message.chars().take(LONGEST_MESSAGE).collect();
        // Escaping keeps a text from outside from beginning a new line of the log.
        format!("{} {}", complaint.code, message.escape_debug())
    });
    let all: Vec<String> = all.take(3).collect();
    if all.is_empty() {
        "no reason given".into()
    } else {
        all.join("; ")
    }
}

/// The delay in whole seconds. This API does not send dates.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    Some(Duration::from_secs(seconds.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(status: u16, body: &str) -> &'static str {
        match verdict(status, &HeaderMap::new(), body.as_bytes()) {
            Ok(()) => "done",
            Err(PurgeError::Throttled { .. }) => "throttled",
            Err(PurgeError::Unavailable(_)) => "unavailable",
            Err(PurgeError::Refused(_)) => "refused",
            Err(PurgeError::Rejected(_)) => "rejected",
        }
    }

    #[test]
    fn only_an_envelope_that_says_so_is_a_success() {
        let failed = r#"{"success":false,"errors":[{"code":1012,"message":"Request must contain one of…"}]}"#;
        for (status, body, expected) in [
            (
                200,
                r#"{"success":true,"errors":[],"messages":[],"result":{"id":"0"}}"#,
                "done",
            ),
            (200, failed, "rejected"),
            (200, r#"{"success":"true"}"#, "unavailable"),
            (200, "<html>hotel login</html>", "unavailable"),
            (200, "", "unavailable"),
            (204, r#"{"success":true}"#, "unavailable"),
            (302, "", "unavailable"),
            (400, failed, "rejected"),
            (401, failed, "refused"),
            (403, r#"{"success":true}"#, "refused"),
            (404, failed, "refused"),
            (408, "", "unavailable"),
            (429, failed, "throttled"),
            (500, failed, "unavailable"),
            (503, "", "unavailable"),
        ] {
            assert_eq!(class(status, body), expected, "{status} {body}");
        }
    }

    #[test]
    fn the_wait_that_is_asked_for_is_read() {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("17"));
        let Err(PurgeError::Throttled { wait }) = verdict(429, &headers, b"") else {
            panic!("is throttled");
        };
        assert_eq!(wait, Some(Duration::from_secs(17)));
    }

    #[test]
    fn what_an_answer_says_cannot_forge_a_line_of_the_log() {
        let envelope = Envelope {
            success: false,
            errors: vec![Complaint {
                code: 1,
                message: "a\nERROR forged".repeat(100),
            }],
        };
        let text = complaints(Some(&envelope));
        assert!(!text.contains('\n') && text.len() < 500, "{text}");
    }
}
