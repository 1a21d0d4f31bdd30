//! The pages, which only the server renders. Each loads its data and puts components together.

pub(crate) mod about;
pub(crate) mod delete;
pub(crate) mod docs;
pub(crate) mod home;
pub(crate) mod interstitial;
pub(crate) mod layout;
pub(crate) mod mine;
pub(crate) mod not_found;
pub(crate) mod picture;
pub(crate) mod search;
pub(crate) mod status;
pub(crate) mod tag;
pub(crate) mod tags;
pub(crate) mod upload;

mod cat;
mod chips;
mod figures;
mod gallery;
mod head;
mod island;
mod load;
mod notice;
mod qr_code;
