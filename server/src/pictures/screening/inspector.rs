//! What is known of an upload before its pixels are decoded: what its header tells, and the rules
//! under which it is judged.

use std::path::PathBuf;
use std::sync::Arc;

use imaging::{ImageError, Inspected, Limits};

use super::pixels::outputs;
use crate::domain::policy::{Other, Policy};
use crate::domain::verdict::Rules;
use crate::runtime::compute::{self, ComputeError};
use crate::screening::{Screener, ScreeningError};

/// Reads headers, and knows who judges pictures.
pub(crate) struct Inspector {
    pub(crate) screener: Arc<dyn Screener>,
    pub(crate) policy: Policy,
    /// Who is asked where the policy asks somebody.
    pub(crate) other: Other,
    /// True where the local models see every picture, to judge it or to stand in for calls that
    /// cannot be paid for.
    pub(crate) looks_locally: bool,
    /// How large a picture may be.
    pub(crate) limits: Limits,
}

/// What a header tells, and the rules under which the picture is judged.
pub(crate) struct Header {
    pub(crate) inspected: Result<Inspected, ImageError>,
    /// The current rules. This fails where the models cannot say who they are.
    pub(crate) rules: Result<RulesNow, ScreeningError>,
}

/// The rules under which pictures are judged now.
pub(crate) struct RulesNow {
    /// The rules of whoever has the last word.
    pub(crate) in_force: Rules,
    /// The rules of the local models alone, for when nobody else can be paid.
    pub(crate) local_alone: Rules,
}

impl Inspector {
    /// Inspects a file's header, and reads the rules under which pictures are judged now. This runs
    /// on a thread of low priority.
    ///
    /// # Errors
    /// When the thread cannot be started, or it panics.
    pub(crate) async fn inspect(&self, path: PathBuf) -> Result<Header, ComputeError> {
        let (screener, policy) = (self.screener.clone(), self.policy);
        let other = self.other.clone();
        let (looks_locally, limits) = (self.looks_locally, self.limits.clone());
        compute::run(move || {
            let identity = looks_locally.then(|| screener.identity()).transpose();
            let rules = identity.map(|identity| {
                let identity = identity.unwrap_or_default();
                RulesNow {
                    in_force: policy.rules(&identity, &other),
                    local_alone: policy.local_alone().rules(&identity, &other),
                }
            });
            Header {
                inspected: imaging::inspect(&path, &limits, &outputs()),
                rules,
            }
        })
        .await
    }

    /// Succeeds where the models can be used or are not needed.
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
