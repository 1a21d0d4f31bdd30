//! `cattocdn doctor`: checks whether what the configuration says is true, and says for each problem
//! how to mend it.
//!
//! `local` checks this machine, `bucket` Amazon S3 or its substitute, `cdn` the CDNs that are told
//! to purge pictures, and `second_opinion` makes paid calls where they are asked for. Answers are
//! judged by small pure functions, and `report` holds the results. Nothing here changes what a site
//! has: two small objects and one empty file are written under names of their own and deleted
//! again.

mod asked;
mod bucket;
mod cdn;
mod lifecycle;
mod local;
mod objects;
mod privacy;
mod report;
mod second_opinion;
mod skew;

use crate::aws;
use crate::config::{Config, ConfigError, StorageConfig};
use crate::runtime::clock::Clock;

pub use self::report::{Check, Outcome, Report};

/// Why something at Amazon was not checked.
const WITHOUT_CREDENTIALS: &str = "not checked without credentials";

/// The options of `cattocdn doctor`.
#[derive(Debug, Clone, clap::Args)]
pub struct Doctor {
    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,
    /// Also make each paid call that a second opinion takes (with Rekognition two, about $0.002);
    /// they count in the month's budget
    #[arg(long, visible_alias = "probe-rekognition")]
    probe_second_opinion: bool,
}

impl Doctor {
    /// Makes all checks, one after the other. Where the configuration cannot be read, only its
    /// problems are reported, because nothing else says what there is to check.
    pub async fn run(&self, config: Result<Config, ConfigError>, clock: &Clock) -> Report {
        match config {
            Ok(config) => Report::new(self.examine(&config, clock).await),
            Err(error) => Report::new(
                error
                    .problems()
                    .iter()
                    .map(|problem| {
                        Check::failed(
                            "configuration",
                            problem.clone(),
                            "Correct this variable; .env.sample explains it",
                        )
                    })
                    .collect(),
            ),
        }
    }

    async fn examine(&self, config: &Config, clock: &Clock) -> Vec<Check> {
        let mut checks = vec![
            Check::ok("configuration", "every variable is valid"),
            local::data_dir(&config.files.data_dir),
            local::models(config).await,
            local::public_url(&config.http, &config.origin),
        ];
        let asks = config.screening.policy.asks();
        let vendor = config.screening.asked.vendor();
        let asks_amazon = vendor.is_at_amazon && (asks || self.probe_second_opinion);
        let bucket = match &config.storage {
            StorageConfig::Disk => None,
            StorageConfig::S3(bucket) => Some(bucket),
        };
        let cdn = &config.cdn;
        let sdk = if bucket.is_some() || asks_amazon || cdn.cloudfront.is_some() {
            match aws::load().await {
                Ok(sdk) => {
                    checks.push(Check::ok(
                        "AWS credentials",
                        "there are credentials, and a region is set",
                    ));
                    Some(sdk)
                }
                Err(error) => {
                    checks.push(Check::failed(
                        "AWS credentials",
                        format!("{error:#}"),
                        "Set AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
                    ));
                    None
                }
            }
        } else {
            None
        };
        match (bucket, &sdk) {
            (None, _) => checks.push(Check::skipped(
                "bucket",
                "not used: pictures lie in the data folder (CATTO_STORAGE is `disk`)",
            )),
            (Some(bucket), Some(sdk)) => {
                checks.extend(bucket::look_at(sdk, bucket, config.retention, clock).await);
            }
            (Some(_), None) => checks.push(Check::skipped("bucket", WITHOUT_CREDENTIALS)),
        }
        if self.probe_second_opinion {
            checks.extend(second_opinion::try_out(sdk.as_ref(), config, clock).await);
        } else if asks {
            let cost = vendor.cost_of_trial;
            checks.push(Check::skipped(
                vendor.name,
                format!("not called; --probe-second-opinion makes {cost}"),
            ));
        } else {
            checks.push(Check::skipped(
                vendor.name,
                "not used (CATTO_SCREENING is `local`)",
            ));
        }
        let public_url = &config.http.public_url;
        checks.push(match &cdn.cloudflare {
            Some(cloudflare) => cdn::cloudflare(cloudflare, public_url, clock).await,
            None => Check::skipped("Cloudflare", "not used (CATTO_CLOUDFLARE_ZONE is not set)"),
        });
        checks.push(match (&cdn.cloudfront, &sdk) {
            (Some(cloudfront), Some(sdk)) => cdn::cloudfront(sdk, cloudfront, public_url).await,
            (Some(_), None) => Check::skipped("CloudFront", WITHOUT_CREDENTIALS),
            (None, _) => Check::skipped(
                "CloudFront",
                "not used (CATTO_CLOUDFRONT_DISTRIBUTION is not set)",
            ),
        });
        checks
    }
}
