//! The bytes that every integrity check writes and expects: a function of a seed and a position.
//!
//! Any part of a pattern can be produced or verified alone and in any order, so neither side keeps
//! a copy of what it wrote. The word at position `i` of seed `s` is SplitMix64's output function
//! over `mix(s) + (i + 1) * 0x9e3779b97f4a7c15`, stored little-endian.
//!
//! Pure: no files, clocks or sockets.

/// SplitMix64's increment, the golden ratio in 64 bits.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
const WORD: usize = size_of::<u64>();

/// An endless sequence of pseudo-random bytes, addressed by position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    base: u64,
}

/// The first byte that isn't what the pattern says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Position in the pattern, in bytes.
    pub position: u64,
    /// The pattern's byte.
    pub wanted: u8,
    /// The byte that was there.
    pub found: u8,
}

impl Pattern {
    /// The pattern of a seed.
    pub fn new(seed: u64) -> Self {
        Self { base: mix(seed) }
    }

    /// A pattern of its own for each generation of the same data.
    #[must_use]
    pub fn generation(self, generation: u64) -> Self {
        Self { base: mix(self.base ^ mix(generation.wrapping_add(GOLDEN))) }
    }

    /// The word at `index`, counted in words of 8 bytes.
    pub fn word(self, index: u64) -> u64 {
        mix(self.base.wrapping_add(index.wrapping_add(1).wrapping_mul(GOLDEN)))
    }

    /// The byte at `position`.
    pub fn byte(self, position: u64) -> u8 {
        self.word(position / WORD as u64).to_le_bytes()[(position % WORD as u64) as usize]
    }

    /// Fills `buffer` with what stands at `position` and after it.
    pub fn fill(self, buffer: &mut [u8], position: u64) {
        let head = head_length(position).min(buffer.len());
        let (head, body) = buffer.split_at_mut(head);
        self.fill_bytes(head, position);
        let mut position = position + head.len() as u64;
        let mut words = body.chunks_exact_mut(WORD);
        for chunk in &mut words {
            chunk.copy_from_slice(&self.word(position / WORD as u64).to_le_bytes());
            position += WORD as u64;
        }
        self.fill_bytes(words.into_remainder(), position);
    }

    fn fill_bytes(self, buffer: &mut [u8], position: u64) {
        for (byte, position) in buffer.iter_mut().zip(position..) {
            *byte = self.byte(position);
        }
    }

    /// Compares `buffer` with what should stand at `position` and after it.
    ///
    /// # Errors
    /// The first byte that differs.
    pub fn verify(self, buffer: &[u8], position: u64) -> Result<(), Mismatch> {
        let head = head_length(position).min(buffer.len());
        let (head, body) = buffer.split_at(head);
        self.verify_bytes(head, position)?;
        let mut position = position + head.len() as u64;
        let words = body.chunks_exact(WORD);
        let tail = words.remainder();
        for chunk in words {
            if chunk != self.word(position / WORD as u64).to_le_bytes() {
                self.verify_bytes(chunk, position)?;
            }
            position += WORD as u64;
        }
        self.verify_bytes(tail, position)
    }

    fn verify_bytes(self, buffer: &[u8], position: u64) -> Result<(), Mismatch> {
        for (&found, position) in buffer.iter().zip(position..) {
            let wanted = self.byte(position);
            if found != wanted {
                return Err(Mismatch { position, wanted, found });
            }
        }
        Ok(())
    }
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "mismatch at={:#x} wanted={:#04x} found={:#04x}", self.position, self.wanted, self.found)
    }
}

/// Bytes from `position` to the next word's start.
fn head_length(position: u64) -> usize {
    (position.wrapping_neg() % WORD as u64) as usize
}

/// SplitMix64's output function, a bijection that flips about half of the bits for each changed one.
pub fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// A quick generator for choices (which block, how long), not for data.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// A sequence of choices that a seed determines.
    pub fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    /// A number below `limit`, or 0 when `limit` is 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0).checked_rem(limit).unwrap_or(0)
    }
}

/// FNV-1a with 64 bits, the checksum in replies about streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fnv(u64);

impl Fnv {
    const PRIME: u64 = 0x0000_0100_0000_01b3;

    /// The checksum of nothing.
    pub fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Adds bytes, as FNV-1a defines it.
    pub fn add(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(Self::PRIME);
        }
    }

    /// Adds a word in one step: quicker than its bytes, and another value.
    pub fn add_word(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(Self::PRIME);
    }

    /// The checksum so far.
    pub fn value(self) -> u64 {
        self.0
    }
}

impl Default for Fnv {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_words() {
        // SplitMix64's published first outputs for the state 0, which `mix(0) == 0` makes ours too.
        let pattern = Pattern::new(0);
        assert_eq!(
            [pattern.word(0), pattern.word(1), pattern.word(2)],
            [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f]
        );
    }

    #[test]
    fn parts_equal_the_whole() {
        let pattern = Pattern::new(7);
        let whole: Vec<u8> = (0..96).map(|position| pattern.byte(position)).collect();
        for start in 0..24 {
            for length in 0..40 {
                let mut part = vec![0; length];
                pattern.fill(&mut part, start as u64);
                assert_eq!(part, whole[start..start + length], "start {start} length {length}");
                assert_eq!(pattern.verify(&part, start as u64), Ok(()));
            }
        }
    }

    #[test]
    fn first_difference_is_named() {
        let pattern = Pattern::new(9);
        for bad in [0_usize, 2, 3, 10, 30, 36] {
            let mut bytes = vec![0; 37];
            pattern.fill(&mut bytes, 5);
            let wanted = bytes[bad];
            bytes[bad] ^= 0x40;
            let position = bad as u64 + 5;
            assert_eq!(
                pattern.verify(&bytes, position - bad as u64),
                Err(Mismatch { position, wanted, found: bytes[bad] })
            );
        }
    }

    #[test]
    fn seeds_and_generations_differ() {
        let seeds = [Pattern::new(1), Pattern::new(2), Pattern::new(1).generation(0), Pattern::new(1).generation(1)];
        for (index, first) in seeds.iter().enumerate() {
            for second in &seeds[index + 1..] {
                assert!((0..64).all(|word| first.word(word) != second.word(word)));
            }
        }
    }

    #[test]
    fn fnv_is_the_published_one() {
        for (text, wanted) in
            [("", 0xcbf2_9ce4_8422_2325), ("a", 0xaf63_dc4c_8601_ec8c), ("foobar", 0x8594_4171_f739_67e8)]
        {
            let mut sum = Fnv::new();
            sum.add(text.as_bytes());
            assert_eq!(sum.value(), wanted, "{text:?}");
        }
    }

    #[test]
    fn dice_stay_below_the_limit() {
        let mut dice = Dice::new(3);
        assert!((0..1000).all(|_| dice.below(7) < 7));
        assert_eq!(dice.below(0), 0);
    }
}
