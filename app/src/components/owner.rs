//! The small islands by which pages know the visitor's own cats.

use leptos::prelude::*;
use web_sys::HtmlElement;

use super::dom::{append, by_id, find, set};
use super::mine::{self, Mine};

/// The id of the element whose attributes tell what the plain form has just uploaded.
pub(crate) const UPLOADED_ID: &str = "uploaded";
/// What is said on the page of the visitor's own cat.
const OFFER: &str = "<p class=owner>This is one of <a href=/mine>your cats</a>. \
    <a class=owner-delete>Delete it…</a></p>";

/// Remembers what the plain form has just uploaded, as the page says it.
pub(crate) fn keep_uploaded() {
    let Some(uploaded) = by_id(UPLOADED_ID) else {
        return;
    };
    let told = |name: &str| uploaded.get_attribute(name).unwrap_or_default();
    mine::remember(Mine {
        id: told("data-id"),
        token: told("data-token"),
        until: told("data-until"),
        image: told("data-image"),
        ..Mine::default()
    });
}

/// Forgets the cat whose delete link this page's address is.
pub(crate) fn forget_deleted() {
    let path = location_pathname().unwrap_or_default();
    if let Some(id) = path.split('/').nth(2) {
        mine::forget(id);
    }
}

/// Says on the page of one of the visitor's own cats that it is theirs, and offers to delete it.
pub(crate) fn offer_deletion(place: &HtmlElement) {
    let path = location_pathname().unwrap_or_default();
    if let Some(cat) = mine::find(path.trim_start_matches("/c/")) {
        let offer = append(place, OFFER);
        if let Some(link) = find(&offer, ".owner-delete") {
            set(&link, "href", &cat.deletion());
        }
    }
}
