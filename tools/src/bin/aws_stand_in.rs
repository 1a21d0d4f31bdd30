//! Stands in for AWS where the whole site is tested in a browser: an S3 server with one empty
//! bucket, and a strict Rekognition that finds a cat and nothing indecent unless it is told
//! otherwise. Usage: `aws_stand_in CONTROL_PORT`.
//!
//! It prints one line of JSON with what a site needs to know, and ends when standard input does, so
//! that it never outlives the process that started it. The browser tests use the control port:
//!
//! - `GET /calls`: every call of Rekognition so far, and what was wrong with any of them.
//! - `POST /replies`: the answer to the next call, as `{"status": 200, "body": {…}}`; it may be
//!   sent many times.
//! - `GET /keys`: the keys of all objects in the bucket.

use std::error::Error;
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use tools::stand_ins::aws::{ACCESS_KEY, Bucket, REGION, SECRET_KEY};
use tools::stand_ins::rekognition_server::RekognitionServer;

struct StandIn {
    bucket: Bucket,
    rekognition: RekognitionServer,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let port: u16 = std::env::args()
        .nth(1)
        .ok_or("usage: aws_stand_in CONTROL_PORT")?
        .parse()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let stand_in = Arc::new(StandIn {
        bucket: Bucket::on_s3s_fs().await,
        rekognition: RekognitionServer::start().await,
    });
    let site_environment = json!({
        "CATTO_S3_BUCKET": stand_in.bucket.name,
        "CATTO_S3_FORCE_PATH_STYLE": "true",
        "AWS_ENDPOINT_URL_S3": stand_in.bucket.endpoint,
        "AWS_ENDPOINT_URL_REKOGNITION": stand_in.rekognition.endpoint,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    });
    let control = Router::new()
        .route("/calls", get(calls))
        .route("/replies", post(reply))
        .route("/keys", get(keys))
        .with_state(stand_in);
    let serving = tokio::spawn(async move { axum::serve(listener, control).await });
    writeln!(std::io::stdout(), "{site_environment}")?;
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    serving.abort();
    Ok(())
}

async fn calls(State(stand_in): State<Arc<StandIn>>) -> Json<Value> {
    let (calls, violations) = stand_in.rekognition.seen();
    Json(json!({ "calls": calls, "violations": violations }))
}

async fn reply(State(stand_in): State<Arc<StandIn>>, Json(reply): Json<Value>) -> StatusCode {
    let status = reply["status"]
        .as_u64()
        .and_then(|status| u16::try_from(status).ok());
    match (status, reply.get("body")) {
        (Some(status), Some(body)) => {
            stand_in.rekognition.reply(status, body);
            StatusCode::NO_CONTENT
        }
        _ => StatusCode::BAD_REQUEST,
    }
}

async fn keys(State(stand_in): State<Arc<StandIn>>) -> Json<Vec<String>> {
    Json(stand_in.bucket.keys().await)
}
