//! Amazon Rekognition: two calls, each paid for, each made exactly once per request for it.
//!
//! Nothing here retries. A call that timed out may be billed all the same, so the caller must
//! reserve its cost before each attempt, and therefore the caller must be the one to retry;
//! [`RekognitionError`] says when a retry helps.
//!
//! The pictures are small JPEGs that we made ourselves. Both calls get the same one: moderation
//! comes first, and labels only where moderation found nothing.

use std::error::Error;
use std::time::Duration;

use anyhow::anyhow;
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_rekognition::Client;
use aws_sdk_rekognition::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_rekognition::operation::RequestId;
use aws_sdk_rekognition::primitives::Blob;
use aws_sdk_rekognition::types::{self, DetectLabelsFeatureName, Image};

use crate::aws;
use crate::config::ScreeningConfig;
use crate::domain::detection::{DetectedLabel, DetectionMinimums};
use crate::domain::moderation::{ModerationLabel, ModerationMinimums};
use crate::runtime::causes::causes;
use imaging::ScreeningImage;

/// The most labels that are asked for. Pictures of cats seldom have half as many.
const MAX_LABELS: i32 = 100;

/// Settings of the client.
#[derive(Debug, Clone)]
pub struct RekognitionOptions {
    /// Moderation labels below this confidence are not asked for; from 0 to 1.
    pub moderation_minimum: f32,
    /// Other labels below this confidence are not asked for; from 0 to 1.
    pub detection_minimum: f32,
    /// How long it may take to connect.
    pub connect_timeout: Duration,
    /// How long a call may take, including connecting and sending.
    pub call_timeout: Duration,
}

impl RekognitionOptions {
    /// The settings for this configuration. Labels that cannot decide anything are not asked for.
    #[must_use]
    pub fn of(config: &ScreeningConfig) -> Self {
        Self {
            moderation_minimum: config.policy.moderation.lowest(),
            detection_minimum: config.policy.detection.lowest(),
            call_timeout: config.retries.call_timeout,
            ..Self::default()
        }
    }
}

impl Default for RekognitionOptions {
    fn default() -> Self {
        Self {
            moderation_minimum: ModerationMinimums::default().lowest(),
            detection_minimum: DetectionMinimums::default().lowest(),
            connect_timeout: Duration::from_secs(3),
            // A call takes about a second. Ten seconds allow for a slow uplink and leave time for
            // another attempt.
            call_timeout: Duration::from_secs(10),
        }
    }
}

/// A client of Rekognition.
#[derive(Debug, Clone)]
pub struct RekognitionClient {
    client: Client,
    options: RekognitionOptions,
}

/// What one call found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found<Label> {
    pub labels: Vec<Label>,
    /// The model that answered. Another model may judge the same picture differently.
    pub model_version: String,
}

/// Why a call has no answer. There is one variant for each way in which the caller must react.
#[derive(Debug, thiserror::Error)]
pub enum RekognitionError {
    /// The account made more calls than it may make at the moment. A retry helps later, and nothing
    /// was billed.
    #[error("Rekognition is asked too often")]
    Throttled(#[source] anyhow::Error),
    /// No connection could be made, or there are no credentials to sign with at the moment. A retry
    /// helps, and nothing was billed.
    #[error("Rekognition is out of reach")]
    Unreachable(#[source] anyhow::Error),
    /// The service failed, answered nonsense, or did not answer in time. A retry helps, and this
    /// attempt may be billed.
    #[error("Rekognition is unavailable")]
    Unavailable(#[source] anyhow::Error),
    /// The service refuses us as we are set up: credentials, permissions, region or clock are
    /// wrong. A retry does not help; the operator must act.
    #[error("Rekognition refuses this server's configuration")]
    Refused(#[source] anyhow::Error),
    /// The service cannot read the picture. A retry does not help.
    #[error("Rekognition cannot read the picture")]
    InvalidImage(#[source] anyhow::Error),
}

impl RekognitionError {
    /// True when the same call may succeed a little later.
    #[must_use]
    pub const fn retry_helps(&self) -> bool {
        matches!(
            self,
            Self::Throttled(_) | Self::Unreachable(_) | Self::Unavailable(_)
        )
    }

    /// True unless it is certain that this attempt was not billed.
    #[must_use]
    pub const fn may_be_billed(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::InvalidImage(_))
    }
}

impl RekognitionClient {
    /// Prepares a client. Nothing is sent yet.
    #[must_use]
    pub fn new(sdk: &SdkConfig, options: RekognitionOptions) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(options.connect_timeout)
            .operation_attempt_timeout(options.call_timeout)
            .operation_timeout(options.call_timeout)
            .build();
        let client = Client::from_conf(
            aws_sdk_rekognition::config::Builder::from(sdk)
                .retry_config(RetryConfig::disabled())
                .timeout_config(timeouts)
                .build(),
        );
        Self { client, options }
    }

    /// Asks what is indecent in this picture. This is one paid call.
    ///
    /// # Errors
    /// Fails when there is no answer, or one that does not say whether the picture is decent.
    pub async fn detect_moderation(
        &self,
        image: &ScreeningImage,
    ) -> Result<Found<ModerationLabel>, RekognitionError> {
        let answer = self
            .client
            .detect_moderation_labels()
            .image(bytes_of(image))
            .min_confidence(percent(self.options.moderation_minimum))
            .send()
            .await
            .map_err(|error| classified("DetectModerationLabels", error))?;
        // An empty list says that nothing was found. A missing list says nothing.
        let labels = answer
            .moderation_labels
            .ok_or_else(|| malformed("DetectModerationLabels"))?;
        Ok(Found {
            labels: labels.into_iter().map(moderation_label).collect(),
            model_version: answer.moderation_model_version.unwrap_or_default(),
        })
    }

    /// Asks what is in this picture. This is one paid call.
    ///
    /// # Errors
    /// Fails when there is no answer, or one without labels.
    pub async fn detect_labels(
        &self,
        image: &ScreeningImage,
    ) -> Result<Found<DetectedLabel>, RekognitionError> {
        let answer = self
            .client
            .detect_labels()
            .image(bytes_of(image))
            .max_labels(MAX_LABELS)
            .min_confidence(percent(self.options.detection_minimum))
            // The other feature, image properties, costs extra.
            .features(DetectLabelsFeatureName::GeneralLabels)
            .send()
            .await
            .map_err(|error| classified("DetectLabels", error))?;
        let labels = answer.labels.ok_or_else(|| malformed("DetectLabels"))?;
        Ok(Found {
            labels: labels.into_iter().map(detected_label).collect(),
            model_version: answer.label_model_version.unwrap_or_default(),
        })
    }
}

fn bytes_of(image: &ScreeningImage) -> Image {
    Image::builder()
        .bytes(Blob::new(image.jpeg().as_ref()))
        .build()
}

fn percent(share: f32) -> f32 {
    (share * 100.0).clamp(0.0, 100.0)
}

/// A label without a confidence counts as certain: screening fails closed.
fn moderation_label(label: types::ModerationLabel) -> ModerationLabel {
    ModerationLabel {
        name: label.name.unwrap_or_default(),
        parent: label.parent_name.unwrap_or_default(),
        confidence: label.confidence.map_or(1.0, |percent| percent / 100.0),
    }
}

/// A label without a confidence counts for nothing.
fn detected_label(label: types::Label) -> DetectedLabel {
    DetectedLabel {
        name: label.name.unwrap_or_default(),
        confidence: label.confidence.map_or(0.0, |percent| percent / 100.0),
        parents: names(label.parents, |parent| parent.name),
        aliases: names(label.aliases, |alias| alias.name),
        categories: names(label.categories, |category| category.name),
        instances: label.instances.map_or(0, |instances| instances.len()),
    }
}

fn names<T>(list: Option<Vec<T>>, name: impl Fn(T) -> Option<String>) -> Vec<String> {
    list.into_iter().flatten().filter_map(name).collect()
}

fn malformed(call: &str) -> RekognitionError {
    RekognitionError::Unavailable(anyhow!("the answer of {call} lacks its labels"))
}

fn classified<E>(call: &str, error: SdkError<E>) -> RekognitionError
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
    SdkError<E>: RequestId,
{
    let status = error.raw_response().map(|answer| answer.status().as_u16());
    let class = match (&error, status) {
        (SdkError::ServiceError(_), Some(status)) => class_of(error.code(), status),
        (SdkError::ConstructionFailure(_), _) => RekognitionError::Refused,
        _ if aws::lacks_credentials(&error) => RekognitionError::Refused,
        _ if was_never_sent(&error) => RekognitionError::Unreachable,
        _ => RekognitionError::Unavailable,
    };
    let mut message = format!("{call} failed");
    if let Some(status) = status {
        message = format!(
            "{message} (status {status}, {}, request {})",
            error.code().unwrap_or("no code"),
            error.request_id().unwrap_or("unnamed"),
        );
    }
    class(anyhow::Error::from(error).context(message))
}

/// What an answer with this code and status means. A code that is known takes precedence over the
/// status, because throttling may come as 400 or 500.
fn class_of(code: Option<&str>, status: u16) -> fn(anyhow::Error) -> RekognitionError {
    match (code.unwrap_or_default(), status) {
        (
            "ThrottlingException"
            | "Throttling"
            | "ProvisionedThroughputExceededException"
            | "TooManyRequestsException"
            | "RequestLimitExceeded",
            _,
        )
        | (_, 429) => RekognitionError::Throttled,
        (
            "InvalidImageFormatException" | "ImageTooLargeException" | "InvalidS3ObjectException",
            _,
        ) => RekognitionError::InvalidImage,
        ("InternalServerError" | "ServiceUnavailableException" | "RequestTimeout", _)
        // A status below 400 means success, but the answer cannot be read.
        | (_, ..400 | 408 | 500..) => RekognitionError::Unavailable,
        // Access denied, expired, unknown, wrongly signed, or a request that the service does not
        // understand: none of these goes away by itself.
        _ => RekognitionError::Refused,
    }
}

/// True when the request cannot have reached the service, because there was no connection to send
/// it on or no signature for it yet.
fn was_never_sent(error: &(dyn Error + 'static)) -> bool {
    let known = causes(error).find_map(|error| match error.downcast_ref() {
        Some(hyper) => Some(hyper_util::client::legacy::Error::is_connect(hyper)),
        None => error.is::<CredentialsError>().then_some(true),
    });
    known.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(code: Option<&str>, status: u16) -> &'static str {
        match class_of(code, status)(anyhow!("a test")) {
            RekognitionError::Throttled(_) => "throttled",
            RekognitionError::Unreachable(_) => "unreachable",
            RekognitionError::Unavailable(_) => "unavailable",
            RekognitionError::Refused(_) => "refused",
            RekognitionError::InvalidImage(_) => "invalid image",
        }
    }

    #[test]
    fn every_answer_that_is_none_has_its_class() {
        for (code, status, class) in [
            ("ThrottlingException", 400, "throttled"),
            ("ThrottlingException", 500, "throttled"),
            ("ProvisionedThroughputExceededException", 400, "throttled"),
            ("", 429, "throttled"),
            ("InternalServerError", 500, "unavailable"),
            ("ServiceUnavailableException", 503, "unavailable"),
            ("", 502, "unavailable"),
            ("", 200, "unavailable"),
            ("InvalidImageFormatException", 400, "invalid image"),
            ("ImageTooLargeException", 400, "invalid image"),
            ("InvalidS3ObjectException", 400, "invalid image"),
            ("AccessDeniedException", 400, "refused"),
            ("ExpiredTokenException", 400, "refused"),
            ("UnrecognizedClientException", 400, "refused"),
            ("InvalidSignatureException", 400, "refused"),
            ("InvalidParameterException", 400, "refused"),
            ("ResourceNotFoundException", 400, "refused"),
            ("ResourceNotReadyException", 400, "refused"),
            ("HumanLoopQuotaExceededException", 400, "refused"),
            ("UnknownOperationException", 404, "refused"),
            ("", 403, "refused"),
            ("SomethingNew", 400, "refused"),
        ] {
            let code = Some(code).filter(|code| !code.is_empty());
            assert_eq!(name(code, status), class, "{code:?} {status}");
        }
    }

    #[test]
    fn a_label_without_a_confidence_fails_closed() {
        let bare = types::ModerationLabel::builder().name("Alcohol").build();
        assert_eq!(moderation_label(bare).confidence, 1.0);
        let bare = types::Label::builder().name("Cat").build();
        assert_eq!(detected_label(bare).confidence, 0.0);
    }
}
