//! What is shown for a path that is no page.

use leptos::prelude::*;

use super::notice::ErrorNotice;
use crate::backend::set_error;
use crate::error::{ApiError, ErrorCode};

#[component]
pub(crate) fn NotFoundPage() -> impl IntoView {
    let error = ApiError::new(
        ErrorCode::NotFound,
        "There is no page at this address. Please check it for typing mistakes.",
    );
    set_error(&error);
    view! { <ErrorNotice error/> }
}
