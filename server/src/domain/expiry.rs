//! When a picture ends. One instant decides, in whole seconds.

use std::time::Duration;

use jiff::Timestamp;

/// The `Cache-Control` of a picture's bytes, which goes with an `Expires` at
/// [`ExpiresAt::last_fresh_second`]. Our own answers carry it, and it is stored with the objects
/// that a CDN reads directly.
///
/// It has no relative lifetime such as `max-age`. Those add up along a chain of caches, because a
/// cache does not subtract the age that an object had gained before it arrived.
pub const IMAGE_CACHING: &str =
    "public, immutable, must-revalidate, stale-while-revalidate=0, stale-if-error=0";

/// The shortest life that an uploader may ask for, in seconds. Caches keep a list until its first
/// picture ends, so pictures that end at once would leave them nothing to keep; from five minutes
/// on, a list is kept for its minute until shortly before that end.
const SHORTEST: u32 = 5 * 60;

/// How long a picture lives from the moment its publishing begins: whole seconds, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Retention {
    seconds: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            seconds: 7 * 24 * 3600,
        }
    }
}

impl Retention {
    /// Takes whole seconds from 1 second to 366 days; `None` for anything else.
    #[must_use]
    pub fn new(duration: Duration) -> Option<Self> {
        let seconds = u32::try_from(duration.as_secs()).ok()?;
        (duration.subsec_nanos() == 0 && (1..=366 * 24 * 3600).contains(&seconds))
            .then_some(Self { seconds })
    }

    /// The shortest life that an uploader may ask for on a site with this retention.
    #[must_use]
    pub fn shortest(self) -> Self {
        self.min(Self { seconds: SHORTEST })
    }

    /// The life of a picture whose uploader asks for this, on a site with this retention; `None`
    /// where that is too short, too long, or not in whole seconds.
    #[must_use]
    pub fn shortened_to(self, asked: Duration) -> Option<Self> {
        Self::new(asked).filter(|asked| (self.shortest()..=self).contains(asked))
    }

    /// The retention in seconds.
    #[must_use]
    pub fn seconds(self) -> u32 {
        self.seconds
    }

    /// The retention in words, in the largest unit that divides it: `7 days`.
    #[must_use]
    pub fn in_words(self) -> String {
        let (number, unit) = match self.seconds {
            seconds if seconds % 86_400 == 0 => (seconds / 86_400, "day"),
            seconds if seconds % 3600 == 0 => (seconds / 3600, "hour"),
            seconds if seconds % 60 == 0 => (seconds / 60, "minute"),
            seconds => (seconds, "second"),
        };
        format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
    }
}

/// The second from which a picture is gone, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExpiresAt(i64);

impl ExpiresAt {
    /// The end of a picture whose publishing begins now: the current second plus the retention.
    #[must_use]
    pub fn after(now: Timestamp, retention: Retention) -> Self {
        Self(now.as_second() + i64::from(retention.seconds))
    }

    /// Takes seconds since 1970.
    #[must_use]
    pub fn from_second(second: i64) -> Self {
        Self(second)
    }

    /// The end in seconds since 1970.
    #[must_use]
    pub fn second(self) -> i64 {
        self.0
    }

    /// True from the very second of the end on.
    #[must_use]
    pub fn is_past(self, now: Timestamp) -> bool {
        now.as_second() >= self.0
    }

    /// The end that caches are told. It is one second early, so that no cache still holds the
    /// picture at its end.
    #[must_use]
    pub fn last_fresh_second(self) -> i64 {
        self.0 - 1
    }

    /// Whole seconds left, rounded down; 0 once the end has come.
    #[must_use]
    pub fn seconds_left(self, now: Timestamp) -> u64 {
        let left = self.timestamp().duration_since(now);
        u64::try_from(left.as_secs()).unwrap_or(0)
    }

    /// The end as a timestamp.
    #[must_use]
    pub fn timestamp(self) -> Timestamp {
        second_to_timestamp(self.0)
    }

    /// [`Self::last_fresh_second`] in the date format of HTTP headers.
    #[must_use]
    pub fn last_second_http_date(self) -> String {
        second_to_timestamp(self.last_fresh_second())
            .strftime("%a, %d %b %Y %H:%M:%S GMT")
            .to_string()
    }

    /// The form in image URLs and object keys: `20261129T101502Z`.
    #[must_use]
    pub fn compact(self) -> String {
        self.timestamp().strftime("%Y%m%dT%H%M%SZ").to_string()
    }

    /// Reads `20261129T101502Z`; `None` for anything else.
    #[must_use]
    pub fn parse_compact(text: &str) -> Option<Self> {
        let digits = |range: std::ops::Range<usize>| -> Option<i16> {
            let part = text.get(range)?;
            part.bytes()
                .all(|byte| byte.is_ascii_digit())
                .then(|| part.parse().ok())?
        };
        if text.len() != 16 || text.get(8..9) != Some("T") || text.get(15..) != Some("Z") {
            return None;
        }
        let small = |range| digits(range).and_then(|number| i8::try_from(number).ok());
        let time = jiff::civil::DateTime::new(
            digits(0..4)?,
            small(4..6)?,
            small(6..8)?,
            small(9..11)?,
            small(11..13)?,
            small(13..15)?,
            0,
        )
        .ok()?;
        let timestamp = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
        let parsed = Self(timestamp.as_second());
        // A leap second would parse as the second after it, but each instant must have one name
        // only.
        (parsed.compact() == text).then_some(parsed)
    }
}

/// Seconds since 1970 as a timestamp, clamped to the years that the calendar library knows.
#[must_use]
pub fn second_to_timestamp(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or(if second < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

/// Writes `2026-11-29T10:15:02Z`, the form of every time in JSON and HTML.
#[must_use]
pub fn rfc3339(second: i64) -> String {
    second_to_timestamp(second)
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

/// Reads what [`rfc3339`] wrote, in seconds since 1970; `None` for anything else.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    let second = text.parse::<Timestamp>().ok()?.as_second();
    (rfc3339(second) == text).then_some(second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a test timestamp parses")
    }

    #[test]
    fn a_picture_is_gone_from_its_very_second_on() {
        let retention = Retention::new(Duration::from_secs(3)).expect("three seconds are valid");
        let expires = ExpiresAt::after(at("2026-11-22T10:00:00.9Z"), retention);
        assert_eq!(rfc3339(expires.second()), "2026-11-22T10:00:03Z");
        assert!(!expires.is_past(at("2026-11-22T10:00:02.999999999Z")));
        assert!(expires.is_past(at("2026-11-22T10:00:03Z")));
        assert_eq!(expires.seconds_left(at("2026-11-22T10:00:01.5Z")), 1);
        assert_eq!(expires.seconds_left(at("2026-11-22T10:00:09Z")), 0);
    }

    #[test]
    fn the_compact_form_reads_back_and_nothing_else_does() {
        let expires = ExpiresAt::from_second(at("2026-11-29T10:15:02Z").as_second());
        assert_eq!(expires.compact(), "20261129T101502Z");
        assert_eq!(ExpiresAt::parse_compact("20261129T101502Z"), Some(expires));
        for text in [
            "",
            "20261129",
            "20261329T101502Z",
            "20261129T101502z",
            "2026112T9101502Z",
            "+0261129T101502Z",
            "20261129T101560Z",
            "20261129T101502Zé",
        ] {
            assert_eq!(ExpiresAt::parse_compact(text), None, "{text}");
        }
    }

    #[test]
    fn retention_is_told_in_the_largest_whole_unit() {
        for (seconds, words) in [
            (604_800, "7 days"),
            (86_400, "1 day"),
            (7200, "2 hours"),
            (90, "90 seconds"),
            (1, "1 second"),
        ] {
            let retention = Retention::new(Duration::from_secs(seconds)).expect("valid");
            assert_eq!(retention.in_words(), words);
        }
    }
}
