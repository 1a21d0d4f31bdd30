//! What every handler may use, built once from the configuration.

use std::sync::Arc;

use anyhow::Context;
use app::types::{SiteView, UploadRules};
use axum::extract::FromRef;
use axum::http::HeaderValue;
use leptos::config::LeptosOptions;
use tokio::sync::OnceCell;

use crate::aws;
use crate::clock::Clock;
use crate::config::{Config, StorageConfig};
use crate::db::Db;
use crate::http::assets::Assets;
use crate::pictures::{Pictures, PicturesParts};
use crate::screening::Screener;
use crate::storage::{DiskStorage, ObjectStorage, S3Storage};

/// The dependency bag; cheap to clone.
#[derive(Clone, FromRef)]
pub struct AppState {
    pub pictures: Arc<Pictures>,
    pub site: Arc<SiteView>,
    pub clock: Clock,
    pub assets: Arc<Assets>,
    /// The content security policy of all pages, made when the first is asked for.
    pub page_policy: Arc<OnceCell<HeaderValue>>,
    /// Leptos' own settings, as its routes want them.
    pub leptos: LeptosOptions,
}

impl AppState {
    /// Opens index and storage and composes everything.
    ///
    /// # Errors
    /// When the data folder, the index or the built site cannot be used.
    pub async fn new(
        config: &Config,
        screener: Arc<dyn Screener>,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let storage = open_storage(config).await?;
        Self::with_storage(config, storage, screener, clock).await
    }

    /// As [`Self::new`], on a storage that is open already.
    ///
    /// # Errors
    /// When the data folder, the index or the built site cannot be used.
    pub async fn with_storage(
        config: &Config,
        storage: Arc<dyn ObjectStorage>,
        screener: Arc<dyn Screener>,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let assets = Assets::load(&config.http.site_dir)?;
        // Leptos joins the hash file to the executable's folder, unless it is absolute.
        let site_dir = std::path::absolute(&config.http.site_dir)?;
        let site = SiteView {
            public_url: config
                .http
                .public_url
                .as_str()
                .trim_end_matches('/')
                .to_owned(),
            retention: config.retention.in_words(),
            abuse_contact: config.http.abuse_contact.clone(),
            rules: UploadRules {
                max_bytes: config.limits.max_upload_bytes,
                max_pixels: config.limits.max_pixels,
            },
        };
        let leptos = LeptosOptions::builder()
            .output_name("cattocdn")
            .site_root(Arc::<str>::from(site_dir.to_string_lossy()))
            .site_pkg_dir("pkg")
            .site_addr(config.http.listen)
            .hash_files(true)
            .hash_file(Arc::<str>::from(
                site_dir.join("hash.txt").to_string_lossy(),
            ))
            .build();
        let pictures = pictures_on(config, storage, screener, clock.clone()).await?;
        pictures.recover().await?;
        Ok(Self {
            pictures: Arc::new(pictures),
            site: Arc::new(site),
            clock,
            assets: Arc::new(assets),
            page_policy: Arc::default(),
            leptos,
        })
    }
}

/// Opens index and storage alone: what a command without a site needs.
///
/// # Errors
/// When the data folder or the index cannot be used.
pub async fn open_pictures(
    config: &Config,
    screener: Arc<dyn Screener>,
    clock: Clock,
) -> anyhow::Result<Pictures> {
    let storage = open_storage(config).await?;
    pictures_on(config, storage, screener, clock).await
}

/// Opens the place for objects that the configuration names.
async fn open_storage(config: &Config) -> anyhow::Result<Arc<dyn ObjectStorage>> {
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

async fn pictures_on(
    config: &Config,
    storage: Arc<dyn ObjectStorage>,
    screener: Arc<dyn Screener>,
    clock: Clock,
) -> anyhow::Result<Pictures> {
    make_data_dir(config)?;
    let data_dir = &config.files.data_dir;
    let db = Db::open(&config.files.database_url)
        .await
        .context("cannot open the index (CATTO_DATABASE_URL)")?;
    Pictures::open(PicturesParts {
        db,
        storage,
        screener,
        clock,
        incoming_dir: data_dir.join("incoming"),
        limits: config.limits.clone(),
        retention: config.retention,
        thresholds: config.screening.thresholds,
        admin_token: config.http.admin_token.clone(),
    })
    .await
}
