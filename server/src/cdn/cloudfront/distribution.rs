//! What CloudFront says of the distribution.

use aws_sdk_cloudfront::error::SdkError;
use aws_sdk_cloudfront::operation::get_distribution::{
    GetDistributionError, GetDistributionOutput,
};

use super::CloudFrontClient;

impl CloudFrontClient {
    /// Reads the distribution; it costs nothing and changes nothing.
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
