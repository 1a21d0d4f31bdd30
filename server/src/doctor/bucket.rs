//! Checks the bucket: whether it exists, in which region it lies, and how it treats objects.

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::types::BucketVersioningStatus;

use super::asked::{Asked, told};
use super::report::Check;
use super::skew::{self, SkewReader};
use super::{lifecycle, objects, privacy};
use crate::config::S3Config;
use crate::domain::expiry::Retention;
use crate::runtime::clock::Clock;
use crate::storage::S3Storage;

/// Makes every check of the bucket.
pub(super) async fn look_at(
    sdk: &SdkConfig,
    config: &S3Config,
    retention: Retention,
    clock: &Clock,
) -> Vec<Check> {
    let client = Client::from_conf(S3Storage::client_settings(sdk, config).build());
    let bucket = &config.bucket;
    let own_region = sdk.region().map(|region| region.as_ref().to_owned());
    let own_region = own_region.unwrap_or_default();
    let reader = SkewReader::new(clock);
    let head = client
        .head_bucket()
        .bucket(bucket)
        .customize()
        .interceptor(reader.clone())
        .send()
        .await;
    let clock = skew::judge(reader.ahead());
    let its_region = match head {
        Ok(answer) => answer.bucket_region,
        Err(error) => {
            let response = error.raw_response();
            // This header comes even with a refusal.
            let its_region =
                response.and_then(|answer| answer.headers().get("x-amz-bucket-region"));
            let remedy = if skew::is_refused(reader.ahead()) {
                "Correct this machine's clock first".into()
            } else if let Some(region) = its_region.filter(|region| **region != *own_region) {
                format!("The bucket lies in {region}: set AWS_REGION={region}")
            } else {
                let status = response.map(|answer| answer.status().as_u16());
                format!("Check that {}", doubt(error.code(), status))
            };
            let detail = format!("{bucket} cannot be reached: {}", told(&error));
            return vec![Check::failed("bucket", detail, remedy), clock];
        }
    };
    let its_region = match its_region {
        Some(region) => Some(region),
        None => location(&client, bucket).await,
    };
    let mut checks = vec![
        Check::ok("bucket", format!("{bucket} can be reached")),
        clock,
        judge_region(its_region.as_deref(), &own_region),
        privacy::look_at(&client, bucket).await,
        versioning(&client, bucket).await,
        lifecycle::look_at(&client, bucket, retention).await,
    ];
    checks.extend(objects::try_out(sdk, config).await);
    checks
}

/// What to look at when the bucket does not answer. The answer to a HEAD request has no body, so
/// often only the status tells.
fn doubt(code: Option<&str>, status: Option<u16>) -> &'static str {
    match (code.unwrap_or_default(), status) {
        (_, None) => {
            "this machine can reach the server (AWS_ENDPOINT_URL_S3), and that CATTO_S3_FORCE_PATH_STYLE is set if the server wants the bucket in the path"
        }
        ("NoSuchBucket" | "NotFound", _) | (_, Some(404)) => {
            "there is a bucket with this name (CATTO_S3_BUCKET)"
        }
        (_, Some(401 | 403)) => {
            "the AWS credentials are right and allow s3:ListBucket on this bucket, and that the bucket is yours"
        }
        (_, Some(301 | 307 | 400)) => "AWS_REGION is the region of the bucket",
        _ => "the server is well, and try again",
    }
}

/// The bucket's region, from servers that do not state it unasked. Amazon's oldest region answers
/// with an empty text, and so do servers without regions, so an empty text tells nothing.
async fn location(client: &Client, bucket: &str) -> Option<String> {
    let answer = client.get_bucket_location().bucket(bucket).send().await;
    let constraint = answer.ok()?.location_constraint?;
    Some(constraint.as_str().to_owned()).filter(|region| !region.is_empty())
}

/// Compares the bucket's region with ours. Pictures are sent to Rekognition from this server, so a
/// difference breaks nothing there. But data would cross regions without the operator's knowledge,
/// and the SDK signs requests for one region only.
fn judge_region(its: Option<&str>, own: &str) -> Check {
    let name = "region";
    match its {
        None => Check::skipped(name, "this server does not tell where the bucket lies"),
        Some(region) if region == own => Check::ok(
            name,
            format!("{region}, the same as AWS_REGION, where Rekognition is called"),
        ),
        Some(region) => Check::failed(
            name,
            format!(
                "the bucket lies in {region}, but AWS_REGION, where Rekognition is called, is {own}"
            ),
            format!("Set AWS_REGION={region} if Rekognition is there, or move the bucket to {own}"),
        ),
    }
}

async fn versioning(client: &Client, bucket: &str) -> Check {
    let name = "versioning";
    let answer = client.get_bucket_versioning().bucket(bucket).send().await;
    match Asked::of(answer, None).or_check(name, "s3:GetBucketVersioning") {
        Ok(answer) => judge_versioning(answer.and_then(|answer| answer.status).as_ref()),
        Err(check) => check,
    }
}

fn judge_versioning(status: Option<&BucketVersioningStatus>) -> Check {
    let name = "versioning";
    match status {
        None => Check::ok(name, "off"),
        Some(BucketVersioningStatus::Suspended) => Check::warning(
            name,
            "suspended: versions from before are still there",
            "Delete the old versions, or use a new bucket that never had any",
        ),
        Some(_) => Check::failed(
            name,
            "on: deleted pictures live on as older versions",
            "Use a bucket without versioning; suspending it would keep the versions that are there",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Outcome;
    use super::*;

    #[test]
    fn a_bucket_elsewhere_fails_and_one_that_does_not_say_is_skipped() {
        for (its, outcome) in [
            (Some("us-east-1"), Outcome::Ok),
            (Some("eu-west-1"), Outcome::Failed),
            (None, Outcome::Skipped),
        ] {
            assert_eq!(judge_region(its, "us-east-1").outcome, outcome, "{its:?}");
        }
    }

    #[test]
    fn whatever_is_not_off_is_told() {
        for (status, outcome) in [
            (None, Outcome::Ok),
            (Some(BucketVersioningStatus::Suspended), Outcome::Warning),
            (Some(BucketVersioningStatus::Enabled), Outcome::Failed),
            (Some("SomethingNew".into()), Outcome::Failed),
        ] {
            assert_eq!(
                judge_versioning(status.as_ref()).outcome,
                outcome,
                "{status:?}"
            );
        }
    }
}
