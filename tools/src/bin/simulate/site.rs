//! The site under simulation: the real router, index and storage in a temporary folder, on a clock
//! that the simulation sets. One photograph is uploaded and screened; every other picture is a copy
//! of its row and files.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use cattocdn::config::Config;
use cattocdn::domain::expiry::{ExpiresAt, Retention, rfc3339};
use cattocdn::domain::search::index_text;
use cattocdn::domain::sight::Sight;
use cattocdn::domain::verdict::FrameLook;
use cattocdn::http::router;
use cattocdn::http::state::AppState;
use cattocdn::runtime::clock::Clock;
use cattocdn::screening::{Screener, ScreeningError};
use cattocdn::site;
use http_body_util::BodyExt;
use imaging::Raster;
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;
use tower::ServiceExt;

use tools::built_site;
use tools::caches::Answer;
use tools::config::{self, ADMIN_TOKEN};

/// When the week begins: 15 January 2027, 08:00 UTC, which is also the beginning of a slot of
/// `/random`.
pub(crate) const START_MS: i64 = 1_800_000_000_000;
pub(crate) const RETENTION_SECONDS: i64 = 7 * 24 * 3600;
/// The columns that every copy takes from the photograph.
const COPIED: &str = "delete_token_hash, content_hash, size_bytes, width, height, animated, alt, thumbhash, placeholder, \
                      perceptual_hash, stripped, variants, stored_bytes, rules";

type Done<T = ()> = Result<T, Box<dyn Error>>;

/// A picture to be published.
#[derive(Debug)]
pub(crate) struct Picture {
    pub(crate) id: String,
    pub(crate) published_second: i64,
    pub(crate) end_second: i64,
    pub(crate) tags: Vec<&'static str>,
}

/// The form of an instant in image URLs.
pub(crate) fn compact(second: i64) -> String {
    ExpiresAt::from_second(second).compact()
}

pub(crate) struct Site {
    pub(crate) clock: Clock,
    router: Router,
    state: AppState,
    index: SqliteConnection,
    images: PathBuf,
    /// The folder with the files of the photograph.
    files: PathBuf,
    sequence: i64,
    _dir: TempDir,
}

impl Site {
    pub(crate) async fn start() -> Done<Self> {
        let dir = tempfile::tempdir()?;
        let config = configured(dir.path())?;
        let site_dir = &config.http.site_dir;
        built_site::write(site_dir, "0123");
        let favicon = Path::new(env!("CARGO_MANIFEST_DIR")).join("../public/favicon.svg");
        std::fs::copy(favicon, site_dir.join("favicon.svg"))?;
        let clock = Clock::default();
        clock.stop_at(START_MS - 3 * RETENTION_SECONDS * 1000);
        let state = site::open(&config, Arc::new(SeesCats), clock.clone()).await?;
        let options = SqliteConnectOptions::new()
            .filename(config.files.data_dir.join("index.sqlite"))
            .synchronous(SqliteSynchronous::Off);
        let mut site = Self {
            clock,
            router: router(state.clone()),
            state,
            index: SqliteConnection::connect_with(&options).await?,
            images: config.files.data_dir.join("objects/i"),
            files: dir.path().join("files"),
            sequence: 1000,
            _dir: dir,
        };
        site.take_photograph().await?;
        Ok(site)
    }

    /// Uploads the photograph, keeps its row and files, and lets it expire.
    async fn take_photograph(&mut self) -> Done {
        let request = Request::post("/api/v1/pictures?wait=0").body(photograph()?.into())?;
        let (status, _, body) = self.send(request).await?;
        let answer: serde_json::Value = serde_json::from_slice(&body)?;
        let id = answer["id"].as_str().ok_or("no id")?.to_owned();
        if status != StatusCode::ACCEPTED || !self.state.pictures.screening.screen_next().await? {
            return Err(format!("the photograph was not taken: {answer}").into());
        }
        let path = format!("/api/v1/pictures/{id}");
        let (_, _, body) = self.send(Request::get(path).body(Body::empty())?).await?;
        let answer: serde_json::Value = serde_json::from_slice(&body)?;
        let end = answer["expires_at"].as_str().ok_or("not published")?;
        let end = end.parse::<jiff::Timestamp>()?.as_second();
        std::fs::create_dir(&self.files)?;
        copy_files(&self.images.join(compact(end)).join(&id), &self.files)?;
        let keep = format!(
            "CREATE TEMP TABLE photograph AS SELECT {COPIED} FROM pictures WHERE id = '{id}'"
        );
        sqlx::query(sqlx::AssertSqlSafe(keep))
            .execute(&mut self.index)
            .await?;
        self.clock.stop_at(START_MS - RETENTION_SECONDS * 1000);
        self.sweep().await
    }

    pub(crate) async fn publish(&mut self, picture: &Picture) -> Done {
        let folder = self
            .images
            .join(compact(picture.end_second))
            .join(&picture.id);
        std::fs::create_dir_all(&folder)?;
        copy_files(&self.files, &folder)?;
        let tags: Vec<_> = picture
            .tags
            .iter()
            .map(|name| serde_json::json!({ "name": name, "confidence": 0.9 }))
            .collect();
        self.sequence += 1;
        let copy = format!(
            "INSERT INTO pictures (id, state, received_at, sequence, published_at, expires_at, tags, tags_text, {COPIED})
             SELECT ?, 'published', ?, ?, ?, ?, ?, ?, {COPIED} FROM photograph"
        );
        sqlx::query(sqlx::AssertSqlSafe(copy))
            .bind(&picture.id)
            .bind(picture.published_second)
            .bind(self.sequence)
            .bind(picture.published_second)
            .bind(picture.end_second)
            .bind(serde_json::to_string(&tags)?)
            .bind(index_text(picture.tags.iter().copied()))
            .execute(&mut self.index)
            .await?;
        Ok(())
    }

    pub(crate) async fn delete(&self, id: &str) -> Done {
        let request = Request::builder()
            .method(Method::DELETE)
            .uri(format!("/api/v1/pictures/{id}"))
            .header(header::AUTHORIZATION, format!("Bearer {ADMIN_TOKEN}"))
            .body(Body::empty())?;
        match self.send(request).await? {
            (StatusCode::NO_CONTENT, ..) => Ok(()),
            (status, ..) => Err(format!("{id} was not deleted: {status}").into()),
        }
    }

    pub(crate) async fn sweep(&self) -> Done {
        self.state.pictures.endings.expire().await?;
        Ok(())
    }

    /// What the server answers at this moment.
    pub(crate) async fn get(&self, url: &str) -> Done<Arc<Answer>> {
        let request = Request::get(url).body(Body::empty())?;
        let (status, headers, body) = self.send(request).await?;
        if status.is_server_error() {
            return Err(format!(
                "{url} at {}: {status}",
                rfc3339(self.clock.now().as_second())
            )
            .into());
        }
        Ok(Arc::new(Answer {
            status,
            headers,
            body_bytes: body.len() as u64,
        }))
    }

    async fn send(
        &self,
        request: Request<Body>,
    ) -> Done<(StatusCode, axum::http::HeaderMap, axum::body::Bytes)> {
        let response = self.router.clone().oneshot(request).await?;
        let (parts, body) = response.into_parts();
        Ok((
            parts.status,
            parts.headers,
            body.collect().await?.to_bytes(),
        ))
    }
}

fn configured(dir: &Path) -> Done<Config> {
    let mut config = config::for_testing(dir);
    config.http.public_url = "https://catto.example".parse()?;
    config.retention = Retention::new(Duration::from_secs(u64::try_from(RETENTION_SECONDS)?))
        .ok_or("no retention")?;
    Ok(config)
}

/// Gives the same files a second name each, which takes no room on the disk.
fn copy_files(from: &Path, to: &Path) -> Done {
    for file in std::fs::read_dir(from)? {
        let file = file?;
        std::fs::hard_link(file.path(), to.join(file.file_name()))?;
    }
    Ok(())
}

/// A picture of 6 megapixels, so that its files are as large as a photograph's.
fn photograph() -> Done<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/tests/fixtures/chelsea.png");
    let file = std::io::BufReader::new(std::fs::File::open(path)?);
    let mut reader = png::Decoder::new(file).read_info()?;
    let mut rgb = vec![0; reader.output_buffer_size().ok_or("too large")?];
    let info = reader.next_frame(&mut rgb)?;
    let cat = Raster {
        width: info.width,
        height: info.height,
        rgb,
    };
    let (width, height) = (3000_u16, 2000_u16);
    let large = imaging::to_size(&cat, width.into(), height.into())?;
    let mut bytes = Vec::new();
    jpeg_encoder::Encoder::new(&mut bytes, 85).encode(
        &large.rgb,
        width,
        height,
        jpeg_encoder::ColorType::Rgb,
    )?;
    Ok(bytes)
}

/// A screener that sees a cat in everything.
struct SeesCats;

impl Screener for SeesCats {
    fn look(&self, _frame: &Raster, with_sight: bool) -> Result<FrameLook, ScreeningError> {
        Ok(FrameLook {
            indecency: 0.0,
            sight: with_sight.then(|| Sight::of_cat(0.9)),
        })
    }

    fn identity(&self) -> Result<String, ScreeningError> {
        Ok("sees cats".into())
    }

    fn check(&self) -> Result<(), ScreeningError> {
        Ok(())
    }
}
