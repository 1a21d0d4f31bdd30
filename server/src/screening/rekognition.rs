//! Amazon Rekognition as a second opinion: first whether a picture is decent, and only if it is,
//! what is in it. Each of the two is one paid call.
//!
//! All that is Rekognition's own lies here: `client` makes the calls, `moderation` and `detection`
//! are the rules for its answers, and `prices.json` says what a call costs.

mod client;
pub mod detection;
pub mod moderation;

use std::num::NonZeroU32;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use imaging::ScreeningImage;

pub use self::client::{Found, RekognitionClient, RekognitionError};
use self::detection::DetectionMinimums;
use self::moderation::ModerationMinimums;
use super::second_opinion::{SecondOpinion, SecondOpinionError, Trial, Vendor};
use crate::domain::paid::Paid;
use crate::domain::verdict::{Reason, Review, Verdict};

/// What is known of Rekognition without asking it.
pub const VENDOR: Vendor = Vendor {
    id: "rekognition",
    name: "Rekognition",
    full_name: "Amazon Rekognition",
    call: Paid {
        name: "rekognition-calls",
        words: "calls to Rekognition",
        help: "How many calls of Amazon Rekognition were made, as the AWS console shows under Billing",
        variable: "CATTO_REKOGNITION_MONTHLY_CALLS",
    },
    prices: include_str!("rekognition/prices.json"),
    cost_of_trial: "two paid calls, about $0.002",
    is_at_amazon: true,
};

/// What can be set.
#[derive(Debug, Clone)]
pub struct RekognitionOptions {
    /// From which confidence on a moderation label counts.
    pub moderation: ModerationMinimums,
    /// From which confidence on any other label counts.
    pub detection: DetectionMinimums,
    /// The most calls within a second.
    pub calls_per_second: NonZeroU32,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// How long a call may take, connection and sending included.
    pub call_timeout: Duration,
}

impl Default for RekognitionOptions {
    fn default() -> Self {
        Self {
            moderation: ModerationMinimums::default(),
            detection: DetectionMinimums::default(),
            calls_per_second: NonZeroU32::new(5).expect("5 is not 0"),
            connect_timeout: Duration::from_secs(3),
            // A call takes about a second; ten allow for a slow uplink and still leave time for
            // another attempt.
            call_timeout: Duration::from_secs(10),
        }
    }
}

impl RekognitionOptions {
    /// Everything that decides what Rekognition's answers mean.
    fn rules(&self) -> String {
        let ModerationMinimums { grave, mild } = self.moderation;
        let DetectionMinimums { cat, tag } = self.detection;
        let (taxonomy, policy) = (moderation::TAXONOMY_VERSION, detection::POLICY_VERSION);
        format!("{taxonomy} {policy} {grave} {mild} {cat} {tag}")
    }
}

/// Asks Rekognition, and judges by its answers.
pub struct Rekognition {
    client: RekognitionClient,
    options: RekognitionOptions,
    /// Keeps under the account's calls per second.
    bucket: DefaultDirectRateLimiter,
}

impl Rekognition {
    /// Prepares to ask; nothing is sent yet.
    #[must_use]
    pub fn new(sdk: &SdkConfig, options: &RekognitionOptions) -> Self {
        Self {
            client: RekognitionClient::new(sdk, options),
            bucket: RateLimiter::direct(Quota::per_second(options.calls_per_second)),
            options: options.clone(),
        }
    }

    /// Whether the picture is decent.
    async fn ask_for_decency(&self, image: &ScreeningImage) -> Result<Review, RekognitionError> {
        let found = self.client.detect_moderation(image).await?;
        Ok(
            match moderation::objection(&found.labels, &self.options.moderation) {
                Some(label) => {
                    tracing::debug!(label = label.name, "Rekognition objects");
                    Review::Judged(Verdict::Rejected(Reason::Indecent))
                }
                None => Review::Decent,
            },
        )
    }

    /// What is in the picture.
    async fn ask_for_labels(&self, image: &ScreeningImage) -> Result<Review, RekognitionError> {
        let found = self.client.detect_labels(image).await?;
        let verdict = detection::judge(&found.labels, &self.options.detection);
        Ok(Review::Judged(verdict))
    }
}

#[async_trait]
impl SecondOpinion for Rekognition {
    fn vendor(&self) -> &'static Vendor {
        &VENDOR
    }

    fn rules(&self) -> String {
        self.options.rules()
    }

    fn calls_left(&self, from: &Review) -> u32 {
        match from {
            Review::Asked => 2,
            Review::Decent => 1,
            Review::Judged(_) => 0,
        }
    }

    async fn ask(
        &self,
        image: &ScreeningImage,
        from: &Review,
    ) -> Result<Review, SecondOpinionError> {
        self.bucket.until_ready().await;
        Ok(match from {
            Review::Asked => self.ask_for_decency(image).await?,
            Review::Decent => self.ask_for_labels(image).await?,
            Review::Judged(_) => from.clone(),
        })
    }

    async fn try_out(&self, image: &ScreeningImage) -> Vec<Trial> {
        let moderation = self.client.detect_moderation(image).await.map(drop);
        let labels = self.client.detect_labels(image).await.map(drop);
        let trial = |name, permission, answer: Result<(), RekognitionError>| Trial {
            name,
            answer: answer.map_err(Into::into),
            remedy: format!(
                "Allow these credentials {permission} on \"*\", and look whether they are right and \
                 AWS_REGION has Rekognition"
            ),
        };
        vec![
            trial(
                "Rekognition moderation",
                "rekognition:DetectModerationLabels",
                moderation,
            ),
            trial("Rekognition labels", "rekognition:DetectLabels", labels),
        ]
    }
}

impl From<RekognitionError> for SecondOpinionError {
    fn from(error: RekognitionError) -> Self {
        let class = match &error {
            RekognitionError::Throttled(_) => Self::Throttled,
            RekognitionError::Unreachable(_) => Self::Unreachable,
            RekognitionError::Unavailable(_) => Self::Unavailable,
            RekognitionError::Refused(_) => Self::Refused,
            RekognitionError::InvalidImage(_) => Self::InvalidImage,
        };
        class(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(change: impl FnOnce(&mut RekognitionOptions)) -> String {
        let mut options = RekognitionOptions::default();
        change(&mut options);
        options.rules()
    }

    #[test]
    fn whatever_decides_is_part_of_its_rules_and_nothing_else_is() {
        let now = rules(|_| {});
        // Remembered verdicts are found by it: it stays as it is until the rules change.
        assert_eq!(now, "v7.1 2 0.5 0.8 0.8 0.7");
        assert_ne!(rules(|options| options.moderation.grave = 0.1), now);
        assert_ne!(rules(|options| options.moderation.mild = 0.1), now);
        assert_ne!(rules(|options| options.detection.cat = 0.1), now);
        assert_ne!(rules(|options| options.detection.tag = 0.1), now);
        let fast = NonZeroU32::new(50).expect("is not zero");
        assert_eq!(rules(|options| options.calls_per_second = fast), now);
    }
}
