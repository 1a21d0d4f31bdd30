//! Pictures made at test time, byte by byte where it matters, and served ones read back.

use imaging::Raster;

/// A picture whose pixels are `color(x, y)`.
pub(crate) fn painted(width: u32, height: u32, color: impl Fn(u32, u32) -> [u8; 3]) -> Raster {
    let rgb = (0..height)
        .flat_map(|y| (0..width).map(move |x| (x, y)))
        .flat_map(|(x, y)| color(x, y))
        .collect();
    Raster { width, height, rgb }
}

/// The pixel at `x`, `y`.
pub(crate) fn pixel(raster: &Raster, x: u32, y: u32) -> [u8; 3] {
    let at = (y as usize * raster.width as usize + x as usize) * 3;
    [raster.rgb[at], raster.rgb[at + 1], raster.rgb[at + 2]]
}

/// A JPEG at the best quality: 100, without chroma subsampling.
pub(crate) fn jpeg(raster: &Raster) -> Vec<u8> {
    jpeg_of(raster, &raster.rgb, jpeg_encoder::ColorType::Rgb)
}

/// The same as [`jpeg`], but with one gray component: the red channel.
pub(crate) fn gray_jpeg(raster: &Raster) -> Vec<u8> {
    jpeg_of(raster, &reds(raster), jpeg_encoder::ColorType::Luma)
}

fn jpeg_of(raster: &Raster, samples: &[u8], color: jpeg_encoder::ColorType) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut file, 100);
    encoder.set_sampling_factor(jpeg_encoder::SamplingFactor::F_1_1);
    encoder
        .encode(samples, raster.width as u16, raster.height as u16, color)
        .expect("a JPEG");
    file
}

pub(crate) fn png(raster: &Raster) -> Vec<u8> {
    png_of(raster, &raster.rgb, png::ColorType::Rgb)
}

/// A PNG of samples of any kind.
pub(crate) fn png_of(raster: &Raster, samples: &[u8], color: png::ColorType) -> Vec<u8> {
    apng_of(raster, color, &[samples])
}

/// A PNG of one picture, or an APNG of several, each shown for a tenth of a second.
pub(crate) fn apng_of(raster: &Raster, color: png::ColorType, frames: &[&[u8]]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, raster.width, raster.height);
    encoder.set_color(color);
    if frames.len() > 1 {
        encoder
            .set_animated(frames.len() as u32, 0)
            .expect("frames");
        encoder.set_frame_delay(1, 10).expect("a delay");
    }
    let mut writer = encoder.write_header().expect("a header");
    for samples in frames {
        writer.write_image_data(samples).expect("samples fit");
    }
    writer.finish().expect("a PNG");
    file
}

/// The red channel alone.
pub(crate) fn reds(raster: &Raster) -> Vec<u8> {
    raster.rgb.iter().step_by(3).copied().collect()
}

/// A lossless WebP.
pub(crate) fn webp(raster: &Raster) -> Vec<u8> {
    webp::Encoder::from_rgb(&raster.rgb, raster.width, raster.height)
        .encode_lossless()
        .to_vec()
}

/// A GIF of frames of two colours each, half and half, shown for a tenth of a second. Several
/// frames loop forever.
pub(crate) fn gif(width: u16, height: u16, frames: &[[[u8; 3]; 2]]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = gif::Encoder::new(&mut file, width, height, &[]).expect("a header");
    if frames.len() > 1 {
        encoder.set_repeat(gif::Repeat::Infinite).expect("a block");
    }
    for colors in frames {
        let area = usize::from(width) * usize::from(height);
        let frame = gif::Frame {
            delay: 10,
            width,
            height,
            palette: Some(colors.concat()),
            buffer: (0..area).map(|at| u8::from(at >= area / 2)).collect(),
            ..gif::Frame::default()
        };
        encoder.write_frame(&frame).expect("a frame");
    }
    drop(encoder);
    file
}

/// A segment of a JPEG.
pub(crate) fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 2).expect("fits in a segment");
    [&[0xff, marker][..], &length.to_be_bytes(), body].concat()
}

/// A JPEG with segments after its first one, which is JFIF and must stay first.
pub(crate) fn with_segments(jpeg: &[u8], segments: &[Vec<u8>]) -> Vec<u8> {
    let at = 4 + usize::from(u16::from_be_bytes([jpeg[4], jpeg[5]]));
    [&jpeg[..at], &segments.concat(), &jpeg[at..]].concat()
}

/// A profile in as many APP2 segments as `parts` (ICC.1:2022, B.4).
pub(crate) fn icc_segments(profile: &[u8], parts: usize) -> Vec<Vec<u8>> {
    profile
        .chunks(profile.len().div_ceil(parts))
        .enumerate()
        .map(|(number, part)| {
            let head = [b"ICC_PROFILE\0", &[number as u8 + 1, parts as u8][..]].concat();
            segment(0xe2, &[&head, part].concat())
        })
        .collect()
}

/// A chunk of a PNG.
pub(crate) fn chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut bytes = [&(body.len() as u32).to_be_bytes()[..], kind, body].concat();
    let crc = bytes[4..].iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 * (crc & 1))
        })
    });
    bytes.extend((!crc).to_be_bytes());
    bytes
}

/// A PNG with chunks after its header.
pub(crate) fn with_chunks(png: &[u8], chunks: &[Vec<u8>]) -> Vec<u8> {
    [&png[..33], &chunks.concat(), &png[33..]].concat()
}

/// A profile as a chunk of a PNG, under a name.
pub(crate) fn iccp(name: &str, profile: &[u8]) -> Vec<u8> {
    chunk(
        b"iCCP",
        &[name.as_bytes(), b"\0\0", &zlib(profile)].concat(),
    )
}

/// A zlib stream of one stored block (RFC 1950, RFC 1951).
pub(crate) fn zlib(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("fits in a block");
    let (a, b) = bytes.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (a + b) % 65_521)
    });
    [
        &[0x78, 0x01, 1][..],
        &length.to_le_bytes(),
        &(!length).to_le_bytes(),
        bytes,
        &(b << 16 | a).to_be_bytes(),
    ]
    .concat()
}

/// A chunk of a WebP.
pub(crate) fn riff(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let padding = &[0][..body.len() % 2];
    [kind, &(body.len() as u32).to_le_bytes()[..], body, padding].concat()
}

/// The flags by which a `VP8X` chunk announces the chunks around it.
const WEBP_ICC: u8 = 0x20;
const WEBP_EXIF: u8 = 0x08;
const WEBP_XMP: u8 = 0x04;
const WEBP_ANIMATION: u8 = 0x02;

/// An extended WebP made from a simple one. Of `chunks`, the profile goes before the picture and
/// everything else after it.
pub(crate) fn with_riff(webp: &[u8], size: (u32, u32), chunks: &[Vec<u8>]) -> Vec<u8> {
    extended(0, size, &webp[12..], chunks)
}

/// An animated WebP made from simple ones, each shown for a tenth of a second. `in_frame` follows
/// the bitstream of each frame.
pub(crate) fn animated_webp(
    frames: &[Vec<u8>],
    size: (u32, u32),
    in_frame: &[u8],
    chunks: &[Vec<u8>],
) -> Vec<u8> {
    let mut body = riff(b"ANIM", &[255, 255, 255, 255, 0, 0]);
    for frame in frames {
        let head = [&[0; 6][..], &side(size.0), &side(size.1), &[100, 0, 0, 2]].concat();
        body.extend(riff(b"ANMF", &[&head, &frame[12..], in_frame].concat()));
    }
    extended(WEBP_ANIMATION, size, &body, chunks)
}

fn extended(flags: u8, size: (u32, u32), body: &[u8], chunks: &[Vec<u8>]) -> Vec<u8> {
    let flags = chunks.iter().fold(flags, |flags, chunk| {
        flags
            | match &chunk[..4] {
                b"ICCP" => WEBP_ICC,
                b"EXIF" => WEBP_EXIF,
                b"XMP " => WEBP_XMP,
                _ => 0,
            }
    });
    let head = [&[flags, 0, 0, 0][..], &side(size.0), &side(size.1)].concat();
    let (before, after): (Vec<_>, Vec<_>) = chunks
        .iter()
        .cloned()
        .partition(|chunk| chunk.starts_with(b"ICCP"));
    let parts = [
        b"WEBP".to_vec(),
        riff(b"VP8X", &head),
        before.concat(),
        body.to_vec(),
        after.concat(),
    ];
    riff(b"RIFF", &parts.concat())
}

/// A side as WebP stores it: one less, in three bytes.
fn side(pixels: u32) -> [u8; 3] {
    let [a, b, c, _] = (pixels - 1).to_le_bytes();
    [a, b, c]
}

/// An application block of a GIF.
pub(crate) fn gif_block(name: &[u8; 11], body: &[u8]) -> Vec<u8> {
    [b"\x21\xff\x0b", &name[..], &sub_blocks(body)].concat()
}

/// Data in a GIF's sub-blocks of at most 255 bytes, with the empty one that ends them.
pub(crate) fn sub_blocks(body: &[u8]) -> Vec<u8> {
    let mut blocks: Vec<u8> = body
        .chunks(255)
        .flat_map(|piece| [&[piece.len() as u8], piece].concat())
        .collect();
    blocks.push(0);
    blocks
}

/// A GIF with blocks before its trailer.
pub(crate) fn with_blocks(gif: &[u8], blocks: &[Vec<u8>]) -> Vec<u8> {
    let (trailer, body) = gif.split_last().expect("a GIF");
    [body, &blocks.concat(), &[*trailer]].concat()
}

/// An EXIF block, from its TIFF header on, with text tags (number, text) and an orientation, in
/// either byte order.
pub(crate) fn exif(orientation: Option<u16>, texts: &[(u16, &str)], big_endian: bool) -> Vec<u8> {
    let short = |value: u16| match big_endian {
        true => value.to_be_bytes(),
        false => value.to_le_bytes(),
    };
    let long = |value: u32| match big_endian {
        true => value.to_be_bytes(),
        false => value.to_le_bytes(),
    };
    let count = texts.len() + usize::from(orientation.is_some());
    let mut directory = short(count as u16).to_vec();
    let mut values: Vec<u8> = Vec::new();
    let values_at = 8 + 2 + 12 * count + 4;
    // A directory is sorted by tag number: 0x0112 comes after 0x010f (maker) and 0x0110 (model),
    // which the tests use.
    for (tag, text) in texts {
        directory.extend(short(*tag));
        directory.extend(short(2));
        directory.extend(long(text.len() as u32 + 1));
        directory.extend(long((values_at + values.len()) as u32));
        values.extend(text.as_bytes());
        values.push(0);
    }
    if let Some(orientation) = orientation {
        directory.extend(short(0x0112));
        directory.extend(short(3));
        directory.extend(long(1));
        directory.extend(short(orientation));
        directory.extend([0, 0]);
    }
    directory.extend(long(0));
    let order: &[u8] = if big_endian { b"MM" } else { b"II" };
    [order, &short(42), &long(8), &directory, &values].concat()
}

/// The pixels of a served JPEG or WebP. An animation gives every frame.
pub(crate) fn read_back(file: &[u8]) -> Vec<Raster> {
    if file.starts_with(b"RIFF") {
        return read_webp(file);
    }
    let mut decoder = jpeg_decoder::Decoder::new(file);
    let rgb = decoder.decode().expect("is a JPEG");
    let info = decoder.info().expect("was read");
    assert_eq!(info.pixel_format, jpeg_decoder::PixelFormat::RGB24);
    vec![Raster {
        width: info.width.into(),
        height: info.height.into(),
        rgb,
    }]
}

fn read_webp(file: &[u8]) -> Vec<Raster> {
    let mut decoder = image_webp::WebPDecoder::new(std::io::Cursor::new(file)).expect("is a WebP");
    assert!(!decoder.has_alpha(), "nothing published is see-through");
    let (width, height) = decoder.dimensions();
    let bytes = decoder.output_buffer_size().expect("fits in memory");
    let frames = if decoder.is_animated() {
        decoder.num_frames()
    } else {
        1
    };
    (0..frames)
        .map(|_| {
            let mut rgb = vec![0; bytes];
            if decoder.is_animated() {
                decoder.read_frame(&mut rgb).expect("a frame");
            } else {
                decoder.read_image(&mut rgb).expect("pixels");
            }
            Raster { width, height, rgb }
        })
        .collect()
}
