//! What a container carries besides pixels: the kinds that the sender is told were stripped, and
//! the two things that are obeyed, orientation and colour profile.

use super::exif;
use super::orientation::Orientation;

/// The longest EXIF block that is parsed, in bytes. Longer ones are stripped unread.
pub(super) const MAX_EXIF_BYTES: usize = 1 << 20;

/// The longest colour profile that is obeyed, in bytes. Print profiles reach about 2 MB.
pub(super) const MAX_ICC_BYTES: usize = 4 << 20;

/// How many bytes one deflated byte can become at most (zlib, "Technical Details").
const MOST_INFLATION: u64 = 1032;

/// Everything found that is not a pixel.
#[derive(Default)]
pub(super) struct Metadata {
    /// The kinds that were found, each once, in the order of finding.
    pub(super) kinds: Vec<&'static str>,
    /// How the stored pixels must be turned.
    pub(super) orientation: Orientation,
    /// True once a block was seen that says, or could have said, how they must be turned.
    seen_exif: bool,
    /// The colour profile, not checked.
    pub(super) icc: Option<Vec<u8>>,
    /// The most bytes that a profile can inflate to, where it is still compressed.
    pub(super) packed_icc_bytes: u64,
}

impl Metadata {
    /// The most bytes that the colour profile can take.
    pub(super) fn profile_bytes(&self) -> u64 {
        let unpacked = self.icc.as_ref().map_or(0, Vec::len) as u64;
        unpacked.max(self.packed_icc_bytes)
    }

    /// Notes a compressed colour profile of this many bytes.
    pub(super) fn found_packed_icc(&mut self, length: u64) {
        self.found("icc");
        self.packed_icc_bytes = length
            .saturating_mul(MOST_INFLATION)
            .min(MAX_ICC_BYTES as u64);
    }

    /// Notes that `kind` was found.
    pub(super) fn found(&mut self, kind: &'static str) {
        if !self.kinds.contains(&kind) {
            self.kinds.push(kind);
        }
    }

    /// Notes an EXIF block and, if it is the first one, obeys its orientation, as browsers do.
    /// `tiff` begins at the TIFF header. A broken block is only noted.
    pub(super) fn found_exif(&mut self, tiff: &[u8]) {
        let orientation = self.found_silent_exif(tiff);
        if !std::mem::replace(&mut self.seen_exif, true) {
            self.orientation = Orientation::from_exif(orientation.unwrap_or_default());
        }
    }

    /// Notes an EXIF block that browsers do not obey. Returns the value of its orientation.
    pub(super) fn found_silent_exif(&mut self, tiff: &[u8]) -> Option<u32> {
        self.found("exif");
        let exif = exif::read(tiff);
        for (found, kind) in [
            (exif.gps, "gps"),
            (exif.thumbnail, "thumbnail"),
            (exif.xmp, "xmp"),
            (exif.iptc, "iptc"),
        ] {
            if found {
                self.found(kind);
            }
        }
        exif.orientation
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::exif_block;
    use super::*;

    #[test]
    fn orientation_and_position_are_read() {
        let mut metadata = Metadata::default();
        metadata.found_exif(&exif_block(6, true));
        assert_eq!(metadata.kinds, ["exif", "gps"]);
        assert_eq!(metadata.orientation, Orientation::from_exif(6));
    }

    #[test]
    fn the_first_block_counts_whatever_it_says() {
        for (first, orientation) in [(&exif_block(6, false)[..], 6), (b"II", 1)] {
            let mut metadata = Metadata::default();
            metadata.found_exif(first);
            metadata.found_exif(&exif_block(3, true));
            assert_eq!(metadata.orientation, Orientation::from_exif(orientation));
            assert_eq!(metadata.kinds, ["exif", "gps"]);
        }
    }

    #[test]
    fn broken_exif_is_noted_and_not_obeyed() {
        let mut metadata = Metadata::default();
        metadata.found_exif(b"II*\0garbage that is no directory");
        assert_eq!(metadata.kinds, ["exif"]);
        assert_eq!(metadata.orientation, Orientation::default());
    }
}
