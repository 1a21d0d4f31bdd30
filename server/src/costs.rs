//! What the site costs: what may still be spent, what was used, and the bill that follows.

pub mod bill;
pub mod billing;
pub mod budget;
pub mod counted_storage;
pub mod traffic;
