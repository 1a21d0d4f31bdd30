//! Turns to upload: how many uploads are received at the same time, of each client and of all
//! clients together.
//!
//! A sender may be slow while nobody waits. Where somebody waits who has fewer turns, the client
//! with the most gives up its slowest one; a client's only upload is called off where it hardly
//! moves. A client that merely has a slow line keeps its turn, and one that comes too late is told
//! to come again.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::client::ClientNetwork;

/// The most uploads of one client that are received at the same time. They count towards those of
/// all clients.
const AT_ONCE: usize = 8;
/// How long a client waits for a turn before the slowest sender is called off. It is also the least
/// time until the next one is, however many wait.
const PATIENCE_WITH_SLOW: Duration = Duration::from_secs(2);
/// How long a sender is never called slow, because connections begin slowly.
const SPEED_GRACE: Duration = Duration::from_secs(5);
/// A sender of this speed, in bytes per second, is never called off while its client has few turns.
/// At this speed the largest file takes five minutes.
const FAST_ENOUGH: u64 = 64 * 1024;
/// The speed that is fast enough, in bytes per second, for a client that has many more turns than
/// the client that waits. To send several large files at once takes a fast line.
const FAST_WITH_MANY: u64 = 512 * 1024;
/// The speed at which a client's only upload is never called off, in bytes per second. The slowest
/// lines in use have it.
const LEAST_ENOUGH: u64 = 8 * 1024;

/// The turns of all clients.
pub(super) struct Turns {
    all: Arc<Semaphore>,
    clients: Mutex<HashMap<ClientNetwork, Arc<Semaphore>>>,
    senders: Arc<Senders>,
}

/// Everybody who has a turn.
#[derive(Default)]
struct Senders {
    list: Mutex<Vec<Arc<Sender>>>,
    /// When a sender was last called off.
    called_off_at: Mutex<Option<Instant>>,
}

struct Sender {
    client: ClientNetwork,
    since: Instant,
    received: AtomicU64,
    /// The upload is complete, and so no longer depends on its sender.
    is_whole: AtomicBool,
    called_off: CancellationToken,
}

/// The right to be received, which ends when this is dropped.
pub(super) struct Turn {
    sender: Arc<Sender>,
    senders: Arc<Senders>,
    _permits: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

impl Turns {
    /// Turns for `at_once` uploads at the same time.
    pub(super) fn new(at_once: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(at_once)),
            clients: Mutex::default(),
            senders: Arc::default(),
        }
    }

    /// Waits for a turn of this client, however long it takes.
    ///
    /// # Errors
    /// When the semaphore is closed, which never happens.
    pub(super) async fn take(&self, client: ClientNetwork) -> Result<Turn, AcquireError> {
        // The client's own turn comes first, so that a client waits for itself and not in
        // everybody's way.
        let own = self
            .wait(self.of(client), |sender, _| {
                (sender.client == client).then_some(LEAST_ENOUGH)
            })
            .await?;
        let all = self
            .wait(self.all.clone(), |sender, turns| {
                let of = |client| turns.get(client).copied().unwrap_or_default();
                Some(enough_for_others(of(&sender.client), of(&client)))
            })
            .await?;
        let sender = Arc::new(Sender {
            client,
            since: Instant::now(),
            received: AtomicU64::new(0),
            is_whole: AtomicBool::new(false),
            called_off: CancellationToken::new(),
        });
        self.senders.list().push(sender.clone());
        Ok(Turn {
            sender,
            senders: self.senders.clone(),
            _permits: (own, all),
        })
    }

    /// Waits for one of these turns. `enough` says how fast a sender must be to keep its turn,
    /// given how many turns each client has; it is `None` for a sender that has none of these
    /// turns.
    async fn wait(
        &self,
        turns: Arc<Semaphore>,
        enough: impl Fn(&Sender, &HashMap<ClientNetwork, usize>) -> Option<u64>,
    ) -> Result<OwnedSemaphorePermit, AcquireError> {
        let turn = turns.acquire_owned();
        tokio::pin!(turn);
        loop {
            tokio::select! {
                biased;
                turn = &mut turn => return turn,
                () = tokio::time::sleep(PATIENCE_WITH_SLOW) => {
                    self.senders.call_off_slowest(&enough, Instant::now());
                }
            }
        }
    }

    fn of(&self, client: ClientNetwork) -> Arc<Semaphore> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        // A client's semaphore is kept only while somebody waits for it or holds one of its
        // permits.
        clients.retain(|_, turns| Arc::strong_count(turns) > 1);
        clients
            .entry(client)
            .or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE)))
            .clone()
    }
}

/// How fast a sender must be to keep its turn, in bytes per second, where its client has `its`
/// turns and the client that waits has `waiting`. Nobody must give up a turn for a client that
/// would then have more.
fn enough_for_others(its: usize, waiting: usize) -> u64 {
    if its > waiting + AT_ONCE / 2 {
        FAST_WITH_MANY
    } else if its > waiting + 1 {
        FAST_ENOUGH
    } else {
        LEAST_ENOUGH
    }
}

impl Senders {
    fn list(&self) -> MutexGuard<'_, Vec<Arc<Sender>>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls off one of the senders that are not fast enough: of the client with the most turns,
    /// the slowest. It does nothing where one was called off a moment ago, however many wait.
    fn call_off_slowest(
        &self,
        enough: impl Fn(&Sender, &HashMap<ClientNetwork, usize>) -> Option<u64>,
        now: Instant,
    ) {
        let list = self.list();
        let mut last = self
            .called_off_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let is_soon = |last: Instant| now.saturating_duration_since(last) < PATIENCE_WITH_SLOW;
        if last.is_some_and(is_soon) {
            return;
        }
        let mut turns = HashMap::new();
        for sender in list.iter() {
            *turns.entry(sender.client).or_insert(0_usize) += 1;
        }
        let slow = list.iter().filter(|sender| {
            enough(sender, &turns).is_some_and(|enough| sender.is_slow(enough, now))
        });
        let most_turns_then_slowest = |sender: &&Arc<Sender>| {
            let its = turns.get(&sender.client).copied().unwrap_or_default();
            (Reverse(its), sender.speed(now))
        };
        if let Some(slowest) = slow.min_by_key(most_turns_then_slowest) {
            slowest.called_off.cancel();
            *last = Some(now);
        }
    }
}

impl Sender {
    /// The average speed, in bytes per second.
    fn speed(&self, now: Instant) -> u64 {
        let millis = now.saturating_duration_since(self.since).as_millis();
        let millis = u64::try_from(millis).unwrap_or(u64::MAX).max(1);
        self.received.load(Ordering::Relaxed).saturating_mul(1000) / millis
    }

    /// True for a sender that can be called off, because it sends fewer than `enough` bytes per
    /// second.
    fn is_slow(&self, enough: u64, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= SPEED_GRACE
            && self.speed(now) < enough
            && !self.is_whole.load(Ordering::Relaxed)
            && !self.called_off.is_cancelled()
    }
}

impl Turn {
    /// Counts bytes that came.
    pub(super) fn received(&self, bytes: usize) {
        self.sender
            .received
            .fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Notes that the upload is complete, so that its sender is no longer waited for.
    pub(super) fn is_whole(&self) {
        self.sender.is_whole.store(true, Ordering::Relaxed);
    }

    /// A token that is cancelled when the sender must make room.
    pub(super) fn called_off(&self) -> CancellationToken {
        self.sender.called_off.clone()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.senders
            .list()
            .retain(|sender| !Arc::ptr_eq(sender, &self.sender));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: u8) -> ClientNetwork {
        ClientNetwork::of([192, 0, 2, number].into())
    }

    /// A turn of this client, whose sender has sent this many bytes.
    async fn turn(turns: &Turns, number: u8, bytes: usize) -> Turn {
        let turn = turns.take(client(number)).await.expect("there is one");
        turn.received(bytes);
        turn
    }

    fn called_off(turns: &[&Turn]) -> Vec<bool> {
        turns
            .iter()
            .map(|turn| turn.called_off().is_cancelled())
            .collect()
    }

    /// Calls off for a client that has no turn and waits for one, this many seconds from now.
    fn call_off(turns: &Turns, seconds: u64) {
        let enough = |sender: &Sender, turns: &HashMap<ClientNetwork, usize>| {
            Some(enough_for_others(turns[&sender.client], 0))
        };
        let now = Instant::now() + Duration::from_secs(seconds);
        turns.senders.call_off_slowest(enough, now);
    }

    #[tokio::test]
    async fn the_client_with_the_most_turns_gives_up_its_slowest_one_and_one_at_a_time() {
        let turns = Turns::new(5);
        let dripping = turn(&turns, 1, 1).await;
        let slow = turn(&turns, 1, 200_000).await;
        let fast = turn(&turns, 1, 50_000_000).await;
        let phone = turn(&turns, 2, 300_000).await;
        let all = [&dripping, &slow, &fast, &phone];
        call_off(&turns, 4);
        assert_eq!(called_off(&all), [false; 4], "all have only begun");
        call_off(&turns, 10);
        call_off(&turns, 11);
        assert_eq!(called_off(&all), [true, false, false, false]);
        call_off(&turns, 13);
        assert_eq!(called_off(&all), [true, true, false, false]);
        call_off(&turns, 20);
        assert_eq!(called_off(&all), [true, true, false, false]);
    }

    #[tokio::test]
    async fn a_crowd_with_slow_lines_keeps_its_turns_and_only_what_hardly_moves_is_called_off() {
        let turns = Turns::new(32);
        let mut phones = Vec::new();
        for number in 0..31 {
            phones.push(turn(&turns, number, 400_000).await);
        }
        let dripping = turn(&turns, 31, 10).await;
        for seconds in (10..40).step_by(2) {
            call_off(&turns, seconds);
        }
        assert_eq!(called_off(&[&dripping]), [true]);
        let phones: Vec<&Turn> = phones.iter().collect();
        assert_eq!(called_off(&phones), [false; 31]);
    }

    #[tokio::test]
    async fn an_upload_that_is_whole_is_not_called_off_and_one_that_ended_is_forgotten() {
        let turns = Turns::new(2);
        let whole = turn(&turns, 1, 1).await;
        whole.is_whole();
        let ended = turn(&turns, 1, 1).await;
        let token = ended.called_off();
        drop(ended);
        call_off(&turns, 10);
        assert_eq!(called_off(&[&whole]), [false]);
        assert!(!token.is_cancelled());
        assert_eq!(turns.senders.list().len(), 1);
    }
}
