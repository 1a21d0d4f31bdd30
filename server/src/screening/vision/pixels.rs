//! Pixels as the models want them: squares of one size, in planes or packed, as floats.

use super::VisionError;

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

impl Area {
    /// The largest square in the middle of this area.
    #[must_use]
    pub fn centre_square(self) -> Self {
        let side = self.width.min(self.height);
        Self {
            left: self.left + (self.width - side) / 2,
            top: self.top + (self.height - side) / 2,
            width: side,
            height: side,
        }
    }

    /// The part of this area between these shares of its width (left, right) and of its height
    /// (top, bottom), each from 0 to 1. It has at least one pixel.
    #[must_use]
    pub fn part(self, (left, right): (f32, f32), (top, bottom): (f32, f32)) -> Self {
        let span = |from: f32, to: f32, length: u32| {
            let at = |share: f32| f64::from(share.clamp(0.0, 1.0)) * f64::from(length);
            // Both are inside the length, so nothing is cut off.
            let start = (at(from).round() as u32).min(length - 1);
            let end = (at(to).round() as u32).clamp(start + 1, length);
            (start, end - start)
        };
        let (x, width) = span(left, right, self.width);
        let (y, height) = span(top, bottom, self.height);
        Self {
            left: self.left + x,
            top: self.top + y,
            width,
            height,
        }
    }
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
    #[must_use]
    pub fn whole(&self) -> Area {
        Area {
            left: 0,
            top: 0,
            width: self.width,
            height: self.height,
        }
    }

    /// The area stretched to a square of `side` pixels, as 8-bit RGB in packed rows.
    ///
    /// The filter smooths what it shrinks; the models were trained on smooth pictures.
    pub(super) fn resized(&self, area: Area, side: u32) -> Result<Vec<u8>, VisionError> {
        let right = u64::from(area.left) + u64::from(area.width);
        let bottom = u64::from(area.top) + u64::from(area.height);
        let is_inside = right <= u64::from(self.width) && bottom <= u64::from(self.height);
        if area.width == 0 || area.height == 0 || !is_inside {
            return Err(VisionError::BadPicture(format!(
                "{area:?} is not inside {} x {} pixels",
                self.width, self.height
            )));
        }
        imaging::stretch(
            self.rgb,
            (self.width, self.height),
            (area.left, area.top),
            (area.width, area.height),
            (side, side),
        )
        .map_err(|error| VisionError::BadPicture(error.to_string()))
    }
}

/// Splits packed RGB into three planes of floats, red first.
pub(super) fn planes(rgb: &[u8], scale: impl Fn(f32) -> f32) -> Vec<f32> {
    (0..3)
        .flat_map(|channel| rgb.iter().skip(channel).step_by(3))
        .map(|&value| scale(f32::from(value)))
        .collect()
}

/// The same pixels as floats with blue first and these means taken away.
pub(super) fn packed_bgr(rgb: &[u8], means: [f32; 3]) -> Vec<f32> {
    rgb.chunks_exact(3)
        .flat_map(|pixel| [pixel[2], pixel[1], pixel[0]])
        .zip(means.into_iter().cycle())
        .map(|(value, mean)| f32::from(value) - mean)
        .collect()
}

#[cfg(test)]
mod tests {
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
        let area = |left, top, width, height| Area {
            left,
            top,
            width,
            height,
        };
        assert_eq!(area(0, 0, 7, 3).centre_square(), area(2, 0, 3, 3));
        assert_eq!(area(0, 0, 3, 7).centre_square(), area(0, 2, 3, 3));
        assert_eq!(area(10, 20, 7, 3).centre_square(), area(12, 20, 3, 3));
    }

    #[test]
    fn a_part_is_inside_its_area_and_never_empty() {
        let area = Area {
            left: 10,
            top: 20,
            width: 100,
            height: 50,
        };
        let part = |x, y| {
            let part = area.part(x, y);
            (part.left, part.top, part.width, part.height)
        };
        assert_eq!(part((0.2, 0.8), (0.2, 0.8)), (30, 30, 60, 30));
        assert_eq!(part((-3.0, 7.0), (0.0, 1.0)), (10, 20, 100, 50));
        assert_eq!(part((1.0, 1.0), (0.5, 0.5)), (109, 45, 1, 1));
        assert_eq!(part((f32::NAN, f32::NAN), (0.9, 0.1)), (10, 65, 1, 1));
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
        assert!(pixels.resized(area(0, 4), 8).is_ok());
        assert!(pixels.resized(area(1, 4), 8).is_err());
        assert!(pixels.resized(area(0, 0), 8).is_err());
        assert!(pixels.resized(area(u32::MAX, u32::MAX), 8).is_err());
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
        let resized = pixels.resized(left, 224).unwrap();
        assert!(resized.iter().all(|value| (64..=192).contains(value)));
        let right = Area { left: 448, ..left };
        let resized = pixels.resized(right, 224).unwrap();
        // The filter of the outermost pixels reaches beyond the edge of the area.
        for row in resized.chunks(3 * 224) {
            let inner = &row[3..row.len() - 3];
            assert!(inner.chunks(3).all(|pixel| pixel == [255, 0, 0]));
        }
    }

    #[test]
    fn planes_hold_one_channel_each_and_packed_pixels_begin_with_blue() {
        let rgb = [0, 127, 255, 1, 128, 254];
        let planes = planes(&rgb, |value| value - 127.0);
        assert_eq!(planes, [-127.0, -126.0, 0.0, 1.0, 128.0, 127.0]);
        let packed = packed_bgr(&rgb, [100.0, 10.0, 1.0]);
        assert_eq!(packed, [155.0, 117.0, -1.0, 154.0, 118.0, 0.0]);
    }
}
