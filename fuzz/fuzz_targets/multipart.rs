//! Reads a form as the server does: the boundary comes from a header, then every field is read to
//! its end, from a body that comes in pieces.
#![no_main]

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::{FutureExt, stream};
use libfuzzer_sys::fuzz_target;
use multer::{Multipart, parse_boundary};

// The first line is the header. The byte after it is the length of the body's pieces, minus one.
fuzz_target!(|bytes: &[u8]| {
    let mut lines = bytes.splitn(2, |byte| *byte == b'\n');
    let (Some(header), Some(rest)) = (lines.next(), lines.next()) else {
        return;
    };
    let Ok(header) = std::str::from_utf8(header) else {
        return;
    };
    let (Ok(boundary), Some((piece, body))) = (parse_boundary(header), rest.split_first()) else {
        return;
    };
    let pieces: Vec<Result<Bytes, Infallible>> = body
        .chunks(usize::from(*piece) + 1)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    let read = async {
        let mut form = Multipart::new(stream::iter(pieces), boundary);
        let mut total = 0;
        while let Ok(Some(mut field)) = form.next_field().await {
            assert!(field.name().map_or(0, str::len) <= body.len() * 4);
            while let Ok(Some(chunk)) = field.chunk().await {
                total += chunk.len();
            }
        }
        total
    };
    // The body never keeps the form waiting, so reading ends at once.
    let total = read.now_or_never().expect("the form ends with its body");
    assert!(total <= body.len());
});
