//! Explains why a cache missed and what to do about it. It is pure: what was seen goes in,
//! sentences come out.

use hyper::header::HeaderMap;
use serde::Serialize;
use url::Url;

use super::freshness::{Freshness, browser_seconds, cookies, freshness, varies_by};
use super::layers::{Did, Layer, Sighting, text};

/// The file extensions that Cloudflare caches without being told.
const CLOUDFLARE_ENDINGS: [&str; 56] = [
    "7z", "avi", "avif", "apk", "bin", "bmp", "bz2", "class", "css", "csv", "doc", "docx", "dmg",
    "ejs", "eot", "eps", "exe", "flac", "gif", "gz", "ico", "iso", "jar", "jpg", "jpeg", "js",
    "mid", "midi", "mkv", "mp3", "mp4", "ogg", "otf", "pdf", "pict", "pls", "png", "ppt", "pptx",
    "ps", "rar", "svg", "svgz", "swf", "tar", "tif", "tiff", "ttf", "webm", "webp", "woff",
    "woff2", "xls", "xlsx", "zip", "zst",
];

/// A lifetime up to this many seconds can be over before the next request comes.
const SHORT_LIFETIME: u64 = 2;

/// The lifetime in browsers that Cloudflare sets in place of shorter ones until it is told not to,
/// in seconds.
const BROWSER_TTL_OF_CLOUDFLARE: u64 = 4 * 3600;

/// One thing that an operator should know about an asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// The cache that it is about; `None` where it is about all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) layer: Option<String>,
    /// A code for scripts, which stays stable.
    pub(super) code: &'static str,
    /// What was found.
    pub(super) message: String,
    /// What to do about it.
    pub(super) remedy: String,
}

/// The part of an answer that matters here.
#[derive(Clone, Copy)]
pub(super) struct Answer<'a> {
    pub(super) url: &'a Url,
    pub(super) status: u16,
    pub(super) headers: &'a HeaderMap,
    /// Seconds since 1970.
    pub(super) now: u64,
}

/// Why this layer did not answer from its cache. The first reason is the one to mend first.
pub(super) fn explain_miss(sighting: &Sighting, answer: Answer<'_>) -> Vec<Finding> {
    let mut found = Reasons {
        layer: Some(&sighting.layer),
        findings: Vec::new(),
    };
    if let Some(finding) = explain_status(answer) {
        return vec![finding];
    }
    let headers = answer.headers;
    let freshness = freshness(headers, answer.now);
    if let Freshness::Forbidden(directive) = freshness {
        found.add(
            "forbidden",
            format!("the origin does not allow shared caches to keep it: `Cache-Control: {directive}`"),
            "this is right for what is personal or must never be old; otherwise, give it a lifetime at the origin",
        );
        return found.findings;
    }
    if sighting.did == Did::NotEligible {
        found.not_eligible(answer.url);
    }
    // CloudFront keeps such answers, cookie and all, so a cookie does not explain its miss.
    let cookies = cookies(headers);
    if !cookies.is_empty() && sighting.layer != Layer::CloudFront {
        found.add(
            "set-cookie",
            format!("the answer sets a cookie ({})", cookies.join(", ")),
            "make the origin set no cookie on what all visitors may share",
        );
    }
    let varies = varies_by(headers);
    if varies.iter().any(|name| name == "*") {
        found.add(
            "vary",
            "`Vary: *` says that no answer may be used for another request".into(),
            "make the origin send no `Vary`, or `Vary: Accept-Encoding`",
        );
    } else if !varies.is_empty() && sighting.layer != Layer::Cloudflare {
        found.add(
            "vary",
            format!(
                "a separate answer is kept for each value of {}",
                varies.join(", ")
            ),
            "make it vary by nothing but `Accept-Encoding`",
        );
    }
    match freshness {
        Freshness::Never(word) => found.add(
            "never-fresh",
            format!("the answer is never fresh: {word}"),
            "this is right if every viewer must get the newest; otherwise, give it a lifetime of at least a few seconds",
        ),
        Freshness::Unsaid => found.add(
            "no-freshness",
            "nothing says how long it may be kept: neither `max-age` nor `s-maxage` nor `Expires`".into(),
            "send `Cache-Control: public, max-age=…` or an `Expires`; without one, caches differ in what they do",
        ),
        Freshness::Relative(seconds) | Freshness::Absolute(seconds)
            if seconds <= SHORT_LIFETIME || sighting.did == Did::Expired =>
        {
            found.add(
                "short-lifetime",
                format!("its lifetime of {seconds} s was over before it was requested again"),
                "this is right for what is about to end; otherwise, lengthen it or allow `stale-while-revalidate`",
            );
        }
        // A cache that fetches again each time although the end lies ahead does not honour it.
        Freshness::Absolute(_) if sighting.did == Did::Miss => found.add(
            "only-expires",
            "only `Expires` tells its lifetime, and this cache seems to ignore it".into(),
            "make sure that no rule or policy of this cache replaces the origin's headers; \
             a `max-age` instead would add up over several caches in a row",
        ),
        Freshness::Forbidden(_) | Freshness::Relative(_) | Freshness::Absolute(_) => {}
    }
    if found.findings.is_empty() {
        found.unexplained(sighting);
    }
    found.findings
}

/// The finding where some repeats hit a cache and others missed it.
pub(super) fn explain_uneven(layer: &Layer, hits: usize, asked: usize) -> Finding {
    finding(
        Some(layer),
        "uneven",
        format!("{hits} of {asked} repeats hit"),
        "an edge location has several machines, and each fills its own cache: repeat more often with `--repeat`; \
         if that does not help, the cache drops the answer early because few viewers ask for it",
    )
}

/// The finding where no cache shows itself at all.
pub(super) fn explain_no_cache() -> Finding {
    finding(
        None,
        "no-cache",
        "no cache can be seen in the answer, so every request seems to reach the origin".into(),
        "make sure that the name leads to the CDN (a proxied DNS record at Cloudflare, a CNAME to CloudFront), \
         and that you measure the public address and not the origin's own",
    )
}

/// What is odd about an answer although a cache may have given it.
pub(super) fn oddities(sightings: &[Sighting], answer: Answer<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    let headers = answer.headers;
    let by_cloudflare = sightings
        .first()
        .is_some_and(|s| s.layer == Layer::Cloudflare);
    let browser = browser_seconds(headers);
    if by_cloudflare && browser == Some(BROWSER_TTL_OF_CLOUDFLARE) {
        found.push(finding(
            Some(&Layer::Cloudflare),
            "browser-ttl",
            "browsers keep it for 4 hours, which looks like Cloudflare's own Browser Cache TTL instead of the origin's".into(),
            "in the zone, set Browser Cache TTL to \"Respect Existing Headers\"",
        ));
    }
    let age = age_seconds(headers);
    if let (Some(age), Some(lifetime)) = (age, browser)
        && age >= lifetime
        && lifetime > 0
    {
        found.push(finding(
            None,
            "older-than-lifetime",
            format!("its `Age` of {age} s is beyond its `max-age` of {lifetime} s, so browsers treat it as stale at once"),
            "this comes from a lifetime at the edge that is longer than the browser's; it is harmless if browsers may ask again at each visit",
        ));
    }
    let hit_at_cloudfront = sightings
        .iter()
        .any(|s| s.layer == Layer::CloudFront && s.did == Did::Hit);
    let cookies = cookies(headers);
    if hit_at_cloudfront && !cookies.is_empty() {
        found.push(finding(
            Some(&Layer::CloudFront),
            "shared-cookie",
            format!("the cache gives all visitors the same cookie ({})", cookies.join(", ")),
            "make the origin set no cookie here, or remove it in CloudFront's response headers policy",
        ));
    }
    found
}

/// The age that an answer states, in seconds.
pub(super) fn age_seconds(headers: &HeaderMap) -> Option<u64> {
    text(headers, "age")?.trim().parse().ok()
}

/// The finding about an answer that is an error or a redirect; `None` where it is neither.
pub(super) fn explain_status(answer: Answer<'_>) -> Option<Finding> {
    let status = answer.status;
    if text(answer.headers, "cf-mitigated").is_some() {
        return Some(finding(
            Some(&Layer::Cloudflare),
            "challenged",
            format!("Cloudflare took the probe for a bot and answered {status}"),
            "while you measure, switch Bot Fight Mode off or let the probe's address pass",
        ));
    }
    let remedy = match status {
        300..=399 if status != 304 => {
            "measure the address that it leads to, if that is what you mean"
        }
        401 | 403 => {
            "the public address should answer without a secret: make sure that you do not measure the origin itself"
        }
        404 | 410 => "the address is wrong, or what was there is gone",
        429 => "measure more slowly with `--pause`",
        400..=499 => "look at what the server answers",
        500..=599 => "look at the server's log; errors have nothing to do with caching",
        _ => return None,
    };
    Some(finding(
        None,
        if status < 400 {
            "redirect"
        } else {
            "error-status"
        },
        format!("the answer is {status}"),
        remedy,
    ))
}

fn finding(layer: Option<&Layer>, code: &'static str, message: String, remedy: &str) -> Finding {
    Finding {
        layer: layer.map(ToString::to_string),
        code,
        message,
        remedy: remedy.to_owned(),
    }
}

struct Reasons<'a> {
    layer: Option<&'a Layer>,
    findings: Vec<Finding>,
}

impl Reasons<'_> {
    fn add(&mut self, code: &'static str, message: String, remedy: &str) {
        self.findings
            .push(finding(self.layer, code, message, remedy));
    }

    /// Explains why the cache does not look at such URLs at all.
    fn not_eligible(&mut self, url: &Url) {
        let ending = ending(url);
        if url.path() == "/robots.txt"
            || ending
                .as_deref()
                .is_some_and(|ending| CLOUDFLARE_ENDINGS.contains(&ending))
        {
            return self.add(
                "rule",
                "a rule or setting keeps it out of the cache, although its ending is on the default list".into(),
                "look for a Cache Rule with \"Bypass cache\", a page rule, or Development Mode",
            );
        }
        let what = ending.map_or_else(
            || "an address without an ending".to_owned(),
            |ending| format!("`.{ending}`"),
        );
        self.add(
            "not-default-extension",
            format!("{what} is not among the default extensions that Cloudflare caches"),
            "add a Cache Rule that makes the host \"Eligible for cache\"; `deploy/cloudflare.json` has such a rule",
        );
    }

    fn unexplained(&mut self, sighting: &Sighting) {
        let (message, remedy) = match sighting.did {
            Did::Failed => (
                "the cache reports an error",
                "look for the request in its log; its quota or its connection to the origin may be the cause",
            ),
            Did::Bypassed => (
                "the request went past the cache, for no reason that the headers tell",
                "look for a rule that bypasses the cache, and for an `Authorization` header that is added on the way",
            ),
            _ => (
                "the answer may be kept, but the cache did not have it",
                "measure again, because a cache may need a moment to store an answer; if that does not help, look at the cache's own lifetimes and its key",
            ),
        };
        self.add("unexplained", message.into(), remedy);
    }
}

/// The extension of the last part of the path, in lower case.
fn ending(url: &Url) -> Option<String> {
    let name = url.path().rsplit('/').next()?;
    let (_, ending) = name.rsplit_once('.')?;
    (!ending.is_empty()).then(|| ending.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::super::layers::sightings;
    use super::*;

    /// Sun, 29 Nov 2026 10:15:00 GMT.
    const NOW: u64 = 1_795_947_300;
    const LATER: (&str, &str) = ("expires", "Mon, 30 Nov 2026 10:15:00 GMT");

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, hyper::header::HeaderValue::from_static(value));
        }
        headers
    }

    /// `layer code` of every finding about a miss of the outermost cache.
    fn reasons(path: &str, status: u16, lines: &[(&'static str, &'static str)]) -> Vec<String> {
        let headers = headers(lines);
        let url = Url::parse("https://catto.example").expect("a URL");
        let url = url.join(path).expect("a path");
        let answer = Answer {
            url: &url,
            status,
            headers: &headers,
            now: NOW,
        };
        let seen = sightings(&headers);
        let found = explain_miss(&seen[0], answer);
        for finding in &found {
            assert!(!finding.message.is_empty() && !finding.remedy.is_empty());
        }
        found
            .iter()
            .map(|finding| finding.code.to_owned())
            .collect()
    }

    #[test]
    fn each_miss_has_its_reason() {
        let dynamic = ("cf-cache-status", "DYNAMIC");
        let bypass = ("cf-cache-status", "BYPASS");
        let miss = ("cf-cache-status", "MISS");
        let week = ("cache-control", "public, max-age=604800");
        let front = ("x-cache", "Miss from cloudfront");
        for (path, status, lines, expected) in [
            (
                "/pkg/a.wasm",
                200,
                vec![dynamic, week],
                vec!["not-default-extension"],
            ),
            ("/", 200, vec![dynamic, week], vec!["not-default-extension"]),
            (
                "/c/7Hq2",
                200,
                vec![dynamic],
                vec!["not-default-extension", "no-freshness"],
            ),
            ("/a.webp", 200, vec![dynamic, week], vec!["rule"]),
            ("/A.WEBP", 200, vec![dynamic, week], vec!["rule"]),
            (
                "/a.css",
                200,
                vec![bypass, week, ("set-cookie", "a=b")],
                vec!["set-cookie"],
            ),
            (
                "/a.css",
                200,
                vec![bypass, week, ("set-cookie", "__cf_bm=b")],
                vec!["unexplained"],
            ),
            ("/a.css", 200, vec![miss], vec!["no-freshness"]),
            ("/a.css", 200, vec![front], vec!["no-freshness"]),
            (
                "/a.css",
                200,
                vec![front, week, ("set-cookie", "a=b")],
                vec!["unexplained"],
            ),
            (
                "/a.css",
                200,
                vec![bypass, ("cache-control", "no-store")],
                vec!["forbidden"],
            ),
            (
                "/",
                200,
                vec![dynamic, ("cache-control", "private")],
                vec!["forbidden"],
            ),
            (
                "/a.css",
                200,
                vec![bypass, ("cache-control", "max-age=0")],
                vec!["never-fresh"],
            ),
            ("/a.css", 200, vec![miss, week, ("vary", "*")], vec!["vary"]),
            (
                "/a.css",
                200,
                vec![front, week, ("vary", "cookie")],
                vec!["vary"],
            ),
            (
                "/a.css",
                200,
                vec![miss, week, ("vary", "cookie")],
                vec!["unexplained"],
            ),
            ("/a.css", 200, vec![miss, week], vec!["unexplained"]),
            (
                "/a.webp",
                200,
                vec![miss, ("cache-control", "public"), LATER],
                vec!["only-expires"],
            ),
            (
                "/a.css",
                200,
                vec![miss, ("cache-control", "max-age=1")],
                vec!["short-lifetime"],
            ),
            (
                "/a.css",
                200,
                vec![
                    ("cf-cache-status", "EXPIRED"),
                    ("cache-control", "max-age=9"),
                ],
                vec!["short-lifetime"],
            ),
            (
                "/a.css",
                200,
                vec![("x-cache", "CapacityExceeded from cloudfront"), week],
                vec!["unexplained"],
            ),
            ("/a.css", 404, vec![miss, week], vec!["error-status"]),
            ("/a.css", 302, vec![dynamic], vec!["redirect"]),
            (
                "/a.css",
                403,
                vec![dynamic, ("cf-mitigated", "challenge")],
                vec!["challenged"],
            ),
        ] {
            assert_eq!(reasons(path, status, &lines), expected, "{path} {lines:?}");
        }
    }

    #[test]
    fn an_answer_from_a_cache_can_still_be_odd() {
        for (lines, expected) in [
            (
                vec![
                    ("cf-cache-status", "HIT"),
                    ("cache-control", "max-age=14400"),
                ],
                vec!["browser-ttl"],
            ),
            (
                vec![
                    ("cf-cache-status", "HIT"),
                    ("cache-control", "max-age=60"),
                    ("age", "61"),
                ],
                vec!["older-than-lifetime"],
            ),
            (
                vec![("x-cache", "Hit from cloudfront"), ("set-cookie", "a=b")],
                vec!["shared-cookie"],
            ),
            (
                vec![
                    ("cf-cache-status", "HIT"),
                    ("cache-control", "max-age=60"),
                    ("age", "59"),
                ],
                vec![],
            ),
        ] {
            let headers = headers(&lines);
            let url = Url::parse("https://catto.example/").expect("a URL");
            let answer = Answer {
                url: &url,
                status: 200,
                headers: &headers,
                now: NOW,
            };
            let found = oddities(&sightings(&headers), answer);
            let codes: Vec<_> = found.iter().map(|finding| finding.code).collect();
            assert_eq!(codes, expected, "{lines:?}");
        }
    }
}
