//! Nothing is given away that the uploader did not mean to give: exiftool reads every published
//! byte.

mod carriers;
mod exiftool;

use axum::body::Body;
use axum::http::{Method, StatusCode, header};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use cattocdn::domain::variant::PUBLISHED;
use serde_json::Value;

use self::carriers::{Carrier, SECRET};
use crate::made::{apng_of, painted, pixel, png_of, read_back};
use crate::support::{Answer, Site, fixture, request};

/// Everything that exiftool may find in a published file: what is needed to show the pixels, and
/// what it says about the file itself.
const ALLOWED: [&str; 52] = [
    "SourceFile",
    "ExifTool:ExifToolVersion",
    "System:FileName",
    "System:Directory",
    "System:FileSize",
    "System:FileModifyDate",
    "System:FileAccessDate",
    "System:FileInodeChangeDate",
    "System:FilePermissions",
    "File:FileType",
    "File:FileTypeExtension",
    "File:MIMEType",
    "File:ImageWidth",
    "File:ImageHeight",
    "File:EncodingProcess",
    "File:BitsPerSample",
    "File:ColorComponents",
    "File:YCbCrSubSampling",
    "JFIF:JFIFVersion",
    "JFIF:ResolutionUnit",
    "JFIF:XResolution",
    "JFIF:YResolution",
    "RIFF:VP8Version",
    "RIFF:ImageWidth",
    "RIFF:ImageHeight",
    "RIFF:HorizontalScale",
    "RIFF:VerticalScale",
    "RIFF:WebP_Flags",
    "RIFF:BackgroundColor",
    "RIFF:AnimationLoopCount",
    "RIFF:Duration",
    "QuickTime:MajorBrand",
    "QuickTime:MinorVersion",
    "QuickTime:CompatibleBrands",
    "QuickTime:HandlerType",
    "Meta:PrimaryItemReference",
    "QuickTime:ImageSpatialExtent",
    "QuickTime:AV1ConfigurationVersion",
    "QuickTime:InitialDelaySamples",
    "QuickTime:SeqProfile",
    "QuickTime:SeqLevelIdx0",
    "QuickTime:SeqTier0",
    "QuickTime:HighBitDepth",
    "QuickTime:TwelveBit",
    "QuickTime:ChromaFormat",
    "QuickTime:ChromaSamplePosition",
    "QuickTime:ImagePixelDepth",
    "QuickTime:MediaDataSize",
    "QuickTime:MediaDataOffset",
    "QuickTime:MediaData",
    "Composite:ImageSize",
    "Composite:Megapixels",
];

/// Uploads each file under a name that holds the secret, and looks for the secret wherever it could
/// appear.
async fn assert_nothing_is_given_away(kind: &str, carriers: Vec<Carrier>) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let keep = |name: String, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).expect("a file");
        path
    };
    let uploads: Vec<_> = carriers
        .iter()
        .map(|carrier| keep(format!("upload of {}.{kind}", carrier.name), &carrier.file))
        .collect();
    for (carrier, tags) in carriers.iter().zip(exiftool::read(&uploads)) {
        assert_carries(carrier, &tags);
    }

    let site = Site::start().await;
    let mut published = Vec::new();
    for Carrier {
        name, file, kinds, ..
    } in &carriers
    {
        let file_name = format!("my {SECRET}.{kind}");
        let answer = site
            .upload_form("/api/v1/pictures", &[("file", &file_name, file)])
            .await;
        assert_eq!(
            answer.status,
            StatusCode::CREATED,
            "{name}: {}",
            answer.text()
        );
        assert_keeps_quiet(name, &answer);
        let json = answer.json();
        assert_eq!(stripped(&json), *kinds, "{name}");
        let images = json["images"].as_object().expect("images");
        assert!(images.len() >= PUBLISHED.len(), "{name}");
        for (variant, url) in images {
            let image = site.get(url.as_str().expect("a URL")).await;
            assert_eq!(image.status, StatusCode::OK, "{name}: {variant}");
            assert_keeps_quiet(name, &image);
            assert_bare(name, &image.body);
            published.push(keep(format!("{name} {variant}"), &image.body));
        }
        let picture = answer_about(&site, &json).await;
        assert_keeps_quiet(name, &picture);
        let blur = picture.json()["placeholder"].as_str().map(decode_data_url);
        published.push(keep(format!("{name} blur.webp"), &blur.expect("a blur")));
        let page = site.get_page(json["url"].as_str().expect("a URL")).await;
        assert_eq!(page.status, StatusCode::OK);
        assert_keeps_quiet(name, &page);
    }
    for url in ["/", "/search?q=cat", "/tags/cat"] {
        let page = site.get_page(url).await;
        assert_eq!(page.status, StatusCode::OK, "{url}");
        assert_keeps_quiet(url, &page);
    }
    for url in ["/api/v1/pictures", "/api/v1/pictures?q=cat", "/api/v1/tags"] {
        let list = site.get(url).await;
        assert_eq!(list.status, StatusCode::OK, "{url}");
        assert_keeps_quiet(url, &list);
    }
    for name in site.stored_files() {
        let bytes = std::fs::read(site.data_dir.join(&name)).expect("a stored file");
        assert!(!holds_secret(&bytes), "{name} is kept with the secret");
    }

    for tags in exiftool::read(&published) {
        for (tag, value) in &tags {
            let allowed = ALLOWED.contains(&tag.as_str());
            assert!(allowed, "{}: {tag} is {value}", tags["SourceFile"]);
        }
        let flags = tags.get("RIFF:WebP_Flags");
        assert!(flags.is_none_or(|flags| flags == "Animation"), "{flags:?}");
    }
}

/// Checks that an upload really holds what it is to be stripped of.
fn assert_carries(carrier: &Carrier, tags: &exiftool::Tags) {
    let Carrier {
        name, file, seen, ..
    } = carrier;
    for (tag, part) in *seen {
        let value = tags
            .get(*tag)
            .unwrap_or_else(|| panic!("{name}: no {tag} in {tags:#?}"));
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        assert!(text.contains(part), "{name}: {tag} is {text}");
    }
    let plain = carrier.kinds.is_empty();
    assert!(
        plain || !seen.is_empty() || holds_secret(file),
        "{name} carries nothing"
    );
}

/// Checks that neither the header nor the body of an answer holds the secret.
fn assert_keeps_quiet(name: &str, answer: &Answer) {
    let headers = format!("{:?}", answer.headers);
    assert!(!holds_secret(headers.as_bytes()), "{name}: {headers}");
    assert!(!holds_secret(&answer.body), "{name}: {}", answer.text());
}

/// True where the secret stands anywhere, in lower or upper case, in 8 or 16 bits, or within
/// Base64.
fn holds_secret(bytes: &[u8]) -> bool {
    let lower = bytes.to_ascii_lowercase();
    let wide =
        |order: fn(u16) -> [u8; 2]| SECRET.encode_utf16().flat_map(order).collect::<Vec<u8>>();
    let encoded = (0..3).map(|shift| {
        // These are the letters that do not depend on what stands before and after.
        let text = BASE64_STANDARD.encode([&b"\0\0"[..shift], SECRET.as_bytes()].concat());
        text[[0, 2, 3][shift]..8].to_ascii_lowercase().into_bytes()
    });
    [
        SECRET.as_bytes().to_vec(),
        wide(u16::to_le_bytes),
        wide(u16::to_be_bytes),
    ]
    .into_iter()
    .chain(encoded)
    .any(|needle| lower.windows(needle.len()).any(|window| window == needle))
}

/// Checks that an AVIF file is its kind, what is said of its one picture, and that picture.
fn assert_bare_boxes(name: &str, file: &[u8]) {
    let mut rest = file;
    for kind in [b"ftyp", b"meta", b"mdat"] {
        let (length, _) = rest.split_first_chunk::<4>().expect("a box");
        let length = u32::from_be_bytes(*length) as usize;
        assert_eq!(&rest[4..8], kind, "{name}");
        if kind == b"meta" {
            // One item, which is no EXIF and no XMP.
            let items = rest[..length].windows(4).filter(|four| *four == b"infe");
            assert_eq!(items.count(), 1, "{name}");
        }
        rest = &rest[length..];
    }
    assert!(rest.is_empty(), "{name}: bytes behind the end");
}

/// Checks that a file has the parts that show its pixels and no others, by the rules of its
/// container.
fn assert_bare(name: &str, file: &[u8]) {
    if file.starts_with(b"RIFF") {
        let size = u32::from_le_bytes([file[4], file[5], file[6], file[7]]);
        assert_eq!(
            size as usize + 8,
            file.len(),
            "{name}: bytes behind the end"
        );
        return assert_bare_chunks(name, &file[12..]);
    }
    if file[4..].starts_with(b"ftyp") {
        return assert_bare_boxes(name, file);
    }
    assert!(
        file.ends_with(&[0xff, 0xd9]),
        "{name}: bytes behind the end"
    );
    let mut rest = &file[2..];
    // Up to the first scan there is JFIF without a thumbnail, tables and the frame header.
    while rest[1] != 0xda {
        let length = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        let known = matches!((rest[1], length), (0xe0, 16) | (0xdb | 0xc4 | 0xc2, _));
        assert!(known, "{name}: segment {:x} of {length} bytes", rest[1]);
        rest = &rest[2 + length..];
    }
}

fn assert_bare_chunks(name: &str, mut chunks: &[u8]) {
    while !chunks.is_empty() {
        let length = u32::from_le_bytes([chunks[4], chunks[5], chunks[6], chunks[7]]) as usize;
        match &chunks[..4] {
            b"VP8 " | b"VP8X" | b"ANIM" => {}
            b"ANMF" => assert_bare_chunks(name, &chunks[8 + 16..8 + length]),
            kind => panic!("{name}: chunk {}", kind.escape_ascii()),
        }
        chunks = &chunks[8 + length + length % 2..];
    }
}

fn stripped(json: &Value) -> Vec<&str> {
    let kinds = json["stripped"].as_array().expect("a list");
    let mut kinds: Vec<&str> = kinds.iter().filter_map(Value::as_str).collect();
    kinds.sort_unstable();
    kinds
}

async fn answer_about(site: &Site, json: &Value) -> Answer {
    let id = json["id"].as_str().expect("an id");
    site.get(&format!("/api/v1/pictures/{id}")).await
}

fn decode_data_url(url: &str) -> Vec<u8> {
    let (_, data) = url.split_once(";base64,").expect("a data URL");
    BASE64_STANDARD.decode(data).expect("Base64")
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_jpeg_carries_is_given_away_and_all_of_it_is_named() {
    assert_nothing_is_given_away("jpg", carriers::jpegs()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_png_carries_is_given_away_and_all_of_it_is_named() {
    assert_nothing_is_given_away("png", carriers::pngs()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_webp_carries_is_given_away_and_all_of_it_is_named() {
    assert_nothing_is_given_away("webp", carriers::webps()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_gif_carries_is_given_away_and_all_of_it_is_named() {
    assert_nothing_is_given_away("gif", carriers::gifs()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_of_an_uploaded_file_is_forgotten() {
    let site = Site::start().await;
    let cat = fixture("cat.webp");
    let name = format!("{SECRET}.webp");
    let put = request(Method::PUT, &format!("/api/v1/pictures/{name}"))
        .body(Body::from(cat.clone()))
        .expect("a request");
    let with_header = request(Method::POST, "/api/v1/pictures")
        .header(
            header::CONTENT_DISPOSITION,
            format!("attachment; filename={name}"),
        )
        .body(Body::from(cat.clone()))
        .expect("a request");
    for answer in [
        site.send(put).await,
        site.send(with_header).await,
        site.upload_form("/api/v1/pictures", &[("file", &name, &cat)])
            .await,
        site.upload_form("/api/ui/upload", &[("file", &name, &cat)])
            .await,
    ] {
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        let json = answer.json();
        let page = site.get_page(json["url"].as_str().expect("a URL")).await;
        for answer in [answer, page, answer_about(&site, &json).await] {
            assert_keeps_quiet("a name", &answer);
        }
        for url in json["images"].as_object().expect("images").values() {
            assert_keeps_quiet("a name", &site.get(url.as_str().expect("a URL")).await);
        }
    }
    let form = site.upload_form("/upload", &[("file", &name, &cat)]).await;
    assert_eq!(form.status, StatusCode::CREATED);
    assert_keeps_quiet("a name", &form);
    // This includes the index: what is not kept cannot be given away later.
    for entry in std::fs::read_dir(&site.data_dir)
        .expect("a folder")
        .flatten()
    {
        if entry.path().is_file() {
            let bytes = std::fs::read(entry.path()).expect("a file");
            assert!(!holds_secret(&bytes), "{:?}", entry.file_name());
        }
    }
    for name in site.stored_files() {
        let bytes = std::fs::read(site.data_dir.join(&name)).expect("a stored file");
        assert!(!holds_secret(&bytes), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pixels_that_nobody_could_see_are_not_shown() {
    let site = Site::start().await;
    // Stripes under full transparency, and a first picture that viewers of an animation never see.
    let striped = painted(
        320,
        160,
        |x, _| if x / 8 % 2 == 0 { [200, 0, 0] } else { [0; 3] },
    );
    let (pixels, _) = striped.rgb.as_chunks::<3>();
    let clear: Vec<u8> = pixels
        .iter()
        .flat_map(|[r, g, b]| [*r, *g, *b, 0])
        .collect();
    let white = vec![255; striped.rgb.len()];
    let frames = [white.as_slice(), &white];
    let hidden_first = hide_first(
        &apng_of(&striped, png::ColorType::Rgb, &frames),
        &png_of(&striped, &striped.rgb, png::ColorType::Rgb),
    );
    for (name, file) in [
        (
            "transparent pixels",
            png_of(&striped, &clear, png::ColorType::Rgba),
        ),
        ("a picture before an animation", hidden_first),
    ] {
        let picture = site.publish_file(name, file).await;
        for url in picture["images"].as_object().expect("images").values() {
            let body = site.get(url.as_str().expect("a URL")).await.body;
            for frame in read_back(&body) {
                for x in 0..frame.width {
                    let found = pixel(&frame, x, frame.height / 2);
                    assert!(found.iter().all(|value| *value > 250), "{name}: {found:?}");
                }
            }
        }
    }
}

/// An animation with a still before it that is not part of it. The still's `IDAT` comes before the
/// first `fcTL`, and the data of every frame becomes `fdAT`.
fn hide_first(animation: &[u8], still: &[u8]) -> Vec<u8> {
    let parts = |png: &[u8]| {
        let mut chunks = Vec::new();
        let mut rest = &png[8..];
        while !rest.is_empty() {
            let length = u32::from_be_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
            chunks.push((rest[4..8].to_vec(), rest[8..8 + length].to_vec()));
            rest = &rest[12 + length..];
        }
        chunks
    };
    let hidden = parts(still).into_iter().filter(|(kind, _)| kind == b"IDAT");
    let mut file = animation[..8].to_vec();
    let mut hidden = hidden.collect::<Vec<_>>().into_iter();
    let mut sequence = 0_u32;
    for (kind, body) in parts(animation) {
        let (kind, body) = match kind.as_slice() {
            b"fcTL" => {
                for (_, body) in hidden.by_ref() {
                    file.extend(crate::made::chunk(b"IDAT", &body));
                }
                (
                    *b"fcTL",
                    [&numbered(&mut sequence)[..], &body[4..]].concat(),
                )
            }
            b"IDAT" => (*b"fdAT", [&numbered(&mut sequence)[..], &body].concat()),
            b"fdAT" => (
                *b"fdAT",
                [&numbered(&mut sequence)[..], &body[4..]].concat(),
            ),
            b"acTL" => (*b"acTL", body),
            b"IHDR" => (*b"IHDR", body),
            _ => (*b"IEND", body),
        };
        file.extend(crate::made::chunk(&kind, &body));
    }
    file
}

fn numbered(sequence: &mut u32) -> [u8; 4] {
    let number = *sequence;
    *sequence += 1;
    number.to_be_bytes()
}
