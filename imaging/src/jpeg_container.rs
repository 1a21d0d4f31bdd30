//! Walks the segments of a JPEG file (ITU T.81 annex B) to its end, without decoding.

use super::container::{Container, Storage};
use super::metadata::{MAX_EXIF_BYTES, MAX_ICC_BYTES, Metadata};
use super::source::Source;
use super::{ImageError, jpeg_restarts};

/// The most scans of a progressive picture. Encoders make about ten. Each one costs a pass over all
/// coefficients, however few bytes it has.
const MAX_SCANS: u32 = 64;

/// The most coefficients that all scans together may visit. One visit takes 4 ns, or 16 ns where
/// every code is a long one.
///
/// Where the data of a scan end early, the decoder goes on with zeros and never reads from the
/// file, so that it cannot be stopped: a file of 1 kB once took 36 s. A full pass over 50 Mpx of
/// four inks makes 210 million visits, and libjpeg's ten scans of a 24 Mpx photograph make 110
/// million.
const MAX_VISITS: u64 = 300_000_000;

/// The most parts in which a colour profile comes: one byte holds their number (ICC.1, annex B.4).
const MAX_ICC_PARTS: usize = 255;

/// What a block costs in each scan, in coefficients.
const VISITS_PER_BLOCK: u64 = 4;

/// The marker at the end of a file.
const END: &[u8] = b"\xff\xd9";

/// Reads everything between the start and the end marker. Where the end marker is missing, decoding
/// tells whether pixels are missing too.
pub(super) fn walk(source: &mut Source) -> Result<Container, ImageError> {
    let mut metadata = Metadata::default();
    let mut icc = IccParts::default();
    let mut frame: Option<FrameHeader> = None;
    let mut scans = 0;
    let mut visits = 0;
    let mut is_cut = false;
    let mut restarts = Restarts::default();
    source.skip(2)?;
    loop {
        let Some(marker) = next_marker(source, scans > 0)? else {
            is_cut = true;
            break;
        };
        match marker {
            0xd9 => break,
            // TEM and a repeated SOI have no body.
            0x01 | 0xd8 => {}
            restart @ 0xd0..=0xd7 => restarts.saw(restart - 0xd0),
            marker => {
                restarts.end_scan();
                let length = u16::from_be_bytes(source.array()?);
                let length = length
                    .checked_sub(2)
                    .ok_or_else(|| ImageError::corrupt("a segment shorter than its length"))?;
                match marker {
                    0xc0..=0xc2 if frame.is_some() => {
                        return Err(ImageError::corrupt("two frame headers"));
                    }
                    0xc0..=0xc2 => {
                        frame = Some(frame_header(marker, &source.bytes(length.into())?)?);
                    }
                    0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                        return Err(rare("a lossless, hierarchical or arithmetic-coded JPEG"));
                    }
                    0xda => {
                        scans += 1;
                        if scans > MAX_SCANS {
                            return Err(ImageError::corrupt("too many scans"));
                        }
                        let header = source.bytes(length.into())?;
                        if let Some(frame) = &mut frame {
                            visits += frame.visits(&header)?;
                            restarts.begin_scan(frame.units(&header));
                        }
                    }
                    0xdd => restarts.announced(&source.bytes(length.into())?)?,
                    0xe0..=0xef | 0xfe => {
                        let body = source.bytes(length.into())?;
                        note_segment(marker, body, &mut metadata, &mut icc)?;
                    }
                    _ => source.skip(length.into())?,
                }
            }
        }
    }
    if scans == 0 {
        return Err(ImageError::corrupt("no scan"));
    }
    if source.remaining() > 0 {
        metadata.found("trailing-data");
    }
    restarts.end_scan();
    let mut side_bytes = icc.seen_bytes;
    metadata.icc = icc.join();
    let frame = frame.ok_or_else(|| ImageError::corrupt("no frame header"))?;
    if is_cut
        && frame
            .known
            .iter()
            .any(|coefficients| *coefficients != u64::MAX)
    {
        return Err(ImageError::corrupt("scans are missing"));
    }
    // Where the file ends too soon, decoding tells whether pixels are missing.
    let restarts_lost = restarts.lost && !is_cut;
    if restarts_lost {
        side_bytes += jpeg_restarts::memory(source.position(), frame.all_blocks());
    }
    let size = (frame.width, frame.height);
    let storage = Storage::Jpeg {
        sampling: frame.sampling,
        progressive: frame.progressive,
    };
    Ok(Container {
        progressive: frame.progressive,
        too_much_work: visits > MAX_VISITS,
        side_bytes,
        end: is_cut.then(|| source.position()),
        lacks: if is_cut { END } else { &[] },
        restarts_lost,
        ..Container::still(size, storage, metadata)
    })
}

/// Counts restart markers.
#[derive(Default)]
struct Restarts {
    /// How many units lie between two of them, as the file announces; 0 for no markers.
    interval: u64,
    /// How many there must be in the scan that is read.
    wanted: u64,
    /// How many were seen in it.
    seen: u64,
    /// Whether one was missing, wrong, or too many.
    lost: bool,
}

impl Restarts {
    fn announced(&mut self, body: &[u8]) -> Result<(), ImageError> {
        let interval = body
            .first_chunk()
            .ok_or_else(|| ImageError::corrupt("a short restart interval"))?;
        self.interval = u16::from_be_bytes(*interval).into();
        Ok(())
    }

    fn begin_scan(&mut self, units: u64) {
        self.wanted = match self.interval {
            0 => 0,
            interval => units.div_ceil(interval).saturating_sub(1),
        };
        self.seen = 0;
    }

    fn saw(&mut self, number: u8) {
        self.lost |= u64::from(number) != self.seen % 8;
        self.seen += 1;
    }

    fn end_scan(&mut self) {
        self.lost |= self.seen != self.wanted;
        (self.seen, self.wanted) = (0, 0);
    }
}

/// The code of the next marker. Fill bytes and entropy-coded data are skipped.
/// `None` where the file ends before it, if it `may_end`.
fn next_marker(source: &mut Source, may_end: bool) -> Result<Option<u8>, ImageError> {
    loop {
        if !source.find(0xff)? {
            return if may_end {
                Ok(None)
            } else {
                Err(ImageError::corrupt("the file ends too soon"))
            };
        }
        // A file that ends within a marker ends before it.
        if may_end && source.remaining() == 1 {
            return Ok(None);
        }
        source.skip(1)?;
        let mut code = source.byte()?;
        while code == 0xff {
            code = source.byte()?;
        }
        if code != 0x00 {
            return Ok(Some(code));
        }
    }
}

struct FrameHeader {
    width: u32,
    height: u32,
    progressive: bool,
    sampling: Vec<(u8, u8)>,
    /// The identifier of each component, in the order of `sampling`.
    identifiers: Vec<u8>,
    /// The coefficients of each component of which the scans so far give every bit, as a set.
    known: Vec<u64>,
}

impl FrameHeader {
    /// How many coefficients a scan with this header visits. Notes which of them are known then.
    fn visits(&mut self, scan: &[u8]) -> Result<u64, ImageError> {
        let short = || ImageError::corrupt("a short scan header");
        let (count, rest) = scan.split_first().ok_or_else(short)?;
        let count = usize::from(*count);
        let (components, _) = rest.as_chunks::<2>();
        let components = components.get(..count).ok_or_else(short)?;
        let (first, last) = match rest.get(count * 2..count * 2 + 2) {
            Some([first, last]) if self.progressive => (u64::from(*first), u64::from(*last)),
            Some(_) => (0, 63),
            None => return Err(short()),
        };
        let lowest_bit = rest.get(count * 2 + 2).map_or(0, |bits| bits & 15);
        let band = (last.min(63) + 1).saturating_sub(first) + VISITS_PER_BLOCK;
        let mut blocks = 0;
        for [identifier, _] in components {
            let number = self
                .identifiers
                .iter()
                .position(|found| found == identifier)
                .ok_or_else(|| ImageError::corrupt("a scan of an unknown component"))?;
            blocks += self.blocks(number);
            if !self.progressive || lowest_bit == 0 {
                for coefficient in first..=last.min(63) {
                    self.known[number] |= 1 << coefficient;
                }
            }
        }
        Ok(blocks * band)
    }

    /// How many units a scan with this header has: those of all components together, or the blocks
    /// of one.
    fn units(&self, scan: &[u8]) -> u64 {
        let most = |factor: fn(&(u8, u8)) -> u8| {
            u64::from(self.sampling.iter().map(factor).max().unwrap_or(1))
        };
        let (across, down) = (most(|(across, _)| *across), most(|(_, down)| *down));
        let (width, height) = (u64::from(self.width), u64::from(self.height));
        let alone = match scan {
            [1, identifier, ..] => self
                .identifiers
                .iter()
                .position(|found| found == identifier),
            _ => None,
        };
        let Some(number) = alone else {
            return width.div_ceil(8 * across) * height.div_ceil(8 * down);
        };
        let (own_across, own_down) = self.sampling[number];
        (width * u64::from(own_across)).div_ceil(across).div_ceil(8)
            * (height * u64::from(own_down)).div_ceil(down).div_ceil(8)
    }

    /// How many blocks of 8 x 8 samples all components have.
    fn all_blocks(&self) -> u64 {
        (0..self.sampling.len())
            .map(|number| self.blocks(number))
            .sum()
    }

    /// How many blocks of 8 x 8 samples a component has.
    fn blocks(&self, number: usize) -> u64 {
        let most = |factor: fn(&(u8, u8)) -> u8| {
            u64::from(self.sampling.iter().map(factor).max().unwrap_or(1))
        };
        let units = u64::from(self.width).div_ceil(8 * most(|(across, _)| *across))
            * u64::from(self.height).div_ceil(8 * most(|(_, down)| *down));
        let (across, down) = self.sampling[number];
        units * u64::from(across) * u64::from(down)
    }
}

fn frame_header(marker: u8, body: &[u8]) -> Result<FrameHeader, ImageError> {
    let [precision, h1, h0, w1, w0, count, components @ ..] = body else {
        return Err(ImageError::corrupt("a short frame header"));
    };
    if *precision != 8 {
        return Err(rare("a JPEG with more than 8 bits a sample"));
    }
    let (components, _) = components.as_chunks::<3>();
    if components.len() != usize::from(*count) || !matches!(count, 1 | 3 | 4) {
        return Err(ImageError::corrupt("a strange number of components"));
    }
    let sampling: Vec<_> = components
        .iter()
        .map(|[_, factors, _]| (factors >> 4, factors & 15))
        .collect();
    if sampling
        .iter()
        .any(|(across, down)| !matches!(across, 1..=4) || !matches!(down, 1..=4))
    {
        return Err(ImageError::corrupt("a strange sampling factor"));
    }
    Ok(FrameHeader {
        width: u16::from_be_bytes([*w1, *w0]).into(),
        height: u16::from_be_bytes([*h1, *h0]).into(),
        progressive: marker == 0xc2,
        sampling,
        identifiers: components
            .iter()
            .map(|[identifier, _, _]| *identifier)
            .collect(),
        known: vec![0; components.len()],
    })
}

fn rare(found: &'static str) -> ImageError {
    ImageError::Unsupported {
        found,
        advice: Some("Please save it again as an ordinary JPEG."),
    }
}

/// Notes what an application or comment segment holds.
fn note_segment(
    marker: u8,
    body: Vec<u8>,
    metadata: &mut Metadata,
    icc: &mut IccParts,
) -> Result<(), ImageError> {
    match marker {
        0xfe => metadata.found("comment"),
        0xe0 if body.starts_with(b"JFXX\0") => metadata.found("thumbnail"),
        // JFIF: version, units, density, then the sides of the thumbnail.
        0xe0 if body.starts_with(b"JFIF\0") => {
            let thumbnail = body
                .get(12..14)
                .map_or(0, |sides| 3 * usize::from(sides[0]) * usize::from(sides[1]));
            if thumbnail > 0 {
                metadata.found("thumbnail");
            }
            if body.len() > 14 + thumbnail {
                metadata.found("app-data");
            }
        }
        0xe1 if body.starts_with(b"Exif\0") => {
            let tiff = body.get(6..).unwrap_or_default();
            if tiff.len() <= MAX_EXIF_BYTES {
                metadata.found_exif(tiff);
            }
        }
        0xe1 if body.starts_with(b"http://ns.adobe.com/") => metadata.found("xmp"),
        0xe2 if body.starts_with(b"ICC_PROFILE\0") => {
            metadata.found("icc");
            icc.push(&body[12..])?;
        }
        0xe2 if body.starts_with(b"MPF\0") => metadata.found("thumbnail"),
        0xed if body.starts_with(b"Photoshop 3.0\0") => note_photoshop(&body[14..], metadata),
        // These 12 bytes say how the components are coded. They tell nothing about who made the
        // picture.
        0xee if body.starts_with(b"Adobe") && body.len() <= 12 => {}
        _ => metadata.found("app-data"),
    }
    Ok(())
}

/// Notes what Photoshop's image resources hold. Each resource is a signature, a number, a name and
/// bytes, padded to even lengths.
fn note_photoshop(mut resources: &[u8], metadata: &mut Metadata) {
    while !resources.is_empty() {
        let [_, _, _, _, high, low, name_length, rest @ ..] = resources else {
            return metadata.found("app-data");
        };
        match u16::from_be_bytes([*high, *low]) {
            0x0404 => metadata.found("iptc"),
            0x0409 | 0x040c => metadata.found("thumbnail"),
            0x040f => metadata.found("icc"),
            0x0422 | 0x0423 => metadata.found("exif"),
            0x0424 => metadata.found("xmp"),
            // The checksum of the IPTC record.
            0x0425 => {}
            _ => metadata.found("app-data"),
        }
        let after_name = usize::from(*name_length | 1);
        let Some(([a, b, c, d], body)) = rest.get(after_name..).and_then(<[u8]>::split_first_chunk)
        else {
            return metadata.found("app-data");
        };
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        // A resource that does not end here goes on in another segment.
        resources = body.get(length.next_multiple_of(2)..).unwrap_or_default();
    }
}

/// A colour profile that is split over several segments (ICC.1, annex B.4).
#[derive(Default)]
struct IccParts {
    /// The number of each part, how many there are by its own word, and its bytes. Of parts that
    /// come twice, the first counts.
    parts: Vec<(u8, u8, Vec<u8>)>,
    /// The size of the parts that are kept.
    held_bytes: usize,
    /// How many parts were seen, kept or not.
    seen: usize,
    /// The size of all parts, also of those that are not kept here, because the decoder keeps them
    /// all.
    seen_bytes: u64,
}

impl IccParts {
    /// Adds a part.
    ///
    /// # Errors
    /// `corrupt` for more parts than can be numbered. Decoders keep each of them, however little is
    /// in it.
    fn push(&mut self, body: &[u8]) -> Result<(), ImageError> {
        self.seen += 1;
        if self.seen > MAX_ICC_PARTS {
            return Err(ImageError::corrupt("a colour profile in too many parts"));
        }
        self.seen_bytes += body.len() as u64;
        if let [number, count, part @ ..] = body
            && self.parts.iter().all(|(found, _, _)| found != number)
            && self.held_bytes + part.len() <= MAX_ICC_BYTES
        {
            self.held_bytes += part.len();
            self.parts.push((*number, *count, part.to_vec()));
        }
        Ok(())
    }

    /// The whole profile, if all parts are there.
    fn join(mut self) -> Option<Vec<u8>> {
        self.parts.sort_by_key(|(number, _, _)| *number);
        let parts = self.parts.len();
        let is_whole = (1..).zip(&self.parts).all(|(wanted, (number, count, _))| {
            usize::from(*number) == wanted && usize::from(*count) == parts
        });
        let profile = self.parts.into_iter().flat_map(|(_, _, part)| part);
        (is_whole && parts > 0).then(|| profile.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{
        OUTPUTS, insert_after_soi, jpeg, jpeg_without_data, segment, write,
    };
    use super::super::{Limits, inspect};
    use super::*;

    #[test]
    fn a_profile_in_more_parts_than_can_be_numbered_is_corrupt() {
        let part = segment(0xe2, b"ICC_PROFILE\0\x01\xff");
        for (parts, is_good) in [(MAX_ICC_PARTS, true), (MAX_ICC_PARTS + 1, false)] {
            let file = insert_after_soi(&jpeg(64, 48), &part.repeat(parts));
            let found = inspect(write(&file).path(), &Limits::default(), &OUTPUTS);
            assert_eq!(found.is_ok(), is_good, "{parts}: {found:?}");
        }
    }

    #[test]
    fn every_kind_of_segment_is_named() {
        let cases: [(u8, &[u8], &[&str]); 14] = [
            (0xe1, b"Exif\0\0", &["exif"]),
            (0xe1, b"http://ns.adobe.com/xap/1.0/\0<x/>", &["xmp"]),
            (0xe2, b"ICC_PROFILE\0\x01\x01broken", &["icc"]),
            (0xe2, b"MPF\0MM\0*", &["thumbnail"]),
            (
                0xed,
                b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x03abc\08BIM\x04\x0c\x02me\0\0\0\0\x01x\0",
                &["iptc", "thumbnail"],
            ),
            (
                0xed,
                b"Photoshop 3.0\x008BIM\x04\x04\0\0\xff\xff\xff\xffabc",
                &["iptc"],
            ),
            (0xed, b"Photoshop 3.0\x008BIM", &["app-data"]),
            (0xe0, b"JFXX\0\x10", &["thumbnail"]),
            (0xfe, b"taken at home", &["comment"]),
            (0xe5, b"maker", &["app-data"]),
            (0xe0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0", &[]),
            (0xee, b"Adobe\0\x64\0\0\0\0\x01", &[]),
            (0xee, b"Adobe\0\x64\0\0\0\0\x01words", &["app-data"]),
            (0xe0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0words", &["app-data"]),
        ];
        for (marker, body, expected) in cases {
            let file = insert_after_soi(&jpeg(64, 48), &segment(marker, body));
            let found =
                inspect(write(&file).path(), &Limits::default(), &OUTPUTS).expect("a good picture");
            assert_eq!(found.stripped, expected, "segment {marker:x}");
        }
    }

    #[test]
    fn bytes_after_the_end_are_noted() {
        let mut file = jpeg(64, 48);
        file.extend_from_slice(b"a hidden film");
        let found =
            inspect(write(&file).path(), &Limits::default(), &OUTPUTS).expect("a good picture");
        assert_eq!(found.stripped, ["trailing-data"]);
    }

    #[test]
    fn a_scan_bomb_is_corrupt() {
        let mut file = jpeg(64, 48);
        file.truncate(file.len() - 2);
        for _ in 0..MAX_SCANS {
            file.extend_from_slice(&segment(0xda, &[1, 1, 0, 0, 63, 0]));
        }
        file.extend_from_slice(b"\xff\xd9");
        let result = inspect(write(&file).path(), &Limits::default(), &OUTPUTS);
        assert!(matches!(result, Err(ImageError::Corrupt { .. })));
    }

    #[test]
    fn scans_are_bounded_by_what_they_cost_together() {
        // Encoders make six scans of 35 Mpx. Many more are a bomb, and so are a few of the largest
        // size.
        for (size, components, progressive, scans, taken) in [
            ((7000, 5000), 1, true, 6, true),
            ((7000, 5000), 1, true, 40, false),
            ((400, 300), 3, true, 64, true),
            ((7000, 7000), 4, false, 1, true),
            ((7000, 7000), 4, false, 2, false),
        ] {
            let file = jpeg_without_data(size, components, progressive, scans);
            let result = inspect(write(&file).path(), &Limits::default(), &OUTPUTS);
            assert_eq!(result.is_ok(), taken, "{scans} scans: {result:?}");
            assert!(matches!(
                result,
                Ok(_) | Err(ImageError::TooManyPixels { .. })
            ));
        }
    }

    #[test]
    fn a_profile_of_any_length_counts_as_memory() {
        let part = segment(
            0xe2,
            &[&b"ICC_PROFILE\0\x01\x01"[..], &[0; 60_000]].concat(),
        );
        let file = insert_after_soi(&jpeg(64, 48), &part.repeat(200));
        let found =
            inspect(write(&file).path(), &Limits::default(), &OUTPUTS).expect("a good picture");
        assert!(found.working_bytes > 12_000_000);
    }

    #[test]
    fn a_scan_of_what_is_not_there_is_corrupt() {
        for scan in [&[][..], &[1], &[1, 7, 0, 0, 63, 0], &[2, 1, 0, 0, 63, 0]] {
            let mut file = jpeg(64, 48);
            file.truncate(file.len() - 2);
            file.extend(segment(0xda, scan));
            file.extend_from_slice(b"\xff\xd9");
            let result = inspect(write(&file).path(), &Limits::default(), &OUTPUTS);
            assert!(
                matches!(result, Err(ImageError::Corrupt { .. })),
                "{scan:?}: {result:?}"
            );
        }
    }

    #[test]
    fn lossless_jpeg_is_unsupported() {
        let mut file = jpeg(64, 48);
        let at = file
            .windows(2)
            .position(|pair| pair == [0xff, 0xc0])
            .expect("a baseline frame header");
        file[at + 1] = 0xc3;
        let result = inspect(write(&file).path(), &Limits::default(), &OUTPUTS);
        assert!(matches!(result, Err(ImageError::Unsupported { .. })));
    }
}
