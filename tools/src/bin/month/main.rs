//! Sends a month of 1,000 uploads, half of them abuse, through the real pipeline with the real
//! local models and a stand-in for Rekognition, and counts how many calls are paid with and without
//! the local models.
//!
//! Usage: `month [UPLOADS] [SEED]`. `CATTO_MODELS_DIR` names the folder of the models.

mod pictures;

use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_config::Region;
use aws_credential_types::Credentials;
use cattocdn::cdn::Cdns;
use cattocdn::domain::client::ClientNetwork;
use cattocdn::domain::policy::Mode;
use cattocdn::http::state::AppState;
use cattocdn::pictures::Status;
use cattocdn::runtime::clock::Clock;
use cattocdn::screening::LocalScreener;
use cattocdn::screening::rekognition::{self, Rekognition};
use cattocdn::site::{self, Services};
use cattocdn::storage::DiskStorage;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::json;

use crate::pictures::{Truth, Upload, uploads};
use tools::built_site;
use tools::config;
use tools::stand_ins::aws::{ACCESS_KEY, REGION, SECRET_KEY, lock};
use tools::stand_ins::rekognition_server::{MODERATION, RekognitionServer, Reply};

type Done<T = ()> = Result<T, Box<dyn Error>>;

/// The price of a call in dollars, as of October 2026.
const PRICE: f64 = 0.001;
/// The calls that a month may take by default.
const DEFAULT_CALLS: u32 = 1000;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "it is asked to print")]
async fn main() -> Done {
    let mut arguments = std::env::args().skip(1);
    let count = arguments.next().map_or(Ok(1000), |text| text.parse())?;
    let seed = arguments.next().map_or(Ok(1), |text| text.parse())?;
    let uploads = uploads(count, &mut StdRng::seed_from_u64(seed))?;
    println!("{count} uploads, half of them abuse, seed {seed}");
    println!();
    println!(
        "| Screening | Calls | Dollars | Cats published | Abuse published | Abuse that cost a call | Cats until {DEFAULT_CALLS} calls are spent | Seconds |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    let mut details = String::new();
    for mode in [Mode::Other, Mode::LocalThenOther, Mode::Local] {
        let month = live(mode, &uploads).await?;
        println!("{}", month.row(mode));
        if mode == Mode::LocalThenOther {
            details = month.details();
        }
    }
    println!();
    println!("With `local+rekognition`, by what the pictures were made of:");
    println!();
    print!("{details}");
    Ok(())
}

/// As the operator writes it.
fn name_of(mode: Mode) -> &'static str {
    match mode {
        Mode::Local => "local",
        Mode::Other => "rekognition",
        Mode::LocalThenOther => "local+rekognition",
    }
}

/// What became of one upload.
struct Outcome {
    truth: Truth,
    of: &'static str,
    published: bool,
    calls: u32,
}

/// What became of all uploads.
struct Month {
    outcomes: Vec<Outcome>,
    took: Duration,
}

impl Month {
    fn row(&self, mode: Mode) -> String {
        let calls: u32 = self.outcomes.iter().map(|outcome| outcome.calls).sum();
        let of = |cats: bool| {
            let these = self.outcomes.iter();
            these.filter(move |outcome| (outcome.truth == Truth::Cat) == cats)
        };
        let published = |cats: bool| {
            let published = of(cats).filter(|outcome| outcome.published).count();
            format!("{published} of {}", of(cats).count())
        };
        let mut spent = 0;
        let until_spent = self
            .outcomes
            .iter()
            .take_while(|outcome| {
                spent += outcome.calls;
                spent <= DEFAULT_CALLS
            })
            .filter(|outcome| outcome.truth == Truth::Cat && outcome.published)
            .count();
        format!(
            "| `{}` | {calls} | ${:.2} | {} | {} | {} | {until_spent} | {:.0} |",
            name_of(mode),
            f64::from(calls) * PRICE,
            published(true),
            published(false),
            of(false).filter(|outcome| outcome.calls > 0).count(),
            self.took.as_secs_f64()
        )
    }

    fn details(&self) -> String {
        let mut names: Vec<&str> = self.outcomes.iter().map(|outcome| outcome.of).collect();
        names.sort_unstable();
        names.dedup();
        let mut text =
            "| Made of | Uploads | Calls | Refused without a call |\n| --- | --- | --- | --- |\n"
                .to_owned();
        for name in names {
            let these = || self.outcomes.iter().filter(|outcome| outcome.of == name);
            let calls: u32 = these().map(|outcome| outcome.calls).sum();
            let free = these().filter(|outcome| outcome.calls == 0).count();
            // Writing into a string cannot fail.
            let _ = writeln!(text, "| {name} | {} | {calls} | {free} |", these().count());
        }
        text
    }
}

/// Sends one upload after the other to a new site, and counts the calls at the server and in the
/// ledger.
async fn live(mode: Mode, uploads: &[Upload]) -> Done<Month> {
    let dir = tempfile::tempdir()?;
    let server = RekognitionServer::start().await;
    let truth = Arc::new(Mutex::new(Truth::Cat));
    let told = truth.clone();
    server.behave(move |target, _| match (*lock(&told), target) {
        (Truth::Indecent, MODERATION) => Reply::Answer(200, indecent()),
        (Truth::NoCat, target) if target != MODERATION => Reply::Answer(200, no_cat()),
        _ => Reply::Usual,
    });
    let state = open(dir.path(), mode, &server.endpoint).await?;
    let client = ClientNetwork::of([127, 0, 0, 1].into());
    let begun = Instant::now();
    let mut outcomes = Vec::with_capacity(uploads.len());
    let mut before = 0;
    for upload in uploads {
        *lock(&truth) = upload.truth;
        let mut incoming = state.pictures.intake.begin_upload(client, None).await?;
        incoming.write(&upload.file).await?;
        let accepted = incoming.finish().await?;
        state.pictures.screening.screen_next().await?;
        let status = state.pictures.reading.status(&accepted.id).await?;
        let published = matches!(status, Status::Published(_));
        if !published && !matches!(status, Status::Rejected(_)) {
            return Err(format!("{} has no verdict", upload.of).into());
        }
        let calls = u32::try_from(server.calls().len())?;
        outcomes.push(Outcome {
            truth: upload.truth,
            of: upload.of,
            published,
            calls: calls - before,
        });
        before = calls;
    }
    let used = state.budget.usage(rekognition::VENDOR.call).await?.used;
    if used != before {
        return Err(format!("the ledger tells {used} calls, and {before} were made").into());
    }
    state.index.close().await;
    Ok(Month {
        outcomes,
        took: begun.elapsed(),
    })
}

async fn open(dir: &Path, mode: Mode, endpoint: &str) -> Done<AppState> {
    let mut config = config::for_testing(dir);
    config.files.models_dir = std::env::var_os("CATTO_MODELS_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../models"),
        PathBuf::from,
    );
    config.screening.policy.mode = mode;
    config.screening.rekognition.calls_per_second = 1000.try_into()?;
    let many = 1_000_000;
    config.limits.uploads_per_day = many;
    config.budget.rekognition_monthly_calls = many;
    std::fs::create_dir_all(&config.files.data_dir)?;
    built_site::write(&config.http.site_dir, "0123");
    let sdk = cattocdn::aws::settings()
        .endpoint_url(endpoint)
        .region(Region::new(REGION))
        .credentials_provider(Credentials::new(
            ACCESS_KEY, SECRET_KEY, None, None, "month",
        ))
        .load()
        .await;
    let rekognition = Rekognition::new(&sdk, &config.screening.rekognition);
    let services = Services {
        storage: Arc::new(DiskStorage::open(&config.files.data_dir.join("objects"))?),
        cdns: Cdns::open(&config.cdn, &config.http.public_url, &Clock::default()).await?,
        screener: Arc::new(LocalScreener::new(&config.files.models_dir)),
        second_opinion: Some(Arc::new(rekognition)),
    };
    Ok(site::open_with(&config, services, Clock::default()).await?)
}

fn indecent() -> String {
    json!({
        "ModerationLabels": [
            {"Name": "Explicit", "ParentName": "", "Confidence": 99.2, "TaxonomyLevel": 1},
            {"Name": "Explicit Nudity", "ParentName": "Explicit", "Confidence": 99.2, "TaxonomyLevel": 2},
        ],
        "ModerationModelVersion": "7.0",
    })
    .to_string()
}

fn no_cat() -> String {
    json!({
        "Labels": [{"Name": "Cup", "Confidence": 99.0, "Parents": []}],
        "LabelModelVersion": "3.0",
    })
    .to_string()
}
