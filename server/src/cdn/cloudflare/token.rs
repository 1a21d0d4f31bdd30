//! Asks Cloudflare about the token: `GET /client/v4/user/tokens/verify`. Any token may ask this,
//! and it changes nothing.

use anyhow::anyhow;
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::Uri;
use hyper::header;
use serde::Deserialize;

use super::super::PurgeError;
use super::{CLIENT_NAME, CloudflareClient, TIMEOUT, read, verdict};

const PATH: &str = "/client/v4/user/tokens/verify";

#[derive(Deserialize)]
struct Verified {
    result: Token,
}

#[derive(Deserialize)]
struct Token {
    status: String,
}

impl CloudflareClient {
    /// The status of the token: `active`, `disabled` or `expired`. The answer does not tell what
    /// the token may do.
    ///
    /// # Errors
    /// When there is no answer, or the token is unknown.
    pub async fn token_status(&self) -> Result<String, PurgeError> {
        let unavailable = |error: anyhow::Error| PurgeError::Unavailable(error);
        let mut parts = self.uri.clone().into_parts();
        parts.path_and_query = Some(hyper::http::uri::PathAndQuery::from_static(PATH));
        let uri = Uri::from_parts(parts).map_err(|error| unavailable(error.into()))?;
        let request = Request::get(uri)
            .header(header::AUTHORIZATION, self.authorization.clone())
            .header(header::USER_AGENT, CLIENT_NAME)
            .body(Full::new(Bytes::new()))
            .map_err(|error| unavailable(error.into()))?;
        let answered = async { read(self.client.request(request).await?).await };
        let (status, headers, body) = tokio::time::timeout(TIMEOUT, answered)
            .await
            .map_err(|_| unavailable(anyhow!("no answer within {TIMEOUT:?}")))?
            .map_err(unavailable)?;
        verdict(status, &headers, &body)?;
        let verified: Verified = serde_json::from_slice(&body)
            .map_err(|_| unavailable(anyhow!("the answer does not say the token's status")))?;
        Ok(verified.result.status)
    }
}
