//! The clock from which everything here reads the time. Tests can move it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use governor::nanos::Nanos;
use jiff::{SignedDuration, Timestamp};

/// The value of `stopped_at_ms` that stands for a running clock.
const RUNNING: i64 = i64::MIN;

/// The system's clock plus an offset, or a clock that stands still. Only tests change it. Clones
/// share all of its state.
#[derive(Debug, Clone)]
pub struct Clock {
    started: Instant,
    /// The time that tests have let pass, in milliseconds.
    offset_ms: Arc<AtomicI64>,
    /// How far tests have put back the time of day, in milliseconds.
    put_back_ms: Arc<AtomicI64>,
    stopped_at_ms: Arc<AtomicI64>,
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            offset_ms: Arc::default(),
            put_back_ms: Arc::default(),
            stopped_at_ms: Arc::new(AtomicI64::new(RUNNING)),
        }
    }
}

impl Clock {
    /// The current time of day. An operator or NTP may set it forward and back.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let stopped_at = self.stopped_at_ms.load(Ordering::Relaxed);
        if stopped_at != RUNNING {
            return Timestamp::from_millisecond(stopped_at).unwrap_or(Timestamp::MAX);
        }
        let offset =
            self.offset_ms.load(Ordering::Relaxed) - self.put_back_ms.load(Ordering::Relaxed);
        let offset = SignedDuration::from_millis(offset);
        Timestamp::now()
            .saturating_add(offset)
            .unwrap_or(Timestamp::MAX)
    }

    /// Whole seconds since 1970, which is what the probe expects.
    #[must_use]
    pub fn seconds(&self) -> u64 {
        u64::try_from(self.now().as_second()).unwrap_or_default()
    }

    /// How long this clock has run. It only grows, whatever happens to the time of day. Limits on
    /// clients go by it, because they must neither end at once nor last for years when the time of
    /// day is corrected.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        let stopped_at = self.stopped_at_ms.load(Ordering::Relaxed);
        if stopped_at != RUNNING {
            // Tests stop the clock at ever later times, so this grows as well.
            return Duration::from_millis(u64::try_from(stopped_at).unwrap_or(0));
        }
        let offset = u64::try_from(self.offset_ms.load(Ordering::Relaxed)).unwrap_or(0);
        self.started.elapsed() + Duration::from_millis(offset)
    }

    /// Lets time pass for this clock and its clones.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.offset_ms.fetch_add(by, Ordering::Relaxed);
    }

    /// Puts the time of day back, as an operator may, without letting time pass.
    pub fn put_back(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.put_back_ms.fetch_add(by, Ordering::Relaxed);
    }

    /// Makes this clock and its clones stand still at this millisecond since 1970.
    pub fn stop_at(&self, millisecond: i64) {
        self.stopped_at_ms.store(millisecond, Ordering::Relaxed);
    }
}

/// The site's clock, as rate limiters read it.
#[derive(Debug, Clone)]
pub(crate) struct LimiterClock(pub(crate) Clock);

impl governor::clock::Clock for LimiterClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(self.0.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_put_back_has_run_as_long_as_before() {
        let clock = Clock::default();
        clock.advance(Duration::from_secs(3600));
        let (now, run) = (clock.now(), clock.elapsed());
        clock.put_back(Duration::from_secs(10 * 365 * 24 * 3600));
        assert!(clock.now() < now);
        assert!(clock.elapsed() >= run);
    }
}
