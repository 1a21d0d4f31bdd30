//! Plays an animation, and encodes it where it is small.
#![no_main]

use cattocdn_fuzz::{
    OUTPUTS, assert_stored, deadline, let_panics_be_caught, small_limits, with_file,
};
use imaging::{AnimationEncoder, MAX_KEPT_FRAMES, frames, inspect};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: let_panics_be_caught(), |bytes: &[u8]| {
    with_file(bytes, |path| {
        let limits = small_limits();
        let Ok(inspected) = inspect(path, &limits, &OUTPUTS) else {
            return;
        };
        if !inspected.animated {
            return;
        }
        let Ok(frames) = frames(path, &inspected, &limits, deadline()) else {
            return;
        };
        let mut encoder: Option<AnimationEncoder> = None;
        let mut count = 0;
        for frame in frames {
            let Ok(frame) = frame else { return };
            count += 1;
            let raster = &frame.raster;
            assert_eq!(
                raster.rgb.len(),
                raster.width as usize * raster.height as usize * 3
            );
            if raster.rgb.len() <= 48 * 48 * 3 && count <= 4 {
                encoder
                    .get_or_insert_with(|| {
                        let frames = inspected.kept_frames();
                        AnimationEncoder::new(frames, raster.width, raster.height, &OUTPUTS)
                    })
                    .push(raster, frame.duration_ms)
                    .expect("frames of one size");
            }
        }
        assert!((1..=MAX_KEPT_FRAMES.min(inspected.frames)).contains(&count));
        if let Some(encoder) = encoder {
            let variants = encoder.finish().expect("an animation with a frame");
            assert_stored(&variants, &inspected);
        }
    });
});
