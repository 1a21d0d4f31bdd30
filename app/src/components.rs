//! What may run in the browser: the islands, and the parts that they draw. Each part takes values
//! and makes a view of them; none loads data for a page.
//!
//! Invariant: nothing here reads JSON into types that derive `Deserialize`, which would put a JSON
//! parser into the download of every page.

pub(crate) mod copy_field;
pub(crate) mod countdown;
pub(crate) mod more_pictures;
pub(crate) mod neighbours;
pub(crate) mod pending_picture;
pub(crate) mod picture_card;
pub(crate) mod search_box;
pub(crate) mod sharing;
pub(crate) mod tag_links;
pub(crate) mod upload_queue;

mod fetch;
mod verdict;
