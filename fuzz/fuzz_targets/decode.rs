//! Decodes a still, describes it, and encodes it where it is small.
#![no_main]

use cattocdn_fuzz::{decode, let_panics_be_caught, with_file};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: let_panics_be_caught(), |bytes: &[u8]| {
    with_file(bytes, decode);
});
