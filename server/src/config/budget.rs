//! What may be spent in a month.

use crate::config::env::Env;
use crate::domain::paid::Paid;

/// How much of each paid service may be used within a month (UTC).
#[derive(Debug, Clone)]
pub struct BudgetConfig {
    /// `CATTO_REKOGNITION_MONTHLY_CALLS`: calls of Amazon Rekognition. A picture takes up to two.
    pub rekognition_monthly_calls: u32,
    /// `CATTO_CLOUDFRONT_MONTHLY_PATHS`: paths that are invalidated at CloudFront. The first 1,000
    /// of an account are free.
    pub cloudfront_monthly_paths: u32,
}

impl Default for BudgetConfig {
    fn default() -> Self {
        Self {
            rekognition_monthly_calls: 1000,
            cloudfront_monthly_paths: 1000,
        }
    }
}

impl BudgetConfig {
    pub(super) fn from_env(env: &mut Env) -> Self {
        let default = Self::default();
        Self {
            rekognition_monthly_calls: env.parsed(
                "CATTO_REKOGNITION_MONTHLY_CALLS",
                default.rekognition_monthly_calls,
            ),
            cloudfront_monthly_paths: env.parsed(
                "CATTO_CLOUDFRONT_MONTHLY_PATHS",
                default.cloudfront_monthly_paths,
            ),
        }
    }

    /// The month's limit for this kind.
    #[must_use]
    pub const fn limit(&self, what: Paid) -> u32 {
        match what {
            Paid::RekognitionCalls => self.rekognition_monthly_calls,
            Paid::CloudFrontPaths => self.cloudfront_monthly_paths,
        }
    }
}
