//! AWS without AWS: two independent S3 servers, and a server that answers what a test tells it to.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use aws_config::{Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::credential_fn::provide_credentials_fn;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::Client;
use axum::Router;
use axum::body::Bytes;
use axum::error_handling::HandleError;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use cattocdn::config::S3Config;
use cattocdn::domain::picture::PictureId;
use cattocdn::storage::S3Storage;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tempfile::TempDir;
use tokio::net::TcpListener;

pub const ACCESS_KEY: &str = "AKIDCATTOTESTS000000";
pub const SECRET_KEY: &str = "a-secret-key-of-the-tests-0123456789ab";
/// The token that temporary credentials carry. The in-process server does not know such tokens and
/// gets none.
pub const SESSION_TOKEN: &str = "a-session-token-of-the-tests";
pub const REGION: &str = "us-east-1";

/// Credentials and endpoint as the environment would give them.
pub async fn sdk(endpoint: &str, secret_key: &str, session_token: Option<&str>) -> SdkConfig {
    let session_token = session_token.map(str::to_owned);
    cattocdn::aws::settings()
        .endpoint_url(endpoint)
        .region(Region::new(REGION))
        .credentials_provider(Credentials::new(
            ACCESS_KEY,
            secret_key,
            session_token,
            None,
            "tests",
        ))
        .load()
        .await
}

/// The same with a source of credentials that fails with this error the first time, and as not
/// loaded after that.
pub async fn sdk_without_credentials(endpoint: &str, error: CredentialsError) -> SdkConfig {
    let error = std::sync::Mutex::new(Some(error));
    let provider = provide_credentials_fn(move || {
        let error = lock(&error).take();
        async { Err(error.unwrap_or_else(|| CredentialsError::not_loaded("asked twice"))) }
    });
    cattocdn::aws::settings()
        .endpoint_url(endpoint)
        .region(Region::new(REGION))
        .credentials_provider(provider)
        .load()
        .await
}

/// A bucket of its own on a server that speaks S3.
pub struct Bucket {
    pub client: Client,
    pub name: String,
    pub endpoint: String,
    _dir: Option<TempDir>,
}

impl Bucket {
    /// A bucket on s3s-fs, which runs within this process and checks every signature.
    pub async fn on_s3s_fs() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let files = s3s_fs::FileSystem::new(dir.path()).expect("opens");
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = HandleError::new(service.build(), |error: s3s::HttpError| async move {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:?}"))
        });
        let endpoint = serve(Router::new().fallback_service(service)).await;
        Self::new(endpoint, Some(dir)).await
    }

    /// A bucket on moto, which all tests share.
    pub async fn on_moto() -> Self {
        Self::new(moto_endpoint(), None).await
    }

    async fn new(endpoint: String, dir: Option<TempDir>) -> Self {
        let sdk = sdk(&endpoint, SECRET_KEY, None).await;
        let config = aws_sdk_s3::config::Builder::from(&sdk).force_path_style(true);
        let client = Client::from_conf(config.build());
        // The names of buckets are lower case.
        let name = format!("catto-{}", PictureId::random()).to_lowercase();
        client
            .create_bucket()
            .bucket(&name)
            .send()
            .await
            .expect("makes a bucket");
        Self {
            client,
            name,
            endpoint,
            _dir: dir,
        }
    }

    pub async fn storage(&self) -> S3Storage {
        storage(&sdk(&self.endpoint, SECRET_KEY, None).await, &self.name)
    }

    /// Every key in the bucket.
    pub async fn keys(&self) -> Vec<String> {
        let listed = self.client.list_objects_v2().bucket(&self.name);
        let listed = listed.send().await.expect("lists");
        listed
            .contents()
            .iter()
            .filter_map(|object| object.key().map(str::to_owned))
            .collect()
    }

    /// Every key in the bucket, except those of builds.
    pub async fn keys_of_pictures(&self) -> Vec<String> {
        let mut keys = self.keys().await;
        keys.retain(|key| !key.starts_with("pkg/") && !key.starts_with("meta/builds/"));
        keys
    }
}

pub fn storage(sdk: &SdkConfig, bucket: &str) -> S3Storage {
    let config = S3Config {
        bucket: bucket.to_owned(),
        force_path_style: true,
    };
    S3Storage::new(sdk, &config)
}

/// Gives the answers that it was given, in order, and records the requests. When it has no answers
/// left it says 418, which no client retries.
pub struct ScriptedServer {
    pub endpoint: String,
    requests: Arc<Mutex<Vec<ScriptedRequest>>>,
}

#[derive(Debug, Clone)]
pub struct ScriptedRequest {
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl ScriptedServer {
    pub async fn answering(answers: &[(u16, &str)]) -> Self {
        let requests = Arc::<Mutex<Vec<_>>>::default();
        let answers: VecDeque<(u16, String)> = answers
            .iter()
            .map(|(status, body)| (*status, (*body).to_owned()))
            .collect();
        let state = (Arc::new(Mutex::new(answers)), requests.clone());
        let handler = move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let (answers, requests) = state.clone();
            async move {
                lock(&requests).push(ScriptedRequest {
                    method,
                    uri,
                    headers,
                    body,
                });
                let (status, body) = lock(&answers).pop_front().unwrap_or((418, String::new()));
                (StatusCode::from_u16(status).expect("a status"), body)
            }
        };
        Self {
            endpoint: serve(Router::new().fallback(handler)).await,
            requests,
        }
    }

    pub fn requests(&self) -> Vec<ScriptedRequest> {
        lock(&self.requests).clone()
    }
}

/// Serves on a free port until the test's runtime ends.
pub async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("is bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

pub fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The URL of moto's server, which is started when first needed. Statics are never dropped, but the
/// child reads from a pipe that ends with this process, and then ends too.
pub fn moto_endpoint() -> String {
    static MOTO: LazyLock<(Child, u16)> = LazyLock::new(|| {
        let packages = moto_dir();
        assert!(
            packages.join("moto").is_dir(),
            "moto is not in {}: run `make test-setup`",
            packages.display()
        );
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/stand_ins/moto_server.py");
        let mut child = Command::new("python3")
            .arg(script)
            .env("PYTHONPATH", packages)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python3 starts");
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("is piped"))
            .read_line(&mut line)
            .expect("moto says its port");
        let port = line.trim().parse().expect("a port");
        (child, port)
    });
    format!("http://127.0.0.1:{}", MOTO.1)
}

/// The folder in which `make test-setup` puts moto, unless the test command says otherwise.
fn moto_dir() -> PathBuf {
    std::env::var_os("CATTO_TEST_MOTO_DIR").map_or_else(
        || {
            let cache = std::env::var_os("CATTO_CACHE").map_or_else(
                || {
                    let home = std::env::var_os("HOME").unwrap_or_default();
                    PathBuf::from(home).join(".cache/cattocdn")
                },
                PathBuf::from,
            );
            cache.join("moto")
        },
        PathBuf::from,
    )
}
