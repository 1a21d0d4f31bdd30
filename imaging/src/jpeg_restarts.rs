//! Puts the restart markers of a JPEG file back in order where some were lost.
//!
//! An encoder may begin anew after every so many units of a scan and mark each such interval with
//! the next of eight restart markers (ITU T.81, E.1.4). Where a marker is lost, the interval behind
//! it is: browsers show it gray and are right again from the next marker on. Our decoder gives up
//! instead, so this rewrites the file to one in which every interval has its marker and nothing is
//! left over between two of them. Which interval a marker begins is decided as libjpeg decides it,
//! because that is what browsers use.

use std::ops::Range;
use std::time::Instant;

use super::ImageError;
use super::error::check_deadline;

/// The most bytes by which a file may grow. A block that is lost takes a byte or two in each scan.
const MOST_GROWTH: usize = 8 << 20;

/// The symbol that ends a block, and the one for a difference of zero.
const NOTHING: u8 = 0;

/// Rewrites a file without the two bytes that begin it, behind `out`.
///
/// # Errors
/// [`ImageError::Corrupt`] where the scans cannot be followed, or lack a code that is needed to say
/// that nothing is there; [`ImageError::TimedOut`].
pub(super) fn mend(
    file: &[u8],
    mut out: Vec<u8>,
    deadline: Instant,
) -> Result<Vec<u8>, ImageError> {
    out.reserve(file.len());
    let mut mending = Mending {
        file,
        at: 2,
        out,
        codes: [const { None }; 8],
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
    /// Where the next segment begins.
    at: usize,
    out: Vec<u8>,
    /// The tables of codes: four for differences, then four for the other coefficients.
    codes: [Option<Codes>; 8],
    /// How many units an interval has, or 0 where there are no intervals.
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
            _ => {}
        }
        let length = self.file.get(self.at + 2..).and_then(<[u8]>::first_chunk);
        let length = u16::from_be_bytes(*length.ok_or_else(broken)?);
        let end = self.at + 2 + usize::from(length);
        let body = self.file.get(self.at + 4..end).ok_or_else(broken)?;
        let segment = &self.file[self.at..end];
        self.at = end;
        if marker == 0xc4 {
            self.codes(body)?;
            return Ok(true);
        }
        self.out.extend(segment);
        match marker {
            0xc0..=0xc2 => self.frame = Some(Frame::read(marker == 0xc2, body)?),
            0xda => self.scan(body)?,
            0xdd => {
                let interval = body.first_chunk().ok_or_else(broken)?;
                self.interval = u16::from_be_bytes(*interval).into();
            }
            _ => {}
        }
        Ok(true)
    }

    /// Copies tables of codes, each with a code for [`NOTHING`].
    fn codes(&mut self, mut body: &[u8]) -> Result<(), ImageError> {
        while let Some((kind, rest)) = body.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>().ok_or_else(broken)?;
            let many = counts.iter().map(|count| usize::from(*count)).sum();
            let (symbols, rest) = rest.split_at_checked(many).ok_or_else(broken)?;
            let place = usize::from(kind >> 4) * 4 + usize::from(kind & 3);
            let codes = self.codes.get_mut(place).ok_or_else(broken)?;
            let (counts, symbols) = with_nothing(*counts, symbols.to_vec());
            let length = 19 + symbols.len() as u16;
            self.out.extend([0xff, 0xc4]);
            self.out.extend(length.to_be_bytes());
            self.out.push(*kind);
            self.out.extend(counts);
            self.out.extend(&symbols);
            *codes = Some(Codes::new(counts, symbols));
            body = rest;
        }
        Ok(())
    }

    /// Rewrites the data of a scan with this header.
    fn scan(&mut self, header: &'a [u8]) -> Result<(), ImageError> {
        let frame = self.frame.as_mut().ok_or_else(broken)?;
        let mut scan = Scan::read(header, frame, &self.codes)?;
        let mut parts = Parts::of_scan(self.file, self.at);
        let interval = match self.interval {
            0 => scan.units,
            interval => interval,
        };
        for first in (0..scan.units).step_by(interval.max(1)) {
            check_deadline(self.deadline)?;
            if first > 0 {
                let number = (first / interval - 1) % 8;
                self.out.extend([0xff, 0xd0 + number as u8]);
                parts.restart(number as u8);
            }
            let units = first..scan.units.min(first + interval);
            let bytes = parts.take().map(|part| &self.file[part]);
            scan.interval(units, bytes, &mut frame.components, &mut self.out)?;
            if self.out.len() > self.file.len() + MOST_GROWTH {
                return Err(broken());
            }
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

/// What a frame header says.
struct Frame {
    progressive: bool,
    components: Vec<Component>,
    /// How many units the picture has, of all components.
    units: usize,
}

struct Component {
    identifier: u8,
    /// How many blocks of it a unit of all components has.
    in_unit: usize,
    /// How many blocks it has in a scan of its own.
    alone: usize,
    /// For each of these blocks the coefficients that are not zero, as a set. Only what refines a
    /// progressive file needs it.
    known: Vec<u64>,
}

impl Frame {
    fn read(progressive: bool, body: &[u8]) -> Result<Self, ImageError> {
        let [_, h1, h0, w1, w0, _, components @ ..] = body else {
            return Err(broken());
        };
        let side = |high: &u8, low: &u8| usize::from(u16::from_be_bytes([*high, *low]));
        let (width, height) = (side(w1, w0), side(h1, h0));
        let (components, _) = components.as_chunks::<3>();
        let factors = |[_, factors, _]: &[u8; 3]| {
            let (across, down) = (factors >> 4, factors & 15);
            (usize::from(across.max(1)), usize::from(down.max(1)))
        };
        let most = |factors: &mut dyn Iterator<Item = usize>| factors.max().unwrap_or(1);
        let across = most(&mut components.iter().map(|component| factors(component).0));
        let down = most(&mut components.iter().map(|component| factors(component).1));
        let component = |component: &[u8; 3]| {
            let (own_across, own_down) = factors(component);
            let alone = (width * own_across).div_ceil(across).div_ceil(8)
                * (height * own_down).div_ceil(down).div_ceil(8);
            Component {
                identifier: component[0],
                in_unit: own_across * own_down,
                alone,
                known: vec![0; if progressive { alone } else { 0 }],
            }
        };
        Ok(Self {
            progressive,
            components: components.iter().map(component).collect(),
            units: width.div_ceil(8 * across) * height.div_ceil(8 * down),
        })
    }
}

/// What a scan says of each block (ITU T.81, G.1.2).
#[derive(Clone, Copy)]
enum Pass {
    /// All coefficients.
    Whole,
    /// The upper bits of the first coefficient, as the difference from the block before.
    Differences,
    /// One more bit of the first coefficient.
    MoreOfDifferences,
    /// The upper bits of the coefficients from the first to the second of these.
    Others(u8, u8),
    /// One more bit of these.
    MoreOfOthers(u8, u8),
}

struct Scan<'a> {
    pass: Pass,
    components: Vec<Member<'a>>,
    units: usize,
    /// How many blocks more have nothing, as the last code said.
    nothing_in: u32,
    /// Whether the bytes ended within an interval and none began since.
    ran_out: bool,
}

/// A component in a scan.
struct Member<'a> {
    /// Its place in the frame.
    number: usize,
    /// How many blocks of it a unit of the scan has.
    in_unit: usize,
    differences: Option<&'a Codes>,
    others: Option<&'a Codes>,
    /// The first coefficient of the block before.
    before: i32,
}

impl<'a> Scan<'a> {
    fn read(
        header: &[u8],
        frame: &Frame,
        codes: &'a [Option<Codes>; 8],
    ) -> Result<Self, ImageError> {
        let (count, rest) = header.split_first().ok_or_else(broken)?;
        let (members, rest) = rest
            .split_at_checked(usize::from(*count) * 2)
            .ok_or_else(broken)?;
        let [first, last, bits] = rest.first_chunk().ok_or_else(broken)?;
        let is_first = bits >> 4 == 0;
        let pass = match (frame.progressive, *first, is_first) {
            (false, _, _) => Pass::Whole,
            (true, 0, true) => Pass::Differences,
            (true, 0, false) => Pass::MoreOfDifferences,
            (true, first, true) => Pass::Others(first, (*last).min(63)),
            (true, first, false) => Pass::MoreOfOthers(first, (*last).min(63)),
        };
        let is_alone = *count == 1;
        let members = members.as_chunks::<2>().0;
        let members = members.iter().map(|[identifier, tables]| {
            let mut components = frame.components.iter();
            let number = components.position(|component| component.identifier == *identifier)?;
            let in_unit = if is_alone {
                1
            } else {
                frame.components[number].in_unit
            };
            Some(Member {
                number,
                in_unit,
                differences: codes[usize::from(tables >> 4) % 4].as_ref(),
                others: codes[4 + usize::from(tables & 15) % 4].as_ref(),
                before: 0,
            })
        });
        let components: Vec<Member<'a>> = members.collect::<Option<_>>().ok_or_else(broken)?;
        let units = match &components[..] {
            [] => return Err(broken()),
            [alone] => frame.components[alone.number].alone,
            [_, _, ..] => frame.units,
        };
        let is_band = matches!(pass, Pass::Others(..) | Pass::MoreOfOthers(..));
        if is_band && !is_alone {
            return Err(broken());
        }
        Ok(Self {
            pass,
            components,
            units,
            nothing_in: 0,
            ran_out: false,
        })
    }

    /// Follows the interval of these units through its bytes, if they are there, and writes those
    /// that belong to it. Where they end too soon, that unit goes on with zeros, and those behind
    /// it are written as empty ones, as libjpeg leaves them.
    fn interval(
        &mut self,
        mut units: Range<usize>,
        bytes: Option<&[u8]>,
        frame: &mut [Component],
        out: &mut Vec<u8>,
    ) -> Result<(), ImageError> {
        self.nothing_in = 0;
        for member in &mut self.components {
            member.before = 0;
        }
        if bytes.is_some() {
            self.ran_out = false;
        }
        let mut bits = Bits::of(bytes.unwrap_or_default());
        while !self.ran_out
            && let Some(unit) = units.next()
        {
            self.follow(unit, &mut bits, frame)?;
            self.ran_out = bits.missing > 0;
        }
        out.extend(&bits.bytes[..bits.at]);
        if !self.ran_out {
            return Ok(());
        }
        let mut writer = Writer::behind(out);
        writer.zeros(bits.missing);
        for unit in units {
            self.leave_empty(unit, frame, &mut writer)?;
        }
        writer.finish();
        Ok(())
    }

    /// Reads what a unit has.
    fn follow(
        &mut self,
        unit: usize,
        bits: &mut Bits<'_>,
        frame: &mut [Component],
    ) -> Result<(), ImageError> {
        for member in &mut self.components {
            for _ in 0..member.in_unit {
                match self.pass {
                    Pass::Whole => {
                        member.read_difference(bits)?;
                        member.skip_others(bits)?;
                    }
                    Pass::Differences => member.read_difference(bits)?,
                    Pass::MoreOfDifferences => {
                        bits.bit();
                    }
                    Pass::Others(first, last) => {
                        let known = frame[member.number].known.get_mut(unit);
                        let known = known.ok_or_else(broken)?;
                        member.note_band((first, last), known, &mut self.nothing_in, bits)?;
                    }
                    Pass::MoreOfOthers(first, last) => {
                        let known = frame[member.number].known.get_mut(unit);
                        let known = known.ok_or_else(broken)?;
                        member.refine_band((first, last), known, &mut self.nothing_in, bits)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Writes that a unit has nothing.
    fn leave_empty(
        &mut self,
        unit: usize,
        frame: &[Component],
        writer: &mut Writer<'_>,
    ) -> Result<(), ImageError> {
        for member in &mut self.components {
            for _ in 0..member.in_unit {
                match self.pass {
                    Pass::Whole => {
                        member.write_return_to_zero(writer)?;
                        writer.symbol(member.others, NOTHING)?;
                    }
                    Pass::Differences => member.write_return_to_zero(writer)?,
                    Pass::MoreOfDifferences => writer.zeros(1),
                    Pass::Others(..) | Pass::MoreOfOthers(..) if self.nothing_in > 0 => {
                        self.nothing_in -= 1;
                    }
                    Pass::Others(..) | Pass::MoreOfOthers(..) => {
                        writer.symbol(member.others, NOTHING)?;
                    }
                }
                // Each coefficient that is known has one bit more, also where nothing is new.
                if let Pass::MoreOfOthers(first, last) = self.pass {
                    let known = frame[member.number].known.get(unit).copied();
                    let known = known.ok_or_else(broken)? & band(first, last);
                    writer.zeros(known.count_ones() as usize);
                }
            }
        }
        Ok(())
    }
}

/// The coefficients from the first to the last one, as a set.
fn band(first: u8, last: u8) -> u64 {
    (first..=last).fold(0, |set, coefficient| set | 1 << coefficient)
}

impl Member<'_> {
    fn read_difference(&mut self, bits: &mut Bits<'_>) -> Result<(), ImageError> {
        let length = bits.symbol(self.differences)?.min(16);
        let number = bits.take(length) as i32;
        // Numbers whose first bit is zero are negative (ITU T.81, F.2.2.1).
        let is_negative = length > 0 && number >> (length - 1) == 0;
        let offset = if is_negative { (1 << length) - 1 } else { 0 };
        self.before = self.before.wrapping_add(number - offset);
        Ok(())
    }

    fn skip_others(&self, bits: &mut Bits<'_>) -> Result<(), ImageError> {
        let mut at = 1;
        while at < 64 {
            let symbol = bits.symbol(self.others)?;
            let (zeros, length) = (symbol >> 4, symbol & 15);
            if length == 0 && zeros < 15 {
                break;
            }
            bits.take(length);
            at += zeros + 1;
        }
        Ok(())
    }

    /// Reads the upper bits of the coefficients of a band, and notes which are not zero.
    fn note_band(
        &self,
        (first, last): (u8, u8),
        known: &mut u64,
        nothing_in: &mut u32,
        bits: &mut Bits<'_>,
    ) -> Result<(), ImageError> {
        if *nothing_in > 0 {
            *nothing_in -= 1;
            return Ok(());
        }
        let mut at = first;
        while at <= last {
            let symbol = bits.symbol(self.others)?;
            let (zeros, length) = (symbol >> 4, symbol & 15);
            if length == 0 && zeros < 15 {
                *nothing_in = (1 << zeros) - 1 + bits.take(zeros);
                break;
            }
            bits.take(length);
            at += zeros;
            if length > 0 && at <= last {
                *known |= 1 << at;
            }
            at += 1;
        }
        Ok(())
    }

    /// Reads one more bit of the coefficients of a band, and those that were zero before.
    fn refine_band(
        &self,
        (first, last): (u8, u8),
        known: &mut u64,
        nothing_in: &mut u32,
        bits: &mut Bits<'_>,
    ) -> Result<(), ImageError> {
        let mut at = first;
        while *nothing_in == 0 && at <= last {
            let symbol = bits.symbol(self.others)?;
            let (mut zeros, length) = (symbol >> 4, symbol & 15);
            if length == 0 && zeros < 15 {
                *nothing_in = (1 << zeros) + bits.take(zeros);
                break;
            }
            // The sign of the new one.
            bits.take(length.min(1));
            while at <= last && (*known >> at & 1 == 1 || zeros > 0) {
                if *known >> at & 1 == 1 {
                    bits.bit();
                } else {
                    zeros -= 1;
                }
                at += 1;
            }
            if length > 0 && at <= last {
                *known |= 1 << at;
            }
            at += 1;
        }
        if *nothing_in > 0 {
            *nothing_in -= 1;
            let rest = *known & if at <= last { band(at, last) } else { 0 };
            for _ in 0..rest.count_ones() {
                bits.bit();
            }
        }
        Ok(())
    }

    /// Writes the difference that leads back to zero, which is gray, if there is a code for it.
    fn write_return_to_zero(&mut self, writer: &mut Writer<'_>) -> Result<(), ImageError> {
        let difference = self.before.wrapping_neg();
        let length = (32 - difference.unsigned_abs().leading_zeros()) as u8;
        let codes = self.differences.ok_or_else(broken)?;
        if !(1..=16).contains(&length) || codes.code(length).is_none() {
            return writer.symbol(Some(codes), NOTHING);
        }
        writer.symbol(Some(codes), length)?;
        let offset = if difference < 0 { (1 << length) - 1 } else { 0 };
        writer.bits((difference + offset) as u32, length.into());
        self.before = 0;
        Ok(())
    }
}

/// The same table with a code for [`NOTHING`], if there is room for one: an encoder that fitted its
/// codes to its data may have left it out. Codes of ones alone are not used.
fn with_nothing(mut counts: [u8; 16], mut symbols: Vec<u8>) -> ([u8; 16], Vec<u8>) {
    if symbols.contains(&NOTHING) {
        return (counts, symbols);
    }
    let longest = counts.iter().rposition(|count| *count > 0).unwrap_or(0);
    // Of the codes of the longest length, those that are taken, by shorter ones too.
    let taken = counts[..=longest]
        .iter()
        .fold(0, |taken, count| taken * 2 + u32::from(*count));
    let free = (2_u32 << longest).saturating_sub(taken);
    let length = if free > 1 { longest } else { longest + 1 };
    if let Some(count) = counts.get_mut(length)
        && free > 0
    {
        *count += 1;
        symbols.push(NOTHING);
    }
    (counts, symbols)
}

/// A table of codes (ITU T.81, C.2).
struct Codes {
    /// For each length from 1 to 16 its first code, the place of that code's symbol, and how many
    /// codes there are.
    lengths: [(u32, usize, u32); 16],
    symbols: Vec<u8>,
}

impl Codes {
    fn new(counts: [u8; 16], symbols: Vec<u8>) -> Self {
        let (mut code, mut place) = (0_u32, 0_usize);
        let lengths = counts.map(|count| {
            code <<= 1;
            let length = (code, place, u32::from(count));
            code += u32::from(count);
            place += usize::from(count);
            length
        });
        Self { lengths, symbols }
    }

    /// The code of a symbol and its length in bits.
    fn code(&self, symbol: u8) -> Option<(u32, u32)> {
        let place = self.symbols.iter().position(|found| *found == symbol)?;
        (1..)
            .zip(&self.lengths)
            .find_map(|(length, (code, first, count))| {
                let ahead = u32::try_from(place.checked_sub(*first)?).ok()?;
                (ahead < *count).then_some((code + ahead, length))
            })
    }
}

/// Reads the bits of an interval. Behind its end there are zeros.
struct Bits<'a> {
    bytes: &'a [u8],
    /// Where the next byte is.
    at: usize,
    byte: u8,
    /// How many bits of the byte are still to be read.
    left: u8,
    /// How many zeros were read that are not there.
    missing: usize,
}

impl<'a> Bits<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            byte: 0,
            left: 0,
            missing: 0,
        }
    }

    fn bit(&mut self) -> u32 {
        if self.left == 0 {
            let Some(byte) = self.bytes.get(self.at) else {
                self.missing += 1;
                return 0;
            };
            self.byte = *byte;
            self.left = 8;
            self.at += 1;
            if *byte == 0xff {
                while self.bytes.get(self.at) == Some(&0xff) {
                    self.at += 1;
                }
                // The zero that says that it is no marker.
                self.at = self.bytes.len().min(self.at + 1);
            }
        }
        self.left -= 1;
        u32::from(self.byte >> self.left & 1)
    }

    fn take(&mut self, count: u8) -> u32 {
        (0..count).fold(0, |number, _| number << 1 | self.bit())
    }

    fn symbol(&mut self, codes: Option<&Codes>) -> Result<u8, ImageError> {
        let codes = codes.ok_or_else(broken)?;
        let mut code = 0;
        for (first, place, count) in codes.lengths {
            code = code << 1 | self.bit();
            let ahead = code.wrapping_sub(first);
            if code >= first && ahead < count {
                let symbol = codes.symbols.get(place + ahead as usize);
                return symbol.copied().ok_or_else(broken);
            }
        }
        Err(broken())
    }
}

/// Writes bits behind whole bytes.
struct Writer<'a> {
    out: &'a mut Vec<u8>,
    byte: u8,
    /// How many bits of the byte are written.
    filled: u8,
}

impl<'a> Writer<'a> {
    fn behind(out: &'a mut Vec<u8>) -> Self {
        Self {
            out,
            byte: 0,
            filled: 0,
        }
    }

    fn bit(&mut self, bit: u32) {
        self.byte = self.byte << 1 | (bit & 1) as u8;
        self.filled += 1;
        if self.filled == 8 {
            self.out.push(self.byte);
            if self.byte == 0xff {
                self.out.push(0);
            }
            self.filled = 0;
        }
    }

    fn bits(&mut self, number: u32, count: u32) {
        for place in (0..count).rev() {
            self.bit(number >> place);
        }
    }

    fn zeros(&mut self, count: usize) {
        for _ in 0..count {
            self.bit(0);
        }
    }

    fn symbol(&mut self, codes: Option<&Codes>, symbol: u8) -> Result<(), ImageError> {
        let (code, length) = codes
            .and_then(|codes| codes.code(symbol))
            .ok_or_else(broken)?;
        self.bits(code, length);
        Ok(())
    }

    /// Fills the last byte with ones, as encoders do.
    fn finish(&mut self) {
        while self.filled > 0 {
            self.bit(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

    use super::super::samples::{OUTPUTS, gradient, write};
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
            let mended = mend(&whole, vec![0xff, 0xd8], deadline).expect("is whole");
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

    #[test]
    fn a_table_gets_a_code_for_nothing_where_there_is_room_and_it_has_none() {
        let table = |few: &[u8]| {
            let mut counts = [0; 16];
            counts[..few.len()].copy_from_slice(few);
            counts
        };
        for (before, after) in [
            (&[1, 1][..], &[1, 1, 1][..]),
            (&[0, 2], &[0, 3]),
            (&[], &[1]),
            // Every code of two bits is taken, that of ones too.
            (&[0, 4], &[0, 4]),
        ] {
            let symbols = vec![7; before.iter().map(|count| usize::from(*count)).sum()];
            let (counts, found) = with_nothing(table(before), symbols.clone());
            assert_eq!(counts, table(after));
            let has_more = before != after;
            assert_eq!(found.len(), symbols.len() + usize::from(has_more));
            assert_eq!(found.last() == Some(&NOTHING), has_more);
        }
        let has_one = (table(&[2]), vec![NOTHING, 7]);
        assert_eq!(with_nothing(has_one.0, has_one.1.clone()), has_one);
    }
}
