//! A still at the widths that its files have.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use super::{ImageError, Raster, linear, shrink};

/// The width in pixels of the picture from which narrow files are made. Shrinking the widest one
/// for each of them took most of the time that they take.
pub(super) const MIDDLE_WIDTH: u32 = 1024;

/// That picture is at least this many times as wide as the file. At 3, 21 photographs score 96 to
/// 97 in the mean beside ones that were shrunk at once.
const MIDDLE_TIMES: u32 = 3;

/// Whether a file of this width is made from a copy that is [`MIDDLE_WIDTH`] wide, where the widest
/// picture is `widest` wide.
pub(super) const fn is_made_from_middle(width: u32, widest: u32) -> bool {
    width * MIDDLE_TIMES <= MIDDLE_WIDTH && MIDDLE_WIDTH < widest
}

/// A still at its own width, and at any less.
pub(super) struct Sizes<'a> {
    raster: &'a Raster,
    /// The same, [`MIDDLE_WIDTH`] wide.
    middle: Mutex<Option<Arc<Raster>>>,
}

impl<'a> Sizes<'a> {
    pub(super) const fn of(raster: &'a Raster) -> Self {
        Self {
            raster,
            middle: Mutex::new(None),
        }
    }

    /// The picture at this width. Each shrinking takes a little sharpness, so only narrow files are
    /// made from a picture that was shrunk already.
    pub(super) fn at(&self, width: u32) -> Result<Cow<'a, Raster>, ImageError> {
        if width == self.raster.width {
            return Ok(Cow::Borrowed(self.raster));
        }
        let pixels = if is_made_from_middle(width, self.raster.width) {
            // The height follows from the widest picture: that of the middle one is rounded.
            let height = shrink::height_at(self.raster, width);
            linear::to_size(&*self.middle()?, width, height)?
        } else {
            linear::to_width(self.raster, width)?
        };
        Ok(Cow::Owned(pixels))
    }

    fn middle(&self) -> Result<Arc<Raster>, ImageError> {
        let mut middle = self.middle.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(middle) = &*middle {
            return Ok(Arc::clone(middle));
        }
        let made = Arc::new(linear::to_width(self.raster, MIDDLE_WIDTH)?);
        *middle = Some(Arc::clone(&made));
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::noise;
    use super::*;

    #[test]
    fn a_narrow_file_looks_as_if_it_were_made_at_once() {
        // Nothing is harder than noise, and at 320 the middle picture's height would lead to
        // another one.
        let picture = noise(2048, 1411, 3);
        let sizes = Sizes::of(&picture);
        for width in [176, 320, MIDDLE_WIDTH / MIDDLE_TIMES] {
            let at_once = linear::to_width(&picture, width).expect("shrinks");
            let made = sizes.at(width).expect("shrinks");
            assert_eq!(made.height, at_once.height);
            let score = super::super::aim::score(&at_once, &made);
            assert!(score > 90.0, "{width}: {score}");
        }
    }
}
