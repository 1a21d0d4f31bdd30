//! Whose uploads are received at once: a few of each client, and of all clients together.
//! A sender may be slow while nobody waits. Where somebody does, the slowest is called off and makes room.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::client::ClientNetwork;

/// The most uploads of one client that are received at once; they are among those of all clients together.
const AT_ONCE: usize = 8;
/// How long somebody waits for a turn before the slowest sender is called off, and then before the next is.
const PATIENCE_WITH_SLOW: Duration = Duration::from_secs(2);
/// How long every sender may take before it can be called slow: connections begin slowly.
const SPEED_GRACE: Duration = Duration::from_secs(5);
/// A sender of at least so many bytes in a second is never called off: the largest file takes it five minutes.
const FAST_ENOUGH: u64 = 64 * 1024;

/// The turns of all that send.
pub(super) struct Turns {
    all: Arc<Semaphore>,
    clients: Mutex<HashMap<ClientNetwork, Arc<Semaphore>>>,
    senders: Arc<Senders>,
}

/// Everybody who has a turn.
#[derive(Default)]
struct Senders(Mutex<Vec<Arc<Sender>>>);

struct Sender {
    client: ClientNetwork,
    since: Instant,
    received: AtomicU64,
    /// The upload is whole: from here on it does not depend on its sender.
    is_whole: AtomicBool,
    called_off: CancellationToken,
}

/// The right to be received; it ends when this is dropped.
pub(super) struct Turn {
    sender: Arc<Sender>,
    senders: Arc<Senders>,
    _permits: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

impl Turns {
    /// For so many uploads at once.
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
    /// When there are no more turns, which never happens.
    pub(super) async fn take(&self, client: ClientNetwork) -> Result<Turn, AcquireError> {
        // One client's first, so that it waits for itself and not in everyone's way.
        let own = self
            .wait(self.of(client), |sender| sender.client == client)
            .await?;
        let all = self.wait(self.all.clone(), |_| true).await?;
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

    /// Waits for one of these turns. Meanwhile the slowest of the senders that may have one of them is called off now and then.
    async fn wait(
        &self,
        turns: Arc<Semaphore>,
        may_have: impl Fn(&Sender) -> bool,
    ) -> Result<OwnedSemaphorePermit, AcquireError> {
        let turn = turns.acquire_owned();
        tokio::pin!(turn);
        loop {
            tokio::select! {
                biased;
                turn = &mut turn => return turn,
                () = tokio::time::sleep(PATIENCE_WITH_SLOW) => {
                    self.senders.call_off_slowest(&may_have, Instant::now());
                }
            }
        }
    }

    fn of(&self, client: ClientNetwork) -> Arc<Semaphore> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        // Kept only as long as somebody waits for one or has one.
        clients.retain(|_, turns| Arc::strong_count(turns) > 1);
        clients
            .entry(client)
            .or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE)))
            .clone()
    }
}

impl Senders {
    fn list(&self) -> MutexGuard<'_, Vec<Arc<Sender>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls off the slowest of these senders, unless all are fast enough.
    fn call_off_slowest(&self, among: impl Fn(&Sender) -> bool, now: Instant) {
        let list = self.list();
        let slow = list
            .iter()
            .filter(|sender| among(sender) && sender.is_slow(now));
        if let Some(slowest) = slow.min_by_key(|sender| sender.speed(now)) {
            slowest.called_off.cancel();
        }
    }
}

impl Sender {
    /// Bytes in a second, on average.
    fn speed(&self, now: Instant) -> u64 {
        let millis = now.saturating_duration_since(self.since).as_millis();
        let millis = u64::try_from(millis).unwrap_or(u64::MAX).max(1);
        self.received.load(Ordering::Relaxed).saturating_mul(1000) / millis
    }

    /// True for one that can be called off.
    fn is_slow(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= SPEED_GRACE
            && self.speed(now) < FAST_ENOUGH
            && !self.is_whole.load(Ordering::Relaxed)
            && !self.called_off.is_cancelled()
    }
}

impl Turn {
    /// Counts what came.
    pub(super) fn received(&self, bytes: usize) {
        self.sender
            .received
            .fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// From here on the sender is not waited for.
    pub(super) fn is_whole(&self) {
        self.sender.is_whole.store(true, Ordering::Relaxed);
    }

    /// Cancelled when the sender must make room.
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

    /// A turn of this client whose sender has sent so many bytes.
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

    #[tokio::test]
    async fn the_slowest_sender_is_called_off_first_and_a_fast_one_never() {
        let turns = Turns::new(3);
        let dripping = turn(&turns, 1, 1).await;
        let phone = turn(&turns, 2, 500_000).await;
        let fast = turn(&turns, 3, 5_000_000).await;
        let all = [&dripping, &phone, &fast];
        let call = |seconds| {
            let now = Instant::now() + Duration::from_secs(seconds);
            turns.senders.call_off_slowest(|_| true, now);
        };
        call(4);
        assert_eq!(called_off(&all), [false; 3], "all have only begun");
        call(10);
        assert_eq!(called_off(&all), [true, false, false]);
        call(10);
        assert_eq!(called_off(&all), [true, true, false]);
        call(10);
        assert_eq!(called_off(&all), [true, true, false]);
    }

    #[tokio::test]
    async fn a_client_that_waits_for_itself_calls_off_none_but_its_own() {
        let turns = Turns::new(3);
        let other = turn(&turns, 1, 1).await;
        let own = turn(&turns, 2, 1000).await;
        let now = Instant::now() + Duration::from_secs(10);
        turns
            .senders
            .call_off_slowest(|sender| sender.client == client(2), now);
        assert_eq!(called_off(&[&other, &own]), [false, true]);
    }

    #[tokio::test]
    async fn an_upload_that_is_whole_is_not_called_off_and_one_that_ended_is_forgotten() {
        let turns = Turns::new(2);
        let whole = turn(&turns, 1, 1).await;
        whole.is_whole();
        let ended = turn(&turns, 1, 1).await;
        let token = ended.called_off();
        drop(ended);
        let now = Instant::now() + Duration::from_secs(10);
        turns.senders.call_off_slowest(|_| true, now);
        assert_eq!(called_off(&[&whole]), [false]);
        assert!(!token.is_cancelled());
        assert_eq!(turns.senders.list().len(), 1);
    }
}
