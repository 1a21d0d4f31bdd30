//! What all AWS clients of this server share: one connection pool, one TLS stack, and the region,
//! endpoint and credentials that the SDK finds in `AWS_*` variables, profile files or the machine's
//! own role.

use std::error::Error;

use anyhow::Context;
use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, ConfigLoader, SdkConfig};
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;

use crate::runtime::causes::{causes, chain};

/// How many attempts a request gets, where a client does not say otherwise.
const MAX_ATTEMPTS: u32 = 3;

/// The SDK's settings before the environment is read.
#[must_use]
pub fn settings() -> ConfigLoader {
    let http_client = Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https();
    // The version of the SDK's behaviour is fixed, so that an update changes nothing unasked.
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http_client)
        .retry_config(RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS))
}

/// Reads the region and the credentials. This is done once, at start.
///
/// # Errors
/// When there is no region or there are no credentials, because then every request would fail
/// later.
pub async fn load() -> anyhow::Result<SdkConfig> {
    let config = settings().load().await;
    config
        .region()
        // The SDK takes an empty variable for a region.
        .filter(|region| !region.as_ref().is_empty())
        .context("no AWS region is set (AWS_REGION); stores outside AWS need one too")?;
    let provider = config
        .credentials_provider()
        .context("there are no AWS credentials (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)")?;
    match provider.provide_credentials().await {
        Ok(_) => {}
        Err(error) if are_lacking(&error) => {
            return Err(error).context(
                "there are no usable AWS credentials (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)",
            );
        }
        // The source of the credentials cannot be reached at the moment. Every request asks it
        // again.
        Err(error) => {
            tracing::warn!(
                error = chain(&error),
                "the AWS credentials could not be fetched yet"
            );
        }
    }
    Ok(config)
}

/// True when the call was not made because there were no credentials to sign it with. It is false
/// where only the source of the credentials cannot be reached at the moment.
#[must_use]
pub fn lacks_credentials(error: &(dyn Error + 'static)) -> bool {
    causes(error)
        .find_map(|error| error.downcast_ref())
        .is_some_and(are_lacking)
}

const fn are_lacking(error: &CredentialsError) -> bool {
    matches!(
        error,
        CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_)
    )
}
