//! Keeps track of readers that let an answer wait. A slow reader is waited for while nobody needs
//! what its answer holds. Where somebody does, the slowest one is called off: its connection is
//! closed.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A reader of this speed, in bytes per second, is never called off. At this speed a page of the
/// gallery takes three seconds.
const FAST_ENOUGH: u64 = 64 * 1024;
/// How far a reader must have fallen behind that speed before it is called off.
const LEAST_BEHIND: Duration = Duration::from_secs(5);
/// The furthest that a reader can fall behind. It is bounded so that a reader which becomes fast is
/// soon forgiven.
const MOST_BEHIND: Duration = Duration::from_secs(60);

/// The readers of all open connections.
#[derive(Default)]
pub(crate) struct Readers(Mutex<Vec<Arc<Reader>>>);

/// What is known of the reader at the other end of a connection.
struct Reader {
    pace: Mutex<Pace>,
    called_off: CancellationToken,
}

#[derive(Clone, Copy, Default)]
struct Pace {
    /// How much longer it has taken than a reader that is fast enough.
    behind: Duration,
    /// Since when an answer has been waiting for it.
    waiting: Option<Instant>,
}

/// A connection's entry among the readers, which is removed when this is dropped.
pub(super) struct Enrolled {
    reader: Arc<Reader>,
    readers: Arc<Readers>,
}

impl Readers {
    /// Adds a connection.
    pub(super) fn enroll(self: &Arc<Self>) -> Enrolled {
        let reader = Arc::new(Reader {
            pace: Mutex::default(),
            called_off: CancellationToken::new(),
        });
        self.list().push(reader.clone());
        Enrolled {
            reader,
            readers: self.clone(),
        }
    }

    /// Calls off the slowest reader for whom an answer waits. Returns false where all are fast
    /// enough.
    pub(super) fn call_off_slowest(&self) -> bool {
        self.call_off_slowest_at(Instant::now())
    }

    fn call_off_slowest_at(&self, now: Instant) -> bool {
        let list = self.list();
        let slow = list
            .iter()
            .filter_map(|reader| Some((reader.behind(now)?, reader)))
            .filter(|(behind, _)| *behind >= LEAST_BEHIND);
        match slow.max_by_key(|(behind, _)| *behind) {
            Some((_, slowest)) => {
                slowest.called_off.cancel();
                true
            }
            None => false,
        }
    }

    fn list(&self) -> MutexGuard<'_, Vec<Arc<Reader>>> {
        self.0.lock()
    }
}

impl Reader {
    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock()
    }

    /// How far behind the reader is; `None` where no answer waits for it or it was called off
    /// already.
    fn behind(&self, now: Instant) -> Option<Duration> {
        if self.called_off.is_cancelled() {
            return None;
        }
        let Pace { behind, waiting } = *self.pace();
        Some(behind + now.saturating_duration_since(waiting?))
    }

    fn takes_at(&self, bytes: usize, now: Instant) {
        let mut pace = self.pace();
        let waited = pace
            .waiting
            .take()
            .map(|since| now.saturating_duration_since(since));
        let needed = Duration::from_millis(bytes as u64 * 1000 / FAST_ENOUGH);
        pace.behind = (pace.behind + waited.unwrap_or_default())
            .saturating_sub(needed)
            .min(MOST_BEHIND);
    }
}

impl Enrolled {
    /// Notes that an answer waits for this reader, unless one did before.
    pub(super) fn keeps_waiting(&self) {
        self.reader.pace().waiting.get_or_insert_with(Instant::now);
    }

    /// Notes that the reader took this many bytes.
    pub(super) fn takes(&self, bytes: usize) {
        self.reader.takes_at(bytes, Instant::now());
    }

    /// A token that is cancelled when the reader is called off.
    pub(super) fn called_off(&self) -> CancellationToken {
        self.reader.called_off.clone()
    }
}

impl Drop for Enrolled {
    fn drop(&mut self) {
        self.readers
            .list()
            .retain(|reader| !Arc::ptr_eq(reader, &self.reader));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader that took this many bytes in each of so many seconds and now lets an answer wait.
    fn reader(readers: &Arc<Readers>, bytes: usize, seconds: u64, now: Instant) -> Enrolled {
        let enrolled = readers.enroll();
        for second in 0..seconds {
            let begun = now + Duration::from_secs(second);
            enrolled.reader.pace().waiting = Some(begun);
            enrolled
                .reader
                .takes_at(bytes, begun + Duration::from_secs(1));
        }
        enrolled.reader.pace().waiting = Some(now + Duration::from_secs(seconds));
        enrolled
    }

    fn are_called_off(readers: &[&Enrolled]) -> Vec<bool> {
        readers
            .iter()
            .map(|reader| reader.called_off().is_cancelled())
            .collect()
    }

    #[test]
    fn the_slowest_reader_is_called_off_first_and_a_fast_one_never() {
        let readers = Arc::new(Readers::default());
        let begun = Instant::now();
        let now = begun + Duration::from_secs(20);
        let dripping = reader(&readers, 1, 20, begun);
        let just_above_the_least = reader(&readers, 20_000, 20, begun);
        let fast = reader(&readers, 100_000, 20, begun);
        let all = [&dripping, &just_above_the_least, &fast];
        assert!(readers.call_off_slowest_at(now));
        assert_eq!(are_called_off(&all), [true, false, false]);
        assert!(readers.call_off_slowest_at(now));
        assert_eq!(are_called_off(&all), [true, true, false]);
        assert!(!readers.call_off_slowest_at(now));
    }

    #[test]
    fn a_reader_that_has_only_begun_or_that_no_answer_waits_for_is_not_called_off() {
        let readers = Arc::new(Readers::default());
        let now = Instant::now();
        let begun = reader(&readers, 1, 3, now);
        let idle = reader(&readers, 1, 20, now);
        idle.reader.pace().waiting = None;
        assert!(!readers.call_off_slowest_at(now + Duration::from_secs(3)));
        drop((begun, idle));
        assert!(readers.list().is_empty());
    }

    #[test]
    fn who_was_slow_and_has_become_fast_is_forgiven() {
        let readers = Arc::new(Readers::default());
        let begun = Instant::now();
        let now = begun + Duration::from_secs(300);
        let slow = reader(&readers, 1, 300, begun);
        slow.reader.takes_at(5_000_000, now);
        slow.reader.pace().waiting = Some(now);
        assert!(!readers.call_off_slowest_at(now));
    }
}
