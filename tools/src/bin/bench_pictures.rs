//! Makes the large pictures that `make bench` uploads. They are the photograph of the fixtures,
//! enlarged and with some noise, so that their files are as large as a camera's. Usage:
//! `bench_pictures FOLDER`.

use std::error::Error;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use imaging::Raster;
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

/// A camera's picture: 12 megapixels in 2 MB.
const CAMERA: (u32, u32, u64) = (4000, 3000, 2_000_000);
/// The largest picture that is accepted: 50 megapixels, within the upload limit.
const LARGEST: (u32, u32, u64) = (8660, 5773, 12_000_000);

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args()
        .nth(1)
        .ok_or("usage: bench_pictures FOLDER")?;
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder)?;
    let photograph =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/tests/fixtures/chelsea.png");
    let mut reader =
        png::Decoder::new(std::io::BufReader::new(File::open(photograph)?)).read_info()?;
    let mut rgb = vec![0; reader.output_buffer_size().ok_or("too large")?];
    let info = reader.next_frame(&mut rgb)?;
    let cat = Raster {
        width: info.width,
        height: info.height,
        rgb,
    };

    let (width, height, bytes) = CAMERA;
    let camera = enlarge(&cat, width, height, 12)?;
    write_jpeg(&folder.join("12mpx.jpg"), &camera, CAMERA, false)?;
    write_jpeg(
        &folder.join("12mpx-progressive.jpg"),
        &camera,
        (width, height, bytes),
        true,
    )?;
    let (width, height, _) = LARGEST;
    write_jpeg(
        &folder.join("50mpx.jpg"),
        &enlarge(&cat, width, height, 12)?,
        LARGEST,
        false,
    )?;
    write_png(
        &folder.join("50mpx.png"),
        &enlarge(&cat, width, height, 0)?,
        width,
        height,
    )
}

/// The picture at another size, each sample changed by up to `noise` either way (a fixed sequence).
fn enlarge(cat: &Raster, width: u32, height: u32, noise: u32) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut rgb = imaging::to_size(cat, width, height)?.rgb;
    let mut state = 0x2545_f491_u32;
    for sample in &mut rgb {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        let change = i32::try_from(state % (2 * noise + 1))? - i32::try_from(noise)?;
        *sample = u8::try_from((i32::from(*sample) + change).clamp(0, 255))?;
    }
    Ok(rgb)
}

/// Writes the JPEG at the best quality that fits in the bytes.
fn write_jpeg(
    path: &Path,
    rgb: &[u8],
    size: (u32, u32, u64),
    progressive: bool,
) -> Result<(), Box<dyn Error>> {
    let (width, height, most) = size;
    let mut quality = 95;
    loop {
        let mut encoder = Encoder::new_file(path, quality)?;
        encoder.set_sampling_factor(SamplingFactor::F_2_2);
        encoder.set_progressive(progressive);
        encoder.encode(
            rgb,
            u16::try_from(width)?,
            u16::try_from(height)?,
            ColorType::Rgb,
        )?;
        if std::fs::metadata(path)?.len() <= most || quality <= 5 {
            return Ok(());
        }
        quality -= 5;
    }
}

fn write_png(path: &Path, rgb: &[u8], width: u32, height: u32) -> Result<(), Box<dyn Error>> {
    // Coarse steps of brightness compress like a drawing, which keeps the file under the upload
    // limit.
    let steps: Vec<u8> = rgb.iter().map(|sample| sample & 0b1111_0000).collect();
    let mut encoder = png::Encoder::new(BufWriter::new(File::create(path)?), width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::Balanced);
    encoder.write_header()?.write_image_data(&steps)?;
    Ok(())
}
