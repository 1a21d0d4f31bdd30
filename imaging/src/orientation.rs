//! Turns stored pixels upright, by the eight values of the EXIF orientation tag (CIPA DC-008, 4.6.4
//! A).

use super::Raster;

/// How stored pixels relate to the upright picture. Each variant names its tag value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Orientation {
    /// 1: the pixels are stored upright.
    #[default]
    Upright,
    /// 2: left and right are swapped.
    MirroredSideways,
    /// 3: the picture is upside down.
    Rotated180,
    /// 4: top and bottom are swapped.
    MirroredUpDown,
    /// 5: rows and columns are swapped.
    Transposed,
    /// 6: it must be turned a quarter clockwise.
    NeedsClockwise,
    /// 7: rows and columns are swapped across the other diagonal.
    Transversed,
    /// 8: it must be turned a quarter counter-clockwise.
    NeedsCounterClockwise,
}

impl Orientation {
    /// Reads the value of the tag. Anything but 1 to 8 means upright.
    pub(super) fn from_exif(value: u32) -> Self {
        match value {
            2 => Self::MirroredSideways,
            3 => Self::Rotated180,
            4 => Self::MirroredUpDown,
            5 => Self::Transposed,
            6 => Self::NeedsClockwise,
            7 => Self::Transversed,
            8 => Self::NeedsCounterClockwise,
            _ => Self::Upright,
        }
    }

    /// True where width and height change places.
    pub(super) fn swaps_sides(self) -> bool {
        matches!(
            self,
            Self::Transposed
                | Self::NeedsClockwise
                | Self::Transversed
                | Self::NeedsCounterClockwise
        )
    }

    /// Turns the stored width and height into the upright ones, or the other way round.
    pub(super) fn turn_size(self, width: u32, height: u32) -> (u32, u32) {
        if self.swaps_sides() {
            (height, width)
        } else {
            (width, height)
        }
    }

    /// Turns the picture upright.
    pub(super) fn apply(self, stored: Raster) -> Raster {
        if self == Self::Upright {
            return stored;
        }
        let (width, height) = self.turn_size(stored.width, stored.height);
        let (pixels, _) = stored.rgb.as_chunks::<3>();
        let row = stored.width as usize;
        let (right, bottom) = (row - 1, stored.height as usize - 1);
        let mut rgb = Vec::with_capacity(stored.rgb.len());
        for y in 0..height as usize {
            for x in 0..width as usize {
                let (from_x, from_y) = match self {
                    Self::Upright => (x, y),
                    Self::MirroredSideways => (right - x, y),
                    Self::Rotated180 => (right - x, bottom - y),
                    Self::MirroredUpDown => (x, bottom - y),
                    Self::Transposed => (y, x),
                    Self::NeedsClockwise => (y, bottom - x),
                    Self::Transversed => (right - y, bottom - x),
                    Self::NeedsCounterClockwise => (right - y, x),
                };
                rgb.extend_from_slice(&pixels[from_y * row + from_x]);
            }
        }
        Raster { width, height, rgb }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture whose pixels are named by letters.
    fn letters(rows: &[&str]) -> Raster {
        Raster {
            width: rows[0].len() as u32,
            height: rows.len() as u32,
            rgb: rows
                .iter()
                .flat_map(|row| row.bytes())
                .flat_map(|letter| [letter; 3])
                .collect(),
        }
    }

    #[test]
    fn all_eight_orientations_end_upright() {
        // How each value stores the upright picture "abc / def".
        let stored: [(u32, &[&str]); 10] = [
            (0, &["abc", "def"]),
            (1, &["abc", "def"]),
            (2, &["cba", "fed"]),
            (3, &["fed", "cba"]),
            (4, &["def", "abc"]),
            (5, &["ad", "be", "cf"]),
            (6, &["cf", "be", "ad"]),
            (7, &["fc", "eb", "da"]),
            (8, &["da", "eb", "fc"]),
            (9, &["abc", "def"]),
        ];
        for (value, rows) in stored {
            let orientation = Orientation::from_exif(value);
            let upright = orientation.apply(letters(rows));
            assert!(upright == letters(&["abc", "def"]), "orientation {value}");
        }
    }
}
