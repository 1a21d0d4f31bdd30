//! One answer for everybody who asks the same question at the same time, where finding it takes a
//! look at every picture.

use tokio::sync::Mutex;

use crate::db::DbError;
use crate::pictures::collection::Moment;

/// The latest answer. Whoever asks while it is being found waits for it.
#[derive(Default)]
pub(super) struct OneAnswer<T>(Mutex<Option<(Moment, T)>>);

impl<T: Clone> OneAnswer<T> {
    /// The answer for this moment, which is found only once.
    pub(super) async fn get(
        &self,
        moment: Moment,
        find: impl AsyncFnOnce() -> Result<T, DbError>,
    ) -> Result<T, DbError> {
        let mut last = self.0.lock().await;
        // An answer that knows of more changes will do as well.
        if let Some((known, answer)) = &*last
            && (known.about, known.second) == (moment.about, moment.second)
            && known.changes >= moment.changes
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
        let (shared, asked) = (OneAnswer::default(), AtomicU32::new(0));
        let ask = async |(about, second, changes)| {
            let moment = Moment {
                about,
                second,
                changes,
            };
            let find = async || Ok(asked.fetch_add(1, Ordering::Relaxed));
            shared.get(moment, find).await.expect("is found")
        };
        let together = futures_util::future::join_all((0..9).map(|_| ask((5, 7, 1)))).await;
        assert_eq!(together, [0; 9]);
        assert_eq!(ask((5, 7, 2)).await, 1);
        assert_eq!(ask((5, 8, 2)).await, 2);
        // A question about another time is another question, even within the same second.
        assert_eq!(ask((6, 8, 2)).await, 3);
    }
}
