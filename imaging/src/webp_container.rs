//! Walks the RIFF chunks of a WebP file (WebP Container Specification) to its end, without
//! decoding.

use std::ops::Range;

use super::canvas::{Disposal, Rect};
use super::container::{Container, Storage, StoredFrame, browser_delay, plays};
use super::metadata::{MAX_EXIF_BYTES, MAX_ICC_BYTES, Metadata};
use super::source::Source;
use super::{ImageError, Limits, vp8l};

/// What is known so far.
struct Walk<'a> {
    limits: &'a Limits,
    metadata: Metadata,
    canvas: Option<(u32, u32)>,
    bitstream: Option<(u32, u32)>,
    /// Where the lossy bitstream of a still is.
    lossy: Option<Range<u64>>,
    lossless: bool,
    alpha: bool,
    animated: bool,
    /// True where the file says that it has a colour profile. Others are not obeyed, as in
    /// browsers.
    has_profile: bool,
    durations_ms: Vec<u32>,
    /// How often the animation plays; `None` before the chunk that says so.
    loops: Option<u32>,
    frames: Vec<StoredFrame>,
    frame_pixels: u64,
    largest_frame: u64,
    /// What decoding holds beside the pixels, in bytes: the most of any frame, and the sum over all
    /// frames.
    side_bytes: u64,
    all_side_bytes: u64,
    /// True once the alpha plane of a still has been seen.
    plane: bool,
}

/// Reads the header of every chunk and, of lossless streams, what stands before the pixels. The
/// walk fails at more frames than `limits` allow.
pub(super) fn walk(source: &mut Source, limits: &Limits) -> Result<Container, ImageError> {
    source.skip(4)?;
    let riff_bytes = u64::from(u32::from_le_bytes(source.array()?));
    // The size counts from "WEBP" on. An odd last chunk is often not padded.
    if riff_bytes < 12 || riff_bytes > source.remaining() + 1 {
        return Err(ImageError::corrupt("the file is shorter than it says"));
    }
    let end = source.remaining().saturating_sub(riff_bytes);
    source.skip(4)?;
    let mut walk = Walk {
        limits,
        metadata: Metadata::default(),
        canvas: None,
        bitstream: None,
        lossy: None,
        lossless: false,
        alpha: false,
        animated: false,
        has_profile: false,
        durations_ms: Vec::new(),
        loops: None,
        frames: Vec::new(),
        frame_pixels: 0,
        largest_frame: 0,
        side_bytes: 0,
        all_side_bytes: 0,
        plane: false,
    };
    while source.remaining() >= end + 8 {
        let (kind, length) = chunk_head(source)?;
        let after = source
            .remaining()
            .checked_sub(length)
            .ok_or_else(|| ImageError::corrupt("a chunk is cut off"))?;
        walk.chunk(source, kind, length)?;
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

impl Walk<'_> {
    fn chunk(&mut self, source: &mut Source, kind: [u8; 4], length: u64) -> Result<(), ImageError> {
        match &kind {
            // The decoder uses only the first of these chunks.
            b"VP8X" if length >= 10 && self.canvas.is_none() => {
                let [flags, _, _, _] = source.array()?;
                self.animated = flags & 0x02 != 0;
                self.alpha = flags & 0x10 != 0;
                self.has_profile = flags & 0x20 != 0;
                self.canvas = Some((read_24(source)? + 1, read_24(source)? + 1));
            }
            b"VP8 " | b"VP8L" if self.bitstream.is_none() => {
                let start = source.position();
                self.bitstream = Some(self.bitstream_size(source, kind, length)?);
                self.lossy = (&kind == b"VP8 ").then(|| start..start + length);
            }
            // The decoder uses only the first of these chunks, and only where there is a canvas.
            b"ALPH" if !self.animated && !std::mem::replace(&mut self.plane, true) => {
                if let Some(canvas) = self.canvas {
                    self.look_at_plane(source, length, canvas)?;
                }
            }
            b"ANIM" if length >= 6 && self.loops.is_none() => {
                source.skip(4)?;
                self.loops = Some(u16::from_le_bytes(source.array()?).into());
            }
            // From a frame in a still the decoder would take the still's pixels.
            b"ANMF" if !self.animated || self.loops.is_none() => {
                return Err(ImageError::corrupt("a frame out of place"));
            }
            b"ANMF" if length >= 24 => {
                let limit = self.limits.max_frames;
                if self.durations_ms.len() >= limit as usize {
                    return Err(ImageError::TooManyFrames { limit });
                }
                let after = source.remaining().saturating_sub(length);
                let (left, top) = (read_24(source)? * 2, read_24(source)? * 2);
                let (width, height) = (read_24(source)? + 1, read_24(source)? + 1);
                if self
                    .canvas
                    .is_none_or(|(across, down)| left + width > across || top + height > down)
                {
                    return Err(ImageError::corrupt("a frame beyond the canvas"));
                }
                let pixels = u64::from(width) * u64::from(height);
                self.frame_pixels += pixels;
                self.largest_frame = self.largest_frame.max(pixels);
                self.durations_ms.push(browser_delay(read_24(source)?));
                let flags = source.byte()?;
                let start = source.position();
                // The decoder trusts the bitstream, and compares the sizes only once it has decoded
                // all of it.
                let (has_plane, size) = self.frame_bitstream(source, (width, height), after)?;
                if size != (width, height) {
                    return Err(ImageError::corrupt("a frame is not as large as it says"));
                }
                self.frames.push(StoredFrame {
                    rect: Rect {
                        left,
                        top,
                        width,
                        height,
                    },
                    disposal: if flags & 1 == 0 {
                        Disposal::Keep
                    } else {
                        Disposal::Clear
                    },
                    blends: flags & 2 == 0,
                    has_plane,
                    transparent: None,
                    bytes: start..start + length - 16,
                });
            }
            b"EXIF" => {
                if length as usize <= MAX_EXIF_BYTES {
                    let exif = source.bytes(length as usize)?;
                    let tiff = exif.strip_prefix(b"Exif\0\0").unwrap_or(&exif);
                    // Browsers show the pixels of a WebP as they are stored.
                    self.metadata.found_silent_exif(tiff);
                } else {
                    self.metadata.found("exif");
                }
            }
            b"ICCP" => {
                self.metadata.found("icc");
                if self.has_profile
                    && self.metadata.icc.is_none()
                    && length as usize <= MAX_ICC_BYTES
                {
                    self.metadata.icc = Some(source.bytes(length as usize)?);
                }
            }
            b"XMP " => self.metadata.found("xmp"),
            b"VP8 " | b"VP8L" | b"VP8X" | b"ALPH" | b"ANIM" | b"ANMF" => {}
            _ => self.metadata.found("app-data"),
        }
        Ok(())
    }

    /// Whether a frame has an alpha plane, and its size according to its bitstream. The alpha chunk
    /// may precede the bitstream, and unknown chunks may follow it. `after` is what remains of the
    /// file behind the frame.
    fn frame_bitstream(
        &mut self,
        source: &mut Source,
        size: (u32, u32),
        after: u64,
    ) -> Result<(bool, (u32, u32)), ImageError> {
        let (mut kind, mut length) = chunk_head(source)?;
        let has_plane = &kind == b"ALPH";
        if has_plane {
            self.alpha = true;
            let bitstream = source.remaining().checked_sub(length + length % 2);
            self.look_at_plane(source, length, size)?;
            let unread = bitstream.and_then(|left| source.remaining().checked_sub(left));
            source.skip(unread.ok_or_else(|| ImageError::corrupt("alpha is cut off"))?)?;
            (kind, length) = chunk_head(source)?;
            if &kind != b"VP8 " {
                return Err(ImageError::corrupt("alpha without a lossy bitstream"));
            }
        }
        if length < 10 || !matches!(&kind, b"VP8 " | b"VP8L") {
            return Err(ImageError::corrupt("a frame without a bitstream"));
        }
        if source.remaining() > after + length + length % 2 {
            self.metadata.found("app-data");
        }
        // A lossy bitstream is read whole before it is decoded.
        self.side_bytes = self.side_bytes.max(length);
        Ok((has_plane, self.bitstream_size(source, kind, length)?))
    }

    /// The size in the head of a key frame (RFC 6386, 9.1) or of a lossless stream, whose contents
    /// are checked too.
    fn bitstream_size(
        &mut self,
        source: &mut Source,
        kind: [u8; 4],
        length: u64,
    ) -> Result<(u32, u32), ImageError> {
        if &kind == b"VP8L" {
            let [signature, bytes @ ..] = source.array::<5>()?;
            if signature != 0x2f {
                return Err(ImageError::corrupt("no lossless signature"));
            }
            let bits = u32::from_le_bytes(bytes);
            self.lossless = true;
            self.alpha |= bits & (1 << 28) != 0;
            let size = ((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1);
            self.look_into_lossless(source, length.saturating_sub(5), size)?;
            return Ok(size);
        }
        let [_, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1] = source.array::<10>()? else {
            return Err(ImageError::corrupt("no key frame"));
        };
        let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
        Ok((side(w0, w1), side(h0, h1)))
    }

    /// Checks an alpha plane of `length` bytes, which may be a lossless stream without its head.
    fn look_at_plane(
        &mut self,
        source: &mut Source,
        length: u64,
        size: (u32, u32),
    ) -> Result<(), ImageError> {
        let rest = length
            .checked_sub(1)
            .ok_or_else(|| ImageError::corrupt("an empty alpha plane"))?;
        if source.byte()? & 0b11 == 1 {
            self.look_into_lossless(source, rest, size)?;
        }
        Ok(())
    }

    /// Counts the bytes that decoding a lossless stream will hold beside its pixels.
    fn look_into_lossless(
        &mut self,
        source: &mut Source,
        length: u64,
        size: (u32, u32),
    ) -> Result<(), ImageError> {
        // Such a picture is refused whatever it holds.
        if u64::from(size.0) * u64::from(size.1) > self.limits.max_pixels {
            return Ok(());
        }
        let left = self
            .limits
            .max_animation_pixels
            .saturating_sub(self.all_side_bytes);
        let most = left.min(self.limits.memory_bytes);
        let bytes = vp8l::side_bytes(source, length, size, most)?;
        self.side_bytes = self.side_bytes.max(bytes);
        self.all_side_bytes += bytes;
        Ok(())
    }

    fn finish(self) -> Result<Container, ImageError> {
        let frames = self.durations_ms.len() as u32;
        let size = match (self.animated, self.canvas, self.bitstream) {
            (true, Some(canvas), _) if frames > 0 => canvas,
            (false, Some(canvas), Some(bitstream)) if canvas == bitstream => canvas,
            (false, None, Some(bitstream)) => bitstream,
            _ => return Err(ImageError::corrupt("the chunks do not make a picture")),
        };
        let lossy = self.lossy.filter(|_| !self.animated && !self.plane);
        let storage = Storage::WebP {
            by_rows: lossy.is_some(),
            lossless: self.lossless,
            alpha: self.alpha,
            in_frames: self.animated,
        };
        Ok(Container {
            frames: if self.animated { frames } else { 1 },
            durations_ms: if self.animated {
                self.durations_ms
            } else {
                vec![0]
            },
            plays: if self.animated {
                plays(self.loops.unwrap_or(0))
            } else {
                plays(1)
            },
            stored_frames: self.frames,
            lossy,
            frame_pixels: self.frame_pixels,
            largest_frame: self.largest_frame,
            side_bytes: self.side_bytes,
            all_side_bytes: self.all_side_bytes,
            ..Container::still(size, storage, self.metadata)
        })
    }
}

/// The kind and length of the next chunk.
fn chunk_head(source: &mut Source) -> Result<([u8; 4], u64), ImageError> {
    let kind = source.array()?;
    Ok((kind, u64::from(u32::from_le_bytes(source.array()?))))
}

fn read_24(source: &mut Source) -> Result<u32, ImageError> {
    let [a, b, c] = source.array()?;
    Ok(u32::from_le_bytes([a, b, c, 0]))
}

#[cfg(test)]
mod tests {
    use super::super::samples::{
        OUTPUTS, anmf, riff_chunk, solid, vp8l_groups, vp8x, webp_of, webp_rgba, webp_still,
        webp_with_metadata, write,
    };
    use super::super::{ImageError, Inspected, Limits, inspect};

    fn look(file: &[u8]) -> Result<Inspected, ImageError> {
        inspect(write(file).path(), &Limits::default(), &OUTPUTS)
    }

    /// The lossy bitstream of a still, as a chunk.
    fn lossy(width: u32, height: u32) -> Vec<u8> {
        webp_still(&solid(width, height, [9, 9, 9]), 80.0)[12..].to_vec()
    }

    /// Files with these groups of codes, in each place where a lossless stream can stand.
    fn files_with_groups(groups: u32, costly: bool) -> [(&'static str, Vec<u8>); 4] {
        let stream = |head| vp8l_groups(64, 64, groups, costly, head);
        let pixels = riff_chunk(b"VP8L", &stream(true));
        let plane = riff_chunk(b"ALPH", &[&[1][..], &stream(false)].concat());
        let animated = |chunks: &[Vec<u8>]| {
            let anim = riff_chunk(b"ANIM", &[0; 6]);
            let frame = anmf(64, 64, chunks);
            webp_of(&[vp8x(true, 64, 64), anim, frame.clone(), frame])
        };
        [
            ("a still", webp_of(std::slice::from_ref(&pixels))),
            (
                "an alpha plane",
                webp_of(&[vp8x(false, 64, 64), plane.clone(), lossy(64, 64)]),
            ),
            ("a frame", animated(&[pixels])),
            ("a frame's alpha plane", animated(&[plane, lossy(64, 64)])),
        ]
    }

    #[test]
    fn too_many_code_groups_are_refused_wherever_they_are() {
        for (name, file) in files_with_groups(65_536, true) {
            let result = look(&file);
            assert!(
                matches!(result, Err(ImageError::TooManyPixels { .. })),
                "{name}: {result:?}"
            );
        }
    }

    #[test]
    fn tables_of_codes_count_as_memory() {
        for (name, file) in files_with_groups(1000, true) {
            let found = look(&file).expect("a good picture");
            assert!(
                found.working_bytes > 1000 * 5 * 4096,
                "{name}: {}",
                found.working_bytes
            );
        }
        for (name, file) in files_with_groups(300, false) {
            let found = look(&file).expect("a good picture");
            assert!(
                found.working_bytes < 20_000_000,
                "{name}: {}",
                found.working_bytes
            );
        }
    }

    #[test]
    fn tables_of_all_frames_count_as_work() {
        let frame = anmf(
            64,
            64,
            &[riff_chunk(b"VP8L", &vp8l_groups(64, 64, 2000, true, true))],
        );
        let mut chunks = vec![vp8x(true, 64, 64), riff_chunk(b"ANIM", &[0; 6])];
        chunks.extend(vec![frame; 40]);
        let result = look(&webp_of(&chunks));
        assert!(matches!(result, Err(ImageError::TooManyPixels { .. })));
    }

    #[test]
    fn a_lossless_stream_cut_in_its_codes_is_corrupt() {
        let stream = vp8l_groups(64, 64, 40, true, true);
        for keep in [5, 7, 20, 500] {
            let file = webp_of(&[riff_chunk(b"VP8L", &stream[..keep])]);
            let result = look(&file);
            assert!(
                matches!(result, Err(ImageError::Corrupt { .. })),
                "{keep} bytes: {result:?}"
            );
        }
    }

    #[test]
    fn what_the_decoder_would_take_from_elsewhere_is_corrupt() {
        let pixels = riff_chunk(b"VP8L", &vp8l_groups(64, 64, 1, false, true));
        let frame = anmf(64, 64, std::slice::from_ref(&pixels));
        let alpha = riff_chunk(b"ALPH", &[0; 64 * 64 + 1]);
        let anim = riff_chunk(b"ANIM", &[0; 6]);
        for (name, chunks) in [
            (
                "a frame in a still",
                vec![vp8x(false, 64, 64), lossy(64, 64), frame.clone()],
            ),
            (
                "a frame before the animation's own chunk",
                vec![vp8x(true, 64, 64), frame.clone(), anim.clone()],
            ),
            (
                "a frame beyond the canvas",
                vec![vp8x(true, 64, 63), anim.clone(), frame.clone()],
            ),
            (
                "alpha before a lossless stream",
                vec![
                    vp8x(true, 64, 64),
                    anim,
                    anmf(64, 64, &[alpha, pixels]),
                    frame,
                ],
            ),
        ] {
            let result = look(&webp_of(&chunks));
            assert!(
                matches!(result, Err(ImageError::Corrupt { .. })),
                "{name}: {result:?}"
            );
        }
    }

    #[test]
    fn an_encoders_lossless_pictures_pass() {
        let mut noise = 1_u32;
        let mut rgba: Vec<u8> = (0..300 * 200 * 4_u32)
            .map(|at| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                ((at / 7) as u8).wrapping_add((noise >> 28) as u8)
            })
            .collect();
        let few_colors: Vec<u8> = rgba
            .chunks_exact(4)
            .flat_map(|pixel| [pixel[0] & 0xc0, 0, 90, 255])
            .collect();
        for pixel in rgba.chunks_exact_mut(4).take(20_000) {
            pixel[3] = 255;
        }
        for pixels in [&rgba, &few_colors] {
            let still = webp_rgba(300, 200, pixels);
            assert_eq!(&still[12..16], b"VP8L");
            let found = look(&still).expect("a good picture");
            assert_eq!((found.width, found.height), (300, 200));
        }
    }

    #[test]
    fn metadata_chunks_are_named() {
        let file = webp_with_metadata(&solid(64, 48, [9, 9, 9]));
        let found =
            inspect(write(&file).path(), &Limits::default(), &OUTPUTS).expect("a good picture");
        assert_eq!(found.stripped, ["icc", "exif", "gps", "xmp"]);
        assert_eq!(
            (found.width, found.height),
            (64, 48),
            "browsers do not obey an orientation here"
        );
    }

    #[test]
    fn a_cut_off_file_is_corrupt() {
        let file = webp_still(&solid(64, 48, [9, 9, 9]), 80.0);
        for keep in [13, 20, 25, file.len() / 2, file.len() - 2] {
            let result = inspect(write(&file[..keep]).path(), &Limits::default(), &OUTPUTS);
            assert!(
                matches!(result, Err(ImageError::Corrupt { .. })),
                "{keep} bytes"
            );
        }
    }
}
