//! The islands: the parts of pages that live in the browser, and how they come to life.
//!
//! The server draws whatever works without scripts, and for each island an empty place. In the
//! browser an island draws into its place what works only with scripts, and listens to the page
//! around it. Nothing is hydrated: whatever extensions, translators and password managers have done
//! to the page by then cannot break an island, and what needs a script is seen only once it lives.
//! An island that fails takes no other with it, because `start.js` starts each by itself.
//!
//! Invariant: an island takes nothing for granted that others may have changed, and finds what it
//! must know in the markup that the server wrote.

use leptos::mount::mount_to;
use leptos::prelude::*;
use leptos::web_sys::HtmlElement;

use crate::components::more_pictures::MorePictures;
use crate::components::search_box::Suggestions;
use crate::components::{
    copy_field, countdown, drops, my_cats, neighbours, owner, pending_picture, related, sharing,
    upload_queue,
};

/// Counts down the time that pictures have left.
pub(crate) const COUNTDOWN: &str = "countdown";
/// Puts texts on the clipboard.
pub(crate) const COPYING: &str = "copying";
/// Takes pictures that are dropped on any page to the upload page.
pub(crate) const DROPS: &str = "drops";
/// Completes tags in the search box.
pub(crate) const SUGGESTIONS: &str = "suggestions";
/// Brings the next page of a list into this one.
pub(crate) const MORE: &str = "more";
/// Leads from a picture to its neighbours by keys and swipes.
pub(crate) const NEIGHBOURS: &str = "neighbours";
/// Hands a picture to the device's share sheet.
pub(crate) const SHARING: &str = "sharing";
/// Shows cats like the one of a picture's page below it.
pub(crate) const RELATED: &str = "related";
/// Waits for the verdict on a picture.
pub(crate) const PENDING: &str = "pending";
/// Offers to delete a picture of the visitor's own.
pub(crate) const OWNER: &str = "owner";
/// Forgets a picture of the visitor's own that is deleted.
pub(crate) const FORGET: &str = "forget";
/// Remembers a picture that the plain form has uploaded.
pub(crate) const KEEP: &str = "keep";
/// Lists the visitor's own cats. Only their page has it.
pub(crate) const MINE: &str = "mine";
/// Uploads pictures. Only the upload page has it.
pub(crate) const UPLOADS: &str = "uploads";

/// Brings the island with this name to life at its place, on any page but those of
/// [`mount_with_uploads`]. It does nothing for a name that it does not know.
pub fn mount(name: &str, place: HtmlElement) {
    match name {
        NEIGHBOURS => neighbours::start(),
        SHARING => sharing::start(),
        RELATED => related::start(place),
        PENDING => pending_picture::start(),
        KEEP => owner::keep_uploaded(),
        FORGET => owner::forget_deleted(),
        OWNER => owner::offer_deletion(&place),
        MORE => mount_to(place, || view! { <MorePictures/> }).forget(),
        _ => mount_of_frame(name, place),
    }
}

/// The same on the pages that upload and that list what was uploaded. Their islands are larger than
/// all others together, so that the other pages do not load them, nor these those of the others.
pub fn mount_with_uploads(name: &str, place: HtmlElement) {
    match name {
        UPLOADS => upload_queue::start(place),
        MINE => my_cats::start(place),
        _ => mount_of_frame(name, place),
    }
}

/// The islands in the frame that every page has.
fn mount_of_frame(name: &str, place: HtmlElement) {
    match name {
        COUNTDOWN => countdown::start(),
        COPYING => copy_field::start(),
        DROPS => drops::start(&place),
        SUGGESTIONS => mount_to(place, || view! { <Suggestions/> }).forget(),
        _ => {}
    }
}
