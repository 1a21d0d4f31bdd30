//! `cattocdn doctor`, the real program, on sound and unsound buckets of two independent S3 servers,
//! and on servers that lie.

use std::process::Output;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aws_sdk_s3::types::{
    BucketCannedAcl, BucketLifecycleConfiguration, ExpirationStatus, LifecycleExpiration,
    LifecycleRule, LifecycleRuleFilter, PublicAccessBlockConfiguration,
};
use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::process::Launch;
use tools::stand_ins::aws::{self, ACCESS_KEY, Bucket, REGION, SECRET_KEY, lock, serve};
use tools::stand_ins::rekognition_server::{LABELS, MODERATION, RekognitionServer};

const ORIGIN_KEY: &str = "an-origin-key-of-the-tests";
const CLOUDFLARE_TOKEN: &str = "a-cloudflare-token-of-the-tests-00000000";
const ADMIN_TOKEN: &str = "an-admin-token-of-the-tests";
const ZONE: &str = "0123456789abcdef0123456789abcdef";
const LIST: &str = "<ListBucketResult><Name>catto-bucket</Name></ListBucketResult>";

/// The site that the doctor examines.
struct Patient {
    launch: Launch,
    _dir: TempDir,
}

impl Patient {
    fn on_disk() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let launch = Launch::within(dir.path())
            .with_variable("CATTO_PUBLIC_URL", "https://cats.example")
            // The developer's own settings must not be read.
            .with_variable("AWS_CONFIG_FILE", "/dev/null")
            .with_variable("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .with_variable("AWS_EC2_METADATA_DISABLED", "true");
        Self { launch, _dir: dir }
    }

    fn on(bucket: &Bucket) -> Self {
        Self::at(&bucket.endpoint, &bucket.name)
    }

    fn at(endpoint: &str, bucket: &str) -> Self {
        Self::on_disk()
            .with("CATTO_STORAGE", "s3")
            .with("CATTO_S3_BUCKET", bucket)
            .with("CATTO_S3_FORCE_PATH_STYLE", "true")
            .with("AWS_ENDPOINT_URL_S3", endpoint)
            .with("AWS_REGION", REGION)
            .with("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .with("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.launch = self.launch.with_variable(name, value);
        self
    }

    #[track_caller]
    fn examine(&self, code: i32) -> Findings {
        Findings::of(&self.launch.run_with("doctor", &["--json"]), code)
    }

    #[track_caller]
    fn examine_rekognition(&self, code: i32) -> Findings {
        let options = ["--json", "--probe-rekognition"];
        Findings::of(&self.launch.run_with("doctor", &options), code)
    }

    /// Sets this endpoint for Rekognition.
    fn screened_at(self, endpoint: &str) -> Self {
        self.with("AWS_ENDPOINT_URL_REKOGNITION", endpoint)
            .with("AWS_REGION", REGION)
            .with("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .with("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    }

    /// Makes an index, as a server leaves it that has run.
    fn with_index(self) -> Self {
        let output = self.launch.run("budget");
        assert!(output.status.success(), "{output:?}");
        self
    }

    /// What `cattocdn budget` says about calls.
    fn calls_used(&self) -> String {
        let output = self.launch.run("budget");
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = told.lines().find(|line| line.contains("calls"));
        line.unwrap_or_else(|| panic!("{told}")).to_owned()
    }
}

/// The doctor's JSON.
struct Findings(Value);

impl Findings {
    #[track_caller]
    fn of(output: &Output, code: i32) -> Self {
        let text = String::from_utf8_lossy(&output.stdout);
        let all = format!("{text}\n{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{all}");
        let findings = serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {all}"));
        Self(findings)
    }

    fn all(&self) -> &Vec<Value> {
        self.0["checks"].as_array().expect("a list")
    }

    #[track_caller]
    fn check(&self, name: &str) -> &Value {
        let mut named = self.all().iter().filter(|check| check["name"] == name);
        let found = named
            .next()
            .unwrap_or_else(|| panic!("{name} in {}", self.0));
        assert!(named.next().is_none(), "{name} twice in {}", self.0);
        found
    }

    #[track_caller]
    fn assert(&self, name: &str, outcome: &str, words: &str) {
        let check = self.check(name);
        assert_eq!(check["outcome"], outcome, "{check}");
        assert!(text(check, "detail").contains(words), "{check}");
        let must_have_remedy = matches!(outcome, "failed" | "warning");
        assert_eq!(check["remedy"].is_string(), must_have_remedy, "{check}");
    }

    #[track_caller]
    fn assert_remedy(&self, name: &str, words: &str) {
        let check = self.check(name);
        assert!(text(check, "remedy").contains(words), "{check}");
    }

    /// The names of the checks that failed.
    fn failed(&self) -> Vec<&str> {
        let failed = self
            .all()
            .iter()
            .filter(|check| check["outcome"] == "failed");
        failed.map(|check| text(check, "name")).collect()
    }
}

fn text<'a>(check: &'a Value, field: &str) -> &'a str {
    check[field].as_str().unwrap_or_default()
}

async fn block_public_access(bucket: &Bucket) {
    let all = PublicAccessBlockConfiguration::builder()
        .block_public_acls(true)
        .ignore_public_acls(true)
        .block_public_policy(true)
        .restrict_public_buckets(true)
        .build();
    let put = bucket.client.put_public_access_block().bucket(&bucket.name);
    let put = put.public_access_block_configuration(all).send().await;
    put.expect("is blocked");
}

async fn delete_after(bucket: &Bucket, prefix: &str, days: i32) {
    let rule = LifecycleRule::builder()
        .id("a-rule")
        .status(ExpirationStatus::Enabled)
        .filter(LifecycleRuleFilter::builder().prefix(prefix).build())
        .expiration(LifecycleExpiration::builder().days(days).build())
        .build()
        .expect("a rule");
    let rules = BucketLifecycleConfiguration::builder().rules(rule).build();
    bucket
        .client
        .put_bucket_lifecycle_configuration()
        .bucket(&bucket.name)
        .lifecycle_configuration(rules.expect("rules"))
        .send()
        .await
        .expect("has rules");
}

async fn open_to_everybody(bucket: &Bucket) {
    let policy = serde_json::json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
            "Resource": format!("arn:aws:s3:::{}/*", bucket.name),
        }],
    });
    let put = bucket.client.put_bucket_policy().bucket(&bucket.name);
    let put = put.policy(policy.to_string()).send().await;
    put.expect("is open");
}

/// A server that answers each request with the result of `answer`, and records what it was asked.
async fn pretender(
    answer: impl Fn(&Request) -> Response + Clone + Send + Sync + 'static,
) -> (String, Arc<Mutex<Vec<(Method, String)>>>) {
    let asked = Arc::<Mutex<Vec<_>>>::default();
    let kept = asked.clone();
    let handler = move |request: Request| {
        lock(&kept).push((request.method().clone(), request.uri().path().to_owned()));
        let response = answer(&request);
        async move { response }
    };
    (serve(Router::new().fallback(handler)).await, asked)
}

#[test]
fn a_site_on_a_disk_is_well_and_has_no_bucket() {
    let findings = Patient::on_disk().examine(0);
    for name in ["configuration", "data folder", "models", "public URL"] {
        findings.assert(name, "ok", "");
    }
    findings.assert("bucket", "skipped", "data folder");
    assert_eq!(findings.0["well"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_bucket_is_well() {
    let bucket = Bucket::on_moto().await;
    block_public_access(&bucket).await;
    delete_after(&bucket, "i/", 7).await;
    let findings = Patient::on(&bucket).examine(0);
    for check in findings.all() {
        // `versions_that_outlive_deletion_fail` covers versioning; the others are not in use here.
        let outcome = match text(check, "name") {
            "versioning" | "Rekognition" | "Cloudflare" | "CloudFront" => "skipped",
            _ => "ok",
        };
        assert_eq!(check["outcome"], outcome, "{check}");
    }
    findings.assert("region", "ok", REGION);
    findings.assert("lifecycle", "ok", "after 7 days");
    assert_eq!(bucket.keys().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_does_not_know_is_told_apart_from_what_is_open() {
    let bucket = Bucket::on_s3s_fs().await;
    let findings = Patient::on(&bucket).examine(0);
    for name in ["bucket private", "versioning", "lifecycle"] {
        findings.assert(name, "skipped", "this server does not support");
    }
    findings.assert("region", "skipped", "does not tell");
    for name in [
        "bucket",
        "clock",
        "put and get",
        "conditional put",
        "strangers",
        "delete",
    ] {
        findings.assert(name, "ok", "");
    }
    assert_eq!(bucket.keys().await, Vec::<String>::new());

    // This server ignores the query, and answers every question with a list.
    let (endpoint, _) = pretender(|request| {
        let body = if request.method() == Method::HEAD {
            ""
        } else {
            LIST
        };
        body.into_response()
    })
    .await;
    let findings = Patient::at(&endpoint, "catto-bucket").examine(1);
    for name in ["bucket private", "versioning", "lifecycle"] {
        findings.assert(name, "skipped", "this server does not support");
    }
    assert_eq!(findings.failed(), ["put and get"], "{}", findings.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bare_bucket_lacks_its_rule_and_its_block() {
    let bucket = Bucket::on_moto().await;
    let findings = Patient::on(&bucket).examine(1);
    assert_eq!(findings.failed(), ["lifecycle"]);
    findings.assert("lifecycle", "failed", "no rule");
    findings.assert_remedy("lifecycle", "begin with `i/` after 7 days");
    findings.assert("bucket private", "warning", "nothing prevents it");
    findings.assert_remedy("bucket private", "Block all public access");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_takes_too_much_or_too_soon_fails() {
    let bucket = Bucket::on_moto().await;
    for (prefix, days, outcome, words) in [
        ("i/", 3, "failed", "after 3 days, but they live 7 days"),
        ("", 7, "failed", "manifests and bans"),
        ("i/", 30, "warning", "stays 30 days"),
        ("i/", 7, "ok", ""),
    ] {
        delete_after(&bucket, prefix, days).await;
        let findings = Patient::on(&bucket).examine(i32::from(outcome == "failed"));
        findings.assert("lifecycle", outcome, words);
    }
    let longer = Patient::on(&bucket).with("CATTO_RETENTION", "14d");
    longer
        .examine(1)
        .assert("lifecycle", "failed", "live 14 days");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_bucket_fails_by_its_settings_and_by_what_strangers_get() {
    let bucket = Bucket::on_moto().await;
    delete_after(&bucket, "i/", 7).await;
    open_to_everybody(&bucket).await;
    let findings = Patient::on(&bucket).examine(1);
    assert_eq!(findings.failed(), ["bucket private", "strangers"]);
    findings.assert(
        "bucket private",
        "failed",
        "its policy lets everybody read it",
    );
    findings.assert_remedy("bucket private", "Block all public access");
    findings.assert("strangers", "failed", "anybody can read i/");
    findings.assert_remedy("strangers", "Block public access");

    let bucket = Bucket::on_moto().await;
    delete_after(&bucket, "i/", 7).await;
    let put = bucket.client.put_bucket_acl().bucket(&bucket.name);
    let put = put.acl(BucketCannedAcl::PublicRead).send().await;
    put.expect("is open");
    let findings = Patient::on(&bucket).examine(1);
    findings.assert("bucket private", "failed", "its access control list");
}

/// moto keeps the setting, but words its answer as no other server does, and Amazon's own SDK
/// cannot read it.
#[tokio::test(flavor = "multi_thread")]
async fn versions_that_outlive_deletion_fail() {
    for (status, outcome, words, remedy) in [
        ("", "ok", "off", ""),
        (
            "<Status>Suspended</Status>",
            "warning",
            "suspended",
            "Delete the old versions",
        ),
        (
            "<Status>Enabled</Status>",
            "failed",
            "live on as older versions",
            "a bucket without versioning",
        ),
    ] {
        let (endpoint, _) = pretender(move |request| {
            if request
                .uri()
                .query()
                .is_some_and(|query| query.contains("versioning"))
            {
                let xmlns = "http://s3.amazonaws.com/doc/2006-03-01/";
                format!(
                    "<VersioningConfiguration xmlns=\"{xmlns}\">{status}</VersioningConfiguration>"
                )
                .into_response()
            } else {
                StatusCode::OK.into_response()
            }
        })
        .await;
        let findings = Patient::at(&endpoint, "catto-bucket").examine(1);
        findings.assert("versioning", outcome, words);
        if !remedy.is_empty() {
            findings.assert_remedy("versioning", remedy);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_in_another_region_fails() {
    let bucket = Bucket::on_moto().await;
    let patient = Patient::on(&bucket).with("AWS_REGION", "eu-west-1");
    let findings = patient.examine(1);
    findings.assert("region", "failed", "lies in us-east-1");
    findings.assert_remedy("region", "AWS_REGION=us-east-1");

    // Amazon refuses to serve the bucket, but still says where it is.
    let (endpoint, _) = pretender(|_| {
        let elsewhere = [("x-amz-bucket-region", "eu-central-1")];
        (StatusCode::MOVED_PERMANENTLY, elsewhere).into_response()
    })
    .await;
    let findings = Patient::at(&endpoint, "catto-bucket").examine(1);
    assert_eq!(findings.failed(), ["bucket"]);
    findings.assert_remedy("bucket", "set AWS_REGION=eu-central-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_does_not_answer_is_told_with_what_to_look_at() {
    let bucket = Bucket::on_s3s_fs().await;
    let missing = Patient::at(&bucket.endpoint, "catto-nowhere").examine(1);
    assert_eq!(missing.failed(), ["bucket"]);
    missing.assert_remedy("bucket", "CATTO_S3_BUCKET");

    let locked = Patient::on(&bucket).with("AWS_SECRET_ACCESS_KEY", "another-secret-key");
    let locked = locked.examine(1);
    assert_eq!(locked.failed(), ["bucket"]);
    locked.assert_remedy("bucket", "credentials are right");

    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = closed.local_addr().expect("an address");
    drop(closed);
    let away = Patient::at(&format!("http://{address}"), "catto-bucket").examine(1);
    assert_eq!(away.failed(), ["bucket"]);
    away.assert("bucket", "failed", "cannot be reached");
    away.assert_remedy("bucket", "AWS_ENDPOINT_URL_S3");
    away.assert("clock", "skipped", "");

    let poor = Patient::on(&bucket).with("AWS_ACCESS_KEY_ID", "");
    let poor = poor.with("AWS_SECRET_ACCESS_KEY", "").examine(1);
    assert_eq!(poor.failed(), ["AWS credentials"]);
    poor.assert_remedy("AWS credentials", "AWS_ACCESS_KEY_ID");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_is_compared_with_the_servers_date() {
    for (minutes, outcome, words) in [(2, "warning", "slow"), (20, "failed", "refused")] {
        let (endpoint, _) = pretender(move |_| {
            let date = SystemTime::now() + Duration::from_secs(minutes * 60);
            let date = [(header::DATE, httpdate::fmt_http_date(date))];
            (StatusCode::FORBIDDEN, date).into_response()
        })
        .await;
        let findings = Patient::at(&endpoint, "catto-bucket").examine(1);
        findings.assert("clock", outcome, words);
        findings.assert_remedy("clock", "Synchronise");
        // Someone whose requests are refused for their time must not look for another reason.
        let remedy = text(findings.check("bucket"), "remedy");
        assert_eq!(remedy.contains("clock first"), minutes == 20, "{remedy}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_fails_both_objects_are_deleted_again() {
    let refuse = |refused: Method| {
        move |request: &Request| {
            let is_object = request.uri().path().contains("doctor-probe");
            if is_object && request.method() == refused {
                StatusCode::FORBIDDEN.into_response()
            } else {
                StatusCode::OK.into_response()
            }
        }
    };
    for (method, permission) in [(Method::PUT, "s3:PutObject"), (Method::GET, "s3:GetObject")] {
        let (endpoint, asked) = pretender(refuse(method)).await;
        let findings = Patient::at(&endpoint, "catto-bucket").examine(1);
        assert_eq!(findings.failed(), ["put and get"]);
        findings.assert_remedy("put and get", permission);
        findings.assert("delete", "ok", "");
        let asked = lock(&asked);
        let deleted = asked.iter().filter(|(method, _)| *method == Method::DELETE);
        let deleted: Vec<_> = deleted.map(|(_, path)| path.as_str()).collect();
        assert_eq!(deleted.len(), 2, "{deleted:?}");
        assert!(deleted[0].starts_with("/catto-bucket/i/doctor-probe-"));
        assert!(deleted[1].starts_with("/catto-bucket/meta/doctor-probe-"));
    }

    let (endpoint, _) = pretender(refuse(Method::DELETE)).await;
    let findings = Patient::at(&endpoint, "catto-bucket").examine(1);
    findings.assert("delete", "failed", "still in the bucket: i/doctor-probe-");
    findings.assert_remedy("delete", "s3:DeleteObject");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_may_not_look_at_a_setting_are_told_which_permission_it_needs() {
    let (endpoint, _) = pretender(|request| {
        if request
            .uri()
            .query()
            .is_some_and(|query| query.contains("versioning"))
        {
            StatusCode::FORBIDDEN.into_response()
        } else {
            StatusCode::OK.into_response()
        }
    })
    .await;
    let findings = Patient::at(&endpoint, "catto-bucket").examine(1);
    findings.assert("versioning", "warning", "not allowed to see");
    findings.assert_remedy("versioning", "s3:GetBucketVersioning");
}

#[test]
fn every_problem_of_the_configuration_is_a_line_and_an_unreadable_file_ends_with_2() {
    let patient = Patient::on_disk()
        .with("CATTO_RETENTION", "soon")
        .with("CATTO_MAX_PIXELS", "many");
    let findings = patient.examine(1);
    let problems: Vec<_> = findings
        .all()
        .iter()
        .map(|check| text(check, "detail"))
        .collect();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(
        problems
            .iter()
            .any(|problem| problem.starts_with("CATTO_RETENTION"))
    );
    assert!(
        problems
            .iter()
            .any(|problem| problem.starts_with("CATTO_MAX_PIXELS"))
    );
    assert_eq!(findings.failed(), ["configuration", "configuration"]);

    let patient = Patient::on_disk();
    let folder = patient.launch.data_dir.with_file_name("site");
    std::fs::write(folder.join(".env"), "CATTO_ADMIN_TOKEN=\"never closed").expect("is written");
    let output = patient.launch.run("doctor");
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!told.contains("never closed"), "{told}");
}

#[test]
fn a_folder_that_is_no_folder_and_missing_models_and_a_wrong_address_fail() {
    let patient = Patient::on_disk()
        .with("CATTO_DATA_DIR", "/dev/null")
        .with("CATTO_MODELS_DIR", "/nowhere/models")
        .with("CATTO_ORIGIN_KEY", ORIGIN_KEY)
        .with("CATTO_PUBLIC_URL", "http://127.0.0.1:3000");
    let findings = patient.examine(1);
    assert_eq!(findings.failed(), ["data folder", "models", "public URL"]);
    findings.assert_remedy("data folder", "CATTO_DATA_DIR");
    findings.assert_remedy("models", "make models");
    findings.assert_remedy("public URL", "CATTO_PUBLIC_URL");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_holds_every_line_and_no_secret_is_printed() {
    let bucket = Bucket::on_s3s_fs().await;
    let (cloudflare, _) = pretender(|_| StatusCode::FORBIDDEN.into_response()).await;
    let patient = Patient::on(&bucket)
        .with("CATTO_ORIGIN_KEY", ORIGIN_KEY)
        .with("CATTO_ADMIN_TOKEN", ADMIN_TOKEN)
        .with("AWS_SESSION_TOKEN", aws::SESSION_TOKEN)
        .with("CATTO_CLOUDFLARE_ZONE", ZONE)
        .with("CATTO_CLOUDFLARE_TOKEN", CLOUDFLARE_TOKEN)
        .with("CATTO_CLOUDFLARE_ENDPOINT", &cloudflare);
    for (secret_key, level) in [
        (SECRET_KEY, "info"),
        (SECRET_KEY, "trace"),
        ("wrong-secret", "debug"),
    ] {
        let patient = Patient {
            launch: patient
                .launch
                .clone()
                .with_variable("AWS_SECRET_ACCESS_KEY", secret_key)
                .with_variable("RUST_LOG", level),
            _dir: tempfile::tempdir().expect("a folder"),
        };
        for options in [&[][..], &["--json"][..]] {
            let output = patient.launch.run_with("doctor", options);
            let printed = [output.stdout, output.stderr].concat();
            let printed = String::from_utf8_lossy(&printed);
            assert!(printed.contains("strangers") || printed.contains("cannot be reached"));
            for secret in [
                secret_key,
                ORIGIN_KEY,
                ADMIN_TOKEN,
                CLOUDFLARE_TOKEN,
                aws::SESSION_TOKEN,
            ] {
                assert!(!printed.contains(secret), "a secret at {level}: {secret}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_reads_the_remedy_below_its_line() {
    let bucket = Bucket::on_moto().await;
    let output = Patient::on(&bucket).launch.run("doctor");
    assert_eq!(output.status.code(), Some(1));
    let table = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = table.lines().collect();
    let at = lines
        .iter()
        .position(|line| line.starts_with("lifecycle ") && line.contains("FAILED"))
        .unwrap_or_else(|| panic!("{table}"));
    assert!(
        lines[at + 1]
            .trim_start()
            .starts_with("-> Give the bucket one rule"),
        "{table}"
    );
    assert!(table.ends_with("Failed: 1; warnings: 1.\n"), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rekognition_is_called_when_asked_for_and_both_calls_are_counted() {
    let server = RekognitionServer::start().await;
    let patient = Patient::on_disk().screened_at(&server.endpoint);
    patient
        .examine(0)
        .assert("Rekognition", "skipped", "not used");
    let patient = patient
        .with("CATTO_SCREENING", "local+rekognition")
        .with_index();
    let findings = patient.examine(0);
    findings.assert("Rekognition", "skipped", "two paid calls");
    assert_eq!(server.calls(), Vec::<String>::new());

    let findings = patient.examine_rekognition(0);
    findings.assert("Rekognition moderation", "ok", "");
    findings.assert("Rekognition labels", "ok", "");
    assert_eq!(server.calls(), [MODERATION, LABELS]);
    let used = patient.calls_used();
    assert!(used.contains(" 2 of 1000"), "{used}");
}

#[test]
fn rekognition_alone_needs_credentials_and_no_models() {
    let patient = Patient::on_disk()
        .with("CATTO_SCREENING", "rekognition")
        .with("CATTO_MODELS_DIR", "/nowhere/models");
    let findings = patient.examine(1);
    assert_eq!(findings.failed(), ["AWS credentials"]);
    findings.assert("models", "skipped", "not used");
    let findings = patient.examine_rekognition(1);
    findings.assert("Rekognition", "skipped", "without credentials");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_server_has_run_rekognition_is_not_asked_and_no_index_is_made() {
    let server = RekognitionServer::start().await;
    let patient = Patient::on_disk().screened_at(&server.endpoint);
    let findings = patient.examine_rekognition(1);
    assert_eq!(findings.failed(), ["Rekognition"]);
    findings.assert_remedy("Rekognition", "Start the server first");
    assert_eq!(server.calls(), Vec::<String>::new());
    assert!(!patient.launch.data_dir.join("index.sqlite").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_of_rekognition_is_told_and_not_paid_for() {
    let server = RekognitionServer::start().await;
    let patient = Patient::on_disk()
        .screened_at(&server.endpoint)
        .with_index();
    server.reply_exception("AccessDeniedException", 400);
    let findings = patient.examine_rekognition(1);
    assert_eq!(findings.failed(), ["Rekognition moderation"]);
    findings.assert("Rekognition moderation", "failed", "AccessDeniedException");
    findings.assert_remedy(
        "Rekognition moderation",
        "rekognition:DetectModerationLabels",
    );
    let used = patient.calls_used();
    assert!(used.contains(" 1 of 1000"), "{used}");
    assert_eq!(server.calls(), [MODERATION, LABELS]);

    // A call that fails later may be billed.
    server.reply_exception("InternalServerError", 500);
    let findings = patient.examine_rekognition(1);
    findings.assert_remedy("Rekognition moderation", "Try again");
    let used = patient.calls_used();
    assert!(used.contains(" 3 of 1000"), "{used}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spent_budget_makes_no_call() {
    let server = RekognitionServer::start().await;
    let patient = Patient::on_disk()
        .screened_at(&server.endpoint)
        .with("CATTO_REKOGNITION_MONTHLY_CALLS", "1")
        .with_index();
    let findings = patient.examine_rekognition(1);
    findings.assert("Rekognition", "failed", "spent");
    findings.assert_remedy("Rekognition", "CATTO_REKOGNITION_MONTHLY_CALLS");
    assert_eq!(server.calls(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn cloudflare_must_know_the_token_as_active() {
    for (status, body, outcome, words) in [
        (
            200,
            r#"{"success":true,"errors":[],"result":{"id":"1","status":"active"}}"#,
            "ok",
            "active",
        ),
        (
            200,
            r#"{"success":true,"errors":[],"result":{"id":"1","status":"expired"}}"#,
            "failed",
            "expired",
        ),
        (
            401,
            r#"{"success":false,"errors":[{"code":1000,"message":"Invalid API Token"}]}"#,
            "failed",
            "Invalid API Token",
        ),
        (503, "", "failed", "no answer"),
        (
            200,
            r#"{"success":true,"result":{}}"#,
            "failed",
            "no answer",
        ),
    ] {
        let (endpoint, asked) = pretender(move |request| {
            let bearer = format!("Bearer {CLOUDFLARE_TOKEN}");
            if request
                .headers()
                .get(header::AUTHORIZATION)
                .is_some_and(|sent| *sent == *bearer)
            {
                (StatusCode::from_u16(status).expect("a status"), body).into_response()
            } else {
                StatusCode::BAD_REQUEST.into_response()
            }
        })
        .await;
        let patient = Patient::on_disk()
            .with("CATTO_CLOUDFLARE_ZONE", ZONE)
            .with("CATTO_CLOUDFLARE_TOKEN", CLOUDFLARE_TOKEN)
            .with("CATTO_CLOUDFLARE_ENDPOINT", &endpoint);
        let findings = patient.examine(i32::from(outcome == "failed"));
        findings.assert("Cloudflare", outcome, words);
        let verify = (Method::GET, "/client/v4/user/tokens/verify".to_owned());
        assert_eq!(
            *lock(&asked),
            [verify],
            "one question, and nothing is purged"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_distribution_must_be_enabled_and_for_this_site() {
    let distribution = |enabled: bool, alias: &str, status: &str| {
        format!(
            "<Distribution><Id>E2QWRUHAPOMQZL</Id><Status>{status}</Status>\
             <DomainName>d111111abcdef8.cloudfront.net</DomainName><DistributionConfig>\
             <Aliases><Quantity>1</Quantity><Items><CNAME>{alias}</CNAME></Items></Aliases>\
             <Enabled>{enabled}</Enabled></DistributionConfig></Distribution>"
        )
    };
    let error =
        |code: &str| format!("<ErrorResponse><Error><Code>{code}</Code></Error></ErrorResponse>");
    for (status, body, outcome, words) in [
        (
            200,
            distribution(true, "cats.example", "Deployed"),
            "ok",
            "enabled and serves cats.example",
        ),
        (
            200,
            distribution(true, "cats.example", "InProgress"),
            "warning",
            "being changed",
        ),
        (
            200,
            distribution(false, "cats.example", "Deployed"),
            "failed",
            "disabled",
        ),
        (
            200,
            distribution(true, "dogs.example", "Deployed"),
            "failed",
            "does not serve cats.example",
        ),
        (
            404,
            error("NoSuchDistribution"),
            "failed",
            "no distribution E2QWRUHAPOMQZL",
        ),
        (403, error("AccessDenied"), "warning", "not allowed to see"),
    ] {
        let (endpoint, asked) = pretender(move |_| {
            (
                StatusCode::from_u16(status).expect("a status"),
                body.clone(),
            )
                .into_response()
        })
        .await;
        let patient = Patient::on_disk()
            .with("CATTO_CLOUDFRONT_DISTRIBUTION", "E2QWRUHAPOMQZL")
            .with("AWS_ENDPOINT_URL_CLOUDFRONT", &endpoint)
            .with("AWS_REGION", REGION)
            .with("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .with("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
        let findings = patient.examine(i32::from(outcome == "failed"));
        findings.assert("CloudFront", outcome, words);
        let read = (
            Method::GET,
            "/2020-05-31/distribution/E2QWRUHAPOMQZL".to_owned(),
        );
        assert_eq!(*lock(&asked), [read], "one question, and nothing is paid");
    }
}
