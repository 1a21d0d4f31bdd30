//! The rules of the product, as pure functions and types.
//!
//! Invariant: nothing here does I/O, reads a clock or knows serde. The only dependencies are `std`,
//! `thiserror`, the time crate, a hasher and random numbers, and `now` is always an argument.

pub(crate) mod address;
pub(crate) mod backoff;
pub mod ban;
pub(crate) mod build;
pub mod client;
pub(crate) mod draw;
pub mod evidence;
pub mod expiry;
pub mod hash;
pub mod labels;
pub mod month;
pub mod owner_secret;
pub(crate) mod paid;
pub mod picture;
pub mod policy;
pub mod purge;
pub mod search;
pub mod sight;
pub mod synonyms;
pub mod tag;
pub(crate) mod traffic;
pub mod upload_key;
pub mod variant;
pub mod verdict;
