//! What may be spent in a month.

use super::screening::Asked;
use crate::config::env::Env;
use crate::domain::paid::Paid;
use crate::domain::purge::CLOUDFRONT_PATHS;
use crate::screening::rekognition;

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
                rekognition::VENDOR.call.variable,
                default.rekognition_monthly_calls,
            ),
            cloudfront_monthly_paths: env
                .parsed(CLOUDFRONT_PATHS.variable, default.cloudfront_monthly_paths),
        }
    }

    /// Everything that costs money, with the month's limit.
    #[must_use]
    pub fn limits(&self) -> Vec<(Paid, u32)> {
        let calls = Asked::ALL.map(|asked| {
            let limit = match asked {
                Asked::Rekognition => self.rekognition_monthly_calls,
            };
            (asked.vendor().call, limit)
        });
        let paths = (CLOUDFRONT_PATHS, self.cloudfront_monthly_paths);
        calls.into_iter().chain([paths]).collect()
    }
}
