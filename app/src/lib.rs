//! The pages and the wire types, compiled twice: into the server, which renders every page, and into the browser,
//! which only brings the islands to life.
//!
//! Reading order: [`types`] and [`error`] are the contract; [`backend`] is what the pages ask of the server; `app` holds
//! the document and the routes; `pages` are rendered by the server alone; `components` also run in the browser;
//! [`api`] is how islands speak to the server. `images`, `query`, `time` and `units` are the plain logic below them.
//!
//! Invariant: nothing here knows of storage, databases, models or configuration, and nothing behind the `ssr` feature
//! reaches the browser.

#![expect(
    unreachable_pub,
    reason = "the component macro writes `pub` into what it generates"
)]

// `app`, `backend` and `pages` exist in the server only; these lines are the only ones that say so.
#[cfg(feature = "ssr")]
mod app;
#[cfg(feature = "ssr")]
pub mod backend;
#[cfg(feature = "ssr")]
mod pages;

pub mod api;
mod components;
pub mod error;
mod images;
pub mod query;
mod time;
pub mod types;
mod units;

#[cfg(feature = "ssr")]
pub use app::{App, shell};
