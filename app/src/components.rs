//! What may run in the browser: the islands, and the parts that they draw. Each part takes values
//! and makes a view of them; none loads data for a page.
//!
//! Invariant: nothing here reads JSON into types that derive `Deserialize`, which would put a JSON
//! parser into the download of every page.

pub(crate) mod copy_field;
pub(crate) mod countdown;
pub(crate) mod drops;
pub(crate) mod mine;
pub(crate) mod more_pictures;
pub(crate) mod my_cats;
pub(crate) mod neighbours;
pub(crate) mod owner;
pub(crate) mod pending_picture;
pub(crate) mod picture_card;
pub(crate) mod related;
pub(crate) mod search_box;
pub(crate) mod sharing;
pub(crate) mod tag_links;
pub(crate) mod upload_queue;

mod dom;
mod fetch;
mod handover;
mod transfer;
mod verdict;
