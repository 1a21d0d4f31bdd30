//! The canvas on which an animation's frames are drawn, already flattened on white.
//!
//! The over operator is associative. So drawing over white, and then over that, equals drawing over
//! transparency and flattening at the end, and three bytes per pixel suffice.

use super::ImageError;

/// A part of a canvas, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rect {
    pub(super) left: u32,
    pub(super) top: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// What happens to a frame's part of the canvas before the next frame is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disposal {
    /// It stays.
    Keep,
    /// It becomes transparent, which is white here.
    Clear,
    /// It becomes what it was before.
    Restore,
}

/// A flattened RGB picture that remembers how the last frame is to be disposed of.
pub(super) struct Canvas {
    width: u32,
    height: u32,
    rgb: Vec<u8>,
    pending: Option<(Rect, Disposal)>,
    saved: Vec<u8>,
}

impl Canvas {
    /// A canvas that is all transparent, which is white here.
    pub(super) fn new(width: u32, height: u32) -> Self {
        Self {
            width,
            height,
            rgb: vec![255; width as usize * height as usize * 3],
            pending: None,
            saved: Vec::new(),
        }
    }

    /// The current pixels, three bytes each.
    pub(super) fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// The current pixels, without the canvas.
    pub(super) fn into_rgb(self) -> Vec<u8> {
        self.rgb
    }

    /// Disposes of the last frame, then lets `paint` fill each visible row of `rect`.
    ///
    /// `paint(row, pixels)` gets the row's number within `rect`, and the pixels of the canvas from
    /// the left edge of `rect` to its right edge or that of the canvas, whichever comes first.
    pub(super) fn draw(
        &mut self,
        rect: Rect,
        disposal: Disposal,
        mut paint: impl FnMut(usize, &mut [[u8; 3]]) -> Result<(), ImageError>,
    ) -> Result<(), ImageError> {
        self.dispose();
        if disposal == Disposal::Restore {
            self.saved.clear();
            self.saved.extend_from_slice(&self.rgb);
        }
        self.pending = Some((rect, disposal));
        for (number, row) in self.rows(rect).enumerate() {
            paint(number, row)?;
        }
        Ok(())
    }

    fn dispose(&mut self) {
        match self.pending.take() {
            Some((rect, Disposal::Clear)) => {
                for row in self.rows(rect) {
                    row.fill([255; 3]);
                }
            }
            Some((_, Disposal::Restore)) => self.rgb.copy_from_slice(&self.saved),
            Some((_, Disposal::Keep)) | None => {}
        }
    }

    /// The visible part of each row of `rect`.
    fn rows(&mut self, rect: Rect) -> impl Iterator<Item = &mut [[u8; 3]]> {
        let left = rect.left.min(self.width) as usize;
        let right = rect.left.saturating_add(rect.width).min(self.width) as usize;
        let top = rect.top.min(self.height) as usize;
        let bottom = rect.top.saturating_add(rect.height).min(self.height) as usize;
        let (pixels, _) = self.rgb.as_chunks_mut::<3>();
        pixels
            .chunks_exact_mut((self.width as usize).max(1))
            .skip(top)
            .take(bottom - top)
            .map(move |row| &mut row[left..right])
    }
}

/// Lays one sample of weight `alpha` over another.
pub(super) fn over(source: u8, alpha: u8, below: u8) -> u8 {
    let alpha = u32::from(alpha);
    ((u32::from(source) * alpha + u32::from(below) * (255 - alpha) + 127) / 255) as u8
}

/// Drops alpha from RGBA pixels by laying them on white, in the same memory.
pub(super) fn flatten_rgba(mut rgba: Vec<u8>) -> Vec<u8> {
    let pixels = rgba.len() / 4;
    for number in 0..pixels {
        let from = number * 4;
        let alpha = rgba[from + 3];
        for channel in 0..3 {
            rgba[number * 3 + channel] = over(rgba[from + channel], alpha, 255);
        }
    }
    rgba.truncate(pixels * 3);
    rgba
}

/// Drops alpha from gray pixels by laying them on white, in the same memory.
pub(super) fn flatten_gray(mut pixels: Vec<u8>) -> Vec<u8> {
    let count = pixels.len() / 2;
    for number in 0..count {
        pixels[number] = over(pixels[number * 2], pixels[number * 2 + 1], 255);
    }
    pixels.truncate(count);
    pixels
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECT: Rect = Rect {
        left: 1,
        top: 0,
        width: 5,
        height: 1,
    };

    /// The first channel of a 3 x 1 canvas after a frame of 10 with this `disposal` and an empty
    /// one.
    fn after(disposal: Disposal) -> Vec<u8> {
        let mut canvas = Canvas::new(3, 1);
        let paint = |color: u8| {
            move |_: usize, row: &mut [[u8; 3]]| {
                row.fill([color; 3]);
                Ok(())
            }
        };
        canvas
            .draw(RECT, Disposal::Keep, paint(7))
            .expect("painted");
        canvas.draw(RECT, disposal, paint(10)).expect("painted");
        let nothing = Rect { width: 0, ..RECT };
        canvas
            .draw(nothing, Disposal::Keep, paint(0))
            .expect("painted");
        canvas.rgb().iter().step_by(3).copied().collect()
    }

    #[test]
    fn disposal_does_what_it_says() {
        assert_eq!(after(Disposal::Keep), [255, 10, 10]);
        assert_eq!(after(Disposal::Clear), [255, 255, 255]);
        assert_eq!(after(Disposal::Restore), [255, 7, 7]);
    }

    #[test]
    fn alpha_is_flattened_on_white() {
        assert_eq!(flatten_gray(vec![0, 0, 0, 255, 100, 128]), [255, 0, 177]);
        let rgba = vec![255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 255, 0, 100, 200, 128];
        assert_eq!(
            flatten_rgba(rgba),
            [255, 255, 255, 255, 255, 255, 0, 0, 0, 127, 177, 227]
        );
    }
}
