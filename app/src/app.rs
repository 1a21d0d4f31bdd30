//! The HTML document, the frame around every page, and the routes. No data is loaded here.

use leptos::nonce::Nonce;
use leptos::prelude::*;
use leptos::reactive::owner::take_context;
use leptos_meta::{MetaTags, provide_meta_context};
use leptos_router::components::{FlatRoutes, Route, Router};
use leptos_router::{SsrMode, path};

use crate::backend::{Interstitial, backend};
use crate::pages::about::AboutPage;
use crate::pages::delete::DeletePage;
use crate::pages::docs::DocsPage;
use crate::pages::home::HomePage;
use crate::pages::interstitial::InterstitialPage;
use crate::pages::layout::Layout;
use crate::pages::mine::MinePage;
use crate::pages::not_found::NotFoundPage;
use crate::pages::picture::PicturePage;
use crate::pages::search::SearchPage;
use crate::pages::status::StatusPage;
use crate::pages::tag::TagPage;
use crate::pages::tags::TagsPage;
use crate::pages::upload::UploadPage;

/// Loads the code that the page's `<head>` names and brings each island to life. It is the same on
/// every page, because the content security policy names it by its hash. The class `is-alive` says
/// that the islands live, and `is-plain` that they never will, as where WebAssembly is forbidden.
const START: &str = include_str!("start.js");

/// The whole HTML document, which the server renders anew for every page.
pub fn shell() -> impl IntoView {
    // Pages are cached, so a nonce would protect nothing, and it would make every rendering differ
    // from the last.
    drop(take_context::<Nonce>());
    // Nothing is hydrated, so no page needs the data of which it was made.
    if let Some(context) = Owner::current_shared_context() {
        context.set_is_hydrating(false);
    }
    let style = backend().files().style.clone();
    view! {
        <!DOCTYPE html>
        <html lang="en">
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1"/>
                <meta name="color-scheme" content="light dark"/>
                <meta name="theme-color" content="#fbf4e9" media="(prefers-color-scheme: light)"/>
                <meta name="theme-color" content="#1c1612" media="(prefers-color-scheme: dark)"/>
                <link rel="stylesheet" href=style/>
                <link rel="icon" href="/favicon.ico" sizes="48x48"/>
                <link rel="icon" href="/favicon.svg" type="image/svg+xml"/>
                <link rel="apple-touch-icon" href="/apple-touch-icon.png"/>
                <link rel="manifest" href="/manifest.webmanifest"/>
                <MetaTags/>
                <script type="module">{START}</script>
            </head>
            <body>
                <App/>
            </body>
        </html>
    }
}

/// The frame and the page inside it. If the server provides an [`Interstitial`] through the
/// context, it is shown instead of a page.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    view! {
        <Router>
            <Layout>
                {match use_context::<Interstitial>() {
                    Some(interstitial) => view! { <InterstitialPage interstitial/> }.into_any(),
                    None => view! { <Pages/> }.into_any(),
                }}
            </Layout>
        </Router>
    }
}

/// The routes of all pages. Each page is rendered completely before the answer begins
/// (`SsrMode::Async`), because the status must be known by then.
#[component]
fn Pages() -> impl IntoView {
    view! {
        <FlatRoutes fallback=NotFoundPage>
            <Route path=path!("/") view=HomePage ssr=SsrMode::Async/>
            <Route path=path!("/search") view=SearchPage ssr=SsrMode::Async/>
            <Route path=path!("/tags") view=TagsPage ssr=SsrMode::Async/>
            <Route path=path!("/tags/:tag") view=TagPage ssr=SsrMode::Async/>
            <Route path=path!("/upload") view=UploadPage ssr=SsrMode::Async/>
            <Route path=path!("/c/:id") view=PicturePage ssr=SsrMode::Async/>
            <Route path=path!("/delete/:id/:token") view=DeletePage ssr=SsrMode::Async/>
            <Route path=path!("/mine") view=MinePage ssr=SsrMode::Async/>
            <Route path=path!("/about") view=AboutPage ssr=SsrMode::Async/>
            <Route path=path!("/docs") view=DocsPage ssr=SsrMode::Async/>
            <Route path=path!("/status") view=StatusPage ssr=SsrMode::Async/>
        </FlatRoutes>
    }
}
