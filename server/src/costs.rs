//! What the site costs: what may still be spent, what was used, and the bill that follows.

pub(crate) mod bill;
pub(crate) mod billing;
pub mod budget;
pub(crate) mod counted_storage;
pub(crate) mod traffic;
