//! Pictures made to do harm: by being two things at once, by unpacking to far more than they are,
//! or by breaking what reads them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::StatusCode;
use bytes::Bytes;
use cattocdn::domain::sight::Sight;
use cattocdn::domain::variant::PUBLISHED;
use cattocdn::domain::verdict::FrameLook;
use cattocdn::screening::{Screener, ScreeningError};
use imaging::Raster;

use crate::made;
use crate::support::{Answer, ScriptedScreener, Setup, Site, fixture, path_of};

/// Stands in every tail and every comment, and must not stand in any answer.
const MARK: &[u8] = b"catto-smuggled-mark";

#[tokio::test(flavor = "multi_thread")]
async fn of_a_file_that_is_two_things_only_the_picture_is_published() {
    let site = Site::start().await;
    let script = [b"*/=1;alert('", MARK, b"');/*"].concat();
    let html = [b"<html><script>'", MARK, b"'</script></html>"].concat();
    let pdf = [b"%PDF-1.7\n", MARK, b"\n%%EOF"].concat();
    let php = [b"<?php system('", MARK, b"'); ?>"].concat();
    let svg = [
        b"<svg xmlns='http://www.w3.org/2000/svg'><!--",
        MARK,
        b"--></svg>",
    ]
    .concat();
    let jpeg = fixture("cat-gray.jpg");
    let png = png_chunk(b"tEXt", &[b"Comment\0", &html[..]].concat());
    let cases = [
        ("a JPEG and a ZIP", with_tail(&jpeg, &zip())),
        ("a JPEG and PHP", with_tail(&jpeg, &php)),
        (
            "a JPEG with PHP in its comment",
            after(&jpeg, 2, &jpeg_segment(0xfe, &php)),
        ),
        (
            "a JPEG with SVG in a segment",
            after(&jpeg, 2, &jpeg_segment(0xe1, &svg)),
        ),
        ("a GIF and JavaScript", gif_with_script(&script)),
        ("a PNG and HTML", with_tail(&fixture("cat-text.png"), &html)),
        (
            "a PNG with HTML in its text",
            after(&fixture("cat-text.png"), 33, &png),
        ),
        ("a WebP and a PDF", with_tail(&fixture("cat.webp"), &pdf)),
        (
            "a WebP with a PDF in a chunk",
            webp_with_chunk(&fixture("cat.webp"), b"JUNK", &pdf),
        ),
    ];
    for (name, file) in cases {
        assert!(contains(&file, MARK) || name.ends_with("ZIP"), "{name}");
        let answer = site.upload(file).await;
        assert_eq!(
            answer.status,
            StatusCode::CREATED,
            "{name}: {}",
            answer.text()
        );
        let picture = answer.json();
        assert!(!contains(&answer.body, MARK), "{name}");
        let images = picture["images"].as_object().expect("images").clone();
        assert!(images.len() >= PUBLISHED.len(), "{name}");
        for (file_name, url) in images {
            let image = site.get(path_of(url.as_str().expect("a URL"))).await;
            assert_eq!(image.status, StatusCode::OK);
            for smuggled in [
                MARK,
                b"<script",
                b"<?php",
                b"%PDF",
                b"<svg",
                b"PK\x03\x04",
                b"PK\x05\x06",
            ] {
                assert!(!contains(&image.body, smuggled), "{name}: {file_name}");
            }
            let is_jpeg = image.body.starts_with(b"\xff\xd8\xff");
            let is_webp = image.body.starts_with(b"RIFF") && image.body[8..].starts_with(b"WEBP");
            let is_avif = image.body[4..].starts_with(b"ftypavif");
            assert!(is_jpeg || is_webp || is_avif, "{name}: {file_name}");
            assert_eq!(image.header("x-content-type-options"), "nosniff");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_what_its_first_bytes_say_whatever_it_is_called() {
    let site = Site::start().await;
    let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".to_vec();
    let svg = b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec();
    let zip_first = [zip(), fixture("cat-gray.jpg").to_vec()].concat();
    let html_first = [
        b"<html><!--".to_vec(),
        fixture("cat.webp").to_vec(),
        b"--></html>".to_vec(),
    ]
    .concat();
    for (name, bytes) in [
        ("cat.jpg", &heic),
        ("cat.png", &svg),
        ("cat.jpg", &zip_first),
        ("cat.webp", &html_first),
    ] {
        site.upload_form("/api/v1/pictures", &[("file", name, bytes)])
            .await
            .assert_error(415, "unsupported-type");
    }
    let gif = fixture("cat.gif");
    let answer = site
        .upload_form("/api/v1/pictures", &[("file", "cat.jpg.html", &gif)])
        .await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn bombs_of_every_format_are_refused_before_they_unpack() {
    let site = Site::start().await;
    let jpeg = fixture("cat-gray.jpg");
    let mut scans = jpeg[..jpeg.len() - 2].to_vec();
    for _ in 0..65 {
        scans.extend(jpeg_segment(0xda, &[1, 1, 0, 0, 63, 0]));
    }
    scans.extend(b"\xff\xd9");
    let cases: [(&str, Bytes, u16, &str); 9] = [
        ("moving GIF", moving_gif(1000, 1001), 413, "too-many-pixels"),
        ("large GIF", moving_gif(4000, 100), 413, "too-many-pixels"),
        ("moving PNG", moving_png(), 413, "too-many-pixels"),
        ("PNG", fixture("bomb.png"), 413, "too-many-pixels"),
        ("scans", scans.into(), 422, "corrupt-image"),
        ("JPEG", jpeg_of_size(&jpeg, 60_000), 413, "too-many-pixels"),
        ("GIF", gif_of_size(60_000), 413, "too-many-pixels"),
        (
            "WebP",
            lossless_webp_of_size(16_000),
            413,
            "too-many-pixels",
        ),
        (
            "code groups",
            lossless_webp_with_groups(),
            413,
            "too-many-pixels",
        ),
    ];
    for (name, bytes, status, code) in cases {
        let answer = site.upload(bytes).await;
        assert_eq!(answer.status.as_u16(), status, "{name}: {}", answer.text());
        answer.assert_error(status, code);
    }
    assert_eq!(site.stored_files(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_inflated_beside_the_pixels_is_bounded() {
    let site = Site::start().await;
    let png = fixture("cat-text.png");
    // Each holds sixteen megabytes of zeros.
    let zeros = zlib_zeros(16 << 20);
    let profile = png_chunk(b"iCCP", &[b"p\0\0", &zeros[..]].concat());
    let text = png_chunk(b"zTXt", &[b"a\0\0", &zeros[..]].concat());
    for (name, chunk) in [("a profile", profile), ("a text", text)] {
        let answer = site.upload(after(&png, 33, &chunk)).await;
        assert_eq!(
            answer.status,
            StatusCode::CREATED,
            "{name}: {}",
            answer.text()
        );
    }
    // Two thousand entries of EXIF, each of which claims to be the whole block.
    let mut exif = b"Exif\0\0II*\0\x08\0\0\0".to_vec();
    exif.extend(2000_u16.to_le_bytes());
    for _ in 0..2000 {
        exif.extend(b"\x86\x92\x02\0");
        exif.extend(60_000_u32.to_le_bytes());
        exif.extend(8_u32.to_le_bytes());
    }
    exif.resize(65_000, 0);
    let answer = site
        .upload(after(
            &fixture("cat-gray.jpg"),
            2,
            &jpeg_segment(0xe1, &exif),
        ))
        .await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    assert_eq!(answer.json()["stripped"][0], "exif");
}

/// A screener that panics at its first looks, then sees a cat. It holds a lock meanwhile, as a
/// model behind a lock would.
struct Panics {
    looks: Arc<AtomicU32>,
    panics: u32,
    lock: Mutex<()>,
    inner: ScriptedScreener,
}

impl Panics {
    /// Returns the screener with the count of its looks.
    fn times(panics: u32) -> (Self, Arc<AtomicU32>) {
        let looks = Arc::new(AtomicU32::new(0));
        let screener = Self {
            looks: looks.clone(),
            panics,
            lock: Mutex::new(()),
            inner: ScriptedScreener::cat(),
        };
        (screener, looks)
    }
}

impl Screener for Panics {
    fn look(&self, frame: &Raster, with_sight: bool) -> Result<FrameLook, ScreeningError> {
        let _held = self
            .lock
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if self.looks.fetch_add(1, Ordering::SeqCst) < self.panics {
            panic!("an index out of bounds");
        }
        self.inner.look(frame, with_sight)
    }

    fn identity(&self) -> Result<String, ScreeningError> {
        self.inner.identity()
    }

    fn check(&self) -> Result<(), ScreeningError> {
        self.inner.check()
    }
}

/// Uploads a picture without waiting, and returns the URL of its state.
async fn upload_and_leave(site: &Site) -> String {
    let answer = site
        .upload_to("/api/v1/pictures?wait=0", fixture("cat-gray.jpg"))
        .await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
    let url = answer.json()["status_url"].clone();
    path_of(url.as_str().expect("a URL")).to_owned()
}

/// Lets the time between attempts pass until the picture is decided.
async fn wait_for_verdict(site: &Site, status_url: &str) -> Answer {
    let pictures = &site.state.pictures;
    let mut changes = pictures.reading.changes();
    loop {
        changes.mark_unchanged();
        let answer = site.get(status_url).await;
        if answer.status != StatusCode::OK || answer.json()["state"] != "screening" {
            return answer;
        }
        site.clock.advance(Duration::from_secs(10));
        // Where nothing is left to take, a worker has the picture, and tells when it is done.
        if !pictures
            .screening
            .screen_next()
            .await
            .expect("the index works")
        {
            changes.changed().await.expect("the site runs");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_costs_one_attempt_and_neither_memory_nor_the_next_picture() {
    let (screener, looks) = Panics::times(1);
    let mut setup = Setup::new().screened_by(screener);
    // This is enough for one of the pictures but not for two. If the panic had kept its share, the
    // next would wait forever.
    setup.config.limits.decode_memory_bytes = 40_000_000;
    let site = setup.start().await;
    let mut changes = site.state.pictures.reading.changes();
    let first = upload_and_leave(&site).await;
    loop {
        changes.mark_unchanged();
        if looks.load(Ordering::SeqCst) > 0 {
            break;
        }
        changes.changed().await.expect("the site runs");
    }
    let second = site.upload(fixture("cat-gray.jpg")).await;
    assert_eq!(second.status, StatusCode::CREATED, "{}", second.text());
    let answer = wait_for_verdict(&site, &first).await;
    assert_eq!(answer.json()["state"], "published");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_breaks_its_worker_every_time_is_refused() {
    let (screener, looks) = Panics::times(u32::MAX);
    let site = Setup::new().screened_by(screener).start().await;
    let url = upload_and_leave(&site).await;
    let answer = wait_for_verdict(&site, &url).await;
    answer.assert_error(422, "corrupt-image");
    assert!(looks.load(Ordering::SeqCst) > 1);
    assert_eq!(site.get("/healthz").await.status, StatusCode::OK);
    assert!(
        !site
            .stored_files()
            .iter()
            .any(|name| name.contains("objects/i"))
    );
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn with_tail(file: &[u8], tail: &[u8]) -> Vec<u8> {
    [file, tail].concat()
}

/// The file with these bytes inserted at `at`.
fn after(file: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    [&file[..at], bytes, &file[at..]].concat()
}

fn jpeg_segment(marker: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 2).expect("a short segment");
    [&[0xff, marker][..], &length.to_be_bytes(), body].concat()
}

/// A GIF of this many frames of one pixel, on a square canvas of this side.
fn moving_gif(side: u16, frames: usize) -> Bytes {
    let frame = b"\x21\xf9\x04\0\x02\0\0\0\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x4c\x01\0";
    let mut file = b"GIF89a".to_vec();
    file.extend([side.to_le_bytes(), side.to_le_bytes()].concat());
    file.extend(b"\x80\0\0\0\0\0\xff\xff\xff");
    file.extend(frame.repeat(frames));
    file.push(b';');
    file.into()
}

/// A PNG whose frames claim so many pixels that their sum overflows 64 bits and is small again.
fn moving_png() -> Bytes {
    let frames = 8_u32;
    let mut file = fixture("cat-text.png").to_vec();
    let control = |number: u32| {
        let mut body = number.to_be_bytes().to_vec();
        body.extend((1_u32 << 31).to_be_bytes().repeat(2));
        body.extend([0; 8]);
        body.extend(b"\0\x01\0\x0a\0\0");
        png_chunk(b"fcTL", &body)
    };
    let head = [frames.to_be_bytes(), [0; 4]].concat();
    let mut chunks = png_chunk(b"acTL", &head);
    for number in 0..frames {
        chunks.extend(control(number));
    }
    file.splice(33..33, chunks);
    file.into()
}

/// The JPEG with other sides in its frame header.
fn jpeg_of_size(jpeg: &[u8], side: u16) -> Bytes {
    let mut bytes = jpeg.to_vec();
    let at = bytes
        .windows(2)
        .position(|pair| matches!(pair, [0xff, 0xc0 | 0xc2]))
        .expect("a frame header");
    bytes[at + 5..at + 7].copy_from_slice(&side.to_be_bytes());
    bytes[at + 7..at + 9].copy_from_slice(&side.to_be_bytes());
    bytes.into()
}

fn png_chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("a short chunk");
    let checked = [kind, body].concat();
    let sum = crc(&checked);
    [&length.to_be_bytes(), &checked[..], &sum.to_be_bytes()].concat()
}

/// The checksum of a PNG chunk.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg())
        })
    })
}

/// An empty ZIP archive: a local header and the end record.
fn zip() -> Vec<u8> {
    let mut bytes = b"PK\x03\x04".to_vec();
    bytes.extend([0; 26]);
    bytes.extend(b"PK\x05\x06");
    bytes.extend([0; 18]);
    bytes
}

/// A GIF that is also a script, by the old trick: its width opens a comment, which a tail closes.
fn gif_with_script(script: &[u8]) -> Vec<u8> {
    let (width, height) = (u16::from_le_bytes(*b"/*"), 300);
    let palette = [9, 9, 9, 200, 200, 200];
    let mut bytes = Vec::new();
    let mut encoder = gif::Encoder::new(&mut bytes, width, height, &palette).expect("a header");
    let frame = gif::Frame {
        width,
        height,
        buffer: vec![1; usize::from(width) * usize::from(height)].into(),
        ..gif::Frame::default()
    };
    encoder.write_frame(&frame).expect("a frame");
    drop(encoder);
    with_tail(&bytes, script)
}

fn gif_of_size(side: u16) -> Bytes {
    let mut bytes = fixture("cat.gif").to_vec();
    bytes[6..8].copy_from_slice(&side.to_le_bytes());
    bytes[8..10].copy_from_slice(&side.to_le_bytes());
    bytes.into()
}

fn riff(chunk: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut bytes = chunk.to_vec();
    bytes.extend(
        u32::try_from(body.len())
            .expect("a short chunk")
            .to_le_bytes(),
    );
    bytes.extend(body);
    if body.len() % 2 == 1 {
        bytes.push(0);
    }
    bytes
}

fn webp_with_chunk(webp: &[u8], kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    riff(
        b"RIFF",
        &[b"WEBP", &webp[12..], &riff(kind, body)[..]].concat(),
    )
}

/// A lossless stream of these sides whose other bits are given.
fn lossless_webp(side: u32, bits: &[u8]) -> Bytes {
    let head = (side - 1) | ((side - 1) << 14);
    let stream = [&[0x2f][..], &head.to_le_bytes(), bits].concat();
    riff(b"RIFF", &[b"WEBP", &riff(b"VP8L", &stream)[..]].concat()).into()
}

fn lossless_webp_of_size(side: u32) -> Bytes {
    lossless_webp(side, &[0; 40])
}

/// 64 x 64 pixels that name 65536 groups of codes, each of five tables of 4 kB.
fn lossless_webp_with_groups() -> Bytes {
    let mut bits = Vec::new();
    let mut put = |value: u32, count: u32| bits.extend((0..count).map(|at| (value >> at) & 1 == 1));
    // No transform, no colour cache, and an entropy image of blocks of 4 x 4 pixels without a
    // cache.
    put(0b100, 3);
    put(0, 4);
    for symbol in [255, 255, 0, 0, 0] {
        put(0b101, 3);
        put(symbol, 8);
    }
    for _ in 0..65_536 * 5 {
        // The lengths 1, 2, … 9, 10, 10, in a code in which most lengths have four bits.
        put(0, 1);
        put(15, 4);
        for order in 0..19 {
            // The places of 13, 14 and 15.
            put(if order > 15 { 0 } else { 4 }, 3);
        }
        put(0b0011, 4);
        put(11 - 2, 4);
        for length in (1..=10_u32).chain([10]) {
            put(length.reverse_bits() >> 28, 4);
        }
    }
    let (bytes, _) = bits.as_chunks::<8>();
    let mut bytes: Vec<u8> = bytes
        .iter()
        .map(|bits| (0..8).map(|at| u8::from(bits[at]) << at).sum())
        .collect();
    bytes.resize(bytes.len() + 4096, 0);
    lossless_webp(64, &bytes)
}

/// A zlib stream of about `length` zeros: the data of a black PNG.
fn zlib_zeros(length: usize) -> Vec<u8> {
    let mut file = Vec::new();
    let rows = length / 4097;
    let mut encoder = png::Encoder::new(&mut file, 4096, u32::try_from(rows).expect("few rows"));
    encoder.set_color(png::ColorType::Grayscale);
    let mut writer = encoder.write_header().expect("a header");
    writer
        .write_image_data(&vec![0; rows * 4096])
        .expect("pixels");
    writer.finish().expect("an end");
    let mut stream = Vec::new();
    let mut at = 8;
    while at + 8 <= file.len() {
        let length = u32::from_be_bytes(file[at..at + 4].try_into().expect("four bytes"));
        let end = at + 8 + length as usize;
        if &file[at + 4..at + 8] == b"IDAT" {
            stream.extend(&file[at + 8..end]);
        }
        at = end + 4;
    }
    stream
}

/// A screener that sees a cat in whatever is red at the top left.
struct CatsAreRed(ScriptedScreener);

impl Screener for CatsAreRed {
    fn look(&self, frame: &Raster, with_sight: bool) -> Result<FrameLook, ScreeningError> {
        let mut look = self.0.look(frame, with_sight)?;
        if let Some(sight) = &mut look.sight
            && frame.rgb[0] < 128
        {
            *sight = Sight::default();
        }
        Ok(look)
    }

    fn identity(&self) -> Result<String, ScreeningError> {
        self.0.identity()
    }

    fn check(&self) -> Result<(), ScreeningError> {
        self.0.check()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cats_in_two_frames_of_sixty_do_not_carry_an_animation_wherever_they_are() {
    let setup = Setup::new().screened_by(CatsAreRed(ScriptedScreener::cat()));
    let site = setup.start().await;
    let animation = |is_cat: &dyn Fn(u8) -> bool| {
        let frames: Vec<_> = (0..60)
            .map(|frame| [[if is_cat(frame) { 255 } else { 0 }, 4 * frame, 0]; 2])
            .collect();
        made::gif(64, 64, &frames)
    };
    // A choice of every eighth frame would have met the first two pairs.
    for pair in [[0, 8], [0, 1], [29, 30], [14, 59]] {
        let answer = site.upload(animation(&|frame| pair.contains(&frame))).await;
        answer.assert_error(422, "not-a-cat");
    }
    let answer = site.upload(animation(&|frame| frame >= 20)).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
}
