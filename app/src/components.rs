//! What may run in the browser: the islands, and the parts they draw. Props in, view out.

pub(crate) mod copy_field;
pub(crate) mod countdown;
pub(crate) mod more_pictures;
pub(crate) mod pending_picture;
pub(crate) mod picture_card;
pub(crate) mod search_box;
pub(crate) mod tag_links;
pub(crate) mod upload_form;
mod verdict;
