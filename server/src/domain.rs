//! The rules of the product, as pure functions and types.
//!
//! Invariant: nothing here does I/O, reads a clock or knows serde. The only dependencies are `std`,
//! `thiserror`, the time crate, a hasher and random numbers, and `now` is always an argument.

pub mod address;
pub mod backoff;
pub mod ban;
pub mod build;
pub mod client;
pub mod draw;
pub mod expiry;
pub mod hash;
pub mod labels;
pub mod month;
pub mod paid;
pub mod picture;
pub mod policy;
pub mod purge;
pub mod search;
pub mod tag;
pub mod traffic;
pub mod variant;
pub mod verdict;
