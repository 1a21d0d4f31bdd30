//! What every page says about itself in its `<head>`.

use leptos::prelude::*;
use leptos_meta::{Link, Meta, Title};

use crate::backend::backend;

/// The title, the description and the one address of a page; `path` begins with a slash.
#[component]
pub(super) fn Head(
    #[prop(into)] title: String,
    #[prop(into)] description: String,
    #[prop(into)] path: String,
    /// Whether the page brings its own preview card.
    #[prop(optional)]
    has_card: bool,
) -> impl IntoView {
    let url = format!("{}{path}", backend().site().public_url);
    let card = (!has_card).then(|| {
        view! {
            <Meta property="og:type" content="website"/>
            <Meta name="twitter:card" content="summary"/>
        }
    });
    view! {
        <Title text=format!("{title} · CattoCDN")/>
        <Meta name="description" content=description.clone()/>
        <Link rel="canonical" href=url.clone()/>
        <Meta property="og:site_name" content="CattoCDN"/>
        <Meta property="og:title" content=title/>
        <Meta property="og:description" content=description/>
        <Meta property="og:url" content=url/>
        {card}
    }
}

/// The title of a page that nobody should find by searching.
#[component]
pub(super) fn HiddenHead(#[prop(into)] title: String) -> impl IntoView {
    view! {
        <Title text=format!("{title} · CattoCDN")/>
        <Meta name="description" content="CattoCDN keeps cat pictures for a little while."/>
        <Meta name="robots" content="noindex"/>
    }
}
