//! What every decoder hands over: stored pixels that have their final size, and what is still to be
//! done to them.

use super::color::{self, Space};
use super::{ImageError, Inspected, Raster, shrink};

/// Pixels at their final size, before colour conversion and turning.
pub(super) struct Decoded {
    pub(super) raster: Raster,
    /// True where the pixels were stored gray, which a gray profile needs.
    pub(super) gray: bool,
    /// What the pixels mean, where they must still be converted.
    pub(super) space: Option<Space>,
}

impl Decoded {
    /// Converts the pixels to sRGB and turns them upright.
    pub(super) fn finish(self, inspected: &Inspected) -> Raster {
        finish(self.raster, self.gray, self.space.as_ref(), inspected)
    }
}

/// Converts pixels of this space to sRGB and turns them upright. `gray` says that they were stored
/// gray, which a gray profile needs.
pub(super) fn finish(
    mut raster: Raster,
    gray: bool,
    space: Option<&Space>,
    inspected: &Inspected,
) -> Raster {
    if let Some(space) = space {
        space.to_srgb(&mut raster.rgb, gray);
    }
    inspected.orientation.apply(raster)
}

/// Brings stored pixels, which are all in memory, to their final size. They have 1 (gray) or 3
/// channels. Gray becomes RGB only after shrinking, when it is small.
pub(super) fn whole(
    pixels: Vec<u8>,
    channels: u32,
    inspected: &Inspected,
) -> Result<Raster, ImageError> {
    let (width, height) = inspected.target();
    let pixels = if inspected.stored == (width, height) {
        pixels
    } else {
        shrink::shrink(&pixels, channels, inspected.stored, (width, height))?
    };
    let rgb = if channels == 1 {
        color::gray_to_rgb(&pixels)
    } else {
        pixels
    };
    Ok(Raster { width, height, rgb })
}
