//! How long a picture shall live, where its uploader says so.

use std::time::Duration;

use app::error::ErrorCode;
use jiff::{SignedDuration, Span, SpanRelativeTo};

use crate::domain::expiry::Retention;
use crate::http::error::Error;

/// The parameter of the API and the field of the upload form.
pub(crate) const EXPIRES_IN: &str = "expires_in";

/// The life that is asked for in `expires_in`. `site` is the site's retention, which is what a
/// picture gets whose uploader asks for nothing.
///
/// # Errors
/// `malformed` for a text that is no time, and for a time that is too short or longer than `site`:
/// who asks for a life wants that one and no other.
pub(crate) fn parse(text: &str, site: Retention) -> Result<Option<Retention>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    let asked = read(text).and_then(|asked| site.shortened_to(asked));
    asked.map(Some).ok_or_else(|| bad(EXPIRES_IN, site))
}

/// The life that a client of another host asks for in the field with this name. Such a client
/// offers the times of its host, so one that is longer than `site` means `site`, and 0 means
/// nothing.
///
/// # Errors
/// `malformed` for a text that is no time, and for a time that is too short.
pub(crate) fn parse_elsewhere(
    name: &str,
    text: Option<&str>,
    site: Retention,
) -> Result<Option<Retention>, Error> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let asked = read(text).ok_or_else(|| bad(name, site))?;
    at_most(name, asked, site)
}

/// The same for a time that was read already.
///
/// # Errors
/// `malformed` for a time that is too short.
pub(crate) fn at_most(
    name: &str,
    asked: Duration,
    site: Retention,
) -> Result<Option<Retention>, Error> {
    let longest = Duration::from_secs(site.seconds().into());
    if asked.is_zero() || asked >= longest {
        return Ok(None);
    }
    let shortened = site.shortened_to(asked);
    shortened.map(Some).ok_or_else(|| bad(name, site))
}

/// Reads whole seconds, or a time with units, as in `1h 30m` or ISO 8601's `PT90M`.
fn read(text: &str) -> Option<Duration> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().map(Duration::from_secs);
    }
    let span: Span = text.parse().ok()?;
    // Clients of other hosts offer months and years, which count as 30 and 365 days.
    let days = i64::from(span.get_months()) * 30 + i64::from(span.get_years()) * 365;
    let rest = span.months(0).years(0);
    let exact = rest.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    let long = SignedDuration::from_hours(days * 24);
    let exact = exact.checked_add(long)?;
    exact.try_into().ok()
}

/// The refusal of what is no time, or one that is too short or too long.
pub(super) fn bad(name: &str, site: Retention) -> Error {
    let (shortest, longest) = (site.shortest(), site);
    Error::new(
        ErrorCode::Malformed,
        format!(
            "`{name}` must be a time from {} to {}: whole seconds such as `3600`, or with a unit \
             such as `1h`.",
            shortest.in_words(),
            longest.in_words()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(lives: Result<Option<Retention>, Error>) -> Option<u32> {
        lives.ok().map(|lives| lives.map_or(0, Retention::seconds))
    }

    #[test]
    fn a_life_is_from_five_minutes_to_the_retention() {
        for (text, expected) in [
            ("", Some(0)),
            ("300", Some(300)),
            ("3600", Some(3600)),
            ("1h", Some(3600)),
            ("1h 30m", Some(5400)),
            ("PT5M", Some(300)),
            ("P1D", Some(86_400)),
            ("7d", Some(604_800)),
            ("604800", Some(604_800)),
            ("299", None),
            ("0", None),
            ("604801", None),
            ("8 days", None),
            ("-1h", None),
            ("+300", None),
            ("300.5s", None),
            ("1 month", None),
            ("99999999999999999999", None),
            ("soon", None),
        ] {
            assert_eq!(
                seconds(parse(text, Retention::default())),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn another_hosts_client_gets_no_more_than_the_site_has() {
        for (text, expected) in [
            (None, Some(0)),
            (Some(""), Some(0)),
            (Some("0"), Some(0)),
            (Some("72h"), Some(259_200)),
            (Some("15552000"), Some(0)),
            (Some("P1D"), Some(86_400)),
            (Some("P1M"), Some(0)),
            (Some("1y"), Some(0)),
            (Some("-1y"), None),
            (Some("60"), None),
            (Some("later"), None),
        ] {
            let lives = parse_elsewhere("time", text, Retention::default());
            assert_eq!(seconds(lives), expected, "{text:?}");
        }
    }
}
