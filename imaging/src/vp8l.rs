//! Counts the memory that decoding a lossless WebP stream holds beside the pixels (WebP Lossless
//! Bitstream Specification).
//!
//! A stream may name up to 65536 groups of five prefix codes, and the decoder builds all their
//! tables before the first pixel: 20 kB and more for a group that takes 60 bytes of the file. The
//! number of groups is known only after the entropy image, which comes after the images of the
//! transforms, and the size of their tables only from the codes themselves.
//!
//! So this reads every code and every small image before the pixels, and keeps none of it. The
//! lengths of codes and the number of decoded pixels do not depend on pixel values, so no picture
//! is held, only the five codes at hand. It is as strict as the decoder or stricter; a stream that
//! it cannot read is corrupt.

use super::ImageError;
use super::source::Source;

/// The number of literals and copy lengths in the green code. The codes of the color cache come
/// after them.
const GREEN_SYMBOLS: usize = 256 + 24;
/// The number of symbols in the red, blue and alpha codes.
const CHANNEL_SYMBOLS: usize = 256;
/// The number of symbols in the distance code.
const DISTANCE_SYMBOLS: usize = 40;
/// The order in which the lengths of the code for code lengths are stored.
const LENGTH_ORDER: [usize; 19] = [
    17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
];
/// The longest code, in bits.
const MAX_LENGTH: usize = 15;

/// What the decoder (`image-webp` 0.2) holds for a group of codes beside their tables: five
/// structures of 56 bytes in a vector that doubles, so that at the worst moment three times as many
/// are held.
const GROUP_BYTES: u64 = 5 * 56 * 3;
/// The first table of a code has an entry of 4 bytes for every word of this many bits, or of its
/// longest code if that is shorter.
const TABLE_BITS: usize = 10;
/// What a code longer than that takes: two nodes of 16 bytes.
const LONG_CODE_BYTES: u64 = 32;
/// The allocator's overhead for the two vectors of a code.
const CODE_OVERHEAD_BYTES: u64 = 64;

/// How many bytes the decoder will hold beside the pixels of a stream of `width` x `height` pixels.
/// The stream lies in the next `length` bytes, after its five-byte head if it has one. Counting
/// ends once `most` is exceeded.
pub(super) fn side_bytes(
    source: &mut Source,
    length: u64,
    (width, height): (u32, u32),
    most: u64,
) -> Result<u64, ImageError> {
    let mut stream = Stream {
        bits: Bits {
            source,
            left: length,
            buffer: Vec::new(),
            at: 0,
            word: 0,
            held: 0,
        },
        bytes: 0,
        most,
    };
    match stream.head(width, height) {
        Ok(()) | Err(Stop::Enough) => Ok(stream.bytes),
        Err(Stop::Failed(error)) => Err(error),
    }
}

/// Why reading ended early.
enum Stop {
    /// The count exceeds the caller's `most`.
    Enough,
    Failed(ImageError),
}

impl From<ImageError> for Stop {
    fn from(error: ImageError) -> Self {
        Self::Failed(error)
    }
}

fn corrupt(detail: &'static str) -> Stop {
    Stop::Failed(ImageError::corrupt(detail))
}

struct Stream<'a> {
    bits: Bits<'a>,
    /// The bytes counted so far.
    bytes: u64,
    most: u64,
}

impl Stream<'_> {
    /// Reads transforms, color cache, entropy image and all codes.
    fn head(&mut self, mut width: u32, height: u32) -> Result<(), Stop> {
        let mut seen = [false; 4];
        while self.bits.take(1)? == 1 {
            let kind = self.bits.take(2)? as usize;
            if std::mem::replace(&mut seen[kind], true) {
                return Err(corrupt("a transform twice"));
            }
            match kind {
                // The images of the predictor and colour transforms have a pixel for each block.
                0 | 1 => {
                    let bits = self.bits.take(3)? + 2;
                    self.small_image(blocks(width, bits), blocks(height, bits), 4)?;
                }
                // Subtract green has no data.
                2 => {}
                // This is a palette. Small palettes pack several pixels into one.
                _ => {
                    let colors = self.bits.take(8)? + 1;
                    self.small_image(colors, 1, 4)?;
                    let packed = match colors {
                        0..=2 => 3,
                        3..=4 => 2,
                        5..=16 => 1,
                        _ => 0,
                    };
                    width = blocks(width, packed);
                }
            }
        }
        let cache = self.color_cache()?;
        let mut groups = 1;
        if self.bits.take(1)? == 1 {
            let bits = self.bits.take(3)? + 2;
            // The image is held as pixels, and then as one number for each.
            groups = 1 + self.small_image(blocks(width, bits), blocks(height, bits), 4 + 2)?;
        }
        self.count(u64::from(groups) * GROUP_BYTES)?;
        for _ in 0..groups {
            self.group(cache)?;
        }
        Ok(())
    }

    /// Reads an image that has a single group of codes, and returns the greatest number in its red
    /// and green channels. `held` bytes are kept for each pixel.
    fn small_image(&mut self, width: u32, height: u32, held: u64) -> Result<u32, Stop> {
        let pixels = u64::from(width) * u64::from(height);
        self.count(pixels * held)?;
        let cache = self.color_cache()?;
        let (channels, distance) = self.group(cache)?;
        let [green, red, blue, alpha] = &channels;
        // Copies and the color cache only repeat what a literal brought, so literals alone decide.
        // Unused entries of the cache are 0.
        let mut greatest = 0;
        let mut done = 0;
        while done < pixels {
            let code = self.bits.symbol(green)?;
            if code < 256 {
                let red = self.bits.symbol(red)?;
                self.bits.symbol(blue)?;
                self.bits.symbol(alpha)?;
                greatest = greatest.max((red << 8) | code);
                done += 1;
                if channels.iter().all(Code::is_single) {
                    // The whole image has one colour, for which no bits are stored.
                    return Ok(greatest);
                }
            } else if code < GREEN_SYMBOLS as u32 {
                done += self.copied(code - 256)?;
                let code = self.bits.symbol(&distance)?;
                // Whether anything lies at that distance is for the decoder to find out.
                self.copied(code)?;
            } else {
                done += 1;
            }
        }
        if done > pixels {
            return Err(corrupt("a copy beyond the end"));
        }
        Ok(greatest)
    }

    /// The number that a prefix symbol and the bits after it stand for.
    fn copied(&mut self, symbol: u32) -> Result<u64, Stop> {
        if symbol < 4 {
            return Ok(u64::from(symbol) + 1);
        }
        let extra = (symbol - 2) >> 1;
        let offset = (2 + (symbol & 1)) << extra;
        Ok(u64::from(offset + self.bits.take(extra)?) + 1)
    }

    /// How many symbols the color cache adds.
    fn color_cache(&mut self) -> Result<usize, Stop> {
        if self.bits.take(1)? == 0 {
            return Ok(0);
        }
        let bits = self.bits.take(4)?;
        if !(1..=11).contains(&bits) {
            return Err(corrupt("a strange color cache"));
        }
        self.count(4 << bits)?;
        Ok(1 << bits)
    }

    /// Reads the codes for green, red, blue and alpha, and the one for distances.
    fn group(&mut self, cache: usize) -> Result<([Code; 4], Code), Stop> {
        let channels = [
            self.code(GREEN_SYMBOLS + cache)?,
            self.code(CHANNEL_SYMBOLS)?,
            self.code(CHANNEL_SYMBOLS)?,
            self.code(CHANNEL_SYMBOLS)?,
        ];
        Ok((channels, self.code(DISTANCE_SYMBOLS)?))
    }

    fn code(&mut self, symbols: usize) -> Result<Code, Stop> {
        let code = if self.bits.take(1)? == 1 {
            self.simple_code(symbols)?
        } else {
            // The lengths are not held for long, but take time as if they were.
            self.count(symbols as u64 * 2)?;
            Code::new(&self.lengths(symbols)?)?
        };
        self.count(code.table_bytes())?;
        Ok(code)
    }

    /// Reads a code of one or two symbols, which are written out.
    fn simple_code(&mut self, symbols: usize) -> Result<Code, Stop> {
        let two = self.bits.take(1)? == 1;
        let wide = self.bits.take(1)?;
        let first = self.bits.take(1 + 7 * wide)?;
        let second = if two { Some(self.bits.take(8)?) } else { None };
        if first.max(second.unwrap_or_default()) as usize >= symbols {
            return Err(corrupt("a symbol too large"));
        }
        // Unlike elsewhere, the symbols come in the stored order: the first has the code 0.
        let mut code = Code::default();
        code.counts[1] = u16::from(two) * 2;
        code.symbols = [Some(first), second]
            .into_iter()
            .flatten()
            .map(|symbol| symbol as u16)
            .collect();
        Ok(code)
    }

    /// Reads the length of each symbol's code. The lengths are themselves coded.
    fn lengths(&mut self, symbols: usize) -> Result<Vec<u8>, Stop> {
        let mut lengths = [0; LENGTH_ORDER.len()];
        let stored = 4 + self.bits.take(4)? as usize;
        for place in LENGTH_ORDER.iter().take(stored) {
            lengths[*place] = self.bits.take(3)? as u8;
        }
        let code = Code::new(&lengths)?;
        let mut left = symbols;
        if self.bits.take(1)? == 1 {
            let bits = 2 + 2 * self.bits.take(3)?;
            left = 2 + self.bits.take(bits)? as usize;
            if left > symbols {
                return Err(corrupt("too many lengths"));
            }
        }
        let mut lengths = Vec::with_capacity(symbols);
        let mut previous = 8;
        while lengths.len() < symbols && left > 0 {
            left -= 1;
            let (length, times) = match self.bits.symbol(&code)? {
                length @ 0..=15 => (length as u8, 1),
                16 => (previous, 3 + self.bits.take(2)?),
                17 => (0, 3 + self.bits.take(3)?),
                _ => (0, 11 + self.bits.take(7)?),
            };
            if length != 0 {
                previous = length;
            }
            if lengths.len() + times as usize > symbols {
                return Err(corrupt("too many lengths"));
            }
            lengths.extend(std::iter::repeat_n(length, times as usize));
        }
        lengths.resize(symbols, 0);
        Ok(lengths)
    }

    fn count(&mut self, bytes: u64) -> Result<(), Stop> {
        self.bytes += bytes;
        if self.bytes > self.most {
            return Err(Stop::Enough);
        }
        Ok(())
    }
}

/// How many blocks of `2^bits` pixels cover `side` pixels.
fn blocks(side: u32, bits: u32) -> u32 {
    side.div_ceil(1 << bits)
}

/// A canonical prefix code.
#[derive(Default)]
struct Code {
    /// How many codes there are of each length. All are 0 where there is only one symbol, which
    /// takes no bits.
    counts: [u16; MAX_LENGTH + 1],
    /// The symbols in the order of their codes.
    symbols: Vec<u16>,
}

impl Code {
    /// Makes a code from the length of each symbol, which is 0 where the symbol does not occur. The
    /// code must use every word, and none twice.
    fn new(lengths: &[u8]) -> Result<Self, Stop> {
        let mut counts = [0; MAX_LENGTH + 1];
        for length in lengths {
            counts[usize::from(*length)] += 1;
        }
        let unused = std::mem::take(&mut counts[0]);
        // The place of the next symbol of each length.
        let mut next = [0_u16; MAX_LENGTH + 1];
        for length in 1..MAX_LENGTH {
            next[length + 1] = next[length] + counts[length];
        }
        let mut symbols = vec![0; lengths.len() - usize::from(unused)];
        for (symbol, length) in lengths.iter().enumerate() {
            if *length > 0 {
                let place = &mut next[usize::from(*length)];
                symbols[usize::from(*place)] = symbol as u16;
                *place += 1;
            }
        }
        let mut code = Self { counts, symbols };
        let words: u32 = (1..=MAX_LENGTH)
            .map(|length| u32::from(counts[length]) << (MAX_LENGTH - length))
            .sum();
        match code.symbols.len() {
            0 => Err(corrupt("a code without symbols")),
            1 => {
                code.counts = [0; MAX_LENGTH + 1];
                Ok(code)
            }
            _ if words == 1 << MAX_LENGTH => Ok(code),
            _ => Err(corrupt("a code that is not whole")),
        }
    }

    fn is_single(&self) -> bool {
        self.symbols.len() == 1
    }

    /// The size of the tables that the decoder makes of this code, in bytes.
    fn table_bytes(&self) -> u64 {
        if self.is_single() {
            return 0;
        }
        let longest = self
            .counts
            .iter()
            .rposition(|count| *count > 0)
            .unwrap_or_default();
        let long: u64 = self.counts[TABLE_BITS + 1..]
            .iter()
            .map(|count| u64::from(*count))
            .sum();
        (4 << longest.min(TABLE_BITS)) + long * LONG_CODE_BYTES + CODE_OVERHEAD_BYTES
    }
}

/// Reads the bits of a chunk, the lowest first.
struct Bits<'a> {
    source: &'a mut Source,
    /// How many bytes of the chunk are still in the file.
    left: u64,
    buffer: Vec<u8>,
    at: usize,
    word: u64,
    /// How many bits of `word` are still unread.
    held: u32,
}

impl Bits<'_> {
    /// How many bytes are taken from the file at a time.
    const BUFFER_BYTES: u64 = 4096;

    /// Reads the next `count` bits, at most 32.
    fn take(&mut self, count: u32) -> Result<u32, Stop> {
        while self.held < count {
            if self.at == self.buffer.len() {
                let bytes = self.left.min(Self::BUFFER_BYTES);
                if bytes == 0 {
                    return Err(corrupt("a lossless stream is cut off"));
                }
                self.buffer = self.source.bytes(bytes as usize)?;
                self.left -= bytes;
                self.at = 0;
            }
            self.word |= u64::from(self.buffer[self.at]) << self.held;
            self.at += 1;
            self.held += 8;
        }
        let bits = self.word & ((1 << count) - 1);
        self.word >>= count;
        self.held -= count;
        Ok(bits as u32)
    }

    /// Reads the next symbol bit by bit. This is slow, but each step uses up a bit of the file.
    fn symbol(&mut self, code: &Code) -> Result<u32, Stop> {
        if code.is_single() {
            return Ok(u32::from(code.symbols[0]));
        }
        let (mut word, mut first, mut index) = (0, 0, 0);
        for count in &code.counts[1..] {
            word |= self.take(1)?;
            let count = u32::from(*count);
            if word < first + count {
                return Ok(u32::from(code.symbols[(index + word - first) as usize]));
            }
            index += count;
            first = (first + count) << 1;
            word <<= 1;
        }
        Err(corrupt("a word that no code has"))
    }
}
