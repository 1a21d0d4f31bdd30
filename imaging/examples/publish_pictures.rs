//! Makes of pictures what the server would publish of them, without looking at what they show.
//! Usage: `publish_pictures FROM TO`. For each file in the folder FROM, the folder TO gets its
//! widest WebP file, and an AVIF file and a JPEG file of the same width where those are made; or a
//! text file that says why there is none.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use imaging::{Aim, AnimationEncoder, Encoding, ImageError, Limits, MAX_WIDTH, Output, Subject};

/// What is made, each with how the names of its files end.
const FILES: [(Encoding, &str); 3] = [
    (Encoding::WebP, "webp"),
    (Encoding::Avif, "avif"),
    (Encoding::Jpeg, "jpg"),
];

/// How long one picture may take.
const TIMEOUT: Duration = Duration::from_secs(60);

fn main() -> Result<(), Box<dyn Error>> {
    let mut folders = std::env::args_os().skip(1);
    let (Some(from), Some(to)) = (folders.next(), folders.next()) else {
        return Err("usage: publish_pictures FROM TO".into());
    };
    for entry in std::fs::read_dir(from)? {
        let path = entry?.path();
        let name = path.file_name().ok_or("a file without a name")?;
        let target = Path::new(&to).join(name);
        match publish(&path) {
            Ok(files) => {
                for (ending, bytes) in files {
                    std::fs::write(target.with_added_extension(ending), bytes)?;
                }
            }
            Err(error) => std::fs::write(target.with_added_extension("txt"), explain(&error))?,
        }
    }
    Ok(())
}

/// The bytes of each file that is made, and how its name ends.
fn publish(path: &Path) -> Result<Vec<(&'static str, Vec<u8>)>, ImageError> {
    let limits = Limits::default();
    let outputs = FILES.map(|(encoding, _)| Output {
        encoding,
        most_width: MAX_WIDTH,
        subject: Subject::All,
    });
    let inspected = imaging::inspect(path, &limits, &outputs)?;
    let made = inspected.outputs.clone();
    let deadline = Instant::now() + TIMEOUT;
    let variants = if inspected.animated {
        let mut encoder: Option<AnimationEncoder> = None;
        for frame in imaging::frames(path, &inspected, &limits, deadline)? {
            let frame = frame?;
            let (width, height) = (frame.raster.width, frame.raster.height);
            encoder
                .get_or_insert_with(|| {
                    AnimationEncoder::new(inspected.kept_frames(), width, height, &made)
                        .playing(inspected.plays)
                })
                .push(&frame.raster, frame.duration_ms)?;
        }
        encoder.ok_or(ImageError::Empty)?.finish()?
    } else {
        let raster = imaging::decode_still(path, &inspected, deadline)?;
        imaging::encode_variants(&raster, &made, Aim::at(&raster, deadline)?, deadline)?
    };
    let files = made.iter().zip(variants).filter_map(|(output, variant)| {
        let (_, ending) = FILES
            .iter()
            .find(|(encoding, _)| *encoding == output.encoding)?;
        Some((*ending, variant.bytes.to_vec()))
    });
    Ok(files.collect())
}

/// What the sender is told, and what the log is.
fn explain(error: &ImageError) -> String {
    format!("{error}\n{error:?}\n")
}
