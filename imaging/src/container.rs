//! What a walk through a file of any format finds, before anything is decoded.

use std::num::NonZeroU16;
use std::ops::Range;

use super::canvas::{Disposal, Rect};
use super::metadata::Metadata;

/// How the pixels are stored, as far as memory depends on it.
#[derive(Debug)]
pub(super) enum Storage {
    /// The sampling factors (across, down) of each component.
    Jpeg {
        sampling: Vec<(u8, u8)>,
        progressive: bool,
    },
    /// The number of channels counts after palette and transparency are expanded. `composed` means
    /// that what is shown are frames, be it only one, and not the picture itself.
    Png {
        channels: u8,
        bit_depth: u8,
        interlaced: bool,
        composed: bool,
    },
    /// `in_frames` means that the bitstreams are frames of an animation, `by_rows` that the pixels
    /// of a still are made and shrunk row by row.
    WebP {
        lossless: bool,
        alpha: bool,
        in_frames: bool,
        by_rows: bool,
    },
    /// The pixels are always palette indices.
    Gif,
}

impl Storage {
    /// What the sender of a picture that takes too much can do beside making it smaller, as the end
    /// of a sentence. Other ways to store the same pixels take less.
    pub(super) fn remedy(&self) -> &'static str {
        match self {
            Self::Jpeg {
                progressive: true, ..
            } => ", or save it as a JPEG that is not progressive",
            Self::Png {
                interlaced: true, ..
            } => ", or save it as a PNG that is not interlaced",
            Self::WebP {
                in_frames: false, ..
            } => ", or save it as a JPEG",
            Self::Jpeg { .. } | Self::Png { .. } | Self::WebP { .. } | Self::Gif => "",
        }
    }
}

/// What a walk through a container found.
pub(super) struct Container {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) bit_depth: u8,
    pub(super) progressive: bool,
    pub(super) interlaced: bool,
    pub(super) frames: u32,
    /// How long each frame is on screen, in milliseconds.
    pub(super) durations_ms: Vec<u32>,
    /// The pixels of all frames together, as their headers say.
    pub(super) frame_pixels: u64,
    /// The pixels of the largest frame.
    pub(super) largest_frame: u64,
    /// What the decoder holds beside the pixels while it decodes one frame, in bytes, as far as it
    /// depends on the frame's data.
    pub(super) side_bytes: u64,
    /// The sum of these bytes over all frames, as a measure of time.
    pub(super) all_side_bytes: u64,
    /// True where decoding would take too long, whatever the size.
    pub(super) too_much_work: bool,
    /// How often the frames are played; `None` is for ever.
    pub(super) plays: Option<NonZeroU16>,
    /// Where the frames of a GIF or an animated WebP are; empty for other files.
    pub(super) stored_frames: Vec<StoredFrame>,
    /// Where the lossy bitstream of a WebP still without alpha is.
    pub(super) lossy: Option<Range<u64>>,
    /// Where the bytes for the decoder end, if that is before the end of the walk.
    pub(super) end: Option<u64>,
    /// What the file lacks at its end, and a decoder needs; empty for most files.
    pub(super) lacks: &'static [u8],
    /// True for a JPEG whose restart markers are not those that its header announces.
    pub(super) restarts_lost: bool,
    pub(super) storage: Storage,
    pub(super) metadata: Metadata,
}

/// One frame of a GIF or WebP, as its header describes it.
#[derive(Debug, Clone)]
pub(super) struct StoredFrame {
    /// Which part of the canvas it covers.
    pub(super) rect: Rect,
    pub(super) disposal: Disposal,
    /// True where it is laid over the canvas. Otherwise it replaces what is there.
    pub(super) blends: bool,
    /// True where an alpha plane precedes a lossy bitstream, in a WebP.
    pub(super) has_plane: bool,
    /// The index that leaves a pixel as it is, in a GIF.
    pub(super) transparent: Option<u8>,
    /// Which bytes of the file a decoder needs for it.
    pub(super) bytes: Range<u64>,
}

/// The number of plays, where a file says `times` and 0 is for ever. More than a WebP can say
/// becomes the most that it can.
pub(super) fn plays(times: u32) -> Option<NonZeroU16> {
    NonZeroU16::new(u16::try_from(times).unwrap_or(u16::MAX))
}

impl Container {
    /// A still of this size, 8 bits deep, that takes nothing beside its pixels. The walker says
    /// where the file is something else.
    pub(super) fn still((width, height): (u32, u32), storage: Storage, metadata: Metadata) -> Self {
        let pixels = u64::from(width) * u64::from(height);
        Self {
            width,
            height,
            bit_depth: 8,
            progressive: false,
            interlaced: false,
            frames: 1,
            durations_ms: vec![0],
            frame_pixels: pixels,
            largest_frame: pixels,
            side_bytes: 0,
            all_side_bytes: 0,
            too_much_work: false,
            plays: NonZeroU16::new(1),
            stored_frames: Vec::new(),
            lossy: None,
            end: None,
            lacks: &[],
            restarts_lost: false,
            storage,
            metadata,
        }
    }
}

/// For how many milliseconds browsers show a frame that asks for `ms`. A frame that asks for 10 or
/// less gets 100 (in Blink, `WebKit` and Gecko).
pub(super) fn browser_delay(ms: u32) -> u32 {
    if ms <= 10 { 100 } else { ms }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quick_delays_follow_the_browsers() {
        for (asked, shown) in [(0, 100), (10, 100), (20, 20), (30, 30), (1000, 1000)] {
            assert_eq!(browser_delay(asked), shown);
        }
    }
}
