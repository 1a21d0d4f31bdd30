//! Limits wrong tokens. A client that keeps guessing is no longer told whether it guessed right.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use app::error::ErrorCode;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::domain::client::ClientNetwork;
use crate::http::error::Error;
use crate::pictures::DeleteError;
use crate::runtime::client_limits::Recent;
use crate::runtime::clock::Clock;

/// How many wrong tokens a client may send within [`WINDOW`], all at once if it likes.
const WRONG_TOKENS: usize = 10;
/// The time in which wrong tokens are counted. It begins with the first of them.
const WINDOW: Duration = Duration::from_secs(3600);
/// How long a token waits for its turn. As many tokens of a client are checked at the same time as
/// may still be wrong.
const PATIENCE: Duration = Duration::from_secs(10);
/// When a token whose turn did not come may be sent again.
const NEXT_TURN: Duration = Duration::from_secs(1);

/// The wrong tokens that each client sent lately.
pub struct Guesses {
    recent: Recent<Arc<Guessed>>,
    /// [`PATIENCE`], or less in a test.
    patience: Duration,
    clock: Clock,
}

/// The wrong tokens of one client within one window.
struct Guessed {
    /// A permit for each token that may still be wrong. A permit is held while a token is checked,
    /// and gone for good if the token was wrong. So none slips through where many tokens come at
    /// once, and a token whose sender goes away does not count. The semaphore is closed when no
    /// permit is left.
    turns: Semaphore,
    wrong: AtomicUsize,
    /// When the first token was wrong, by [`Clock::elapsed`].
    since: OnceLock<Duration>,
}

impl Guesses {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            recent: Recent::new(),
            patience: PATIENCE,
            clock,
        }
    }

    /// Does what a picture's owner asks for with `own`, however many wrong tokens came from the
    /// same network: nobody guesses 128 bits. Where the token is not the owner's it counts as a
    /// guess, and `guess` is tried under [`Self::guard`].
    ///
    /// # Errors
    /// `too-many-requests`, or the error of the action.
    pub(crate) async fn owner_or<T>(
        &self,
        client: ClientNetwork,
        own: impl Future<Output = Result<T, DeleteError>>,
        guess: impl Future<Output = Result<T, DeleteError>>,
    ) -> Result<T, Error> {
        match own.await {
            Err(DeleteError::Forbidden) => self.guard(client, guess).await,
            done => Ok(done?),
        }
    }

    /// Does what only a picture's owner may do. Any other token counts as a guess, as in
    /// [`Self::owner_or`].
    ///
    /// # Errors
    /// `too-many-requests`, or the error of the action.
    pub(crate) async fn owner<T>(
        &self,
        client: ClientNetwork,
        own: impl Future<Output = Result<T, DeleteError>>,
    ) -> Result<T, Error> {
        self.owner_or(client, own, async { Err(DeleteError::Forbidden) })
            .await
    }

    /// Does what this client's token is for, unless the client sent too many wrong ones. Only
    /// [`DeleteError::Forbidden`] means that a token was wrong. The action must not wait once it
    /// knows that, because a client that goes away meanwhile would not be counted.
    ///
    /// # Errors
    /// `too-many-requests`, or the error of the action.
    pub(crate) async fn guard<T>(
        &self,
        client: ClientNetwork,
        deed: impl Future<Output = Result<T, DeleteError>>,
    ) -> Result<T, Error> {
        let guessed = self.of(client);
        let turn = match timeout(self.patience, guessed.turns.acquire()).await {
            Ok(Ok(turn)) => turn,
            Ok(Err(_closed)) => {
                let over = guessed.over_in(self.clock.elapsed()).unwrap_or_default();
                return Err(refusal(
                    "Too many wrong tokens came from your network, so it cannot delete anything for a while. Please try again in an hour.",
                    over,
                ));
            }
            Err(_elapsed) => {
                return Err(refusal(
                    "Many of your deletions are already under way. Please try again in a moment.",
                    NEXT_TURN,
                ));
            }
        };
        let done = deed.await;
        if matches!(done, Err(DeleteError::Forbidden)) {
            turn.forget();
            guessed.note_wrong(self.clock.elapsed());
        }
        Ok(done?)
    }

    /// The wrong tokens of this client within the current window.
    fn of(&self, client: ClientNetwork) -> Arc<Guessed> {
        let mut recent = self.recent.lock();
        let guessed = recent.get_or_insert_mut(client, Arc::default);
        if guessed.over_in(self.clock.elapsed()) == Some(Duration::ZERO) {
            *guessed = Arc::default();
        }
        guessed.clone()
    }
}

impl Default for Guessed {
    fn default() -> Self {
        Self {
            turns: Semaphore::new(WRONG_TOKENS),
            wrong: AtomicUsize::default(),
            since: OnceLock::default(),
        }
    }
}

impl Guessed {
    fn note_wrong(&self, now: Duration) {
        self.since.get_or_init(|| now);
        if self.wrong.fetch_add(1, Ordering::Relaxed) + 1 == WRONG_TOKENS {
            // Closing it wakes everybody who waits for a turn.
            self.turns.close();
        }
    }

    /// How much longer this window lasts; `None` where it has not begun.
    fn over_in(&self, now: Duration) -> Option<Duration> {
        let since = self.since.get()?;
        Some(WINDOW.saturating_sub(now.saturating_sub(*since)))
    }
}

fn refusal(message: &'static str, wait: Duration) -> Error {
    Error::new(ErrorCode::TooManyRequests, message).retry_after(wait)
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures_util::FutureExt;
    use futures_util::future::join_all;
    use tokio::task::yield_now;

    use super::*;

    fn client(number: u32) -> ClientNetwork {
        ClientNetwork::of(std::net::Ipv4Addr::from_bits(number).into())
    }

    fn stopped() -> (Guesses, Clock) {
        let clock = Clock::default();
        clock.stop_at(1_800_000_000_000);
        (Guesses::new(clock.clone()), clock)
    }

    /// The status with which this token is answered.
    async fn guess(guesses: &Guesses, number: u32, outcome: Result<(), DeleteError>) -> u16 {
        status(&guesses.guard(client(number), async { outcome }).await)
    }

    fn status(answer: &Result<(), Error>) -> u16 {
        answer
            .as_ref()
            .map_or_else(|error| error.0.code.status(), |()| 204)
    }

    #[tokio::test]
    async fn ten_wrong_tokens_an_hour_and_then_not_even_a_right_one() {
        let (guesses, clock) = stopped();
        for _ in 0..50 {
            assert_eq!(guess(&guesses, 1, Ok(())).await, 204);
            assert_eq!(guess(&guesses, 1, Err(DeleteError::Gone)).await, 410);
            assert_eq!(guess(&guesses, 1, Err(DeleteError::NotFound)).await, 404);
        }
        for _ in 0..WRONG_TOKENS {
            assert_eq!(guess(&guesses, 1, Err(DeleteError::Forbidden)).await, 403);
        }
        assert_eq!(guess(&guesses, 1, Ok(())).await, 429);
        assert_eq!(guess(&guesses, 2, Ok(())).await, 204);
        clock.stop_at(1_800_003_599_000);
        assert_eq!(guess(&guesses, 1, Ok(())).await, 429);
        clock.stop_at(1_800_003_600_000);
        assert_eq!(guess(&guesses, 1, Ok(())).await, 204);
    }

    #[tokio::test]
    async fn many_at_once_take_turns_and_none_of_them_counts_that_is_not_wrong() {
        let (guesses, _) = stopped();
        let deed = async || {
            yield_now().await;
            Err::<(), _>(DeleteError::NotFound)
        };
        let answers = join_all((0..40).map(|_| guesses.guard(client(1), deed()))).await;
        for answer in &answers {
            assert_eq!(status(answer), 404);
        }
    }

    #[tokio::test]
    async fn of_many_wrong_ones_at_once_the_rest_is_told_when_the_hour_is_over() {
        let (guesses, _) = stopped();
        let tried = AtomicU32::new(0);
        let deed = async || {
            tried.fetch_add(1, Ordering::Relaxed);
            yield_now().await;
            Err::<(), _>(DeleteError::Forbidden)
        };
        let answers = join_all((0..40).map(|_| guesses.guard(client(1), deed()))).await;
        assert_eq!(tried.into_inner(), 10);
        let refused = answers
            .iter()
            .filter_map(|answer| answer.as_ref().err())
            .filter(|error| error.0.retry_after == Some(3600));
        assert_eq!(refused.count(), 30);
    }

    #[tokio::test]
    async fn whoever_waits_too_long_for_a_turn_is_told_to_come_again_in_a_second() {
        let (mut guesses, _) = stopped();
        guesses.patience = Duration::ZERO;
        let deed = || pending::<Result<(), DeleteError>>();
        let mut under_way: Vec<_> = (0..WRONG_TOKENS)
            .map(|_| Box::pin(guesses.guard(client(1), deed())))
            .collect();
        for deletion in &mut under_way {
            assert!(deletion.now_or_never().is_none());
        }
        let refused = guesses.guard(client(1), deed()).await;
        assert_eq!(status(&refused), 429);
        assert_eq!(refused.expect_err("waits").0.retry_after, Some(1));
        assert_eq!(guess(&guesses, 2, Ok(())).await, 204);
        drop(under_way);
        assert_eq!(guess(&guesses, 1, Ok(())).await, 204);
    }

    #[tokio::test]
    async fn whoever_goes_away_before_the_answer_takes_nothing_along() {
        let (guesses, _) = stopped();
        for _ in 0..20 {
            let left = guesses.guard(client(1), pending::<Result<(), DeleteError>>());
            assert!(left.now_or_never().is_none());
        }
        assert_eq!(guess(&guesses, 1, Ok(())).await, 204);
    }

    #[tokio::test]
    async fn strangers_without_number_are_forgotten_and_take_nothing_from_others() {
        let (guesses, _) = stopped();
        let guessers = 0..30_000;
        for number in guessers.clone() {
            let wrong = guess(&guesses, number, Err(DeleteError::Forbidden)).await;
            assert_eq!(wrong, 403);
        }
        for _ in 0..WRONG_TOKENS {
            let wrong = guess(&guesses, 1_000_000, Err(DeleteError::Forbidden)).await;
            assert_eq!(wrong, 403);
        }
        assert_eq!(guess(&guesses, 1_000_000, Ok(())).await, 429);
        assert_eq!(guess(&guesses, 2_000_000, Ok(())).await, 204);
        for number in [guessers.start, guessers.end - 1] {
            assert_eq!(guess(&guesses, number, Ok(())).await, 204);
        }
    }

    #[tokio::test]
    async fn a_clock_that_is_put_back_or_forward_changes_nothing() {
        let clock = Clock::default();
        let guesses = Guesses::new(clock.clone());
        for _ in 0..WRONG_TOKENS {
            assert_eq!(guess(&guesses, 1, Err(DeleteError::Forbidden)).await, 403);
        }
        clock.put_back(Duration::from_secs(10 * 365 * 24 * 3600));
        assert_eq!(guess(&guesses, 1, Ok(())).await, 429);
        clock.advance(Duration::from_secs(3600));
        assert_eq!(guess(&guesses, 1, Ok(())).await, 204);
    }
}
