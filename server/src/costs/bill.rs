//! What a month costs, computed from what was used and a table of prices. It is pure: what was used
//! is an argument.
//!
//! The prices are in `prices.json`, and in a table of the same kind beside each vendor who is paid
//! by the call, each with its source. Whoever changes a price changes the date as well.

use std::collections::BTreeMap;

use anyhow::Context;
use serde::Deserialize;

/// The table of prices, which is compiled in.
const PRICES: &str = include_str!("prices.json");
/// The bytes of a billed gigabyte.
pub(crate) const GIGABYTE: f64 = 1e9;

/// What a bill may name, as it is called in the tables of prices and in `/status.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Item(pub &'static str);

impl Item {
    pub(crate) const S3_STORAGE: Self = Self("s3-storage");
    pub(crate) const S3_WRITES: Self = Self("s3-writes");
    pub(crate) const S3_READS: Self = Self("s3-reads");
    pub(crate) const FLY_MACHINE: Self = Self("fly-machine");
    pub(crate) const FLY_VOLUME: Self = Self("fly-volume");
    pub(crate) const FLY_TRAFFIC: Self = Self("fly-traffic");
}

/// The price of one item.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Price {
    /// Its name, for a table.
    pub label: String,
    /// The unit in which it is counted.
    pub unit: String,
    /// The price of `per` units.
    pub price: f64,
    pub per: f64,
    /// Units that cost nothing in each month.
    pub free: f64,
    /// The conditions under which the price holds.
    pub note: String,
    pub source: String,
}

impl Price {
    /// What this many units cost in one month.
    #[must_use]
    pub(crate) fn of(&self, units: f64) -> f64 {
        (units - self.free).max(0.0) / self.per * self.price
    }
}

/// The prices of all items.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Prices {
    /// The day on which the newest price was read, such as `2026-10-07`.
    pub as_of: String,
    pub currency: String,
    items: BTreeMap<String, Price>,
}

impl Prices {
    /// Reads the table that is compiled in, and these of vendors.
    ///
    /// # Errors
    /// When one is no such table, or two disagree; a test keeps that from happening.
    pub(crate) fn load(tables: &[&str]) -> anyhow::Result<Self> {
        let mut all: Self = serde_json::from_str(PRICES).context("prices.json")?;
        for table in tables {
            let table: Self = serde_json::from_str(table).context("a vendor's prices.json")?;
            anyhow::ensure!(
                table.currency == all.currency,
                "the prices are in {} and in {}",
                all.currency,
                table.currency
            );
            // Dates of this form are ordered as their words are.
            all.as_of = all.as_of.max(table.as_of);
            for (item, price) in table.items {
                let known = all.items.insert(item.clone(), price);
                anyhow::ensure!(known.is_none(), "{item} has two prices");
            }
        }
        Ok(all)
    }

    /// Succeeds where this item has a price.
    ///
    /// # Errors
    /// When it has none; a test keeps that from happening.
    pub(crate) fn check(&self, item: Item) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.items.contains_key(item.0),
            "prices.json has no price of {}",
            item.0
        );
        Ok(())
    }
}

/// How many units of an item were used this month so far, and how many will have been used at its
/// end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Use {
    pub item: Item,
    pub so_far: f64,
    pub projected: f64,
}

/// One line of a bill.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    pub item: Item,
    pub price: Price,
    /// The units that were used so far. The two fields below are amounts of money.
    pub used: f64,
    pub so_far: f64,
    pub projected: f64,
}

/// A month's bill so far, and as it will be at the month's end if use goes on at the same rate.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bill {
    pub lines: Vec<Line>,
    pub so_far: f64,
    pub projected: f64,
}

impl Bill {
    /// The bill for what was used.
    #[must_use]
    pub(crate) fn of(prices: &Prices, uses: &[Use]) -> Self {
        let lines: Vec<Line> = uses
            .iter()
            .filter_map(|used| {
                let price = prices.items.get(used.item.0)?;
                Some(Line {
                    item: used.item,
                    used: used.so_far,
                    so_far: price.of(used.so_far),
                    projected: price.of(used.projected),
                    price: price.clone(),
                })
            })
            .collect();
        Self {
            so_far: lines.iter().map(|line| line.so_far).sum(),
            projected: lines.iter().map(|line| line.projected).sum(),
            lines,
        }
    }
}

/// How far the month has progressed, in seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Elapsed {
    /// The time since the month began.
    pub passed: f64,
    /// The time until the month ends.
    pub left: f64,
    /// The time in which use was counted. It is shorter than what has passed where counting began
    /// later.
    pub counted: f64,
}

impl Elapsed {
    /// The shortest time that a projection is based on, in seconds. One from a single busy hour
    /// would take the whole month to be as busy.
    const SHORTEST: f64 = 24.0 * 3600.0;

    /// What a count will come to at the month's end if it goes on at the same rate.
    #[must_use]
    pub(crate) fn projected(self, counted: f64) -> f64 {
        counted + counted / self.counted.max(Self::SHORTEST) * self.left
    }

    /// The part of the month that has passed, from 0 to 1.
    #[must_use]
    pub(crate) fn share(self) -> f64 {
        self.passed / (self.passed + self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: f64 = 24.0 * 3600.0;
    /// The table of a vendor whose calls cost a tenth of a cent.
    const VENDORS: &str = r#"{
        "as_of": "2026-10-07", "currency": "USD", "items": {"calls": {
            "label": "Calls", "unit": "calls", "price": 0.001, "per": 1, "free": 0,
            "note": "As scripted.", "source": "https://vendor.example/"
        }}
    }"#;

    fn assert_near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
    }

    #[test]
    fn the_table_prices_every_item_with_a_date_and_a_source() {
        let prices = Prices::load(&[VENDORS]).expect("is a table");
        for item in [
            Item("calls"),
            Item("cloudfront-paths"),
            Item::S3_STORAGE,
            Item::S3_WRITES,
            Item::S3_READS,
            Item::FLY_MACHINE,
            Item::FLY_VOLUME,
            Item::FLY_TRAFFIC,
        ] {
            assert!(prices.check(item).is_ok(), "{item:?}");
        }
        assert!(prices.check(Item("lunch")).is_err());
        assert_eq!(prices.currency, "USD");
        assert!(prices.as_of.parse::<jiff::civil::Date>().is_ok());
        for (item, price) in &prices.items {
            assert!(price.price > 0.0 && price.price < 100.0, "{item:?}");
            assert!(price.per >= 1.0 && price.free >= 0.0, "{item:?}");
            assert!(price.source.starts_with("https://"), "{item:?}");
            for text in [&price.label, &price.unit, &price.note] {
                assert!(!text.is_empty(), "{item:?}");
            }
        }
    }

    #[test]
    fn tables_that_disagree_are_refused() {
        assert!(Prices::load(&[VENDORS, VENDORS]).is_err());
        assert!(Prices::load(&[&VENDORS.replace("USD", "EUR")]).is_err());
        let later = VENDORS.replace("2026-10-07", "2099-01-01");
        assert_eq!(
            Prices::load(&[&later]).expect("is a table").as_of,
            "2099-01-01"
        );
    }

    #[test]
    fn what_is_free_costs_nothing_and_what_is_beyond_does() {
        let prices = Prices::load(&[VENDORS]).expect("is a table");
        let cost = |item, units| {
            let used = Use {
                item,
                so_far: units,
                projected: 2.0 * units,
            };
            Bill::of(&prices, &[used])
        };
        assert_near(cost(Item("cloudfront-paths"), 1000.0).so_far, 0.0);
        assert_near(cost(Item("cloudfront-paths"), 1000.0).projected, 5.0);
        assert_near(cost(Item("calls"), 1000.0).so_far, 1.0);
        assert_near(cost(Item::S3_WRITES, 2000.0).so_far, 0.01);
        assert_near(cost(Item::S3_STORAGE, 10.0).projected, 0.46);
    }

    #[test]
    fn a_bill_is_the_sum_of_its_lines() {
        let prices = Prices::load(&[VENDORS]).expect("is a table");
        let uses = [Item::FLY_MACHINE, Item::FLY_VOLUME].map(|item| Use {
            item,
            so_far: 0.5,
            projected: 1.0,
        });
        let bill = Bill::of(&prices, &uses);
        assert_eq!(bill.lines.len(), 2);
        assert_near(bill.so_far, 0.5 * (2.19 + 0.15));
        assert_near(bill.projected, 2.19 + 0.15);
    }

    #[test]
    fn a_month_is_projected_from_the_days_that_were_counted() {
        let elapsed = Elapsed {
            passed: 20.0 * DAY,
            left: 10.0 * DAY,
            counted: 5.0 * DAY,
        };
        // A hundred in five days become two hundred more in the ten days that are left.
        assert_near(elapsed.projected(100.0), 300.0);
        assert_near(elapsed.share(), 2.0 / 3.0);
        // What was counted in a minute is not multiplied by thousands.
        let young = Elapsed {
            counted: 60.0,
            ..elapsed
        };
        assert_near(young.projected(100.0), 1100.0);
    }
}
