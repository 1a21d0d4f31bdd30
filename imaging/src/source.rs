//! Reads the file: a checked cursor for walking containers, and a reader for decoders that watches
//! the deadline.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use super::{ImageError, Inspected};

/// How many bytes are read from disk at a time. A decoder's deadline is checked as often.
const BUFFER_BYTES: usize = 32 * 1024;

/// How long the walk through a container may take. The longest one ever made, of millions of tiny
/// parts, takes a second.
const MAX_WALK: Duration = Duration::from_secs(10);

/// How many steps of a walk lie between two looks at the clock.
const STEPS_BETWEEN_CHECKS: u32 = 1024;

/// A cursor over a file whose length is known, so that a jump beyond the end fails at once.
pub(super) struct Source {
    reader: BufReader<File>,
    position: u64,
    remaining: u64,
    steps: u32,
    deadline: Instant,
}

impl Source {
    /// Opens a file at its beginning. Fails with [`ImageError::Io`] if it cannot be read.
    pub(super) fn open(path: &Path) -> Result<Self, ImageError> {
        let file = File::open(path).map_err(ImageError::Io)?;
        let remaining = file.metadata().map_err(ImageError::Io)?.len();
        Ok(Self {
            reader: BufReader::with_capacity(BUFFER_BYTES, file),
            position: 0,
            remaining,
            steps: 0,
            deadline: Instant::now() + MAX_WALK,
        })
    }

    /// How many bytes lie between the cursor and the end of the file.
    pub(super) fn remaining(&self) -> u64 {
        self.remaining
    }

    /// How many bytes lie between the beginning of the file and the cursor.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Reads the next `N` bytes.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], ImageError> {
        let mut bytes = [0; N];
        self.claim(N as u64)?;
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads the next byte.
    pub(super) fn byte(&mut self) -> Result<u8, ImageError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Reads the next `length` bytes. The caller has bounded `length`.
    pub(super) fn bytes(&mut self, length: usize) -> Result<Vec<u8>, ImageError> {
        self.claim(length as u64)?;
        let mut bytes = vec![0; length];
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Jumps over `length` bytes, which must be there.
    pub(super) fn skip(&mut self, length: u64) -> Result<(), ImageError> {
        self.claim(length)?;
        let length = i64::try_from(length).map_err(|_| ImageError::corrupt("absurd length"))?;
        self.reader.seek_relative(length)?;
        Ok(())
    }

    /// Jumps to the next byte equal to `wanted`. Says false where there is none; then the cursor is
    /// at the end of the file.
    pub(super) fn find(&mut self, wanted: u8) -> Result<bool, ImageError> {
        loop {
            let buffer = self.reader.fill_buf()?;
            if buffer.is_empty() {
                return Ok(false);
            }
            let found = buffer.iter().position(|byte| *byte == wanted);
            let used = found.unwrap_or(buffer.len());
            self.reader.consume(used);
            self.claim(used as u64)?;
            if found.is_some() {
                return Ok(true);
            }
        }
    }

    /// Takes this many bytes from those that remain. Every step of a walk passes through here, so
    /// the deadline is checked here too.
    fn claim(&mut self, length: u64) -> Result<(), ImageError> {
        self.steps = self.steps.wrapping_add(1);
        if self.steps.is_multiple_of(STEPS_BETWEEN_CHECKS) && Instant::now() >= self.deadline {
            return Err(ImageError::TimedOut);
        }
        self.remaining = self
            .remaining
            .checked_sub(length)
            .ok_or_else(|| ImageError::corrupt("the file ends too soon"))?;
        self.position += length;
        Ok(())
    }
}

/// A file as a decoder sees it: a part of the stored one, with other bytes before and behind it.
/// Reads fail with [`io::ErrorKind::TimedOut`] once the deadline has passed.
pub(super) struct TimedFile {
    file: File,
    part: Part,
    position: u64,
    deadline: Instant,
}

/// What a decoder is shown.
pub(super) struct Part {
    /// What comes before the bytes of the file.
    pub(super) head: Vec<u8>,
    /// Which bytes of the file are shown. Nothing is decoded that was not inspected.
    pub(super) range: Range<u64>,
    /// What comes behind the bytes of the file.
    pub(super) tail: &'static [u8],
}

/// Opens `path` for a decoder that must be done by `deadline` and needs the first `end` bytes.
pub(super) fn open_timed(
    path: &Path,
    end: u64,
    deadline: Instant,
) -> Result<BufReader<TimedFile>, ImageError> {
    let part = Part {
        head: Vec::new(),
        range: 0..end,
        tail: &[],
    };
    open_part(path, part, deadline)
}

/// Opens `path` for a decoder that must be done by `deadline`. What the file lacks at its end is
/// there too.
pub(super) fn open_inspected(
    path: &Path,
    inspected: &Inspected,
    deadline: Instant,
) -> Result<BufReader<TimedFile>, ImageError> {
    let part = Part {
        head: Vec::new(),
        range: 0..inspected.end,
        tail: inspected.lacks,
    };
    open_part(path, part, deadline)
}

/// Reads the first `end` bytes of the file at `path`, whose number is bounded by what it may weigh.
pub(super) fn bytes(path: &Path, end: u64) -> Result<Vec<u8>, ImageError> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(ImageError::Io)?;
    file.take(end)
        .read_to_end(&mut bytes)
        .map_err(ImageError::Io)?;
    Ok(bytes)
}

/// Opens a part of the file at `path` for a decoder that must be done by `deadline`.
pub(super) fn open_part(
    path: &Path,
    part: Part,
    deadline: Instant,
) -> Result<BufReader<TimedFile>, ImageError> {
    let mut file = File::open(path).map_err(ImageError::Io)?;
    file.seek(SeekFrom::Start(part.range.start))
        .map_err(ImageError::Io)?;
    Ok(BufReader::with_capacity(
        BUFFER_BYTES,
        TimedFile {
            file,
            part,
            position: 0,
            deadline,
        },
    ))
}

impl TimedFile {
    /// Where the bytes of the file end, counted as the decoder counts.
    fn file_end(&self) -> u64 {
        let Range { start, end } = self.part.range;
        self.part.head.len() as u64 + end.saturating_sub(start)
    }
}

impl Read for TimedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if Instant::now() >= self.deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let (head, end) = (self.part.head.len() as u64, self.file_end());
        let read = if self.position < head {
            (&self.part.head[self.position as usize..]).read(buffer)?
        } else if self.position < end {
            let left = usize::try_from(end - self.position).unwrap_or(usize::MAX);
            let most = buffer.len().min(left);
            self.file.read(&mut buffer[..most])?
        } else {
            let behind = usize::try_from(self.position - end).unwrap_or(usize::MAX);
            let mut rest = self.part.tail.get(behind..).unwrap_or_default();
            rest.read(buffer)?
        };
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for TimedFile {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        let end = self.file_end() + self.part.tail.len() as u64;
        let target = match position {
            SeekFrom::Start(target) => Some(target),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
            SeekFrom::End(offset) => end.checked_add_signed(offset),
        };
        self.position = target.ok_or(io::ErrorKind::InvalidInput)?;
        let into = self.position.saturating_sub(self.part.head.len() as u64);
        let at = self.part.range.start.saturating_add(into);
        self.file.seek(SeekFrom::Start(at))?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::samples::write;
    use super::*;

    #[test]
    fn a_decoder_sees_nothing_behind_the_end() {
        let file = write(b"picture and tail");
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut reader = open_timed(file.path(), 7, deadline).expect("opens");
        let mut found = Vec::new();
        reader.read_to_end(&mut found).expect("readable");
        assert_eq!(found, b"picture");
        for position in [SeekFrom::Start(3), SeekFrom::Current(-4)] {
            found.clear();
            reader.seek(position).expect("seeks");
            reader.read_to_end(&mut found).expect("readable");
            assert_eq!(found, b"ture");
        }
        found.clear();
        reader.seek(SeekFrom::Start(9)).expect("seeks");
        reader.read_to_end(&mut found).expect("readable");
        assert_eq!(found, b"");
    }
    #[test]
    fn a_decoder_sees_a_part_between_other_bytes() {
        let file = write(b"0123456789");
        let deadline = Instant::now() + Duration::from_secs(20);
        let part = Part {
            head: b"head".to_vec(),
            range: 3..6,
            tail: b"tail",
        };
        let mut reader = open_part(file.path(), part, deadline).expect("opens");
        let mut found = String::new();
        reader.read_to_string(&mut found).expect("readable");
        assert_eq!(found, "head345tail");
        for (position, rest) in [(2, "ad345tail"), (5, "45tail"), (8, "ail"), (20, "")] {
            found.clear();
            reader.seek(SeekFrom::Start(position)).expect("seeks");
            reader.read_to_string(&mut found).expect("readable");
            assert_eq!(found, rest);
        }
    }
}
