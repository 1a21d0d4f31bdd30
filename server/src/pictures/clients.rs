//! What each client has sent and used lately, and which client sent each waiting upload. It is kept
//! only in memory, because it names networks. After a restart every client is unknown, and none is
//! worse off than another.

mod allowance;

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use governor::Quota;
use lru::LruCache;
use parking_lot::Mutex;

use self::allowance::Allowance;
use crate::domain::client::ClientNetwork;
use crate::domain::hash::Sha256Hash;
use crate::domain::picture::PictureId;
use crate::runtime::client_limits::{ClientLimit, Recent};
use crate::runtime::clock::Clock;

/// The most uploads whose senders are remembered. This is more than may wait for their verdict.
const MAX_SENDERS: usize = 1000;
/// The most refused files that are remembered with their senders.
const MAX_REFUSED: usize = 2000;
/// How often within an hour a client may send files again that it was refused before, without their
/// counting. Such a file costs no look at it, but it takes a turn, the line and the disk.
const FREE_RETRIES_PER_HOUR: NonZeroU32 = NonZeroU32::new(12).expect("12 is not 0");
/// How often within an hour a client may repeat uploads by their keys without their counting. A
/// repeat costs as much as a file that is refused at once.
const FREE_REPEATS_PER_HOUR: NonZeroU32 = NonZeroU32::new(60).expect("60 is not 0");
/// The half-life of a client's junk, that is of uploads sent in vain.
const JUNK_HALF_LIFE: Duration = Duration::from_secs(3600);
/// The junk from which on a client is known for it: two such uploads in a row.
const KNOWN_FOR_JUNK: f64 = 1.5;
/// The half-life of a client's decided uploads. A steady stream of them adds up to about as many as
/// come in a day.
const DAY_HALF_LIFE: Duration = Duration::from_secs(60_000);
/// The half-life of the work that was done for a client.
const WORK_HALF_LIFE: Duration = Duration::from_secs(600);
/// The weight of the latest picture in the running average of how long one takes, from 0 to 1.
const WEIGHT_OF_LAST: f64 = 0.2;
/// How long a picture is assumed to take before any was worked on, in seconds.
const USUAL_SECONDS: f64 = 0.5;

/// What came of an upload, as far as its sender is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// It was looked at and published.
    Published,
    /// It was published without a look, because its bytes are there already.
    Copy,
    /// It was refused for what it is.
    Refused,
    /// Something other than the picture decided.
    NobodysFault,
}

/// A number that decays exponentially: after each half-life, half of it is left.
#[derive(Clone, Copy, Default)]
struct Fading {
    value: f64,
    at: Duration,
}

impl Fading {
    fn read(self, now: Duration, half_life: Duration) -> f64 {
        let age = now.saturating_sub(self.at);
        self.value * (-age.as_secs_f64() / half_life.as_secs_f64()).exp2()
    }

    fn add(&mut self, amount: f64, now: Duration, half_life: Duration) {
        self.value = (self.read(now, half_life) + amount).max(0.0);
        self.at = now;
    }

    /// How long it takes until less than `limit` is left.
    fn wait_until_below(self, limit: f64, now: Duration, half_life: Duration) -> Duration {
        let halvings = (self.read(now, half_life) / limit).log2().max(0.0);
        // One millisecond more, so that rounding never leaves it at the limit.
        Duration::from_secs_f64(half_life.as_secs_f64() * halvings) + Duration::from_millis(1)
    }
}

/// What is known of one client.
#[derive(Clone, Copy, Default)]
struct Lately {
    /// Uploads that were refused or were copies, minus those that were looked at and published.
    junk: Fading,
    /// Seconds of work on its pictures.
    work: Fading,
    /// Uploads that were decided.
    decided: Fading,
    /// Bytes that were stored.
    stored: Fading,
}

/// An upload that waits for its verdict, and the client that sent it.
#[derive(Clone, Copy)]
struct Sent {
    client: ClientNetwork,
    content_hash: Sha256Hash,
    size_bytes: u64,
    reserved_bytes: u64,
}

/// What one client uses of what all clients share.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Part {
    /// Its uploads that wait for their verdict.
    pub(super) waiting: u32,
    /// The size of these uploads as they were sent, in bytes.
    pub(super) waiting_bytes: u64,
    /// The most bytes that may be stored of them.
    pub(super) reserved_bytes: u64,
    /// Its uploads that were decided within about a day.
    pub(super) of_day: f64,
    /// The bytes that were stored for it within about the retention.
    pub(super) stored_bytes: f64,
}

/// What is known of all clients.
pub(super) struct Clients {
    clock: Clock,
    /// How many uploads each client may still send.
    allowance: Allowance,
    lately: Recent<Lately>,
    senders: Mutex<LruCache<PictureId, Sent>>,
    /// The refused files, by the client that sent them and the SHA-256 of their bytes.
    refused: Mutex<LruCache<(ClientNetwork, [u8; 32]), ()>>,
    /// How many of these each client may still send again without their counting.
    free_retries: ClientLimit,
    /// How many uploads each client may still repeat without their counting.
    free_repeats: ClientLimit,
    /// How long a picture takes, as a running average in seconds.
    seconds_per_picture: Mutex<f64>,
}

impl Clients {
    /// Starts without knowing any client. Each may send this many uploads an hour.
    pub(super) fn new(clock: Clock, uploads_per_hour: NonZeroU32) -> Self {
        let most = NonZeroUsize::new(MAX_SENDERS).expect("is not 0");
        let most_refused = NonZeroUsize::new(MAX_REFUSED).expect("is not 0");
        Self {
            allowance: Allowance::new(uploads_per_hour, clock.clone()),
            free_retries: ClientLimit::new(Quota::per_hour(FREE_RETRIES_PER_HOUR), clock.clone()),
            free_repeats: ClientLimit::new(Quota::per_hour(FREE_REPEATS_PER_HOUR), clock.clone()),
            clock,
            lately: Recent::new(),
            senders: Mutex::new(LruCache::new(most)),
            refused: Mutex::new(LruCache::sparse(most_refused)),
            seconds_per_picture: Mutex::new(USUAL_SECONDS),
        }
    }

    /// Counts an upload that this client wants to send.
    ///
    /// # Errors
    /// How long this client must wait before its next.
    pub(super) fn take_upload(&self, client: ClientNetwork) -> Result<(), Duration> {
        self.allowance.take(client)
    }

    /// Tells whether this client may repeat an upload without its counting, and counts that.
    pub(super) fn take_repeat(&self, client: ClientNetwork) -> bool {
        self.free_repeats.take(client).is_ok()
    }

    /// Takes back the count of an upload that was refused through no fault of this client.
    pub(super) fn give_back_upload(&self, client: ClientNetwork) {
        self.allowance.give_back(client);
    }

    /// Remembers who sent an upload until [`Self::forget`].
    pub(super) fn remember(
        &self,
        id: &PictureId,
        client: ClientNetwork,
        content_hash: Sha256Hash,
        size_bytes: u64,
        reserved_bytes: u64,
    ) {
        let sent = Sent {
            client,
            content_hash,
            size_bytes,
            reserved_bytes,
        };
        self.senders.lock().put(id.clone(), sent);
    }

    /// What this client uses of what all clients share, as far as it is remembered. `retention` is
    /// how long a picture is stored.
    pub(super) fn part_of(&self, client: ClientNetwork, retention: Duration) -> Part {
        let mut part = Part::default();
        for (_, sent) in self.senders.lock().iter() {
            if sent.client == client {
                part.waiting += 1;
                part.waiting_bytes += sent.size_bytes;
                part.reserved_bytes += sent.reserved_bytes;
            }
        }
        if let Some(lately) = self.lately.lock().peek(&client) {
            let now = self.clock.elapsed();
            part.of_day = lately.decided.read(now, DAY_HALF_LIFE);
            part.stored_bytes = lately.stored.read(now, retention / 2);
        }
        part
    }

    /// How long it takes until this client has fewer than `limit` decided uploads of the day.
    pub(super) fn wait_for_day(&self, client: ClientNetwork, limit: f64) -> Duration {
        let now = self.clock.elapsed();
        let lately = self.lately.lock().peek(&client).copied();
        lately.map_or(Duration::ZERO, |lately| {
            lately.decided.wait_until_below(limit, now, DAY_HALF_LIFE)
        })
    }

    /// How long it takes until this client has fewer than `limit` stored bytes.
    pub(super) fn wait_for_store(
        &self,
        client: ClientNetwork,
        limit: f64,
        retention: Duration,
    ) -> Duration {
        let now = self.clock.elapsed();
        let lately = self.lately.lock().peek(&client).copied();
        lately.map_or(Duration::ZERO, |lately| {
            lately.stored.wait_until_below(limit, now, retention / 2)
        })
    }

    /// Notes that this many bytes of a waiting upload were stored for the whole retention, or more
    /// for a part of it.
    pub(super) fn note_stored(&self, id: &PictureId, bytes: u64, retention: Duration) {
        if let Some(client) = self.sender(id) {
            let now = self.clock.elapsed();
            // The number is far below 2^53, so it is exact as a float.
            self.change(client, |lately| {
                lately.stored.add(bytes as f64, now, retention / 2)
            });
        }
    }

    /// Who sent a waiting upload; `None` where that is not known, as after a restart.
    pub(super) fn sender(&self, id: &PictureId) -> Option<ClientNetwork> {
        self.senders.lock().peek(id).map(|sent| sent.client)
    }

    /// Forgets who sent an upload, and returns that client.
    pub(super) fn forget(&self, id: &PictureId) -> Option<ClientNetwork> {
        self.senders.lock().pop(id).map(|sent| sent.client)
    }

    /// Notes for its sender what came of a waiting upload, and forgets who the sender was.
    pub(super) fn settle(&self, id: &PictureId, ending: Ending) {
        let Some(sent) = self.senders.lock().pop(id) else {
            return;
        };
        if ending == Ending::Refused {
            self.remember_refused(sent.client, &sent.content_hash);
        }
        self.note_ending(sent.client, ending);
    }

    /// Notes that a file of this client was refused as soon as it had arrived. If the same bytes
    /// were refused to the same client before, they have counted then, and do not count again.
    pub(super) fn note_refused_at_once(&self, client: ClientNetwork, content_hash: &Sha256Hash) {
        let is_retry = self.remember_refused(client, content_hash);
        if is_retry && self.free_retries.take(client).is_ok() {
            self.give_back_upload(client);
        } else {
            self.note_ending(client, Ending::Refused);
        }
    }

    /// Remembers that these bytes were refused to this client, and tells whether that was known.
    fn remember_refused(&self, client: ClientNetwork, content_hash: &Sha256Hash) -> bool {
        let refused = (client, content_hash.0);
        self.refused.lock().put(refused, ()).is_some()
    }

    /// Notes what came of an upload of this client. A refusal takes one more upload off its
    /// allowance.
    fn note_ending(&self, client: ClientNetwork, ending: Ending) {
        if ending == Ending::Refused {
            self.allowance.charge(client);
        }
        let amount = match ending {
            Ending::Published => -1.0,
            Ending::Copy | Ending::Refused => 1.0,
            Ending::NobodysFault => return,
        };
        let now = self.clock.elapsed();
        self.change(client, |lately| {
            lately.junk.add(amount, now, JUNK_HALF_LIFE);
            lately.decided.add(1.0, now, DAY_HALF_LIFE);
        });
    }

    /// How much longer this client is known for junk; `None` where it is not.
    pub(super) fn known_for_junk(&self, client: ClientNetwork) -> Option<Duration> {
        let now = self.clock.elapsed();
        let junk = self.lately.lock().peek(&client)?.junk;
        (junk.read(now, JUNK_HALF_LIFE) >= KNOWN_FOR_JUNK)
            .then(|| junk.wait_until_below(KNOWN_FOR_JUNK, now, JUNK_HALF_LIFE))
    }

    /// Adds work that is done for a client, or takes back what was estimated too high.
    pub(super) fn note_work(&self, client: Option<ClientNetwork>, seconds: f64) {
        if let Some(client) = client {
            let now = self.clock.elapsed();
            self.change(client, |lately| {
                lately.work.add(seconds, now, WORK_HALF_LIFE);
            });
        }
    }

    /// Notes how long a picture was worked on.
    pub(super) fn note_pace(&self, seconds: f64) {
        let mut pace = self.seconds_per_picture.lock();
        *pace += WEIGHT_OF_LAST * (seconds - *pace);
    }

    /// How long a picture takes at present, in seconds.
    pub(super) fn pace(&self) -> f64 {
        *self.seconds_per_picture.lock()
    }

    /// The work that was lately done for the sender of this upload, in seconds; 0 where the sender
    /// is not known.
    pub(super) fn work_for_sender(&self, id: &PictureId) -> f64 {
        let Some(client) = self.sender(id) else {
            return 0.0;
        };
        let now = self.clock.elapsed();
        let lately = self.lately.lock().peek(&client).copied();
        lately.map_or(0.0, |lately| lately.work.read(now, WORK_HALF_LIFE))
    }

    fn change(&self, client: ClientNetwork, change: impl FnOnce(&mut Lately)) {
        change(
            self.lately
                .lock()
                .get_or_insert_mut(client, Lately::default),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: u8) -> ClientNetwork {
        ClientNetwork::of([192, 0, 2, number].into())
    }

    fn clients(clock: &Clock) -> Clients {
        Clients::new(clock.clone(), NonZeroU32::new(4).expect("is not zero"))
    }

    #[test]
    fn two_uploads_in_vain_make_a_client_known_until_the_second_that_it_is_told() {
        let clock = Clock::default();
        clock.stop_at(1_800_000_000_000);
        let clients = clients(&clock);
        clients.note_ending(client(1), Ending::Refused);
        assert_eq!(clients.known_for_junk(client(1)), None);
        clients.note_ending(client(1), Ending::Copy);
        let wait = clients.known_for_junk(client(1)).expect("is known");
        assert_eq!(wait.as_secs(), 1494);
        assert_eq!(clients.known_for_junk(client(2)), None);
        clock.stop_at(
            1_800_000_000_000 + 1_000 * (1 + i64::try_from(wait.as_secs()).expect("fits")),
        );
        assert_eq!(clients.known_for_junk(client(1)), None);
    }

    #[test]
    fn a_refusal_takes_another_upload_off_the_allowance_and_other_endings_do_not() {
        let clock = Clock::default();
        clock.stop_at(1_800_000_000_000);
        let clients = clients(&clock);
        for ending in [Ending::Published, Ending::Copy, Ending::Refused] {
            assert_eq!(clients.take_upload(client(1)), Ok(()));
            clients.note_ending(client(1), ending);
        }
        assert!(clients.take_upload(client(1)).is_err());
        clients.give_back_upload(client(1));
        assert_eq!(clients.take_upload(client(1)), Ok(()));
    }

    #[test]
    fn a_published_picture_makes_up_for_one_in_vain_and_for_no_more() {
        let clients = clients(&Clock::default());
        for ending in [
            Ending::Published,
            Ending::Published,
            Ending::Refused,
            Ending::NobodysFault,
            Ending::Published,
            Ending::Refused,
        ] {
            clients.note_ending(client(1), ending);
            assert_eq!(clients.known_for_junk(client(1)), None);
        }
        clients.note_ending(client(1), Ending::Refused);
        assert!(clients.known_for_junk(client(1)).is_some());
    }

    #[test]
    fn work_counts_for_whoever_sent_the_picture_and_fades() {
        let clock = Clock::default();
        clock.stop_at(1_800_000_000_000);
        let clients = clients(&clock);
        let (own, next, unknown) = (
            PictureId::random(),
            PictureId::random(),
            PictureId::random(),
        );
        clients.remember(&own, client(1), Sha256Hash::of(b"own"), 5, 50);
        clients.remember(&next, client(1), Sha256Hash::of(b"next"), 7, 70);
        clients.note_work(clients.sender(&own), 8.0);
        clients.note_work(clients.sender(&unknown), 8.0);
        assert_eq!(clients.forget(&own), Some(client(1)));
        assert!((clients.work_for_sender(&next) - 8.0).abs() < 1e-9);
        assert!(clients.work_for_sender(&unknown).abs() < 1e-9);
        clock.stop_at(1_800_000_600_000);
        assert!((clients.work_for_sender(&next) - 4.0).abs() < 1e-9);
    }

    #[test]
    fn whose_the_waiting_uploads_are_is_forgotten_beyond_a_bound() {
        let clients = clients(&Clock::default());
        for _ in 0..2 * MAX_SENDERS {
            let id = PictureId::random();
            clients.remember(&id, client(1), Sha256Hash::of(b"cat"), 1, 1);
        }
        assert_eq!(clients.senders.lock().len(), MAX_SENDERS);
    }

    #[test]
    fn a_refused_file_counts_once_for_each_client_that_sends_it() {
        let clock = Clock::default();
        clock.stop_at(1_800_000_000_000);
        let clients = clients(&clock);
        let (id, file) = (PictureId::random(), Sha256Hash::of(b"coffee"));
        assert_eq!(clients.take_upload(client(1)), Ok(()));
        clients.remember(&id, client(1), file, 6, 60);
        clients.settle(&id, Ending::Refused);
        for _ in 0..FREE_RETRIES_PER_HOUR.get() {
            assert_eq!(clients.take_upload(client(1)), Ok(()));
            clients.note_refused_at_once(client(1), &file);
            assert_eq!(clients.known_for_junk(client(1)), None);
        }
        // It is new from this client, so it counts double.
        assert_eq!(clients.take_upload(client(2)), Ok(()));
        clients.note_refused_at_once(client(2), &file);
        assert_eq!(clients.take_upload(client(2)), Ok(()));
        assert_eq!(clients.take_upload(client(2)), Ok(()));
        assert!(clients.take_upload(client(2)).is_err());
    }

    #[test]
    fn whoever_sends_refused_files_again_without_end_is_counted_again() {
        let clock = Clock::default();
        clock.stop_at(1_800_000_000_000);
        let clients = clients(&clock);
        let file = Sha256Hash::of(b"coffee");
        let mut sent = 0;
        while clients.take_upload(client(1)).is_ok() {
            clients.note_refused_at_once(client(1), &file);
            sent += 1;
        }
        // It may send two that are refused, as each counts double, and the free ones.
        assert_eq!(sent, 2 + FREE_RETRIES_PER_HOUR.get());
    }

    #[test]
    fn which_files_were_refused_to_whom_is_forgotten_beyond_a_bound() {
        let clients = clients(&Clock::default());
        for number in 0..2 * MAX_REFUSED {
            clients.note_refused_at_once(client(1), &Sha256Hash::of(&number.to_le_bytes()));
        }
        assert_eq!(clients.refused.lock().len(), MAX_REFUSED);
    }
}
