//! Takes two small objects through the bucket: they are put, read back, asked for without
//! credentials, and deleted.

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::{ByteStream, DateTime};

use super::asked::told;
use super::report::Check;
use crate::config::S3Config;
use crate::domain::expiry::IMAGE_CACHING;
use crate::storage::{Folder, S3Storage, probe_path};

const TEXT: &[u8] = b"cattocdn doctor was here and should have deleted this\n";
const TAG: &str = "doctor";
/// An arbitrary instant: 2027-01-15T08:00:00Z.
const EXPIRES: i64 = 1_800_000_000;

/// A bucket and two clients for it.
struct Place {
    client: Client,
    /// A client without credentials, like anybody's.
    stranger: Client,
    bucket: String,
}

/// Makes every check with one object in each folder that the site uses, and deletes both whatever
/// the outcome.
pub(super) async fn try_out(sdk: &SdkConfig, config: &S3Config) -> Vec<Check> {
    let mut nobody = sdk.to_builder();
    nobody.set_credentials_provider(None);
    let stranger = S3Storage::client_settings(&nobody.build(), config).allow_no_auth();
    let place = Place {
        client: Client::from_conf(S3Storage::client_settings(sdk, config).build()),
        stranger: Client::from_conf(stranger.build()),
        bucket: config.bucket.clone(),
    };
    let keys = [Folder::Images, Folder::Manifests].map(probe_path);
    let mut checks = place.use_objects(&keys).await;
    checks.push(place.delete(&keys).await);
    checks
}

impl Place {
    async fn use_objects(&self, keys: &[String]) -> Vec<Check> {
        let name = "put and get";
        let mut checks = Vec::new();
        let mut forgotten = Vec::new();
        for key in keys {
            match self.put_and_get(key).await {
                Ok(lost) => forgotten.extend(lost),
                Err((problem, remedy)) => {
                    checks.push(Check::failed(name, format!("{key}: {problem}"), remedy));
                    return checks;
                }
            }
        }
        forgotten.dedup();
        checks.push(if forgotten.is_empty() {
            Check::ok(name, "two small objects came back as they were sent")
        } else {
            Check::warning(
                name,
                format!("objects lose some of their headers: {}", forgotten.join(", ")),
                "Do not let a CDN read this bucket directly, because caches would keep pictures for too long",
            )
        });
        if let Some(key) = keys.first() {
            checks.push(self.put_again(key).await);
        }
        checks.push(self.be_a_stranger(keys).await);
        checks
    }

    /// Puts an object as images are put, and reads it back. Returns the headers that were lost.
    async fn put_and_get(&self, key: &str) -> Result<Vec<&'static str>, (String, String)> {
        self.client
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .content_type("text/plain")
            .cache_control(IMAGE_CACHING)
            .expires(DateTime::from_secs(EXPIRES))
            .metadata("cache-tag", TAG)
            .body(ByteStream::from_static(TEXT))
            .send()
            .await
            .map_err(|error| {
                (
                    format!("cannot be put: {}", told(&error)),
                    remedy(
                        error.raw_response().map(|answer| answer.status().as_u16()),
                        "s3:PutObject",
                    ),
                )
            })?;
        let answer = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(key)
            .send()
            .await
            .map_err(|error| {
                (
                    format!("cannot be got: {}", told(&error)),
                    remedy(
                        error.raw_response().map(|answer| answer.status().as_u16()),
                        "s3:GetObject",
                    ),
                )
            })?;
        let tag = answer.metadata().and_then(|all| all.get("cache-tag"));
        let expires = answer.expires_string().map(httpdate::parse_http_date);
        let kept = [
            ("Content-Type", answer.content_type() == Some("text/plain")),
            (
                "Cache-Control",
                answer.cache_control() == Some(IMAGE_CACHING),
            ),
            (
                "Expires",
                expires.is_some_and(|parsed| {
                    parsed.is_ok_and(|at| {
                        at.duration_since(std::time::UNIX_EPOCH)
                            .is_ok_and(|since| i64::try_from(since.as_secs()) == Ok(EXPIRES))
                    })
                }),
            ),
            ("x-amz-meta-cache-tag", tag.is_some_and(|tag| tag == TAG)),
        ];
        let came = answer.body.collect().await.map(|body| body.into_bytes());
        match came {
            Ok(bytes) if bytes == TEXT => {}
            _ => {
                return Err((
                    "came back changed".into(),
                    "Check what stands between this machine and the bucket, such as a proxy".into(),
                ));
            }
        }
        Ok(kept
            .iter()
            .filter(|(_, kept)| !kept)
            .map(|(header, _)| *header)
            .collect())
    }

    /// Checks whether the server refuses to replace an object when it is asked not to.
    async fn put_again(&self, key: &str) -> Check {
        let name = "conditional put";
        let again = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .if_none_match("*")
            .body(ByteStream::from_static(TEXT))
            .send()
            .await;
        let danger = "Never let two servers use this bucket, because one could overwrite what the other publishes";
        match again {
            Ok(_) => Check::warning(
                name,
                "an object that is there is overwritten, although that was forbidden",
                danger,
            ),
            Err(error) => {
                let status = error.raw_response().map(|answer| answer.status().as_u16());
                if error.code() == Some("PreconditionFailed") || status == Some(412) {
                    Check::ok(name, "an object that is there is not overwritten")
                } else {
                    Check::warning(
                        name,
                        format!("the server does not understand it: {}", told(&error)),
                        danger,
                    )
                }
            }
        }
    }

    /// Requests both objects without credentials.
    async fn be_a_stranger(&self, keys: &[String]) -> Check {
        let name = "strangers";
        for key in keys {
            let request = self.stranger.get_object().bucket(&self.bucket).key(key);
            let Err(error) = request.send().await else {
                return Check::failed(
                    name,
                    format!("anybody can read {key} directly from the bucket"),
                    "Block public access to the bucket; only the site and its CDN may read it",
                );
            };
            let status = error.raw_response().map(|answer| answer.status().as_u16());
            if !matches!(status, Some(401 | 403 | 404)) {
                return Check::warning(
                    name,
                    format!(
                        "a request without credentials is not clearly refused: {}",
                        told(&error)
                    ),
                    "Request an object by hand without credentials, and make sure that you do not get it",
                );
            }
        }
        Check::ok(name, "a request without credentials is refused")
    }

    /// Deletes the objects. Deleting one that was never put succeeds.
    async fn delete(&self, keys: &[String]) -> Check {
        let name = "delete";
        let mut left = Vec::new();
        let mut last = None;
        for key in keys {
            let request = self.client.delete_object().bucket(&self.bucket).key(key);
            if let Err(error) = request.send().await {
                last = Some((
                    told(&error),
                    remedy(
                        error.raw_response().map(|answer| answer.status().as_u16()),
                        "s3:DeleteObject",
                    ),
                ));
                left.push(key.as_str());
            }
        }
        match last {
            None => Check::ok(name, "the objects of this check are deleted again"),
            Some((problem, remedy)) => Check::failed(
                name,
                format!("{problem}; still in the bucket: {}", left.join(", ")),
                format!("{remedy}; then delete these objects"),
            ),
        }
    }
}

fn remedy(status: Option<u16>, permission: &str) -> String {
    match status {
        Some(401 | 403) => {
            format!("Allow these credentials {permission} on the bucket's `i/*` and `meta/*`")
        }
        _ => "Try again; if that does not help, ask whoever runs the server".into(),
    }
}
