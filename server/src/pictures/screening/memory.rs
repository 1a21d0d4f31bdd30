//! The memory that all pictures share while they are decoded and until what was made of them is stored.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::delay::Delay;

/// Permits of the semaphore stand for this many bytes each.
const UNIT: u64 = 1024;
/// How often the process may end while a picture has all memory to itself, before the picture is refused as too large: each
/// attempt that is cut off doubles the memory that the next one sets aside, since the estimate may be too low.
const MAX_ENDS_WITH_ALL_MEMORY: usize = 3;
/// How long a picture waits for memory, well within its lease; a decoder that was given up may hold some for ever.
const MEMORY_WAIT: Duration = Duration::from_secs(180);

/// All of the memory.
pub(super) struct Memory {
    permits: Arc<Semaphore>,
    /// As many units as there are altogether.
    all: u64,
}

/// The part of it that one picture has, until this is dropped.
pub(super) struct Share(OwnedSemaphorePermit);

impl Memory {
    /// So many bytes.
    ///
    /// # Errors
    /// When they are more than this machine can count.
    pub(super) fn new(bytes: u64) -> anyhow::Result<Self> {
        let all = bytes / UNIT;
        Ok(Self {
            permits: Arc::new(Semaphore::new(usize::try_from(all)?)),
            all,
        })
    }

    /// Waits for the memory of a picture that needs so many bytes by its estimate, after so many attempts that ended with the
    /// process. `None` for a picture that had all of the memory often enough.
    ///
    /// # Errors
    /// [`Delay::NoMemory`] where none becomes free in time.
    pub(super) async fn wait_for(&self, bytes: u64, cut_off: u32) -> anyhow::Result<Option<Share>> {
        // A picture that needs the last byte must not wait for a permit that does not exist.
        let Some(units) = share_of(bytes.div_ceil(UNIT), cut_off, self.all) else {
            return Ok(None);
        };
        let units = u32::try_from(units)?;
        let permits = self.permits.clone().acquire_many_owned(units);
        let permits = tokio::time::timeout(MEMORY_WAIT, permits).await;
        Ok(Some(Share(permits.map_err(|_| Delay::NoMemory)??)))
    }
}

impl Share {
    /// Keeps so many bytes of it, as far as it has them, and gives back the rest.
    pub(super) fn keep(mut self, bytes: u64) -> Self {
        let units = usize::try_from(bytes.div_ceil(UNIT)).unwrap_or(usize::MAX);
        match self.0.split(units.min(self.0.num_permits())) {
            Some(kept) => Self(kept),
            None => self,
        }
    }
}

/// How much of the memory a picture sets aside that needs `base`, in the same units as `all`, after so many attempts that
/// ended with the process. `None` where it had all of it often enough.
fn share_of(base: u64, cut_off: u32, all: u64) -> Option<u64> {
    let share = |doublings: u32| {
        base.saturating_mul(2_u64.saturating_pow(doublings))
            .min(all)
    };
    let ends_with_all = (0..cut_off).filter(|doublings| share(*doublings) == all);
    (ends_with_all.count() < MAX_ENDS_WITH_ALL_MEMORY).then(|| share(cut_off))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_attempt_that_ended_with_the_process_doubles_the_memory_of_the_next() {
        let shares: Vec<_> = (0..8).map(|ends| share_of(30, ends, 110)).collect();
        let some = |share| Some(share);
        assert_eq!(
            shares,
            [
                some(30),
                some(60),
                some(110),
                some(110),
                some(110),
                None,
                None,
                None
            ]
        );
        assert_eq!(share_of(200, 0, 110), Some(110));
        assert_eq!(share_of(200, 2, 110), Some(110));
        assert_eq!(share_of(200, 3, 110), None);
        assert_eq!(share_of(1, 100, 110), None);
    }

    #[tokio::test]
    async fn what_a_picture_does_not_keep_is_free_for_the_next() {
        let memory = Memory::new(10 * UNIT).expect("fits");
        let share = memory.wait_for(10 * UNIT, 0).await.expect("is free");
        let kept = share.expect("is no matter of attempts").keep(UNIT + 1);
        assert_eq!(memory.permits.available_permits(), 8);
        drop(kept);
        assert_eq!(memory.permits.available_permits(), 10);
        let share = memory.wait_for(UNIT, 0).await.expect("is free");
        let kept = share.expect("is no matter of attempts").keep(0);
        assert_eq!(memory.permits.available_permits(), 10);
        drop(kept);
        assert_eq!(memory.permits.available_permits(), 10);
    }
}
