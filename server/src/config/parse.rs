//! Parses the values of settings. Errors complete the sentence "CATTO_… is `text`: …".

use url::{Host, Url};

use super::ClientAddress;
use crate::domain::expiry::Retention;

pub(super) fn parse_retention(text: &str) -> Result<Retention, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    Retention::new(duration).ok_or_else(|| "must be whole seconds, from 1s to 366 days".into())
}

pub(super) fn parse_public_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if is_plain(&url) {
        Ok(url)
    } else {
        Err("must be http(s)://host[:port] and nothing more".into())
    }
}

/// True for an http(s) URL that names a host, perhaps a port, and nothing more.
pub(super) fn is_plain(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
        && url.host().is_some()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
}

/// True for a URL that leads whoever follows it to their own machine.
pub(crate) fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_unspecified(),
        Some(Host::Ipv6(address)) => address.is_loopback() || address.is_unspecified(),
        None => true,
    }
}

pub(super) fn parse_client_address(text: &str) -> Result<ClientAddress, String> {
    match text.split_once(':') {
        None if text == "socket" => Ok(ClientAddress::Socket),
        Some(("header", name)) => name
            .parse()
            .map(ClientAddress::Header)
            .map_err(|_| format!("`{name}` is no name of a header")),
        _ => Err("must be `socket` or `header:NAME`".into()),
    }
}

pub(super) fn parse_pixels(text: &str) -> Result<u64, String> {
    let number = text.trim_end_matches("Mpx").trim();
    let unit = if number.len() == text.len() {
        1
    } else {
        1_000_000
    };
    match number.parse::<u64>() {
        Ok(pixels) if pixels > 0 => Ok(pixels.saturating_mul(unit)),
        _ => Err("must be a number of pixels such as `50000000` or `50 Mpx`".into()),
    }
}

pub(super) fn is_bucket(name: &str) -> bool {
    (3..=63).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

pub(super) fn parse_share(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(share) if share > 0.0 && share <= 1.0 => Ok(share),
        _ => Err("must be above 0 and at most 1".into()),
    }
}

/// Parses one of several words, each of which stands for a value.
pub(super) fn parse_choice<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, String> {
    let chosen = choices.iter().find(|(word, _)| *word == text);
    chosen.map(|(_, meaning)| *meaning).ok_or_else(|| {
        let words: Vec<String> = choices
            .iter()
            .map(|(word, _)| format!("`{word}`"))
            .collect();
        format!("must be one of {}", words.join(", "))
    })
}

/// True for an e-mail address and for a link that leads to somebody: what
/// [`app::types::contact_url`] makes a link of.
pub(super) fn is_contact(text: &str) -> bool {
    if text.contains(':') {
        return Url::parse(text)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https" | "mailto"));
    }
    text.split_once('@').is_some_and(|(name, host)| {
        !name.is_empty() && host.contains('.') && !text.contains(char::is_whitespace)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_read_with_and_without_unit() {
        for (text, pixels) in [
            ("50000000", 50_000_000),
            ("50Mpx", 50_000_000),
            ("12 Mpx", 12_000_000),
        ] {
            assert_eq!(parse_pixels(text), Ok(pixels), "{text}");
        }
        for text in ["", "0", "-1", "many", "Mpx"] {
            assert!(parse_pixels(text).is_err(), "{text}");
        }
    }

    #[test]
    fn retention_is_whole_seconds_within_a_year() {
        assert!(parse_retention("3s").is_ok());
        assert!(parse_retention("7d").is_ok());
        for text in ["0s", "1500ms", "400d", "soon"] {
            assert!(parse_retention(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_public_url_is_an_origin_and_nothing_more() {
        assert!(parse_public_url("https://catto.example").is_ok());
        for text in [
            "catto.example",
            "ftp://catto.example",
            "https://catto.example/path",
            "https://a:b@catto.example",
            "https://:b@catto.example",
        ] {
            assert!(parse_public_url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_bucket_is_a_name_and_no_address() {
        assert!(is_bucket("catto-pictures") && is_bucket("a.b_2"));
        for text in [
            "ab",
            "s3://catto",
            "arn:aws:s3:::catto",
            "catto/pictures",
            "",
        ] {
            assert!(!is_bucket(text), "{text}");
        }
    }

    #[test]
    fn a_contact_is_an_address_or_a_link() {
        assert!(is_contact("abuse@catto.example") && is_contact("https://catto.example/abuse"));
        assert!(!is_contact("javascript:alert(1)") && !is_contact("somebody"));
        // No link can be made of it: `javascript:` would be its scheme.
        assert!(!is_contact("javascript:a@b.c"));
    }

    #[test]
    fn addresses_of_this_machine_are_here() {
        for (url, here) in [
            ("http://127.0.0.1:3000/", true),
            ("http://0.0.0.0:3000/", true),
            ("http://[::1]/", true),
            ("http://localhost:3000/", true),
            ("https://cats.localhost/", true),
            ("https://catto.example/", false),
            ("https://192.0.2.1/", false),
        ] {
            assert_eq!(is_here(&url.parse().expect("a URL")), here, "{url}");
        }
    }
}
