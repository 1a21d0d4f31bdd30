//! Sets of sequence numbers, cut into chunks that are small enough to be rewritten with every
//! publication.

/// How many sequence numbers a chunk covers.
pub(super) const SPAN: i64 = 8192;

/// The size of a bitmap in bytes.
const BITMAP_BYTES: usize = SPAN as usize / 8;

/// The members of a chunk: sequence numbers without the chunk's number.
///
/// It is stored as the table `postings` says: a list of two bytes for each member, or a bitmap
/// where that is no longer. So a chunk never takes more than 1,024 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk {
    bits: Box<[u64; SPAN as usize / 64]>,
}

impl Chunk {
    pub(super) fn empty() -> Self {
        Self {
            bits: Box::new([0; SPAN as usize / 64]),
        }
    }

    /// Splits a sequence number into the number of its chunk and its place there.
    pub(super) fn place(sequence: i64) -> (i64, u16) {
        let place = u16::try_from(sequence.rem_euclid(SPAN)).unwrap_or_default();
        (sequence.div_euclid(SPAN), place)
    }

    /// Reads what [`Self::to_bytes`] wrote. `None` for other bytes.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut chunk = Self::empty();
        if bytes.len() == BITMAP_BYTES {
            let (words, _) = bytes.as_chunks::<8>();
            for (bits, word) in chunk.bits.iter_mut().zip(words) {
                *bits = u64::from_le_bytes(*word);
            }
            return Some(chunk);
        }
        let (places, rest) = bytes.as_chunks::<2>();
        for place in places {
            let place = u16::from_le_bytes(*place);
            if i64::from(place) >= SPAN {
                return None;
            }
            chunk.insert(place);
        }
        (rest.is_empty() && bytes.len() < BITMAP_BYTES).then_some(chunk)
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        if self.len() * 2 < BITMAP_BYTES {
            self.places().flat_map(u16::to_le_bytes).collect()
        } else {
            self.bits
                .iter()
                .flat_map(|bits| bits.to_le_bytes())
                .collect()
        }
    }

    /// Returns true where the place was not a member before.
    pub(super) fn insert(&mut self, place: u16) -> bool {
        let (bits, bit) = self.bit(place);
        let is_new = *bits & bit == 0;
        *bits |= bit;
        is_new
    }

    /// Returns true where the place was a member before.
    pub(super) fn remove(&mut self, place: u16) -> bool {
        let (bits, bit) = self.bit(place);
        let was_there = *bits & bit != 0;
        *bits &= !bit;
        was_there
    }

    /// Keeps the members that are members of the other chunk too.
    pub(super) fn keep(&mut self, other: &Self) {
        for (bits, other) in self.bits.iter_mut().zip(other.bits.iter()) {
            *bits &= other;
        }
    }

    /// Removes the members of the other chunk.
    pub(super) fn drop_all(&mut self, other: &Self) {
        for (bits, other) in self.bits.iter_mut().zip(other.bits.iter()) {
            *bits &= !other;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.bits
            .iter()
            .map(|bits| bits.count_ones() as usize)
            .sum()
    }

    /// The members in their order.
    pub(super) fn places(&self) -> impl Iterator<Item = u16> {
        (0_u16..).zip(self.bits.iter()).flat_map(|(number, bits)| {
            let mut left = *bits;
            std::iter::from_fn(move || {
                let bit = u16::try_from(left.trailing_zeros())
                    .ok()
                    .filter(|bit| *bit < 64)?;
                left &= left - 1;
                Some(number * 64 + bit)
            })
        })
    }

    fn bit(&mut self, place: u16) -> (&mut u64, u64) {
        (&mut self.bits[usize::from(place / 64)], 1 << (place % 64))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::rngs::StdRng;
    use rand::{Rng as _, SeedableRng as _};

    use super::*;

    fn chunk(places: &BTreeSet<u16>) -> Chunk {
        let mut chunk = Chunk::empty();
        for place in places {
            assert!(chunk.insert(*place));
            assert!(!chunk.insert(*place));
        }
        chunk
    }

    /// Sets with few members, with about as many as a list holds, and with many.
    fn sets() -> Vec<BTreeSet<u16>> {
        let mut random = StdRng::seed_from_u64(7);
        [0, 1, 20, 505, 510, 511, 512, 513, 520, 4000, 8000]
            .into_iter()
            .map(|members| {
                let mut places = BTreeSet::new();
                while places.len() < members {
                    places.insert(random.random_range(0..8192));
                }
                places
            })
            .collect()
    }

    #[test]
    fn a_chunk_is_read_as_it_was_written_and_never_takes_more_than_1024_bytes() {
        for places in sets() {
            let chunk = chunk(&places);
            let bytes = chunk.to_bytes();
            assert_eq!(bytes.len(), (2 * places.len()).min(1024));
            assert_eq!(Chunk::from_bytes(&bytes), Some(chunk.clone()));
            assert_eq!(chunk.len(), places.len());
            assert_eq!(chunk.places().collect::<BTreeSet<_>>(), places);
        }
    }

    #[test]
    fn chunks_are_sets() {
        let sets = sets();
        for (first, second) in sets
            .iter()
            .flat_map(|one| sets.iter().map(move |two| (one, two)))
        {
            let mut both = chunk(first);
            both.keep(&chunk(second));
            assert_eq!(both, chunk(&(first & second)));
            let mut rest = chunk(first);
            rest.drop_all(&chunk(second));
            assert_eq!(rest, chunk(&(first - second)));
        }
        for places in &sets {
            let mut emptied = chunk(places);
            for place in places {
                assert!(emptied.remove(*place) && !emptied.remove(*place));
            }
            assert_eq!(emptied, Chunk::empty());
        }
    }

    #[test]
    fn other_bytes_are_no_chunk() {
        for bytes in [&[0_u8; 1][..], &[0, 32], &[0; 1026], &[0; 1025]] {
            assert_eq!(Chunk::from_bytes(bytes), None);
        }
    }

    #[test]
    fn sequence_numbers_and_places_belong_together() {
        assert_eq!(Chunk::place(0), (0, 0));
        assert_eq!(Chunk::place(8191), (0, 8191));
        assert_eq!(Chunk::place(8192), (1, 0));
    }
}
