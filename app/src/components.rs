//! What may run in the browser: the islands, and the parts they draw. Props in, view out.
//!
//! Invariant: no island has props, and nothing here parses JSON by derived types. Either alone would put a JSON parser
//! into the download of every page. What an island must know it finds in the markup that the server wrote.

pub(crate) mod copy_field;
pub(crate) mod countdown;
pub(crate) mod more_pictures;
pub(crate) mod pending_picture;
pub(crate) mod picture_card;
pub(crate) mod search_box;
pub(crate) mod tag_links;
pub(crate) mod upload_queue;

mod fetch;
mod verdict;
