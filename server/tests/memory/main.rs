//! Compares the memory that a picture really takes with what [`Inspected::working_bytes`] said it
//! would.
//!
//! The whole server shares one budget for decoding, and admits pictures by that estimate. If it is
//! too low, a few bytes can end the process. So each case is decoded and encoded in a process of
//! its own, with the allocator set as the server sets it, and what counts is the peak of resident
//! memory. That is what the system limits, and it includes what libwebp takes, which a counting
//! allocator would miss.
#![cfg(target_os = "linux")]

mod pictures;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use cattocdn::pictures::outputs;
use imaging::{self, Aim, AnimationEncoder, ContactSheet, ImageError, Inspected, Limits, Variant};

use pictures::{Animation, Gif, Jpeg, Picture, Png, WebP};

/// The variable that names the file for [`one_picture_in_a_process_of_its_own`].
const FILE: &str = "CATTO_MEASURED_FILE";

/// If this variable is set, the figures of each picture are shown, whether they are right or wrong.
const SHOW_ALL: &str = "CATTO_MEASURED_ALL";

/// The setting of the allocator, as the server has it.
const ALLOCATOR: (&str, &str) = (
    cattocdn::runtime::allocator::VARIABLE,
    cattocdn::runtime::allocator::SETTINGS,
);

/// How far an estimate may exceed what was taken: by this factor, and by this many bytes for what
/// does not grow with the picture.
const MOST_TIMES: u64 = 3;
const MOST_BEYOND: u64 = 8 << 20;

/// Of these sizes, the largest that the server accepts is measured. The first has the most pixels
/// that any picture may have.
const SIZES: [(u32, u32); 9] = [
    (8000, 6000),
    (7000, 5000),
    (6000, 4000),
    (5000, 3333),
    (4000, 3000),
    (3000, 2400),
    (2048, 2000),
    (2000, 1500),
    (1500, 1000),
];

/// What was measured for one case.
struct Measured {
    name: String,
    estimate: u64,
    peak: u64,
    stored: u64,
    most_stored: u64,
}

/// Measures the pictures, and fails for all whose estimates were wrong.
fn compare(pictures: impl IntoIterator<Item = Picture>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut wrong = String::new();
    for (number, picture) in pictures.into_iter().enumerate() {
        let Some((name, path)) = largest(&picture, &folder.path().join(number.to_string())) else {
            panic!("{}: none of the sizes is let through", picture.name);
        };
        let found = measure(name, &path);
        fs::remove_file(&path).expect("it was just written");
        let Measured {
            name,
            estimate,
            peak,
            stored,
            most_stored,
        } = &found;
        let line = format!(
            "{name}: estimate {:.1} MB, taken {:.1} MB; at most {:.1} MB stored, {:.1} MB were",
            mega(*estimate),
            mega(*peak),
            mega(*most_stored),
            mega(*stored)
        );
        if std::env::var_os(SHOW_ALL).is_some() {
            writeln!(wrong, "{line}").expect("a string takes everything");
        }
        if peak > estimate || *estimate > peak * MOST_TIMES + MOST_BEYOND || stored > most_stored {
            writeln!(wrong, "WRONG {line}").expect("a string takes everything");
        }
    }
    // If all figures were asked for, the test fails with them, because tests that pass print
    // nothing.
    assert!(wrong.is_empty(), "\n{wrong}");
}

fn mega(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Writes the picture at the largest of its sizes that the server accepts.
fn largest(picture: &Picture, path: &Path) -> Option<(String, PathBuf)> {
    picture.sizes.iter().find_map(|(width, height)| {
        fs::write(path, (picture.make)(*width, *height)).expect("space on the disk");
        match imaging::inspect(path, &Limits::default(), &outputs()) {
            Ok(_) => Some((
                format!("{} {width} x {height}", picture.name),
                path.to_owned(),
            )),
            Err(ImageError::TooManyPixels { .. }) => None,
            Err(error) => panic!("{} {width} x {height}: {error:?}", picture.name),
        }
    })
}

fn measure(name: String, path: &Path) -> Measured {
    let output = Command::new(std::env::current_exe().expect("this program has a file"))
        .args([
            "--exact",
            "--nocapture",
            "one_picture_in_a_process_of_its_own",
        ])
        .env(FILE, path)
        .env(ALLOCATOR.0, ALLOCATOR.1)
        .output()
        .expect("this program can be started");
    assert!(output.status.success(), "{name}: {output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<u64> = text
        .lines()
        .find_map(|line| line.strip_prefix("measured "))
        .unwrap_or_default()
        .split_whitespace()
        .map(|number| number.parse().expect("a number"))
        .collect();
    let [estimate, peak, stored, most_stored] = numbers[..] else {
        panic!("{name}: {text}");
    };
    Measured {
        name,
        estimate,
        peak,
        stored,
        most_stored,
    }
}

/// Does nothing by itself. The other tests start it, once for each file.
#[test]
fn one_picture_in_a_process_of_its_own() {
    let Some(path) = std::env::var_os(FILE) else {
        return;
    };
    let path = Path::new(&path);
    // The peak of resident memory is counted anew from here on.
    fs::write("/proc/self/clear_refs", "5").expect("Linux lets a process do so");
    let before = resident("VmRSS:");
    let inspected = imaging::inspect(path, &Limits::default(), &outputs());
    let inspected = inspected.expect("it was looked at before");
    let variants = work(path, &inspected).expect("a good picture");
    let peak = resident("VmHWM:").saturating_sub(before);
    // Each name is stored as a file of its own, also where two share their bytes in memory.
    let stored: usize = variants.iter().map(|variant| variant.bytes.len()).sum();
    let line = format!(
        "\nmeasured {} {peak} {stored} {}\n",
        inspected.working_bytes,
        inspected.most_stored_bytes()
    );
    std::io::Write::write_all(&mut std::io::stdout(), line.as_bytes()).expect("somebody reads");
}

/// Does what a worker does with a picture that is approved and also drawn for a second opinion.
fn work(path: &Path, inspected: &Inspected) -> Result<Vec<Variant>, ImageError> {
    let deadline = Instant::now() + Duration::from_secs(120);
    if !inspected.animated {
        let raster = imaging::decode_still(path, inspected, deadline)?;
        imaging::perceptual_hash(&raster)?;
        let image = imaging::screening_image(&raster)?;
        let variants = imaging::encode_variants(
            &raster,
            &inspected.outputs,
            Aim::at(&raster, deadline)?,
            deadline,
        )?;
        imaging::thumbhash(&raster)?;
        drop(image);
        return Ok(variants);
    }
    let frames = inspected.kept_frames();
    let mut tools: Option<(AnimationEncoder, ContactSheet, imaging::Raster)> = None;
    for frame in imaging::frames(path, inspected, &Limits::default(), deadline)? {
        let frame = frame?;
        let (width, height) = (frame.raster.width, frame.raster.height);
        let (encoder, sheet, _) = tools.get_or_insert_with(|| {
            (
                AnimationEncoder::new(frames, width, height, &inspected.outputs),
                ContactSheet::new(frames, width, height),
                frame.raster.clone(),
            )
        });
        encoder.push(&frame.raster, frame.duration_ms)?;
        sheet.push(&frame.raster)?;
    }
    let (encoder, sheet, _first) = tools.expect("an animation has a frame");
    let image = sheet.finish()?;
    let variants = encoder.finish()?;
    drop(image);
    Ok(variants)
}

/// One of the figures that Linux keeps about this process, in bytes.
fn resident(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status
        .lines()
        .find(|line| line.starts_with(name))
        .expect("Linux counts it");
    let kilobytes = line.split_whitespace().nth(1).expect("it is a number");
    kilobytes.parse::<u64>().expect("it is a number") * 1024
}

#[test]
fn a_jpeg_takes_no_more_than_was_estimated_and_not_far_less() {
    let mut cases = Vec::new();
    for color in pictures::JPEG_COLORS {
        for progressive in [false, true] {
            let jpeg = Jpeg {
                color,
                progressive,
                ..Jpeg::default()
            };
            // Larger progressive pictures are far too large in any variety.
            cases.push(jpeg.picture(&SIZES[if progressive { 3 } else { 0 }..]));
        }
    }
    let photograph = Jpeg::default();
    // These are decoded at 1/1, 1/2 and 1/4; then come the tallest that is kept, long ones of
    // either kind, and the largest wide and narrow ones whose files may have any quality.
    for size in [
        (4000, 3000),
        (4096, 3072),
        (8192, 6000),
        (2048, 4096),
        (4095, 3000),
        (8000, 400),
        (600, 8000),
        (200, 150),
        (2048, 2780),
        (500, 7990),
    ] {
        cases.push(photograph.picture(&[size]));
    }
    let inks = Jpeg {
        color: pictures::JPEG_INKS,
        ..Jpeg::default()
    };
    cases.push(inks.picture(&[(2048, 4096), (2048, 3000), (2048, 2000)]));
    cases.push(inks.with_profile().picture(&[(1600, 1200)]));
    cases.push(photograph.with_profile().picture(&[(1600, 1200)]));
    compare(cases);
}

#[test]
fn a_png_takes_no_more_than_was_estimated_and_not_far_less() {
    let mut cases = Vec::new();
    for kind in pictures::PNG_KINDS {
        for interlaced in [false, true] {
            let png = Png {
                kind,
                interlaced,
                ..Png::default()
            };
            // They are held whole or read row by row.
            let sizes: Vec<_> = if interlaced {
                let fits = |(width, height): &(u32, u32)| {
                    width * height * png.channels() < Limits::default().memory_bytes as u32
                };
                SIZES.into_iter().filter(fits).collect()
            } else {
                SIZES[4..].to_vec()
            };
            cases.push(png.picture(&sizes));
        }
    }
    let rgba = Png::default();
    for size in [(2048, 4096), (2048, 1000), (8000, 300), (300, 8000)] {
        cases.push(rgba.picture(&[size]));
    }
    cases.push(rgba.with_profile().picture(&[(800, 600)]));
    compare(cases);
}

#[test]
fn a_webp_takes_no_more_than_was_estimated_and_not_far_less() {
    let mut cases = Vec::new();
    for lossless in [false, true] {
        for alpha in [false, true] {
            let webp = WebP { lossless, alpha };
            cases.push(webp.picture(&SIZES[4..]));
            cases.push(webp.picture(&[(4000, 300)]));
        }
    }
    compare(cases);
}

#[test]
fn an_animation_takes_no_more_than_was_estimated_and_not_far_less() {
    let canvases = [(2048, 1340), (1600, 1200), (1280, 960), (1000, 800)];
    compare([
        Animation::Png {
            frames: 60,
            alpha: false,
        }
        .picture(&canvases),
        Animation::Png {
            frames: 8,
            alpha: true,
        }
        .picture(&canvases),
        Animation::Png {
            frames: 60,
            alpha: false,
        }
        .picture(&[(320, 240)]),
        Animation::Gif(Gif { frames: 60 }).picture(&[(640, 480)]),
        Animation::Gif(Gif { frames: 6 }).picture(&canvases),
        Animation::Gif(Gif { frames: 3 }).picture(&[(3000, 200)]),
        Animation::WebP(
            WebP {
                lossless: false,
                alpha: false,
            },
            6,
        )
        .picture(&canvases),
        Animation::WebP(
            WebP {
                lossless: true,
                alpha: true,
            },
            6,
        )
        .picture(&canvases),
    ]);
}
