//! A strict stand-in for Rekognition. It notes every request that the service would refuse, counts
//! all requests, and answers what a test tells it to. Otherwise it answers that there is a cat and
//! nothing indecent.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::aws::{ACCESS_KEY, REGION, lock, serve};

pub const MODERATION: &str = "RekognitionService.DetectModerationLabels";
pub const LABELS: &str = "RekognitionService.DetectLabels";

pub struct RekognitionServer {
    pub endpoint: String,
    state: Arc<Mutex<State>>,
}

/// How a request is answered.
pub enum Reply {
    /// As the service answers about a decent cat.
    Usual,
    Answer(u16, String),
    /// No answer ever comes.
    Silence,
}

/// Decides by the target of a request, and by the size of its picture.
type Behaviour = Box<dyn FnMut(&str, (u32, u32)) -> Reply + Send>;

#[derive(Default)]
struct State {
    replies: VecDeque<(u16, String)>,
    behaviour: Option<Behaviour>,
    /// Width and height of the picture of every request that had one.
    image_sizes: Vec<(u32, u32)>,
    /// The target of every request, in order.
    calls: Vec<String>,
    /// What the service would have refused.
    violations: Vec<String>,
}

impl RekognitionServer {
    pub async fn start() -> Self {
        let state = Arc::<Mutex<State>>::default();
        let shared = state.clone();
        let handler = move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let state = shared.clone();
            async move {
                let reply = state_answer(&mut lock(&state), &method, &uri, &headers, &body);
                match reply {
                    Some(answer) => answer,
                    None => std::future::pending().await,
                }
            }
        };
        let router = Router::new()
            .fallback(handler)
            .layer(DefaultBodyLimit::disable());
        Self {
            endpoint: serve(router).await,
            state,
        }
    }

    /// Answers the next request with this instead. It may be called many times.
    pub fn reply(&self, status: u16, body: impl ToString) {
        lock(&self.state)
            .replies
            .push_back((status, body.to_string()));
    }

    /// Answers the next request with an exception, in the service's own format.
    pub fn reply_exception(&self, name: &str, status: u16) {
        let body = json!({"__type": name, "Code": name, "Message": "as scripted"});
        self.reply(status, body);
    }

    /// Answers every request like this from now on, once the replies are used up.
    pub fn behave(&self, behaviour: impl FnMut(&str, (u32, u32)) -> Reply + Send + 'static) {
        lock(&self.state).behaviour = Some(Box::new(behaviour));
    }

    /// Answers as usual again.
    pub fn behave_well(&self) {
        lock(&self.state).behaviour = None;
    }

    /// Width and height of the picture of every request so far.
    pub fn image_sizes(&self) -> Vec<(u32, u32)> {
        lock(&self.state).image_sizes.clone()
    }

    /// The targets of all requests so far. Panics if the service would have refused one.
    #[track_caller]
    pub fn calls(&self) -> Vec<String> {
        let (calls, violations) = self.seen();
        assert_eq!(violations, Vec::<String>::new());
        calls
    }

    /// The targets of all requests so far, and what the service would have refused.
    pub fn seen(&self) -> (Vec<String>, Vec<String>) {
        let state = lock(&self.state);
        (state.calls.clone(), state.violations.clone())
    }
}

fn state_answer(
    state: &mut State,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &[u8],
) -> Option<Response> {
    let target = text(headers, "x-amz-target").to_owned();
    state.calls.push(target.clone());
    let (status, body) = match violation(method, uri, headers, body) {
        Some(violation) => {
            state.violations.push(violation.clone());
            let body = json!({"__type": "InvalidParameterException", "Message": violation});
            (400, body.to_string())
        }
        None => {
            let size = image_size(body).unwrap_or_default();
            state.image_sizes.push(size);
            let behaviour = state.behaviour.as_mut();
            match (state.replies.pop_front(), behaviour) {
                (Some(reply), _) => reply,
                (None, Some(behaviour)) => match behaviour(&target, size) {
                    Reply::Usual => usual(&target),
                    Reply::Answer(status, body) => (status, body),
                    Reply::Silence => return None,
                },
                (None, None) => usual(&target),
            }
        }
    };
    let status = StatusCode::from_u16(status).expect("a status");
    let content_type = [(header::CONTENT_TYPE, "application/x-amz-json-1.1")];
    Some((status, content_type, body).into_response())
}

/// The answer about a decent cat.
fn usual(target: &str) -> (u16, String) {
    let body = if target == MODERATION {
        json!({"ModerationLabels": [], "ModerationModelVersion": "7.0"})
    } else {
        cat()
    };
    (200, body.to_string())
}

/// The size of the picture in a request that has one.
fn image_size(body: &[u8]) -> Option<(u32, u32)> {
    let request: Value = serde_json::from_slice(body).ok()?;
    let jpeg = BASE64_STANDARD.decode(request["Image"]["Bytes"].as_str()?);
    let jpeg = jpeg.ok()?;
    let mut decoder = jpeg_decoder::Decoder::new(&jpeg[..]);
    decoder.read_info().ok()?;
    let info = decoder.info()?;
    Some((info.width.into(), info.height.into()))
}

/// An answer about a cat on a couch, with every documented field.
pub fn cat() -> Value {
    json!({
        "Labels": [
            {
                "Name": "Cat", "Confidence": 98.1,
                "Instances": [{
                    "BoundingBox": {"Width": 0.81, "Height": 0.98, "Left": 0.06, "Top": 0.01},
                    "Confidence": 97.0,
                }],
                "Parents": [{"Name": "Animal"}, {"Name": "Mammal"}, {"Name": "Pet"}],
                "Aliases": [], "Categories": [{"Name": "Animals and Pets"}],
            },
            {
                "Name": "Abyssinian", "Confidence": 89.9, "Instances": [],
                "Parents": [{"Name": "Pet"}, {"Name": "Cat"}, {"Name": "Mammal"}, {"Name": "Animal"}],
                "Aliases": [], "Categories": [{"Name": "Animals and Pets"}],
            },
            {
                "Name": "Couch", "Confidence": 91.5,
                "Instances": [{
                    "BoundingBox": {"Width": 0.9, "Height": 0.5, "Left": 0.0, "Top": 0.5},
                    "Confidence": 91.5,
                }],
                "Parents": [{"Name": "Furniture"}], "Aliases": [{"Name": "Sofa"}],
                "Categories": [{"Name": "Furniture and Furnishings"}],
            },
        ],
        "LabelModelVersion": "3.0",
    })
}

pub fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// What is wrong with a request, if anything is.
fn violation(method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Option<String> {
    if (method, uri.path(), uri.query()) != (&Method::POST, "/", None) {
        return Some(format!("{method} {uri}"));
    }
    if text(headers, "content-type") != "application/x-amz-json-1.1" {
        return Some(format!("content type {}", text(headers, "content-type")));
    }
    let signed = ["host", "x-amz-date", "x-amz-target"];
    if let Some(violation) = signature_violation(headers, "rekognition", &signed) {
        return Some(violation);
    }
    let known: &[&str] = match text(headers, "x-amz-target") {
        MODERATION => &["Image", "MinConfidence"],
        LABELS => &["Image", "MinConfidence", "MaxLabels", "Features"],
        other => return Some(format!("target {other}")),
    };
    let Ok(Value::Object(request)) = serde_json::from_slice(body) else {
        return Some("the body is no JSON object".into());
    };
    if let Some(unknown) = request.keys().find(|key| !known.contains(&key.as_str())) {
        return Some(format!("the field {unknown}"));
    }
    let confidence = request.get("MinConfidence").map(|value| value.as_f64());
    if !confidence.is_none_or(|value| value.is_some_and(|value| (0.0..=100.0).contains(&value))) {
        return Some(format!("MinConfidence {confidence:?}"));
    }
    let most = request.get("MaxLabels").map(|value| value.as_i64());
    if !most.is_none_or(|value| value.is_some_and(|value| (1..=1000).contains(&value))) {
        return Some(format!("MaxLabels {most:?}"));
    }
    let features = request.get("Features");
    if !features.is_none_or(|features| *features == json!(["GENERAL_LABELS"])) {
        return Some(format!("{features:?} costs extra"));
    }
    image_violation(request.get("Image"))
}

/// Checks that every part of a signature of version 4 is there and well-formed. Whether its sum is
/// right is the SDK's business.
pub fn signature_violation(
    headers: &HeaderMap,
    service: &str,
    must_be_signed: &[&str],
) -> Option<String> {
    let authorization = text(headers, "authorization");
    let date = text(headers, "x-amz-date");
    let parts = || -> Option<(&str, &str, &str)> {
        let rest = authorization.strip_prefix("AWS4-HMAC-SHA256 Credential=")?;
        let (credential, rest) = rest.split_once(", SignedHeaders=")?;
        let (signed, signature) = rest.split_once(", Signature=")?;
        Some((credential, signed, signature))
    };
    let Some((credential, signed, signature)) = parts() else {
        return Some(format!("authorization {authorization}"));
    };
    let day = date.get(..8).unwrap_or_default();
    let scope = format!("{ACCESS_KEY}/{day}/{REGION}/{service}/aws4_request");
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let well_formed = credential == scope
        && date.len() == 16
        && digits(day)
        && digits(date.get(9..15).unwrap_or_default())
        && date.ends_with('Z')
        && signature.len() == 64
        && signature.bytes().all(|byte| byte.is_ascii_hexdigit())
        && must_be_signed
            .iter()
            .all(|name| signed.split(';').any(|header| header == *name));
    (!well_formed).then(|| format!("authorization {authorization} of {date}"))
}

/// Checks that the picture is a JPEG that the service accepts, and that it is small. What is
/// missing is a violation as well.
fn image_violation(image: Option<&Value>) -> Option<String> {
    let Some(fields) = image.and_then(Value::as_object).filter(|it| it.len() == 1) else {
        return Some("Image must have Bytes and nothing else".into());
    };
    let bytes = fields.get("Bytes").and_then(Value::as_str);
    let Some(Ok(bytes)) = bytes.map(|bytes| BASE64_STANDARD.decode(bytes)) else {
        return Some("Bytes is no base64".into());
    };
    if bytes.len() > 5_000_000 {
        return Some(format!("{} bytes", bytes.len()));
    }
    let mut decoder = jpeg_decoder::Decoder::new(&bytes[..]);
    if let Err(error) = decoder.decode() {
        return Some(format!("no JPEG: {error}"));
    }
    let Some(info) = decoder.info() else {
        return Some("a JPEG without a size".into());
    };
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    let good =
        width.min(height) >= 80 && width.max(height) <= 10_000 && width * height <= 1_000_000;
    (!good).then(|| format!("{width} x {height} pixels"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_without_a_picture_breaks_the_rules() {
        for image in [
            json!(null),
            json!("picture"),
            json!({}),
            json!({"S3Object": {}}),
            json!({"Bytes": 7}),
            json!({"Bytes": "no base64!"}),
            json!({"Bytes": ""}),
        ] {
            assert!(image_violation(Some(&image)).is_some(), "{image}");
        }
        assert!(image_violation(None).is_some());
    }
}
