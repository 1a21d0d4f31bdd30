//! Pictures in, pictures out: this crate inspects uploads, decodes them under limits, turns them
//! upright, converts them to sRGB, shrinks them and encodes what is published.
//!
//! Everything here is synchronous and is called on a blocking thread. It reads nothing but the one
//! file it is given, and of time it knows only the caller's deadline. The order of calls for one
//! upload:
//!
//! 1. [`inspect()`] walks the container without decoding a pixel, refuses bombs, and says how much
//!    memory the rest needs ([`Inspected::working_bytes`]).
//! 2. [`decode_still`], or [`frames`] when [`Inspected::animated`], gives upright sRGB pixels that
//!    fit in [`MAX_WIDTH`] x [`MAX_HEIGHT`].
//! 3. [`perceptual_hash`], [`thumbhash()`] and [`placeholder_data_url`] describe them.
//! 4. [`encode_variants`] with an [`Aim`], or [`AnimationEncoder`], makes what is published. Of the
//!    original file only its pixels go in.
//!
//! # Choices, with their measurements
//!
//! - **JPEG is read by `jpeg-decoder`**, not libjpeg-turbo. It is memory-safe where it parses bytes
//!   from strangers, needs no assembler to build, and reports a file that is cut off as an error
//!   where libjpeg paints grey. (Neither notices a cut that somebody closed with a forged end
//!   marker.) A 12 Mpx photograph takes 0.16 s (0.06 s with libjpeg-turbo), and 50 Mpx at a quarter
//!   take 0.14 s in 14 MB. The price is memory: it decodes at 1/1, 1/2, 1/4 or 1/8, so a picture
//!   between 2048 and 4095 pixels wide is held whole, and a progressive one also holds its
//!   coefficients. What does not fit in the budget is refused.
//! - **PNG is read row by row** and averaged in boxes of whole pixels as it comes, so 50 Mpx with
//!   alpha or 16 bits cost a few megabytes. Interlaced PNG, WebP and GIF are held whole.
//! - **Each picture gets its own quality**, found by a trial (`aim`), so that all look as good.
//! - **Large views of stills are AVIF**, by `rav1e` at its least effort: 22 % smaller than WebP of
//!   the same score at 1024 pixels, 26 % at 1440, and never larger in 21 photographs. It needs some
//!   0.3 s of a processor for each megapixel, so no file has more than 2.2. Narrow files are WebP,
//!   where AVIF gains nothing.
//! - **JPEG is written by `mozjpeg-rs`**, with files of 0.57 times the bytes that plain progressive
//!   ones took at quality 82.
//! - **Alpha is flattened on white before shrinking.** Blending and shrinking are both linear, so
//!   the result equals that of shrinking premultiplied pixels and flattening them afterwards, with
//!   a quarter less to hold.
//!
//! # Invariants
//!
//! - No metadata of an upload can reach an output, because encoders are given pixels only.
//! - The files of a picture never take more bytes than [`Inspected::most_stored_bytes`]. A file
//!   that would be larger loses quality, and an animation also loses frames.
//! - No panic of a decoder leaves this crate: it becomes [`ImageError::Corrupt`].

mod aim;
mod animated_webp;
mod animation;
mod animation_encoder;
mod avif;
mod canvas;
mod caps;
mod color;
mod contact_sheet;
mod container;
mod decode;
mod decode_jpeg;
mod decode_png;
mod decode_webp;
mod decoded;
mod encode;
mod error;
mod exif;
mod fingerprint;
mod gif_container;
mod hdr;
mod inspect;
mod jpeg_container;
mod jpeg_restarts;
mod linear;
mod memory;
mod metadata;
mod orientation;
mod output;
mod placeholder;
mod png_container;
mod raster;
mod screening_image;
mod shrink;
mod sizes;
mod sniff;
mod source;
mod variants;
mod vp8l;
mod webp_container;

#[cfg(test)]
mod samples;

pub use aim::Aim;
pub use animation::{Frame, Frames, frames};
pub use animation_encoder::{AnimationEncoder, Pushed};
pub use caps::stored_bytes;
pub use contact_sheet::ContactSheet;
pub use decode::decode_still;
pub use error::ImageError;
pub use fingerprint::perceptual_hash;
pub use inspect::{Inspected, Limits, inspect};
pub use output::{Encoding, Output, Subject};
pub use placeholder::{placeholder_data_url, thumbhash};
pub use raster::Raster;
pub use screening_image::{ScreeningImage, screening_image};
pub use shrink::{stretch, to_size};
pub use sniff::Format;
pub use variants::{Variant, encode_variants};

/// The greatest width that is kept of a picture, in pixels, measured upright. The widest variant
/// has it.
pub const MAX_WIDTH: u32 = 2048;

/// The greatest height that is kept of a picture, in pixels, measured upright.
pub const MAX_HEIGHT: u32 = 4096;

/// The most frames that are kept of an animation. They are spaced evenly.
pub const MAX_KEPT_FRAMES: u32 = 60;

/// The shortest side of a picture worth showing, in pixels. It also bounds what shrinking may
/// leave.
pub const MIN_SIDE: u32 = 32;
