//! Measures how far this machine's clock differs from the server's, by the `Date` of its answers.
//! Pictures expire by the clock, and Amazon refuses requests that are signed at too different a
//! time.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_sdk_s3::config::interceptors::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use jiff::{SignedDuration, Timestamp};
use parking_lot::{Mutex, MutexGuard};

use super::report::Check;
use crate::runtime::clock::Clock;

/// From this difference on, pictures expire noticeably too early or too late.
const WARNING: SignedDuration = SignedDuration::from_secs(60);
/// From this difference on, Amazon refuses every request (`RequestTimeTooSkewed`).
const REFUSED: SignedDuration = SignedDuration::from_mins(15);

/// Compares the `Date` of each answer with the clock. Clones share the latest result.
#[derive(Debug, Clone)]
pub(super) struct SkewReader {
    clock: Clock,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    sent_at: Option<Timestamp>,
    /// How far this machine's clock is ahead.
    ahead: Option<SignedDuration>,
}

impl SkewReader {
    pub(super) fn new(clock: &Clock) -> Self {
        Self {
            clock: clock.clone(),
            state: Arc::default(),
        }
    }

    /// How far this machine's clock is ahead; `None` where no answer had a date.
    pub(super) fn ahead(&self) -> Option<SignedDuration> {
        self.state().ahead
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl Intercept for SkewReader {
    fn name(&self) -> &'static str {
        "SkewReader"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.state().sent_at = Some(self.clock.now());
        Ok(())
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let mut state = self.state();
        let date = context.response().headers().get("date");
        if let (Some(sent_at), Some(date)) = (state.sent_at, date) {
            state.ahead = ahead(sent_at, self.clock.now(), date);
        }
        Ok(())
    }
}

/// How far the clock that read `sent_at` and `answered_at` is ahead of the clock that wrote `date`
/// in between.
fn ahead(sent_at: Timestamp, answered_at: Timestamp, date: &str) -> Option<SignedDuration> {
    let date = httpdate::parse_http_date(date).ok()?;
    let date = Timestamp::try_from(date.max(SystemTime::UNIX_EPOCH)).ok()?;
    let written_at = sent_at
        .checked_add(answered_at.duration_since(sent_at) / 2)
        .ok()?;
    // A `Date` has whole seconds, truncated and not rounded.
    let date = date.checked_add(Duration::from_millis(500)).ok()?;
    Some(written_at.duration_since(date))
}

/// True when no signed request can succeed.
pub(super) fn is_refused(ahead: Option<SignedDuration>) -> bool {
    ahead.is_some_and(|ahead| ahead.abs() > REFUSED)
}

pub(super) fn judge(ahead: Option<SignedDuration>) -> Check {
    let name = "clock";
    let Some(ahead) = ahead else {
        return Check::skipped(
            name,
            "no answer of the bucket's server says what time it is",
        );
    };
    let way = if ahead.is_negative() { "slow" } else { "fast" };
    let seconds = ahead.abs().as_secs();
    let detail = format!("{seconds} s {way}, compared with the bucket's server");
    let remedy = "Synchronise this machine's clock, for instance with systemd-timesyncd or chrony";
    if is_refused(Some(ahead)) {
        Check::failed(
            name,
            format!("{detail}: signed requests are refused from 15 minutes on"),
            remedy,
        )
    } else if ahead.abs() > WARNING {
        Check::warning(
            name,
            format!(
                "{detail}: pictures end that much too {}",
                if ahead.is_negative() { "late" } else { "early" }
            ),
            remedy,
        )
    } else {
        Check::ok(name, detail)
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Outcome;
    use super::*;

    #[test]
    fn the_date_is_compared_with_the_middle_of_the_request() {
        let sent_at: Timestamp = "2026-11-29T10:15:00Z".parse().unwrap();
        let answered_at: Timestamp = "2026-11-29T10:15:03Z".parse().unwrap();
        for (date, seconds) in [
            ("Sun, 29 Nov 2026 10:15:01 GMT", 0),
            ("Sun, 29 Nov 2026 10:14:01 GMT", 60),
            ("Sun, 29 Nov 2026 10:35:01 GMT", -1200),
        ] {
            let found = ahead(sent_at, answered_at, date).unwrap();
            assert_eq!(found, SignedDuration::from_secs(seconds), "{date}");
        }
        assert_eq!(ahead(sent_at, answered_at, "yesterday"), None);
    }

    #[test]
    fn a_minute_warns_and_a_quarter_of_an_hour_fails() {
        for (seconds, outcome) in [
            (0, Outcome::Ok),
            (60, Outcome::Ok),
            (-60, Outcome::Ok),
            (61, Outcome::Warning),
            (-61, Outcome::Warning),
            (900, Outcome::Warning),
            (901, Outcome::Failed),
            (-901, Outcome::Failed),
        ] {
            let check = judge(Some(SignedDuration::from_secs(seconds)));
            assert_eq!(check.outcome, outcome, "{seconds}: {check:?}");
        }
        assert_eq!(judge(None).outcome, Outcome::Skipped);
    }
}
