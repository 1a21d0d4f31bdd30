//! Wrong tokens: a client that keeps guessing is not told any more whether it guessed right.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use app::error::ErrorCode;

use crate::clock::Clock;
use crate::domain::client::ClientNetwork;
use crate::error::Error;
use crate::pictures::DeleteError;

/// So many wrong tokens may a client send within [`WINDOW`], all at once if it likes.
const WRONG_TOKENS: u32 = 10;
/// The time in which they are counted, seconds; it begins with the first.
const WINDOW: i64 = 3600;
/// So many guessing clients are told apart, which takes a megabyte. Beyond that all others count as one.
const MOST_CLIENTS: usize = 10_000;

/// What every client guessed lately.
pub struct Guesses {
    clients: Mutex<HashMap<ClientNetwork, Guessed>>,
    clock: Clock,
}

#[derive(Clone, Copy)]
struct Guessed {
    /// The second of the first.
    since: i64,
    tokens: u32,
}

impl Guesses {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clients: Mutex::default(),
            clock,
        }
    }

    /// Does what a token of this client is for, unless it sent too many wrong ones.
    ///
    /// # Errors
    /// `too-many-requests`, or what the deed answers.
    pub(crate) async fn guard<T>(
        &self,
        client: ClientNetwork,
        deed: impl Future<Output = Result<T, DeleteError>>,
    ) -> Result<T, Error> {
        // Counted before it is known to be wrong: of many at once none may slip through.
        let client = self.count(client).map_err(|wait| {
            Error::new(
                ErrorCode::TooManyRequests,
                "Too many wrong tokens were sent. Please wait before you try again.",
            )
            .retry_after(wait)
        })?;
        let done = deed.await;
        if !matches!(done, Err(DeleteError::Forbidden)) {
            self.give_back(client);
        }
        Ok(done?)
    }

    /// Counts a token, and answers whom it was counted for; or how long this client must wait.
    fn count(&self, client: ClientNetwork) -> Result<ClientNetwork, Duration> {
        let now = self.clock.now().as_second();
        let mut clients = self.clients();
        let client = if clients.len() < MOST_CLIENTS || clients.contains_key(&client) {
            client
        } else {
            clients.retain(|_, guessed| guessed.seconds_left(now) > 0);
            if clients.len() < MOST_CLIENTS {
                client
            } else {
                ClientNetwork::UNKNOWN
            }
        };
        let guessed = clients.entry(client).or_insert(Guessed {
            since: now,
            tokens: 0,
        });
        if guessed.seconds_left(now) == 0 {
            *guessed = Guessed {
                since: now,
                tokens: 0,
            };
        }
        if guessed.tokens >= WRONG_TOKENS {
            return Err(Duration::from_secs(guessed.seconds_left(now)));
        }
        guessed.tokens += 1;
        Ok(client)
    }

    fn give_back(&self, client: ClientNetwork) {
        let mut clients = self.clients();
        if let Some(guessed) = clients.get_mut(&client) {
            guessed.tokens = guessed.tokens.saturating_sub(1);
            if guessed.tokens == 0 {
                clients.remove(&client);
            }
        }
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<ClientNetwork, Guessed>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guessed {
    /// How long what was guessed still counts. A clock that was put back makes it no longer than ever.
    fn seconds_left(self, now: i64) -> u64 {
        let age = now.saturating_sub(self.since);
        if (0..WINDOW).contains(&age) {
            WINDOW.abs_diff(age)
        } else {
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: u32) -> ClientNetwork {
        ClientNetwork::of(std::net::Ipv4Addr::from(number).into())
    }

    async fn guess(guesses: &Guesses, number: u32, outcome: Result<(), DeleteError>) -> u16 {
        let done = guesses.guard(client(number), async { outcome }).await;
        done.map_or_else(|error| error.0.code.status(), |()| 204)
    }

    #[tokio::test]
    async fn ten_wrong_tokens_an_hour_and_then_not_even_a_right_one() {
        let clock = Clock::default();
        clock.stop_at(1_800_000_000_000);
        let guesses = Guesses::new(clock.clone());
        for _ in 0..50 {
            assert_eq!(guess(&guesses, 1, Ok(())).await, 204);
            assert_eq!(guess(&guesses, 1, Err(DeleteError::Gone)).await, 410);
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
    async fn so_many_clients_are_told_apart_and_the_rest_count_as_one() {
        let guesses = Guesses::new(Clock::default());
        for number in 1..=u32::try_from(MOST_CLIENTS).expect("fits") {
            assert_eq!(
                guess(&guesses, number, Err(DeleteError::Forbidden)).await,
                403
            );
        }
        for number in 0..WRONG_TOKENS {
            let stranger = 1_000_000 + number;
            assert_eq!(
                guess(&guesses, stranger, Err(DeleteError::Forbidden)).await,
                403
            );
        }
        assert_eq!(guess(&guesses, 2_000_000, Ok(())).await, 429);
        assert_eq!(guess(&guesses, 7, Ok(())).await, 204, "it is known");
        assert!(guesses.clients().len() <= MOST_CLIENTS + 1);
    }
}
