//! Follows the scans of a JPEG file MCU by MCU (ITU T.81, F.2 and G.2), as far as is needed to
//! know where an interval ends.

use std::ops::Range;
use std::time::Instant;

use super::broken;
use super::huffman::{Bits, EOB, HuffmanTable, Writer};
use crate::ImageError;
use crate::container::{Container, Storage};
use crate::error::check_deadline;

/// The most components of a frame that a decoder takes.
const MOST_COMPONENTS: usize = 4;

/// How many MCUs are read or written between two looks at the clock. They take some milliseconds.
const MCUS_BETWEEN_CHECKS: usize = 1024;

/// How long the mending may take, and what it may make.
pub(super) struct Bound {
    /// The most bytes of the file that is made.
    pub(super) bytes: usize,
    pub(super) deadline: Instant,
}

impl Bound {
    fn check_time(&self) -> Result<(), ImageError> {
        check_deadline(self.deadline)
    }

    fn check_size(&self, out: &[u8]) -> Result<(), ImageError> {
        if out.len() > self.bytes {
            return Err(broken());
        }
        Ok(())
    }
}

/// What a frame header says.
pub(super) struct Frame {
    progressive: bool,
    /// The width and the height in pixels.
    size: (usize, usize),
    /// The sampling factors of each component, across and down.
    sampling: Vec<(usize, usize)>,
    pub(super) components: Vec<Component>,
    /// How many MCUs a scan of all components has.
    mcus: usize,
}

pub(super) struct Component {
    identifier: u8,
    /// How many blocks of it an MCU of all components has.
    in_mcu: usize,
    /// How many blocks it has in a scan of its own.
    alone: usize,
    /// For each of these blocks the coefficients that are not zero, as a set. Only what refines a
    /// progressive file needs it.
    nonzero: Vec<u64>,
}

impl Component {
    fn nonzero_of(&mut self, block: usize) -> Result<&mut u64, ImageError> {
        self.nonzero.get_mut(block).ok_or_else(broken)
    }
}

impl Frame {
    pub(super) fn read(progressive: bool, body: &[u8]) -> Result<Self, ImageError> {
        let [_, h1, h0, w1, w0, _, components @ ..] = body else {
            return Err(broken());
        };
        let side = |high: &u8, low: &u8| usize::from(u16::from_be_bytes([*high, *low]));
        let (width, height) = (side(w1, w0), side(h1, h0));
        let (components, _) = components.as_chunks::<3>();
        if components.len() > MOST_COMPONENTS {
            return Err(broken());
        }
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
                in_mcu: own_across * own_down,
                alone,
                nonzero: Vec::new(),
            }
        };
        Ok(Self {
            progressive,
            size: (width, height),
            sampling: components.iter().map(factors).collect(),
            components: components.iter().map(component).collect(),
            mcus: width.div_ceil(8 * across) * height.div_ceil(8 * down),
        })
    }

    /// Whether this is the frame that the walk through the file has found.
    pub(super) fn is_of(&self, container: &Container) -> bool {
        let Storage::Jpeg {
            sampling,
            progressive,
        } = &container.storage
        else {
            return false;
        };
        let found = sampling
            .iter()
            .map(|(across, down)| (usize::from(*across), usize::from(*down)));
        self.progressive == *progressive
            && self.size == (container.width as usize, container.height as usize)
            && self.sampling.iter().copied().eq(found)
    }

    /// Begins to note which coefficients are not zero, as only progressive files need it.
    pub(super) fn begin(&mut self) {
        for component in self.components.iter_mut().filter(|_| self.progressive) {
            component.nonzero = vec![0; component.alone];
        }
    }
}

/// What a scan says of each block (ITU T.81, G.1.2).
#[derive(Clone, Copy)]
enum Pass {
    /// All coefficients.
    Whole,
    /// The upper bits of the first coefficient, as the difference from the block before.
    DcFirst,
    /// One more bit of the first coefficient.
    DcRefine,
    /// The upper bits of the coefficients from the first to the second of these.
    AcFirst(u8, u8),
    /// One more bit of these.
    AcRefine(u8, u8),
}

pub(super) struct Scan<'a> {
    pass: Pass,
    components: Vec<Member<'a>>,
    pub(super) mcus: usize,
    /// How many blocks more have no coefficient in this band, as the last code said.
    eob_run: u32,
    /// Whether the bytes ended within an interval and none began since.
    ran_out: bool,
}

/// A component in a scan.
struct Member<'a> {
    /// Its place in the frame.
    number: usize,
    /// How many blocks of it an MCU of the scan has.
    in_mcu: usize,
    dc_table: Option<&'a HuffmanTable>,
    ac_table: Option<&'a HuffmanTable>,
    /// The DC coefficient of the block before.
    dc_predictor: i32,
}

impl<'a> Scan<'a> {
    pub(super) fn read(
        header: &[u8],
        frame: &Frame,
        tables: &'a [Option<HuffmanTable>; 8],
    ) -> Result<Self, ImageError> {
        let (count, rest) = header.split_first().ok_or_else(broken)?;
        let (members, rest) = rest
            .split_at_checked(usize::from(*count) * 2)
            .ok_or_else(broken)?;
        let [first, last, bits] = rest.first_chunk().ok_or_else(broken)?;
        let is_first = bits >> 4 == 0;
        let pass = match (frame.progressive, *first, is_first) {
            (false, _, _) => Pass::Whole,
            (true, 0, true) => Pass::DcFirst,
            (true, 0, false) => Pass::DcRefine,
            (true, first, true) => Pass::AcFirst(first, (*last).min(63)),
            (true, first, false) => Pass::AcRefine(first, (*last).min(63)),
        };
        let is_alone = *count == 1;
        let members = members.as_chunks::<2>().0;
        let members = members.iter().map(|[identifier, chosen]| {
            let mut components = frame.components.iter();
            let number = components.position(|component| component.identifier == *identifier)?;
            let in_mcu = if is_alone {
                1
            } else {
                frame.components[number].in_mcu
            };
            Some(Member {
                number,
                in_mcu,
                dc_table: tables[usize::from(chosen >> 4) % 4].as_ref(),
                ac_table: tables[4 + usize::from(chosen & 15) % 4].as_ref(),
                dc_predictor: 0,
            })
        });
        let components: Vec<Member<'a>> = members.collect::<Option<_>>().ok_or_else(broken)?;
        let mcus = match &components[..] {
            [] => return Err(broken()),
            [alone] => frame.components[alone.number].alone,
            [_, _, ..] => frame.mcus,
        };
        if frame.progressive && (first > last || *last > 63) {
            return Err(broken());
        }
        let is_band = matches!(pass, Pass::AcFirst(..) | Pass::AcRefine(..));
        if is_band && !is_alone {
            return Err(broken());
        }
        Ok(Self {
            pass,
            components,
            mcus,
            eob_run: 0,
            ran_out: false,
        })
    }

    /// Follows the interval of these MCUs through its bytes, if they are there, and writes those
    /// that belong to it. Where they end too soon, that MCU goes on with zeros, and those behind
    /// it are written as empty ones, as libjpeg leaves them.
    pub(super) fn interval(
        &mut self,
        mut mcus: Range<usize>,
        bytes: Option<&[u8]>,
        frame: &mut [Component],
        out: &mut Vec<u8>,
        bound: &Bound,
    ) -> Result<(), ImageError> {
        bound.check_time()?;
        bound.check_size(out)?;
        self.eob_run = 0;
        for member in &mut self.components {
            member.dc_predictor = 0;
        }
        if bytes.is_some() {
            self.ran_out = false;
        }
        let mut bits = Bits::of(bytes.unwrap_or_default());
        while !self.ran_out
            && let Some(mcu) = mcus.next()
        {
            self.follow(mcu, &mut bits, frame)?;
            if mcu.is_multiple_of(MCUS_BETWEEN_CHECKS) {
                bound.check_time()?;
            }
            self.ran_out = bits.missing > 0;
        }
        out.extend(&bits.bytes[..bits.at]);
        if !self.ran_out {
            return bound.check_size(out);
        }
        let mut writer = Writer::behind(out);
        writer.zeros(bits.missing);
        for mcu in mcus {
            self.leave_empty(mcu, frame, &mut writer)?;
            if mcu.is_multiple_of(MCUS_BETWEEN_CHECKS) {
                bound.check_time()?;
                bound.check_size(writer.out)?;
            }
        }
        writer.finish();
        bound.check_size(out)
    }

    /// Reads what an MCU has.
    fn follow(
        &mut self,
        mcu: usize,
        bits: &mut Bits<'_>,
        frame: &mut [Component],
    ) -> Result<(), ImageError> {
        for member in &mut self.components {
            for _ in 0..member.in_mcu {
                match self.pass {
                    Pass::Whole => {
                        member.read_dc(bits)?;
                        member.skip_ac(bits)?;
                    }
                    Pass::DcFirst => member.read_dc(bits)?,
                    Pass::DcRefine => {
                        bits.bit();
                    }
                    Pass::AcFirst(first, last) => {
                        let nonzero = frame[member.number].nonzero_of(mcu)?;
                        member.read_ac_first((first, last), nonzero, &mut self.eob_run, bits)?;
                    }
                    Pass::AcRefine(first, last) => {
                        let nonzero = frame[member.number].nonzero_of(mcu)?;
                        member.read_ac_refine((first, last), nonzero, &mut self.eob_run, bits)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Writes an MCU of zeros.
    fn leave_empty(
        &mut self,
        mcu: usize,
        frame: &[Component],
        writer: &mut Writer<'_>,
    ) -> Result<(), ImageError> {
        for member in &mut self.components {
            for _ in 0..member.in_mcu {
                match self.pass {
                    Pass::Whole => {
                        member.write_return_to_zero(writer)?;
                        writer.symbol(member.ac_table, EOB)?;
                    }
                    Pass::DcFirst => member.write_return_to_zero(writer)?,
                    Pass::DcRefine => writer.zeros(1),
                    Pass::AcFirst(..) | Pass::AcRefine(..) if self.eob_run > 0 => {
                        self.eob_run -= 1;
                    }
                    Pass::AcFirst(..) | Pass::AcRefine(..) => {
                        writer.symbol(member.ac_table, EOB)?;
                    }
                }
                // Each coefficient that is nonzero has one bit more, also where nothing is new.
                if let Pass::AcRefine(first, last) = self.pass {
                    let nonzero = frame[member.number].nonzero.get(mcu).copied();
                    let nonzero = nonzero.ok_or_else(broken)? & band(first, last);
                    writer.zeros(nonzero.count_ones() as usize);
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
    fn read_dc(&mut self, bits: &mut Bits<'_>) -> Result<(), ImageError> {
        let length = bits.symbol(self.dc_table)?.min(16);
        let number = bits.take(length) as i32;
        // Numbers whose first bit is zero are negative (ITU T.81, F.2.2.1).
        let is_negative = length > 0 && number >> (length - 1) == 0;
        let offset = if is_negative { (1 << length) - 1 } else { 0 };
        self.dc_predictor = self.dc_predictor.wrapping_add(number - offset);
        Ok(())
    }

    /// How many coefficients are zero before the next one, and its length in bits.
    fn coefficient(&self, bits: &mut Bits<'_>) -> Result<(u8, u8), ImageError> {
        let symbol = bits.symbol(self.ac_table)?;
        Ok((symbol >> 4, symbol & 15))
    }

    fn skip_ac(&self, bits: &mut Bits<'_>) -> Result<(), ImageError> {
        let mut at = 1;
        while at < 64 {
            let (zeros, length) = self.coefficient(bits)?;
            if length == 0 && zeros < 15 {
                break;
            }
            bits.take(length);
            at += zeros + 1;
        }
        Ok(())
    }

    /// Reads the upper bits of the coefficients of a band, and notes which are not zero.
    fn read_ac_first(
        &self,
        (first, last): (u8, u8),
        nonzero: &mut u64,
        eob_run: &mut u32,
        bits: &mut Bits<'_>,
    ) -> Result<(), ImageError> {
        if *eob_run > 0 {
            *eob_run -= 1;
            return Ok(());
        }
        let mut at = first;
        while at <= last {
            let (zeros, length) = self.coefficient(bits)?;
            if length == 0 && zeros < 15 {
                *eob_run = (1 << zeros) - 1 + bits.take(zeros);
                break;
            }
            bits.take(length);
            at += zeros;
            if length > 0 && at <= last {
                *nonzero |= 1 << at;
            }
            at += 1;
        }
        Ok(())
    }

    /// Reads one more bit of the coefficients of a band, and those that were zero before.
    fn read_ac_refine(
        &self,
        (first, last): (u8, u8),
        nonzero: &mut u64,
        eob_run: &mut u32,
        bits: &mut Bits<'_>,
    ) -> Result<(), ImageError> {
        let mut at = first;
        while *eob_run == 0 && at <= last {
            let (mut zeros, length) = self.coefficient(bits)?;
            if length == 0 && zeros < 15 {
                *eob_run = (1 << zeros) + bits.take(zeros);
                break;
            }
            // The sign of the new one.
            bits.take(length.min(1));
            while at <= last && (*nonzero >> at & 1 == 1 || zeros > 0) {
                if *nonzero >> at & 1 == 1 {
                    bits.bit();
                } else {
                    zeros -= 1;
                }
                at += 1;
            }
            if length > 0 && at <= last {
                *nonzero |= 1 << at;
            }
            at += 1;
        }
        if *eob_run > 0 {
            *eob_run -= 1;
            let rest = *nonzero & if at <= last { band(at, last) } else { 0 };
            for _ in 0..rest.count_ones() {
                bits.bit();
            }
        }
        Ok(())
    }

    /// Writes the difference that leads back to zero, which is gray, if there is a code for it.
    fn write_return_to_zero(&mut self, writer: &mut Writer<'_>) -> Result<(), ImageError> {
        let difference = self.dc_predictor.wrapping_neg();
        let length = (32 - difference.unsigned_abs().leading_zeros()) as u8;
        let table = self.dc_table.ok_or_else(broken)?;
        if !(1..=16).contains(&length) || table.code(length).is_none() {
            return writer.symbol(Some(table), EOB);
        }
        writer.symbol(Some(table), length)?;
        let offset = if difference < 0 { (1 << length) - 1 } else { 0 };
        writer.bits((difference + offset) as u32, length.into());
        self.dc_predictor = 0;
        Ok(())
    }
}
