//! Reads lossless WebP: the bytes are a stream after its five-byte head, or an alpha plane, so that
//! no time is lost on containers.
#![no_main]

use cattocdn_fuzz::{decode, let_panics_be_caught, with_file};
use libfuzzer_sys::fuzz_target;

/// The head of a stream of 96 x 64 pixels without alpha.
const HEAD: [u8; 5] = [0x2f, 95, 0xc0, 0x0f, 0];

fuzz_target!(init: let_panics_be_caught(), |bytes: &[u8]| {
    let length = HEAD.len() + bytes.len();
    let mut file = b"RIFF".to_vec();
    file.extend((12 + length as u32 + length as u32 % 2).to_le_bytes());
    file.extend_from_slice(b"WEBPVP8L");
    file.extend((length as u32).to_le_bytes());
    file.extend_from_slice(&HEAD);
    file.extend_from_slice(bytes);
    if length % 2 == 1 {
        file.push(0);
    }
    with_file(&file, decode);
});
