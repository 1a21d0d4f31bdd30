//! `cattocdn probe`: requests URLs again and again and tells who answered, how fast, how large the
//! answer was, and why it did not come from a cache.
//!
//! It looks from outside, as a visitor does, and knows no configuration, index or storage.
//! `connection` requests and measures the time, `page` finds the assets of a page, `layers` and
//! `freshness` read headers, `findings` explains, and `report` prints.

mod connection;
mod findings;
mod freshness;
mod layers;
mod page;
mod report;

use std::time::Duration;

use url::Url;

pub use self::report::{Report, Summary, Verdict};

use self::connection::{Accept, Client, Exchange, FetchError, Session};
use self::page::{Asset, Kind};
use self::report::{AssetReport, PageReport, Redirect};

/// Returns the current time in whole seconds since 1970. The age of an answer is judged by it.
pub type Now<'a> = &'a (dyn Fn() -> u64 + Sync);

/// The most assets of one page that are requested.
const MOST_ASSETS: usize = 50;
/// The most redirects that are followed in a row.
const MOST_REDIRECTS: usize = 5;

/// What one request for a URL saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glance {
    pub status: u16,
    /// The location of Cloudflare that answered or passed the request on, such as `FRA`.
    pub cloudflare: Option<String>,
    /// The location of CloudFront, such as `FRA56-P1`; `None` where Cloudflare had the answer
    /// already.
    pub cloudfront: Option<String>,
}

/// Requests this URL once, as a visitor does, and waits up to `timeout` for each step.
///
/// # Errors
/// When there is no answer.
pub async fn glance(url: &Url, timeout: Duration) -> anyhow::Result<Glance> {
    let client = Client::new(timeout);
    let seen = client.session(url).get(url, Accept::Packed).await?;
    let (cloudflare, cloudfront) = layers::locations(&seen.headers);
    Ok(Glance {
        status: seen.status,
        cloudflare,
        cloudfront,
    })
}

/// The arguments of `cattocdn probe`.
#[derive(Debug, Clone, clap::Args)]
pub struct Probe {
    /// The addresses to measure, http://… or https://…; for a page, its assets are measured too
    #[arg(value_name = "URL", required = true, value_parser = parse_url)]
    urls: Vec<Url>,
    /// How many times to request each address again after the first time
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    repeat: u32,
    /// Print JSON instead of tables
    #[arg(long)]
    pub json: bool,
    /// Request only the given URLs, not what their pages need
    #[arg(long)]
    no_assets: bool,
    /// How long to wait for each connection and each answer
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// How long to pause between requests
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = humantime::parse_duration)]
    pause: Duration,
}

fn parse_url(text: &str) -> Result<Url, String> {
    let mut url =
        Url::parse(text).map_err(|error| format!("{error}; an address begins with https://"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err("only http:// and https:// addresses can be measured".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the probe sends no passwords, so the address must not have one".into());
    }
    url.set_fragment(None);
    Ok(url)
}

/// All answers from one URL.
struct Measured {
    first: Exchange,
    /// The answers to the repeated requests; at least one.
    repeats: Vec<Exchange>,
    /// The size of the body without compression, in bytes.
    plain_size: u64,
    /// The body, where its assets are wanted.
    page: Option<String>,
}

impl Probe {
    /// Requests these URLs once and then `repeat` times more, without the assets of their pages.
    #[must_use]
    pub fn of(urls: Vec<Url>, repeat: u32) -> Self {
        Self {
            urls,
            repeat,
            json: false,
            no_assets: true,
            timeout: Duration::from_secs(10),
            pause: Duration::from_millis(100),
        }
    }

    /// Requests everything, one request at a time.
    pub async fn run(&self, now: Now<'_>) -> Report {
        let client = Client::new(self.timeout);
        let mut pages = Vec::new();
        for url in &self.urls {
            pages.push(self.probe_page(&client, url, now).await);
        }
        Report::new(self.repeat, pages)
    }

    async fn probe_page(&self, client: &Client, named: &Url, now: Now<'_>) -> PageReport {
        let mut report = PageReport::new(named);
        let (url, opened) = self.follow(client, named, &mut report.redirects).await;
        let measured = match opened {
            Ok((session, first)) => {
                self.measure(session, &url, first, !self.no_assets, now)
                    .await
            }
            Err(error) => Err(error),
        };
        let named = Asset {
            kind: Kind::Named,
            url: url.clone(),
        };
        let html = measured
            .as_ref()
            .ok()
            .and_then(|(measured, _)| measured.page.clone());
        report.assets.push(AssetReport::new(&named, measured));
        let mut assets = html.map_or_else(Vec::new, |html| page::assets(&html, &url));
        report.left_out = assets.len().saturating_sub(MOST_ASSETS);
        assets.truncate(MOST_ASSETS);
        for asset in assets {
            tokio::time::sleep(self.pause).await;
            let mut session = client.session(&asset.url);
            let measured = match session.get(&asset.url, Accept::Packed).await {
                Ok(first) => self.measure(session, &asset.url, first, false, now).await,
                Err(error) => Err(error),
            };
            report.assets.push(AssetReport::new(&asset, measured));
        }
        report
    }

    /// Requests a URL and follows its redirects, as long as they stay on the same host.
    async fn follow<'a>(
        &self,
        client: &'a Client,
        named: &Url,
        redirects: &mut Vec<Redirect>,
    ) -> (Url, Result<(Session<'a>, Exchange), FetchError>) {
        let mut url = named.clone();
        loop {
            let mut session = client.session(&url);
            let first = match session.get(&url, Accept::Packed).await {
                Ok(first) => first,
                Err(error) => return (url, Err(error)),
            };
            let target = redirect_target(&first, &url);
            match target {
                Some(target) if redirects.len() < MOST_REDIRECTS && may_follow(&url, &target) => {
                    redirects.push(Redirect::new(&url, &first, &target));
                    url = target;
                    tokio::time::sleep(self.pause).await;
                }
                _ => return (url, Ok((session, first))),
            }
        }
    }

    /// Repeats a request, then makes one more without compression.
    async fn measure(
        &self,
        mut session: Session<'_>,
        url: &Url,
        first: Exchange,
        want_page: bool,
        now: Now<'_>,
    ) -> Result<(Measured, u64), FetchError> {
        let mut repeats = Vec::new();
        for _ in 0..self.repeat {
            tokio::time::sleep(self.pause).await;
            repeats.push(session.get(url, Accept::Packed).await?);
        }
        let is_page = want_page
            && (200..300).contains(&first.status)
            && layers::text(&first.headers, "content-type")
                .is_some_and(|kind| kind.trim_start().starts_with("text/html"));
        let packed = first.headers.contains_key("content-encoding");
        let mut measured = Measured {
            plain_size: first.size,
            first,
            repeats,
            page: None,
        };
        if packed || is_page {
            tokio::time::sleep(self.pause).await;
            let (plain, body) = session.get_body(url).await?;
            measured.plain_size = plain.size;
            // A body that is compressed although nobody asked for it cannot be read here.
            if is_page && !plain.headers.contains_key("content-encoding") {
                measured.page = Some(String::from_utf8_lossy(&body).into_owned());
            }
        }
        let measured_at = now();
        Ok((measured, measured_at))
    }
}

/// Where a redirect leads.
fn redirect_target(exchange: &Exchange, url: &Url) -> Option<Url> {
    if !matches!(exchange.status, 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let mut target = url
        .join(layers::text(&exchange.headers, "location")?)
        .ok()?;
    target.set_fragment(None);
    Some(target)
}

/// True where a redirect may be followed. Other hosts are requested only when the user names them,
/// and an encrypted URL must not lead to an unencrypted one.
fn may_follow(from: &Url, to: &Url) -> bool {
    from.host() == to.host()
        && to.username().is_empty()
        && to.password().is_none()
        && (to.scheme() == "https" || (to.scheme() == "http" && from.scheme() == "http"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_open_addresses_without_passwords_are_taken() {
        assert!(parse_url("https://catto.example/c/1").is_ok());
        for text in [
            "catto.example",
            "ftp://catto.example/",
            "https://a:b@catto.example/",
            "file:///etc/passwd",
            "",
        ] {
            assert!(parse_url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn redirects_are_followed_on_the_same_host_and_never_to_less_safety() {
        let url = |text: &str| Url::parse(text).expect("a URL");
        for (from, to, follows) in [
            ("http://a.example/", "https://a.example/", true),
            ("https://a.example/", "https://a.example/x", true),
            ("https://a.example/", "http://a.example/", false),
            ("https://a.example/", "https://b.example/", false),
            ("http://a.example/", "http://u:p@a.example/", false),
        ] {
            assert_eq!(may_follow(&url(from), &url(to)), follows, "{from} {to}");
        }
    }
}
