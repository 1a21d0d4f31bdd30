//! The island on the page of a picture that is still being screened.

use leptos::prelude::*;

use super::verdict::verdict;

/// Waits for the verdict and then reloads the page, so that the server shows what became of the
/// picture.
pub(crate) fn start() {
    leptos::task::spawn_local(async {
        let path = location_pathname().unwrap_or_default();
        // The server also says why a picture was refused, so the result does not matter here.
        let _ = verdict(path.trim_start_matches("/c/"), |_| ()).await;
        // If the page cannot be reloaded, it stays as it is.
        let _ = location().reload();
    });
}
