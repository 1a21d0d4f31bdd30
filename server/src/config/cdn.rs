//! The CDNs that are told when a picture is deleted.

use std::net::IpAddr;

use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use super::parse::is_plain;
use crate::config::env::Env;

/// The address of Cloudflare's own API.
const CLOUDFLARE_API: &str = "https://api.cloudflare.com";
/// The fewest characters of a token. Cloudflare's own have 40 or more.
const SHORTEST_TOKEN: usize = 16;

/// The CDNs in front of the site. One that is not configured is told nothing.
#[derive(Debug, Clone, Default)]
pub struct CdnConfig {
    pub cloudflare: Option<CloudflareConfig>,
    pub cloudfront: Option<CloudFrontConfig>,
}

/// A zone at Cloudflare.
#[derive(Debug, Clone)]
pub struct CloudflareConfig {
    /// `CATTO_CLOUDFLARE_ZONE`: the zone's id, 32 hexadecimal digits.
    pub zone: String,
    /// `CATTO_CLOUDFLARE_TOKEN`: an API token that may purge this zone's cache and nothing else.
    pub token: SecretString,
    /// `CATTO_CLOUDFLARE_ENDPOINT`: an API to use instead of Cloudflare's own. It must be on this
    /// machine, because it is sent the token.
    pub endpoint: Url,
}

/// A distribution at CloudFront. The SDK itself reads region, endpoint and credentials.
#[derive(Debug, Clone)]
pub struct CloudFrontConfig {
    /// `CATTO_CLOUDFRONT_DISTRIBUTION`: the distribution's id, such as `E2QWRUHAPOMQZL`.
    pub distribution: String,
}

impl CdnConfig {
    pub(super) fn from_env(env: &mut Env) -> Self {
        Self {
            cloudflare: cloudflare_from_env(env),
            cloudfront: cloudfront_from_env(env),
        }
    }
}

fn cloudflare_from_env(env: &mut Env) -> Option<CloudflareConfig> {
    let zone = env.text("CATTO_CLOUDFLARE_ZONE");
    let token = env.secret("CATTO_CLOUDFLARE_TOKEN");
    let endpoint = env.parsed_with(
        "CATTO_CLOUDFLARE_ENDPOINT",
        Url::parse(CLOUDFLARE_API).expect("a constant URL parses"),
        parse_endpoint,
    );
    if zone.as_deref().is_some_and(|zone| !is_zone(zone)) {
        env.problem(
            "CATTO_CLOUDFLARE_ZONE",
            "is not the id of a zone: 32 digits and letters from a to f",
        );
    }
    if token.as_ref().is_some_and(|token| !is_token(token)) {
        env.problem(
            "CATTO_CLOUDFLARE_TOKEN",
            "is not an API token: at least 16 letters, digits, hyphens and underscores",
        );
    }
    match (zone, token) {
        (Some(zone), Some(token)) => Some(CloudflareConfig {
            zone,
            token,
            endpoint,
        }),
        (None, None) => None,
        (zone, _) => {
            let (set, missing) = match zone {
                Some(_) => ("CATTO_CLOUDFLARE_ZONE", "CATTO_CLOUDFLARE_TOKEN"),
                None => ("CATTO_CLOUDFLARE_TOKEN", "CATTO_CLOUDFLARE_ZONE"),
            };
            env.problem(missing, &format!("is not set, and {set} is"));
            None
        }
    }
}

fn cloudfront_from_env(env: &mut Env) -> Option<CloudFrontConfig> {
    let distribution = env.text("CATTO_CLOUDFRONT_DISTRIBUTION")?;
    if !is_distribution(&distribution) {
        env.problem(
            "CATTO_CLOUDFRONT_DISTRIBUTION",
            "is not the id of a distribution: capital letters and digits, such as E2QWRUHAPOMQZL",
        );
    }
    Some(CloudFrontConfig { distribution })
}

fn is_zone(text: &str) -> bool {
    text.len() == 32
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

fn is_token(token: &SecretString) -> bool {
    let token = token.expose_secret();
    token.len() >= SHORTEST_TOKEN
        && token
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn is_distribution(text: &str) -> bool {
    (8..=32).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

fn parse_endpoint(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    // No name, because whoever answers for names could lead it elsewhere.
    let is_here = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        _ => false,
    };
    if is_here && is_plain(&url) {
        Ok(url)
    } else {
        Err("must be http(s)://127.0.0.1:PORT and nothing more".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_never_sent_to_another_machine() {
        for text in ["http://127.0.0.1:4000", "https://[::1]:4000"] {
            assert!(parse_endpoint(text).is_ok(), "{text}");
        }
        for text in [
            "https://api.cloudflare.example",
            "http://localhost:4000",
            "http://127.0.0.1.example.org",
            "http://10.0.0.1",
            "http://[::ffff:10.0.0.1]",
            "http://127.0.0.1@example.org",
            "http://user@127.0.0.1",
            "http://127.0.0.1/path",
            "ftp://127.0.0.1",
            "127.0.0.1",
        ] {
            assert!(parse_endpoint(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ids_are_plain_names_that_can_stand_in_a_path() {
        assert!(is_zone("0123456789abcdef0123456789abcdef"));
        assert!(is_distribution("E2QWRUHAPOMQZL"));
        for text in ["", "../zones", "0123456789ABCDEF0123456789ABCDEF"] {
            assert!(!is_zone(text), "{text}");
        }
        for text in ["", "E2QW", "e2qwruhapomqzl", "E2QWRUH/POMQZL"] {
            assert!(!is_distribution(text), "{text}");
        }
        let token = |text: &str| is_token(&SecretString::from(text));
        assert!(token("abcdefghij_KLMNOP-123456"));
        assert!(
            !token("short")
                && !token("abcdefghij KLMNOP 123456")
                && !token("é".repeat(20).as_str())
        );
    }
}
