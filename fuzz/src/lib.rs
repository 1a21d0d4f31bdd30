//! What the targets share: limits so small that whatever gets past them shows at once.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;

use imaging::{Encoding, Inspected, Limits, Output, Subject, Variant};

/// What is made of every picture here: files as the server publishes them, and a narrow one, so
/// that small pictures have two widths as well.
pub const OUTPUTS: [Output; 9] = [
    output(Encoding::WebP, 40),
    output(Encoding::WebP, 176),
    output(Encoding::WebP, 320),
    output(Encoding::WebP, 512),
    output(Encoding::WebP, 688),
    output(Encoding::WebP, 2048),
    output(Encoding::Avif, 1024),
    output(Encoding::Jpeg, 512),
    output(Encoding::Jpeg, 1280),
];

const fn output(encoding: Encoding, most_width: u32) -> Output {
    Output {
        encoding,
        most_width,
        subject: Subject::All,
    }
}

/// The server's limits, but so small that whatever gets past them shows as memory or time at once.
pub fn small_limits() -> Limits {
    Limits {
        max_pixels: 1_000_000,
        max_frames: 30,
        max_animation_pixels: 4_000_000,
        memory_bytes: 32_000_000,
    }
}

/// When decoding must be over. A decoder that checks it never gets there; one that does not check
/// is caught by the fuzzer's own limit.
pub fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

/// Lets the crate deal with a decoder's panic, as it does in the server, instead of ending the
/// process at once. A panic that leaves the crate is still found.
pub fn let_panics_be_caught() {
    std::panic::set_hook(Box::new(|_| ()));
}

/// Calls `look` with a file of these bytes.
pub fn with_file(bytes: &[u8], look: impl FnOnce(&Path)) {
    let mut file = NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("space on the disk");
    look(file.path());
}

/// Decodes a still and describes it. Encodes it where that is quick.
pub fn decode(path: &Path) {
    let Ok(inspected) = imaging::inspect(path, &small_limits(), &OUTPUTS) else {
        return;
    };
    assert!(inspected.working_bytes <= small_limits().memory_bytes);
    let Ok(raster) = imaging::decode_still(path, &inspected, deadline()) else {
        return;
    };
    assert_eq!(
        raster.rgb.len(),
        raster.width as usize * raster.height as usize * 3
    );
    assert!(raster.width <= inspected.width && raster.height <= inspected.height);
    imaging::perceptual_hash(&raster).expect("every picture has a hash");
    imaging::thumbhash(&raster).expect("every picture has a thumbhash");
    if raster.rgb.len() <= 64 * 64 * 3 {
        let aim = imaging::Aim::at(&raster, deadline()).expect("every picture can be tried");
        let variants = imaging::encode_variants(&raster, &inspected.outputs, aim, deadline())
            .expect("every picture can be encoded");
        assert_stored(&variants, &inspected);
    }
}

/// Fails where these files take more than was announced. Variants that share a file count once.
pub fn assert_stored(variants: &[Variant], inspected: &Inspected) {
    let mut files: Vec<_> = variants.iter().map(|variant| &variant.bytes).collect();
    files.sort_by_key(|bytes| bytes.as_ptr());
    files.dedup_by_key(|bytes| bytes.as_ptr());
    let stored: u64 = files.iter().map(|bytes| bytes.len() as u64).sum();
    assert!(stored <= inspected.most_stored_bytes());
}
