//! The time, as everything here reads it; a test can move it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use governor::nanos::Nanos;
use jiff::{SignedDuration, Timestamp};

/// Stands for a clock that runs.
const RUNNING: i64 = i64::MIN;

/// The system's clock plus an offset, or a clock that stands still; only tests change it. Clones share both.
#[derive(Debug, Clone)]
pub struct Clock {
    offset_ms: Arc<AtomicI64>,
    stopped_at_ms: Arc<AtomicI64>,
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            offset_ms: Arc::default(),
            stopped_at_ms: Arc::new(AtomicI64::new(RUNNING)),
        }
    }
}

impl Clock {
    /// The current time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let stopped_at = self.stopped_at_ms.load(Ordering::Relaxed);
        if stopped_at != RUNNING {
            return Timestamp::from_millisecond(stopped_at).unwrap_or(Timestamp::MAX);
        }
        let offset = SignedDuration::from_millis(self.offset_ms.load(Ordering::Relaxed));
        Timestamp::now()
            .saturating_add(offset)
            .unwrap_or(Timestamp::MAX)
    }

    /// Moves this clock and its clones forward.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.offset_ms.fetch_add(by, Ordering::Relaxed);
    }

    /// Makes this clock and its clones stand still at this millisecond since 1970.
    pub fn stop_at(&self, millisecond: i64) {
        self.stopped_at_ms.store(millisecond, Ordering::Relaxed);
    }
}

/// The site's clock, as a limiter of rates reads it.
#[derive(Debug, Clone)]
pub(crate) struct LimiterClock(pub(crate) Clock);

impl governor::clock::Clock for LimiterClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        let since_1970 = self.0.now().as_duration();
        Nanos::from(Duration::try_from(since_1970).unwrap_or_default())
    }
}
