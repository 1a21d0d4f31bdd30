//! How the layers handle requests to an address, as its [`Route`](super::declared::Route) declares:
//! what body comes with them, whether they may look at every picture, and who may send them.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::Method;

/// Prefixes of paths whose answers are never pages, whatever the client accepts. Programs read
/// them, and caches hold one answer for everyone. No route can declare it, because it is also said
/// of paths below them at which there is nothing.
const MACHINE_PATHS: [&str; 4] = ["/api/", "/i/", "/oembed", "/pkg/"];

/// What the paths of feeds end with, whose answers are no pages either.
const FEEDS: [&str; 2] = ["/feed.xml", "/feed.json"];

/// What body a route takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Takes {
    /// A file, which is passed on as it comes.
    Upload,
    /// At most this many bytes, which are read before anything else happens.
    AtMost(u64),
    /// None. A body that comes all the same changes nothing about the answer.
    #[default]
    Nothing,
}

/// Whether reading an address may look at every picture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Scans {
    #[default]
    Never,
    WithQuery,
    Always,
}

/// The upload protocol of another image host, which its clients speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Imgur,
    /// imgur's, in XML.
    ImgurXml,
    /// That of imgbb, and of hosts that run Chevereto.
    Chevereto,
    /// That of catbox, litterbox, 0x0 and rustypaste, which answer with a line of text.
    Line,
}

/// How the layers handle requests to an address. The default is for an address that declares
/// nothing of it, and where there is nothing.
#[derive(Debug, Default)]
pub(crate) struct Handling {
    /// The bodies that it takes, each by one method. With every other method it takes none.
    pub(super) bodies: Vec<(Method, Takes)>,
    pub(super) scans: Scans,
    /// True where an answer needs no turn: files that are read in pieces, and short texts.
    pub(crate) is_cheap: bool,
    /// True where only forms and islands of our own pages send changes.
    pub(crate) is_own: bool,
    /// The protocols of other hosts that are spoken here, each with one method.
    pub(super) protocols: Vec<(Method, Protocol)>,
    /// True for what the hosting platform requests directly, without the CDN.
    pub(crate) is_health_check: bool,
}

impl Handling {
    /// How requests like this one are handled.
    pub(crate) fn of(request: &Request) -> Arc<Self> {
        let declared = request.extensions().get::<Arc<Self>>().cloned();
        declared.unwrap_or_default()
    }

    /// What body is taken with this method.
    pub(crate) fn takes(&self, method: &Method) -> Takes {
        let body = self.bodies.iter().find(|(taking, _)| taking == method);
        body.map_or(Takes::Nothing, |(_, takes)| *takes)
    }

    /// The protocol of another host that is spoken with this method.
    pub(crate) fn protocol(&self, method: &Method) -> Option<Protocol> {
        let spoken = self.protocols.iter().find(|(by, _)| by == method);
        spoken.map(|(_, protocol)| *protocol)
    }

    /// True for a request that may look at every picture.
    pub(crate) fn is_scan(&self, request: &Request) -> bool {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        reads
            && match self.scans {
                Scans::Never => false,
                Scans::WithQuery => request.uri().query().is_some(),
                Scans::Always => true,
            }
    }
}

/// True for a path at which no answer is a page.
pub(crate) fn is_for_machines(path: &str) -> bool {
    MACHINE_PATHS.iter().any(|start| path.starts_with(start)) || is_feed(path)
}

/// True for the path of a feed: the site's, or that of a tag.
pub(crate) fn is_feed(path: &str) -> bool {
    FEEDS.iter().any(|end| {
        path.strip_suffix(end).is_some_and(|of| {
            let tag = of.strip_prefix("/tags/");
            of.is_empty() || tag.is_some_and(|tag| !tag.is_empty() && !tag.contains('/'))
        })
    })
}
