//! Writes the archive format of an initramfs: `newc`, uncompressed.
//!
//! Linux: Documentation/driver-api/early-userspace/buffer-format.rst. Times and
//! owners are zero, so equal contents give equal bytes.

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const ALIGNMENT: usize = 4;

/// An archive under way.
#[derive(Default)]
pub struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    /// Adds a folder; the ones above it come first.
    pub fn folder(&mut self, name: &str) {
        self.entry(name, DIRECTORY, &[]);
    }

    /// Adds an executable file.
    pub fn program(&mut self, name: &str, contents: &[u8]) {
        self.entry(name, PROGRAM, contents);
    }

    /// The archive with its end mark.
    pub fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn entry(&mut self, name: &str, mode: u32, contents: &[u8]) {
        self.entries += 1;
        let links = if mode == DIRECTORY { 2 } else { 1 };
        let size = u32::try_from(contents.len()).expect("no program of ours has 4 GiB");
        let name_size = u32::try_from(name.len() + 1).expect("names are short");
        // In order: inode, mode, uid, gid, links, mtime, size, device (2), device's own number (2), name's size, check.
        let fields = [self.entries, mode, 0, 0, links, 0, size, 0, 0, 0, 0, name_size, 0];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.align();
        self.bytes.extend_from_slice(contents);
        self.align();
    }

    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_reads_back() {
        let mut archive = Archive::default();
        archive.folder("dev");
        archive.program("init", b"#!/bin/sh");
        let bytes = archive.finish();
        assert_eq!(
            list(&bytes),
            [
                ("dev".to_owned(), "000041ed".to_owned(), Vec::new()),
                ("init".to_owned(), "000081ed".to_owned(), b"#!/bin/sh".to_vec()),
                ("TRAILER!!!".to_owned(), "00000000".to_owned(), Vec::new()),
            ]
        );
    }

    /// Name, mode and contents of each entry, by the format's own rules.
    fn list(mut bytes: &[u8]) -> Vec<(String, String, Vec<u8>)> {
        let mut entries = Vec::new();
        let start = bytes.len();
        while !bytes.is_empty() {
            let header = std::str::from_utf8(&bytes[..110]).expect("headers are text");
            assert!(header.starts_with("070701"), "{header}");
            let field = |index: usize| &header[6 + 8 * index..14 + 8 * index];
            let number = |index| usize::from_str_radix(field(index), 16).expect("fields are hexadecimal");
            let (mode, size, name_size) = (field(1).to_owned(), number(6), number(11));
            let name = String::from_utf8(bytes[110..110 + name_size - 1].to_vec()).expect("names are text");
            let contents = (110 + name_size).next_multiple_of(4);
            entries.push((name, mode, bytes[contents..contents + size].to_vec()));
            bytes = &bytes[(contents + size).next_multiple_of(4)..];
            assert_eq!((start - bytes.len()) % 4, 0);
        }
        entries
    }
}
