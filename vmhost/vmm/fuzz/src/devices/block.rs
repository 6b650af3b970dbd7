//! A disk of a few sectors in memory, on both of its engines, with and without an overlay.

use std::fs::File;

use vmm::memory::memfd;
use vmm::virtio::block::{self, BlockOptions, Image};
use vmm::virtio::{Device, Mmio};
use vmm_control::{Bucket, RateLimit};

use crate::hostile::Subject;
use crate::script::Script;

const SECTORS: u64 = 100;

/// A disk of one kind.
pub struct Block {
    base: File,
    overlay: Option<File>,
    read_only: bool,
    limited: bool,
    background: bool,
}

impl Block {
    /// The kind that the bits say.
    ///
    /// # Panics
    /// When the host has no memory files left.
    pub fn new(kind: u8) -> Self {
        let file = |length| memfd::create("disk", length, false).expect("the host has a memory file");
        let overlay = (kind & 1 == 1).then(|| {
            let file = file(0);
            Image::create_overlay(&file, SECTORS * 512).expect("a valid size");
            file
        });
        Self {
            base: file(SECTORS * 512),
            overlay,
            read_only: kind & 6 == 6,
            limited: kind & 8 == 8,
            background: kind & 16 == 16,
        }
    }
}

impl Subject for Block {
    fn device(&mut self) -> Box<dyn Device> {
        let clone = |file: &File| file.try_clone().expect("the host has a descriptor");
        let image = Image::open(clone(&self.base), vec![], self.overlay.as_ref().map(clone)).expect("our own files");
        let bucket = |burst| self.limited.then_some(Bucket { per_second: 1, burst });
        let rate = RateLimit { bytes: bucket(4096), operations: bucket(9) };
        let options = BlockOptions { id: "disk".into(), image, read_only: self.read_only, rate };
        let device = if self.background { block::Block::new(options) } else { block::Block::synchronous(options) };
        Box::new(device.expect("the host has descriptors"))
    }

    fn works_in_background(&self) -> bool {
        self.background
    }

    fn request(&mut self, _: usize, script: &mut Script<'_>) -> Vec<u8> {
        let kind: u32 = script.pick(&[0, 0, 1, 1, 4, 8, 11, 13, 11, 13, 2, 0xFFFF_FFFF]);
        let sector = |script: &mut Script<'_>| match script.below(8) {
            0..=5 => u64::from(script.any::<u8>() % 110),
            6 => SECTORS - u64::from(script.any::<u8>() % 4),
            _ => script.any(),
        };
        let mut bytes = [kind.to_le_bytes(), [0; 4]].concat();
        bytes.extend(sector(script).to_le_bytes());
        if kind >= 11 {
            for _ in 0..script.below(4) {
                bytes.extend(sector(script).to_le_bytes());
                let count = if script.once_in(8) { script.any() } else { u32::from(script.any::<u8>() % 110) };
                bytes.extend(count.to_le_bytes());
                bytes.extend(u32::from(script.any::<u8>() & 1).to_le_bytes());
            }
        } else if kind == 1 && script.any() {
            bytes.resize(16 + 512 * script.below(4), script.any());
        }
        bytes
    }

    fn host(&mut self, mmio: &Mmio, script: &mut Script<'_>) {
        mmio.with::<block::Block, _>(|disk, io| match script.below(4) {
            0 => disk.set_rate(RateLimit::default()),
            1 => disk.resize(io).expect("the file is there"),
            2 => {
                let top = memfd::create("top", 0, false).expect("the host has a memory file");
                Image::create_overlay(&top, SECTORS * 512).expect("a valid size");
                let kept = top.try_clone().expect("the host has a descriptor");
                if disk.freeze(io, top).is_ok() {
                    // A disk that is opened anew lacks the layers between, which is all the same to it.
                    self.overlay = Some(kept);
                }
            }
            _ => assert!(io.queues.len() == 1),
        });
    }
}
