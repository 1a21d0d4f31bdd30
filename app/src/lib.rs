//! The pages and the wire types, compiled twice: into the server, which renders every page, and
//! into the browser, which only brings the [`islands`] to life.
//!
//! Reading order: [`types`] and [`error`] are the contract; [`backend`] is what the pages ask of
//! the server; `app` holds the HTML document and the routes; `pages` are rendered by the server
//! alone; `components` may also run in the browser, and [`islands`] says which of them do and how
//! they come to life; [`api`] holds the two calls by which islands change something or must not be
//! answered from a cache. `images`, `query`, `time`, `units` and [`words`] are plain logic that the
//! others use.
//!
//! Invariant: nothing here knows of storage, databases, models or configuration, and nothing behind
//! the `ssr` feature reaches the browser.

#![expect(
    unreachable_pub,
    reason = "the component macro writes `pub` into what it generates"
)]

// `app`, `backend`, `pages` and `words` are compiled into the server only, and nothing but these
// lines decides that.
#[cfg(feature = "ssr")]
mod app;
#[cfg(feature = "ssr")]
pub mod backend;
#[cfg(feature = "ssr")]
mod pages;
#[cfg(feature = "ssr")]
pub mod words;

pub mod api;
mod components;
pub mod error;
mod images;
pub mod islands;
pub mod query;
mod time;
pub mod types;
mod units;

#[cfg(feature = "ssr")]
pub use app::{App, shell};
