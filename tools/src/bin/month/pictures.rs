//! The month's uploads: photographs, each cut, mirrored and lit differently, so that no two have
//! the same bytes or look the same.

use std::path::{Path, PathBuf};
use std::time::Instant;

use cattocdn::pictures::outputs;
use imaging::{self, Limits, Raster};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use crate::Done;

/// What a picture really shows, as Rekognition would tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Truth {
    Cat,
    NoCat,
    Indecent,
}

/// One upload.
pub(crate) struct Upload {
    pub(crate) truth: Truth,
    /// What it was made from.
    pub(crate) of: &'static str,
    pub(crate) file: Vec<u8>,
}

/// What abuse is made from: photographs without a cat, flat screens, noise, and what the decency
/// model takes for skin.
const ABUSE: [(&str, Truth); 6] = [
    ("astronaut.png", Truth::NoCat),
    ("coffee.png", Truth::NoCat),
    ("rocket.jpg", Truth::NoCat),
    ("a screen of text", Truth::NoCat),
    ("noise", Truth::NoCat),
    ("refused.jpg", Truth::Indecent),
];

/// Makes `count` uploads in a random order, half of them of cats.
pub(crate) fn uploads(count: usize, random: &mut StdRng) -> Done<Vec<Upload>> {
    let mut uploads = Vec::with_capacity(count);
    let cat = photograph("chelsea.png")?;
    let sources = ABUSE
        .iter()
        .map(|(name, truth)| Ok((*name, *truth, photograph(name).ok())))
        .collect::<Done<Vec<_>>>()?;
    for number in 0..count {
        let (of, truth, source) = if number % 2 == 0 {
            ("chelsea.png", Truth::Cat, Some(&cat))
        } else {
            let (of, truth, source) = &sources[number / 2 % sources.len()];
            (*of, *truth, source.as_ref())
        };
        let raster = match (source, of) {
            (Some(source), _) => varied(source, random),
            (None, "noise") => noise(random),
            (None, _) => text(random),
        };
        uploads.push(Upload {
            truth,
            of,
            file: jpeg(&raster)?,
        });
    }
    uploads.shuffle(random);
    Ok(uploads)
}

fn photograph(name: &str) -> Done<Raster> {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../server/tests/fixtures")
        .join(name);
    let inspected = imaging::inspect(&path, &Limits::default(), &outputs())?;
    let deadline = Instant::now() + std::time::Duration::from_secs(60);
    Ok(imaging::decode_still(&path, &inspected, deadline)?)
}

/// A part of at least 70 % of each side, perhaps mirrored, a little lighter or darker, and at most
/// 480 pixels wide.
fn varied(source: &Raster, random: &mut StdRng) -> Raster {
    let part = |side: u32, random: &mut StdRng| {
        let length = (f64::from(side) * random.random_range(0.7..1.0)) as u32;
        (random.random_range(0..=side - length), length)
    };
    let (left, across) = part(source.width, random);
    let (top, down) = part(source.height, random);
    let mirrored = random.random_bool(0.5);
    let light = random.random_range(0.75..1.25);
    let width = across.min(480);
    let height = (down * width / across).max(1);
    let mut rgb = Vec::with_capacity((width * height * 3) as usize);
    for y in 0..height {
        for x in 0..width {
            let x = if mirrored { width - 1 - x } else { x };
            let from_x = left + x * across / width;
            let from_y = top + y * down / height;
            let at = ((from_y * source.width + from_x) * 3) as usize;
            for value in &source.rgb[at..at + 3] {
                rgb.push((f64::from(*value) * light).min(255.0) as u8);
            }
        }
    }
    Raster { width, height, rgb }
}

fn noise(random: &mut StdRng) -> Raster {
    let rgb = (0..320 * 240 * 3).map(|_| random.random()).collect();
    Raster {
        width: 320,
        height: 240,
        rgb,
    }
}

/// Dark dashes on white in lines, as a page of text looks from afar.
fn text(random: &mut StdRng) -> Raster {
    let (width, height) = (480_u32, 320_u32);
    let mut rgb = vec![250; (width * height * 3) as usize];
    for line in (12..height - 12).step_by(14) {
        let mut x = 12;
        while x < width - 40 {
            let word = random.random_range(6..34);
            for y in line..line + 7 {
                for x in x..x + word {
                    let at = ((y * width + x) * 3) as usize;
                    rgb[at..at + 3].fill(if (x + y) % 3 == 0 { 200 } else { 40 });
                }
            }
            x += word + 6;
        }
    }
    Raster { width, height, rgb }
}

fn jpeg(raster: &Raster) -> Done<Vec<u8>> {
    let mut file = Vec::new();
    jpeg_encoder::Encoder::new(&mut file, 88).encode(
        &raster.rgb,
        u16::try_from(raster.width)?,
        u16::try_from(raster.height)?,
        jpeg_encoder::ColorType::Rgb,
    )?;
    Ok(file)
}
