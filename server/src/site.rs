//! Opens a site from its configuration: the storage, the index, the clients of other services, and
//! what is built on them.

pub mod claim;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use app::backend::{Code, SiteFiles};
use app::types::{LifeChoice, SiteView, UploadRules};
use async_trait::async_trait;
use aws_config::SdkConfig;
use leptos::config::LeptosOptions;

use crate::aws;
use crate::builds::{Build, Builds, Successor};
use crate::cdn::Cdns;
use crate::config::{Asked, Config, StorageConfig};
use crate::costs::billing::Billing;
use crate::costs::budget::Budget;
use crate::costs::counted_storage::CountedStorage;
use crate::costs::traffic::Traffic;
use crate::db::Db;
use crate::domain::build::AssetKind;
use crate::domain::expiry::Retention;
use crate::http::cache::PAGES_TAG;
use crate::http::guesses::Guesses;
use crate::http::shares::{ScanShares, Shares};
use crate::http::state::AppState;
use crate::jobs::self_probe::SelfProbe;
use crate::pictures::{Pictures, PicturesParts, Purging};
use crate::runtime::clock::Clock;
use crate::screening::rekognition::Rekognition;
use crate::screening::{Screener, SecondOpinion};
use crate::storage::{DiskStorage, ObjectStorage, S3Storage};

/// How long the start waits until this build's files are stored. Whatever is not stored by then is
/// stored later.
const PATIENCE_WITH_STORAGE: Duration = Duration::from_secs(10);

/// The lives that the upload page offers where they are shorter than the retention, in seconds:
/// three days, a day, an hour.
const SHORTER_LIVES: [u64; 3] = [3 * 24 * 3600, 24 * 3600, 3600];

/// The external services that a site needs, open and ready.
pub struct Services {
    pub storage: Arc<dyn ObjectStorage>,
    /// The CDNs that are told when a picture is deleted.
    pub cdns: Cdns,
    pub screener: Arc<dyn Screener>,
    /// Who is paid for a verdict on what the local models do not decide; absent where nobody is
    /// asked.
    pub second_opinion: Option<Arc<dyn SecondOpinion>>,
}

/// Opens the index and the storage, and puts the site together.
///
/// # Errors
/// When the data folder, the index or the built site cannot be used.
pub async fn open(
    config: &Config,
    screener: Arc<dyn Screener>,
    clock: Clock,
) -> anyhow::Result<AppState> {
    let services = Services {
        storage: open_storage(config).await?,
        cdns: Cdns::open(&config.cdn, &config.http.public_url, &clock).await?,
        screener,
        second_opinion: open_second_opinion(config).await?,
    };
    open_with(config, services, clock).await
}

/// Opens a site like [`open`], with services that are open already.
///
/// # Errors
/// When the data folder, the index or the built site cannot be used.
pub async fn open_with(
    config: &Config,
    services: Services,
    clock: Clock,
) -> anyhow::Result<AppState> {
    let traffic = Arc::new(Traffic::new(clock.clone()));
    let storage: Arc<dyn ObjectStorage> = Arc::new(CountedStorage {
        inner: services.storage,
        traffic: traffic.clone(),
    });
    let services = Services {
        storage: storage.clone(),
        ..services
    };
    let build = Build::load(&config.http.site_dir)?;
    let files = files_of(&build)?;
    let (asks, asked) = (config.screening.policy.asks(), config.screening.asked);
    let site = SiteView {
        public_url: config
            .http
            .public_url
            .as_str()
            .trim_end_matches('/')
            .to_owned(),
        retention: config.retention.in_words(),
        abuse_contact: config.http.abuse_contact.clone(),
        second_opinion: asks.then(|| asked.vendor().full_name.to_owned()),
        rules: UploadRules {
            max_bytes: config.limits.max_upload_bytes,
            max_pixels: config.limits.max_pixels,
            shorter_lives: shorter_lives(config.retention),
        },
    };
    let leptos = LeptosOptions::builder()
        .output_name("cattocdn")
        .site_addr(config.http.listen)
        .build();
    let Core {
        index,
        budget,
        pictures,
    } = core_on(config, services, clock.clone()).await?;
    let builds = Builds::new(
        build,
        storage,
        clock.clone(),
        config.retention,
        pictures.purging.clone(),
    );
    pictures.recovery.rebuild_if_lost().await?;
    pictures.recovery.recover().await?;
    builds.keep_within(PATIENCE_WITH_STORAGE).await;
    Ok(AppState {
        index,
        limits: Arc::new(config.limits.clone()),
        budget,
        pictures: Arc::new(pictures),
        site: Arc::new(site),
        files: Arc::new(files),
        origin: Arc::new(config.origin.clone()),
        guesses: Arc::new(Guesses::new(clock.clone())),
        clock,
        builds: Arc::new(builds),
        traffic,
        billing: Arc::new(Billing::new(config)?),
        self_probe: Arc::new(SelfProbe::new(config)),
        answers: Arc::default(),
        shares: Arc::new(Shares::of_requests()),
        scan_shares: Arc::new(ScanShares::default()),
        page_policy: Arc::default(),
        leptos,
    })
}

/// The lives that the upload page offers beside the retention.
fn shorter_lives(retention: Retention) -> Vec<LifeChoice> {
    let asked = SHORTER_LIVES.into_iter().map(Duration::from_secs);
    let lives = asked.filter_map(|asked| retention.shortened_to(asked));
    lives
        .filter(|lives| *lives < retention)
        .map(|lives| LifeChoice {
            seconds: lives.seconds(),
            words: lives.in_words(),
        })
        .collect()
}

/// The files that pages load.
fn files_of(build: &Build) -> anyhow::Result<SiteFiles> {
    let code = |stem| -> anyhow::Result<Code> {
        Ok(Code {
            script: build.path_of(stem, AssetKind::JavaScript)?,
            wasm: build.path_of(stem, AssetKind::Wasm)?,
        })
    };
    Ok(SiteFiles {
        style: build.path_of("cattocdn", AssetKind::Css)?,
        font: build.path_of("nunito", AssetKind::Woff2)?,
        card: build.path_of("card", AssetKind::Png)?,
        reading: code("cattocdn")?,
        uploading: code("uploads")?,
    })
}

/// Pages name the files of the build that rendered them, so the pages in caches are purged when a
/// build is replaced.
#[async_trait]
impl Successor for Purging {
    async fn build_was_replaced(&self) -> anyhow::Result<()> {
        self.enqueue_purge_of_tag(PAGES_TAG).await
    }
}

/// The parts of a site that a command needs, without those that only visitors need.
pub struct Core {
    pub index: Db,
    pub budget: Arc<Budget>,
    pub pictures: Pictures,
}

/// Opens only the index, the storage and the CDNs, for commands that need no site. No second
/// opinion can be asked for.
///
/// # Errors
/// When the data folder or the index cannot be used.
pub async fn open_core(
    config: &Config,
    screener: Arc<dyn Screener>,
    clock: Clock,
) -> anyhow::Result<Core> {
    let services = Services {
        storage: open_storage(config).await?,
        cdns: Cdns::open(&config.cdn, &config.http.public_url, &clock).await?,
        screener,
        second_opinion: None,
    };
    core_on(config, services, clock).await
}

/// Whoever is asked for a second opinion, where the configuration wants one.
async fn open_second_opinion(config: &Config) -> anyhow::Result<Option<Arc<dyn SecondOpinion>>> {
    let screening = &config.screening;
    if !screening.policy.asks() {
        return Ok(None);
    }
    let sdk = if screening.asked.vendor().is_at_amazon {
        Some(aws::load().await?)
    } else {
        None
    };
    let opinion = second_opinion(config, sdk.as_ref());
    Ok(Some(opinion.context(
        "nobody can be asked for a second opinion (CATTO_SCREENING)",
    )?))
}

/// Whoever can be asked for a second opinion with this configuration. `None` for one at Amazon
/// where there are no settings to reach that with.
#[must_use]
pub fn second_opinion(
    config: &Config,
    amazon: Option<&SdkConfig>,
) -> Option<Arc<dyn SecondOpinion>> {
    let screening = &config.screening;
    Some(match screening.asked {
        Asked::Rekognition => Arc::new(Rekognition::new(amazon?, &screening.rekognition)),
    })
}

/// Opens the index and the storage only for the budget, for commands that spend but show no
/// picture. It creates no index and migrates none: a server does that.
///
/// # Errors
/// When there is no index of this version, or the storage cannot be used.
pub async fn open_budget(config: &Config, clock: &Clock) -> anyhow::Result<Budget> {
    let db = Db::open_existing(&config.files.database_url)
        .await
        .context("there is no index of this version yet (CATTO_DATABASE_URL); starting the server makes it")?;
    let storage = open_storage(config).await?;
    let budget = Budget::new(db, storage, clock.clone(), config.budget.limits());
    budget.restore_if_lost().await?;
    Ok(budget)
}

/// Opens the storage that the configuration names.
///
/// # Errors
/// When the data folder cannot be used, or there is no AWS region or no credentials.
pub async fn open_storage(config: &Config) -> anyhow::Result<Arc<dyn ObjectStorage>> {
    Ok(match &config.storage {
        StorageConfig::Disk => {
            make_data_dir(config)?;
            let folder = config.files.data_dir.join("objects");
            Arc::new(DiskStorage::open(&folder)?)
        }
        StorageConfig::S3(s3) => Arc::new(S3Storage::new(&aws::load().await?, s3)),
    })
}

fn make_data_dir(config: &Config) -> anyhow::Result<()> {
    let data_dir = &config.files.data_dir;
    std::fs::create_dir_all(data_dir)
        .with_context(|| format!("cannot make CATTO_DATA_DIR ({})", data_dir.display()))
}

async fn open_db(config: &Config) -> anyhow::Result<Db> {
    make_data_dir(config)?;
    Db::open(&config.files.database_url)
        .await
        .context("cannot open the index (CATTO_DATABASE_URL); if it is damaged, `cattocdn reindex` rebuilds it from the stored objects")
}

async fn core_on(config: &Config, services: Services, clock: Clock) -> anyhow::Result<Core> {
    let Services {
        storage,
        cdns,
        screener,
        second_opinion,
    } = services;
    let data_dir = &config.files.data_dir;
    let db = open_db(config).await?;
    let budget = Arc::new(Budget::new(
        db.clone(),
        storage.clone(),
        clock.clone(),
        config.budget.limits(),
    ));
    let screening = &config.screening;
    let pictures = Pictures::open(PicturesParts {
        db: db.clone(),
        storage,
        screener,
        second_opinion,
        budget: budget.clone(),
        cdns,
        clock,
        incoming_dir: data_dir.join("incoming"),
        limits: config.limits.clone(),
        retention: config.retention,
        policy: screening.policy,
        budget_spent: screening.budget_spent,
        retries: screening.retries.clone(),
        admin_token: config.http.admin_token.clone(),
    })
    .await?;
    Ok(Core {
        index: db,
        budget,
        pictures,
    })
}

/// Renames a damaged index and its companion files, so that a new one can be created. Returns the
/// new name, or `None` where the index is sound or absent.
///
/// # Errors
/// When the index cannot be examined or renamed.
pub async fn put_aside_if_damaged(config: &Config) -> anyhow::Result<Option<PathBuf>> {
    let url = &config.files.database_url;
    if !Db::is_damaged(url).await? {
        return Ok(None);
    }
    let path = Db::path(url)?;
    let now = Clock::default().now();
    let suffix = format!(".damaged-{}", now.strftime("%Y%m%dT%H%M%SZ"));
    let with = |end: &str| {
        let mut name = path.clone().into_os_string();
        name.push(end);
        PathBuf::from(name)
    };
    for companion in ["", "-wal", "-shm"] {
        let old = with(companion);
        if old.exists() {
            std::fs::rename(&old, with(&format!("{suffix}{companion}")))
                .with_context(|| format!("cannot rename {}", old.display()))?;
        }
    }
    Ok(Some(with(&suffix)))
}
