//! The configuration of a site in a temporary folder, for tests and simulations. It stands here and
//! not in the server, which does not depend on this crate and so cannot start with it by accident.

use std::path::Path;

use cattocdn::config::{
    BudgetConfig, CdnConfig, ClientAddress, Config, FilesConfig, HostingConfig, HttpConfig,
    LimitsConfig, OriginConfig, ScreeningConfig, StorageConfig,
};
use cattocdn::domain::expiry::Retention;

/// The operator's token of every such site.
pub const ADMIN_TOKEN: &str = "the-admin-of-these-tests";

/// A site whose files all lie in this folder, reached as `http://catto.test`, with the defaults of
/// a small one. Whoever asks comes from nowhere, which is one client, so that client may upload as
/// often as it likes.
#[must_use]
pub fn for_testing(dir: &Path) -> Config {
    let data_dir = dir.join("data");
    Config {
        http: HttpConfig {
            listen: ([127, 0, 0, 1], 0).into(),
            public_url: "http://catto.test".parse().expect("a constant URL"),
            abuse_contact: Some("abuse@catto.test".into()),
            admin_token: Some(ADMIN_TOKEN.to_owned().into()),
            site_dir: dir.join("site"),
        },
        origin: OriginConfig {
            keys: Vec::new(),
            client_address: ClientAddress::Socket,
        },
        files: FilesConfig {
            database_url: format!("sqlite://{}", data_dir.join("index.sqlite").display()),
            models_dir: dir.join("models"),
            data_dir,
        },
        storage: StorageConfig::Disk,
        limits: LimitsConfig {
            uploads_per_hour: 1_000_000.try_into().expect("a million is not 0"),
            ..LimitsConfig::default()
        },
        retention: Retention::default(),
        budget: BudgetConfig::default(),
        hosting: HostingConfig::default(),
        screening: ScreeningConfig::default(),
        cdn: CdnConfig::default(),
    }
}
