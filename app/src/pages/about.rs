//! The About page: the rules, what the site keeps and for how long, what it cannot promise, and how
//! to report a picture.

use leptos::prelude::*;

use super::head::Head;
use crate::backend::backend;
use crate::types::contact_url;
use crate::units::readable_bytes;

#[component]
pub(crate) fn AboutPage() -> impl IntoView {
    let site = backend().site();
    let report = match site.abuse_contact {
        Some(contact) => view! {
            <p>
                "If a picture should not be here, please tell us the link of its page. \
                Somebody will look at your report and take the picture down if it breaks the rules."
            </p>
            <p>"You can reach us at "<a href=contact_url(&contact)>{contact.clone()}</a>"."</p>
        }
        .into_any(),
        None => {
            view! { <p>"Whoever runs this site has given no address for reports."</p> }.into_any()
        }
    };
    let second_opinion = site.second_opinion.map(|vendor| {
        view! {
            <p>
                "For some or all pictures we also ask "{vendor}". It gets a small copy \
                without hidden data, and learns nothing else about you."
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
            <h1>"About CattoCDN"</h1>
            <p class="lead">
                "CattoCDN shares cat pictures for "{retention.clone()}
                ". Anybody can upload one, without an account."
            </p>

            <h2>"The rules"</h2>
            <ul>
                <li>
                    "There must be a cat in the picture. Any cat will do, and it may have company."
                </li>
                <li>
                    "Nothing indecent, cruel or illegal, and only pictures that you have the right \
                    to share."
                </li>
                <li>"The file must be a JPEG, PNG, WebP or GIF of at most "{max_size}"."</li>
            </ul>
            <p>
                "Computer models check every picture before anybody can see it. If they find no \
                cat in it, or find it indecent, it is never shown, and the file is deleted."
            </p>
            {second_opinion}

            <h2>"What we keep"</h2>
            <ul>
                <li>
                    "The picture, made smaller if need be, without location, camera details, \
                    comments or any other hidden data."
                </li>
                <li>"What the models recognised in it: tags, and a few words that describe it."</li>
                <li>"No names, no accounts, no cookies and no IP addresses."</li>
            </ul>

            <h2>"How long we keep it"</h2>
            <p>
                "A picture stays for "{retention}
                ", or for less if its uploader chose so, to the second. After that its links only say that it is gone, here and in every cache \
                that follows the rules of the web. A page that you left open says so too, if scripts \
                may run in it."
            </p>
            <p>
                "We cannot take back screenshots, saved copies, pages in tabs that your browser \
                has put to sleep, or the previews that messengers and search engines made for \
                themselves."
            </p>
            <p>
                "If you upload a picture, you get a delete link, which takes it down sooner. Your \
                browser also keeps it among "<a href="/mine">"your cats"</a>", in its own storage, \
                until the picture's time is up; you can switch that off there. Nothing of it is \
                sent to us. If you clear your browser's data, only the link that you kept yourself \
                can delete the picture."
            </p>

            <h2 id="report">"Report a picture"</h2>
            {report}

            <h2 id="api">"For programs"</h2>
            <p>
                "One request uploads a picture. The answer is JSON with its links and its delete \
                token:"
            </p>
            <pre tabindex="0"><code>{curl}</code></pre>
            <p>
                <code>"GET /api/v1/pictures?q=tabby"</code>" finds pictures, and "
                <code>"GET /api/v1/tags"</code>" lists all tags. "<a href="/docs">"More about the API"</a>
            </p>
            <p>
                "The "<a href="/status">"status page"</a>
                " shows how the site is doing and what it costs."
            </p>
        </article>
    }
}
