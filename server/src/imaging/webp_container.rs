//! Walking a WebP file's RIFF chunks (WebP Container Specification) to its end, without decoding.

use super::ImageError;
use super::inspect::{Container, Storage, browser_delay};
use super::metadata::{MAX_EXIF_BYTES, MAX_ICC_BYTES, Metadata};
use super::source::Source;

/// What is known so far.
#[derive(Default)]
struct Walk {
    metadata: Metadata,
    canvas: Option<(u32, u32)>,
    bitstream: Option<(u32, u32)>,
    lossless: bool,
    alpha: bool,
    animated: bool,
    durations_ms: Vec<u32>,
    frame_pixels: u64,
    largest_frame: u64,
}

/// Reads every chunk's header. `max_frames` ends the walk early.
pub(super) fn walk(source: &mut Source, max_frames: u32) -> Result<Container, ImageError> {
    source.skip(4)?;
    let riff_bytes = u64::from(u32::from_le_bytes(source.array()?));
    // The size counts from the "WEBP" on; an odd last chunk is often not padded.
    if riff_bytes < 12 || riff_bytes > source.remaining() + 1 {
        return Err(ImageError::corrupt("the file is shorter than it says"));
    }
    let end = source.remaining().saturating_sub(riff_bytes);
    source.skip(4)?;
    let mut walk = Walk::default();
    while source.remaining() >= end + 8 {
        let kind = source.array::<4>()?;
        let length = u64::from(u32::from_le_bytes(source.array()?));
        let after = source
            .remaining()
            .checked_sub(length)
            .ok_or_else(|| ImageError::corrupt("a chunk is cut off"))?;
        walk.chunk(source, kind, length, max_frames)?;
        let unread = source
            .remaining()
            .checked_sub(after)
            .ok_or_else(|| ImageError::corrupt("a chunk is too short"))?;
        source.skip(unread)?;
        if length % 2 == 1 && source.remaining() > 0 {
            source.skip(1)?;
        }
    }
    if source.remaining() > 0 {
        walk.metadata.found("trailing-data");
    }
    walk.finish()
}

impl Walk {
    fn chunk(
        &mut self,
        source: &mut Source,
        kind: [u8; 4],
        length: u64,
        max_frames: u32,
    ) -> Result<(), ImageError> {
        match &kind {
            b"VP8X" if length >= 10 => {
                let [flags, _, _, _] = source.array()?;
                self.animated = flags & 0x02 != 0;
                self.alpha = flags & 0x10 != 0;
                self.canvas = Some((read_24(source)? + 1, read_24(source)? + 1));
            }
            b"VP8 " | b"VP8L" if self.bitstream.is_none() => {
                self.bitstream = Some(self.bitstream_size(source, kind)?);
            }
            b"ANMF" if length >= 24 => {
                if self.durations_ms.len() >= max_frames as usize {
                    return Err(ImageError::TooManyFrames { limit: max_frames });
                }
                let after = source.remaining().saturating_sub(length);
                source.skip(6)?;
                let (width, height) = (read_24(source)? + 1, read_24(source)? + 1);
                let pixels = u64::from(width) * u64::from(height);
                self.frame_pixels += pixels;
                self.largest_frame = self.largest_frame.max(pixels);
                self.durations_ms.push(browser_delay(read_24(source)?));
                source.skip(1)?;
                // The decoder believes the bitstream and compares only when it has decoded all of it.
                if self.frame_bitstream_size(source, after)? != (width, height) {
                    return Err(ImageError::corrupt("a frame is not as large as it says"));
                }
            }
            b"EXIF" => {
                if length as usize <= MAX_EXIF_BYTES {
                    let exif = source.bytes(length as usize)?;
                    let tiff = exif.strip_prefix(b"Exif\0\0").unwrap_or(&exif);
                    self.metadata.found_exif(tiff.to_vec());
                } else {
                    self.metadata.found("exif");
                }
            }
            b"ICCP" => {
                self.metadata.found("icc");
                if length as usize <= MAX_ICC_BYTES {
                    self.metadata.icc = Some(source.bytes(length as usize)?);
                }
            }
            b"XMP " => self.metadata.found("xmp"),
            b"VP8 " | b"VP8L" | b"VP8X" | b"ALPH" | b"ANIM" | b"ANMF" => {}
            _ => self.metadata.found("app-data"),
        }
        Ok(())
    }

    /// Sides of a frame from its bitstream, which an alpha chunk may precede and unknown chunks may follow. `after` is what remains of the file behind the frame.
    fn frame_bitstream_size(
        &mut self,
        source: &mut Source,
        after: u64,
    ) -> Result<(u32, u32), ImageError> {
        let mut kind = source.array::<4>()?;
        let mut length = u64::from(u32::from_le_bytes(source.array()?));
        if &kind == b"ALPH" {
            self.alpha = true;
            source.skip(length + length % 2)?;
            kind = source.array::<4>()?;
            length = u64::from(u32::from_le_bytes(source.array()?));
        }
        if length < 10 || !matches!(&kind, b"VP8 " | b"VP8L") {
            return Err(ImageError::corrupt("a frame without a bitstream"));
        }
        if source.remaining() > after + length + length % 2 {
            self.metadata.found("app-data");
        }
        self.bitstream_size(source, kind)
    }

    /// Sides from the head of a key frame (RFC 6386, 9.1) or of a lossless stream.
    fn bitstream_size(
        &mut self,
        source: &mut Source,
        kind: [u8; 4],
    ) -> Result<(u32, u32), ImageError> {
        if &kind == b"VP8L" {
            let [signature, bytes @ ..] = source.array::<5>()?;
            if signature != 0x2f {
                return Err(ImageError::corrupt("no lossless signature"));
            }
            let bits = u32::from_le_bytes(bytes);
            self.lossless = true;
            self.alpha |= bits & (1 << 28) != 0;
            return Ok(((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1));
        }
        let [_, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1] = source.array::<10>()? else {
            return Err(ImageError::corrupt("no key frame"));
        };
        let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
        Ok((side(w0, w1), side(h0, h1)))
    }

    fn finish(self) -> Result<Container, ImageError> {
        let frames = self.durations_ms.len() as u32;
        let (width, height) = match (self.animated, self.canvas, self.bitstream) {
            (true, Some(canvas), _) if frames > 0 => canvas,
            (false, Some(canvas), Some(bitstream)) if canvas == bitstream => canvas,
            (false, None, Some(bitstream)) => bitstream,
            _ => return Err(ImageError::corrupt("the chunks do not make a picture")),
        };
        Ok(Container {
            width,
            height,
            bit_depth: 8,
            frames: if self.animated { frames } else { 1 },
            durations_ms: if self.animated {
                self.durations_ms
            } else {
                vec![0]
            },
            frame_pixels: self.frame_pixels,
            largest_frame: self.largest_frame,
            storage: Storage::WebP {
                lossless: self.lossless,
                alpha: self.alpha,
                in_frames: self.animated,
            },
            ..Container::still(self.metadata)
        })
    }
}

fn read_24(source: &mut Source) -> Result<u32, ImageError> {
    let [a, b, c] = source.array()?;
    Ok(u32::from_le_bytes([a, b, c, 0]))
}

#[cfg(test)]
mod tests {
    use super::super::samples::{solid, webp_still, webp_with_metadata, write};
    use super::super::{ImageError, Limits, inspect};

    #[test]
    fn metadata_chunks_are_named() {
        let file = webp_with_metadata(&solid(64, 48, [9, 9, 9]));
        let found = inspect(write(&file).path(), &Limits::default()).expect("a good picture");
        assert_eq!(found.stripped, ["icc", "exif", "gps", "xmp"]);
        assert_eq!(
            (found.width, found.height),
            (48, 64),
            "orientation 6 is obeyed"
        );
    }

    #[test]
    fn a_cut_off_file_is_corrupt() {
        let file = webp_still(&solid(64, 48, [9, 9, 9]), 80.0);
        for keep in [13, 20, 25, file.len() / 2, file.len() - 2] {
            let result = inspect(write(&file[..keep]).path(), &Limits::default());
            assert!(
                matches!(result, Err(ImageError::Corrupt { .. })),
                "{keep} bytes"
            );
        }
    }
}
