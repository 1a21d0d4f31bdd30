//! Walks the blocks of a GIF file (the `GIF89a` specification), without decompressing.

use super::ImageError;
use super::canvas::{Disposal, Rect};
use super::container::{Container, Storage, StoredFrame, browser_delay, plays};
use super::metadata::Metadata;
use super::source::Source;

/// What is known so far.
struct Walk {
    max_frames: u32,
    metadata: Metadata,
    frames: Vec<StoredFrame>,
    durations_ms: Vec<u32>,
    frame_pixels: u64,
    largest_frame: u64,
    /// What the next frame is told by the block before it.
    control: Control,
    /// How often the frames are repeated after the first time; 0 is for ever.
    repeats: Option<u16>,
}

/// What a graphic control block says.
#[derive(Default)]
struct Control {
    delay_ms: u32,
    flags: u8,
    transparent: u8,
}

/// Reads the header of every block and counts frames. The walk fails at more than `max_frames`
/// frames.
///
/// Once there is a whole frame, the walk ends where the file ends or makes no sense any more: many
/// writers forget the trailer, and browsers play what is whole.
pub(super) fn walk(source: &mut Source, max_frames: u32) -> Result<Container, ImageError> {
    source.skip(6)?;
    let mut width = u32::from(u16::from_le_bytes(source.array()?));
    let mut height = u32::from(u16::from_le_bytes(source.array()?));
    let [flags, _, _] = source.array()?;
    skip_color_table(source, flags)?;
    let mut walk = Walk {
        max_frames,
        metadata: Metadata::default(),
        frames: Vec::new(),
        durations_ms: Vec::new(),
        frame_pixels: 0,
        largest_frame: 0,
        control: Control::default(),
        repeats: None,
    };
    while source.remaining() > 0 {
        match walk.block(source) {
            Ok(true) => {}
            Ok(false) => break,
            Err(ImageError::Corrupt { .. }) if !walk.frames.is_empty() => {
                walk.metadata.found("trailing-data");
                break;
            }
            Err(error) => return Err(error),
        }
    }
    if source.remaining() > 0 {
        walk.metadata.found("trailing-data");
    }
    let first = walk
        .frames
        .first()
        .ok_or_else(|| ImageError::corrupt("no frame"))?;
    // Browsers enlarge the screen for the first frame, and cut off what the others have outside.
    width = width.max(first.rect.left + first.rect.width);
    height = height.max(first.rect.top + first.rect.height);
    Ok(Container {
        frames: walk.frames.len() as u32,
        durations_ms: walk.durations_ms,
        plays: match walk.repeats {
            None => plays(1),
            Some(0) => plays(0),
            Some(repeats) => plays(u32::from(repeats) + 1),
        },
        stored_frames: walk.frames,
        frame_pixels: walk.frame_pixels,
        largest_frame: walk.largest_frame,
        ..Container::still((width, height), Storage::Gif, walk.metadata)
    })
}

impl Walk {
    /// Reads the next block, and says whether another one may follow.
    fn block(&mut self, source: &mut Source) -> Result<bool, ImageError> {
        match source.byte()? {
            0x3b => return Ok(false),
            0x21 => self.extension(source)?,
            0x2c => self.frame(source)?,
            _ => return Err(ImageError::corrupt("an unknown block")),
        }
        Ok(true)
    }

    fn extension(&mut self, source: &mut Source) -> Result<(), ImageError> {
        match source.byte()? {
            0xf9 => {
                let [size, flags, low, high, transparent] = source.array()?;
                if size != 4 {
                    return Err(ImageError::corrupt("a strange graphic control block"));
                }
                self.control = Control {
                    delay_ms: u32::from(u16::from_le_bytes([low, high])) * 10,
                    flags,
                    transparent,
                };
            }
            0xff => {
                let size = source.byte()?;
                let name = source.bytes(size.into())?;
                if matches!(name.get(..8), Some(b"NETSCAPE" | b"ANIMEXTS")) {
                    return self.looping(source);
                }
                self.metadata.found(match name.get(..8) {
                    Some(b"XMP Data") => "xmp",
                    Some(b"ICCRGBG1") => "icc",
                    _ => "app-data",
                });
            }
            0xfe => self.metadata.found("comment"),
            0x01 => self.metadata.found("text"),
            _ => self.metadata.found("app-data"),
        }
        skip_sub_blocks(source)
    }

    /// Reads a looping block. Its parts say how often to repeat (1) and how much to buffer (2); it
    /// is not for anything else.
    fn looping(&mut self, source: &mut Source) -> Result<(), ImageError> {
        loop {
            let size = source.byte()?;
            if size == 0 {
                return Ok(());
            }
            let kind = source.byte()?;
            match (size, kind) {
                (3, 1) => self.repeats = Some(u16::from_le_bytes(source.array()?)),
                (5, 2) => source.skip(4)?,
                _ => {
                    self.metadata.found("app-data");
                    source.skip(u64::from(size) - 1)?;
                }
            }
        }
    }

    fn frame(&mut self, source: &mut Source) -> Result<(), ImageError> {
        if self.frames.len() >= self.max_frames as usize {
            let limit = self.max_frames;
            return Err(ImageError::TooManyFrames { limit });
        }
        let start = source.position() - 1;
        let mut number = || Ok::<_, ImageError>(u32::from(u16::from_le_bytes(source.array()?)));
        let rect = Rect {
            left: number()?,
            top: number()?,
            width: number()?,
            height: number()?,
        };
        let flags = source.byte()?;
        skip_color_table(source, flags)?;
        source.skip(1)?;
        skip_sub_blocks(source)?;
        let control = std::mem::take(&mut self.control);
        self.frames.push(StoredFrame {
            rect,
            disposal: match control.flags >> 2 & 7 {
                2 => Disposal::Clear,
                // The draft of the specification gave the same meaning the number 4.
                3 | 4 => Disposal::Restore,
                _ => Disposal::Keep,
            },
            blends: true,
            has_plane: false,
            transparent: (control.flags & 1 == 1).then_some(control.transparent),
            bytes: start..source.position(),
        });
        self.durations_ms.push(browser_delay(control.delay_ms));
        let pixels = u64::from(rect.width) * u64::from(rect.height);
        self.frame_pixels += pixels;
        self.largest_frame = self.largest_frame.max(pixels);
        Ok(())
    }
}

fn skip_color_table(source: &mut Source, flags: u8) -> Result<(), ImageError> {
    if flags & 0x80 == 0 {
        return Ok(());
    }
    source.skip(3 << ((flags & 7) + 1))
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
    use std::num::NonZeroU16;

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
    fn what_is_whole_is_played_whatever_follows() {
        let file = gif_frames(64, 48, &[(5, [255, 0, 0]), (5, [0, 255, 0])]);
        let (first, second) = file.split_at(second_frame(&file));
        let look = |file: &[u8]| inspect(write(file).path(), &Limits::default(), &OUTPUTS);
        for (name, file, frames) in [
            ("no trailer", file[..file.len() - 1].to_vec(), 2),
            ("a cut frame", file[..file.len() - 5].to_vec(), 1),
            ("a zero between", [first, &[0], second].concat(), 1),
            (
                "garbage behind",
                [&file[..file.len() - 1], b"cat"].concat(),
                2,
            ),
        ] {
            assert_eq!(look(&file).expect(name).frames, frames, "{name}");
        }
        for keep in [10, 30, first.len() - 9] {
            let result = look(&file[..keep]);
            assert!(
                matches!(result, Err(ImageError::Corrupt { .. })),
                "{keep} bytes"
            );
        }
    }

    /// Where the second frame's blocks begin.
    fn second_frame(file: &[u8]) -> usize {
        let controls: Vec<_> = (0..file.len())
            .filter(|at| file[*at..].starts_with(b"\x21\xf9\x04"))
            .collect();
        controls[1]
    }

    #[test]
    fn a_looping_block_says_how_often_to_repeat() {
        let file = gif_frames(64, 48, &[(5, [255, 0, 0]), (5, [0, 255, 0])]);
        let at = file
            .windows(11)
            .position(|name| name == b"NETSCAPE2.0")
            .expect("a looping block")
            + 13;
        for (repeats, plays) in [
            (0, None),
            (1, Some(2)),
            (4, Some(5)),
            (0xffff, Some(0xffff)),
        ] {
            let mut file = file.clone();
            file[at..at + 2].copy_from_slice(&u16::to_le_bytes(repeats));
            let found = inspect(write(&file).path(), &Limits::default(), &OUTPUTS);
            assert_eq!(found.expect("good").plays.map(NonZeroU16::get), plays);
        }
        let once = [&file[..at - 16], &file[at + 3..]].concat();
        let found = inspect(write(&once).path(), &Limits::default(), &OUTPUTS);
        assert_eq!(found.expect("good").plays, NonZeroU16::new(1));
    }

    #[test]
    fn the_first_frame_enlarges_the_screen() {
        let file = gif_frames(64, 48, &[(5, [255, 0, 0]), (5, [0, 255, 0])]);
        for (screen, found) in [([0, 0], (64, 48)), ([40, 90], (64, 90))] {
            let mut file = file.clone();
            file[6] = screen[0];
            file[8] = screen[1];
            let inspected = inspect(write(&file).path(), &Limits::default(), &OUTPUTS);
            let inspected = inspected.expect("a good picture");
            assert_eq!((inspected.width, inspected.height), found);
        }
    }
}
