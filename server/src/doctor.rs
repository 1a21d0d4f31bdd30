//! `cattocdn doctor`: checks whether everything that the configuration names is there and as it
//! should be, and says for each thing that is not what to do about it.
//!
//! `local` looks at this machine, `bucket` at Amazon S3 or what stands in for it, `rekognition`
//! asks for two judgements where that is wanted, `cdn` looks at the CDNs that are told to forget
//! pictures; `report` is what comes out. What is found is judged by small pure functions. Nothing
//! here changes what a site has: it writes two small objects and one empty file under names of its
//! own and deletes them again.

mod asked;
mod bucket;
mod cdn;
mod lifecycle;
mod local;
mod objects;
mod privacy;
mod rekognition;
mod report;
mod skew;

use crate::aws;
use crate::config::{Config, ConfigError, StorageConfig};
use crate::runtime::clock::Clock;

pub use self::report::{Check, Outcome, Report};

/// Why something at Amazon was not looked at.
const WITHOUT_CREDENTIALS: &str = "not checked without credentials";

/// What `cattocdn doctor` is told.
#[derive(Debug, Clone, clap::Args)]
pub struct Doctor {
    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,
    /// Also try both Rekognition calls that screening needs: they are paid, about $0.002, and count
    /// in the month's budget
    #[arg(long)]
    probe_rekognition: bool,
}

impl Doctor {
    /// Looks at everything, one thing after the other. A configuration that cannot be read is told,
    /// and nothing else is looked at: it says where to look.
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
        let bucket = match &config.storage {
            StorageConfig::Disk => None,
            StorageConfig::S3(bucket) => Some(bucket),
        };
        let cdn = &config.cdn;
        let sdk = if bucket.is_some() || asks || self.probe_rekognition || cdn.cloudfront.is_some()
        {
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
        match (self.probe_rekognition, &sdk) {
            (true, Some(sdk)) => checks.extend(rekognition::call(sdk, config, clock).await),
            (true, None) => checks.push(Check::skipped("Rekognition", WITHOUT_CREDENTIALS)),
            (false, _) if asks => checks.push(Check::skipped(
                "Rekognition",
                "not called; --probe-rekognition makes two paid calls, about $0.002",
            )),
            (false, _) => checks.push(Check::skipped(
                "Rekognition",
                "not used (CATTO_SCREENING is `local`)",
            )),
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
