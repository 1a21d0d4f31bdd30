//! One answer for all who ask the same at the same time, where finding it takes a look at every picture.

use tokio::sync::Mutex;

use crate::db::DbError;

/// What an answer is true of: a second, and the number of changes until then.
pub(super) type Moment = (i64, u64);

/// The last answer. Whoever asks while it is being found waits for it.
#[derive(Default)]
pub(super) struct Shared<T>(Mutex<Option<(Moment, T)>>);

impl<T: Clone> Shared<T> {
    /// The answer of this moment, found once.
    pub(super) async fn get(
        &self,
        moment: Moment,
        find: impl AsyncFnOnce() -> Result<T, DbError>,
    ) -> Result<T, DbError> {
        let mut last = self.0.lock().await;
        // One that knows of more changes will do as well.
        if let Some(((second, changes), answer)) = &*last
            && *second == moment.0
            && *changes >= moment.1
        {
            return Ok(answer.clone());
        }
        let answer = find().await?;
        *last = Some((moment, answer.clone()));
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn who_asks_at_the_same_moment_shares_one_answer_and_a_change_makes_it_anew() {
        let (shared, asked) = (Shared::default(), AtomicU32::new(0));
        let ask = async |moment| {
            let find = async || Ok(asked.fetch_add(1, Ordering::Relaxed));
            shared.get(moment, find).await.expect("is found")
        };
        let together = futures_util::future::join_all((0..9).map(|_| ask((7, 1)))).await;
        assert_eq!(together, [0; 9]);
        assert_eq!(ask((7, 2)).await, 1);
        assert_eq!(ask((8, 2)).await, 2);
    }
}
