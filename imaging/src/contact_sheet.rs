//! Draws the frames of an animation side by side in one picture, for a screener that is paid by the
//! picture.

use super::screening_image::{MAX_PIXELS, ScreeningImage, screening_image};
use super::{ImageError, Raster, shrink};

/// The width of the grey between frames, in pixels. It keeps two neighbours from being taken for
/// one picture.
const GAP: u32 = 2;

/// The value of each channel of that grey.
const GREY: u8 = 128;

/// A sheet that takes frames of one size as they come. It holds no more than a megapixel, whatever
/// their number.
pub struct ContactSheet {
    columns: u32,
    /// How many cells may hold a frame, counted from the top left.
    cells: u32,
    /// Width and height of a cell, including the gap.
    cell: (u32, u32),
    taken: u32,
    sheet: Raster,
}

impl ContactSheet {
    /// A sheet for this many frames of this size.
    #[must_use]
    pub fn new(frames: u32, width: u32, height: u32) -> Self {
        let frames = frames.max(1);
        let (width, height) = (width.max(1), height.max(1));
        let (columns, rows) = layout(frames, width, height);
        let pixels = f64::from(columns * rows) * f64::from(width) * f64::from(height);
        let scale = (f64::from(MAX_PIXELS) / pixels).sqrt().min(1.0);
        let side = |length: u32| ((f64::from(length) * scale) as u32).max(GAP + 1);
        let cell = (side(width), side(height));
        let (sheet_width, sheet_height) = (columns * cell.0, rows * cell.1);
        Self {
            columns,
            cells: frames,
            cell,
            taken: 0,
            sheet: Raster {
                width: sheet_width,
                height: sheet_height,
                rgb: vec![GREY; sheet_width as usize * sheet_height as usize * 3],
            },
        }
    }

    /// Draws the next frame.
    ///
    /// # Errors
    /// [`ImageError::Encode`] when the sheet is full, or when the pixels of the frame do not fit
    /// its size.
    pub fn push(&mut self, frame: &Raster) -> Result<(), ImageError> {
        if self.taken == self.cells {
            return Err(ImageError::encode("a frame more than the sheet has cells"));
        }
        let (width, height) = (self.cell.0 - GAP, self.cell.1 - GAP);
        let small = shrink::to_size(frame, width, height)?;
        let left = (self.taken % self.columns * self.cell.0) as usize * 3;
        let top = (self.taken / self.columns * self.cell.1) as usize;
        let row = self.sheet.width as usize * 3;
        for (y, pixels) in small.rgb.chunks_exact(width as usize * 3).enumerate() {
            let start = (top + y) * row + left;
            self.sheet.rgb[start..start + pixels.len()].copy_from_slice(pixels);
        }
        self.taken += 1;
        Ok(())
    }

    /// The sheet as one small JPEG. Cells without a frame are grey.
    ///
    /// # Errors
    /// [`ImageError::Encode`] when it cannot be made.
    pub fn finish(self) -> Result<ScreeningImage, ImageError> {
        screening_image(&self.sheet)
    }
}

/// The columns and rows that leave each frame the most room, on a sheet that is at most twice as
/// long as it is wide, or the other way round, where that is possible.
fn layout(frames: u32, width: u32, height: u32) -> (u32, u32) {
    let candidates = (1..=frames).map(|columns| (columns, frames.div_ceil(columns)));
    let elongation = |(columns, rows): (u32, u32)| {
        let (across, down) = (
            f64::from(columns) * f64::from(width),
            f64::from(rows) * f64::from(height),
        );
        across.max(down) / across.min(down)
    };
    candidates
        .min_by(|a, b| {
            let cost = |layout: (u32, u32)| (elongation(layout).max(2.0), layout.0 * layout.1);
            let (a_cost, b_cost) = (cost(*a), cost(*b));
            a_cost
                .0
                .total_cmp(&b_cost.0)
                .then(a_cost.1.cmp(&b_cost.1))
                .then(elongation(*a).total_cmp(&elongation(*b)))
        })
        .unwrap_or((1, 1))
}

#[cfg(test)]
mod tests {
    use super::super::samples::solid;
    use super::*;

    #[test]
    fn frames_lie_on_a_sheet_that_is_nearly_square_and_nearly_full() {
        for (frames, width, height, expected) in [
            (1, 300, 200, (1, 1)),
            (2, 300, 200, (1, 2)),
            (4, 100, 100, (2, 2)),
            (9, 300, 200, (3, 3)),
            (60, 100, 100, (6, 10)),
            (60, 400, 100, (4, 15)),
            (3, 40, 1600, (3, 1)),
        ] {
            assert_eq!(layout(frames, width, height), expected, "{frames} frames");
        }
    }

    #[test]
    fn every_frame_is_seen_on_the_sheet() {
        let frames = 7;
        let mut sheet = ContactSheet::new(frames, 640, 480);
        let color = |frame: u32| [(frame * 30) as u8, 200, 255 - (frame * 30) as u8];
        for frame in 0..frames {
            sheet.push(&solid(640, 480, color(frame))).expect("fits");
        }
        let (cell, columns) = (sheet.cell, sheet.columns);
        assert!(sheet.sheet.width * sheet.sheet.height <= MAX_PIXELS);
        for frame in 0..frames {
            let x = frame % columns * cell.0 + cell.0 / 2;
            let y = frame / columns * cell.1 + cell.1 / 2;
            assert_eq!(sheet.sheet.pixel(x, y), color(frame), "frame {frame}");
        }
        sheet.finish().expect("encodes");
    }

    #[test]
    fn sixty_frames_of_any_shape_fit_on_one_sheet() {
        for (width, height) in [(32, 32), (500, 400), (1280, 1280), (2048, 52), (52, 2048)] {
            let mut sheet = ContactSheet::new(60, width, height);
            let frame = solid(width, height, [200, 0, 0]);
            for _ in 0..60 {
                sheet.push(&frame).expect("fits");
            }
            assert!(sheet.push(&frame).is_err(), "a frame too many");
            let image = sheet.finish().expect("encodes");
            assert!(image.jpeg().len() < 5_000_000, "{width}x{height}");
        }
    }
}
