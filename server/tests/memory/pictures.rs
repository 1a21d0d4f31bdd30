//! Pictures of noise in every format and shape. Encoders make the largest files from noise.

use gif::{Frame as GifFrame, Repeat};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use webp::{AnimEncoder, AnimFrame, WebPConfig};

/// One case.
pub(crate) struct Picture {
    pub(crate) name: String,
    /// The first of these sizes that the server accepts is measured.
    pub(crate) sizes: Vec<(u32, u32)>,
    /// Makes the file at this width and height.
    pub(crate) make: Box<dyn Fn(u32, u32) -> Vec<u8>>,
}

/// Samples that are 0 or 255, in a sequence that looks random and is always the same. Nothing is
/// harder to encode.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut bytes = chance(length, seed);
    for byte in &mut bytes {
        *byte = if *byte & 1 == 0 { 0 } else { 255 };
    }
    bytes
}

/// Bytes that look random and are always the same.
fn chance(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// A colour profile of 3 MB that is obeyed: a sound one with much data behind it.
fn large_profile() -> Vec<u8> {
    let mut profile = moxcms::ColorProfile::new_display_p3()
        .encode()
        .expect("a profile");
    profile.resize(3_000_000, 0);
    profile
}

/// A profile for inks (ICC.1:2001, `lut16Type`) with as many grid points as fit in 3 MB.
fn profile_of_inks() -> Vec<u8> {
    const GRID: usize = 26;
    let mut lut = b"mft2\0\0\0\0".to_vec();
    lut.extend_from_slice(&[4, 3, GRID as u8, 0]);
    for number in 0..9 {
        let value: u32 = if number % 4 == 0 { 1 << 16 } else { 0 };
        lut.extend_from_slice(&value.to_be_bytes());
    }
    lut.extend_from_slice(&[0, 2, 0, 2]);
    lut.extend_from_slice(&[0, 0, 0xff, 0xff].repeat(4));
    lut.extend(chance(GRID.pow(4) * 3 * 2, 5));
    lut.extend_from_slice(&[0, 0, 0xff, 0xff].repeat(3));
    let mut profile = vec![0; 128];
    profile[8..12].copy_from_slice(&[2, 0x40, 0, 0]);
    profile[12..24].copy_from_slice(b"prtrCMYKLab ");
    profile[36..40].copy_from_slice(b"acsp");
    profile[68..80].copy_from_slice(&[0, 0, 0xf6, 0xd6, 0, 1, 0, 0, 0, 0, 0xd3, 0x2d]);
    profile.extend_from_slice(&1_u32.to_be_bytes());
    profile.extend_from_slice(b"A2B0");
    profile.extend_from_slice(&144_u32.to_be_bytes());
    profile.extend_from_slice(&(lut.len() as u32).to_be_bytes());
    profile.extend(lut);
    let length = profile.len() as u32;
    profile[..4].copy_from_slice(&length.to_be_bytes());
    profile
}

/// The name of a JPEG's components, their type, and the chroma subsampling.
pub(crate) type JpegColor = (&'static str, ColorType, SamplingFactor);

pub(crate) const JPEG_INKS: JpegColor = ("CMYK", ColorType::Cmyk, SamplingFactor::R_4_4_4);

pub(crate) const JPEG_COLORS: [JpegColor; 6] = [
    ("gray", ColorType::Luma, SamplingFactor::R_4_4_4),
    ("4:4:4", ColorType::Rgb, SamplingFactor::R_4_4_4),
    ("4:2:0", ColorType::Rgb, SamplingFactor::R_4_2_0),
    ("4:1:1", ColorType::Rgb, SamplingFactor::R_4_1_1),
    JPEG_INKS,
    ("YCCK 4:2:0", ColorType::CmykAsYcck, SamplingFactor::R_4_2_0),
];

#[derive(Clone, Copy)]
pub(crate) struct Jpeg {
    pub(crate) color: JpegColor,
    pub(crate) progressive: bool,
    pub(crate) profile: bool,
}

impl Default for Jpeg {
    /// The kind of JPEG that cameras write.
    fn default() -> Self {
        Self {
            color: JPEG_COLORS[2],
            progressive: false,
            profile: false,
        }
    }
}

impl Jpeg {
    pub(crate) fn with_profile(self) -> Self {
        Self {
            profile: true,
            ..self
        }
    }

    pub(crate) fn picture(self, sizes: &[(u32, u32)]) -> Picture {
        let Self {
            color: (name, color, sampling),
            progressive,
            profile,
        } = self;
        Picture {
            name: format!(
                "JPEG {name}{}{}",
                if progressive { " progressive" } else { "" },
                if profile { " with a profile" } else { "" }
            ),
            sizes: sizes.to_vec(),
            make: Box::new(move |width, height| {
                let channels = match color {
                    ColorType::Luma => 1,
                    ColorType::Rgb => 3,
                    _ => 4,
                };
                let samples = noise(width as usize * height as usize * channels, 3);
                let mut file = Vec::new();
                let mut encoder = Encoder::new(&mut file, 50);
                encoder.set_sampling_factor(sampling);
                encoder.set_progressive(progressive);
                if profile {
                    let profile = if channels == 4 {
                        profile_of_inks()
                    } else {
                        large_profile()
                    };
                    encoder.add_icc_profile(&profile).expect("it fits");
                }
                let side = |length| u16::try_from(length).expect("a JPEG's side");
                encoder
                    .encode(&samples, side(width), side(height), color)
                    .expect("encodes");
                file
            }),
        }
    }
}

/// The name of a PNG kind, its colour type, the bits of a sample, and whether it has a `tRNS`
/// chunk.
pub(crate) type PngKind = (&'static str, u8, u8, bool);

pub(crate) const PNG_KINDS: [PngKind; 16] = [
    ("gray 1", 0, 1, false),
    ("gray 2", 0, 2, false),
    ("gray 4", 0, 4, false),
    ("gray 8", 0, 8, false),
    ("gray 16", 0, 16, false),
    ("gray 8 with tRNS", 0, 8, true),
    ("RGB 8", 2, 8, false),
    ("RGB 16", 2, 16, false),
    ("RGB 8 with tRNS", 2, 8, true),
    ("palette 1", 3, 1, false),
    ("palette 8", 3, 8, false),
    ("palette 8 with tRNS", 3, 8, true),
    ("gray and alpha 8", 4, 8, false),
    ("gray and alpha 16", 4, 16, false),
    ("RGBA 8", 6, 8, false),
    ("RGBA 16", 6, 16, false),
];

#[derive(Clone, Copy)]
pub(crate) struct Png {
    pub(crate) kind: PngKind,
    pub(crate) interlaced: bool,
    pub(crate) profile: bool,
}

impl Default for Png {
    fn default() -> Self {
        Self {
            kind: PNG_KINDS[14],
            interlaced: false,
            profile: false,
        }
    }
}

impl Png {
    pub(crate) fn with_profile(self) -> Self {
        Self {
            profile: true,
            ..self
        }
    }

    pub(crate) fn picture(self, sizes: &[(u32, u32)]) -> Picture {
        Picture {
            name: format!(
                "PNG {}{}{}",
                self.kind.0,
                if self.interlaced { " interlaced" } else { "" },
                if self.profile { " with a profile" } else { "" }
            ),
            sizes: sizes.to_vec(),
            make: Box::new(move |width, height| {
                let mut file = self.head(width, height);
                chunk(&mut file, b"IDAT", &self.data(width, height, 1));
                chunk(&mut file, b"IEND", &[]);
                file
            }),
        }
    }

    /// The channels of its pixels after expansion.
    pub(crate) fn channels(self) -> u32 {
        let (_, color, _, transparent) = self.kind;
        [1, 0, 3, 3, 2, 0, 4][color as usize] + u32::from(transparent)
    }

    /// Everything before the pixels.
    fn head(self, width: u32, height: u32) -> Vec<u8> {
        let (_, color, depth, transparent) = self.kind;
        let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
        let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
        header.extend_from_slice(&[depth, color, 0, 0, u8::from(self.interlaced)]);
        chunk(&mut file, b"IHDR", &header);
        if self.profile {
            let mut body = b"p\0\0".to_vec();
            body.extend(deflated(large_profile()));
            chunk(&mut file, b"iCCP", &body);
        }
        if color == 3 {
            chunk(&mut file, b"PLTE", &chance(3 << depth, 8));
        }
        if transparent {
            let length = [2, 0, 6, 1 << depth.min(8)][color as usize];
            chunk(&mut file, b"tRNS", &vec![0; length]);
        }
        file
    }

    /// The pixels, with each pass of an interlaced picture on its own (W3C PNG, 8.1).
    fn data(self, width: u32, height: u32, seed: u64) -> Vec<u8> {
        const PASSES: [(u32, u32, u32, u32); 7] = [
            (0, 0, 8, 8),
            (4, 0, 8, 8),
            (0, 4, 4, 8),
            (2, 0, 4, 4),
            (0, 2, 2, 4),
            (1, 0, 2, 2),
            (0, 1, 1, 2),
        ];
        let whole = [(0, 0, 1, 1)];
        let passes: &[_] = if self.interlaced { &PASSES } else { &whole };
        let (_, color, depth, _) = self.kind;
        let bits = u32::from(depth) * [1, 0, 3, 1, 2, 0, 4][color as usize];
        let mut rows = Vec::new();
        for (left, top, across, down) in passes {
            let columns = width.saturating_sub(*left).div_ceil(*across);
            let length = (columns * bits).div_ceil(8) as usize;
            let tile = noise(length * 8, seed);
            for row in 0..height.saturating_sub(*top).div_ceil(*down) as usize {
                rows.push(0);
                rows.extend_from_slice(&tile[row % 8 * length..][..length]);
            }
        }
        deflated(rows)
    }
}

fn chunk(file: &mut Vec<u8>, kind: &[u8; 4], body: &[u8]) {
    file.extend_from_slice(&(body.len() as u32).to_be_bytes());
    let start = file.len();
    file.extend_from_slice(kind);
    file.extend_from_slice(body);
    let sum = crc(&file[start..]);
    file.extend_from_slice(&sum.to_be_bytes());
}

fn crc(bytes: &[u8]) -> u32 {
    let mut table = [0_u32; 256];
    for (number, entry) in (0_u32..).zip(table.iter_mut()) {
        *entry = (0..8).fold(number, |sum, _| {
            (sum >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(sum & 1))
        });
    }
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (sum >> 8) ^ table[((sum ^ u32::from(*byte)) & 0xff) as usize]
    })
}

/// A zlib stream of stored blocks (RFC 1950, RFC 1951).
fn deflated(bytes: Vec<u8>) -> Vec<u8> {
    let mut stream = vec![0x78, 0x01];
    let mut blocks = bytes.chunks(65_535).peekable();
    while let Some(block) = blocks.next() {
        let length = block.len() as u16;
        stream.push(u8::from(blocks.peek().is_none()));
        stream.extend_from_slice(&length.to_le_bytes());
        stream.extend_from_slice(&(!length).to_le_bytes());
        stream.extend_from_slice(block);
    }
    let (mut low, mut high) = (1_u32, 0_u32);
    // This many bytes can be added up before a sum overflows.
    for part in bytes.chunks(5552) {
        for byte in part {
            low += u32::from(*byte);
            high += low;
        }
        (low, high) = (low % 65_521, high % 65_521);
    }
    stream.extend_from_slice(&(high << 16 | low).to_be_bytes());
    stream
}

#[derive(Clone, Copy)]
pub(crate) struct WebP {
    pub(crate) lossless: bool,
    pub(crate) alpha: bool,
}

impl WebP {
    fn name(self) -> String {
        format!(
            "WebP {}{}",
            if self.lossless { "lossless" } else { "lossy" },
            if self.alpha { " with alpha" } else { "" }
        )
    }

    fn config(self) -> WebPConfig {
        let mut config = WebPConfig::new().expect("libwebp of this version");
        config.lossless = i32::from(self.lossless);
        config.quality = if self.lossless { 0.0 } else { 50.0 };
        config.method = 0;
        config
    }

    pub(crate) fn picture(self, sizes: &[(u32, u32)]) -> Picture {
        Picture {
            name: self.name(),
            sizes: sizes.to_vec(),
            make: Box::new(move |width, height| {
                let channels = if self.alpha { 4 } else { 3 };
                let pixels = noise(width as usize * height as usize * channels, 4);
                let encoder = if self.alpha {
                    webp::Encoder::from_rgba(&pixels, width, height)
                } else {
                    webp::Encoder::from_rgb(&pixels, width, height)
                };
                encoder
                    .encode_advanced(&self.config())
                    .expect("encodes")
                    .to_vec()
            }),
        }
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Gif {
    pub(crate) frames: u32,
}

/// Frames that are noise all over.
#[derive(Clone, Copy)]
pub(crate) enum Animation {
    Png { frames: u32, alpha: bool },
    Gif(Gif),
    WebP(WebP, u32),
}

impl Animation {
    pub(crate) fn picture(self, sizes: &[(u32, u32)]) -> Picture {
        let name = match self {
            Self::Png { frames, alpha } => {
                format!("APNG{} of {frames}", if alpha { " with alpha" } else { "" })
            }
            Self::Gif(Gif { frames }) => format!("GIF of {frames}"),
            Self::WebP(webp, frames) => format!("{} of {frames}", webp.name()),
        };
        Picture {
            name,
            sizes: sizes.to_vec(),
            make: Box::new(move |width, height| match self {
                Self::Png { frames, alpha } => apng(frames, alpha, width, height),
                Self::Gif(Gif { frames }) => gif_of(frames, width, height),
                Self::WebP(webp, frames) => webp_of(webp, frames, width, height),
            }),
        }
    }
}

fn apng(frames: u32, alpha: bool, width: u32, height: u32) -> Vec<u8> {
    let png = Png {
        kind: PNG_KINDS[if alpha { 14 } else { 10 }],
        ..Png::default()
    };
    let mut file = png.head(width, height);
    chunk(&mut file, b"acTL", &[frames.to_be_bytes(), [0; 4]].concat());
    let mut sequence = 0_u32;
    for number in 0..frames {
        let mut control = Vec::new();
        for value in [sequence, width, height, 0, 0] {
            control.extend_from_slice(&value.to_be_bytes());
        }
        // A tenth of a second; and the next frame needs this one's pixels as they were.
        control.extend_from_slice(&[0, 1, 0, 10, 2, 0]);
        chunk(&mut file, b"fcTL", &control);
        sequence += 1;
        let data = png.data(width, height, u64::from(number) + 1);
        if number == 0 {
            chunk(&mut file, b"IDAT", &data);
        } else {
            chunk(
                &mut file,
                b"fdAT",
                &[&sequence.to_be_bytes()[..], &data].concat(),
            );
            sequence += 1;
        }
    }
    chunk(&mut file, b"IEND", &[]);
    file
}

fn gif_of(frames: u32, width: u32, height: u32) -> Vec<u8> {
    let side = |length| u16::try_from(length).expect("a GIF's side");
    let mut file = Vec::new();
    let mut encoder = gif::Encoder::new(&mut file, side(width), side(height), &chance(768, 9))
        .expect("a palette of 256");
    encoder.set_repeat(Repeat::Infinite).expect("written");
    for number in 0..frames {
        let pixels = noise(width as usize * height as usize, u64::from(number) + 1);
        let mut frame = GifFrame::from_indexed_pixels(side(width), side(height), pixels, None);
        frame.delay = 5;
        frame.dispose = gif::DisposalMethod::Previous;
        encoder.write_frame(&frame).expect("written");
    }
    drop(encoder);
    file
}

fn webp_of(webp: WebP, frames: u32, width: u32, height: u32) -> Vec<u8> {
    let config = webp.config();
    let channels = if webp.alpha { 4 } else { 3 };
    let pictures: Vec<_> = (0..frames)
        .map(|number| {
            noise(
                width as usize * height as usize * channels,
                u64::from(number) + 1,
            )
        })
        .collect();
    let mut encoder = AnimEncoder::new(width, height, &config);
    for (pixels, time) in pictures.iter().zip((0..).step_by(50)) {
        encoder.add_frame(if webp.alpha {
            AnimFrame::from_rgba(pixels, width, height, time)
        } else {
            AnimFrame::from_rgb(pixels, width, height, time)
        });
    }
    encoder.encode().to_vec()
}
