//! Walks the chunks of a PNG or APNG file (W3C PNG, third edition) to its end, without inflating.

use super::ImageError;
use super::container::{Container, Storage, browser_delay, plays};
use super::metadata::{MAX_EXIF_BYTES, Metadata};
use super::source::Source;

/// The chunk at the end of a file.
const END: &[u8] = b"\0\0\0\0IEND\xae\x42\x60\x82";

/// Reads the header of every chunk. A file that is cut behind its picture counts as whole, as far
/// as it goes. The walk fails at more than `max_frames` frames.
pub(super) fn walk(source: &mut Source, max_frames: u32) -> Result<Container, ImageError> {
    let mut metadata = Metadata::default();
    source.skip(8)?;
    if source.array()? != [0, 0, 0, 13, b'I', b'H', b'D', b'R'] {
        return Err(ImageError::corrupt("no header chunk"));
    }
    let width = u32::from_be_bytes(source.array()?);
    let height = u32::from_be_bytes(source.array()?);
    let [bit_depth, color_type, _, _, interlace] = source.array()?;
    source.skip(4)?;
    let mut transparent = false;
    let mut declared_frames = None;
    let mut times = 1;
    let mut durations_ms = Vec::new();
    let mut picture_is_frame = false;
    let mut frame_pixels = 0_u64;
    let mut data = false;
    // Where the file stops making sense, if the pixels have come by then.
    let mut cut = None;
    loop {
        let start = source.position();
        if data && source.remaining() < END.len() as u64 {
            cut = Some(start);
            break;
        }
        let length = u32::from_be_bytes(source.array()?);
        let kind = source.array::<4>()?;
        let body = u64::from(length);
        if data && &kind != b"IDAT" && source.remaining() < body + 4 {
            cut = Some(start);
            break;
        }
        match &kind {
            b"IEND" => {
                source.skip(body + 4)?;
                break;
            }
            b"IDAT" => {
                data = true;
                source.skip(body + 4)?;
            }
            b"tRNS" => {
                transparent = true;
                source.skip(body + 4)?;
            }
            b"acTL" if length == 8 => {
                let frames = u32::from_be_bytes(source.array()?);
                if frames > max_frames {
                    return Err(ImageError::TooManyFrames { limit: max_frames });
                }
                declared_frames = Some(frames);
                times = u32::from_be_bytes(source.array()?);
                source.skip(4)?;
            }
            b"fcTL" if length == 26 => {
                let body = source.bytes(26)?;
                source.skip(4)?;
                if durations_ms.len() >= max_frames as usize {
                    return Err(ImageError::TooManyFrames { limit: max_frames });
                }
                let number = |at: usize| {
                    u64::from(u32::from_be_bytes([
                        body[at],
                        body[at + 1],
                        body[at + 2],
                        body[at + 3],
                    ]))
                };
                frame_pixels = frame_pixels.saturating_add(number(4) * number(8));
                let ticks = u32::from(u16::from_be_bytes([body[20], body[21]]));
                let rate = u32::from(u16::from_be_bytes([body[22], body[23]]));
                let rate = if rate == 0 { 100 } else { rate };
                durations_ms.push(browser_delay(ticks * 1000 / rate));
                picture_is_frame |= !data;
            }
            b"iCCP" => {
                metadata.found_packed_icc(body);
                source.skip(body + 4)?;
            }
            b"eXIf" if !data && length as usize <= MAX_EXIF_BYTES => {
                let exif = source.bytes(length as usize)?;
                metadata.found_exif(&exif);
                source.skip(4)?;
            }
            _ => {
                let keep = length.min(80);
                let start = source.bytes(keep as usize)?;
                note_chunk(&kind, &start, &mut metadata);
                source.skip(body - u64::from(keep) + 4)?;
            }
        }
    }
    if !data {
        return Err(ImageError::corrupt("no picture data"));
    }
    if source.remaining() > 0 {
        metadata.found("trailing-data");
    }
    let channels = match color_type {
        0 => 1,
        2 | 3 => 3,
        4 => 2,
        6 => 4,
        _ => return Err(ImageError::corrupt("a strange colour type")),
    };
    if cut.is_some() {
        // Nothing says that all of the last frame is there.
        durations_ms.pop();
    }
    // Browsers play the frames that are there, but no more than are announced.
    durations_ms.truncate(declared_frames.unwrap_or(0) as usize);
    let frames = durations_ms.len() as u32;
    let animated = frames > 1;
    let composed = animated || frames == 1 && !picture_is_frame;
    let interlaced = interlace != 0;
    let storage = Storage::Png {
        channels: channels + u8::from(transparent),
        bit_depth,
        interlaced,
        composed,
    };
    Ok(Container {
        bit_depth,
        interlaced,
        frames: if animated { frames } else { 1 },
        durations_ms: if animated { durations_ms } else { vec![0] },
        plays: plays(times),
        frame_pixels,
        end: cut,
        lacks: if cut.is_some() { END } else { &[] },
        ..Container::still((width, height), storage, metadata)
    })
}

/// Notes what an ancillary chunk holds, judged by its first bytes.
fn note_chunk(kind: &[u8; 4], start: &[u8], metadata: &mut Metadata) {
    match kind {
        b"iTXt" if start.starts_with(b"XML:com.adobe.xmp\0") => metadata.found("xmp"),
        b"tEXt" | b"zTXt" | b"iTXt" => {
            // ImageMagick writes whole EXIF, IPTC and XMP blocks as hexadecimal text.
            let raw = |name: &[u8]| start.starts_with(name);
            if raw(b"Raw profile type exif") || raw(b"Raw profile type APP1") {
                metadata.found("exif");
            } else if raw(b"Raw profile type iptc") || raw(b"Raw profile type 8bim") {
                metadata.found("iptc");
            } else if raw(b"Raw profile type xmp") {
                metadata.found("xmp");
            } else {
                metadata.found("text");
            }
        }
        b"eXIf" => metadata.found("exif"),
        b"tIME" => metadata.found("time"),
        // These chunks are needed to show the pixels, and have no room for words. (A suggested
        // palette has a name, so it is not among them.)
        b"PLTE" | b"gAMA" | b"cHRM" | b"sRGB" | b"cICP" | b"mDCV" | b"cLLI" | b"bKGD" | b"pHYs"
        | b"sBIT" | b"hIST" | b"fdAT" => {}
        _ => metadata.found("app-data"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{OUTPUTS, chunk, insert_after_ihdr, png_rgb, write};
    use super::super::{Limits, inspect};

    #[test]
    fn every_kind_of_chunk_is_named() {
        let cases: [(&[u8; 4], &[u8], &[&str]); 10] = [
            (b"tEXt", b"Author\0me", &["text"]),
            (b"zTXt", b"Raw profile type exif\0\0", &["exif"]),
            (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x/>", &["xmp"]),
            (b"iTXt", b"Comment\0\0\0\0\0hi", &["text"]),
            (b"eXIf", b"MM\0*\0\0\0\x08", &["exif"]),
            (b"iCCP", b"p\0\0", &["icc"]),
            (b"tIME", &[7, 0xea, 1, 1, 0, 0, 0], &["time"]),
            (b"gAMA", &[0, 0, 0xb1, 0x8f], &[]),
            (b"prVt", b"secret", &["app-data"]),
            (b"sPLT", b"words\0\x08", &["app-data"]),
        ];
        for (kind, body, expected) in cases {
            let file = insert_after_ihdr(&png_rgb(64, 48), &chunk(kind, body));
            let found =
                inspect(write(&file).path(), &Limits::default(), &OUTPUTS).expect("a good picture");
            assert_eq!(found.stripped, expected, "{}", kind.escape_ascii());
        }
    }
}
