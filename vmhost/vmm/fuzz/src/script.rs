//! Takes a fuzzer's bytes apart into choices that are often nearly right.
//!
//! Bytes that are all chance would be refused at the first check; those of a
//! driver would find nothing. So addresses mostly lie in memory, lengths are
//! mostly short, and now and then either is anything at all.

use arbitrary::{Arbitrary, Unstructured};

use crate::memory::STRETCHES;

/// Rings of queue n lie at `RINGS * (n + 1)`.
pub const RINGS: u64 = 0x400;
/// From here up there are no rings, unless the guest puts some.
pub const FREE: u64 = 0x2000;

/// The bytes that are left.
pub struct Script<'a>(Unstructured<'a>);

impl<'a> Script<'a> {
    /// A script of these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(Unstructured::new(bytes))
    }

    /// Whether it is over. Choices go on being made then, all of them zero.
    pub fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// Any number.
    pub fn any<T: Arbitrary<'a> + Default>(&mut self) -> T {
        self.0.arbitrary().unwrap_or_default()
    }

    /// A number below `count`, which isn't zero.
    pub fn below(&mut self, count: usize) -> usize {
        usize::from(self.any::<u8>()) % count
    }

    /// True once in `count` times.
    pub fn once_in(&mut self, count: usize) -> bool {
        self.below(count) == count - 1
    }

    /// So many bytes at most.
    pub fn bytes(&mut self, most: usize) -> &'a [u8] {
        let length = most.min(self.0.len());
        self.0.bytes(length).unwrap_or_default()
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// Where a buffer may be.
    pub fn address(&mut self) -> u64 {
        let near = u64::from(self.any::<u8>());
        match self.below(16) {
            0..=8 => FREE + near * 0x40,
            9 | 10 => STRETCHES[1].start + near * 0x40,
            11 => near * 64,
            12 => STRETCHES[0].end - near,
            13 => STRETCHES[1].end - near,
            14 => u64::MAX - near,
            _ => self.any(),
        }
    }

    /// How long a buffer may be.
    pub fn length(&mut self) -> u32 {
        let short = u32::from(self.any::<u8>());
        match self.below(8) {
            0..=2 => short,
            3 => 16 * (short % 9),
            4 | 5 => 16 * short,
            6 => self.any::<u16>().into(),
            _ => self.any(),
        }
    }
}
