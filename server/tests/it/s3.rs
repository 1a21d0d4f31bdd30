//! What S3 storage promises beyond the contract of every storage: headers, faults, and a whole site
//! on a bucket.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, StatusCode, header};
use bytes::Bytes;
use cattocdn::domain::expiry::ExpiresAt;
use cattocdn::domain::picture::PictureId;
use cattocdn::domain::variant::FileName;
use cattocdn::storage::{ObjectStorage, StorageError, StorageKey};
use serde_json::Value;

use crate::support::{Setup, files_of_a_still, request};
use tools::stand_ins::aws::{self, Bucket, SECRET_KEY, SESSION_TOKEN, ScriptedServer, storage};

const SLOW_DOWN: &str = "<Error><Code>SlowDown</Code><Message>Reduce your rate</Message></Error>";
const EXISTS: &str = "<Error><Code>PreconditionFailed</Code><Message>It exists</Message></Error>";
const CONFLICT: &str =
    "<Error><Code>ConditionalRequestConflict</Code><Message>At once</Message></Error>";
const DENIED: &str = "<Error><Code>AccessDenied</Code><Message>No</Message></Error>";

fn manifest() -> StorageKey {
    StorageKey::Manifest {
        id: PictureId::random(),
    }
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

async fn scripted(answers: &[(u16, &str)]) -> (ScriptedServer, impl ObjectStorage) {
    let server = ScriptedServer::answering(answers).await;
    let sdk = aws::sdk(&server.endpoint, SECRET_KEY, Some(SESSION_TOKEN)).await;
    let storage = storage(&sdk, "catto-bucket");
    (server, storage)
}

fn text_of(error: StorageError) -> String {
    match error {
        StorageError::Unavailable(error) => format!("{error:#}"),
        StorageError::NotFound => "not found".into(),
    }
}

#[tokio::test]
async fn images_carry_the_policy_that_caches_go_by_and_the_tag_they_are_purged_by() {
    for bucket in [Bucket::on_s3s_fs().await, Bucket::on_moto().await] {
        let id = PictureId::random();
        let expires_at = ExpiresAt::from_second(1_800_000_000);
        let image = StorageKey::Image {
            expires_at,
            id: id.clone(),
            name: FileName::parse("1280.jpg").expect("a name"),
        };
        let manifest = StorageKey::Manifest { id: id.clone() };
        let objects = vec![
            (image.clone(), bytes("jpeg")),
            (manifest.clone(), bytes("{}")),
        ];
        let storage = bucket.storage().await;
        storage.put(objects).await.expect("puts");

        let head = async |key: &StorageKey| {
            let head = bucket.client.head_object().bucket(&bucket.name);
            head.key(key.path()).send().await.expect("is there")
        };
        let stored = head(&image).await;
        assert_eq!(stored.content_type(), Some("image/jpeg"));
        assert_eq!(
            stored.cache_control(),
            Some("public, immutable, must-revalidate, stale-while-revalidate=0, stale-if-error=0")
        );
        assert_eq!(
            stored.expires_string(),
            Some("Fri, 15 Jan 2027 07:59:59 GMT"),
            "one second before the end"
        );
        let tag = stored.metadata().and_then(|all| all.get("cache-tag"));
        assert_eq!(tag, Some(&format!("p-{id}")));

        let stored = head(&manifest).await;
        assert_eq!(stored.content_type(), Some("application/json"));
        assert_eq!(stored.cache_control(), Some("no-store"));
    }
}

#[tokio::test]
async fn a_missing_bucket_and_wrong_credentials_are_told_with_their_remedy() {
    let right = aws::sdk(&aws::moto_endpoint(), SECRET_KEY, None).await;
    let missing = storage(&right, "catto-nowhere");
    let error = missing.get(&manifest(), None).await.expect_err("fails");
    let text = text_of(error);
    assert!(text.contains("CATTO_S3_BUCKET"), "{text}");
    let text = text_of(missing.check().await.expect_err("is not well"));
    assert!(text.contains("CATTO_S3_BUCKET"), "{text}");

    // moto accepts any signature.
    let bucket = Bucket::on_s3s_fs().await;
    let wrong = aws::sdk(&bucket.endpoint, "another-secret-key", None).await;
    let locked = storage(&wrong, &bucket.name);
    let error = locked.get(&manifest(), None).await.expect_err("fails");
    let text = text_of(error);
    assert!(text.contains("the AWS credentials are wrong"), "{text}");
    assert!(!text.contains("another-secret-key"), "{text}");
    locked.check().await.expect_err("is not well");

    bucket.storage().await.check().await.expect("is well");
}

#[tokio::test]
async fn an_overloaded_server_is_asked_again_and_a_refusing_one_is_not() {
    let (server, storage) = scripted(&[(503, SLOW_DOWN), (200, "")]).await;
    let put = storage.put(vec![(manifest(), bytes("{}"))]).await;
    put.expect("puts at the second attempt");
    assert_eq!(server.requests().len(), 2);

    let (server, storage) = scripted(&[(403, DENIED), (200, "")]).await;
    let put = storage.put(vec![(manifest(), bytes("{}"))]).await;
    let text = text_of(put.expect_err("is refused"));
    assert!(text.contains("s3:PutObject"), "{text}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn bodies_are_sent_whole_signed_and_without_newer_checksums() {
    let (server, storage) = scripted(&[(200, "")]).await;
    let put = storage.put(vec![(manifest(), bytes("{}"))]).await;
    put.expect("puts");
    let request = &server.requests()[0];
    assert_eq!(request.method, Method::PUT);
    assert!(request.uri.path().starts_with("/catto-bucket/meta/"));
    assert_eq!(request.body, "{}", "and not in chunks of the SDK's own");
    let names: Vec<&str> = request.headers.keys().map(|name| name.as_str()).collect();
    assert!(
        !names.iter().any(|name| name.starts_with("x-amz-checksum")),
        "{names:?}"
    );
    let hash = request.headers["x-amz-content-sha256"].to_str();
    assert_eq!(
        hash.expect("is text"),
        cattocdn::domain::hash::Sha256Hash::of(b"{}").hex()
    );
}

#[tokio::test]
async fn an_object_that_could_not_be_deleted_fails_the_batch() {
    let answer = "<DeleteResult><Error><Key>meta/x.json</Key><Code>InternalError</Code>\
                  <Message>Try again</Message></Error></DeleteResult>";
    let (_server, storage) = scripted(&[(200, answer)]).await;
    let text = text_of(storage.delete(&[manifest()]).await.expect_err("fails"));
    assert!(text.contains("meta/x.json: InternalError"), "{text}");
}

#[tokio::test]
async fn a_creation_whose_answer_was_lost_is_known_again_by_its_bytes() {
    let lost = [(500, ""), (412, EXISTS), (200, "mine")];
    let (server, storage) = scripted(&lost).await;
    let created = storage.create(&manifest(), bytes("mine")).await;
    assert!(
        created.expect("answers"),
        "it was written by the first attempt"
    );
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    assert_eq!(requests[0].headers["if-none-match"], "*");

    let taken = [(500, ""), (412, EXISTS), (200, "theirs")];
    let (_server, storage) = scripted(&taken).await;
    let created = storage.create(&manifest(), bytes("mine")).await;
    assert!(!created.expect("answers"), "another machine was first");
}

#[tokio::test]
async fn a_creation_that_collides_is_tried_again_and_one_that_is_denied_is_not() {
    let (server, storage) = scripted(&[(409, CONFLICT), (200, "")]).await;
    let created = storage.create(&manifest(), bytes("mine")).await;
    assert!(created.expect("answers"));
    assert_eq!(server.requests().len(), 2);

    let (server, storage) = scripted(&[(403, DENIED)]).await;
    let created = storage.create(&manifest(), bytes("mine")).await;
    created.expect_err("is denied");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_range_that_is_answered_whole_is_an_error_and_no_picture() {
    let (_server, storage) = scripted(&[(200, "0123456789")]).await;
    let got = storage.get(&manifest(), Some(2..=4)).await;
    let text = text_of(got.expect_err("is refused"));
    assert!(text.contains("10 bytes"), "{text}");
}

#[tokio::test]
async fn secrets_never_reach_the_log() {
    for level in ["debug", "trace"] {
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(level)
            .with_ansi(false)
            .with_writer(log.clone())
            .finish();
        let guard = tracing::subscriber::set_default(subscriber);
        let (_server, storage) = scripted(&[(200, ""), (403, DENIED)]).await;
        let put = storage.put(vec![(manifest(), bytes("{}"))]).await;
        put.expect("puts");
        let error = storage.get(&manifest(), None).await.expect_err("is denied");
        tracing::error!(error = format!("{error:?}"), "as a worker would log it");
        drop(guard);
        let text = log.text();
        assert!(text.contains("as a worker would log it"));
        for secret in [SECRET_KEY, SESSION_TOKEN] {
            let at = text.lines().find(|line| line.contains(secret));
            assert_eq!(at, None, "a secret is logged at {level}");
        }
    }
}

/// A log in memory.
#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&aws::lock(&self.0)).into_owned()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        aws::lock(&self.0).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl tracing_subscriber::fmt::MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

fn path<'a>(picture: &'a Value, file: &str) -> &'a str {
    picture["images"][file].as_str().expect("a URL")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_site_lives_on_a_bucket() {
    for bucket in [Bucket::on_s3s_fs().await, Bucket::on_moto().await] {
        let site = Setup::new()
            .with_retention(Duration::from_secs(60))
            .stored_in(Arc::new(bucket.storage().await))
            .start()
            .await;
        let (kept, deleted) = (site.publish().await, site.publish().await);
        assert_eq!(
            bucket.keys_of_pictures().await.len(),
            2 * (files_of_a_still().len() + 1),
            "its files and a manifest each"
        );
        assert_eq!(site.stored_files(), Vec::<String>::new(), "none is on disk");
        assert_eq!(site.get("/readyz").await.status, StatusCode::OK);

        // The bucket holds the very bytes that the site answers with, at the path of their URL.
        let url = path(&kept, "512.webp");
        let answer = site.get(url).await;
        assert_eq!(answer.status, StatusCode::OK);
        let key = crate::support::path_of(url).trim_start_matches('/');
        let object = bucket.client.get_object().bucket(&bucket.name).key(key);
        let object = object.send().await.expect("is there");
        assert_eq!(
            object.content_type(),
            Some(answer.header(header::CONTENT_TYPE))
        );
        assert_eq!(
            object.cache_control(),
            Some(answer.header(header::CACHE_CONTROL))
        );
        assert_eq!(
            object.expires_string(),
            Some(answer.header(header::EXPIRES))
        );
        let stored = object.body.collect().await.expect("arrives").into_bytes();
        assert_eq!(stored, answer.body);
        let part = request(Method::GET, url).header(header::RANGE, "bytes=4-9");
        let part = site
            .send(part.body(Body::empty()).expect("a request"))
            .await;
        assert_eq!(part.status, StatusCode::PARTIAL_CONTENT);
        assert_eq!(part.body, answer.body.slice(4..10));

        // Deleting one takes all its objects and leaves those of the other.
        let api = format!(
            "/api/v1/pictures/{}",
            deleted["id"].as_str().expect("an id")
        );
        let token = deleted["delete_token"].as_str().expect("a token");
        let delete = request(Method::DELETE, &api)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .body(Body::empty());
        let answer = site.send(delete.expect("a request")).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text());
        assert_eq!(
            site.get(path(&deleted, "512.webp")).await.status,
            StatusCode::GONE
        );
        let keys = bucket.keys_of_pictures().await;
        assert_eq!(keys.len(), files_of_a_still().len() + 1, "{keys:?}");
        let id = kept["id"].as_str().expect("an id");
        assert!(keys.iter().all(|key| key.contains(id)), "{keys:?}");

        // At its second the other picture is gone, and the sweeper empties the bucket.
        site.clock.advance(Duration::from_secs(60));
        assert_eq!(site.get(url).await.status, StatusCode::GONE);
        site.sweep().await;
        assert_eq!(bucket.keys_of_pictures().await, Vec::<String>::new());
    }
}
