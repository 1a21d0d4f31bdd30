//! Measures what one file costs: `cost FILE…` runs each through the server's imaging and prints the
//! outcome, the time and the peak of memory.

use std::path::Path;
use std::time::{Duration, Instant};

use cattocdn_fuzz::OUTPUTS;
use imaging::{self, AnimationEncoder, ImageError, Limits};

fn main() {
    for name in std::env::args_os().skip(1) {
        let path = Path::new(&name);
        let begun = Instant::now();
        let inspected = imaging::inspect(path, &Limits::default(), &OUTPUTS);
        let looked = begun.elapsed();
        let peak_looked = peak();
        let outcome = inspected.and_then(|inspected| {
            println!(
                "  {} x {} frames {} estimate {} MB",
                inspected.width,
                inspected.height,
                inspected.frames,
                inspected.working_bytes / 1_000_000
            );
            whole(path, &inspected)
        });
        println!(
            "{}: {} bytes, inspected in {looked:.2?} (peak {peak_looked} MB), all in {:.2?} (peak {} MB): {}",
            path.display(),
            std::fs::metadata(path).map_or(0, |file| file.len()),
            begun.elapsed(),
            peak(),
            outcome.map_or_else(
                |error| format!("{error:?}"),
                |frames| format!("{frames} frames")
            ),
        );
    }
}

fn whole(path: &Path, inspected: &imaging::Inspected) -> Result<usize, ImageError> {
    let begun = Instant::now();
    let deadline = begun + Duration::from_secs(60);
    if !inspected.animated {
        let raster = imaging::decode_still(path, inspected, deadline)?;
        println!("  decoded in {:.2?} (peak {} MB)", begun.elapsed(), peak());
        imaging::encode_variants(
            &raster,
            &OUTPUTS,
            imaging::Aim::at(&raster, deadline)?,
            deadline,
        )?;
        return Ok(1);
    }
    let mut encoder: Option<AnimationEncoder> = None;
    let mut count = 0;
    let mut encoding = Duration::ZERO;
    for frame in imaging::frames(path, inspected, &Limits::default(), deadline)? {
        let frame = frame?;
        count += 1;
        let start = Instant::now();
        encoder
            .get_or_insert_with(|| {
                let frames = inspected.kept_frames();
                AnimationEncoder::new(frames, frame.raster.width, frame.raster.height, &OUTPUTS)
            })
            .push(&frame.raster, frame.duration_ms)?;
        encoding += start.elapsed();
    }
    println!(
        "  decoded in {:.2?} (peak {} MB)",
        begun.elapsed() - encoding,
        peak()
    );
    if let Some(encoder) = encoder {
        encoder.finish()?;
    }
    Ok(count)
}

/// The most memory that this process ever held, in megabytes.
fn peak() -> u64 {
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| {
            let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        })
        .map_or(0, |kilobytes| kilobytes / 1000)
}
