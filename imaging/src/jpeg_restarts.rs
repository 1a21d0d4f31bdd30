//! Puts the restart markers of a JPEG file back in order where some were lost.
//!
//! An encoder may begin anew after every so many MCUs of a scan and mark each such interval with
//! the next of eight restart markers (ITU T.81, E.1.4). Where a marker is lost, the interval behind
//! it is: browsers show it gray and are right again from the next marker on. Our decoder gives up
//! instead, so this rewrites the file to one in which every interval has its marker and nothing is
//! left over between two of them. Which interval a restart marker begins is decided as libjpeg
//! decides it, because that is what browsers use. Unlike libjpeg this refuses bytes between two
//! segments, takes every other marker for the end of the scan, and knows no tables but the file's.

mod huffman;
mod scan;

use std::ops::Range;
use std::time::Instant;

use self::huffman::{HuffmanTable, with_eob};
use self::scan::{Bound, Frame, Scan};
use super::ImageError;
use super::container::Container;

/// The most bytes by which a file may grow. A block that is lost takes a byte or two in each scan.
const MOST_GROWTH: usize = 8 << 20;

/// Rewrites a file without the two bytes that begin it, behind `out`.
///
/// `container` is what the walk through the file has found, by which its memory was estimated. So
/// that no hidden header can lead the decoder to another picture, this takes nothing that the walk
/// would have skipped, and writes only the segments that it has read and the decoder needs.
///
/// # Errors
/// [`ImageError::Corrupt`] where the scans cannot be followed, or lack a code that is needed to say
/// that nothing is there, or where the frame is not that of `container`; [`ImageError::TimedOut`].
pub(super) fn mend(
    file: &[u8],
    container: &Container,
    mut out: Vec<u8>,
    deadline: Instant,
) -> Result<Vec<u8>, ImageError> {
    out.reserve(file.len());
    let mut mending = Mending {
        file,
        container,
        at: 2,
        out,
        tables: [const { None }; 8],
        interval: 0,
        frame: None,
        deadline,
    };
    while mending.segment()? {}
    Ok(mending.out)
}

/// The most bytes that mending takes of a file of so many bytes with so many blocks: the file, what
/// it becomes while its buffer grows, and a set for each block.
pub(super) fn memory(bytes: u64, blocks: u64) -> u64 {
    4 * bytes + 2 * MOST_GROWTH as u64 + 8 * blocks
}

fn broken() -> ImageError {
    ImageError::corrupt("restart markers are lost, and what is left cannot be followed")
}

struct Mending<'a> {
    file: &'a [u8],
    container: &'a Container,
    /// Where the next segment begins.
    at: usize,
    out: Vec<u8>,
    /// The Huffman tables: four for DC coefficients, then four for AC coefficients.
    tables: [Option<HuffmanTable>; 8],
    /// How many MCUs an interval has, or 0 where there are no intervals.
    interval: usize,
    frame: Option<Frame>,
    deadline: Instant,
}

impl<'a> Mending<'a> {
    /// Copies the next segment, and the data behind it if it begins a scan. Says false at the end.
    fn segment(&mut self) -> Result<bool, ImageError> {
        while self.file.get(self.at..self.at + 2) == Some(&[0xff, 0xff]) {
            self.at += 1;
        }
        let marker = match self.file.get(self.at..self.at + 2) {
            Some([0xff, marker]) => *marker,
            Some(_) => return Err(broken()),
            None => return Ok(false),
        };
        match marker {
            0xd9 => {
                self.out.extend([0xff, marker]);
                return Ok(false);
            }
            0x01 | 0xd8 => {
                self.at += 2;
                return Ok(true);
            }
            // They have no length. The walk looks for the next marker behind them.
            0x00 | 0xd0..=0xd7 => return Err(broken()),
            _ => {}
        }
        let length = self.file.get(self.at + 2..).and_then(<[u8]>::first_chunk);
        let length = u16::from_be_bytes(*length.ok_or_else(broken)?);
        let end = self.at + 2 + usize::from(length);
        let body = self.file.get(self.at + 4..end).ok_or_else(broken)?;
        let segment = &self.file[self.at..end];
        self.at = end;
        match marker {
            0xc4 => self.tables(body)?,
            0xc0..=0xc2 => {
                let mut frame = Frame::read(marker == 0xc2, body)?;
                if self.frame.is_some() || !frame.is_of(self.container) {
                    return Err(broken());
                }
                frame.begin();
                self.out.extend(segment);
                self.frame = Some(frame);
            }
            0xda => {
                self.out.extend(segment);
                self.scan(body)?;
            }
            0xdd => {
                let interval = body.first_chunk().ok_or_else(broken)?;
                self.interval = u16::from_be_bytes(*interval).into();
                self.out.extend(segment);
            }
            // Quantization tables, and what says which colours the components are.
            0xdb | 0xe0 | 0xee => self.out.extend(segment),
            _ => {}
        }
        Ok(true)
    }

    /// Copies Huffman tables, each with a code for [`EOB`].
    fn tables(&mut self, mut body: &[u8]) -> Result<(), ImageError> {
        while let Some((kind, rest)) = body.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>().ok_or_else(broken)?;
            let many = counts.iter().map(|count| usize::from(*count)).sum();
            let (symbols, rest) = rest.split_at_checked(many).ok_or_else(broken)?;
            let place = usize::from(kind >> 4) * 4 + usize::from(kind & 3);
            let table = self.tables.get_mut(place).ok_or_else(broken)?;
            let (counts, symbols) = with_eob(*counts, symbols.to_vec());
            let length = 19 + symbols.len() as u16;
            self.out.extend([0xff, 0xc4]);
            self.out.extend(length.to_be_bytes());
            self.out.push(*kind);
            self.out.extend(counts);
            self.out.extend(&symbols);
            *table = Some(HuffmanTable::new(counts, symbols));
            body = rest;
        }
        Ok(())
    }

    /// Rewrites the data of a scan with this header.
    fn scan(&mut self, header: &'a [u8]) -> Result<(), ImageError> {
        let frame = self.frame.as_mut().ok_or_else(broken)?;
        let mut scan = Scan::read(header, frame, &self.tables)?;
        let mut parts = Parts::of_scan(self.file, self.at);
        let interval = match self.interval {
            0 => scan.mcus,
            interval => interval,
        };
        let bound = Bound {
            bytes: self.file.len() + MOST_GROWTH,
            deadline: self.deadline,
        };
        for first in (0..scan.mcus).step_by(interval.max(1)) {
            if first > 0 {
                let number = (first / interval - 1) % 8;
                self.out.extend([0xff, 0xd0 + number as u8]);
                parts.restart(number as u8);
            }
            let mcus = first..scan.mcus.min(first + interval);
            let bytes = parts.take().map(|part| &self.file[part]);
            scan.interval(mcus, bytes, &mut frame.components, &mut self.out, &bound)?;
        }
        while parts.marker.is_some() {
            parts.advance();
        }
        self.at = parts.part.end;
        Ok(())
    }
}

/// Finds the parts of a scan that lie between two restart markers.
struct Parts<'a> {
    file: &'a [u8],
    part: Range<usize>,
    /// Whether an interval has been read from this part.
    is_used: bool,
    /// The number of the restart marker behind this part; `None` where the scan ends.
    marker: Option<u8>,
    /// Where the part behind that marker begins.
    next: usize,
}

impl<'a> Parts<'a> {
    fn of_scan(file: &'a [u8], start: usize) -> Self {
        let mut parts = Self {
            file,
            part: start..start,
            is_used: false,
            marker: None,
            next: start,
        };
        parts.advance();
        parts
    }

    fn advance(&mut self) {
        let (start, mut at) = (self.next, self.next);
        self.is_used = false;
        loop {
            let found = self.file[at..].iter().position(|byte| *byte == 0xff);
            let marker = found.map_or(self.file.len(), |found| at + found);
            let mut code = marker + 1;
            while self.file.get(code) == Some(&0xff) {
                code += 1;
            }
            self.part = start..marker;
            self.next = code + 1;
            match self.file.get(code) {
                Some(0) => at = code + 1,
                Some(code @ 0xd0..=0xd7) => {
                    self.marker = Some(code - 0xd0);
                    return;
                }
                Some(_) | None => {
                    self.marker = None;
                    return;
                }
            }
        }
    }

    /// Goes on to where the interval behind this restart marker begins, by libjpeg's rules: a
    /// marker that is one or two ahead is waited for; one that is one or two behind is skipped; any
    /// other is taken for the right one.
    fn restart(&mut self, wanted: u8) {
        while let Some(found) = self.marker {
            let ahead = found.wrapping_sub(wanted) % 8;
            if matches!(ahead, 1 | 2) {
                return;
            }
            self.advance();
            if !matches!(ahead, 6 | 7) {
                return;
            }
            // What lies behind a skipped marker is skipped too.
            self.is_used = true;
        }
    }

    /// Where the next interval is; `None` where it is lost.
    fn take(&mut self) -> Option<Range<usize>> {
        let is_lost = std::mem::replace(&mut self.is_used, true);
        (!is_lost).then(|| self.part.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

    use super::super::jpeg_container;
    use super::super::samples::{OUTPUTS, gradient, write};
    use super::super::source::Source;
    use super::super::{Limits, decode_still, inspect};
    use super::*;

    const WIDTH: u32 = 96;
    const HEIGHT: u32 = 64;

    /// A picture with a restart marker behind each row of blocks.
    fn rows(progressive: bool) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = Encoder::new(&mut file, 90);
        encoder.set_sampling_factor(SamplingFactor::R_4_4_4);
        encoder.set_restart_interval(u16::try_from(WIDTH / 8).expect("fits"));
        encoder.set_progressive(progressive);
        let picture = gradient(WIDTH, HEIGHT);
        let (width, height) = (WIDTH as u16, HEIGHT as u16);
        encoder
            .encode(&picture.rgb, width, height, ColorType::Rgb)
            .expect("encodes");
        file
    }

    /// Where the restart markers with this number are.
    fn markers(file: &[u8], number: u8) -> Vec<usize> {
        let pairs = file.windows(2).enumerate();
        pairs
            .filter_map(|(at, pair)| (pair == [0xff, 0xd0 + number]).then_some(at))
            .collect()
    }

    fn walked(file: &[u8]) -> Container {
        let file = write(file);
        let mut source = Source::open(file.path()).expect("opens");
        jpeg_container::walk(&mut source).expect("is whole")
    }

    /// The rows of blocks, each with its pixels.
    fn decoded(file: &[u8]) -> Vec<Vec<u8>> {
        let file = write(file);
        let inspected = inspect(file.path(), &Limits::default(), &OUTPUTS).expect("a good picture");
        let deadline = Instant::now() + Duration::from_secs(20);
        let picture = decode_still(file.path(), &inspected, deadline).expect("decodes");
        let row = WIDTH as usize * 8 * 3;
        picture.rgb.chunks(row).map(<[u8]>::to_vec).collect()
    }

    #[test]
    fn a_row_behind_a_lost_marker_is_gray_and_the_others_are_as_they_were() {
        for progressive in [false, true] {
            let whole = rows(progressive);
            let expected = decoded(&whole);
            let mut lost = whole.clone();
            for at in markers(&whole, 2).into_iter().rev() {
                lost.drain(at..at + 2);
            }
            for (number, (row, expected)) in decoded(&lost).iter().zip(&expected).enumerate() {
                if number == 3 {
                    // What is left of the first block says nothing.
                    let gray = row.chunks(3).filter(|pixel| *pixel == [128; 3]).count();
                    assert!(gray >= row.len() / 3 * 8 / 10, "{gray}");
                } else {
                    assert_eq!(row, expected, "row {number}");
                }
            }
        }
    }

    fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len() + 2).expect("is short");
        [&[0xff, marker][..], &length.to_be_bytes(), body].concat()
    }

    fn frame_of(side: u16, components: &[u8]) -> Vec<u8> {
        let side = side.to_be_bytes();
        let count = [components.len() as u8];
        let parts = components.iter().flat_map(|number| [*number, 0x11, 0]);
        segment(
            0xc2,
            &[&[8][..], &side, &side, &count, &parts.collect::<Vec<_>>()].concat(),
        )
    }

    /// A file whose header is hidden from whoever looks for the next marker behind `0xff00`, and in
    /// the way of whoever takes that for a segment.
    fn with_hidden_frame() -> Vec<u8> {
        let (real, hidden) = (frame_of(64, &[1, 2, 3]), frame_of(8000, &[1, 2, 3]));
        let comment = [&[0, 0][..], &hidden, &[0xff, 0xfe, 0, 40]].concat();
        [
            &[0xff, 0xd8, 0xff, 0, 0, 8][..],
            &segment(0xfe, &comment),
            &real,
            &segment(0xdb, &[&[0][..], &[1; 64]].concat()),
            &segment(0xc4, &[&[0, 1][..], &[0; 16]].concat()),
            &segment(0xc4, &[&[0x10, 1][..], &[0; 16]].concat()),
            &segment(0xda, &[1, 1, 0, 1, 5, 0]),
            &[0, 0xff, 0xd0, 0xff, 0xd9],
        ]
        .concat()
    }

    #[test]
    fn a_file_that_can_be_read_in_two_ways_is_refused() {
        let file = with_hidden_frame();
        let container = walked(&file);
        assert_eq!((container.width, container.restarts_lost), (64, true));
        let deadline = Instant::now() + Duration::from_secs(20);
        assert!(mend(&file, &container, Vec::new(), deadline).is_err());
        // Nor does another frame pass, whatever way it came in.
        let whole = rows(true);
        let other = Container {
            height: HEIGHT * 2,
            ..walked(&whole)
        };
        assert!(mend(&whole, &other, Vec::new(), deadline).is_err());
    }

    #[test]
    fn a_scan_of_no_coefficient_cannot_make_a_file_grow() {
        let nothing = segment(0xda, &[1, 1, 0, 5, 3, 0]);
        let file = [
            &[0xff, 0xd8][..],
            &frame_of(5600, &[1]),
            &segment(0xc4, &[&[0x10, 1][..], &[0; 16]].concat()),
            &segment(0xdd, &[0, 1]),
            &nothing.repeat(64),
            &[0xff, 0xd9],
        ]
        .concat();
        let container = walked(&file);
        let deadline = Instant::now() + Duration::from_secs(20);
        assert!(mend(&file, &container, Vec::new(), deadline).is_err());
    }

    #[test]
    fn markers_with_wrong_numbers_and_bytes_before_them_change_nothing() {
        let whole = rows(false);
        let expected = decoded(&whole);
        let mut strange = whole.clone();
        for number in [5, 1] {
            let at = markers(&strange, number)[0];
            strange[at + 1] = 0xd0 + (number + 4) % 8;
            strange.splice(at..at, [0x12; 40]);
        }
        assert!(decoded(&strange) == expected);
    }

    #[test]
    fn a_whole_file_is_mended_to_one_with_the_same_pixels() {
        for progressive in [false, true] {
            let whole = rows(progressive);
            let deadline = Instant::now() + Duration::from_secs(20);
            let container = walked(&whole);
            let mended = mend(&whole, &container, vec![0xff, 0xd8], deadline).expect("is whole");
            assert!(decoded(&mended) == decoded(&whole));
        }
    }

    #[test]
    fn a_file_that_is_cut_is_refused_all_the_same() {
        let whole = rows(false);
        let cut = write(&whole[..markers(&whole, 5)[0]]);
        let inspected = inspect(cut.path(), &Limits::default(), &OUTPUTS).expect("has a header");
        let deadline = Instant::now() + Duration::from_secs(20);
        let result = decode_still(cut.path(), &inspected, deadline);
        assert!(matches!(result, Err(ImageError::Corrupt { .. })));
    }
}
