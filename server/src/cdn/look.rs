//! Requests a picture's address once from outside, through whatever stands in front of the site.

use std::time::Duration;

use url::Url;

use crate::domain::address::file_path;
use crate::domain::expiry::ExpiresAt;
use crate::domain::picture::PictureId;
use crate::domain::purge::PurgeReceipt;
use crate::domain::variant::FileName;
use probe;

/// How long each step of the request may take.
const TIMEOUT: Duration = Duration::from_secs(5);

pub(super) async fn look(
    public_url: &Url,
    id: &PictureId,
    expires_at: ExpiresAt,
    name: &FileName,
    now: i64,
) -> anyhow::Result<PurgeReceipt> {
    let url = image_url(public_url, id, expires_at, name);
    let glance = probe::glance(&url, TIMEOUT).await?;
    Ok(PurgeReceipt {
        looked_at: now,
        status: Some(glance.status),
        cloudflare: glance.cloudflare,
        cloudfront: glance.cloudfront,
        rounds: 1,
    })
}

/// The address of one file of a picture.
pub(super) fn image_url(
    public_url: &Url,
    id: &PictureId,
    expires_at: ExpiresAt,
    name: &FileName,
) -> Url {
    let mut url = public_url.clone();
    url.set_path(&file_path(expires_at, id, name));
    url
}
