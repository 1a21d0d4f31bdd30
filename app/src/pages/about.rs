//! The rules, what is kept and how long, and what nobody can promise.

use leptos::prelude::*;

use super::head::Head;
use super::layout::contact_href;
use crate::backend::backend;
use crate::units::readable_bytes;

#[component]
pub(crate) fn AboutPage() -> impl IntoView {
    let site = backend().site();
    let contact = site.abuse_contact.map(|contact| {
        view! {
            <p>"Or write to "<a href=contact_href(&contact)>{contact.clone()}</a>"."</p>
        }
    });
    let second_opinion = site.asks_rekognition.then(|| {
        view! {
            <p>
                "They may be those of Amazon Rekognition, which then sees a small copy without hidden data, \
                and no more of you than that."
            </p>
        }
    });
    let curl = format!("curl -F file=@cat.jpg {}/api/v1/pictures", site.public_url);
    let max_size = readable_bytes(site.rules.max_bytes);
    let retention = site.retention;
    view! {
        <Head
            title="About and rules"
            description="What CattoCDN shows, what it keeps and for how long, and how to report a picture."
            path="/about"
        />
        <article class="prose">
            <h1>"About this place"</h1>
            <p class="lead">
                "CattoCDN keeps cat pictures for "{retention.clone()}". Anybody may bring one; nobody needs an account."
            </p>

            <h2>"The rules"</h2>
            <ul>
                <li>"A cat must be in it. It may be any cat, and it may have company."</li>
                <li>"Nothing indecent, cruel or unlawful, and only what is yours to share."</li>
                <li>"JPEG, PNG, WebP or GIF, up to "{max_size}"."</li>
            </ul>
            <p>
                "Vision models look at every picture before anybody else can. \
                What they do not recognise as a decent cat is never shown and its bytes are deleted."
            </p>
            {second_opinion}

            <h2>"What is kept"</h2>
            <ul>
                <li>"The picture, made smaller where needed, without place, camera, comments or any other hidden data."</li>
                <li>"What the models recognised, as tags, and a sentence that describes the picture."</li>
                <li>"No names, no accounts, no cookies, no addresses."</li>
            </ul>

            <h2>"For how long"</h2>
            <p>
                "For "{retention}", to the second. Then the picture answers “gone”, here and in every cache \
                that follows the rules of the web; its page says so even in a tab that was left open, as long as scripts run there."
            </p>
            <p>
                "Out of our reach are screenshots and saved copies, tabs that were put to sleep, \
                and the previews that messengers, link-preview services and search engines made for themselves."
            </p>
            <p>"Whoever uploads gets a delete link, once, which ends it all sooner."</p>

            <h2 id="report">"Report a picture"</h2>
            <p>
                "A picture that should not be here comes down as soon as somebody has looked at the report. \
                Please send the link of its page."
            </p>
            {contact}

            <h2 id="api">"For programs"</h2>
            <p>"Uploading takes one request, and answers in JSON with the links and the delete token:"</p>
            <pre tabindex="0"><code>{curl}</code></pre>
            <p>
                <code>"GET /api/v1/pictures?q=tabby"</code>" lists, and "
                <code>"GET /api/v1/tags"</code>" names all tags."
            </p>
            <p>"How the site is doing, and what it costs, stands on its "<a href="/status">"status page"</a>"."</p>
        </article>
    }
}
