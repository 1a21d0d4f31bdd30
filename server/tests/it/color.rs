//! Colours mean the same after publication as before: profiles are obeyed, and what is published is
//! sRGB.
//!
//! The expected colours are computed here from the definitions of the colour spaces, in floating
//! point, and the profiles are written byte by byte. So nothing depends on the library by which the
//! server converts.

use imaging::Raster;

use crate::made::{
    animated_webp, apng_of, chunk, gif, gif_block, gray_jpeg, icc_segments, iccp, jpeg, painted,
    pixel, png, png_of, read_back, reds, riff, webp, with_blocks, with_chunks, with_riff,
    with_segments,
};
use crate::profile::{self, D50, DISPLAY_P3, Matrix, Space};
use crate::support::Site;

/// The largest difference between a published patch and the colour computed for it, in CIELAB units
/// (CIE 1976). About 2.3 is just noticeable.
///
/// It is [`CODING_DELTA`] plus half a unit for what conversion adds: one more rounding to 8 bits,
/// and the server's fixed-point arithmetic.
const MAX_DELTA: f64 = CODING_DELTA + 0.5;

/// How far the same patches may change when they are uploaded as plain sRGB, since the published
/// files are lossy, and so is the uploaded JPEG. The largest change was 1.43, in a WebP.
const CODING_DELTA: f64 = 1.5;

/// The side of a patch, in pixels.
const PATCH: u32 = 64;

/// What is uploaded, as numbers in the profile's space: grays, natural colours, and the corners of
/// the space, which lie outside sRGB.
const PATCHES: [[u8; 3]; 16] = [
    [0, 0, 0],
    [30, 30, 30],
    [128, 128, 128],
    [220, 220, 220],
    [255, 255, 255],
    [200, 130, 100],
    [90, 140, 80],
    [80, 110, 180],
    [180, 60, 70],
    [60, 40, 30],
    [255, 0, 0],
    [0, 255, 0],
    [0, 0, 255],
    [255, 255, 0],
    [0, 255, 255],
    [255, 0, 255],
];

fn sheet(patches: &[[u8; 3]]) -> Raster {
    painted(PATCH * 8, PATCH * 2, |x, y| {
        patches[(x / PATCH + y / PATCH * 8) as usize]
    })
}

/// The mean of a patch's inner half. Its neighbours may have bled into the outer half.
fn patch(sheet: &Raster, number: usize) -> [f64; 3] {
    let (left, top) = (number as u32 % 8 * PATCH, number as u32 / 8 * PATCH);
    let inner = PATCH / 4..PATCH * 3 / 4;
    let mut sum = [0.0; 3];
    for y in inner.clone() {
        for x in inner.clone() {
            for (sum, value) in sum.iter_mut().zip(pixel(sheet, left + x, top + y)) {
                *sum += f64::from(value);
            }
        }
    }
    let count = f64::from(PATCH / 2).powi(2);
    sum.map(|sum| sum / count / 255.0)
}

/// The same colour in sRGB, from 0 to 1, clipped to the gamut channel by channel.
fn expected(space: &Space, [r, g, b]: [u8; 3]) -> [f64; 3] {
    let linear = [r, g, b].map(|value| (space.to_light)(f64::from(value) / 255.0));
    let from_pcs = profile::SRGB.to_pcs().inverse();
    let light = from_pcs.times(space.to_pcs().times(linear));
    light.map(|light| profile::srgb_from_light(light.clamp(0.0, 1.0)))
}

/// The distance between two sRGB colours in CIELAB (CIE 15:2004, 8.2.1), relative to D50, to which
/// both were adapted.
fn delta(one: [f64; 3], other: [f64; 3]) -> f64 {
    let (one, other) = (lab(one), lab(other));
    let squares: f64 = one.iter().zip(other).map(|(a, b)| (a - b).powi(2)).sum();
    squares.sqrt()
}

fn lab(srgb: [f64; 3]) -> [f64; 3] {
    let to_pcs: Matrix = profile::SRGB.to_pcs();
    let xyz = to_pcs.times(srgb.map(profile::SRGB.to_light));
    let [x, y, z] = [0, 1, 2].map(|axis| {
        let ratio: f64 = xyz[axis] / D50[axis];
        if ratio > (6.0_f64 / 29.0).powi(3) {
            ratio.cbrt()
        } else {
            ratio * (29.0_f64 / 6.0).powi(2) / 3.0 + 4.0 / 29.0
        }
    });
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

/// Uploads a sheet of patches and checks both widths and both formats of what is published, every
/// frame.
async fn assert_shows(site: &Site, name: &str, file: Vec<u8>, wanted: &[[f64; 3]], most: f64) {
    let json = site.publish_file(name, file).await;
    for variant in ["1280.jpg", "512.webp"] {
        let url = json["images"][variant].as_str().expect("a URL").to_owned();
        for frame in read_back(&site.get(&url).await.body) {
            for (number, wanted) in wanted.iter().enumerate() {
                let found = patch(&frame, number);
                let delta = delta(found, *wanted);
                assert!(
                    delta <= most,
                    "{name}, {variant}, patch {number}: {:?} instead of {:?}, {delta:.2} apart",
                    found.map(|value| value * 255.0),
                    wanted.map(|value| value * 255.0),
                );
            }
        }
    }
}

/// A sheet in every format that holds colours, with a profile or without.
fn in_every_format(sheet: &Raster, profile: Option<&[u8]>) -> Vec<(&'static str, Vec<u8>)> {
    let size = (sheet.width, sheet.height);
    let frames = [sheet.rgb.as_slice(), &sheet.rgb];
    let stills = [webp(sheet), webp(sheet)];
    let chunks = |name| {
        profile
            .map(|profile| iccp(name, profile))
            .into_iter()
            .collect::<Vec<_>>()
    };
    let riffs = profile
        .map(|profile| riff(b"ICCP", profile))
        .into_iter()
        .collect::<Vec<_>>();
    let segments = |parts| {
        profile
            .map(|profile| icc_segments(profile, parts))
            .unwrap_or_default()
    };
    vec![
        ("JPEG", with_segments(&jpeg(sheet), &segments(1))),
        (
            "JPEG, profile in three parts",
            with_segments(&jpeg(sheet), &segments(3)),
        ),
        ("PNG", with_chunks(&png(sheet), &chunks("wide"))),
        ("WebP", with_riff(&webp(sheet), size, &riffs)),
        (
            "APNG",
            with_chunks(
                &apng_of(sheet, png::ColorType::Rgb, &frames),
                &chunks("wide"),
            ),
        ),
        ("animated WebP", animated_webp(&stills, size, b"", &riffs)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn wide_gamut_profiles_are_converted_to_srgb_in_every_format() {
    let site = Site::start().await;
    for space in profile::WIDE {
        let wanted = PATCHES.map(|patch| expected(space, patch));
        for (format, file) in in_every_format(&sheet(&PATCHES), Some(&space.profile(""))) {
            let name = format!("{} in {format}", space.name);
            assert_shows(&site, &name, file, &wanted, MAX_DELTA).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_srgb_sets_the_scale() {
    let site = Site::start().await;
    for space in profile::WIDE.iter().chain([&&profile::SRGB]) {
        let patches =
            PATCHES.map(|patch| expected(space, patch).map(|value| (value * 255.0).round() as u8));
        let wanted = patches.map(|patch| patch.map(|value| f64::from(value) / 255.0));
        for (format, file) in in_every_format(&sheet(&patches), None) {
            let name = format!("{} as sRGB in {format}", space.name);
            assert_shows(&site, &name, file, &wanted, CODING_DELTA).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_palette_is_converted_too() {
    let site = Site::start().await;
    let wanted = PATCHES.map(|patch| expected(&DISPLAY_P3, patch));
    let numbers: [[u8; 3]; 16] = std::array::from_fn(|number| [number as u8; 3]);
    // The colour type in the header turns gray samples into palette indices. Its checksum is then
    // renewed.
    let mut file = png_of(
        &sheet(&numbers),
        &reds(&sheet(&numbers)),
        png::ColorType::Grayscale,
    );
    let header = [&file[16..25], &[3], &file[26..29]].concat();
    file.splice(8..33, chunk(b"IHDR", &header));
    let chunks = [
        iccp("wide", &DISPLAY_P3.profile("")),
        chunk(b"PLTE", &PATCHES.concat()),
    ];
    let file = with_chunks(&file, &chunks);
    assert_shows(&site, "palette", file, &wanted, MAX_DELTA).await;
}

/// Grays as numbers of a space with gamma 1.4, which is far from that of sRGB.
const GRAY_GAMMA: u16 = 358;

#[tokio::test(flavor = "multi_thread")]
async fn a_gray_profile_is_obeyed_where_the_picture_is_stored_gray() {
    let site = Site::start().await;
    let patches: [[u8; 3]; 16] = std::array::from_fn(|number| [number as u8 * 17; 3]);
    let gray = sheet(&patches);
    let profile = profile::gray(GRAY_GAMMA);
    let wanted = patches.map(|patch| {
        patch.map(|value| {
            let light = (f64::from(value) / 255.0).powf(f64::from(GRAY_GAMMA) / 256.0);
            profile::srgb_from_light(light)
        })
    });
    let samples = reds(&gray);
    let opaque: Vec<u8> = samples.iter().flat_map(|value| [*value, 255]).collect();
    let with_alpha = png_of(&gray, &opaque, png::ColorType::GrayscaleAlpha);
    let frames = apng_of(&gray, png::ColorType::Grayscale, &[&samples, &samples]);
    let still_png = png_of(&gray, &samples, png::ColorType::Grayscale);
    let still_jpeg = gray_jpeg(&gray);
    for (name, file) in [
        (
            "JPEG",
            with_segments(&still_jpeg, &icc_segments(&profile, 1)),
        ),
        ("PNG", with_chunks(&still_png, &[iccp("gray", &profile)])),
        (
            "PNG with alpha",
            with_chunks(&with_alpha, &[iccp("gray", &profile)]),
        ),
        ("APNG", with_chunks(&frames, &[iccp("gray", &profile)])),
    ] {
        assert_shows(&site, name, file, &wanted, MAX_DELTA).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_that_does_not_fit_the_picture_or_is_broken_changes_nothing() {
    let site = Site::start().await;
    let sheet = sheet(&PATCHES);
    let wanted = PATCHES.map(|patch| patch.map(|value| f64::from(value) / 255.0));
    let whole = DISPLAY_P3.profile("");
    let edited = |at: usize, bytes: &[u8]| {
        let mut profile = whole.clone();
        profile[at..at + bytes.len()].copy_from_slice(bytes);
        profile
    };
    for (name, profile) in [
        // As in browsers, three colours are not gray, and a WebP always has three.
        ("a gray profile", profile::gray(GRAY_GAMMA)),
        ("no profile at all", b"zugzwang".to_vec()),
        ("nothing but a header", whole[..128].to_vec()),
        (
            "a profile cut in its middle",
            whole[..whole.len() / 2].to_vec(),
        ),
        ("a profile of inks", edited(16, b"CMYK")),
        ("no signature", edited(36, b"zugz")),
        (
            "tags beyond the end",
            edited(128 + 4 + 4 * 12 - 8, &[0x7f; 4]),
        ),
        ("endless tags", edited(128, &[0xff; 4])),
    ] {
        for (format, file) in in_every_format(&sheet, Some(&profile)) {
            assert_shows(
                &site,
                &format!("{name} in {format}"),
                file,
                &wanted,
                CODING_DELTA,
            )
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_in_a_gif_is_ignored_as_in_browsers() {
    let site = Site::start().await;
    let (upper, lower) = ([200, 130, 100], [80, 110, 180]);
    let block = gif_block(b"ICCRGBG1012", &DISPLAY_P3.profile(""));
    let size = (PATCH * 8, PATCH * 2);
    for frames in [&[[upper, lower]][..], &[[upper, lower], [upper, lower]]] {
        let file = with_blocks(
            &gif(size.0 as u16, size.1 as u16, frames),
            std::slice::from_ref(&block),
        );
        let wanted: Vec<[f64; 3]> = [[upper; 8], [lower; 8]]
            .concat()
            .into_iter()
            .map(|patch| patch.map(|value| f64::from(value) / 255.0))
            .collect();
        assert_shows(&site, "GIF", file, &wanted, CODING_DELTA).await;
    }
}
