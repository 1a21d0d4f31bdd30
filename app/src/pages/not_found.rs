//! Any path that is no page.

use leptos::prelude::*;

use super::notice::ErrorNotice;
use crate::backend::set_error;
use crate::error::{ApiError, ErrorCode};

#[component]
pub(crate) fn NotFoundPage() -> impl IntoView {
    let error = ApiError::new(
        ErrorCode::NotFound,
        "There is no such page. The address may have a slip in it.",
    );
    set_error(&error);
    view! { <ErrorNotice error/> }
}
