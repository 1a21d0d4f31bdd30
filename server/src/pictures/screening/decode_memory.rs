//! The memory that all pictures share while they are decoded, and until what was made of them is
//! stored.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::delay::Delay;

/// How many bytes one permit of the semaphore stands for.
const UNIT: u64 = 1024;
/// How often the process may end while a picture has all of the memory, before the picture is
/// refused as too large. Each attempt that is cut off doubles the memory that the next one sets
/// aside, because the estimate may be too low.
const MAX_ENDS_WITH_ALL_MEMORY: usize = 5;
/// How long a picture waits for memory. This is well within its lease. A decoder that was given up
/// may hold some for ever.
const MEMORY_WAIT: Duration = Duration::from_secs(180);

/// All of the memory.
pub(super) struct DecodeMemory {
    permits: Arc<Semaphore>,
    /// The number of units in all.
    all: u64,
}

/// The room of one picture, which it has until this is dropped.
pub(super) struct Room(OwnedSemaphorePermit);

impl DecodeMemory {
    /// Memory of this many bytes.
    ///
    /// # Errors
    /// When that is more than this machine can count.
    pub(super) fn new(bytes: u64) -> anyhow::Result<Self> {
        let all = bytes / UNIT;
        Ok(Self {
            permits: Arc::new(Semaphore::new(usize::try_from(all)?)),
            all,
        })
    }

    /// Waits for the memory of a picture that is estimated to need this many bytes, after `cut_off`
    /// attempts that ended with the process. `None` for a picture that had all of the memory too
    /// often.
    ///
    /// # Errors
    /// [`Delay::NoMemory`] where not enough becomes free in time.
    pub(super) async fn wait_for(&self, bytes: u64, cut_off: u32) -> anyhow::Result<Option<Room>> {
        // A picture that needs the last byte must not wait for a permit that does not exist.
        let Some(units) = room_of(bytes.div_ceil(UNIT), cut_off, self.all) else {
            return Ok(None);
        };
        let units = u32::try_from(units)?;
        let permits = self.permits.clone().acquire_many_owned(units);
        let permits = tokio::time::timeout(MEMORY_WAIT, permits).await;
        Ok(Some(Room(permits.map_err(|_| Delay::NoMemory)??)))
    }
}

impl Room {
    /// Keeps this many bytes of the room, or all that it has, and gives back the rest.
    pub(super) fn keep(mut self, bytes: u64) -> Self {
        let units = usize::try_from(bytes.div_ceil(UNIT)).unwrap_or(usize::MAX);
        match self.0.split(units.min(self.0.num_permits())) {
            Some(kept) => Self(kept),
            None => self,
        }
    }
}

/// How much memory a picture sets aside, after `cut_off` attempts that ended with the process.
/// `base` is its estimate, in the same units as `all`. `None` where the picture had all of the
/// memory too often.
fn room_of(base: u64, cut_off: u32, all: u64) -> Option<u64> {
    let room = |doublings: u32| {
        base.saturating_mul(2_u64.saturating_pow(doublings))
            .min(all)
    };
    let ends_with_all = (0..cut_off).filter(|doublings| room(*doublings) == all);
    (ends_with_all.count() < MAX_ENDS_WITH_ALL_MEMORY).then(|| room(cut_off))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_attempt_that_ended_with_the_process_doubles_the_memory_of_the_next() {
        let rooms: Vec<_> = (0..8).map(|ends| room_of(30, ends, 110)).collect();
        let some = |room| Some(room);
        assert_eq!(
            rooms,
            [
                some(30),
                some(60),
                some(110),
                some(110),
                some(110),
                some(110),
                some(110),
                None
            ]
        );
        assert_eq!(room_of(200, 0, 110), Some(110));
        assert_eq!(room_of(200, 4, 110), Some(110));
        assert_eq!(room_of(200, 5, 110), None);
        assert_eq!(room_of(1, 100, 110), None);
    }

    #[tokio::test]
    async fn what_a_picture_does_not_keep_is_free_for_the_next() {
        let memory = DecodeMemory::new(10 * UNIT).expect("fits");
        let room = memory.wait_for(10 * UNIT, 0).await.expect("is free");
        let kept = room.expect("is no matter of attempts").keep(UNIT + 1);
        assert_eq!(memory.permits.available_permits(), 8);
        drop(kept);
        assert_eq!(memory.permits.available_permits(), 10);
        let room = memory.wait_for(UNIT, 0).await.expect("is free");
        let kept = room.expect("is no matter of attempts").keep(0);
        assert_eq!(memory.permits.available_permits(), 10);
        drop(kept);
        assert_eq!(memory.permits.available_permits(), 10);
    }
}
