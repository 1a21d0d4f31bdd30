//! Reads the few things that are needed from an EXIF block (CIPA DC-008; TIFF 6.0): which way is
//! up, and whether it holds a position, a thumbnail, or other kinds of metadata.
//!
//! This is not left to a library, because entries may all point at the same bytes: a reader that
//! makes a value of each turns 64 kB of EXIF into 2 GB. Here every directory is read once, nothing
//! is copied, and nothing beyond the block is read.

/// The TIFF tag that says how the picture is turned.
const ORIENTATION: u16 = 0x0112;
/// The tag that says where the GPS directory is.
const GPS_DIRECTORY: u16 = 0x8825;
/// Lightroom and others put an XMP packet or an IPTC record into these two tags.
const XMP: u16 = 700;
const IPTC: u16 = 33_723;

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Exif {
    /// The value of the orientation tag, if it is a number of two bytes.
    pub(super) orientation: Option<u32>,
    pub(super) gps: bool,
    pub(super) thumbnail: bool,
    pub(super) xmp: bool,
    pub(super) iptc: bool,
}

/// Reads a block that begins at the TIFF header. A broken block gives what stands before the break.
pub(super) fn read(block: &[u8]) -> Exif {
    let mut exif = Exif::default();
    let little = match block.get(..4) {
        Some(b"II*\0") => true,
        Some(b"MM\0*") => false,
        _ => return exif,
    };
    let tiff = Tiff { block, little };
    let Some((entries, next)) = tiff.u32(4).and_then(|at| tiff.directory(at)) else {
        return exif;
    };
    for entry in entries {
        match tiff.u16(entry) {
            Some(ORIENTATION) if exif.orientation.is_none() => {
                exif.orientation = tiff.number(entry);
            }
            Some(GPS_DIRECTORY) => exif.gps |= tiff.leads_to_entries(tiff.u32(entry + 8)),
            Some(XMP) => exif.xmp |= tiff.u32(entry + 4) > Some(0),
            Some(IPTC) => exif.iptc |= tiff.u32(entry + 4) > Some(0),
            _ => {}
        }
    }
    // The second directory describes the thumbnail.
    exif.thumbnail = tiff.leads_to_entries(next);
    exif
}

struct Tiff<'a> {
    block: &'a [u8],
    little: bool,
}

impl Tiff<'_> {
    /// Where the complete entries of the directory at `at` stand, and where the next directory is
    /// said to be.
    fn directory(&self, at: u32) -> Option<(impl Iterator<Item = usize>, Option<u32>)> {
        let at = usize::try_from(at).ok()?;
        let count = usize::from(self.u16(at)?);
        let whole = self.block.len().saturating_sub(at + 2) / 12;
        let first = at + 2;
        let entries = (0..count.min(whole)).map(move |number| first + number * 12);
        Some((entries, self.u32(first + count * 12)))
    }

    /// True where a directory with at least one entry stands at this place.
    fn leads_to_entries(&self, at: Option<u32>) -> bool {
        at.filter(|at| *at > 0)
            .and_then(|at| self.directory(at))
            .is_some_and(|(mut entries, _)| entries.next().is_some())
    }

    /// The value of an entry that holds one number of two bytes. Browsers take no other kind.
    fn number(&self, entry: usize) -> Option<u32> {
        let is_number = self.u16(entry + 2)? == 3 && self.u32(entry + 4)? == 1;
        is_number
            .then(|| self.u16(entry + 8))
            .flatten()
            .map(u32::from)
    }

    fn u16(&self, at: usize) -> Option<u16> {
        let bytes = self.block.get(at..at + 2)?.try_into().ok()?;
        Some(if self.little {
            u16::from_le_bytes(bytes)
        } else {
            u16::from_be_bytes(bytes)
        })
    }

    fn u32(&self, at: usize) -> Option<u32> {
        let bytes = self.block.get(at..at + 4)?.try_into().ok()?;
        Some(if self.little {
            u32::from_le_bytes(bytes)
        } else {
            u32::from_be_bytes(bytes)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::exif_block;
    use super::*;

    /// A big-endian block of one directory with these entries (tag, kind, count, value), then a
    /// second directory with one entry.
    fn block(entries: &[(u16, u16, u32, [u8; 4])]) -> Vec<u8> {
        let mut block = b"MM\0*\0\0\0\x08".to_vec();
        block.extend((entries.len() as u16).to_be_bytes());
        for (tag, kind, count, value) in entries {
            block.extend(tag.to_be_bytes());
            block.extend(kind.to_be_bytes());
            block.extend(count.to_be_bytes());
            block.extend(value);
        }
        let second = block.len() as u32 + 4;
        block.extend(second.to_be_bytes());
        block.extend(b"\0\x01\x01\x03\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0");
        block
    }

    #[test]
    fn orientation_position_thumbnail_and_packets_are_found() {
        let found = read(&block(&[
            (ORIENTATION, 3, 1, [0, 6, 0, 0]),
            (XMP, 1, 5, [0, 0, 0, 8]),
            (IPTC, 7, 3, [1, 2, 3, 0]),
            // Any directory will do as the one of the position; here it is the block's own.
            (GPS_DIRECTORY, 4, 1, [0, 0, 0, 8]),
        ]));
        assert_eq!(
            found,
            Exif {
                orientation: Some(6),
                gps: true,
                thumbnail: true,
                xmp: true,
                iptc: true,
            }
        );
        assert_eq!(
            read(&exif_block(3, false)),
            Exif {
                orientation: Some(3),
                ..Exif::default()
            }
        );
    }

    #[test]
    fn one_number_of_two_bytes_is_read_and_nothing_else() {
        for (kind, value, expected) in [
            (1, [8, 0, 0, 0], None),
            (3, [0, 8, 0, 0], Some(8)),
            (4, [0, 0, 0, 8], None),
            (2, [8, 0, 0, 0], None),
        ] {
            let found = read(&block(&[(ORIENTATION, kind, 1, value)]));
            assert_eq!(found.orientation, expected, "kind {kind}");
        }
        assert_eq!(
            read(&block(&[(ORIENTATION, 3, 0, [0, 8, 0, 0])])).orientation,
            None
        );
    }

    #[test]
    fn a_block_cut_anywhere_gives_what_is_left_of_it() {
        let whole = block(&[
            (ORIENTATION, 3, 1, [0, 6, 0, 0]),
            (GPS_DIRECTORY, 4, 1, [0xff; 4]),
        ]);
        for keep in 0..whole.len() {
            let found = read(&whole[..keep]);
            assert_eq!(found.orientation, (keep >= 22).then_some(6), "{keep} bytes");
            assert!(!found.gps);
        }
    }

    #[test]
    fn entries_that_all_point_at_the_same_bytes_cost_nothing() {
        let entry = (0x9286, 2, 900_000, [0, 0, 0, 8]);
        let mut bomb = block(&vec![entry; 60_000]);
        bomb.resize(1 << 20, 0);
        assert_eq!(read(&bomb).orientation, None);
    }
}
