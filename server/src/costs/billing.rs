//! Knows what costs money on this site, and how much of each was used this month.

use crate::config::{Asked, Config, StorageConfig};
use crate::costs::bill::{Elapsed, GIGABYTE, Item, Prices, Use};
use crate::costs::budget::{Paid, Usage};
use crate::domain::traffic::Counts;

/// The prices, and which of them apply to this site.
#[derive(Debug)]
pub struct Billing {
    pub(crate) prices: Prices,
    /// Whether pictures lie in a bucket.
    in_s3: bool,
    /// Whether the server runs at Fly.io.
    at_fly: bool,
}

impl Billing {
    /// Reads the prices for a site with this configuration.
    ///
    /// # Errors
    /// Fails if the table of prices cannot be read. A test makes sure that it can.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        let prices = Prices::load(&Asked::ALL.map(|asked| asked.vendor().prices))?;
        for (what, _) in config.budget.limits() {
            prices.check(Item(what.name))?;
        }
        Ok(Self {
            prices,
            in_s3: matches!(config.storage, StorageConfig::S3(_)),
            at_fly: config.hosting.at_fly,
        })
    }

    /// Tells how much was used of each thing that this site pays for.
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
        // What is there all the time, such as storage, counts in part so far and in full at the end
        // of the month.
        let kept = |item, amount: f64| Use {
            item,
            so_far: amount * elapsed.share(),
            projected: amount,
        };
        let mut uses = Vec::new();
        for (what, usage) in paid {
            let used = f64::from(usage.used);
            // These are counted from the beginning of the month, whenever this server started, and
            // never go beyond their limit.
            let whole = Elapsed {
                counted: elapsed.passed,
                ..elapsed
            };
            let projected = whole
                .projected(used)
                .min(f64::from(usage.limit.max(usage.used)));
            uses.push(Use {
                item: Item(what.name),
                so_far: used,
                projected: projected.round(),
            });
        }
        if self.in_s3 {
            uses.push(kept(Item::S3_STORAGE, number(stored_bytes) / GIGABYTE));
            uses.push(counted(Item::S3_WRITES, number(counts.storage_writes)));
            uses.push(counted(Item::S3_READS, number(counts.storage_reads)));
        }
        if self.at_fly {
            uses.push(kept(Item::FLY_MACHINE, 1.0));
            uses.push(kept(Item::FLY_VOLUME, 1.0));
            let sent = number(counts.bytes_sent) / GIGABYTE;
            uses.push(counted(Item::FLY_TRAFFIC, sent));
        }
        uses
    }

    /// What this server cannot count, in sentences.
    pub(crate) fn not_counted(&self) -> Vec<String> {
        let mut sentences = vec![
            "What visitors load from CloudFront and Cloudflare, which only these can count. CloudFront gives a \
             terabyte and ten million requests free in each month.",
        ];
        if self.in_s3 {
            sentences
                .push("CloudFront's own reads from the bucket, and requests that were repeated after a failure.");
        }
        if !self.at_fly {
            sentences.push("The machine on which this server runs.");
        }
        sentences.push("Taxes, and credits that lower the bill.");
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
    use crate::screening::rekognition;

    #[test]
    fn nothing_is_billed_that_this_site_does_not_use() {
        let billing = |in_s3, at_fly| Billing {
            prices: Prices::load(&[rekognition::VENDOR.prices]).expect("is a table"),
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
            let paid = [(rekognition::VENDOR.call, usage)];
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
