//! Writes AVIF files of stills.

use avif_serialize::Aviffy;
use avif_serialize::constants::MatrixCoefficients as FileMatrix;
use bytes::Bytes;
use rav1e::prelude::{
    BlockSize, ChromaSampling, ColorDescription, ColorPrimaries, Config, Context, EncoderConfig,
    EncoderStatus, FrameType, MatrixCoefficients, PartitionRange, PixelRange, Rational,
    SpeedSettings, TransferCharacteristics,
};

use super::{ImageError, Raster};

/// rav1e's least effort, from which [`effort`] begins. A million pixels of a photograph take 0.3 s
/// of a processor, and four times that without rav1e's assembler code. Effort 8 once made a file
/// 4.7 times as large.
const SPEED: u8 = 10;

/// Rounds the division of a sum of [`luma`] or [`chroma`].
const HALF: i32 = 1 << 15;

/// Makes an AVIF file with 4:2:0 sampling. `quantizer` is that of AV1, from 0 for nearly no loss to
/// 255.
///
/// # Errors
/// [`ImageError::Encode`].
pub(super) fn avif(raster: &Raster, quantizer: u8) -> Result<Bytes, ImageError> {
    let (width, height) = (raster.width as usize, raster.height as usize);
    let mut context = context(width, height, quantizer)?;
    let mut frame = context.new_frame();
    let half = width.div_ceil(2);
    let [light, blue, red] = planes(raster);
    frame.planes[0].copy_from_raw_u8(&light, width, 1);
    frame.planes[1].copy_from_raw_u8(&blue, half, 1);
    frame.planes[2].copy_from_raw_u8(&red, half, 1);
    context.send_frame(frame).map_err(ImageError::encode)?;
    context.flush();
    let bitstream = loop {
        match context.receive_packet() {
            Ok(packet) if packet.frame_type == FrameType::KEY => break packet.data,
            Ok(_) => return Err(ImageError::encode("a frame that is no whole picture")),
            Err(EncoderStatus::Encoded) => {}
            Err(status) => return Err(ImageError::encode(status)),
        }
    };
    let file = Aviffy::new()
        .set_seq_profile(0)
        .set_chroma_subsampling((true, true))
        .set_full_color_range(true)
        .matrix_coefficients(FileMatrix::Bt601)
        .to_vec(&bitstream, None, raster.width, raster.height, 8);
    Ok(Bytes::from(file))
}

/// An encoder of one picture. It works on the thread that calls it.
fn context(width: usize, height: usize, quantizer: u8) -> Result<Context<u8>, ImageError> {
    let mut encoder = EncoderConfig::with_speed_preset(SPEED);
    encoder.speed_settings = effort();
    encoder.width = width;
    encoder.height = height;
    encoder.time_base = Rational::new(1, 1);
    encoder.still_picture = true;
    encoder.chroma_sampling = ChromaSampling::Cs420;
    encoder.pixel_range = PixelRange::Full;
    encoder.color_description = Some(ColorDescription {
        color_primaries: ColorPrimaries::BT709,
        transfer_characteristics: TransferCharacteristics::SRGB,
        matrix_coefficients: MatrixCoefficients::BT601,
    });
    encoder.quantizer = usize::from(quantizer);
    encoder.min_quantizer = quantizer;
    let config = Config::new().with_encoder_config(encoder);
    config.new_context().map_err(ImageError::encode)
}

/// What the encoder tries. The preset cuts a picture into blocks of 32 x 32 pixels. With blocks of
/// 16, photographs take 4 % less at the same score. The time that this costs is saved by leaving
/// out fine directional intra prediction. Choosing between both sizes would save another 3 %, for
/// twice the time.
fn effort() -> SpeedSettings {
    let mut effort = SpeedSettings::from_preset(SPEED);
    let block = BlockSize::BLOCK_16X16;
    effort.partition.partition_range = PartitionRange::new(block, block);
    effort.prediction.fine_directional_intra = false;
    effort
}

/// The light of every pixel, and the two colours of every square of two by two, in full range, as
/// ITU-R BT.601 weighs red, green and blue.
fn planes(raster: &Raster) -> [Vec<u8>; 3] {
    let (width, height) = (raster.width as usize, raster.height as usize);
    let (pixels, _) = raster.rgb.as_chunks::<3>();
    let light = pixels.iter().map(luma).collect();
    let squares = width.div_ceil(2) * height.div_ceil(2);
    let (mut blue, mut red) = (Vec::with_capacity(squares), Vec::with_capacity(squares));
    for upper in (0..height).step_by(2) {
        // An odd last row or column counts twice.
        let lower = (upper + 1).min(height - 1);
        for left in (0..width).step_by(2) {
            let right = (left + 1).min(width - 1);
            let corners = [(upper, left), (upper, right), (lower, left), (lower, right)];
            let mut sum = [0; 3];
            for (row, column) in corners {
                let pixel = pixels[row * width + column];
                sum = std::array::from_fn(|channel| sum[channel] + i32::from(pixel[channel]));
            }
            // Parts of 65,536, a quarter of each because of the four corners.
            blue.push(chroma(sum, [-11_056, -21_712, 32_768]));
            red.push(chroma(sum, [32_768, -27_440, -5_328]));
        }
    }
    [light, blue, red]
}

/// How light a pixel is.
fn luma([red, green, blue]: &[u8; 3]) -> u8 {
    let [red, green, blue] = [*red, *green, *blue].map(i32::from);
    ((red * 19_595 + green * 38_470 + blue * 7_471 + HALF) >> 16) as u8
}

/// One of the colours of four pixels with these sums.
fn chroma(sum: [i32; 3], weights: [i32; 3]) -> u8 {
    let weighed: i32 = sum.iter().zip(weights).map(|(a, b)| a * b).sum();
    (128 + ((weighed + 4 * HALF) >> 18)).clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use super::super::samples::{gradient, solid};
    use super::*;

    #[test]
    fn planes_hold_light_and_colour_in_full_range() {
        for (color, expected) in [
            ([0, 0, 0], [0, 128, 128]),
            ([255, 255, 255], [255, 128, 128]),
            ([255, 0, 0], [76, 85, 255]),
            ([0, 255, 0], [150, 44, 21]),
            ([0, 0, 255], [29, 255, 107]),
        ] {
            let [light, blue, red] = planes(&solid(3, 5, color));
            assert_eq!((light.len(), blue.len(), red.len()), (15, 6, 6));
            for (plane, expected) in [light, blue, red].iter().zip(expected) {
                assert!(plane.iter().all(|value| *value == expected), "{color:?}");
            }
        }
    }

    #[test]
    fn a_file_says_its_size() {
        let file = avif(&gradient(65, 33), 100).expect("encodes");
        assert_eq!(&file[4..12], b"ftypavif");
        let has = |bytes: &[u8]| file.windows(bytes.len()).any(|window| window == bytes);
        // Version 1, and AV1's profile 0, which 4:2:0 with 8 bits has.
        let profile = file.windows(6).find(|six| six.starts_with(b"av1C\x81"));
        assert_eq!(profile.map(|six| six[5] >> 5), Some(0));
        // Width and height.
        assert!(has(b"ispe\0\0\0\0\0\0\0\x41\0\0\0\x21"));
    }

    #[test]
    fn a_coarser_quantizer_makes_a_smaller_file() {
        let sizes = [60, 120, 200].map(|q| avif(&gradient(300, 200), q).expect("encodes").len());
        assert!(sizes.is_sorted_by(|a, b| a > b), "{sizes:?}");
    }
}
