//! What an operator can set. It is read once at start and then passed on in parts; nothing reads it
//! globally.

mod budget;
mod cdn;
pub(crate) mod env;
mod hosting;
mod parse;
mod screening;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::http::HeaderName;
use bytesize::ByteSize;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

pub use self::budget::BudgetConfig;
pub use self::cdn::{CdnConfig, CloudFrontConfig, CloudflareConfig};
pub use self::env::is_set;
pub use self::hosting::HostingConfig;
pub(crate) use self::parse::is_here;
use self::parse::{
    is_bucket, is_contact, parse_client_address, parse_pixels, parse_public_url, parse_retention,
};
pub use self::screening::{Asked, BudgetSpent, RetryConfig, ScreeningConfig};
use crate::config::env::Env;
use crate::domain::expiry::Retention;

/// The whole configuration.
#[derive(Debug, Clone)]
pub struct Config {
    pub http: HttpConfig,
    pub origin: OriginConfig,
    pub files: FilesConfig,
    pub storage: StorageConfig,
    pub limits: LimitsConfig,
    pub budget: BudgetConfig,
    pub hosting: HostingConfig,
    pub retention: Retention,
    pub screening: ScreeningConfig,
    pub cdn: CdnConfig,
}

/// How the site is reached, and what it says about itself.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// `CATTO_LISTEN`: the address to bind. Port 0 takes any free port.
    pub listen: SocketAddr,
    /// `CATTO_PUBLIC_URL`: the URL from which links are built, with `http` or `https` and without a
    /// path.
    pub public_url: Url,
    /// `CATTO_ABUSE_CONTACT`: an e-mail address or URL for the footer and `security.txt`.
    pub abuse_contact: Option<String>,
    /// `CATTO_ADMIN_TOKEN`: a token that deletes any picture, of at least 16 characters.
    pub admin_token: Option<SecretString>,
    /// `CATTO_SITE_DIR`: the folder with the built CSS, JavaScript and WASM. The default is the
    /// folder `site` beside the executable.
    pub site_dir: PathBuf,
}

/// What stands in front of this server.
#[derive(Debug, Clone)]
pub struct OriginConfig {
    /// `CATTO_ORIGIN_KEY`: one secret, or two while they are being changed, of at least 16
    /// characters each. The CDN sends one of them as `X-Catto-Origin-Key`. Where any is set,
    /// requests without one get 403.
    pub keys: Vec<SecretString>,
    /// `CATTO_CLIENT_ADDRESS`: where the client's address is read from.
    pub client_address: ClientAddress,
}

/// Where a client's address is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientAddress {
    /// `socket`: the address that opened the connection.
    Socket,
    /// `header:NAME`: the last address in this header. It only counts in requests with an origin
    /// key, because anyone can send a header.
    Header(HeaderName),
}

/// Where files lie on disk.
#[derive(Debug, Clone)]
pub struct FilesConfig {
    /// `CATTO_DATA_DIR`: the folder for pictures, the index and unfinished uploads.
    pub data_dir: PathBuf,
    /// `CATTO_MODELS_DIR`: the folder with the local models.
    pub models_dir: PathBuf,
    /// `CATTO_DATABASE_URL`: the index, as `sqlite://…`. The default is `index.sqlite` in the data
    /// folder.
    pub database_url: String,
}

/// `CATTO_STORAGE`: where published pictures are stored.
#[derive(Debug, Clone)]
pub enum StorageConfig {
    /// `disk`: in a folder below the data folder.
    Disk,
    /// `s3`: in a bucket of Amazon S3, or of another service with the same protocol.
    S3(S3Config),
}

/// Which bucket to use, and how to address it. The SDK itself reads region, endpoint and
/// credentials.
#[derive(Debug, Clone)]
pub struct S3Config {
    /// `CATTO_S3_BUCKET`: the bucket's name.
    pub bucket: String,
    /// `CATTO_S3_FORCE_PATH_STYLE`: true where the bucket is named in the path and not in the host.
    /// Most services other than Amazon's need this.
    pub force_path_style: bool,
}

/// What an upload may be, and how many there may be.
#[derive(Debug, Clone)]
pub struct LimitsConfig {
    /// `CATTO_MAX_UPLOAD_BYTES`: the largest file, in bytes.
    pub max_upload_bytes: u64,
    /// `CATTO_MAX_PIXELS`: the width times the height of the largest picture.
    pub max_pixels: u64,
    /// `CATTO_MAX_STORED_BYTES`: the limit in bytes for all published objects, including those that
    /// may be made of accepted uploads. Beyond it uploads are answered with 503.
    pub max_stored_bytes: u64,
    /// `CATTO_UPLOADS_PER_HOUR`: uploads per hour of one client, that is of one IPv4 address or one
    /// IPv6 /56. All of them may come at once, and a refused upload counts twice.
    pub uploads_per_hour: NonZeroU32,
    /// `CATTO_UPLOADS_PER_DAY`: uploads of all clients together within 24 hours. Only those count
    /// that were looked at or wait for it.
    pub uploads_per_day: u32,
    /// Memory for all pictures that are being decoded, in bytes. It is fixed, because it keeps a
    /// machine with 256 MB alive.
    pub decode_memory_bytes: u64,
    /// Uploads that are received at the same time; further ones wait for their turn. It is fixed,
    /// because it bounds the disk space and memory that strangers can hold.
    pub uploads_at_once: usize,
    /// How long an upload waits for its turn (fixed).
    pub upload_turn_timeout: Duration,
    /// How long a client may send nothing in the middle of an upload (fixed).
    pub body_idle_timeout: Duration,
    /// How long a whole upload may take (fixed). The largest file takes this long at 35 kB/s.
    pub body_timeout: Duration,
    /// How long one picture may be worked on (fixed).
    pub picture_timeout: Duration,
    /// How much longer a decoder gets to notice that its time is over, before its thread is given
    /// up (fixed).
    pub give_up_after: Duration,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            max_upload_bytes: 20 * 1024 * 1024,
            max_pixels: 50_000_000,
            max_stored_bytes: 5_000_000_000,
            uploads_per_hour: NonZeroU32::new(60).expect("60 is not 0"),
            uploads_per_day: 2000,
            decode_memory_bytes: 110_000_000,
            uploads_at_once: 32,
            upload_turn_timeout: Duration::from_secs(10),
            body_idle_timeout: Duration::from_secs(20),
            body_timeout: Duration::from_secs(600),
            picture_timeout: Duration::from_secs(60),
            give_up_after: Duration::from_secs(10),
        }
    }
}

/// Everything that is wrong with the configuration, one line per problem.
#[derive(Debug, thiserror::Error)]
pub struct ConfigError(Vec<String>);

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "the configuration has {} problem(s):",
            self.0.len()
        )?;
        for problem in &self.0 {
            write!(formatter, "\n  - {problem}")?;
        }
        write!(formatter, "\nThe file .env.sample explains every variable.")
    }
}

impl ConfigError {
    /// The problems, each beginning with the name of its variable.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.0
    }
}

impl Config {
    /// Reads the configuration from environment variables.
    ///
    /// # Errors
    /// All problems at once, each naming its variable.
    pub fn from_env() -> Result<Self, ConfigError> {
        let mut env = Env::default();
        let files = FilesConfig::from_env(&mut env);
        let config = Self {
            http: HttpConfig::from_env(&mut env),
            origin: OriginConfig::from_env(&mut env),
            files,
            storage: StorageConfig::from_env(&mut env),
            limits: LimitsConfig::from_env(&mut env),
            budget: BudgetConfig::from_env(&mut env),
            hosting: HostingConfig::from_env(&mut env),
            retention: env.parsed_with("CATTO_RETENTION", Retention::default(), parse_retention),
            screening: ScreeningConfig::from_env(&mut env),
            cdn: CdnConfig::from_env(&mut env),
        };
        let problems = env.into_problems();
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError(problems))
        }
    }
}

impl HttpConfig {
    fn from_env(env: &mut Env) -> Self {
        let listen = env.parsed(
            "CATTO_LISTEN",
            SocketAddr::from((Ipv4Addr::LOCALHOST, 3000)),
        );
        let public_url = env.parsed_with(
            "CATTO_PUBLIC_URL",
            Url::parse("http://127.0.0.1:3000").expect("a constant URL parses"),
            parse_public_url,
        );
        let admin_token = env.secret("CATTO_ADMIN_TOKEN");
        if admin_token
            .as_ref()
            .is_some_and(|token| token.expose_secret().len() < 16)
        {
            env.problem("CATTO_ADMIN_TOKEN", "is shorter than 16 characters");
        }
        let abuse_contact = env.text("CATTO_ABUSE_CONTACT");
        if abuse_contact
            .as_ref()
            .is_some_and(|contact| !is_contact(contact))
        {
            env.problem(
                "CATTO_ABUSE_CONTACT",
                "is neither an e-mail address nor an http(s) or mailto URL",
            );
        }
        let site_dir = env
            .text("CATTO_SITE_DIR")
            .map_or_else(site_beside_executable, PathBuf::from);
        Self {
            listen,
            public_url,
            abuse_contact,
            admin_token,
            site_dir,
        }
    }
}

impl OriginConfig {
    fn from_env(env: &mut Env) -> Self {
        let keys: Vec<SecretString> = env
            .secret("CATTO_ORIGIN_KEY")
            .iter()
            .flat_map(|keys| keys.expose_secret().split(','))
            .map(|key| SecretString::from(key.trim()))
            .collect();
        if keys.len() > 2 {
            env.problem("CATTO_ORIGIN_KEY", "holds more than two keys");
        }
        if keys.iter().any(|key| key.expose_secret().len() < 16) {
            env.problem("CATTO_ORIGIN_KEY", "holds a key shorter than 16 characters");
        }
        let client_address = env.parsed_with(
            "CATTO_CLIENT_ADDRESS",
            ClientAddress::Socket,
            parse_client_address,
        );
        Self {
            keys,
            client_address,
        }
    }
}

impl FilesConfig {
    fn from_env(env: &mut Env) -> Self {
        let data_dir = PathBuf::from(
            env.text("CATTO_DATA_DIR")
                .unwrap_or_else(|| "./data".into()),
        );
        let models_dir = PathBuf::from(
            env.text("CATTO_MODELS_DIR")
                .unwrap_or_else(|| "./models".into()),
        );
        if absolute(&models_dir).starts_with(absolute(&data_dir)) {
            env.problem(
                "CATTO_MODELS_DIR",
                "must not lie in the data folder (CATTO_DATA_DIR)",
            );
        }
        let database_url = env
            .text("CATTO_DATABASE_URL")
            .unwrap_or_else(|| format!("sqlite://{}", data_dir.join("index.sqlite").display()));
        if !database_url.starts_with("sqlite:") {
            env.problem(
                "CATTO_DATABASE_URL",
                "must begin with `sqlite:`, because no other database is supported yet",
            );
        }
        Self {
            data_dir,
            models_dir,
            database_url,
        }
    }
}

impl StorageConfig {
    fn from_env(env: &mut Env) -> Self {
        let storage = env.text("CATTO_STORAGE").unwrap_or_else(|| "disk".into());
        let bucket = env.text("CATTO_S3_BUCKET");
        let force_path_style = env.text("CATTO_S3_FORCE_PATH_STYLE");
        match storage.as_str() {
            "s3" => {
                if bucket.is_none() {
                    env.problem(
                        "CATTO_S3_BUCKET",
                        "is not set, but CATTO_STORAGE is `s3`, which needs it",
                    );
                } else if !bucket.as_deref().is_some_and(is_bucket) {
                    env.problem(
                        "CATTO_S3_BUCKET",
                        "is not the plain name of a bucket, which has 3 to 63 letters, digits, dots, hyphens and underscores",
                    );
                }
                Self::S3(S3Config {
                    bucket: bucket.unwrap_or_default(),
                    force_path_style: env.parsed("CATTO_S3_FORCE_PATH_STYLE", false),
                })
            }
            "disk" => {
                // An operator who names a bucket believes that pictures are stored there.
                for (name, value) in [
                    ("CATTO_S3_BUCKET", bucket),
                    ("CATTO_S3_FORCE_PATH_STYLE", force_path_style),
                ] {
                    if value.is_some() {
                        env.problem(
                            name,
                            "is set, but CATTO_STORAGE is `disk`, which does not use it",
                        );
                    }
                }
                Self::Disk
            }
            _ => {
                env.problem(
                    "CATTO_STORAGE",
                    &format!("is `{storage}`: must be `disk` or `s3`"),
                );
                Self::Disk
            }
        }
    }
}

impl LimitsConfig {
    /// The limits for each picture by itself.
    #[must_use]
    pub fn of_one_picture(&self) -> imaging::Limits {
        imaging::Limits {
            max_pixels: self.max_pixels,
            memory_bytes: self.decode_memory_bytes,
            ..imaging::Limits::default()
        }
    }

    fn from_env(env: &mut Env) -> Self {
        let default = Self::default();
        Self {
            max_upload_bytes: env
                .parsed("CATTO_MAX_UPLOAD_BYTES", ByteSize(default.max_upload_bytes))
                .as_u64(),
            max_pixels: env.parsed_with("CATTO_MAX_PIXELS", default.max_pixels, parse_pixels),
            max_stored_bytes: env
                .parsed("CATTO_MAX_STORED_BYTES", ByteSize(default.max_stored_bytes))
                .as_u64(),
            uploads_per_hour: env.parsed("CATTO_UPLOADS_PER_HOUR", default.uploads_per_hour),
            uploads_per_day: env.parsed("CATTO_UPLOADS_PER_DAY", default.uploads_per_day),
            ..default
        }
    }
}

fn site_beside_executable() -> PathBuf {
    std::env::current_exe()
        .ok()
        .and_then(|executable| executable.parent().map(|folder| folder.join("site")))
        .unwrap_or_else(|| PathBuf::from("site"))
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
