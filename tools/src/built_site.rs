//! A built site in small, for tests and simulations: the files that the server demands, with
//! contents that say what they are.

use std::path::{Path, PathBuf};

/// Writes a built site into this folder, with this hash in the names of its files. It replaces the
/// build that was there.
///
/// # Panics
/// Where the files cannot be written.
pub fn write(site_dir: &Path, hash: &str) {
    let pkg = site_dir.join("pkg");
    if pkg.exists() {
        std::fs::remove_dir_all(&pkg).expect("goes");
    }
    std::fs::create_dir_all(&pkg).expect("a folder");
    let file = |path: PathBuf, bytes: &[u8]| std::fs::write(path, bytes).expect("a file");
    for (stem, kind, text) in [
        ("cattocdn", "css", "body{}"),
        ("cattocdn", "js", "export default 1"),
        ("cattocdn", "wasm", "\0asm"),
        ("uploads", "js", "export default 2"),
        ("uploads", "wasm", "\0asm of uploads"),
    ] {
        // Each build has content of its own, which the hash in its names need not match.
        let text = if hash == "0123" {
            text.to_owned()
        } else {
            format!("{text} {hash}")
        };
        let name = format!("{stem}.{hash}.{kind}");
        // Nothing here reads Brotli, but Varnish reads gzip.
        let brotli = format!("brotli of {text}");
        file(pkg.join(format!("{name}.br")), brotli.as_bytes());
        file(pkg.join(format!("{name}.gz")), &gzip(text.as_bytes()));
        file(pkg.join(name), text.as_bytes());
    }
    let card = format!("card {hash}");
    file(pkg.join(format!("card.{hash}.png")), card.as_bytes());
    let font = format!("font {hash}");
    file(pkg.join(format!("nunito.{hash}.woff2")), font.as_bytes());
    file(site_dir.join("favicon.svg"), b"<svg/>");
}

/// These bytes as gzip: one block that is not compressed (RFC 1951, 3.2.4) in the frame of RFC
/// 1952.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("fits into a block");
    let crc = !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    });
    let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 1];
    file.extend(length.to_le_bytes());
    file.extend((!length).to_le_bytes());
    file.extend(bytes);
    file.extend(crc.to_le_bytes());
    file.extend(u32::from(length).to_le_bytes());
    file
}
