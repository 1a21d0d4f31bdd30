//! What is known of an upload before its pixels are decoded: what its header says, and under which rules it is judged.

use std::path::PathBuf;
use std::sync::Arc;

use imaging::{ImageError, Inspected, Limits};

use super::pixels::outputs;
use crate::domain::policy::Policy;
use crate::domain::verdict::Rules;
use crate::runtime::compute::{self, ComputeError};
use crate::screening::{Screener, ScreeningError};

/// Reads headers, and knows who judges.
pub(crate) struct Inspector {
    pub(crate) screener: Arc<dyn Screener>,
    pub(crate) policy: Policy,
    /// True where the local models see every picture: to judge it, or to stand in for calls that cannot be paid.
    pub(crate) looks_locally: bool,
    /// How large a picture may be.
    pub(crate) limits: Limits,
}

/// What a header says, and who judges the picture.
pub(crate) struct Header {
    pub(crate) inspected: Result<Inspected, ImageError>,
    /// Fails where the models cannot be asked which ones they are.
    pub(crate) rules: Result<RulesNow, ScreeningError>,
}

/// Under which rules pictures are judged now.
pub(crate) struct RulesNow {
    /// Of whoever has the last word.
    pub(crate) in_force: Rules,
    /// Of the local models alone, for when nobody else can be paid.
    pub(crate) local_alone: Rules,
}

impl Inspector {
    /// Looks at a file's header, and asks under which rules pictures are judged now. On a thread that steps back for
    /// requests.
    ///
    /// # Errors
    /// When there is no such thread, or it panics.
    pub(crate) async fn inspect(&self, path: PathBuf) -> Result<Header, ComputeError> {
        let (screener, policy) = (self.screener.clone(), self.policy);
        let (looks_locally, limits) = (self.looks_locally, self.limits.clone());
        compute::run(move || {
            let identity = looks_locally.then(|| screener.identity()).transpose();
            let rules = identity.map(|identity| {
                let identity = identity.unwrap_or_default();
                RulesNow {
                    in_force: policy.rules(&identity),
                    local_alone: policy.local_alone().rules(&identity),
                }
            });
            Header {
                inspected: imaging::inspect(&path, &limits, &outputs()),
                rules,
            }
        })
        .await
    }

    /// Succeeds where the models can be used, or need not be.
    ///
    /// # Errors
    /// When they are needed and cannot be used.
    pub(super) fn check(&self) -> Result<(), ScreeningError> {
        if self.looks_locally {
            self.screener.check()?;
        }
        Ok(())
    }
}
