//! The Huffman tables of a JPEG file (ITU T.81, C.2), and the bits that are read and written with
//! them.

use super::broken;
use crate::ImageError;

/// The symbol for the end of a block, and for a DC difference of zero.
pub(super) const EOB: u8 = 0;

/// The same table with a code for [`EOB`], if there is room for one: an encoder that fitted its
/// codes to its data may have left it out. Codes of ones alone are not used.
pub(super) fn with_eob(mut counts: [u8; 16], mut symbols: Vec<u8>) -> ([u8; 16], Vec<u8>) {
    if symbols.contains(&EOB) {
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
        && let Some(more) = count.checked_add(1)
        && free > 0
    {
        *count = more;
        symbols.push(EOB);
    }
    (counts, symbols)
}

/// A Huffman table.
pub(super) struct HuffmanTable {
    /// For each length from 1 to 16 its first code, the place of that code's symbol, and how many
    /// codes there are.
    lengths: [(u32, usize, u32); 16],
    symbols: Vec<u8>,
}

impl HuffmanTable {
    pub(super) fn new(counts: [u8; 16], symbols: Vec<u8>) -> Self {
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
    pub(super) fn code(&self, symbol: u8) -> Option<(u32, u32)> {
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
pub(super) struct Bits<'a> {
    pub(super) bytes: &'a [u8],
    /// Where the next byte is.
    pub(super) at: usize,
    byte: u8,
    /// How many bits of the byte are still to be read.
    left: u8,
    /// How many zeros were read that are not there.
    pub(super) missing: usize,
}

impl<'a> Bits<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            byte: 0,
            left: 0,
            missing: 0,
        }
    }

    pub(super) fn bit(&mut self) -> u32 {
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

    pub(super) fn take(&mut self, count: u8) -> u32 {
        (0..count).fold(0, |number, _| number << 1 | self.bit())
    }

    pub(super) fn symbol(&mut self, table: Option<&HuffmanTable>) -> Result<u8, ImageError> {
        let table = table.ok_or_else(broken)?;
        let mut code = 0;
        for (first, place, count) in table.lengths {
            code = code << 1 | self.bit();
            let ahead = code.wrapping_sub(first);
            if code >= first && ahead < count {
                let symbol = table.symbols.get(place + ahead as usize);
                return symbol.copied().ok_or_else(broken);
            }
        }
        Err(broken())
    }
}

/// Writes bits behind whole bytes.
pub(super) struct Writer<'a> {
    pub(super) out: &'a mut Vec<u8>,
    byte: u8,
    /// How many bits of the byte are written.
    filled: u8,
}

impl<'a> Writer<'a> {
    pub(super) fn behind(out: &'a mut Vec<u8>) -> Self {
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

    pub(super) fn bits(&mut self, number: u32, count: u32) {
        for place in (0..count).rev() {
            self.bit(number >> place);
        }
    }

    pub(super) fn zeros(&mut self, count: usize) {
        for _ in 0..count {
            self.bit(0);
        }
    }

    pub(super) fn symbol(
        &mut self,
        table: Option<&HuffmanTable>,
        symbol: u8,
    ) -> Result<(), ImageError> {
        let (code, length) = table
            .and_then(|table| table.code(symbol))
            .ok_or_else(broken)?;
        self.bits(code, length);
        Ok(())
    }

    /// Fills the last byte with ones, as encoders do.
    pub(super) fn finish(&mut self) {
        while self.filled > 0 {
            self.bit(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let (counts, found) = with_eob(table(before), symbols.clone());
            assert_eq!(counts, table(after));
            let has_more = before != after;
            assert_eq!(found.len(), symbols.len() + usize::from(has_more));
            assert_eq!(found.last() == Some(&EOB), has_more);
        }
        // One more than a byte can count.
        let full = table(&[0, 0, 0, 0, 0, 0, 0, 0, 255]);
        let symbols: Vec<u8> = (1..=255).collect();
        assert_eq!(with_eob(full, symbols.clone()), (full, symbols));
        let has_one = (table(&[2]), vec![EOB, 7]);
        assert_eq!(with_eob(has_one.0, has_one.1.clone()), has_one);
    }
}
