//! Where the server runs, as far as that costs money.

use crate::config::env::Env;

/// What the platform says about itself.
#[derive(Debug, Clone, Default)]
pub struct HostingConfig {
    /// `FLY_APP_NAME`: Fly.io sets this variable. Where it is set, the machine is on the bill.
    pub at_fly: bool,
}

impl HostingConfig {
    pub(super) fn from_env(env: &mut Env) -> Self {
        Self {
            at_fly: env.text("FLY_APP_NAME").is_some(),
        }
    }
}
