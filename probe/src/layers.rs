//! Reads from the headers of an answer which caches it passed through. It is pure: headers go in,
//! sightings come out.

use std::fmt;

use hyper::header::HeaderMap;

/// A layer that may have answered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Layer {
    Cloudflare,
    CloudFront,
    /// Any other cache, under the name that it gives itself.
    Cache(String),
    Origin,
}

impl fmt::Display for Layer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Cloudflare => "Cloudflare",
            Self::CloudFront => "CloudFront",
            Self::Cache(name) => name,
            Self::Origin => "origin",
        })
    }
}

/// What a cache did with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Did {
    /// It answered from its store: the answer was fresh, stale, or made fresh again by a 304.
    Hit,
    /// It looked and had nothing, or nothing fresh.
    Miss,
    /// It had the answer, but past its lifetime, and fetched it again.
    Expired,
    /// It may keep such answers, but did not use its store for this one.
    Bypassed,
    /// It does not cache such URLs at all.
    NotEligible,
    /// It answered by itself, without a cache or an origin: a function, a redirect or a firewall.
    Made,
    /// It reports an error, of the origin or its own.
    Failed,
    /// It was not asked, because a cache in front of it answered. What it says dates from when that
    /// answer was stored.
    NotAsked,
    /// It says something that is unknown here.
    Unclear,
}

impl Did {
    /// True where the request counts as a hit or a miss.
    pub(super) fn counts(self) -> bool {
        !matches!(self, Self::Made | Self::NotAsked | Self::Unclear)
    }
}

/// What one cache says about one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sighting {
    pub(super) layer: Layer,
    pub(super) did: Did,
    /// The cache's own word, as it was sent.
    pub(super) word: String,
}

/// The caches that an answer passed through, the nearest to the visitor first.
pub(super) fn sightings(headers: &HeaderMap) -> Vec<Sighting> {
    let mut found = Vec::new();
    found.extend(cloudflare(headers));
    found.extend(other_caches(headers));
    // A stored answer still holds what the caches behind said when it was stored.
    let answered = found
        .iter()
        .position(|sighting| matches!(sighting.did, Did::Hit | Did::Made))
        .filter(|&at| !asked_behind(&found[at]));
    if let Some(at) = answered {
        for sighting in &mut found[at + 1..] {
            sighting.did = Did::NotAsked;
        }
    }
    found
}

/// True where a cache answered from its store, but asked the layer behind it first whether it still
/// may.
fn asked_behind(sighting: &Sighting) -> bool {
    ["revalidated", "refreshhit"].contains(&sighting.word.to_ascii_lowercase().as_str())
}

/// The edge locations of Cloudflare and of CloudFront that this very answer came through, under
/// their own names.
pub(super) fn locations(headers: &HeaderMap) -> (Option<String>, Option<String>) {
    let cloudflare = text(headers, "cf-ray")
        .and_then(|ray| ray.rsplit_once('-'))
        .map(|(_, location)| location);
    // A stored answer holds the location that answered when it was stored.
    let is_stored = sightings(headers).iter().any(|sighting| {
        sighting.layer == Layer::Cloudflare && sighting.did == Did::Hit && !asked_behind(sighting)
    });
    let cloudfront = text(headers, "x-amz-cf-pop").filter(|_| !is_stored);
    let plain = |location: &str| -> Option<String> {
        let location = location.trim();
        let is_name = location
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (is_name && (1..=32).contains(&location.len())).then(|| location.to_owned())
    };
    (cloudflare.and_then(plain), cloudfront.and_then(plain))
}

/// The layer that sent the bytes.
pub(super) fn answered_by(sightings: &[Sighting]) -> Layer {
    sightings
        .iter()
        .find(|sighting| matches!(sighting.did, Did::Hit | Did::Made))
        .map_or(Layer::Origin, |sighting| sighting.layer.clone())
}

fn cloudflare(headers: &HeaderMap) -> Option<Sighting> {
    let word = match text(headers, "cf-cache-status") {
        Some(word) => word.trim(),
        // Either Cloudflare itself answered, or its cache was not asked.
        None if headers.contains_key("cf-ray") => "NONE",
        None => return None,
    };
    let did = match word.to_ascii_uppercase().as_str() {
        "HIT" | "STALE" | "UPDATING" | "REVALIDATED" => Did::Hit,
        "MISS" => Did::Miss,
        "EXPIRED" => Did::Expired,
        "BYPASS" => Did::Bypassed,
        "DYNAMIC" => Did::NotEligible,
        // This includes NONE and UNKNOWN, where a Worker, the firewall or a redirect answered.
        _ => Did::Unclear,
    };
    Some(Sighting {
        layer: Layer::Cloudflare,
        did,
        word: word.to_owned(),
    })
}

/// The other caches, the outermost first. Each cache writes its word after those of the caches that
/// it asked.
fn other_caches(headers: &HeaderMap) -> Vec<Sighting> {
    let standard = headers
        .get_all("cache-status")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| split_outside_quotes(value, ','))
        .filter_map(by_standard);
    let mut found: Vec<Sighting> = standard.collect();
    found.reverse();
    for name in ["x-cache-status", "x-cache"] {
        let values = headers.get_all(name).iter();
        let mut words: Vec<_> = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .filter(|word| !word.is_empty())
            .map(|word| by_custom(name, word))
            .collect();
        words.reverse();
        // A cache that says the same in two headers is still one cache.
        if !found
            .iter()
            .any(|sighting| matches!(sighting.layer, Layer::Cache(_)))
        {
            found.extend(words);
        } else {
            found.extend(
                words
                    .into_iter()
                    .filter(|sighting| sighting.layer == Layer::CloudFront),
            );
        }
    }
    found
}

/// Parses one entry of `Cache-Status` (RFC 9211): `name; hit` or `name; fwd=reason`.
fn by_standard(entry: &str) -> Option<Sighting> {
    let mut parts = split_outside_quotes(entry, ';').into_iter().map(str::trim);
    let name = parts.next()?.trim_matches('"');
    if name.is_empty() {
        return None;
    }
    let parameters: Vec<&str> = parts.collect();
    let hit = parameters
        .iter()
        .any(|&part| part == "hit" || part == "hit=?1");
    let forwarded = parameters.iter().find_map(|part| part.strip_prefix("fwd="));
    let (did, word) = match (hit, forwarded) {
        (true, _) => (Did::Hit, "hit"),
        (false, Some(reason)) => {
            let did = match reason {
                "uri-miss" | "vary-miss" | "miss" | "partial" => Did::Miss,
                "stale" => Did::Expired,
                "bypass" | "request" => Did::Bypassed,
                "method" => Did::NotEligible,
                _ => Did::Unclear,
            };
            (did, reason)
        }
        (false, None) => (Did::Made, "no word"),
    };
    Some(Sighting {
        layer: Layer::Cache(name.to_owned()),
        did,
        word: word.to_owned(),
    })
}

/// Parses one word of a header that no standard describes: `Hit from cloudfront`, `HIT`, `MISS from
/// proxy.example`.
fn by_custom(header: &str, text: &str) -> Sighting {
    let (word, by) = match text.split_once(" from ") {
        Some((word, by)) => (word.trim(), Some(by.trim())),
        None => (text, None),
    };
    let by_cloudfront = by.is_some_and(|by| by.eq_ignore_ascii_case("cloudfront"));
    let did = match word.to_ascii_lowercase().as_str() {
        "hit" | "refreshhit" | "originshieldhit" | "tcp_hit" | "stale" | "updating"
        | "revalidated" => Did::Hit,
        "miss" | "tcp_miss" => Did::Miss,
        "expired" => Did::Expired,
        "bypass" | "pass" => Did::Bypassed,
        "functiongeneratedresponse" | "lambdageneratedresponse" | "redirect" | "synth" => Did::Made,
        "error" | "limitexceeded" | "capacityexceeded" => Did::Failed,
        _ => Did::Unclear,
    };
    Sighting {
        layer: match by {
            _ if by_cloudfront => Layer::CloudFront,
            Some(by) => Layer::Cache(by.to_owned()),
            None => Layer::Cache(header.to_owned()),
        },
        did,
        word: word.to_owned(),
    }
}

/// One measurement in `Server-Timing`.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub(super) struct ServerTiming {
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) duration_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
}

/// What `Server-Timing` says about this very answer.
pub(super) fn server_timings(headers: &HeaderMap, sightings: &[Sighting]) -> Vec<ServerTiming> {
    let cloudfront_not_asked = sightings
        .iter()
        .any(|sighting| sighting.layer == Layer::CloudFront && sighting.did == Did::NotAsked);
    headers
        .get_all("server-timing")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| split_outside_quotes(value, ','))
        .filter_map(server_timing)
        // These timings were stored with the answer, like everything else that CloudFront said.
        .filter(|timing| !(cloudfront_not_asked && timing.name.starts_with("cdn-")))
        .collect()
}

fn server_timing(entry: &str) -> Option<ServerTiming> {
    let mut parts = split_outside_quotes(entry, ';').into_iter().map(str::trim);
    let mut timing = ServerTiming {
        name: parts.next().filter(|name| !name.is_empty())?.to_owned(),
        duration_ms: None,
        description: None,
    };
    for part in parts {
        match part.split_once('=') {
            Some(("dur", value)) => timing.duration_ms = value.trim_matches('"').parse().ok(),
            Some(("desc", value)) => timing.description = Some(value.trim_matches('"').to_owned()),
            _ => {}
        }
    }
    Some(timing)
}

/// The value of a header, where it is plain text.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn split_outside_quotes(text: &str, separator: char) -> Vec<&str> {
    let mut quoted = false;
    text.split(|character| {
        quoted ^= character == '"';
        character == separator && !quoted
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, hyper::header::HeaderValue::from_static(value));
        }
        headers
    }

    fn seen(lines: &[(&'static str, &'static str)]) -> String {
        let sightings = sightings(&headers(lines));
        let words = sightings
            .iter()
            .map(|sighting| format!("{} {:?}", sighting.layer, sighting.did));
        let words: Vec<_> = words.collect();
        format!("{}; {}", words.join(", "), answered_by(&sightings))
    }

    #[test]
    fn every_word_of_cloudflare_has_its_meaning() {
        for (word, did, by) in [
            ("HIT", "Hit", "Cloudflare"),
            ("STALE", "Hit", "Cloudflare"),
            ("UPDATING", "Hit", "Cloudflare"),
            ("REVALIDATED", "Hit", "Cloudflare"),
            ("MISS", "Miss", "origin"),
            ("EXPIRED", "Expired", "origin"),
            ("BYPASS", "Bypassed", "origin"),
            ("DYNAMIC", "NotEligible", "origin"),
            ("NONE/UNKNOWN", "Unclear", "origin"),
        ] {
            let expected = format!("Cloudflare {did}; {by}");
            assert_eq!(seen(&[("cf-cache-status", word)]), expected, "{word}");
        }
        assert_eq!(seen(&[("cf-ray", "8f1-FRA")]), "Cloudflare Unclear; origin");
    }

    #[test]
    fn every_word_of_cloudfront_has_its_meaning() {
        for (word, did, by) in [
            ("Hit from cloudfront", "Hit", "CloudFront"),
            ("RefreshHit from cloudfront", "Hit", "CloudFront"),
            ("OriginShieldHit from cloudfront", "Hit", "CloudFront"),
            ("Miss from cloudfront", "Miss", "origin"),
            ("Error from cloudfront", "Failed", "origin"),
            ("LimitExceeded from cloudfront", "Failed", "origin"),
            (
                "FunctionGeneratedResponse from cloudfront",
                "Made",
                "CloudFront",
            ),
            ("Surprise from cloudfront", "Unclear", "origin"),
        ] {
            let expected = format!("CloudFront {did}; {by}");
            assert_eq!(seen(&[("x-cache", word)]), expected, "{word}");
        }
    }

    #[test]
    fn what_the_inner_cache_said_is_ignored_once_the_outer_one_hits() {
        let both = |outer, inner| seen(&[("cf-cache-status", outer), ("x-cache", inner)]);
        for outer in ["HIT", "UPDATING", "STALE"] {
            assert_eq!(
                both(outer, "Miss from cloudfront"),
                "Cloudflare Hit, CloudFront NotAsked; Cloudflare"
            );
        }
        assert_eq!(
            both("REVALIDATED", "Hit from cloudfront"),
            "Cloudflare Hit, CloudFront Hit; Cloudflare"
        );
        assert_eq!(
            both("MISS", "Hit from cloudfront"),
            "Cloudflare Miss, CloudFront Hit; CloudFront"
        );
        assert_eq!(
            both("DYNAMIC", "Miss from cloudfront"),
            "Cloudflare NotEligible, CloudFront Miss; origin"
        );
    }

    #[test]
    fn other_caches_are_read_by_the_standard_and_by_custom() {
        for (lines, expected) in [
            (
                vec![(
                    "cache-status",
                    "varnish; hit, \"nginx, outer\"; fwd=uri-miss; stored",
                )],
                "nginx, outer Miss, varnish Hit; varnish",
            ),
            (
                vec![("cache-status", "varnish; fwd=stale")],
                "varnish Expired; origin",
            ),
            (vec![("x-cache", "HIT")], "x-cache Hit; x-cache"),
            (
                vec![("x-cache", "MISS, HIT")],
                "x-cache Hit, x-cache NotAsked; x-cache",
            ),
            (
                vec![("x-cache", "MISS from squid.example")],
                "squid.example Miss; origin",
            ),
            (
                vec![
                    ("x-cache-status", "MISS"),
                    ("x-cache", "Hit from cloudfront"),
                ],
                "x-cache-status Miss, CloudFront Hit; CloudFront",
            ),
            (vec![], "; origin"),
        ] {
            assert_eq!(seen(&lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn server_timings_are_read_and_stored_ones_left_out() {
        let mut lines = vec![
            ("cf-cache-status", "MISS"),
            ("x-cache", "Miss from cloudfront"),
            ("server-timing", "cfEdge;dur=5,cfOrigin;dur=12.5"),
            ("server-timing", "cdn-hit-layer;desc=\"REC, far\""),
        ];
        let names = |lines: &[_]| {
            let headers = headers(lines);
            let timings = server_timings(&headers, &sightings(&headers));
            let names = timings.into_iter().map(|timing| {
                let ms = timing.duration_ms.unwrap_or(-1.0);
                format!(
                    "{} {ms} {}",
                    timing.name,
                    timing.description.unwrap_or_default()
                )
            });
            names.collect::<Vec<_>>()
        };
        assert_eq!(
            names(&lines),
            ["cfEdge 5 ", "cfOrigin 12.5 ", "cdn-hit-layer -1 REC, far"]
        );
        lines[0] = ("cf-cache-status", "HIT");
        assert_eq!(names(&lines), ["cfEdge 5 ", "cfOrigin 12.5 "]);
    }
}
