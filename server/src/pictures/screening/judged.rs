//! What is to become of a picture: what looking at it, asking about it or knowing its bytes from before has led to.

use super::pixels::Rendered;
use crate::domain::verdict::{Reason, Rules};

/// What is to become of a picture.
pub(super) enum Judged {
    /// It is published; it was approved under these rules.
    Approved(Box<Rendered>, Rules),
    /// It is refused for what was seen in it, or because it could not be decoded, under these rules.
    Rejected(Reason, Rules),
    /// It is refused without a look: for what the file is, because the same bytes were refused before, or because it could
    /// not be paid for. No rules are remembered with it.
    Refused(Reason),
}
