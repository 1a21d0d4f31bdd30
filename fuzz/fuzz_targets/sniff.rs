//! Inspects a file under the server's own limits. No pixel is decoded, so this must be quick and
//! take little memory whatever the file says.
#![no_main]

use cattocdn_fuzz::{OUTPUTS, let_panics_be_caught, with_file};
use imaging::{Limits, inspect};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: let_panics_be_caught(), |bytes: &[u8]| {
    with_file(bytes, |path| {
        let limits = Limits::default();
        if let Ok(found) = inspect(path, &limits, &OUTPUTS) {
            assert!(found.working_bytes <= limits.memory_bytes);
            assert!(u64::from(found.width) * u64::from(found.height) <= limits.max_pixels);
            assert!((1..=limits.max_frames).contains(&found.frames));
        }
    });
});
