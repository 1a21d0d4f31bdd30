//! The most bytes that the files of a picture may take.
//!
//! Without caps, the uploader decides how much is stored: noise that deflates to nearly nothing
//! takes more than a byte for each pixel of every file. The caps are far above what ordinary
//! pictures need (each one says how far), so that only noise loses quality or frames to them.

use super::output::steps;
use super::{Encoding, MAX_KEPT_FRAMES, Output, shrink};

/// The most bytes of a still's file for every four of its pixels. Of 981 photographs the one with
/// the most detail takes 0.54 bytes per pixel, as a JPEG; noise takes 1.5 at the usual quality.
const STILL_BYTES_PER_4_PIXELS: u64 = 3;

/// The bytes that every file may take beyond those for its pixels: headers and tables, which are
/// most of a tiny file.
const FILE_BYTES: u64 = 4096;

/// The most bytes of an animation's file that is no wider than the width in the same place of
/// [`ANIMATION_WIDTHS`]. The last holds for wider files as well.
const ANIMATION_BYTES: [u64; 4] = [500_000, 1_200_000, 2_000_000, 4_000_000];

/// The widths in pixels up to which each of [`ANIMATION_BYTES`] holds.
const ANIMATION_WIDTHS: [u32; 4] = [320, 512, 768, 2048];

/// The most bytes of an animation's file for every two pixels of its frames. This bounds small and
/// short animations, and is above what noise takes at the usual quality.
const FRAME_BYTES_PER_2_PIXELS: u64 = 3;

/// The most bytes of one file of a still, or of the still that stands for an animation, of this
/// size in pixels.
pub(super) fn still_bytes(width: u32, height: u32) -> usize {
    let pixels = u64::from(width) * u64::from(height);
    bytes(pixels * STILL_BYTES_PER_4_PIXELS / 4 + FILE_BYTES)
}

/// The most bytes of one file of an animation of this size in pixels, with this many frames.
pub(super) fn animation_bytes(frames: u32, width: u32, height: u32) -> usize {
    let pixels = u64::from(width) * u64::from(height) * u64::from(frames);
    let narrower = ANIMATION_WIDTHS.iter().filter(|most| width > **most);
    let most = ANIMATION_BYTES[narrower.count().min(ANIMATION_BYTES.len() - 1)];
    bytes(most.min(pixels * FRAME_BYTES_PER_2_PIXELS / 2 + FILE_BYTES))
}

/// The most bytes of all these files together of a picture with this many frames that, once shrunk,
/// is `width` x `height` pixels large and upright. Each output has a file of its own, also where
/// two are equal. Those that are not made of such a picture do not count.
#[must_use]
pub fn stored_bytes(outputs: &[Output], frames: u32, width: u32, height: u32) -> u64 {
    let files = outputs
        .iter()
        .filter(|output| output.is_made(frames > 1, (width, height)))
        .map(|output| (output.encoding, output.width(width)));
    bytes_of_all(frames, width, height, files)
}

/// The most bytes of these files while they are in memory, where equal ones share one copy.
pub(super) fn held_bytes(outputs: &[Output], frames: u32, width: u32, height: u32) -> u64 {
    let steps = steps(outputs, width);
    let files = steps.iter().flat_map(|step| {
        let encodings = step.encodings.iter();
        encodings.map(|encoding| (*encoding, step.width))
    });
    bytes_of_all(frames, width, height, files)
}

/// The most bytes of files of these encodings and widths together.
fn bytes_of_all(
    frames: u32,
    width: u32,
    height: u32,
    files: impl Iterator<Item = (Encoding, u32)>,
) -> u64 {
    let frames = frames.min(MAX_KEPT_FRAMES);
    let most = files.map(|(encoding, narrower)| {
        let height = shrink::scale(height, narrower, width);
        let most = match encoding {
            Encoding::WebP if frames > 1 => animation_bytes(frames, narrower, height),
            Encoding::WebP | Encoding::Avif | Encoding::Jpeg => still_bytes(narrower, height),
        };
        most as u64
    });
    most.sum()
}

/// Converts to `usize`, which loses nothing where addresses have 64 bits.
fn bytes(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The bytes that an animation's file may still take, handed out frame by frame without knowing the
/// frames to come.
///
/// A quarter of the file is available at once, because a first frame is a whole picture and those
/// after it are often small parts of one. The rest comes in equal portions, one with each frame. A
/// frame may take half of what is available. So a hard scene begins at full quality and then loses
/// it step by step, and no frame leaves nothing for the next.
#[derive(Debug)]
pub(super) struct Allowance {
    bytes: usize,
    each_frame: usize,
}

impl Allowance {
    /// Allows `frames` frames that together take at most `most` bytes.
    pub(super) fn new(most: usize, frames: u32) -> Self {
        let at_once = most / 4;
        Self {
            bytes: at_once,
            each_frame: (most - at_once) / (frames.max(1) as usize),
        }
    }

    /// How many bytes the next frame may take. Call it once for each frame.
    pub(super) fn next_frame(&mut self) -> usize {
        self.bytes += self.each_frame;
        self.bytes / 2
    }

    /// Subtracts what a frame took.
    pub(super) fn take(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::OUTPUTS;
    use super::super::{MAX_HEIGHT, MAX_WIDTH};
    use super::*;

    #[test]
    fn no_picture_takes_more_than_fourteen_megabytes() {
        for width in [32, 300, 320, 321, 512, 513, 768, 769, 1024, MAX_WIDTH] {
            for height in [32, 500, 2048, MAX_HEIGHT] {
                for frames in [1, 2, 30, 60, 1000] {
                    let most = stored_bytes(&OUTPUTS, frames, width, height);
                    assert!(most <= 14_100_000, "{frames} of {width}x{height}: {most}");
                }
            }
        }
    }

    #[test]
    fn a_narrow_animation_stays_small_whatever_it_shows() {
        for (width, height) in [(100, 4096), (320, 4096), (512, 1280), (512, 32)] {
            assert!(animation_bytes(60, width, height) <= 1_200_000);
        }
    }

    #[test]
    fn small_pictures_may_take_little() {
        assert!(stored_bytes(&OUTPUTS, 1, 320, 240) < 380_000);
        assert!(stored_bytes(&OUTPUTS, 2, 320, 240) < 1_080_000);
        assert!(stored_bytes(&OUTPUTS, 1, 2048, 1536) < 4_600_000);
    }

    #[test]
    fn however_greedy_its_frames_are_an_animation_keeps_its_cap() {
        for frames in [1, 2, 7, 60] {
            let mut allowance = Allowance::new(100_000, frames);
            let mut taken = 0;
            for _ in 0..frames {
                let most = allowance.next_frame();
                assert!(most > 0);
                allowance.take(most);
                taken += most;
            }
            assert!(taken <= 100_000, "{frames} frames took {taken}");
        }
    }

    #[test]
    fn a_large_first_frame_and_small_ones_after_it_are_both_let_through() {
        let mut allowance = Allowance::new(1_500_000, 60);
        assert!(allowance.next_frame() > 150_000);
        allowance.take(150_000);
        for _ in 1..60 {
            assert!(allowance.next_frame() > 20_000);
            allowance.take(20_000);
        }
    }
}
