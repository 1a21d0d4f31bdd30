//! Makes an animation of what the input says, in each format that can say it, and compares the
//! frames that come out with a slow and obvious composition.
#![no_main]

use std::borrow::Cow;

use cattocdn_fuzz::{OUTPUTS, deadline, let_panics_be_caught, small_limits, with_file};
use imaging::{frames, inspect};
use libfuzzer_sys::fuzz_target;

/// By how much a sample may differ, because ours are rounded after every frame.
const ROUNDING: f64 = 3.0;

/// The sides of the canvas in pixels.
const CANVAS: (u32, u32) = (40, 33);

/// How many bytes of the input make a frame.
const FRAME_BYTES: usize = 9;

#[derive(Clone, Copy, PartialEq)]
enum Format {
    Gif,
    Png,
    WebP,
}

#[derive(Clone, Copy, PartialEq)]
enum Disposal {
    Keep,
    Clear,
    Restore,
}

struct Drawn {
    left: u32,
    top: u32,
    width: u32,
    height: u32,
    disposal: Disposal,
    blends: bool,
    color: [u8; 4],
}

impl Drawn {
    /// What the input says of a frame, as far as the format can say it.
    fn read(bytes: &[u8], format: Format, is_first: bool) -> Self {
        let [x, y, w, h, flags, color @ ..] = bytes else {
            panic!("a frame of {FRAME_BYTES} bytes");
        };
        let mut left = u32::from(*x) % CANVAS.0;
        let mut top = u32::from(*y) % CANVAS.1;
        if format == Format::WebP {
            (left, top) = (left & !1, top & !1);
        }
        let mut width = 1 + u32::from(*w) % (CANVAS.0 - left);
        let mut height = 1 + u32::from(*h) % (CANVAS.1 - top);
        // The picture of a PNG is its first frame.
        if format == Format::Png && is_first {
            (left, top, width, height) = (0, 0, CANVAS.0, CANVAS.1);
        }
        let disposal = match flags % 3 {
            1 => Disposal::Clear,
            2 if format != Format::WebP => Disposal::Restore,
            _ => Disposal::Keep,
        };
        let mut color = [color[0], color[1], color[2], color[3]];
        if format == Format::Gif {
            color[3] = if color[3] < 128 { 0 } else { 255 };
        }
        Self {
            left,
            top,
            width,
            height,
            disposal,
            blends: format == Format::Gif || flags & 0x80 == 0,
            color,
        }
    }

    /// The pixel at this place of the frame: every third is opaque.
    fn pixel(&self, x: u32, y: u32) -> [u8; 4] {
        let [r, g, b, alpha] = self.color;
        let alpha = if (x + y) % 3 == 0 { 255 } else { alpha };
        [r, g, b, alpha]
    }

    /// All pixels, row by row.
    fn pixels(&self) -> Vec<u8> {
        let rows = (0..self.height).flat_map(|y| (0..self.width).map(move |x| (x, y)));
        rows.flat_map(|(x, y)| self.pixel(x, y)).collect()
    }
}

fuzz_target!(init: let_panics_be_caught(), |bytes: &[u8]| {
    let Some((kind, rest)) = bytes.split_first() else {
        return;
    };
    let format = [Format::Gif, Format::Png, Format::WebP][usize::from(kind % 3)];
    let drawn: Vec<_> = rest
        .chunks_exact(FRAME_BYTES)
        .take(8)
        .enumerate()
        .map(|(number, bytes)| Drawn::read(bytes, format, number == 0))
        .collect();
    if drawn.len() < 2 {
        return;
    }
    let file = match format {
        Format::Gif => gif(&drawn),
        Format::Png => png(&drawn),
        Format::WebP => webp(&drawn),
    };
    with_file(&file, |path| {
        let inspected = inspect(path, &small_limits(), &OUTPUTS).expect("a good animation");
        let found: Vec<_> = frames(path, &inspected, &small_limits(), deadline())
            .expect("opens")
            .map(|frame| frame.expect("plays").raster.rgb)
            .collect();
        let expected = compose(&drawn);
        assert_eq!(found.len(), expected.len());
        for (number, (found, expected)) in found.iter().zip(&expected).enumerate() {
            for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
                assert!(
                    (f64::from(*found) - expected).abs() <= ROUNDING,
                    "sample {at} of frame {number} is {found}, not {expected}"
                );
            }
        }
    });
});

/// What is on screen after each frame: samples of light and cover, laid on white at the end.
fn compose(drawn: &[Drawn]) -> Vec<Vec<f64>> {
    let size = (CANVAS.0 * CANVAS.1) as usize;
    let mut canvas = vec![[0.0; 4]; size];
    let mut shown = Vec::new();
    for frame in drawn {
        let before = canvas.clone();
        for y in 0..frame.height {
            for x in 0..frame.width {
                let at = ((frame.top + y) * CANVAS.0 + frame.left + x) as usize;
                let [r, g, b, alpha] = frame.pixel(x, y).map(f64::from);
                let cover = alpha / 255.0;
                let below = if frame.blends { canvas[at] } else { [0.0; 4] };
                let over = |new: f64, old: f64| new * cover + old * (1.0 - cover);
                canvas[at] = [
                    over(r, below[0]),
                    over(g, below[1]),
                    over(b, below[2]),
                    over(1.0, below[3]),
                ];
            }
        }
        let on_white = canvas
            .iter()
            .flat_map(|[r, g, b, cover]| [r, g, b].map(|sample| sample + (1.0 - cover) * 255.0));
        shown.push(on_white.collect());
        match frame.disposal {
            Disposal::Keep => {}
            Disposal::Restore => canvas = before,
            Disposal::Clear => {
                for y in frame.top..frame.top + frame.height {
                    for x in frame.left..frame.left + frame.width {
                        canvas[(y * CANVAS.0 + x) as usize] = [0.0; 4];
                    }
                }
            }
        }
    }
    shown
}

fn gif(drawn: &[Drawn]) -> Vec<u8> {
    let mut file = Vec::new();
    let (width, height) = (CANVAS.0 as u16, CANVAS.1 as u16);
    let mut encoder = gif::Encoder::new(&mut file, width, height, &[]).expect("a header");
    for frame in drawn {
        let [r, g, b, _] = frame.color;
        let rgba = frame.pixels();
        let indices: Vec<u8> = rgba
            .chunks(4)
            .map(|pixel| u8::from(pixel[3] == 0))
            .collect();
        encoder
            .write_frame(&gif::Frame {
                left: frame.left as u16,
                top: frame.top as u16,
                width: frame.width as u16,
                height: frame.height as u16,
                dispose: match frame.disposal {
                    Disposal::Keep => gif::DisposalMethod::Keep,
                    Disposal::Clear => gif::DisposalMethod::Background,
                    Disposal::Restore => gif::DisposalMethod::Previous,
                },
                transparent: Some(1),
                palette: Some(vec![r, g, b, 0, 0, 0]),
                buffer: Cow::Owned(indices),
                ..gif::Frame::default()
            })
            .expect("encodes");
    }
    drop(encoder);
    file
}

fn png(drawn: &[Drawn]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, CANVAS.0, CANVAS.1);
    encoder.set_color(png::ColorType::Rgba);
    encoder
        .set_animated(drawn.len() as u32, 0)
        .expect("some frames");
    let mut writer = encoder.write_header().expect("a header");
    for frame in drawn {
        writer.reset_frame_position().expect("animated");
        writer
            .set_frame_dimension(frame.width, frame.height)
            .expect("fits");
        writer
            .set_frame_position(frame.left, frame.top)
            .expect("fits");
        writer
            .set_dispose_op(match frame.disposal {
                Disposal::Keep => png::DisposeOp::None,
                Disposal::Clear => png::DisposeOp::Background,
                Disposal::Restore => png::DisposeOp::Previous,
            })
            .expect("animated");
        writer
            .set_blend_op(if frame.blends {
                png::BlendOp::Over
            } else {
                png::BlendOp::Source
            })
            .expect("animated");
        writer.write_image_data(&frame.pixels()).expect("encodes");
    }
    writer.finish().expect("finishes");
    file
}

fn webp(drawn: &[Drawn]) -> Vec<u8> {
    let bytes_24 = |number: u32| number.to_le_bytes()[..3].to_vec();
    let mut head = vec![0x12, 0, 0, 0];
    head.extend(bytes_24(CANVAS.0 - 1));
    head.extend(bytes_24(CANVAS.1 - 1));
    let mut body = b"WEBP".to_vec();
    body.extend(chunk(b"VP8X", &head));
    body.extend(chunk(b"ANIM", &[0; 6]));
    for frame in drawn {
        let mut still = Vec::new();
        image_webp::WebPEncoder::new(&mut still)
            .encode(
                &frame.pixels(),
                frame.width,
                frame.height,
                image_webp::ColorType::Rgba8,
            )
            .expect("encodes");
        let mut stored = Vec::new();
        for number in [
            frame.left / 2,
            frame.top / 2,
            frame.width - 1,
            frame.height - 1,
            50,
        ] {
            stored.extend(bytes_24(number));
        }
        stored.push(u8::from(frame.disposal == Disposal::Clear) | if frame.blends { 0 } else { 2 });
        stored.extend(&still[12..]);
        body.extend(chunk(b"ANMF", &stored));
    }
    chunk(b"RIFF", &body)
}

fn chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut bytes = kind.to_vec();
    bytes.extend((body.len() as u32).to_le_bytes());
    bytes.extend(body);
    bytes.resize(bytes.len().next_multiple_of(2), 0);
    bytes
}
