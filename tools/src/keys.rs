//! The cache keys of the simulation, as each route declares them. The files in `deploy/` tell
//! Cloudflare and CloudFront the same, and a test compares them.

use cattocdn::http::declarations;
use cattocdn::http::declared::{Caching, Declaration, Key};

/// The cache keys of all URLs of a site.
#[derive(Debug)]
pub struct Keys {
    declarations: Vec<Declaration>,
}

impl Keys {
    #[must_use]
    pub fn of_the_site() -> Self {
        Self {
            declarations: declarations(),
        }
    }

    /// The key of a URL at the outer cache, Cloudflare. It leaves out the query where that means
    /// nothing, and otherwise is the whole URL.
    #[must_use]
    pub fn outer(&self, url: &str) -> String {
        let (path, _) = split(url);
        match self.key(path) {
            Some(Key::Path) => path,
            Some(Key::Query(_)) | None => url,
        }
        .to_owned()
    }

    /// The key of a URL at the inner cache, CloudFront, which is also all that the server gets of
    /// the URL.
    #[must_use]
    pub fn inner(&self, url: &str) -> String {
        let (path, query) = split(url);
        let Some(Key::Query(known)) = self.key(path) else {
            return path.to_owned();
        };
        let kept: Vec<&str> = query
            .split('&')
            .filter(|parameter| known.contains(&parameter.split('=').next().unwrap_or_default()))
            .collect();
        if kept.is_empty() {
            path.to_owned()
        } else {
            format!("{path}?{}", kept.join("&"))
        }
    }

    fn key(&self, path: &str) -> Option<Key> {
        let declared = self
            .declarations
            .iter()
            .find(|declaration| declaration.covers(path))?;
        match declared.caching {
            Caching::Kept(_, key) => Some(key),
            Caching::Never => None,
        }
    }
}

fn split(url: &str) -> (&str, &str) {
    url.split_once('?').unwrap_or((url, ""))
}
