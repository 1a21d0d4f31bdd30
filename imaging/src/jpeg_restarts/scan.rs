//! Follows the scans of a JPEG file unit by unit (ITU T.81, F.2 and G.2), as far as is needed to
//! know where an interval ends.

use std::ops::Range;

use super::broken;
use super::codes::{Bits, Codes, NOTHING, Writer};
use crate::ImageError;

/// What a frame header says.
pub(super) struct Frame {
    progressive: bool,
    pub(super) components: Vec<Component>,
    /// How many units the picture has, of all components.
    units: usize,
}

pub(super) struct Component {
    identifier: u8,
    /// How many blocks of it a unit of all components has.
    in_unit: usize,
    /// How many blocks it has in a scan of its own.
    alone: usize,
    /// For each of these blocks the coefficients that are not zero, as a set. Only what refines a
    /// progressive file needs it.
    known: Vec<u64>,
}

impl Component {
    fn known_of(&mut self, block: usize) -> Result<&mut u64, ImageError> {
        self.known.get_mut(block).ok_or_else(broken)
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

pub(super) struct Scan<'a> {
    pass: Pass,
    components: Vec<Member<'a>>,
    pub(super) units: usize,
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
    pub(super) fn read(
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
    pub(super) fn interval(
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
                        let known = frame[member.number].known_of(unit)?;
                        member.note_band((first, last), known, &mut self.nothing_in, bits)?;
                    }
                    Pass::MoreOfOthers(first, last) => {
                        let known = frame[member.number].known_of(unit)?;
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

    /// How many coefficients are zero before the next one, and its length in bits.
    fn coefficient(&self, bits: &mut Bits<'_>) -> Result<(u8, u8), ImageError> {
        let symbol = bits.symbol(self.others)?;
        Ok((symbol >> 4, symbol & 15))
    }

    fn skip_others(&self, bits: &mut Bits<'_>) -> Result<(), ImageError> {
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
            let (zeros, length) = self.coefficient(bits)?;
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
            let (mut zeros, length) = self.coefficient(bits)?;
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
