//! The local models. They are loaded once, and each runs for one caller at a time.
//!
//! This room knows only pixels and the models' figures; the domain decides what they mean. Nothing
//! here is async, so callers run it on a blocking thread.

mod detector;
mod pixels;
mod runtime;

use std::path::{Path, PathBuf};
use std::{fs, io};

use sha2::{Digest, Sha256};

pub use self::pixels::{Area, Pixels};
use self::pixels::{packed_bgr, planes};
use self::runtime::{LIBRARY_FILE, Network, environment};
use crate::domain::evidence::{Found, Glance};
use crate::domain::hash::Sha256Hash;

/// The file that lists the others with their SHA-256.
const MANIFEST_FILE: &str = "manifest.json";
const LABELS_FILE: &str = "labels.onnx";
const DETECTOR_FILE: &str = "detector.onnx";
const DECENCY_FILE: &str = "decency.onnx";
const OPEN_NSFW_FILE: &str = "open_nsfw.onnx";

/// Width and height of what the labels model looks at, in pixels.
const LABELS_SIDE: u32 = 260;
/// Width and height of what both decency models look at, in pixels.
const DECENCY_SIDE: u32 = 224;

/// The part of a picture that `open_nsfw` sees, on both axes: it was trained on the middle 224 of
/// 256 pixels.
const OPEN_NSFW_PART: (f32, f32) = (16.0 / 256.0, 240.0 / 256.0);
/// The mean blue, green and red of the pictures that `open_nsfw` was trained on.
const OPEN_NSFW_MEANS: [f32; 3] = [104.0, 117.0, 123.0];

/// A problem with the files in the models' folder, with a picture's dimensions, or with a run.
#[derive(Debug, thiserror::Error)]
pub enum VisionError {
    /// A file cannot be read, most often because it was never made.
    #[error("cannot read {}: {source}; `make models` makes it", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The manifest has no hash for a file.
    #[error("{} names no SHA-256 for {file}; run `make models` to make all of it again", path.display())]
    BadManifest {
        /// The manifest.
        path: PathBuf,
        /// The name of the file.
        file: &'static str,
    },
    /// A file is not the one that the manifest describes.
    #[error(
        "{} is damaged: its SHA-256 is not the one in {MANIFEST_FILE}; run `make models` to make it again",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// A file is intact but cannot be used.
    #[error("cannot load {}: {why}; run `make models` to make it again", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The error of ONNX Runtime.
        why: String,
    },
    /// The pixels do not fit the dimensions, or the area is not inside the picture.
    #[error("cannot look at the picture: {0}")]
    BadPicture(String),
    /// A run failed or gave nonsense. Callers must treat the picture as not screened.
    #[error("the model failed: {0}")]
    Run(String),
}

/// What the two decency models think of a picture, each from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decency {
    /// The worst of the first model's classes: indecent drawing, explicit or suggestive photograph.
    pub worst_class: f32,
    /// The second model's only answer.
    pub open_nsfw: f32,
}

impl Decency {
    /// Takes the outputs of both models: the probabilities of a drawing, an indecent drawing, a
    /// neutral picture, an explicit and a suggestive photograph; and those of a decent and an
    /// indecent picture.
    ///
    /// `None` unless these are as many and each model's add up to 1. A NaN compares false with
    /// every threshold, and a model that answers nothing but zeros finds everything harmless.
    fn new(first: &[f32], second: &[f32]) -> Option<Self> {
        let are_sound = |probabilities: &[f32]| {
            let sum: f32 = probabilities.iter().sum();
            probabilities.iter().all(|p| (0.0..=1.001).contains(p)) && (0.99..=1.01).contains(&sum)
        };
        let (&[_drawing, hentai, _neutral, porn, sexy], &[_decent, open_nsfw]) = (first, second)
        else {
            return None;
        };
        (are_sound(first) && are_sound(second)).then(|| Self {
            worst_class: hentai.max(porn).max(sexy),
            open_nsfw,
        })
    }
}

/// All models, ready to run.
pub struct Vision {
    labels: Network,
    detector: Network,
    boxes: detector::Reader,
    decency: Network,
    open_nsfw: Network,
    digest: String,
}

impl Vision {
    /// Reads the manifest in `dir`, verifies the models and ONNX Runtime against it and loads them,
    /// which takes some 0.5 s. Every error names the file and the command that makes it.
    pub fn load(dir: &Path) -> Result<Self, VisionError> {
        let manifest = Manifest::read(dir)?;
        let mut digest = Sha256::new();
        let library = manifest.verified(LIBRARY_FILE)?;
        digest.update(library.hash);
        // Its bytes are not needed twice: the system maps the file itself.
        let path = library.path;
        let environment = environment(&path)?;
        let mut load = |name| {
            let file = manifest.verified(name)?;
            digest.update(file.hash);
            Network::new(&environment, &file.bytes).map_err(|error| VisionError::Unusable {
                path: file.path,
                why: error.to_string(),
            })
        };
        Ok(Self {
            labels: load(LABELS_FILE)?,
            detector: load(DETECTOR_FILE)?,
            boxes: detector::Reader::new(),
            decency: load(DECENCY_FILE)?,
            open_nsfw: load(OPEN_NSFW_FILE)?,
            digest: Sha256Hash(digest.finalize().into()).hex(),
        })
    }

    /// Hexadecimal SHA-256 over the SHA-256 of all files. It changes when any of them does, so that
    /// a verdict can be remembered under it.
    #[must_use]
    pub fn models_digest(&self) -> &str {
        &self.digest
    }

    /// What the labels model says about one area of a picture.
    ///
    /// The model was trained on squares, so the usual area is [`Area::centre_square`].
    pub fn glance(&self, pixels: Pixels<'_>, area: Area) -> Result<Glance, VisionError> {
        let rgb = pixels.resized(area, LABELS_SIDE)?;
        let input = planes(&rgb, |value| (value - 127.0) / 128.0);
        let output = run(&self.labels, shape_of_planes(LABELS_SIDE), input)?;
        let [output] = output;
        Glance::new(&output)
            .ok_or_else(|| VisionError::Run("the output is not probabilities".to_owned()))
    }

    /// What the detector finds in one area of a picture, with places relative to that area.
    pub fn find(&self, pixels: Pixels<'_>, area: Area) -> Result<Found, VisionError> {
        let rgb = pixels.resized(area, detector::SIDE)?;
        let input = planes(&rgb, |value| value / 127.5 - 1.0);
        let [boxes, scores] = run(&self.detector, shape_of_planes(detector::SIDE), input)?;
        self.boxes.read(&boxes, &scores)
    }

    /// The decency of one area of a picture.
    ///
    /// The models were trained on whole pictures stretched to a square, so the usual area is
    /// [`Pixels::whole`].
    pub fn decency(&self, pixels: Pixels<'_>, area: Area) -> Result<Decency, VisionError> {
        let rgb = pixels.resized(area, DECENCY_SIDE)?;
        let input = planes(&rgb, |value| value / 255.0);
        let [classes] = run(&self.decency, shape_of_planes(DECENCY_SIDE), input)?;
        let middle = area.part(OPEN_NSFW_PART, OPEN_NSFW_PART);
        let rgb = pixels.resized(middle, DECENCY_SIDE)?;
        let side = DECENCY_SIDE as usize;
        let input = packed_bgr(&rgb, OPEN_NSFW_MEANS);
        let [second] = run(&self.open_nsfw, [1, side, side, 3], input)?;
        Decency::new(&classes, &second)
            .ok_or_else(|| VisionError::Run("the output is not probabilities".to_owned()))
    }
}

/// The shape of one picture in planes of this side.
const fn shape_of_planes(side: u32) -> [usize; 4] {
    [1, 3, side as usize, side as usize]
}

fn run<const OUTPUTS: usize>(
    network: &Network,
    shape: [usize; 4],
    input: Vec<f32>,
) -> Result<[Vec<f32>; OUTPUTS], VisionError> {
    network
        .run(shape, input)
        .map_err(|error| VisionError::Run(error.to_string()))?
        .try_into()
        .map_err(|_| VisionError::Run("it has another number of outputs".to_owned()))
}

/// The parsed list of files, with the folder that they are in.
struct Manifest<'a> {
    dir: &'a Path,
    entries: serde_json::Value,
}

/// A file whose bytes are those that the manifest describes.
struct Verified {
    path: PathBuf,
    bytes: Vec<u8>,
    hash: [u8; 32],
}

impl<'a> Manifest<'a> {
    fn read(dir: &'a Path) -> Result<Self, VisionError> {
        let path = dir.join(MANIFEST_FILE);
        let entries = fs::read(&path)
            .and_then(|bytes| serde_json::from_slice(&bytes).map_err(io::Error::from));
        match entries {
            Ok(entries) => Ok(Self { dir, entries }),
            Err(source) => Err(VisionError::Unreadable { path, source }),
        }
    }

    fn verified(&self, name: &'static str) -> Result<Verified, VisionError> {
        let expected =
            self.entries[name]["sha256"]
                .as_str()
                .ok_or_else(|| VisionError::BadManifest {
                    path: self.dir.join(MANIFEST_FILE),
                    file: name,
                })?;
        let path = self.dir.join(name);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(source) => return Err(VisionError::Unreadable { path, source }),
        };
        let hash: [u8; 32] = Sha256::digest(&bytes).into();
        if Sha256Hash(hash).hex() != expected {
            return Err(VisionError::Damaged { path });
        }
        Ok(Verified { path, bytes, hash })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_class_of_the_first_model_counts_and_the_last_of_the_second() {
        for (first, worst_class) in [
            ([0.0, 0.7, 0.1, 0.1, 0.1], 0.7),
            ([0.1, 0.1, 0.0, 0.7, 0.1], 0.7),
            ([0.1, 0.1, 0.1, 0.0, 0.7], 0.7),
            // Drawings and neutral pictures are decent.
            ([0.9, 0.0, 0.1, 0.0, 0.0], 0.0),
        ] {
            let expected = Decency {
                worst_class,
                open_nsfw: 0.25,
            };
            assert_eq!(Decency::new(&first, &[0.75, 0.25]), Some(expected));
        }
    }

    #[test]
    fn outputs_that_are_no_probabilities_do_not_pass_as_decent() {
        let (first, second) = ([0.0, 0.0, 1.0, 0.0, 0.0], [1.0, 0.0]);
        assert!(Decency::new(&first, &second).is_some());
        for wrong in [
            [0.0; 5],
            [f32::NAN; 5],
            [0.0, f32::NAN, 1.0, 0.0, 0.0],
            [2.0, -1.0, 0.0, 0.0, 0.0],
            [1.0, 1.0, 1.0, 1.0, 1.0],
        ] {
            assert_eq!(Decency::new(&wrong, &second), None, "{wrong:?}");
        }
        for wrong in [[0.0; 2], [f32::NAN, 0.0], [1.0, f32::NAN], [2.0, -1.0]] {
            assert_eq!(Decency::new(&first, &wrong), None, "{wrong:?}");
        }
        assert_eq!(Decency::new(&first[1..], &second), None);
        assert_eq!(Decency::new(&first, &[1.0]), None);
    }

    #[test]
    fn missing_and_damaged_files_are_named_with_the_way_out() {
        let dir = tempfile::tempdir().unwrap();
        let problem = || Vision::load(dir.path()).err().unwrap().to_string();
        let check = |file: &str| {
            let text = problem();
            assert!(
                text.contains(file) && text.contains("`make models`"),
                "{text}"
            );
        };
        check(MANIFEST_FILE);
        fs::write(dir.path().join(MANIFEST_FILE), "{}").unwrap();
        check(MANIFEST_FILE);
        let hash = Sha256Hash::of(b"whole, but no library").hex();
        let manifest = format!(r#"{{"{LIBRARY_FILE}": {{"sha256": "{hash}"}}}}"#);
        fs::write(dir.path().join(MANIFEST_FILE), manifest).unwrap();
        check(LIBRARY_FILE);
        fs::write(dir.path().join(LIBRARY_FILE), "damaged").unwrap();
        check("is damaged");
        fs::write(dir.path().join(LIBRARY_FILE), "whole, but no library").unwrap();
        check("cannot load");
    }
}
