//! What a container carries besides pixels: what we tell the sender was stripped, and the two things we obey (orientation and colour profile).

use exif::{In, Tag, Value};

use super::orientation::Orientation;

/// Longest EXIF block that is parsed, in bytes; longer ones are stripped unread.
pub(super) const MAX_EXIF_BYTES: usize = 1 << 20;

/// Longest colour profile that is obeyed, in bytes. Print profiles reach about 2 MB.
pub(super) const MAX_ICC_BYTES: usize = 4 << 20;

/// Everything found that is not a pixel.
#[derive(Default)]
pub(super) struct Metadata {
    /// Kinds found, each once, in the order found.
    pub(super) kinds: Vec<&'static str>,
    /// How the stored pixels must be turned.
    pub(super) orientation: Orientation,
    /// The colour profile, unchecked.
    pub(super) icc: Option<Vec<u8>>,
}

impl Metadata {
    /// Notes that `kind` was found.
    pub(super) fn found(&mut self, kind: &'static str) {
        if !self.kinds.contains(&kind) {
            self.kinds.push(kind);
        }
    }

    /// Notes an EXIF block and obeys its orientation. `tiff` begins at the TIFF header; a broken block is only noted.
    pub(super) fn found_exif(&mut self, tiff: Vec<u8>) {
        self.found("exif");
        let parsed = exif::Reader::new()
            .continue_on_error(true)
            .read_raw(tiff)
            .or_else(|error| error.distill_partial_result(|_| ()));
        let Ok(exif) = parsed else { return };
        if let Some(field) = exif.get_field(Tag::Orientation, In::PRIMARY)
            && let Some(value) = field.value.get_uint(0)
        {
            self.orientation = Orientation::from_exif(value);
        }
        if exif
            .fields()
            .any(|field| field.tag.context() == exif::Context::Gps)
        {
            self.found("gps");
        }
        if exif.fields().any(|field| field.ifd_num == In::THUMBNAIL) {
            self.found("thumbnail");
        }
        // Lightroom and others put an XMP packet or IPTC record into TIFF tags 700 and 33723.
        for (number, kind) in [(700, "xmp"), (33_723, "iptc")] {
            let tag = Tag(exif::Context::Tiff, number);
            if exif.get_field(tag, In::PRIMARY).is_some_and(
                |field| !matches!(&field.value, Value::Byte(bytes) if bytes.is_empty()),
            ) {
                self.found(kind);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::exif_block;
    use super::*;

    #[test]
    fn orientation_and_position_are_read() {
        let mut metadata = Metadata::default();
        metadata.found_exif(exif_block(6, true));
        assert_eq!(metadata.kinds, ["exif", "gps"]);
        assert_eq!(metadata.orientation, Orientation::from_exif(6));
    }

    #[test]
    fn broken_exif_is_noted_and_not_obeyed() {
        let mut metadata = Metadata::default();
        metadata.found_exif(b"II*\0garbage that is no directory".to_vec());
        assert_eq!(metadata.kinds, ["exif"]);
        assert_eq!(metadata.orientation, Orientation::default());
    }
}
