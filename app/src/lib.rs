//! CattoCDN's pages and wire types.

#[cfg(feature = "ssr")]
pub mod backend;
pub mod error;
pub mod types;
