//! Where the steps of a review are noted as soon as they are paid for: on the picture's own row.

use crate::db::Db;
use crate::domain::picture::Received;
use crate::domain::verdict::{Review, Rules};

/// The row of one picture, while a worker holds it.
pub(super) struct Notes<'a> {
    pub(super) db: &'a Db,
    pub(super) received: &'a Received,
    /// Under which rules it is judged.
    pub(super) rules: &'a Rules,
}

impl Notes<'_> {
    /// Makes this step durable before it returns.
    ///
    /// # Errors
    /// When the index fails.
    pub(super) async fn note(&self, review: &Review) -> anyhow::Result<()> {
        let noted = self.db.note_review(self.received, self.rules, review);
        Ok(noted.await?)
    }
}
