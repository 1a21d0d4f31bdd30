//! The two paid calls, on the wire: what is sent, what the answers mean, and that a failure is
//! reported and never retried here.

use std::path::Path;
use std::time::{Duration, Instant};

use aws_config::SdkConfig;
use aws_credential_types::provider::error::CredentialsError;
use cattocdn::domain::verdict::{Reason, Verdict};
use cattocdn::pictures::outputs;
use cattocdn::screening::SecondOpinionError;
use cattocdn::screening::rekognition::detection::{self, DetectionMinimums};
use cattocdn::screening::rekognition::moderation::{self, ModerationLabel, ModerationMinimums};
use cattocdn::screening::rekognition::{RekognitionClient, RekognitionError, RekognitionOptions};
use imaging::{self, ContactSheet, Limits, Raster, ScreeningImage};
use serde_json::json;
use tokio::net::TcpListener;

use tools::stand_ins::aws::{self, SECRET_KEY};
use tools::stand_ins::rekognition_server::{LABELS, MODERATION, RekognitionServer, cat};

async fn sdk(endpoint: &str) -> SdkConfig {
    aws::sdk(endpoint, SECRET_KEY, None).await
}

async fn client(endpoint: &str) -> RekognitionClient {
    RekognitionClient::new(&sdk(endpoint).await, &RekognitionOptions::default())
}

fn fixture_path(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

fn far_off() -> Instant {
    Instant::now() + Duration::from_secs(600)
}

fn image() -> ScreeningImage {
    let path = fixture_path("chelsea.png");
    let inspected = imaging::inspect(&path, &Limits::default(), &outputs()).expect("is a picture");
    let raster = imaging::decode_still(&path, &inspected, far_off()).expect("decodes");
    imaging::screening_image(&raster).expect("encodes")
}

fn contact_sheet(name: &str) -> ScreeningImage {
    let (path, limits) = (fixture_path(name), Limits::default());
    let inspected = imaging::inspect(&path, &limits, &outputs()).expect("is a picture");
    let mut sheet = None;
    for frame in imaging::frames(&path, &inspected, &limits, far_off()).expect("has frames") {
        let raster = frame.expect("decodes").raster;
        sheet
            .get_or_insert_with(|| ContactSheet::new(inspected.frames, raster.width, raster.height))
            .push(&raster)
            .expect("fits");
    }
    sheet.expect("a frame").finish().expect("encodes")
}

fn class(error: &RekognitionError) -> &'static str {
    match error {
        RekognitionError::Throttled(_) => "throttled",
        RekognitionError::Unreachable(_) => "unreachable",
        RekognitionError::Unavailable(_) => "unavailable",
        RekognitionError::Refused(_) => "refused",
        RekognitionError::InvalidImage(_) => "invalid image",
    }
}

#[tokio::test]
async fn each_call_is_one_well_formed_request() {
    let server = RekognitionServer::start().await;
    let (client, image) = (client(&server.endpoint).await, image());
    client.detect_moderation(&image).await.expect("answers");
    assert_eq!(server.calls(), [MODERATION]);
    client.detect_labels(&image).await.expect("answers");
    assert_eq!(server.calls(), [MODERATION, LABELS]);
}

#[tokio::test]
async fn pictures_of_every_shape_are_sent_within_the_limits() {
    let server = RekognitionServer::start().await;
    let client = client(&server.endpoint).await;
    for (width, height) in [(32, 32), (2048, 52), (52, 2048), (2048, 4096), (640, 480)] {
        let raster = Raster {
            width,
            height,
            rgb: vec![99; (width * height * 3) as usize],
        };
        let image = imaging::screening_image(&raster).expect("encodes");
        client.detect_moderation(&image).await.expect("is accepted");
    }
    for name in ["cat-animated.gif", "cat-animated.webp"] {
        let sheet = contact_sheet(name);
        client.detect_moderation(&sheet).await.expect("is accepted");
    }
    assert_eq!(server.calls().len(), 7);
}

#[tokio::test]
async fn a_decent_cat_is_approved_with_tags_and_a_description() {
    let server = RekognitionServer::start().await;
    let (client, image) = (client(&server.endpoint).await, image());
    let moderation = client.detect_moderation(&image).await.expect("answers");
    assert_eq!(moderation.model_version, "7.0");
    let minimums = ModerationMinimums::default();
    assert_eq!(moderation::objection(&moderation.labels, &minimums), None);

    let found = client.detect_labels(&image).await.expect("answers");
    assert_eq!(found.model_version, "3.0");
    let verdict = detection::judge(&found.labels, &DetectionMinimums::default());
    let Verdict::Approved { tags, alt } = verdict else {
        panic!("{verdict:?}");
    };
    assert_eq!(alt, "cat with a couch");
    let names: Vec<&str> = tags.iter().map(|tag| tag.name.as_str()).collect();
    for expected in ["cat", "pet", "couch", "sofa", "furniture"] {
        assert!(names.contains(&expected), "{names:?}");
    }
    assert!(!names.contains(&"abyssinian"), "{names:?}");
    assert!((tags[0].confidence - 0.981).abs() < 1e-4, "{tags:?}");
}

#[tokio::test]
async fn a_documented_moderation_answer_condemns() {
    let server = RekognitionServer::start().await;
    server.reply(
        200,
        json!({
            "ModerationLabels": [
                {"Name": "Explicit Nudity", "ParentName": "Explicit", "Confidence": 99.2, "TaxonomyLevel": 2},
                {"Name": "Explicit", "ParentName": "", "Confidence": 99.2, "TaxonomyLevel": 1},
            ],
            "ModerationModelVersion": "7.0",
            "ContentTypes": [{"Name": "Illustrated", "Confidence": 92.0}],
        }),
    );
    let client = client(&server.endpoint).await;
    let found = client.detect_moderation(&image()).await.expect("answers");
    let expected = ModerationLabel {
        name: "Explicit Nudity".into(),
        parent: "Explicit".into(),
        confidence: 99.2 / 100.0,
    };
    let objection = moderation::objection(&found.labels, &ModerationMinimums::default());
    assert_eq!(objection, Some(&expected));
}

#[tokio::test]
async fn labels_without_a_cat_are_refused() {
    let server = RekognitionServer::start().await;
    let mut without = cat();
    without["Labels"] =
        json!([{"Name": "Dog", "Confidence": 99.0, "Parents": [{"Name": "Animal"}]}]);
    server.reply(200, without);
    let client = client(&server.endpoint).await;
    let found = client.detect_labels(&image()).await.expect("answers");
    assert_eq!(
        detection::judge(&found.labels, &DetectionMinimums::default()),
        Verdict::Rejected(Reason::NotACat)
    );
}

#[tokio::test]
async fn every_documented_exception_has_its_class_and_costs_one_request() {
    let server = RekognitionServer::start().await;
    let (client, image) = (client(&server.endpoint).await, image());
    let both = [
        ("AccessDeniedException", 400, "refused"),
        ("ImageTooLargeException", 400, "invalid image"),
        ("InternalServerError", 500, "unavailable"),
        ("InvalidImageFormatException", 400, "invalid image"),
        ("InvalidParameterException", 400, "refused"),
        ("InvalidS3ObjectException", 400, "invalid image"),
        ("ProvisionedThroughputExceededException", 400, "throttled"),
        ("ThrottlingException", 400, "throttled"),
        ("ThrottlingException", 500, "throttled"),
        // Every service that checks signatures has these.
        ("ExpiredTokenException", 400, "refused"),
        ("UnrecognizedClientException", 400, "refused"),
        ("InvalidSignatureException", 400, "refused"),
    ];
    let moderation_only = [
        ("HumanLoopQuotaExceededException", 402, "refused"),
        ("ResourceNotFoundException", 400, "refused"),
        ("ResourceNotReadyException", 400, "refused"),
    ];
    let mut made = 0;
    for (name, status, expected) in both.into_iter().chain(moderation_only) {
        server.reply_exception(name, status);
        let error = client.detect_moderation(&image).await.expect_err(name);
        made += 1;
        assert_eq!(class(&error), expected, "{name}");
        let error = SecondOpinionError::from(error);
        assert_eq!(
            error.retry_helps(),
            matches!(expected, "throttled" | "unavailable"),
            "{name}"
        );
        assert_eq!(
            error.may_be_billed(),
            matches!(expected, "unavailable" | "invalid image"),
            "{name}"
        );
        let text = format!("{:#}", anyhow::Error::from(error));
        assert!(text.contains(name), "the log names what happened: {text}");
    }
    for (name, status, expected) in both {
        server.reply_exception(name, status);
        let error = client.detect_labels(&image).await.expect_err(name);
        made += 1;
        assert_eq!(class(&error), expected, "{name}");
    }
    assert_eq!(server.calls().len(), made, "a call was made more than once");
}

#[tokio::test]
async fn answers_that_say_nothing_are_no_verdict() {
    let server = RekognitionServer::start().await;
    let (client, image) = (client(&server.endpoint).await, image());
    for (status, body, expected) in [
        (200, "{}", "unavailable"),
        (200, "", "unavailable"),
        (200, "null", "unavailable"),
        (
            200,
            r#"{"ModerationLabels":null,"Labels":null}"#,
            "unavailable",
        ),
        (
            200,
            r#"{"ModerationLabels":"none","Labels":"none"}"#,
            "unavailable",
        ),
        (200, r#"{"ModerationLabels":[],"Labels":["#, "unavailable"),
        (
            200,
            "<html>Welcome to the hotel's network</html>",
            "unavailable",
        ),
        (502, "<html>Bad Gateway</html>", "unavailable"),
        (429, "", "throttled"),
        (403, "<html>Forbidden</html>", "refused"),
        (404, "", "refused"),
    ] {
        server.reply(status, body);
        let error = client.detect_moderation(&image).await.expect_err(body);
        assert_eq!(class(&error), expected, "moderation: {status} {body}");
        server.reply(status, body);
        let error = client.detect_labels(&image).await.expect_err(body);
        assert_eq!(class(&error), expected, "labels: {status} {body}");
    }
    assert_eq!(server.calls().len(), 22, "a call was made more than once");
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_after_one_attempt() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let endpoint = format!("http://{}", listener.local_addr().expect("is bound"));
    let options = RekognitionOptions {
        call_timeout: Duration::from_millis(300),
        ..RekognitionOptions::default()
    };
    let client = RekognitionClient::new(&sdk(&endpoint).await, &options);
    let image = image();
    let (error, accepted) = tokio::join!(client.detect_moderation(&image), listener.accept());
    assert_eq!(class(&error.expect_err("times out")), "unavailable");
    drop(accepted.expect("was asked"));
}

#[tokio::test]
async fn a_connection_that_is_cut_is_made_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let endpoint = format!("http://{}", listener.local_addr().expect("is bound"));
    let cutting = tokio::spawn(async move {
        // The connection is cut after the request was read, so that only its answer is missing.
        let mut cut = 0_u32;
        loop {
            let (socket, _) = listener.accept().await.expect("accepts");
            socket.readable().await.expect("is asked");
            drop(socket);
            cut += 1;
            assert!(cut < 2, "the call was made again");
        }
    });
    let client = client(&endpoint).await;
    let error = client.detect_labels(&image()).await.expect_err("is cut");
    assert_eq!(class(&error), "unavailable");
    assert!(!cutting.is_finished(), "the call was made again");
    cutting.abort();

    let error = client.detect_labels(&image()).await;
    let error = error.expect_err("nobody listens");
    assert_eq!(class(&error), "unreachable");
    let error = SecondOpinionError::from(error);
    assert!(error.retry_helps() && !error.may_be_billed());
}

#[tokio::test]
async fn without_credentials_nothing_is_sent() {
    let server = RekognitionServer::start().await;
    for (error, expected) in [
        (CredentialsError::not_loaded("there are none"), "refused"),
        (
            CredentialsError::provider_timed_out(Duration::from_secs(1)),
            "unreachable",
        ),
    ] {
        let sdk = aws::sdk_without_credentials(&server.endpoint, error).await;
        let client = RekognitionClient::new(&sdk, &RekognitionOptions::default());
        let error = client.detect_labels(&image()).await.expect_err("fails");
        assert_eq!(class(&error), expected, "{error:?}");
    }
    assert_eq!(server.calls(), Vec::<String>::new());
}

/// moto answers every picture with a telephone, and does not know the other call.
#[tokio::test]
async fn an_independent_server_understands_detect_labels() {
    let client = client(&aws::moto_endpoint()).await;
    let found = client.detect_labels(&image()).await.expect("answers");
    let label = found.labels.first().expect("a label");
    assert_eq!(label.name, "Mobile Phone");
    assert_eq!(label.parents, ["Phone"]);
    assert_eq!(label.aliases, ["Cell Phone"]);
    assert_eq!(label.categories, ["Technology and Computing"]);
    assert!(
        label.confidence > 0.99 && label.confidence <= 1.0,
        "{label:?}"
    );
    assert_eq!(
        detection::judge(&found.labels, &DetectionMinimums::default()),
        Verdict::Rejected(Reason::NotACat)
    );
}
