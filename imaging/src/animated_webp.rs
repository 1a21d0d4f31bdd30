//! Joins WebP stills into one animated file (WebP Container Specification, "Animation"), keeping
//! only finished bytes.
//!
//! Frames may cover a part of the canvas. Each replaces what was there, without blending.

use std::num::NonZeroU16;

use super::ImageError;
use super::canvas::Rect;

/// The size of the RIFF header, the VP8X chunk and the ANIM chunk.
pub(super) const HEADER_BYTES: usize = 12 + 18 + 14;

/// What a frame takes beside its bitstream: the head of its chunk, place, size, duration and flags.
/// (A still's own file has a head of 12 bytes instead.)
pub(super) const FRAME_HEADER_BYTES: usize = 8 + 16;

/// The longest time of one frame, in milliseconds; the field has 24 bits.
pub(super) const MAX_DURATION_MS: u32 = (1 << 24) - 1;

/// Where the duration of a frame stands, counted from the beginning of its chunk.
const DURATION_OFFSET: usize = 8 + 12;

/// An animated file that grows frame by frame.
pub(super) struct AnimatedWebP {
    file: Vec<u8>,
    /// Where the chunk of the last frame begins.
    last: Option<usize>,
}

impl AnimatedWebP {
    /// An empty animation. Its sides are given in pixels, from 1 to 16384.
    pub(super) fn new(width: u32, height: u32) -> Self {
        let mut file = Vec::with_capacity(1 << 16);
        file.extend_from_slice(b"RIFF\0\0\0\0WEBP");
        file.extend_from_slice(b"VP8X\x0a\0\0\0");
        // Only the flag for animation is set: there is no alpha and no metadata.
        file.extend_from_slice(&[0x02, 0, 0, 0]);
        file.extend_from_slice(&bytes_24(width - 1));
        file.extend_from_slice(&bytes_24(height - 1));
        // White behind everything, and endless looping until `finish` knows better.
        file.extend_from_slice(b"ANIM\x06\0\0\0\xff\xff\xff\xff\0\0");
        debug_assert_eq!(file.len(), HEADER_BYTES);
        Self { file, last: None }
    }

    /// Appends a frame at `rect`, whose left and top are even. `still` is a simple lossy WebP file
    /// of the same size.
    pub(super) fn push(
        &mut self,
        rect: Rect,
        still: &[u8],
        duration_ms: u32,
    ) -> Result<(), ImageError> {
        let Some(bitstream) = still.get(12..).filter(|rest| rest.starts_with(b"VP8 ")) else {
            return Err(ImageError::encode("not a simple lossy WebP file"));
        };
        if !rect.left.is_multiple_of(2) || !rect.top.is_multiple_of(2) {
            return Err(ImageError::encode("a frame at an odd place"));
        }
        self.last = Some(self.file.len());
        self.file.extend_from_slice(b"ANMF");
        self.file
            .extend_from_slice(&size(16 + bitstream.len())?.to_le_bytes());
        for number in [
            rect.left / 2,
            rect.top / 2,
            rect.width - 1,
            rect.height - 1,
            duration_ms.min(MAX_DURATION_MS),
        ] {
            self.file.extend_from_slice(&bytes_24(number));
        }
        // Do not blend, and leave the frame in place afterwards.
        self.file.push(0x02);
        self.file.extend_from_slice(bitstream);
        // The chunk of the still is padded to an even length, and so this one is too.
        debug_assert!(self.file.len().is_multiple_of(2));
        Ok(())
    }

    /// Shows the last frame for longer.
    pub(super) fn extend_last(&mut self, duration_ms: u32) {
        let Some(last) = self.last else { return };
        if let Some([a, b, c]) = self
            .file
            .get_mut(last + DURATION_OFFSET..last + DURATION_OFFSET + 3)
        {
            let longer = u32::from_le_bytes([*a, *b, *c, 0])
                .saturating_add(duration_ms)
                .min(MAX_DURATION_MS);
            [*a, *b, *c] = bytes_24(longer);
        }
    }

    /// The finished file, which is played so often; `None` is for ever.
    pub(super) fn finish(mut self, plays: Option<NonZeroU16>) -> Result<Vec<u8>, ImageError> {
        let plays = plays.map_or(0, NonZeroU16::get);
        self.file[HEADER_BYTES - 2..HEADER_BYTES].copy_from_slice(&plays.to_le_bytes());
        let riff_bytes = size(self.file.len() - 8)?;
        self.file[4..8].copy_from_slice(&riff_bytes.to_le_bytes());
        Ok(self.file)
    }
}

fn bytes_24(number: u32) -> [u8; 3] {
    let [a, b, c, _] = number.to_le_bytes();
    [a, b, c]
}

fn size(bytes: usize) -> Result<u32, ImageError> {
    u32::try_from(bytes).map_err(ImageError::encode)
}

#[cfg(test)]
mod tests {
    use super::super::encode::webp;
    use super::super::samples::solid;
    use super::*;

    fn rect(left: u32, top: u32, width: u32, height: u32) -> Rect {
        Rect {
            left,
            top,
            width,
            height,
        }
    }

    #[test]
    fn another_decoder_plays_what_was_joined() {
        let mut file = AnimatedWebP::new(41, 31);
        let still =
            |width, height, color| webp(&solid(width, height, color), 90.0, 2).expect("encodes");
        file.push(rect(0, 0, 41, 31), &still(41, 31, [255, 255, 255]), 50)
            .expect("fits");
        file.push(rect(10, 20, 5, 7), &still(5, 7, [0, 0, 0]), 70)
            .expect("fits");
        file.extend_last(30);
        let bytes = file.finish(NonZeroU16::new(3)).expect("small enough");
        assert_eq!(
            u32::from_le_bytes(bytes[4..8].try_into().expect("four bytes")) as usize,
            bytes.len() - 8
        );

        let mut decoder =
            image_webp::WebPDecoder::new(std::io::Cursor::new(bytes)).expect("a WebP file");
        assert!(decoder.is_animated() && !decoder.has_alpha());
        assert_eq!((decoder.dimensions(), decoder.num_frames()), ((41, 31), 2));
        let three = NonZeroU16::new(3).expect("not zero");
        assert_eq!(decoder.loop_count(), image_webp::LoopCount::Times(three));
        let mut pixels = vec![0; decoder.output_buffer_size().expect("small")];
        let at = |pixels: &[u8], x: usize, y: usize| pixels[(y * 41 + x) * 3];
        assert_eq!(decoder.read_frame(&mut pixels).expect("first"), 50);
        assert!(at(&pixels, 12, 22) > 250);
        assert_eq!(decoder.read_frame(&mut pixels).expect("second"), 100);
        assert!(at(&pixels, 12, 22) < 5 && at(&pixels, 9, 22) > 250 && at(&pixels, 15, 22) > 250);
        assert!(decoder.icc_profile().expect("readable").is_none());
    }

    #[test]
    fn odd_places_and_other_files_are_refused() {
        let still = webp(&solid(8, 8, [1; 3]), 90.0, 2).expect("encodes");
        let mut file = AnimatedWebP::new(40, 40);
        assert!(file.push(rect(1, 0, 8, 8), &still, 50).is_err());
        assert!(
            file.push(rect(0, 0, 8, 8), b"RIFF....WEBPVP8L", 50)
                .is_err()
        );
    }

    #[test]
    fn durations_stop_at_their_limit() {
        let still = webp(&solid(8, 8, [1; 3]), 90.0, 2).expect("encodes");
        let mut file = AnimatedWebP::new(8, 8);
        file.push(rect(0, 0, 8, 8), &still, u32::MAX).expect("fits");
        file.extend_last(u32::MAX);
        assert_eq!(
            file.file[HEADER_BYTES + DURATION_OFFSET..][..3],
            [0xff, 0xff, 0xff]
        );
    }
}
