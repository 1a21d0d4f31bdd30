//! What each address declares: how its answers may be kept, by what caches tell them apart, and how
//! the layers handle requests to it. A [`Route`] is the only way to add an address, so there is
//! none without a declaration.
//!
//! The files in `deploy/` say the same to Cloudflare and CloudFront, each in its own format;
//! `server/tests/it/declarations.rs` compares them with what is declared here.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use axum::routing::MethodRouter;

use crate::http::handling::{Handling, Protocol, Scans, Takes};
use crate::http::state::AppState;

/// What caches may do with the answers of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caching {
    /// No answer may be kept, errors included.
    Never,
    /// Answers may be kept under this key, with the policy that the kind names. A 404 and a 410 may
    /// be kept as well, by policies of their own, but no other error.
    Kept(Kind, Key),
}

/// Which policy the answers of an address may have, beside `no-store`. `http/cache` says what each
/// of these policies tells caches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The bytes of a picture.
    Image,
    /// A file whose name changes with its content. Every answer has this policy because its address
    /// declares it; no handler needs to say so.
    Immutable,
    /// What shows no picture and changes with the build or the settings. Every answer has this
    /// policy because its address declares it; no handler needs to say so.
    Document,
    /// Pictures or tags, which change as pictures come and go.
    List,
    /// One picture's page, or its JSON.
    Picture,
    /// An answer that is the same for everyone until an instant.
    Slot,
    /// Nothing is at this address, so it answers 404 and nothing else.
    Nothing,
}

/// The parts of an address that belong to the cache key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// The path alone. The server ignores the query, so a cache may drop it.
    Path,
    /// The path and these parameters of the query. A client that sends other parameters, or spells
    /// these otherwise, is redirected to the canonical spelling; so whatever part of a query a
    /// cache passes on to the server must be in its key.
    Query(&'static [&'static str]),
}

/// What one address declares.
#[derive(Debug, Clone, Copy)]
pub struct Declaration {
    /// The path as the router spells it, such as `/c/{id}`.
    pub path: &'static str,
    pub caching: Caching,
    /// True for a page that people read.
    pub is_page: bool,
    /// The parameters that uploads to this address and deletions of it take. Nobody keeps the
    /// answers to those, but CloudFront passes on only the parameters that are in its key.
    pub told: &'static [&'static str],
}

impl Declaration {
    /// True for a path that leads to this address.
    #[must_use]
    pub fn covers(&self, path: &str) -> bool {
        covers(self.path, path)
    }
}

/// True for a path that leads to the address which the router spells so.
fn covers(declared: &str, path: &str) -> bool {
    let (declared, asked) = (declared.split('/'), path.split('/'));
    declared.clone().count() == asked.clone().count()
        && declared.zip(asked).all(|(declared, asked)| {
            declared == asked || declared.starts_with('{') && !asked.is_empty()
        })
}

/// An address, what it declares, and what answers it.
pub(crate) struct Route {
    pub(crate) declaration: Declaration,
    pub(crate) handling: Handling,
    /// The methods that answer this address, apart from those of Leptos.
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
        let mut route = Self::page(path, caching);
        route.declaration.is_page = false;
        route.by_leptos = false;
        route.methods = Some(methods);
        route
    }

    /// An address to which the clients of another host upload.
    pub(crate) fn upload(
        path: &'static str,
        protocol: Protocol,
        methods: MethodRouter<AppState>,
    ) -> Self {
        Self::new(path, Caching::Never, methods)
            .takes(Takes::Upload, &[Method::POST])
            .speaks(protocol, &[Method::GET, Method::HEAD, Method::POST])
    }

    /// A server function. Only our own islands call it, and nobody keeps what it answers.
    pub(crate) fn function(path: &'static str, takes: Takes) -> Self {
        let mut function = Self::page(path, Caching::Never).takes(takes, &[Method::POST]);
        function.declaration.is_page = false;
        function.handling.is_own = true;
        function
    }

    /// An address by which the hosting platform sees how this server is.
    pub(crate) fn health_check(path: &'static str, methods: MethodRouter<AppState>) -> Self {
        let mut check = Self::new(path, Caching::Never, methods).cheap();
        check.handling.is_health_check = true;
        check
    }

    /// A page.
    pub(crate) fn page(path: &'static str, caching: Caching) -> Self {
        Self {
            declaration: Declaration {
                path,
                caching,
                is_page: true,
                told: &[],
            },
            handling: Handling::default(),
            methods: None,
            by_leptos: true,
        }
    }

    /// Adds methods by which a page's own form sends a change. Leptos does not answer those.
    pub(crate) fn and(mut self, methods: MethodRouter<AppState>) -> Self {
        self.methods = Some(methods);
        self.handling.is_own = true;
        self
    }

    /// Declares what body comes with these methods.
    pub(crate) fn takes(mut self, takes: Takes, methods: &[Method]) -> Self {
        let bodies = methods.iter().map(|method| (method.clone(), takes));
        self.handling.bodies.extend(bodies);
        self
    }

    /// Declares that these methods speak the protocol of another host.
    pub(crate) fn speaks(mut self, protocol: Protocol, methods: &[Method]) -> Self {
        let spoken = methods.iter().map(|method| (method.clone(), protocol));
        self.handling.protocols.extend(spoken);
        self
    }

    /// Declares when reading this address may look at every picture.
    pub(crate) fn scans(mut self, scans: Scans) -> Self {
        self.handling.scans = scans;
        self
    }

    /// Declares that an answer needs no turn: a file that is read in pieces, or a short text.
    pub(crate) fn cheap(mut self) -> Self {
        self.handling.is_cheap = true;
        self
    }

    /// Declares the parameters that uploads and deletions take here.
    pub(crate) fn told(mut self, parameters: &'static [&'static str]) -> Self {
        self.declaration.told = parameters;
        self
    }
}

/// The declarations of all addresses of the router.
#[derive(Debug, Clone)]
pub(crate) struct Declarations {
    /// What each address declares, by its path as the router spells it.
    of_paths: Arc<HashMap<&'static str, Declared>>,
}

/// What the layers know of an address.
#[derive(Debug, Clone)]
struct Declared {
    caching: Caching,
    handling: Arc<Handling>,
    by_leptos: bool,
}

impl Declarations {
    /// What the address declares to which a path leads; `None` where it leads to none.
    pub(crate) fn caching(&self, path: &str) -> Option<Caching> {
        let mut all = self.of_paths.iter();
        let found = all.find(|(declared, _)| covers(declared, path));
        found.map(|(_, declared)| declared.caching)
    }

    /// True where an address declares that Leptos answers it.
    pub(crate) fn names_page(&self, path: &str) -> bool {
        self.of_paths
            .get(path)
            .is_some_and(|declared| declared.by_leptos)
    }
}

/// The router of these addresses, and their declarations.
pub(crate) fn router_of(routes: Vec<Route>) -> (Router<AppState>, Declarations) {
    let mut of_paths = HashMap::new();
    let mut router = Router::new();
    for route in routes {
        let path = route.declaration.path;
        let declared = Declared {
            caching: route.declaration.caching,
            handling: Arc::new(route.handling),
            by_leptos: route.by_leptos,
        };
        of_paths.insert(path, declared);
        if let Some(methods) = route.methods {
            router = router.route(path, methods);
        }
    }
    let declarations = Declarations {
        of_paths: Arc::new(of_paths),
    };
    (router, declarations)
}

/// Attaches what the address of a request declares, for all other layers. This layer is therefore
/// the outermost.
pub(crate) async fn look_up(
    State(declarations): State<Declarations>,
    mut request: Request,
    next: Next,
) -> Response {
    let (caching, handling) = match request.extensions().get::<MatchedPath>() {
        Some(path) => match declarations.of_paths.get(path.as_str()) {
            Some(declared) => (declared.caching, declared.handling.clone()),
            // This is a server function without a declaration; a test ensures that there is none.
            None => (Caching::Never, Arc::default()),
        },
        None => (Caching::Kept(Kind::Nothing, Key::Path), Arc::default()),
    };
    request.extensions_mut().insert(caching);
    request.extensions_mut().insert(handling);
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
                is_page: false,
                told: &[],
            };
            assert_eq!(declaration.covers(path), expected, "{declared} {path}");
        }
    }
}
