//! Reads the file: a checked cursor for walking containers, and a reader for decoders that watches
//! the deadline.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::{Duration, Instant};

use super::ImageError;

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
            remaining,
            steps: 0,
            deadline: Instant::now() + MAX_WALK,
        })
    }

    /// How many bytes lie between the cursor and the end of the file.
    pub(super) fn remaining(&self) -> u64 {
        self.remaining
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

    /// Jumps over everything up to and including the next byte equal to `wanted`.
    pub(super) fn skip_past(&mut self, wanted: u8) -> Result<(), ImageError> {
        loop {
            let buffer = self.reader.fill_buf()?;
            if buffer.is_empty() {
                return Err(ImageError::corrupt("the file ends too soon"));
            }
            let found = buffer.iter().position(|byte| *byte == wanted);
            let used = found.map_or(buffer.len(), |at| at + 1);
            self.reader.consume(used);
            self.claim(used as u64)?;
            if found.is_some() {
                return Ok(());
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
        Ok(())
    }
}

/// A file as a decoder sees it. It ends where inspection ended, and reads fail with
/// [`io::ErrorKind::TimedOut`] once the deadline has passed.
pub(super) struct TimedFile {
    file: File,
    position: u64,
    end: u64,
    deadline: Instant,
}

/// Opens `path` for a decoder that must be done by `deadline` and needs the first `end` bytes.
pub(super) fn open_timed(
    path: &Path,
    end: u64,
    deadline: Instant,
) -> Result<BufReader<TimedFile>, ImageError> {
    let file = File::open(path).map_err(ImageError::Io)?;
    Ok(BufReader::with_capacity(
        BUFFER_BYTES,
        TimedFile {
            file,
            position: 0,
            end,
            deadline,
        },
    ))
}

impl Read for TimedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if Instant::now() >= self.deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let left = self.end.saturating_sub(self.position);
        let most = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = self.file.read(&mut buffer[..most])?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for TimedFile {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.position = self.file.seek(position)?;
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
}
