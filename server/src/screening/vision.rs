//! The two local models. They are loaded once, and a bounded number of runs go on at the same time.
//!
//! This file knows only pixels and probabilities; the domain decides what they mean. Nothing here
//! is async, so callers run it on a blocking thread.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use parking_lot::{Condvar, Mutex};
use rten::{Model, ModelOptions, RunOptions, ThreadPool};
use rten_tensor::NdTensor;
use sha2::{Digest, Sha256};

use crate::domain::picture::Sha256Hash;
use crate::runtime::compute;

/// The file that lists the models with their SHA-256.
const MANIFEST_FILE: &str = "manifest.json";
const LABELS_FILE: &str = "labels.onnx";
const DECENCY_FILE: &str = "decency.onnx";

/// Width and height of what both models look at, in pixels.
const INPUT_SIDE: u32 = 224;

/// The number of classes that the labels model tells apart: those of ImageNet-1k.
pub const CLASS_COUNT: usize = 1000;

/// How much of the machine the models may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VisionOptions {
    /// How many threads compute; all runs share them. At least 1.
    pub threads: usize,
    /// How many runs go on at the same time; more callers wait. At least 1.
    ///
    /// The weights of both models take 30 MB once, and each run takes 12 MB more while it lasts.
    pub runs: usize,
}

impl Default for VisionOptions {
    fn default() -> Self {
        Self {
            threads: 1,
            runs: 1,
        }
    }
}

/// A problem with the models' files, with a picture's dimensions, or with a run.
#[derive(Debug, thiserror::Error)]
pub enum VisionError {
    /// A model file cannot be read, most often because it was never made.
    #[error("cannot read {}: {source}; `make models` makes it", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The manifest has no hash for a model.
    #[error("{} names no SHA-256 for {model}; `make models` makes both anew", path.display())]
    BadManifest {
        /// The manifest.
        path: PathBuf,
        /// The file name of the model.
        model: &'static str,
    },
    /// A model is not the file that the manifest describes.
    #[error(
        "{} is damaged: its SHA-256 is not the one in {MANIFEST_FILE}; `make models` makes it anew",
        path.display()
    )]
    Damaged {
        /// The model file.
        path: PathBuf,
    },
    /// A model is intact but the runtime cannot use it.
    #[error("cannot load {}: {source}; `make models` makes it anew", path.display())]
    Unusable {
        /// The model file.
        path: PathBuf,
        /// The error of the runtime.
        source: rten::LoadError,
    },
    /// The pixels do not fit the dimensions, or the area is not inside the picture.
    #[error("cannot look at the picture: {0}")]
    BadPicture(String),
    /// A run failed or gave no probabilities. Callers must treat the picture as not screened.
    #[error("the model failed: {0}")]
    Run(String),
}

/// A rectangle inside a picture, in pixels from the top left corner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Area {
    /// Distance from the left edge.
    pub left: u32,
    /// Distance from the top edge.
    pub top: u32,
    /// Width, at least 1.
    pub width: u32,
    /// Height, at least 1.
    pub height: u32,
}

/// Borrowed pixels whose number is known to fit their dimensions.
#[derive(Clone, Copy)]
pub struct Pixels<'a> {
    rgb: &'a [u8],
    width: u32,
    height: u32,
}

impl<'a> Pixels<'a> {
    /// Takes 8-bit RGB in packed rows, in sRGB and upright.
    ///
    /// Fails with [`VisionError::BadPicture`] unless there are `width * height * 3` bytes and at
    /// least one pixel.
    pub fn new(rgb: &'a [u8], width: u32, height: u32) -> Result<Self, VisionError> {
        let expected = u64::from(width) * u64::from(height) * 3;
        if expected == 0 || rgb.len() as u64 != expected {
            return Err(VisionError::BadPicture(format!(
                "{} bytes for {width} x {height} pixels",
                rgb.len()
            )));
        }
        Ok(Self { rgb, width, height })
    }

    /// The area of the whole picture.
    pub fn whole(&self) -> Area {
        Area {
            left: 0,
            top: 0,
            width: self.width,
            height: self.height,
        }
    }

    /// The largest square in the middle of the picture.
    pub fn centre_square(&self) -> Area {
        let side = self.width.min(self.height);
        Area {
            left: (self.width - side) / 2,
            top: (self.height - side) / 2,
            width: side,
            height: side,
        }
    }

    /// The area stretched to the models' square, as 8-bit RGB in packed rows.
    ///
    /// The bilinear filter covers the whole footprint of each new pixel. Without that antialiasing
    /// a large picture turns into noise, and the models were trained on smooth pictures.
    fn resized(&self, area: Area) -> Result<Vec<u8>, VisionError> {
        let right = u64::from(area.left) + u64::from(area.width);
        let bottom = u64::from(area.top) + u64::from(area.height);
        let is_inside = right <= u64::from(self.width) && bottom <= u64::from(self.height);
        if area.width == 0 || area.height == 0 || !is_inside {
            return Err(VisionError::BadPicture(format!(
                "{area:?} is not inside {} x {} pixels",
                self.width, self.height
            )));
        }
        let source = ImageRef::new(self.width, self.height, self.rgb, PixelType::U8x3)
            .map_err(|error| VisionError::BadPicture(error.to_string()))?;
        let mut target = Image::new(INPUT_SIDE, INPUT_SIDE, PixelType::U8x3);
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
            .crop(
                f64::from(area.left),
                f64::from(area.top),
                f64::from(area.width),
                f64::from(area.height),
            );
        Resizer::new()
            .resize(&source, &mut target, &options)
            .map_err(|error| VisionError::BadPicture(error.to_string()))?;
        Ok(target.into_vec())
    }
}

/// What the decency model thinks a picture is: five probabilities that add up to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decency {
    /// A harmless drawing.
    pub drawing: f32,
    /// An indecent drawing.
    pub hentai: f32,
    /// A harmless photograph.
    pub neutral: f32,
    /// An explicit indecent photograph.
    pub porn: f32,
    /// A suggestive photograph.
    pub sexy: f32,
}

/// Both models, ready to run. Threads share it in an `Arc`.
pub struct Vision {
    labels: Model,
    decency: Model,
    digest: String,
    threads: Arc<ThreadPool>,
    gate: Gate,
}

impl Vision {
    /// Reads the manifest in `dir`, verifies both models against it and loads them, which takes
    /// some 0.1 s. Every error names the file and the command that makes it.
    pub fn load(dir: &Path, options: VisionOptions) -> Result<Self, VisionError> {
        let manifest = Manifest::read(dir)?;
        let (labels, labels_hash) = manifest.load_model(LABELS_FILE)?;
        let (decency, decency_hash) = manifest.load_model(DECENCY_FILE)?;
        let digest = Sha256::new()
            .chain_update(labels_hash)
            .chain_update(decency_hash)
            .finalize();
        Ok(Self {
            labels,
            decency,
            digest: Sha256Hash(digest.into()).hex(),
            threads: Arc::new(threads(options.threads.max(1))),
            gate: Gate::new(options.runs.max(1)),
        })
    }

    /// Hexadecimal SHA-256 over the SHA-256 of both models. It changes when either model does, so
    /// that a verdict can be remembered under it.
    pub fn models_digest(&self) -> &str {
        &self.digest
    }

    /// The probabilities of the [`CLASS_COUNT`] classes for one area of a picture.
    ///
    /// The model was trained on squares, so the usual area is [`Pixels::centre_square`].
    pub fn classify(&self, pixels: Pixels<'_>, area: Area) -> Result<Vec<f32>, VisionError> {
        let rgb = pixels.resized(area)?;
        let input = planes(&rgb, |value| (value - 127.0) / 128.0);
        self.run(&self.labels, input, CLASS_COUNT)
    }

    /// The decency of one area of a picture.
    ///
    /// The model was trained on whole pictures stretched to a square, so the usual area is
    /// [`Pixels::whole`].
    pub fn decency(&self, pixels: Pixels<'_>, area: Area) -> Result<Decency, VisionError> {
        let rgb = pixels.resized(area)?;
        let input = planes(&rgb, |value| value / 255.0);
        let probabilities = self.run(&self.decency, input, 5)?;
        let &[drawing, hentai, neutral, porn, sexy] = probabilities.as_slice() else {
            return Err(VisionError::Run("not five probabilities".to_owned()));
        };
        Ok(Decency {
            drawing,
            hentai,
            neutral,
            porn,
            sexy,
        })
    }

    fn run(
        &self,
        model: &Model,
        input: NdTensor<f32, 4>,
        classes: usize,
    ) -> Result<Vec<f32>, VisionError> {
        let options = RunOptions::default().with_thread_pool(Some(Arc::clone(&self.threads)));
        let _permit = self.gate.enter();
        let output = model
            .run_one(input.into(), Some(options))
            .map_err(|error| VisionError::Run(error.to_string()))?;
        let output: NdTensor<f32, 2> = output
            .try_into()
            .map_err(|_| VisionError::Run("the output has another shape".to_owned()))?;
        let probabilities = output.into_data();
        // A NaN compares false with every threshold, and so would pass as harmless.
        let are_sound = probabilities.iter().all(|p| (0.0..=1.001).contains(p));
        if probabilities.len() != classes || !are_sound {
            return Err(VisionError::Run(
                "the output is not probabilities".to_owned(),
            ));
        }
        Ok(probabilities)
    }
}

/// Starts the threads that compute. They inherit the low priority of the thread that starts them,
/// so that they give way to those that answer requests.
fn threads(number: usize) -> ThreadPool {
    let start = move || {
        compute::lower_priority();
        ThreadPool::with_num_threads(number)
    };
    std::thread::spawn(start)
        .join()
        .expect("starting threads does not panic")
}

/// The parsed list of models, with the folder that they are in.
struct Manifest<'a> {
    dir: &'a Path,
    entries: serde_json::Value,
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

    /// Loads a model from the very bytes that were verified, and gives their SHA-256 too.
    fn load_model(&self, name: &'static str) -> Result<(Model, [u8; 32]), VisionError> {
        let expected =
            self.entries[name]["sha256"]
                .as_str()
                .ok_or_else(|| VisionError::BadManifest {
                    path: self.dir.join(MANIFEST_FILE),
                    model: name,
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
        // These are the operators of both models and no others, which keeps the binary small.
        let operators = rten::op_registry!(
            Add,
            Clip,
            Conv,
            Flatten,
            Gemm,
            GlobalAveragePool,
            Relu,
            Softmax
        );
        match ModelOptions::with_ops(operators).load(bytes) {
            Ok(model) => Ok((model, hash)),
            Err(source) => Err(VisionError::Unusable { path, source }),
        }
    }
}

/// Splits packed RGB into three planes of floats, the layout that the models expect.
fn planes(rgb: &[u8], scale: impl Fn(f32) -> f32) -> NdTensor<f32, 4> {
    let side = INPUT_SIDE as usize;
    let values = (0..3)
        .flat_map(|channel| rgb.iter().skip(channel).step_by(3))
        .map(|&value| scale(f32::from(value)))
        .collect::<Vec<f32>>();
    NdTensor::from_data([1, 3, side, side], values)
}

/// A semaphore: lets a fixed number of callers in while the others wait.
struct Gate {
    free: Mutex<usize>,
    freed: Condvar,
}

impl Gate {
    fn new(places: usize) -> Self {
        Self {
            free: Mutex::new(places),
            freed: Condvar::new(),
        }
    }

    fn enter(&self) -> Permit<'_> {
        let mut free = self.free.lock();
        self.freed.wait_while(&mut free, |free| *free == 0);
        *free -= 1;
        Permit { gate: self }
    }
}

/// One place behind a [`Gate`]. It is given back when dropped, also by a panic.
struct Permit<'a> {
    gate: &'a Gate,
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut free = self.gate.free.lock();
        *free += 1;
        self.gate.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn pixels_must_fit_their_measures() {
        for (bytes, width, height) in [(0, 0, 0), (11, 2, 2), (13, 2, 2), (12, 4, 2), (12, 0, 4)] {
            let rgb = vec![0; bytes];
            assert!(
                Pixels::new(&rgb, width, height).is_err(),
                "{width} x {height}"
            );
        }
        assert!(Pixels::new(&[], u32::MAX, u32::MAX).is_err());
        assert!(Pixels::new(&[0; 12], 2, 2).is_ok());
    }

    #[test]
    fn the_centre_square_is_in_the_middle() {
        let rgb = [0; 7 * 3 * 3];
        let wide = Pixels::new(&rgb, 7, 3).unwrap().centre_square();
        assert_eq!((wide.left, wide.top, wide.width, wide.height), (2, 0, 3, 3));
        let tall = Pixels::new(&rgb, 3, 7).unwrap().centre_square();
        assert_eq!((tall.left, tall.top, tall.width, tall.height), (0, 2, 3, 3));
    }

    #[test]
    fn an_area_outside_the_picture_is_refused() {
        let rgb = [0; 4 * 4 * 3];
        let pixels = Pixels::new(&rgb, 4, 4).unwrap();
        let area = |left, width| Area {
            left,
            top: 0,
            width,
            height: 4,
        };
        assert!(pixels.resized(area(0, 4)).is_ok());
        assert!(pixels.resized(area(1, 4)).is_err());
        assert!(pixels.resized(area(0, 0)).is_err());
        assert!(pixels.resized(area(u32::MAX, u32::MAX)).is_err());
    }

    #[test]
    fn resizing_averages_and_keeps_to_its_area() {
        // The left half is stripes of black and white; the right half is red.
        let (width, height) = (896, 448);
        let rgb = (0..width * height)
            .flat_map(|index| match (index % width, index % 2) {
                (448.., _) => [255, 0, 0],
                (_, 0) => [0, 0, 0],
                _ => [255, 255, 255],
            })
            .collect::<Vec<u8>>();
        let pixels = Pixels::new(&rgb, width, height).unwrap();
        let left = Area {
            width: 448,
            ..pixels.whole()
        };
        let resized = pixels.resized(left).unwrap();
        assert!(resized.iter().all(|value| (64..=192).contains(value)));
        let right = Area { left: 448, ..left };
        let resized = pixels.resized(right).unwrap();
        // The filter of the outermost pixels reaches beyond the edge of the area.
        for row in resized.chunks(3 * INPUT_SIDE as usize) {
            let inner = &row[3..row.len() - 3];
            assert!(inner.chunks(3).all(|pixel| pixel == [255, 0, 0]));
        }
    }

    #[test]
    fn planes_hold_one_channel_each() {
        let side = INPUT_SIDE as usize;
        let rgb = [0, 127, 255].repeat(side * side);
        let values = planes(&rgb, |value| value - 127.0).into_data();
        assert_eq!(values.len(), 3 * side * side);
        for (plane, expected) in values.chunks(side * side).zip([-127.0, 0.0, 128.0]) {
            assert!(plane.iter().all(|value| *value == expected));
        }
    }

    #[test]
    fn missing_and_damaged_models_are_named_with_the_way_out() {
        let dir = tempfile::tempdir().unwrap();
        let problem = || {
            let error = Vision::load(dir.path(), VisionOptions::default());
            error.err().unwrap().to_string()
        };
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
        let hash = Sha256Hash::of(b"whole, but no model").hex();
        let manifest = format!(r#"{{"labels.onnx": {{"sha256": "{hash}"}}}}"#);
        fs::write(dir.path().join(MANIFEST_FILE), manifest).unwrap();
        check(LABELS_FILE);
        fs::write(dir.path().join(LABELS_FILE), "damaged").unwrap();
        check("is damaged");
        fs::write(dir.path().join(LABELS_FILE), "whole, but no model").unwrap();
        check("cannot load");
    }

    #[test]
    fn the_gate_lets_only_so_many_in_and_survives_a_panic() {
        let gate = Gate::new(2);
        let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for number in 0..8 {
                let (gate, inside, most) = (&gate, &inside, &most);
                let thread = scope.spawn(move || {
                    let _permit = gate.enter();
                    most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    thread::sleep(Duration::from_millis(2));
                    inside.fetch_sub(1, Ordering::SeqCst);
                    assert_ne!(number, 0, "this one panics inside");
                });
                if number == 0 {
                    assert!(thread.join().is_err());
                }
            }
        });
        assert!(most.load(Ordering::SeqCst) <= 2);
        assert_eq!(*gate.free.lock(), 2);
    }
}
