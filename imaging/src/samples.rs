//! Pictures made in code, for the tests of this crate.

use std::io::Write as _;

use tempfile::NamedTempFile;

use super::{Encoding, Output, Raster, Subject, encode};

/// What the tests have made of their pictures.
pub(super) const OUTPUTS: [Output; 6] = [
    output(Encoding::WebP, 320),
    output(Encoding::WebP, 512),
    output(Encoding::WebP, 768),
    output(Encoding::WebP, 2048),
    output(Encoding::Avif, 1120),
    output(Encoding::Jpeg, 1280),
];

const fn output(encoding: Encoding, most_width: u32) -> Output {
    Output {
        encoding,
        most_width,
        subject: Subject::All,
    }
}

/// A file with these bytes, which is deleted when dropped.
pub(super) fn write(bytes: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("space on the disk");
    file
}

pub(super) fn solid(width: u32, height: u32, color: [u8; 3]) -> Raster {
    let rgb = color.repeat(width as usize * height as usize);
    Raster { width, height, rgb }
}

/// Noise in which every sample is 0 or 255 at random. No input is worse for an encoder.
pub(super) fn noise(width: u32, height: u32, seed: u64) -> Raster {
    let mut noise = Noise(seed);
    let rgb = (0..width * height * 3)
        .map(|_| if noise.next() & 256 == 0 { 0 } else { 255 })
        .collect();
    Raster { width, height, rgb }
}

/// A slope in each channel with a little noise, so that every part of a file matters.
pub(super) fn gradient(width: u32, height: u32) -> Raster {
    let mut noise = Noise(1);
    let mut rgb = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let grain = (noise.next() % 8) as u32;
            rgb.push((x * 240 / width + grain) as u8);
            rgb.push((y * 240 / height + grain) as u8);
            rgb.push(((x + y) * 240 / (width + height) + grain) as u8);
        }
    }
    Raster { width, height, rgb }
}

/// A few soft bright and dark spots.
pub(super) fn blobs(width: u32, height: u32, seed: u64) -> Raster {
    let mut noise = Noise(seed.wrapping_mul(977) + 5);
    let spots: Vec<_> = (0..12)
        .map(|_| {
            let mut unit = || (noise.next() % 1000) as f64 / 1000.0;
            (unit(), unit(), 0.02 + 0.1 * unit(), unit() - 0.5)
        })
        .collect();
    let mut rgb = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let (u, v) = (
                f64::from(x) / f64::from(width),
                f64::from(y) / f64::from(height),
            );
            let light: f64 = spots
                .iter()
                .map(|(cx, cy, size, weight)| {
                    weight * (-((u - cx).powi(2) + (v - cy).powi(2)) / size).exp()
                })
                .sum();
            let value = (128.0 + 90.0 * light).clamp(0.0, 255.0) as u8;
            rgb.extend_from_slice(&[value, value, 255 - value]);
        }
    }
    Raster { width, height, rgb }
}

/// A small linear congruential generator, which gives the same numbers on every run.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }
}

pub(super) fn jpeg(width: u32, height: u32) -> Vec<u8> {
    let raster = solid(width, height, [90, 120, 150]);
    let bytes = jpeg_of(&raster, jpeg_encoder::ColorType::Rgb, false);
    assert!(bytes.starts_with(b"\xff\xd8\xff"));
    bytes
}

pub(super) fn jpeg_of(
    raster: &Raster,
    color: jpeg_encoder::ColorType,
    progressive: bool,
) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut file, 92);
    encoder.set_progressive(progressive);
    encoder
        .encode(
            &raster.rgb,
            raster.width as u16,
            raster.height as u16,
            color,
        )
        .expect("encodes");
    file
}

/// A picture of one mixture of inks.
pub(super) fn jpeg_of_inks(
    width: u32,
    height: u32,
    inks: [u8; 4],
    color: jpeg_encoder::ColorType,
) -> Vec<u8> {
    let raster = Raster {
        width,
        height,
        rgb: inks.repeat(width as usize * height as usize),
    };
    jpeg_of(&raster, color, false)
}

/// A JPEG whose header claims another size.
pub(super) fn jpeg_with_size(width: u16, height: u16) -> Vec<u8> {
    let mut file = jpeg(64, 48);
    let at = file
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0])
        .expect("a baseline frame header");
    file[at + 5..at + 7].copy_from_slice(&height.to_be_bytes());
    file[at + 7..at + 9].copy_from_slice(&width.to_be_bytes());
    file
}

pub(super) fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xff, marker];
    bytes.extend_from_slice(&(body.len() as u16 + 2).to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

pub(super) fn insert_after_soi(file: &[u8], segment: &[u8]) -> Vec<u8> {
    [&file[..2], segment, &file[2..]].concat()
}

/// A TIFF header with an orientation and, if wanted, a GPS directory that holds a hemisphere.
pub(super) fn exif_block(orientation: u16, position: bool) -> Vec<u8> {
    let mut block = b"II*\0\x08\0\0\0".to_vec();
    block.extend_from_slice(&(1 + u16::from(position)).to_le_bytes());
    block.extend_from_slice(b"\x12\x01\x03\0\x01\0\0\0");
    block.extend_from_slice(&u32::from(orientation).to_le_bytes());
    if position {
        let at = block.len() as u32 + 12 + 4;
        block.extend_from_slice(b"\x25\x88\x04\0\x01\0\0\0");
        block.extend_from_slice(&at.to_le_bytes());
        block.extend_from_slice(&[0; 4]);
        block.extend_from_slice(b"\x01\0\x01\0\x02\0\x02\0\0\0N\0\0\0");
    }
    block.extend_from_slice(&[0; 4]);
    block
}

pub(super) fn png_rgb(width: u32, height: u32) -> Vec<u8> {
    let raster = gradient(width, height);
    png_of(width, height, png::ColorType::Rgb, &raster.rgb)
}

pub(super) fn png_of(width: u32, height: u32, color: png::ColorType, samples: &[u8]) -> Vec<u8> {
    png_with(width, height, color, png::BitDepth::Eight, samples, |_| {})
}

pub(super) fn png_with(
    width: u32,
    height: u32,
    color: png::ColorType,
    depth: png::BitDepth,
    samples: &[u8],
    set: impl FnOnce(&mut png::Encoder<'_, &mut Vec<u8>>),
) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(color);
    encoder.set_depth(depth);
    set(&mut encoder);
    let mut writer = encoder.write_header().expect("a header");
    writer.write_image_data(samples).expect("samples fit");
    writer.finish().expect("finishes");
    file
}

/// A PNG of a few bytes that claims any size.
pub(super) fn png_header_only(width: u32, height: u32) -> Vec<u8> {
    let mut header = Vec::new();
    header.extend_from_slice(&width.to_be_bytes());
    header.extend_from_slice(&height.to_be_bytes());
    header.extend_from_slice(&[8, 6, 0, 0, 1]);
    [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        chunk(b"IHDR", &header),
        chunk(b"IDAT", &deflated(&[0; 10])),
        chunk(b"IEND", b""),
    ]
    .concat()
}

pub(super) fn chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut bytes = (body.len() as u32).to_be_bytes().to_vec();
    bytes.extend_from_slice(kind);
    bytes.extend_from_slice(body);
    let crc = bytes[4..].iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 {
                crc >> 1 ^ 0xedb8_8320
            } else {
                crc >> 1
            }
        })
    });
    bytes.extend_from_slice(&(!crc).to_be_bytes());
    bytes
}

pub(super) fn insert_after_ihdr(file: &[u8], chunk: &[u8]) -> Vec<u8> {
    [&file[..33], chunk, &file[33..]].concat()
}

/// A zlib stream of stored blocks.
pub(super) fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut stream = vec![0x78, 0x01];
    let length = bytes.len() as u16;
    stream.push(1);
    stream.extend_from_slice(&length.to_le_bytes());
    stream.extend_from_slice(&(!length).to_le_bytes());
    stream.extend_from_slice(bytes);
    let (a, b) = bytes.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (a + b) % 65_521)
    });
    stream.extend_from_slice(&(b << 16 | a).to_be_bytes());
    stream
}

pub(super) fn p3_profile() -> Vec<u8> {
    moxcms::ColorProfile::new_display_p3()
        .encode()
        .expect("a profile")
}

/// A GIF of single-coloured frames, with delays in hundredths of a second.
pub(super) fn gif_frames(width: u16, height: u16, frames: &[(u16, [u8; 3])]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = gif::Encoder::new(&mut file, width, height, &[]).expect("a header");
    encoder.set_repeat(gif::Repeat::Infinite).expect("a block");
    for (delay, color) in frames {
        let frame = gif::Frame {
            delay: *delay,
            width,
            height,
            palette: Some(color.to_vec()),
            buffer: vec![0; usize::from(width) * usize::from(height)].into(),
            ..gif::Frame::default()
        };
        encoder.write_frame(&frame).expect("encodes");
    }
    drop(encoder);
    file
}

/// An APNG of single-coloured frames, with delays in hundredths of a second.
pub(super) fn apng_frames(width: u32, height: u32, frames: &[(u16, [u8; 3])]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder
        .set_animated(frames.len() as u32, 0)
        .expect("frames");
    let mut writer = encoder.write_header().expect("a header");
    for (delay, color) in frames {
        writer.set_frame_delay(*delay, 100).expect("a delay");
        writer
            .write_image_data(&solid(width, height, *color).rgb)
            .expect("encodes");
    }
    writer.finish().expect("finishes");
    file
}

pub(super) fn webp_still(raster: &Raster, quality: f32) -> Vec<u8> {
    encode::webp(raster, quality, 2).expect("encodes").to_vec()
}

pub(super) fn webp_rgba(width: u32, height: u32, rgba: &[u8]) -> Vec<u8> {
    webp::Encoder::from_rgba(rgba, width, height)
        .encode_lossless()
        .to_vec()
}

/// An extended WebP file with a profile, EXIF (orientation 6 and a position) and XMP.
pub(super) fn webp_with_metadata(raster: &Raster) -> Vec<u8> {
    let still = webp_still(raster, 80.0);
    let mut extended = vec![0x20 | 0x08 | 0x04, 0, 0, 0];
    extended.extend_from_slice(&(raster.width - 1).to_le_bytes()[..3]);
    extended.extend_from_slice(&(raster.height - 1).to_le_bytes()[..3]);
    let chunks = [
        b"WEBP".to_vec(),
        riff_chunk(b"VP8X", &extended),
        riff_chunk(b"ICCP", &p3_profile()),
        still[12..].to_vec(),
        riff_chunk(b"EXIF", &exif_block(6, true)),
        riff_chunk(b"XMP ", b"<x:xmpmeta/>"),
    ]
    .concat();
    riff_chunk(b"RIFF", &chunks)
}

/// One chunk of a RIFF file, padded to an even length.
pub(super) fn riff_chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut bytes = kind.to_vec();
    bytes.extend((body.len() as u32).to_le_bytes());
    bytes.extend_from_slice(body);
    if body.len() % 2 == 1 {
        bytes.push(0);
    }
    bytes
}

/// A WebP file of these chunks.
pub(super) fn webp_of(chunks: &[Vec<u8>]) -> Vec<u8> {
    let body = chunks.concat();
    let mut file = b"RIFF".to_vec();
    file.extend((body.len() as u32 + 4).to_le_bytes());
    file.extend_from_slice(b"WEBP");
    file.extend(body);
    file
}

/// The chunk that begins an extended WebP file.
pub(super) fn vp8x(animated: bool, width: u32, height: u32) -> Vec<u8> {
    let mut body = vec![if animated { 0x12 } else { 0x10 }, 0, 0, 0];
    body.extend_from_slice(&(width - 1).to_le_bytes()[..3]);
    body.extend_from_slice(&(height - 1).to_le_bytes()[..3]);
    riff_chunk(b"VP8X", &body)
}

/// A frame that covers its canvas.
pub(super) fn anmf(width: u32, height: u32, chunks: &[Vec<u8>]) -> Vec<u8> {
    let mut body = vec![0; 6];
    for number in [width - 1, height - 1, 50] {
        body.extend_from_slice(&number.to_le_bytes()[..3]);
    }
    body.push(0);
    body.extend(chunks.concat());
    riff_chunk(b"ANMF", &body)
}

/// A lossless stream of black pixels whose entropy image names group `groups - 1`, and which has as
/// many groups of codes. `costly` groups have five tables of 4 kB each. `head` makes it a stream of
/// its own.
pub(super) fn vp8l_groups(
    width: u32,
    height: u32,
    groups: u32,
    costly: bool,
    head: bool,
) -> Vec<u8> {
    let mut bits = BitWriter::default();
    if head {
        bits.put(0x2f, 8);
        bits.put(width - 1, 14);
        bits.put(height - 1, 14);
        bits.put(0, 4);
    }
    // No transform and no colour cache. The entropy image has blocks of 4 x 4, no cache, and one
    // colour.
    bits.put(0, 2);
    bits.put(1, 1);
    bits.put(0, 3);
    bits.put(0, 1);
    for symbol in [(groups - 1) & 255, (groups - 1) >> 8, 0, 0, 0] {
        bits.put_single(symbol);
    }
    for _ in 0..groups * 5 {
        if costly {
            bits.put_deep_code();
        } else {
            bits.put_single(0);
        }
    }
    // Each pixel has four channels, and each of these has the code word 0.
    bits.finish((width * height / 2 + 8) as usize)
}

/// Writes bits, the lowest first.
#[derive(Default)]
struct BitWriter {
    bytes: Vec<u8>,
    used: u32,
}

impl BitWriter {
    fn put(&mut self, value: u32, count: u32) {
        for number in 0..count {
            if self.used == 0 {
                self.bytes.push(0);
            }
            let bit = ((value >> number) & 1) as u8;
            if let Some(last) = self.bytes.last_mut() {
                *last |= bit << self.used;
            }
            self.used = (self.used + 1) % 8;
        }
    }

    /// Writes a code of one symbol.
    fn put_single(&mut self, symbol: u32) {
        self.put(0b101, 3);
        self.put(symbol, 8);
    }

    /// Writes a code of eleven symbols, whose lengths are 1, 2, … 9, 10, 10.
    fn put_deep_code(&mut self) {
        self.put(0, 1);
        // Of the nineteen symbols for lengths, all but 13, 14 and 15 have words of four bits, in
        // order.
        self.put(19 - 4, 4);
        for symbol in [
            17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
        ] {
            self.put(if matches!(symbol, 13..=15) { 0 } else { 4 }, 3);
        }
        // Eleven lengths follow.
        self.put(0b11, 2);
        self.put(0, 2);
        self.put(11 - 2, 4);
        for length in (1..=10_u32).chain([10]) {
            self.put(length.reverse_bits() >> 28, 4);
        }
    }

    fn finish(mut self, zeros: usize) -> Vec<u8> {
        self.bytes.resize(self.bytes.len() + zeros, 0);
        self.bytes
    }
}

/// A JPEG without data. Every scan ends at once, and a decoder goes on with zeros, each of which is
/// a word of its codes.
pub(super) fn jpeg_without_data(
    size: (u16, u16),
    components: u8,
    progressive: bool,
    scans: u32,
) -> Vec<u8> {
    let mut file = b"\xff\xd8".to_vec();
    file.extend(segment(0xdb, &[&[0][..], &[1; 64]].concat()));
    for (class, symbol) in [(0x00, 0), (0x10, 1)] {
        let mut body = vec![class, 1];
        body.extend([0; 15]);
        body.push(symbol);
        file.extend(segment(0xc4, &body));
    }
    let mut frame = vec![8];
    frame.extend(size.1.to_be_bytes());
    frame.extend(size.0.to_be_bytes());
    frame.push(components);
    frame.extend((1..=components).flat_map(|number| [number, 0x11, 0]));
    file.extend(segment(if progressive { 0xc2 } else { 0xc0 }, &frame));
    for number in 0..scans {
        let (first, last) = match (progressive, number) {
            (false, _) => (0, 63),
            (true, 0) => (0, 0),
            (true, _) => (1, 63),
        };
        let together = if first == 0 { components } else { 1 };
        let mut scan = vec![together];
        scan.extend((1..=together).flat_map(|number| [number, 0]));
        scan.extend([first, last, 0]);
        file.extend(segment(0xda, &scan));
    }
    file.extend_from_slice(b"\xff\xd9");
    file
}
