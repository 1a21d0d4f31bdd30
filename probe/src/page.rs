//! Finds the files that a page needs, by its tags. It is pure: text goes in, URLs come out.
//!
//! It understands only as much of HTML as that takes: tags, attributes, comments, and the elements
//! whose content is not markup.

use std::collections::HashSet;
use std::net::IpAddr;

use serde::Serialize;
use url::{Host, Url};

/// What an asset is to its page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// The URL given on the command line, whatever it is.
    Named,
    Style,
    Script,
    Wasm,
    Icon,
    Image,
    Other,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Named => "named",
            Self::Style => "style",
            Self::Script => "script",
            Self::Wasm => "wasm",
            Self::Icon => "icon",
            Self::Image => "image",
            Self::Other => "other",
        }
    }
}

/// A file that a page needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asset {
    pub(super) kind: Kind,
    pub(super) url: Url,
}

/// The elements whose content is not markup.
const RAW: [&str; 6] = ["script", "style", "textarea", "title", "xmp", "iframe"];

/// The files that this page names, each once. What the page needs to come alive stands before its
/// pictures.
pub(super) fn assets(html: &str, page: &Url) -> Vec<Asset> {
    let mut named = Vec::new();
    let mut base = page.clone();
    for tag in Tags(html) {
        if tag.name == "base" {
            if let Some(url) = tag.attribute("href").and_then(|href| page.join(&href).ok()) {
                base = url;
            }
        } else {
            named.extend(named_by(&tag));
        }
    }
    let mut known = HashSet::from([page.as_str().to_owned()]);
    let mut assets: Vec<Asset> = named
        .into_iter()
        .filter_map(|(kind, text)| {
            let mut url = base.join(text.trim()).ok()?;
            url.set_fragment(None);
            let kind = if url.path().ends_with(".wasm") {
                Kind::Wasm
            } else {
                kind
            };
            may_be_asked(&url, page).then_some(Asset { kind, url })
        })
        .filter(|asset| known.insert(asset.url.as_str().to_owned()))
        .collect();
    assets.sort_by_key(|asset| asset.kind);
    assets
}

/// True for what a browser would fetch too. An encrypted page gets nothing unencrypted, and a page
/// from elsewhere gets nothing from this machine or its private network.
fn may_be_asked(url: &Url, page: &Url) -> bool {
    let plain = url.username().is_empty() && url.password().is_none();
    let scheme = match url.scheme() {
        "https" => true,
        "http" => page.scheme() == "http",
        _ => false,
    };
    plain && scheme && (url.host() == page.host() || is_public(url))
}

fn is_public(url: &Url) -> bool {
    let address = match url.host() {
        Some(Host::Domain(name)) => return name != "localhost" && !name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => IpAddr::from(address),
        Some(Host::Ipv6(address)) => IpAddr::from(address).to_canonical(),
        None => return false,
    };
    match address {
        IpAddr::V4(v4) => {
            !(v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified())
        }
        IpAddr::V6(v6) => {
            !(v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_unique_local()
                || v6.is_unicast_link_local())
        }
    }
}

/// The URLs in one tag.
fn named_by(tag: &Tag<'_>) -> Vec<(Kind, String)> {
    let one = |kind, name| tag.attribute(name).map(|url| (kind, url));
    let many = |kind, name| {
        let set = tag.attribute(name).unwrap_or_default();
        let urls = candidates(&set).into_iter().map(str::to_owned);
        urls.map(|url| (kind, url)).collect::<Vec<_>>()
    };
    match tag.name.as_str() {
        "img" => one(Kind::Image, "src")
            .into_iter()
            .chain(many(Kind::Image, "srcset"))
            .collect(),
        "source" => many(Kind::Image, "srcset"),
        "script" => one(Kind::Script, "src").into_iter().collect(),
        "video" => one(Kind::Image, "poster").into_iter().collect(),
        "meta" => {
            let what = tag.attribute("property").or_else(|| tag.attribute("name"));
            let is_preview = what.is_some_and(|what| {
                [
                    "og:image",
                    "og:image:url",
                    "og:image:secure_url",
                    "twitter:image",
                ]
                .contains(&what.to_ascii_lowercase().as_str())
            });
            is_preview
                .then(|| one(Kind::Image, "content"))
                .flatten()
                .into_iter()
                .collect()
        }
        "link" => {
            let kind = link_kind(tag);
            let href = kind.and_then(|kind| one(kind, "href"));
            let set = kind.map(|kind| many(kind, "imagesrcset"));
            href.into_iter().chain(set.unwrap_or_default()).collect()
        }
        _ => Vec::new(),
    }
}

/// What a `link` makes the browser fetch, if anything.
fn link_kind(tag: &Tag<'_>) -> Option<Kind> {
    let rel = tag.attribute("rel")?.to_ascii_lowercase();
    let is = |name| rel.split_ascii_whitespace().any(|word| word == name);
    if is("stylesheet") {
        Some(Kind::Style)
    } else if is("modulepreload") {
        Some(Kind::Script)
    } else if is("icon") || is("apple-touch-icon") || is("mask-icon") {
        Some(Kind::Icon)
    } else if is("preload") {
        let what = tag.attribute("as").unwrap_or_default().to_ascii_lowercase();
        Some(match what.as_str() {
            "style" => Kind::Style,
            "script" => Kind::Script,
            "image" => Kind::Image,
            _ => Kind::Other,
        })
    } else if is("manifest") {
        Some(Kind::Other)
    } else {
        None
    }
}

/// The URLs in a `srcset`. Each ends at white space, or at a comma at its end; commas within belong
/// to it.
fn candidates(srcset: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = srcset;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == ',');
        if rest.is_empty() {
            return found;
        }
        let end = rest
            .find(|c: char| c.is_ascii_whitespace())
            .unwrap_or(rest.len());
        let (url, after) = rest.split_at(end);
        let bare = url.trim_end_matches(',');
        found.push(bare);
        rest = if bare.len() < url.len() {
            after
        } else {
            // A width or a density follows, up to the comma.
            after.find(',').map_or("", |comma| &after[comma + 1..])
        };
    }
}

/// An opening tag.
struct Tag<'a> {
    name: String,
    /// Names in lower case, and values as they are written.
    attributes: Vec<(String, &'a str)>,
}

impl Tag<'_> {
    /// The value of an attribute with its entities resolved. An empty one counts as absent.
    fn attribute(&self, name: &str) -> Option<String> {
        // The first of two attributes with one name counts, as in browsers.
        let (_, value) = self.attributes.iter().find(|(found, _)| found == name)?;
        let value = html_escape::decode_html_entities(value.trim());
        (!value.is_empty()).then(|| value.into_owned())
    }
}

/// Iterates over the opening tags of a text, in order.
struct Tags<'a>(&'a str);

impl<'a> Iterator for Tags<'a> {
    type Item = Tag<'a>;

    fn next(&mut self) -> Option<Tag<'a>> {
        loop {
            let rest = &self.0[self.0.find('<')? + 1..];
            if let Some(comment) = rest.strip_prefix("!--") {
                self.0 = after(comment, "-->");
            } else if rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
                let (tag, rest) = read_tag(rest);
                self.0 = if RAW.contains(&tag.name.as_str()) {
                    at_end_tag(rest, &tag.name)
                } else {
                    rest
                };
                return Some(tag);
            } else {
                self.0 = rest;
            }
        }
    }
}

fn after<'a>(text: &'a str, mark: &str) -> &'a str {
    text.find(mark).map_or("", |at| &text[at + mark.len()..])
}

/// The text from the end tag of this element on.
fn at_end_tag<'a>(text: &'a str, name: &str) -> &'a str {
    let mut rest = text;
    while let Some(at) = rest.find("</") {
        rest = &rest[at..];
        let found = rest.get(2..2 + name.len());
        if found.is_some_and(|found| found.eq_ignore_ascii_case(name)) {
            return rest;
        }
        rest = &rest[2..];
    }
    ""
}

/// Reads a tag from its name on, and returns it with the text that follows.
fn read_tag(text: &str) -> (Tag<'_>, &str) {
    let name_ends = |c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>');
    let (name, mut rest) = text.split_at(text.find(name_ends).unwrap_or(text.len()));
    let mut attributes = Vec::new();
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        if let Some(rest) = rest.strip_prefix('>') {
            let name = name.to_ascii_lowercase();
            return (Tag { name, attributes }, rest);
        }
        if rest.is_empty() {
            // The text ends within the tag, so nobody can say what it would have been.
            let (name, attributes) = (String::new(), Vec::new());
            return (Tag { name, attributes }, "");
        }
        // A name holds at least one character, even `=`, so that each round makes progress.
        let first = rest.chars().next().map_or(1, char::len_utf8);
        let end = rest[first..]
            .find(|c: char| name_ends(c) || c == '=')
            .map_or(rest.len(), |end| first + end);
        let (name, after_name) = rest.split_at(end);
        rest = after_name.trim_start();
        let value = match rest.strip_prefix('=') {
            Some(value) => {
                let (value, after_value) = read_value(value.trim_start());
                rest = after_value;
                value
            }
            None => "",
        };
        attributes.push((name.to_ascii_lowercase(), value));
    }
}

fn read_value(text: &str) -> (&str, &str) {
    for quote in ['"', '\''] {
        if let Some(quoted) = text.strip_prefix(quote) {
            return quoted.split_once(quote).unwrap_or((quoted, ""));
        }
    }
    let ends = |c: char| c.is_ascii_whitespace() || c == '>';
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found_on(page: &str, html: &str) -> Vec<String> {
        let page = Url::parse(page).expect("a URL");
        let found = assets(html, &page).into_iter();
        found
            .map(|asset| format!("{} {}", asset.kind.name(), asset.url))
            .collect()
    }

    fn found(html: &str) -> Vec<String> {
        found_on("https://c.example/c/1", html)
            .into_iter()
            .map(|line| line.replace("https://c.example", ""))
            .collect()
    }

    #[test]
    fn every_kind_of_asset_is_found_once_and_pictures_come_last() {
        let html = r#"<!DOCTYPE html><html><head>
            <meta property="og:image" content="https://c.example/1280.jpg">
            <link rel="canonical" href="/c/1"><link rel="alternate" href="/feed.xml">
            <link rel="stylesheet" href="/pkg/a.css">
            <link rel="modulepreload" href="/pkg/a.js">
            <link rel="preload" href="/pkg/a.wasm" as="fetch" crossorigin>
            <link rel="shortcut icon" href="/favicon.svg"/>
            <script type=module src=/pkg/a.js></script></head><body>
            <picture><source type="image/webp" srcset="/320.webp 320w, /512.webp 640w">
            <img src="/1280.jpg" alt="a > b"></picture><a href="/other">more</a></body></html>"#;
        assert_eq!(
            found(html),
            [
                "style /pkg/a.css",
                "script /pkg/a.js",
                "wasm /pkg/a.wasm",
                "icon /favicon.svg",
                "image /1280.jpg",
                "image /320.webp",
                "image /512.webp"
            ]
        );
    }

    #[test]
    fn what_is_no_markup_names_nothing() {
        let html = r#"<!-- <img src="/comment.png"> --><title><img src="/title.png"></title>
            <script>document.write('<img src="/script.png">')</script>
            <style>a { content: "<img src=/style.png>" }</style>
            <p title="<img src='/attribute.png'>">1 < 2</p><img data-src="/data.png" src="/real.png">"#;
        assert_eq!(found(html), ["image /real.png"]);
    }

    #[test]
    fn odd_spelling_is_read_as_browsers_read_it() {
        for (html, expected) in [
            ("<IMG SRC='/a.png'>", "/a.png"),
            ("<img/src=/a.png>", "/a.png"),
            ("<img src = \"/a.png\" >", "/a.png"),
            ("<img src=/a.png/>", "/a.png/"),
            ("<img src=\"/a.png?x=1&amp;y=2\">", "/a.png?x=1&y=2"),
            ("<img src=/a.png src=/b.png>", "/a.png"),
            ("<img =x src=/a.png>", "/a.png"),
            ("<img src=' /a.png '>", "/a.png"),
            ("<img src=/a.png#part>", "/a.png"),
            ("<img src=a.png>", "/c/a.png"),
            ("<base href=/b/><img src=a.png>", "/b/a.png"),
            ("<img alt='ä\u{2028}' src=/ä.png>", "/%C3%A4.png"),
        ] {
            assert_eq!(found(html), [format!("image {expected}")], "{html}");
        }
    }

    #[test]
    fn a_text_cut_off_anywhere_ends_the_search_quietly() {
        let html =
            "<img src='/ä.png'><!-- c --><script>x</script><link rel=icon href=\"/i\"><img src=/b>";
        for end in (0..=html.len()).filter(|&end| html.is_char_boundary(end)) {
            assert!(found(&html[..end]).len() <= 3, "{end}");
        }
        assert!(found("<img src='/never-closed.png").is_empty());
    }

    #[test]
    fn a_srcset_may_hold_commas_and_lack_widths() {
        for (srcset, expected) in [
            ("a.png", vec!["a.png"]),
            ("a.png, b.png 2x", vec!["a.png", "b.png"]),
            ("a.png 1x,b.png 2x", vec!["a.png", "b.png"]),
            ("/w=1,h=2/a.png 1x, b.png", vec!["/w=1,h=2/a.png", "b.png"]),
            (" , a.png , ", vec!["a.png"]),
            ("", vec![]),
        ] {
            assert_eq!(candidates(srcset), expected, "{srcset}");
        }
    }

    #[test]
    fn nothing_is_asked_that_a_browser_would_not_ask_for() {
        let html = "<img src=data:image/png;base64,AA><img src=http://c.example/plain.png>\
            <img src=https://a:b@c.example/secret.png><img src=https://127.0.0.1/a><img src=https://[::1]/a>\
            <img src=https://10.0.0.1/a><img src=https://169.254.169.254/a><img src=https://localhost/a>\
            <img src=https://[::ffff:127.0.0.1]/a><img src=javascript:a><img src=https://other.example/b.png>";
        assert_eq!(found(html), ["image https://other.example/b.png"]);
        assert_eq!(
            found_on(
                "http://127.0.0.1:3000/",
                "<img src=/a><img src=http://127.0.0.1:9/b>"
            ),
            [
                "image http://127.0.0.1:3000/a",
                "image http://127.0.0.1:9/b"
            ]
        );
    }
}
