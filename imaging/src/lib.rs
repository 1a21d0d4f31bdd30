//! Pictures in, pictures out: inspect, decode under limits, orient, convert to sRGB, shrink, encode.
//!
//! Everything here is synchronous, reads nothing but the one file it is given, knows no clock but the caller's deadline, and is called on a blocking thread.
//! The order of calls for one upload:
//!
//! 1. [`inspect`] walks the container, decodes no pixel, refuses bombs, and says what memory the rest needs ([`Inspected::working_bytes`]).
//! 2. [`decode_still`], or [`frames`] when [`Inspected::animated`], gives upright sRGB pixels that fit in [`MAX_WIDTH`] x [`MAX_HEIGHT`].
//! 3. [`perceptual_hash`], [`thumbhash()`] and [`placeholder_data_url`] describe them.
//! 4. [`encode_variants`], or [`AnimationEncoder`], makes what is published; nothing of the original file but its pixels goes in.
//!
//! # Choices, with their measurements
//!
//! - **JPEG is read by `jpeg-decoder`**, not libjpeg-turbo: it is memory-safe where strangers' bytes are parsed, needs no assembler to build, and answers a cut-off file with an error where libjpeg paints grey.
//!   A 12 Mpx photograph takes 0.16 s (libjpeg-turbo 0.06 s), 50 Mpx at a quarter 0.14 s in 14 MB.
//!   (Neither notices a cut that somebody closed with a forged end marker.)
//!   The price is memory: pictures are decoded at 1/1, 1/2, 1/4 or 1/8, so one between 2048 and 4095 pixels wide is held whole, and a progressive one also holds its coefficients; what does not fit in the budget is refused.
//! - **PNG is read row by row** and averaged in whole-number boxes as it comes, so 50 Mpx with alpha or 16 bits cost a few megabytes. Interlaced PNG, WebP and GIF are held whole.
//! - **WebP is written with little effort above 640 pixels**: the five files that are published of a 2048 x 1536 picture then take 0.15 s on two cores instead of 0.35 s.
//! - **Alpha is flattened on white before shrinking.** Blending and shrinking are both linear, so this equals shrinking premultiplied pixels and flattening then, with a quarter less to hold.
//!
//! # Invariants
//!
//! - No metadata of an upload can reach an output: encoders are handed pixels only.
//! - No picture's files take more bytes than [`Inspected::most_stored_bytes`]: what is larger loses quality, and an
//!   animation loses frames.
//! - No panic of a decoder leaves this module: it becomes [`ImageError::Corrupt`].

mod animated_webp;
mod animation;
mod animation_encoder;
mod canvas;
mod caps;
mod color;
mod contact_sheet;
mod decode;
mod decode_jpeg;
mod decode_png;
mod decode_webp;
mod encode;
mod error;
mod exif;
mod fingerprint;
mod gif_container;
mod inspect;
mod jpeg_container;
mod memory;
mod metadata;
mod orientation;
mod output;
mod placeholder;
mod png_container;
mod raster;
mod screening_image;
mod shrink;
mod sniff;
mod source;
mod variants;
mod vp8l;
mod webp_container;

#[cfg(test)]
mod samples;

pub use animation::{Frame, Frames, frames};
pub use animation_encoder::{AnimationEncoder, Pushed};
pub use contact_sheet::ContactSheet;
pub use decode::decode_still;
pub use error::ImageError;
pub use fingerprint::perceptual_hash;
pub use inspect::{Inspected, Limits, inspect};
pub use output::{Encoding, Output};
pub use placeholder::{placeholder_data_url, thumbhash};
pub use raster::Raster;
pub use screening_image::{ScreeningImage, screening_image};
pub use sniff::Format;
pub use variants::{Variant, encode_variants};

/// Widest picture we keep, in pixels, measured upright. The widest variant is this wide.
pub const MAX_WIDTH: u32 = 2048;

/// Tallest picture we keep, in pixels, measured upright.
pub const MAX_HEIGHT: u32 = 4096;

/// Most frames we keep of an animation, evenly spaced.
pub const MAX_KEPT_FRAMES: u32 = 60;

/// Smallest side of a picture worth showing, in pixels; also the least that may be left after shrinking.
pub const MIN_SIDE: u32 = 32;
