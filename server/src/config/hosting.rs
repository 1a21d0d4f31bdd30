//! Where the server runs, as far as that costs money.

use crate::config::env::Env;

/// What the platform says of itself.
#[derive(Debug, Clone, Default)]
pub struct HostingConfig {
    /// `FLY_APP_NAME`, which Fly.io sets: its machine is on the bill then.
    pub at_fly: bool,
}

impl HostingConfig {
    pub(super) fn from_env(env: &mut Env) -> Self {
        Self {
            at_fly: env.text("FLY_APP_NAME").is_some(),
        }
    }
}
