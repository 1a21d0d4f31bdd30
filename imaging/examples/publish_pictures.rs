//! Makes of pictures what the server would publish of them, without looking at what they show.
//! Usage: `publish_pictures FROM TO`. For each file in the folder FROM, the folder TO gets its
//! widest WebP file, or a text file that says why there is none.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use imaging::{AnimationEncoder, Encoding, ImageError, Limits, MAX_WIDTH, Output};

/// The widest file that is published.
const WIDEST: [Output; 1] = [Output {
    encoding: Encoding::WebP,
    most_width: MAX_WIDTH,
}];

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
            Ok(bytes) => std::fs::write(target.with_added_extension("webp"), bytes)?,
            Err(error) => std::fs::write(target.with_added_extension("txt"), explain(&error))?,
        }
    }
    Ok(())
}

/// The bytes of the widest WebP file.
fn publish(path: &Path) -> Result<Vec<u8>, ImageError> {
    let limits = Limits::default();
    let inspected = imaging::inspect(path, &limits, &WIDEST)?;
    let deadline = Instant::now() + TIMEOUT;
    let variants = if inspected.animated {
        let mut encoder: Option<AnimationEncoder> = None;
        for frame in imaging::frames(path, &inspected, &limits, deadline)? {
            let frame = frame?;
            let (width, height) = (frame.raster.width, frame.raster.height);
            encoder
                .get_or_insert_with(|| {
                    AnimationEncoder::new(inspected.kept_frames(), width, height, &WIDEST)
                        .playing(inspected.plays)
                })
                .push(&frame.raster, frame.duration_ms)?;
        }
        encoder.ok_or(ImageError::Empty)?.finish()?
    } else {
        let raster = imaging::decode_still(path, &inspected, deadline)?;
        imaging::encode_variants(&raster, &WIDEST, deadline)?
    };
    Ok(variants
        .into_iter()
        .next()
        .ok_or(ImageError::Empty)?
        .bytes
        .to_vec())
}

/// What the sender is told, and what the log is.
fn explain(error: &ImageError) -> String {
    format!("{error}\n{error:?}\n")
}
