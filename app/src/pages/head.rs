//! The part of a page's `<head>` that tells search engines and link previews what the page is.

use leptos::prelude::*;
use leptos_meta::{Link, Meta, Title};

use crate::backend::backend;
use crate::types::ListQuery;

/// The title, the description and the canonical address of a page. `path` begins with a slash.
#[component]
pub(super) fn Head(
    #[prop(into)] title: String,
    #[prop(into)] description: String,
    #[prop(into)] path: String,
    /// Whether the page adds its own preview card, so that the general one is left out.
    #[prop(optional)]
    has_card: bool,
    /// Whether the page uploads, so that it loads the code for that.
    #[prop(optional)]
    uploads: bool,
) -> impl IntoView {
    let url = format!("{}{path}", backend().site().public_url);
    let card = (!has_card).then(|| {
        let image = format!("{}{}", backend().site().public_url, backend().files().card);
        view! {
            <Meta property="og:type" content="website"/>
            <Meta property="og:image" content=image.clone()/>
            <Meta property="og:image:type" content="image/png"/>
            <Meta property="og:image:width" content="1200"/>
            <Meta property="og:image:height" content="630"/>
            <Meta property="og:image:alt" content="A drawn cat looks over a strip: CattoCDN"/>
            <Meta name="twitter:card" content="summary_large_image"/>
            <Meta name="twitter:image" content=image/>
        }
    });
    view! {
        <EarlyFiles uploads/>
        <Title text=title_text(&title)/>
        <Meta name="description" content=description.clone()/>
        <Link rel="canonical" href=url.clone()/>
        <Meta property="og:site_name" content="CattoCDN"/>
        <Meta property="og:title" content=title/>
        <Meta property="og:description" content=description/>
        <Meta property="og:url" content=url/>
        {card}
    }
    // The compiler could not cope with the type of a page that holds all of this.
    .into_any()
}

/// Leads feed readers to the feeds of the list that a page shows, whichever of its pages that is.
#[component]
pub(super) fn FeedLinks(list: ListQuery) -> impl IntoView {
    let list = ListQuery {
        after: String::new(),
        ..list
    };
    let link = |kind: &'static str, ending: &str| {
        let href = list.feed_address(ending);
        view! { <Link rel="alternate" type_=kind title="New cats" href/> }
    };
    view! {
        {link("application/atom+xml", "xml")}
        {link("application/feed+json", "json")}
    }
}

/// The title of a page that search engines should not list.
#[component]
pub(super) fn HiddenHead(#[prop(into)] title: String) -> impl IntoView {
    view! {
        <EarlyFiles uploads=false/>
        <Title text=title_text(&title)/>
        <Meta name="description" content="CattoCDN keeps cat pictures for a little while."/>
        <Meta name="robots" content="noindex"/>
    }
}

/// Has the browser fetch the font, so that hardly any words are drawn without it, and the code that
/// brings the page's islands to life, for which the first pictures need not wait. The script in the
/// page reads the addresses of the code here. It fetches both in these very modes, else they would
/// be fetched twice.
#[component]
fn EarlyFiles(uploads: bool) -> impl IntoView {
    let files = backend().files();
    let code = if uploads {
        &files.uploading
    } else {
        &files.reading
    };
    view! {
        <Link
            rel="preload"
            href=files.font.clone()
            as_="font"
            type_="font/woff2"
            crossorigin=""
        />
        <Link rel="modulepreload" href=code.script.clone() fetchpriority="low"/>
        <Link
            rel="preload"
            href=code.wasm.clone()
            as_="fetch"
            type_="application/wasm"
            crossorigin=""
            fetchpriority="low"
        />
    }
}

/// The text of a `<title>`, with the site's name behind it. `leptos_meta` does not escape it, so
/// what visitors wrote must be escaped here.
fn title_text(title: &str) -> String {
    let title = title
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    format!("{title} · CattoCDN")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_cannot_be_left() {
        assert_eq!(
            title_text("</title><script>&amp;"),
            "&lt;/title&gt;&lt;script&gt;&amp;amp; · CattoCDN"
        );
    }
}
