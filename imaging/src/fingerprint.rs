//! A perceptual hash, which survives resizing and recompression. It is how banned pictures are
//! recognised.
//!
//! It is the usual pHash: luma at 32 x 32, a two-dimensional DCT-II, and for each of the 8 x 8
//! lowest frequencies one bit that says whether it is above their median. Two copies of one picture
//! differ in few bits; unrelated pictures differ in about 32 of 64. Mirroring or cropping changes
//! the hash.

use std::f64::consts::PI;

use super::{ImageError, Raster, shrink};

/// The side of the picture that is transformed.
const SIDE: usize = 32;

/// The side of the low-frequency corner that is kept.
const CORNER: usize = 8;

/// The 64-bit perceptual hash, with the lowest frequencies in the highest bits.
///
/// # Errors
/// [`ImageError::Encode`] for a raster whose pixels do not fit its size.
pub fn perceptual_hash(raster: &Raster) -> Result<u64, ImageError> {
    let luma = luma(raster)?;
    let corner = low_frequencies(&luma);
    let mut sorted = corner;
    sorted.sort_by(f64::total_cmp);
    let median = f64::midpoint(sorted[31], sorted[32]);
    Ok(corner.iter().fold(0, |hash, coefficient| {
        hash << 1 | u64::from(*coefficient > median)
    }))
}

/// The BT.601 luma of the picture, squeezed to a square.
fn luma(raster: &Raster) -> Result<Vec<f64>, ImageError> {
    let side = SIDE as u32;
    let small = shrink::shrink(&raster.rgb, 3, (raster.width, raster.height), (side, side))?;
    let (pixels, _) = small.as_chunks::<3>();
    Ok(pixels
        .iter()
        .map(|[r, g, b]| 0.299 * f64::from(*r) + 0.587 * f64::from(*g) + 0.114 * f64::from(*b))
        .collect())
}

/// The corner of the DCT-II, row by row.
fn low_frequencies(luma: &[f64]) -> [f64; CORNER * CORNER] {
    let mut basis = [[0.0; SIDE]; CORNER];
    for (frequency, row) in basis.iter_mut().enumerate() {
        for (place, value) in row.iter_mut().enumerate() {
            *value = (PI / SIDE as f64 * (place as f64 + 0.5) * frequency as f64).cos();
        }
    }
    let mut across = [[0.0; CORNER]; SIDE];
    for (row, sums) in luma.chunks_exact(SIDE).zip(&mut across) {
        for (wave, sum) in basis.iter().zip(sums) {
            *sum = row.iter().zip(wave).map(|(value, wave)| value * wave).sum();
        }
    }
    let mut corner = [0.0; CORNER * CORNER];
    for (number, value) in corner.iter_mut().enumerate() {
        let (down, right) = (number / CORNER, number % CORNER);
        *value = across
            .iter()
            .zip(&basis[down])
            .map(|(row, wave)| row[right] * wave)
            .sum();
    }
    corner
}

#[cfg(test)]
mod tests {
    use super::super::samples::{blobs, solid};
    use super::*;

    fn distance(a: &Raster, b: &Raster) -> u32 {
        (perceptual_hash(a).expect("hashes") ^ perceptual_hash(b).expect("hashes")).count_ones()
    }

    #[test]
    fn the_same_picture_smaller_or_brighter_is_near() {
        let picture = blobs(640, 480, 1);
        let smaller = shrink::to_width(&picture, 200).expect("shrinks");
        let mut brighter = picture.clone();
        for value in &mut brighter.rgb {
            *value = value.saturating_add(12);
        }
        assert!(distance(&picture, &smaller) <= 4);
        assert!(distance(&picture, &brighter) <= 6);
    }

    #[test]
    fn other_pictures_are_far() {
        for seed in 2..12 {
            assert!(
                distance(&blobs(640, 480, 1), &blobs(640, 480, seed)) >= 12,
                "{seed}"
            );
        }
    }

    #[test]
    fn a_flat_picture_has_a_hash() {
        assert_eq!(distance(&solid(50, 50, [7; 3]), &solid(90, 40, [7; 3])), 0);
    }
}
