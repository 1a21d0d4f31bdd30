//! CloudFront's purge: `CreateInvalidation` with one path or tag, and `GetInvalidation` until every
//! edge location has done it.
//! <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/Invalidation.html>
//!
//! Every item of an invalidation is billed as one path, and so is a wildcard. Repeating a request
//! with the same caller reference returns the existing invalidation and costs nothing.

mod distribution;

use std::error::Error;
use std::time::Duration;

use anyhow::anyhow;
use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_cloudfront::Client;
use aws_sdk_cloudfront::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudfront::operation::RequestId;
use aws_sdk_cloudfront::types::{InvalidationBatch, Paths};

use super::{Asked, Purge, PurgeError};
use crate::aws;
use crate::config::CloudFrontConfig;
use crate::domain::purge::{PurgeItem, PurgeKind};

/// The most invalidations of wildcards that may be under way for one distribution.
const MOST_WILDCARDS: u32 = 15;
/// How long it may take to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a call may take, including the connection.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Purges the cache of one distribution.
pub struct CloudFrontClient {
    client: Client,
    distribution: String,
}

impl CloudFrontClient {
    /// Prepares a client; nothing is sent yet.
    #[must_use]
    pub fn new(sdk: &SdkConfig, config: &CloudFrontConfig) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(TIMEOUT)
            .operation_timeout(TIMEOUT)
            .build();
        // The SDK does not retry, because the queue does.
        let settings = aws_sdk_cloudfront::config::Builder::from(sdk)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            .build();
        Self {
            client: Client::from_conf(settings),
            distribution: config.distribution.clone(),
        }
    }
}

#[async_trait]
impl Purge for CloudFrontClient {
    /// One item per request, so that each is paid for once, under a reference of its own.
    fn most_at_once(&self, _kind: PurgeKind) -> usize {
        1
    }

    fn most_under_way(&self) -> u32 {
        MOST_WILDCARDS
    }

    async fn purge(&self, items: &[PurgeItem], reference: &str) -> Result<Asked, PurgeError> {
        // Folders and tags are written as CloudFront expects them: `/i/…/*` and `#tag`.
        let paths: Vec<String> = items.iter().map(ToString::to_string).collect();
        let batch = Paths::builder()
            .quantity(i32::try_from(paths.len()).unwrap_or(i32::MAX))
            .set_items(Some(paths))
            .build()
            .and_then(|paths| {
                InvalidationBatch::builder()
                    .caller_reference(reference)
                    .paths(paths)
                    .build()
            })
            .map_err(|error| PurgeError::Rejected(error.into()))?;
        let answer = self
            .client
            .create_invalidation()
            .distribution_id(&self.distribution)
            .invalidation_batch(batch)
            .send()
            .await
            .map_err(|error| classified("CreateInvalidation", error))?;
        let invalidation = answer
            .invalidation
            .ok_or_else(|| malformed("CreateInvalidation"))?;
        if invalidation.id.is_empty() {
            return Err(malformed("CreateInvalidation"));
        }
        Ok(Asked::Begun {
            ticket: invalidation.id,
        })
    }

    async fn is_done(&self, ticket: &str) -> Result<bool, PurgeError> {
        let answer = self
            .client
            .get_invalidation()
            .distribution_id(&self.distribution)
            .id(ticket)
            .send()
            .await
            .map_err(|error| classified("GetInvalidation", error))?;
        let invalidation = answer
            .invalidation
            .ok_or_else(|| malformed("GetInvalidation"))?;
        match invalidation.status.as_str() {
            "Completed" => Ok(true),
            "InProgress" => Ok(false),
            _ => Err(malformed("GetInvalidation")),
        }
    }
}

fn malformed(call: &str) -> PurgeError {
    PurgeError::Unavailable(anyhow!("the answer of {call} lacks what it must hold"))
}

fn classified<E>(call: &str, error: SdkError<E>) -> PurgeError
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
    SdkError<E>: RequestId,
{
    let status = error.raw_response().map(|answer| answer.status().as_u16());
    let code = error.code().unwrap_or("no code").to_owned();
    let class = match (&error, status) {
        (SdkError::ServiceError(_), Some(status)) => class_of(&code, status),
        (SdkError::ConstructionFailure(_), _) => Class::Refused,
        _ if aws::lacks_credentials(&error) => Class::Refused,
        _ => Class::Unavailable,
    };
    let mut message = format!("{call} failed");
    if let Some(status) = status {
        message = format!(
            "{message} (status {status}, {code}, request {})",
            error.request_id().unwrap_or("unnamed"),
        );
    }
    let error = anyhow::Error::from(error).context(message);
    match class {
        Class::Throttled => PurgeError::Throttled { wait: None },
        Class::Unavailable => PurgeError::Unavailable(error),
        Class::Refused => PurgeError::Refused(error),
        Class::Rejected => PurgeError::Rejected(error),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Throttled,
    Unavailable,
    Refused,
    Rejected,
}

/// Classifies an answer by its error code where that is known, else by its status.
fn class_of(code: &str, status: u16) -> Class {
    match (code, status) {
        (
            "TooManyInvalidationsInProgress"
            | "Throttling"
            | "ThrottlingException"
            | "RequestLimitExceeded"
            | "TooManyRequestsException",
            _,
        )
        | (_, 429) => Class::Throttled,
        (
            "InvalidArgument"
            | "BatchTooLarge"
            | "InconsistentQuantities"
            | "MissingBody"
            | "InvalidationBatchAlreadyExists"
            | "NoSuchInvalidation",
            _,
        ) => Class::Rejected,
        // A status below 400 is meant as a success, but the answer could not be read.
        ("InternalError" | "ServiceUnavailable" | "RequestTimeout", _)
        | (_, ..400 | 408 | 500..) => Class::Unavailable,
        // Denied, expired, unknown or wrongly signed: none of these mends itself.
        _ => Class::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_that_is_none_has_its_class() {
        for (code, status, class) in [
            ("TooManyInvalidationsInProgress", 400, Class::Throttled),
            ("Throttling", 400, Class::Throttled),
            ("", 429, Class::Throttled),
            ("InternalError", 500, Class::Unavailable),
            ("", 503, Class::Unavailable),
            ("", 200, Class::Unavailable),
            ("InvalidArgument", 400, Class::Rejected),
            ("BatchTooLarge", 413, Class::Rejected),
            ("NoSuchInvalidation", 404, Class::Rejected),
            ("NoSuchDistribution", 404, Class::Refused),
            ("AccessDenied", 403, Class::Refused),
            ("SignatureDoesNotMatch", 403, Class::Refused),
            ("SomethingNew", 400, Class::Refused),
        ] {
            assert_eq!(class_of(code, status), class, "{code} {status}");
        }
    }
}
