//! How a page asks the backend for its data, and how it reads the parameters in its own URL.

use std::sync::Arc;

use leptos::prelude::*;
use leptos::tachys::reactive_graph::OwnedView;
use leptos_axum::ResponseOptions;
use leptos_router::hooks::{use_params_map, use_query_map};

use crate::backend::{Backend, backend, set_error_on};
use crate::error::ApiError;

/// Asks the backend for what a page needs. If the answer is an error, the response also gets the
/// status of that error, which is possible because pages are rendered completely before the
/// response begins. The contexts are read before the first `.await`, after which they may be gone.
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

/// Waits for what is loading and renders it with `view`. The view keeps the contexts of its page:
/// without them, a page that goes on on another thread than it began on would lose its title, its
/// preview card and its status.
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

/// The decoded part of the path that has this name in the route.
pub(super) fn path_param(name: &str) -> String {
    use_params_map()
        .read_untracked()
        .get(name)
        .unwrap_or_default()
}

/// The decoded parameter of the query string that has this name; empty if it is not given.
pub(super) fn query_param(name: &str) -> String {
    use_query_map()
        .read_untracked()
        .get(name)
        .unwrap_or_default()
}
