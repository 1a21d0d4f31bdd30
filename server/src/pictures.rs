//! The use cases: a picture is received, screened, published, read, deleted, and over.
//!
//! `intake` receives uploads, `screening` is a worker's turn, `endings` hides and deletes, `purging` has caches forget,
//! `recovery` mends what a crash left, `reading` answers. They share the `collection`, and know of each other only what their
//! types hold. All of it knows domain, imaging, storage, screening, CDNs and index, and nothing of HTTP or pages.

mod clients;
mod collection;
mod endings;
mod incoming_files;
mod intake;
mod manifest;
mod purging;
mod reading;
mod recovery;
mod screening;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use self::clients::Clients;
use self::collection::Collection;
pub use self::collection::Status;
pub use self::endings::{DeleteError, Endings};
use self::incoming_files::IncomingFiles;
pub use self::intake::{Accepted, IncomingUpload, Intake, UploadError};
pub use self::purging::{PurgeProgress, Purging};
pub use self::reading::Reading;
pub use self::recovery::{Rebuilt, Recovery};
pub(crate) use self::screening::MIN_WORKERS;
use self::screening::{Inspector, SecondOpinions};
pub use self::screening::{RekognitionReviewer, Screening, outputs};
use crate::cdn::Cdns;
use crate::config::{BudgetSpent, LimitsConfig};
use crate::costs::budget::Budget;
use crate::db::Db;
use crate::domain::expiry::Retention;
use crate::domain::policy::Policy;
use crate::runtime::clock::Clock;
use crate::screening::Screener;
use crate::storage::ObjectStorage;

/// What the use cases need.
pub struct PicturesParts {
    pub db: Db,
    pub storage: Arc<dyn ObjectStorage>,
    pub screener: Arc<dyn Screener>,
    /// Who is asked about pictures that the policy does not decide; absent where it decides all, or nothing is screened.
    pub reviewer: Option<RekognitionReviewer>,
    pub budget: Arc<Budget>,
    /// What stands in front of the site and is told of deletions.
    pub cdns: Cdns,
    pub clock: Clock,
    /// Holds unfinished and unscreened uploads; private.
    pub incoming_dir: PathBuf,
    pub limits: LimitsConfig,
    pub retention: Retention,
    pub policy: Policy,
    /// What becomes of pictures that cannot be paid for.
    pub budget_spent: BudgetSpent,
    /// When a picture that waits for the month to turn looks again.
    pub spent_rest: Duration,
    pub admin_token: Option<SecretString>,
}

/// All that can be done with the pictures of this site.
pub struct Pictures {
    pub intake: Arc<Intake>,
    pub screening: Arc<Screening>,
    pub endings: Arc<Endings>,
    pub purging: Arc<Purging>,
    pub recovery: Arc<Recovery>,
    pub reading: Arc<Reading>,
    collection: Arc<Collection>,
}

impl Pictures {
    /// Prepares the folder of incoming files, and puts the use cases together.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub async fn open(parts: PicturesParts) -> anyhow::Result<Self> {
        let PicturesParts {
            db,
            storage,
            screener,
            reviewer,
            budget,
            cdns,
            clock,
            incoming_dir,
            limits,
            retention,
            policy,
            budget_spent,
            spent_rest,
            admin_token,
        } = parts;
        let inspector = Arc::new(Inspector {
            screener,
            policy,
            looks_locally: policy.looks_locally() || budget_spent == BudgetSpent::Local,
            limits: imaging::Limits {
                max_pixels: limits.max_pixels,
                memory_bytes: limits.decode_memory_bytes,
                ..imaging::Limits::default()
            },
        });
        let collection = Arc::new(Collection::new(
            db,
            storage,
            IncomingFiles::open(incoming_dir).await?,
            retention,
            Clients::new(clock.clone(), limits.uploads_per_hour),
            clock,
        ));
        let second_opinions = Arc::new(SecondOpinions::new(
            collection.clone(),
            reviewer,
            budget.clone(),
            budget_spent,
            spent_rest,
        ));
        let purging = Arc::new(Purging::new(collection.clone(), cdns, budget.clone()));
        Ok(Self {
            intake: Arc::new(Intake::new(
                collection.clone(),
                inspector.clone(),
                second_opinions.clone(),
                limits.clone(),
            )),
            screening: Arc::new(Screening::new(
                collection.clone(),
                inspector,
                second_opinions,
                limits,
            )?),
            endings: Arc::new(Endings::new(
                collection.clone(),
                purging.clone(),
                admin_token,
            )),
            recovery: Arc::new(Recovery::new(collection.clone(), budget, purging.clone())),
            reading: Arc::new(Reading::new(collection.clone())),
            purging,
            collection,
        })
    }

    /// Succeeds when index, storage and screening can be used.
    ///
    /// # Errors
    /// When one of them cannot.
    pub async fn check(&self) -> anyhow::Result<()> {
        self.collection.db.check().await?;
        self.collection.storage.check().await?;
        self.screening.check()
    }
}
