//! Objects in an S3 bucket: Amazon's, or that of any other service with the same protocol.

use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::time::Duration;

use anyhow::{Context, anyhow};
use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::RequestId;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use bytes::Bytes;
use futures_util::StreamExt;

use super::{Folder, ObjectStorage, StorageError, StorageKey};
use crate::config::S3Config;
use crate::domain::expiry::IMAGE_CACHING;

/// How long it may take to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long one attempt may take, including sending its body. The largest objects are a few
/// megabytes.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long all attempts together may take, including the pauses between them.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(75);
/// How long the body of an object may take to arrive once the answer has begun. The SDK also ends a
/// stream that stalls.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);
/// How many objects of one picture are sent at the same time.
const PUTS_AT_ONCE: usize = 4;
/// The most keys that one request may delete.
const DELETE_BATCH: usize = 1000;
/// How often a conditional put is tried.
const CREATE_ATTEMPTS: u32 = 3;
/// The pause before the second conditional put; the next pause is twice as long.
const CREATE_PAUSE: Duration = Duration::from_millis(200);

/// Stores objects in one bucket. Each object is stored by a single request and never by a multipart
/// upload, so it appears only once it is complete.
#[derive(Debug, Clone)]
pub struct S3Storage {
    client: Client,
    bucket: String,
}

impl S3Storage {
    /// Prepares a client; nothing is sent yet.
    #[must_use]
    pub fn new(sdk: &SdkConfig, config: &S3Config) -> Self {
        Self {
            client: Client::from_conf(Self::client_settings(sdk, config).build()),
            bucket: config.bucket.clone(),
        }
    }

    /// The settings of every client of a bucket.
    pub(crate) fn client_settings(
        sdk: &SdkConfig,
        config: &S3Config,
    ) -> aws_sdk_s3::config::Builder {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .operation_timeout(OPERATION_TIMEOUT)
            .build();
        aws_sdk_s3::config::Builder::from(sdk)
            .force_path_style(config.force_path_style)
            .timeout_config(timeouts)
            // Newer checksums are refused by many services that are not Amazon's. What is sent
            // stays protected, because the signature covers the SHA-256 of every body.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
    }

    /// A put with all metadata of the object. The CDN reads the bucket directly, so the object must
    /// carry its caching headers.
    fn put_request(&self, key: &StorageKey, bytes: Bytes) -> PutObjectFluentBuilder {
        let request = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(key.path())
            .content_type(key.content_type())
            .body(ByteStream::from(bytes));
        match key {
            StorageKey::Image { expires_at, id, .. } => request
                .cache_control(IMAGE_CACHING)
                .expires(DateTime::from_secs(expires_at.last_fresh_second()))
                .metadata("cache-tag", id.cache_tag()),
            // Only this server reads these.
            StorageKey::Manifest { .. }
            | StorageKey::Ban { .. }
            | StorageKey::Ledger { .. }
            | StorageKey::Asset { .. }
            | StorageKey::Build { .. } => request.cache_control("no-store"),
        }
    }

    /// Sends one conditional put, without the retries of the SDK.
    async fn create_once(&self, key: &StorageKey, bytes: Bytes) -> Created {
        let request = self.put_request(key, bytes).if_none_match("*");
        let once = aws_sdk_s3::config::Config::builder().retry_config(RetryConfig::disabled());
        let error = match request.customize().config_override(once).send().await {
            Ok(_) => return Created::New,
            Err(error) => error,
        };
        if error.code() == Some("PreconditionFailed") || status_of(&error) == Some(412) {
            return Created::Existed;
        }
        let again = match &error {
            SdkError::ConstructionFailure(_) => false,
            // Of two conditional puts at the same moment, one is answered with 409 and must try
            // again.
            _ => status_of(&error)
                .is_none_or(|status| status >= 500 || matches!(status, 409 | 408 | 429)),
        };
        Created::Failed {
            error: self.failed("create", &key.path(), error),
            again,
        }
    }

    async fn delete_batch(&self, keys: &[StorageKey]) -> Result<(), StorageError> {
        let objects = keys
            .iter()
            .map(|key| ObjectIdentifier::builder().key(key.path()).build())
            .collect::<Result<Vec<_>, _>>()
            .context("an object's key is missing")?;
        let batch = Delete::builder()
            .set_objects(Some(objects))
            .quiet(true)
            .build()
            .context("an empty batch")?;
        let answer = self
            .client
            .delete_objects()
            .bucket(&self.bucket)
            .delete(batch)
            .send()
            .await
            .map_err(|error| self.failed("delete", "a batch of objects", error))?;
        // The status is 200 even where none of the objects could be deleted.
        let failures: Vec<_> = answer
            .errors()
            .iter()
            .filter(|failure| failure.code() != Some("NoSuchKey"))
            .collect();
        let Some(first) = failures.first() else {
            return Ok(());
        };
        Err(anyhow!(
            "{} of {} objects could not be deleted from the bucket {}; the first is {}: {} {}",
            failures.len(),
            keys.len(),
            self.bucket,
            first.key().unwrap_or("unnamed"),
            first.code().unwrap_or("no code"),
            first.message().unwrap_or_default(),
        )
        .into())
    }

    /// Describes what failed and, where the configuration is the cause, how to mend it. The SDK's
    /// error holds no credentials.
    fn failed<E>(&self, verb: &str, what: &str, error: SdkError<E>) -> StorageError
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
        SdkError<E>: RequestId,
    {
        if error.code() == Some("NoSuchKey") {
            return StorageError::NotFound;
        }
        let mut message = format!("cannot {verb} {what} in the bucket {}", self.bucket);
        let status = status_of(&error);
        if let Some(status) = status {
            let code = error.code().unwrap_or("no code");
            // Writing to a string cannot fail.
            let _ = write!(message, " (status {status}, {code}");
            if let Some(id) = error.request_id() {
                let _ = write!(message, ", request {id}");
            }
            message.push(')');
        }
        if let Some(remedy) = remedy(error.code(), status) {
            let _ = write!(message, ": {remedy}");
        }
        anyhow::Error::from(error).context(message).into()
    }
}

/// The outcome of one conditional put.
enum Created {
    New,
    Existed,
    /// It failed. Where `again` is true, another attempt may help; the object may also have been
    /// written although the answer was lost.
    Failed {
        error: StorageError,
        again: bool,
    },
}

fn status_of<E>(error: &SdkError<E>) -> Option<u16> {
    error
        .raw_response()
        .map(|response| response.status().as_u16())
}

/// What the operator can do about this error.
fn remedy(code: Option<&str>, status: Option<u16>) -> Option<&'static str> {
    Some(match (code.unwrap_or_default(), status) {
        // The answer to a HEAD request has no body, so the SDK finds no better code than this one.
        ("NoSuchBucket" | "NotFound", _) => "there is no such bucket (CATTO_S3_BUCKET)",
        ("RequestTimeTooSkewed", _) => "the clock of this machine is wrong",
        ("ExpiredToken" | "InvalidToken", _) => "the AWS credentials have expired",
        ("InvalidAccessKeyId" | "SignatureDoesNotMatch", _) => "the AWS credentials are wrong",
        ("PermanentRedirect" | "AuthorizationHeaderMalformed", _) | (_, Some(301)) => {
            "the bucket lies in another region (AWS_REGION)"
        }
        (_, Some(401 | 403)) => {
            "the AWS credentials lack a permission; s3:ListBucket, s3:GetObject, s3:PutObject and s3:DeleteObject are needed"
        }
        _ => return None,
    })
}

#[async_trait]
impl ObjectStorage for S3Storage {
    async fn put(&self, objects: Vec<(StorageKey, Bytes)>) -> Result<(), StorageError> {
        let puts = objects.into_iter().map(|(key, bytes)| async move {
            match self.put_request(&key, bytes).send().await {
                Ok(_) => Ok(()),
                Err(error) => Err(self.failed("put", &key.path(), error)),
            }
        });
        // Every put ends before the first failure is returned, so that none can still write after
        // the caller has cleaned up.
        let ended: Vec<_> = futures_util::stream::iter(puts)
            .buffer_unordered(PUTS_AT_ONCE)
            .collect()
            .await;
        ended.into_iter().collect()
    }

    async fn create(&self, key: &StorageKey, bytes: Bytes) -> Result<bool, StorageError> {
        let mut pause = CREATE_PAUSE;
        let mut attempt = 1;
        loop {
            match self.create_once(key, bytes.clone()).await {
                Created::New => return Ok(true),
                Created::Existed if attempt == 1 => return Ok(false),
                // An earlier attempt may have written the object and lost only the answer. The
                // bytes tell whether it was ours.
                Created::Existed => return Ok(self.get(key, None).await? == bytes),
                Created::Failed { error, again } if !again || attempt == CREATE_ATTEMPTS => {
                    return Err(error);
                }
                Created::Failed { .. } => {}
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
            attempt += 1;
        }
    }

    async fn get(
        &self,
        key: &StorageKey,
        range: Option<RangeInclusive<u64>>,
    ) -> Result<Bytes, StorageError> {
        let path = key.path();
        let asked = range
            .as_ref()
            .map(|range| format!("bytes={}-{}", range.start(), range.end()));
        let answer = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(&path)
            .set_range(asked)
            .send()
            .await
            .map_err(|error| self.failed("get", &path, error))?;
        let bytes = tokio::time::timeout(BODY_TIMEOUT, answer.body.collect())
            .await
            .with_context(|| format!("{path} took too long to arrive"))?
            .with_context(|| format!("{path} did not arrive whole"))?
            .into_bytes();
        match range {
            Some(range) if bytes.len() as u64 != range.end() - range.start() + 1 => Err(anyhow!(
                "{} bytes of {path} came where {range:?} was asked for",
                bytes.len()
            )
            .into()),
            _ => Ok(bytes),
        }
    }

    async fn delete(&self, keys: &[StorageKey]) -> Result<(), StorageError> {
        let mut deleted = Ok(());
        for batch in keys.chunks(DELETE_BATCH) {
            // A batch that fails must not stop the others.
            deleted = deleted.and(self.delete_batch(batch).await);
        }
        deleted
    }

    async fn list(&self, folder: Folder) -> Result<Vec<StorageKey>, StorageError> {
        let prefix = folder.prefix();
        let mut pages = self
            .client
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(&prefix)
            // The delimiter keeps the keys of deeper folders out of the answer, and so off the
            // bill.
            .set_delimiter((folder.depth() == 1).then(|| "/".to_owned()))
            .into_paginator()
            .send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.failed("list", &prefix, error))?;
            keys.extend(
                page.contents()
                    .iter()
                    .filter_map(|object| StorageKey::parse(object.key()?)),
            );
        }
        Ok(keys)
    }

    /// Does nothing. Every object is stored by a single request, whole or not at all, and no
    /// multipart upload is ever begun that could be left over.
    async fn delete_unfinished(&self) -> Result<(), StorageError> {
        Ok(())
    }

    /// Asks for the bucket alone. To put a test object would cost twelve times as much, many times
    /// a day.
    async fn check(&self) -> Result<(), StorageError> {
        self.client
            .head_bucket()
            .bucket(&self.bucket)
            .send()
            .await
            .map_err(|error| self.failed("find", "anything", error))?;
        Ok(())
    }
}
