//! How a page asks the backend, and reads its own URL.

use std::sync::Arc;

use leptos::prelude::*;
use leptos::tachys::reactive_graph::OwnedView;
use leptos_axum::ResponseOptions;
use leptos_router::hooks::{use_params_map, use_query_map};

use crate::backend::{Backend, backend, set_error_on};
use crate::error::ApiError;

/// Asks the backend. A refusal also gives the response its status, as the routes are rendered before it begins.
/// Contexts are read at once, because they may be gone after an `.await`.
pub(super) fn load<T, F>(
    ask: impl FnOnce(Arc<dyn Backend>) -> F,
) -> impl Future<Output = Result<T, ApiError>> + Send
where
    F: Future<Output = Result<T, ApiError>> + Send,
{
    let response = use_context::<ResponseOptions>();
    let answer = ask(backend());
    async move {
        let answer = answer.await;
        if let (Err(error), Some(response)) = (&answer, response) {
            set_error_on(&response, error);
        }
        answer
    }
}

/// Renders what has been waited for. The view keeps the contexts of its page: without them, one that is rendered on another
/// thread than it was begun on would lose its title, its preview card and its status.
pub(super) fn when_loaded<T, V>(
    loading: impl Future<Output = T> + Send + 'static,
    view: impl FnOnce(T) -> V + Send + 'static,
) -> impl IntoView
where
    V: IntoView + Send + 'static,
    V::State: Mountable,
{
    Suspend::new(async move {
        let loaded = loading.await;
        OwnedView::new(view(loaded))
    })
}

/// A part of the path by its name in the route, decoded.
pub(super) fn path_param(name: &str) -> String {
    use_params_map()
        .read_untracked()
        .get(name)
        .unwrap_or_default()
}

/// A parameter of the query, decoded; empty where it is not given.
pub(super) fn query_param(name: &str) -> String {
    use_query_map()
        .read_untracked()
        .get(name)
        .unwrap_or_default()
}
