//! The verdict on a file, as an upload would get it, without a site.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use imaging::Limits;

use super::pixels::{Job, Outcome, outputs, reason_of};
use crate::domain::policy::Policy;
use crate::domain::verdict::{Reason, Verdict};
use crate::screening::Screener;

/// How long a file may take, which no ordinary one comes near.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Judges a file by the local models alone, exactly as an upload is judged. This blocks.
///
/// # Errors
/// When the file cannot be read, or the models cannot be used.
pub fn try_out(
    path: &Path,
    screener: Arc<dyn Screener>,
    policy: Policy,
    limits: &Limits,
) -> anyhow::Result<Verdict> {
    let inspected = match imaging::inspect(path, limits, &outputs()) {
        Ok(inspected) => inspected,
        Err(error) => return Ok(Verdict::Rejected(reason_of(&error).ok_or(error)?)),
    };
    if inspected.working_bytes > limits.memory_bytes {
        return Ok(Verdict::Rejected(Reason::TooManyPixels));
    }
    let job = Job {
        path: path.to_owned(),
        inspected,
        limits: limits.clone(),
        screener,
        policy: policy.local_alone(),
        looks_locally: true,
        bans: Arc::new([]),
        approval: None,
        looked: Arc::new(AtomicBool::new(false)),
        timeout: TIMEOUT,
    };
    Ok(match job.run()? {
        Outcome::Approved(rendered) => Verdict::Approved {
            tags: rendered.tags,
            alt: rendered.alt,
        },
        Outcome::Rejected(reason) => Verdict::Rejected(reason),
        Outcome::Unsure(_) => anyhow::bail!("the local models alone were asked, and asked others"),
    })
}
