//! What is to happen to a picture, whether that follows from a look at it, from a second opinion,
//! or from what is known of its bytes.

use super::pixels::Rendered;
use crate::domain::verdict::{Reason, Rules};

/// What is to happen to a picture.
pub(super) enum Judged {
    /// It is published. It was approved under these rules.
    Approved(Box<Rendered>, Rules),
    /// It is refused under these rules, for what was seen in it or because it could not be decoded.
    Rejected(Reason, Rules),
    /// It is refused without a look: for what the file is, because the same bytes were refused
    /// before, or because it could not be paid for. No rules are remembered with it.
    Refused(Reason),
}
