//! Which services this site pays for, and how much of them was used.

use crate::config::{Config, StorageConfig};
use crate::costs::bill::{Elapsed, GIGABYTE, Item, Prices, Use};
use crate::costs::budget::{Paid, Usage};
use crate::domain::traffic::Counts;

/// The services that this site pays for.
#[derive(Debug)]
pub struct Billing {
    pub(crate) prices: Prices,
    /// True where pictures are stored in a bucket.
    in_s3: bool,
    /// True where the server runs at Fly.io.
    at_fly: bool,
}

impl Billing {
    /// The services that a site with this configuration pays for.
    ///
    /// # Errors
    /// When the table of prices cannot be parsed. A test keeps that from happening.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        Ok(Self {
            prices: Prices::load()?,
            in_s3: matches!(config.storage, StorageConfig::S3(_)),
            at_fly: config.hosting.at_fly,
        })
    }

    /// How much of each service that this site pays for was used.
    pub(crate) fn uses(
        &self,
        elapsed: Elapsed,
        stored_bytes: u64,
        counts: &Counts,
        paid: &[(Paid, Usage)],
    ) -> Vec<Use> {
        let counted = |item, count: f64| Use {
            item,
            so_far: count,
            projected: elapsed.projected(count),
        };
        // An amount that stays the same: so far the elapsed part of the month is used, and all of
        // it at the month's end.
        let kept = |item, amount: f64| Use {
            item,
            so_far: amount * elapsed.share(),
            projected: amount,
        };
        let mut uses = Vec::new();
        for (what, usage) in paid {
            let item = match what {
                Paid::RekognitionCalls => Item::RekognitionCalls,
                Paid::CloudFrontPaths => Item::CloudfrontPaths,
            };
            let used = f64::from(usage.used);
            // The ledger counts from the beginning of the month, however late this server started,
            // and no count passes its limit.
            let whole = Elapsed {
                counted: elapsed.passed,
                ..elapsed
            };
            let projected = whole
                .projected(used)
                .min(f64::from(usage.limit.max(usage.used)));
            uses.push(Use {
                item,
                so_far: used,
                projected: projected.round(),
            });
        }
        if self.in_s3 {
            uses.push(kept(Item::S3Storage, number(stored_bytes) / GIGABYTE));
            uses.push(counted(Item::S3Writes, number(counts.storage_writes)));
            uses.push(counted(Item::S3Reads, number(counts.storage_reads)));
        }
        if self.at_fly {
            uses.push(kept(Item::FlyMachine, 1.0));
            uses.push(kept(Item::FlyVolume, 1.0));
            let sent = number(counts.bytes_sent) / GIGABYTE;
            uses.push(counted(Item::FlyTraffic, sent));
        }
        uses
    }

    /// Sentences on what this server cannot count.
    pub(crate) fn not_counted(&self) -> Vec<String> {
        let mut sentences = vec![
            "What visitors fetch from CloudFront and Cloudflare: only they can count it. At CloudFront a terabyte and ten \
             million requests of each month are free.",
        ];
        if self.in_s3 {
            sentences
                .push("Reads of the bucket by CloudFront, and requests repeated after a failure.");
        }
        if !self.at_fly {
            sentences.push("The machine that this server runs on.");
        }
        sentences.push("Taxes, and credits that take something off.");
        sentences.into_iter().map(str::to_owned).collect()
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a bill is no more exact than its prices"
)]
pub(crate) fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::costs::bill::Bill;

    #[test]
    fn nothing_is_billed_that_this_site_does_not_use() {
        let billing = |in_s3, at_fly| Billing {
            prices: Prices::load().expect("is a table"),
            in_s3,
            at_fly,
        };
        let elapsed = Elapsed {
            passed: 15.0 * 86_400.0,
            left: 15.0 * 86_400.0,
            counted: 15.0 * 86_400.0,
        };
        let counts = Counts {
            requests: 1,
            bytes_sent: 1_000_000_000,
            storage_writes: 1000,
            storage_reads: 1000,
            since: 0,
        };
        let usage = Usage {
            used: 600,
            limit: 1000,
        };
        let bill = |in_s3, at_fly| {
            let billing = billing(in_s3, at_fly);
            let paid = [(Paid::RekognitionCalls, usage)];
            let uses = billing.uses(elapsed, 2_000_000_000, &counts, &paid);
            Bill::of(&billing.prices, &uses)
        };
        let near = |found: f64, expected: f64| (found - expected).abs() < 1e-6;
        // The calls end at their limit and not at twice what was used.
        let alone = bill(false, false);
        assert!(near(alone.so_far, 0.6) && near(alone.projected, 1.0));
        let stored = bill(true, false);
        assert!(near(stored.projected, 1.0 + 2.0 * 0.023 + 2.0 * 0.0054));
        let all = bill(true, true);
        assert!(near(all.so_far - stored.so_far, (2.19 + 0.15) / 2.0 + 0.02));
        assert!(near(all.projected - stored.projected, 2.19 + 0.15 + 0.04));
    }
}
