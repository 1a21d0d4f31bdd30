//! Checks the CDNs that are told to purge pictures: whether Cloudflare's token is good, and whether
//! CloudFront's distribution is for this site.

use aws_config::SdkConfig;
use aws_sdk_cloudfront::types::Distribution;
use url::Url;

use super::asked::Asked;
use super::report::Check;
use crate::cdn::{CloudFrontClient, CloudflareClient, PurgeError};
use crate::config::{CloudFrontConfig, CloudflareConfig};
use crate::runtime::causes::chain;
use crate::runtime::clock::Clock;

const CLOUDFLARE: &str = "Cloudflare";
const CLOUDFRONT: &str = "CloudFront";

/// Checks whether Cloudflare knows the token. Whether the token may purge this zone shows only when
/// something is purged, which is not done here.
pub(super) async fn cloudflare(
    config: &CloudflareConfig,
    public_url: &Url,
    clock: &Clock,
) -> Check {
    let client = match CloudflareClient::new(config, public_url.clone(), clock.clone()) {
        Ok(client) => client,
        Err(error) => {
            return Check::failed(
                CLOUDFLARE,
                format!("{error:#}"),
                "Install the list of trusted certificates, and look at CATTO_CLOUDFLARE_TOKEN",
            );
        }
    };
    judge_token(client.token_status().await)
}

fn judge_token(status: Result<String, PurgeError>) -> Check {
    let new_token = "Make a token with the permission Cache Purge for this zone alone, and set CATTO_CLOUDFLARE_TOKEN";
    match status {
        Ok(status) if status == "active" => Check::ok(CLOUDFLARE, "the token is active"),
        Ok(status) => Check::failed(
            CLOUDFLARE,
            format!("the token is {}", status.escape_debug()),
            new_token,
        ),
        Err(error @ (PurgeError::Refused(_) | PurgeError::Rejected(_))) => Check::failed(
            CLOUDFLARE,
            format!("the token is not known: {}", chain(&error)),
            new_token,
        ),
        Err(error) => Check::failed(
            CLOUDFLARE,
            format!("no answer: {}", chain(&error)),
            "Try again; look whether this machine reaches Cloudflare",
        ),
    }
}

/// Checks whether the distribution exists, is enabled, and is for this site.
pub(super) async fn cloudfront(
    sdk: &SdkConfig,
    config: &CloudFrontConfig,
    public_url: &Url,
) -> Check {
    let answer = CloudFrontClient::new(sdk, config).get_distribution().await;
    let asked = Asked::of(answer, Some("NoSuchDistribution"));
    match asked.or_check(CLOUDFRONT, "cloudfront:GetDistribution") {
        Err(check) => check,
        Ok(answer) => judge_distribution(
            answer.and_then(|answer| answer.distribution).as_ref(),
            &config.distribution,
            public_url,
        ),
    }
}

fn judge_distribution(distribution: Option<&Distribution>, id: &str, public_url: &Url) -> Check {
    let Some((distribution, config)) = distribution
        .and_then(|distribution| Some((distribution, distribution.distribution_config()?)))
    else {
        return Check::failed(
            CLOUDFRONT,
            format!("there is no distribution {id} in this account"),
            "Set CATTO_CLOUDFRONT_DISTRIBUTION to the stack's output DistributionId",
        );
    };
    if !config.enabled() {
        return Check::failed(
            CLOUDFRONT,
            format!("the distribution {id} is disabled"),
            "Enable it in the CloudFront console, or unset CATTO_CLOUDFRONT_DISTRIBUTION",
        );
    }
    let host = public_url.host_str().unwrap_or_default();
    let names = config.aliases().map(|aliases| aliases.items());
    let knows_host = host.eq_ignore_ascii_case(distribution.domain_name())
        || names
            .unwrap_or_default()
            .iter()
            .any(|name| covers(name, host));
    if !knows_host {
        return Check::failed(
            CLOUDFRONT,
            format!("the distribution {id} is not for {host}"),
            "Add the host to its alternate domain names (SiteHost of deploy/template.yaml), or mend CATTO_PUBLIC_URL",
        );
    }
    if distribution.status() != "Deployed" {
        return Check::warning(
            CLOUDFRONT,
            format!("the distribution {id} is being changed"),
            "Look again in some minutes",
        );
    }
    Check::ok(
        CLOUDFRONT,
        format!("the distribution {id} is enabled and for {host}"),
    )
}

/// True where an alternate domain name, which may begin with `*.`, covers this host.
fn covers(name: &str, host: &str) -> bool {
    match name.strip_prefix("*.") {
        None => name.eq_ignore_ascii_case(host),
        Some(domain) => host
            .split_once('.')
            .is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(domain)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_label() {
        assert!(covers("cats.example", "cats.example"));
        assert!(covers("*.example", "cats.example"));
        assert!(!covers("*.example", "a.cats.example"));
        assert!(!covers("*.example", "example"));
        assert!(!covers("dogs.example", "cats.example"));
    }
}
