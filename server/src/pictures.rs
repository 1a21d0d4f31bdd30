//! The use cases: a picture is received, screened, published, read, deleted, and over.
//!
//! `intake` receives uploads, `screening` takes a worker's turn, `endings` hides and deletes,
//! `purging` has caches purged, `recovery` mends what a crash left behind, and `reading` answers
//! questions. They share the `collection`, and know only those of each other that their types hold.
//! All of them know the domain, imaging, storage, screening, CDNs and the index, and nothing of
//! HTTP or pages.

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

use secrecy::SecretString;

use self::clients::Clients;
use self::collection::Collection;
pub use self::collection::Status;
pub use self::endings::{DeleteError, Endings};
use self::incoming_files::IncomingFiles;
pub use self::intake::{Accepted, IncomingUpload, Intake, Sender, UploadError};
pub use self::purging::{PurgeProgress, Purging};
pub use self::reading::Reading;
pub use self::recovery::{Rebuilt, Recovery};
use self::screening::{Inspector, SecondOpinions};
pub(crate) use self::screening::{MIN_WORKERS, reason_of};
pub use self::screening::{Screening, outputs, try_out};
use crate::cdn::Cdns;
use crate::config::{BudgetSpent, LimitsConfig, RetryConfig};
use crate::costs::budget::Budget;
use crate::db::Db;
use crate::domain::expiry::Retention;
use crate::domain::policy::{Other, Policy};
use crate::runtime::clock::Clock;
use crate::screening::{Screener, SecondOpinion};
use crate::storage::ObjectStorage;

/// What the use cases need.
pub struct PicturesParts {
    pub db: Db,
    pub storage: Arc<dyn ObjectStorage>,
    pub screener: Arc<dyn Screener>,
    /// Gives a second opinion on pictures that the policy does not decide; `None` where the policy
    /// decides all of them, or nothing is screened.
    pub second_opinion: Option<Arc<dyn SecondOpinion>>,
    pub budget: Arc<Budget>,
    /// The CDNs in front of the site, which are told of deletions.
    pub cdns: Cdns,
    pub clock: Clock,
    /// The folder of unfinished and unscreened uploads, which is private.
    pub incoming_dir: PathBuf,
    pub limits: LimitsConfig,
    pub retention: Retention,
    pub policy: Policy,
    /// What happens to pictures that cannot be paid for.
    pub budget_spent: BudgetSpent,
    /// How often and when a paid call is made again, and how long a picture that waits for the next
    /// month rests before it checks the budget again.
    pub retries: RetryConfig,
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
    /// Creates the folder of incoming files, and puts the use cases together.
    ///
    /// # Errors
    /// When the folder cannot be created.
    pub async fn open(parts: PicturesParts) -> anyhow::Result<Self> {
        let PicturesParts {
            db,
            storage,
            screener,
            second_opinion,
            budget,
            cdns,
            clock,
            incoming_dir,
            limits,
            retention,
            policy,
            budget_spent,
            retries,
            admin_token,
        } = parts;
        let other = second_opinion.as_ref().map(|opinion| Other {
            id: opinion.vendor().id.to_owned(),
            rules: opinion.rules(),
        });
        let inspector = Arc::new(Inspector {
            screener,
            policy,
            other: other.unwrap_or_default(),
            looks_locally: policy.looks_locally() || budget_spent == BudgetSpent::Local,
            limits: limits.of_one_picture(),
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
            second_opinion,
            budget.clone(),
            budget_spent,
            retries,
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
