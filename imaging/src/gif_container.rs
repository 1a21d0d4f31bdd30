//! Walks the blocks of a GIF file (the `GIF89a` specification) to its end, without decompressing.

use super::ImageError;
use super::container::{Container, Storage, browser_delay};
use super::metadata::Metadata;
use super::source::Source;

/// Reads the header of every block and counts frames. The walk fails at more than `max_frames`
/// frames.
pub(super) fn walk(source: &mut Source, max_frames: u32) -> Result<Container, ImageError> {
    let mut metadata = Metadata::default();
    source.skip(6)?;
    let width = u32::from(u16::from_le_bytes(source.array()?));
    let height = u32::from(u16::from_le_bytes(source.array()?));
    let [flags, _, _] = source.array()?;
    skip_color_table(source, flags)?;
    let mut durations_ms = Vec::new();
    let mut frame_pixels = 0;
    let mut largest_frame = 0;
    let mut delay = 0;
    // Many writers forget the trailer and every viewer forgives it, so the file may end after any
    // block. It may not end within one.
    while source.remaining() > 0 {
        match source.byte()? {
            0x3b => break,
            0x21 => match source.byte()? {
                0xf9 => {
                    let [size, _, low, high] = source.array()?;
                    if size != 4 {
                        return Err(ImageError::corrupt("a strange graphic control block"));
                    }
                    delay = u32::from(u16::from_le_bytes([low, high])) * 10;
                    source.skip(1)?;
                    skip_sub_blocks(source)?;
                }
                0xff => {
                    let size = source.byte()?;
                    let name = source.bytes(size.into())?;
                    if matches!(name.get(..8), Some(b"NETSCAPE" | b"ANIMEXTS")) {
                        if !skip_looping(source)? {
                            metadata.found("app-data");
                        }
                        continue;
                    }
                    match name.get(..8) {
                        Some(b"XMP Data") => metadata.found("xmp"),
                        Some(b"ICCRGBG1") => metadata.found("icc"),
                        _ => metadata.found("app-data"),
                    }
                    skip_sub_blocks(source)?;
                }
                label => {
                    match label {
                        0xfe => metadata.found("comment"),
                        0x01 => metadata.found("text"),
                        _ => metadata.found("app-data"),
                    }
                    skip_sub_blocks(source)?;
                }
            },
            0x2c => {
                if durations_ms.len() >= max_frames as usize {
                    return Err(ImageError::TooManyFrames { limit: max_frames });
                }
                source.skip(4)?;
                let frame_width = u64::from(u16::from_le_bytes(source.array()?));
                let frame_height = u64::from(u16::from_le_bytes(source.array()?));
                let flags = source.byte()?;
                skip_color_table(source, flags)?;
                source.skip(1)?;
                skip_sub_blocks(source)?;
                frame_pixels += frame_width * frame_height;
                largest_frame = largest_frame.max(frame_width * frame_height);
                durations_ms.push(browser_delay(std::mem::take(&mut delay)));
            }
            _ => return Err(ImageError::corrupt("an unknown block")),
        }
    }
    if source.remaining() > 0 {
        metadata.found("trailing-data");
    }
    if durations_ms.is_empty() {
        return Err(ImageError::corrupt("no frame"));
    }
    Ok(Container {
        frames: durations_ms.len() as u32,
        durations_ms,
        frame_pixels,
        largest_frame,
        ..Container::still((width, height), Storage::Gif, metadata)
    })
}

fn skip_color_table(source: &mut Source, flags: u8) -> Result<(), ImageError> {
    if flags & 0x80 == 0 {
        return Ok(());
    }
    source.skip(3 << ((flags & 7) + 1))
}

/// Skips a looping block, and says whether it holds nothing but what such blocks are for: how often
/// to repeat (1) and how much to buffer (2).
fn skip_looping(source: &mut Source) -> Result<bool, ImageError> {
    let mut only_looping = true;
    loop {
        let size = source.byte()?;
        if size == 0 {
            return Ok(only_looping);
        }
        let kind = source.byte()?;
        only_looping &= matches!((size, kind), (3, 1) | (5, 2));
        source.skip(u64::from(size) - 1)?;
    }
}

fn skip_sub_blocks(source: &mut Source) -> Result<(), ImageError> {
    loop {
        match source.byte()? {
            0 => return Ok(()),
            size => source.skip(size.into())?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{OUTPUTS, gif_frames, write};
    use super::super::{ImageError, Limits, inspect};

    #[test]
    fn frames_and_metadata_are_counted_without_decoding() {
        let mut file = gif_frames(
            64,
            48,
            &[(0, [255, 0, 0]), (5, [0, 255, 0]), (20, [0, 0, 255])],
        );
        file.pop();
        file.extend_from_slice(b"\x21\xfe\x02hi\x00\x3b");
        let found =
            inspect(write(&file).path(), &Limits::default(), &OUTPUTS).expect("a good picture");
        assert_eq!(found.frames, 3);
        assert_eq!(found.duration_ms(), 100 + 50 + 200);
        assert_eq!(found.stripped, ["comment"]);
    }

    #[test]
    fn a_cut_block_is_corrupt_and_a_missing_trailer_is_not() {
        let file = gif_frames(64, 48, &[(5, [255, 0, 0]), (5, [0, 255, 0])]);
        let whole = &file[..file.len() - 1];
        assert!(inspect(write(whole).path(), &Limits::default(), &OUTPUTS).is_ok());
        for keep in [10, 30, file.len() / 2, file.len() - 5] {
            let result = inspect(write(&file[..keep]).path(), &Limits::default(), &OUTPUTS);
            assert!(
                matches!(result, Err(ImageError::Corrupt { .. })),
                "{keep} bytes"
            );
        }
    }
}
