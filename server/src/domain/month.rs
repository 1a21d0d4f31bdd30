//! A calendar month in UTC, by which costs are counted.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// One month of one year, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Month {
    first_day: Date,
}

impl Month {
    /// The month that holds this moment.
    #[must_use]
    pub fn of(now: Timestamp) -> Self {
        let today = now.to_zoned(TimeZone::UTC).date();
        Self {
            first_day: today.first_of_month(),
        }
    }

    /// Reads `2026-11`; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (year, month) = text.split_once('-')?;
        let digits = |text: &str, count: usize| {
            text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !digits(year, 4) || !digits(month, 2) {
            return None;
        }
        let first_day = Date::new(year.parse().ok()?, month.parse().ok()?, 1).ok()?;
        Some(Self { first_day })
    }

    /// When the month begins, in seconds since 1970.
    #[must_use]
    pub fn begins(self) -> i64 {
        let begins = self.first_day.to_zoned(TimeZone::UTC);
        begins.map_or(0, |begins| begins.timestamp().as_second())
    }

    /// Whole seconds until the next month begins, rounded up; 0 once it has begun.
    #[must_use]
    pub fn seconds_left(self, now: Timestamp) -> u64 {
        let next = self
            .first_day
            .last_of_month()
            .tomorrow()
            .and_then(|date| date.to_zoned(TimeZone::UTC))
            .map_or(Timestamp::MAX, |next| next.timestamp());
        let left = next.duration_since(now);
        let seconds = left.as_secs() + i64::from(left.subsec_nanos() > 0);
        u64::try_from(seconds).unwrap_or(0)
    }
}

/// Writes `2026-11`, the form in object keys and in the index.
impl fmt::Display for Month {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:04}-{:02}",
            self.first_day.year(),
            self.first_day.month()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn a_month_turns_at_midnight_by_utc() {
        for (time, month, left) in [
            ("2026-11-30T23:59:59Z", "2026-11", 1),
            ("2026-11-30T23:59:58.5Z", "2026-11", 2),
            ("2026-12-01T00:00:00Z", "2026-12", 31 * 86_400),
            ("2028-02-29T12:00:00Z", "2028-02", 43_200),
            ("2026-12-31T23:00:00Z", "2026-12", 3600),
        ] {
            let found = Month::of(at(time));
            assert_eq!(found.to_string(), month, "{time}");
            assert_eq!(found.seconds_left(at(time)), left, "{time}");
            assert_eq!(Month::parse(month), Some(found));
            let begins = at(&format!("{month}-01T00:00:00Z"));
            assert_eq!(found.begins(), begins.as_second());
        }
        let past = Month::of(at("2026-11-30T23:59:59Z"));
        assert_eq!(past.seconds_left(at("2026-12-01T00:00:01Z")), 0);
    }

    #[test]
    fn what_is_no_month_is_not_read() {
        for text in [
            "",
            "2026",
            "2026-13",
            "2026-00",
            "2026-1",
            "26-01",
            "2026-01-01",
            "+026-01",
        ] {
            assert_eq!(Month::parse(text), None, "{text}");
        }
    }
}
