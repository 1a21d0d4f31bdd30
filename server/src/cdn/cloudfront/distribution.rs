//! Reads the distribution's configuration from CloudFront.

use aws_sdk_cloudfront::error::SdkError;
use aws_sdk_cloudfront::operation::get_distribution::{
    GetDistributionError, GetDistributionOutput,
};

use super::CloudFrontClient;

impl CloudFrontClient {
    /// Reads the distribution. This costs nothing and changes nothing.
    pub(crate) async fn get_distribution(
        &self,
    ) -> Result<GetDistributionOutput, SdkError<GetDistributionError>> {
        self.client
            .get_distribution()
            .id(&self.distribution)
            .send()
            .await
    }
}
