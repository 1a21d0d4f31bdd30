//! What each address declares: how its answers may be kept, and by what caches tell them apart.
//! A [`Route`] is the only way to an address, and there is none without a declaration.
//!
//! The files in `deploy/` say the same to Cloudflare and CloudFront, each in its own words;
//! `server/tests/it/declarations.rs` compares them with what is declared here.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use axum::routing::MethodRouter;

use crate::http::state::AppState;

/// What caches may do with the answers of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caching {
    /// Nobody keeps any of them, errors included.
    Never,
    /// They may be kept under this key, as the kind says. So may a 404 and a 410, by policies of
    /// their own, but no other error.
    Kept(Kind, Key),
}

/// Which policy the answers of an address may have, beside `no-store`. `http/cache` says what each
/// of these policies tells caches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Image,
    /// Every answer has this policy because its address declares it; no handler needs to say so.
    Immutable,
    /// Every answer has this policy because its address declares it; no handler needs to say so.
    Document,
    List,
    Picture,
    Slot,
    /// Nothing is at this address, so it answers 404 and nothing else.
    Nothing,
}

/// What of an address is in a cache's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// Its path alone. The server ignores the query, so a cache may drop it.
    Path,
    /// Its path and these parameters of its query. Whoever sends other parameters, or spells these
    /// otherwise, is sent to the canonical spelling; so whatever part of a query a cache hands on
    /// to the server must be in its key.
    Query(&'static [&'static str]),
}

/// What one address declares.
#[derive(Debug, Clone, Copy)]
pub struct Declaration {
    /// The path as the router words it, such as `/c/{id}`.
    pub path: &'static str,
    pub caching: Caching,
    /// The parameters that uploads to this address and deletions of it know. Nobody keeps the
    /// answers to those, but CloudFront hands on only the parameters that are in its key.
    pub told: &'static [&'static str],
}

impl Declaration {
    /// True for a path that leads to this address.
    #[must_use]
    pub fn covers(&self, path: &str) -> bool {
        let (declared, asked) = (self.path.split('/'), path.split('/'));
        declared.clone().count() == asked.clone().count()
            && declared.zip(asked).all(|(declared, asked)| {
                declared == asked || declared.starts_with('{') && !asked.is_empty()
            })
    }
}

/// An address, what it declares, and what answers it.
pub(crate) struct Route {
    pub(crate) declaration: Declaration,
    /// What answers this address, beside Leptos.
    methods: Option<MethodRouter<AppState>>,
    /// True for pages and server functions, which Leptos adds to the router by itself.
    pub(crate) by_leptos: bool,
}

impl Route {
    /// An address that these methods answer.
    pub(crate) fn new(
        path: &'static str,
        caching: Caching,
        methods: MethodRouter<AppState>,
    ) -> Self {
        Self {
            methods: Some(methods),
            by_leptos: false,
            ..Self::by_leptos(path, caching)
        }
    }

    /// A page or a server function.
    pub(crate) fn by_leptos(path: &'static str, caching: Caching) -> Self {
        Self {
            declaration: Declaration {
                path,
                caching,
                told: &[],
            },
            methods: None,
            by_leptos: true,
        }
    }

    /// Adds what answers a page's address by other methods than Leptos does.
    pub(crate) fn and(self, methods: MethodRouter<AppState>) -> Self {
        Self {
            methods: Some(methods),
            ..self
        }
    }

    /// Declares the parameters that uploads and deletions know here.
    pub(crate) fn told(mut self, parameters: &'static [&'static str]) -> Self {
        self.declaration.told = parameters;
        self
    }
}

/// What every address of the router declares.
#[derive(Debug, Clone)]
pub(crate) struct Declarations {
    /// By the path in the router's words.
    caching: Arc<HashMap<&'static str, Caching>>,
    by_leptos: Arc<HashSet<&'static str>>,
}

impl Declarations {
    /// True where an address declares that Leptos answers it.
    pub(crate) fn names_page(&self, path: &str) -> bool {
        self.by_leptos.contains(path)
    }
}

/// The router of these addresses, and what they declare.
pub(crate) fn router_of(routes: Vec<Route>) -> (Router<AppState>, Declarations) {
    let (mut caching, mut by_leptos) = (HashMap::new(), HashSet::new());
    let mut router = Router::new();
    for route in routes {
        let path = route.declaration.path;
        caching.insert(path, route.declaration.caching);
        if route.by_leptos {
            by_leptos.insert(path);
        }
        if let Some(methods) = route.methods {
            router = router.route(path, methods);
        }
    }
    let declarations = Declarations {
        caching: Arc::new(caching),
        by_leptos: Arc::new(by_leptos),
    };
    (router, declarations)
}

/// Tells all other layers what the address of a request declares, so this one is the outermost.
pub(crate) async fn look_up(
    State(declarations): State<Declarations>,
    mut request: Request,
    next: Next,
) -> Response {
    let caching = match request.extensions().get::<MatchedPath>() {
        Some(path) => {
            let declared = declarations.caching.get(path.as_str()).copied();
            // A server function that declares nothing; a test lets none be.
            declared.unwrap_or(Caching::Never)
        }
        None => Caching::Kept(Kind::Nothing, Key::Path),
    };
    request.extensions_mut().insert(caching);
    next.run(request).await
}

impl Caching {
    /// What the address of this request declares.
    pub(crate) fn of(request: &Request) -> Self {
        let declared = request.extensions().get::<Self>().copied();
        declared.unwrap_or(Self::Never)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_covers_what_the_router_leads_to_it() {
        for (declared, path, expected) in [
            ("/", "/", true),
            ("/", "/x", false),
            ("/c/{id}", "/c/x", true),
            ("/c/{id}", "/c/", false),
            ("/c/{id}", "/c/x/y", false),
            ("/api/v1/pictures", "/api/v1/pictures", true),
            ("/api/v1/pictures", "/api/v1/tags", false),
        ] {
            let declaration = Declaration {
                path: declared,
                caching: Caching::Never,
                told: &[],
            };
            assert_eq!(declaration.covers(path), expected, "{declared} {path}");
        }
    }
}
