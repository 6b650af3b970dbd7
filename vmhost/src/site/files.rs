//! The files of one site folder, read from disk and kept in memory while they don't change.
//!
//! In:  `/assets/app-4f2a9c01.js`, as it stands in a request line.
//! Out: its bytes, a brotli form where there is one, and an ETag for each.
//!
//! Every request looks at the file's time and length, so a rebuilt file is seen
//! at once. Nothing outside the folder is ever read, by `..`, by an encoded
//! slash or through a link.

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::media;

/// Bytes kept in memory over all files: a site is a few megabytes, so this only
/// stops a folder that was never meant to be one from filling the machine.
const MEMORY_BYTES: usize = 256 << 20;

/// Markers in the site's own text files and what they become.
pub type Replacements = Vec<(&'static str, String)>;

/// One folder of a site.
pub struct Files {
    root: PathBuf,
    replacements: Replacements,
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    bytes: usize,
    assets: HashMap<PathBuf, (Stamp, Arc<Asset>)>,
}

/// A file as it is sent.
#[derive(Debug)]
pub struct Asset {
    /// The last segment of its path.
    pub name: String,
    /// The bytes as they are.
    pub plain: Encoded,
    /// The same in brotli.
    pub brotli: Option<Encoded>,
}

/// One form of a file.
#[derive(Debug)]
pub struct Encoded {
    /// The bytes.
    pub bytes: Bytes,
    /// A strong validator: a hash of these bytes.
    pub etag: String,
}

impl Encoded {
    fn new(bytes: Vec<u8>) -> Self {
        let etag = format!("\"{}\"", hex(&Sha256::digest(&bytes)[..16]));
        Self { bytes: bytes.into(), etag }
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

type Stamp = (FileStamp, Option<FileStamp>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileStamp {
    modified: SystemTime,
    len: u64,
}

impl Files {
    /// A folder, and the markers that its text files may hold.
    pub fn new(root: PathBuf, replacements: Replacements) -> Self {
        Self { root, replacements, cache: Mutex::default() }
    }

    /// The file that a request path names, or `None`. Reads the disk: call it where blocking is fine.
    ///
    /// # Errors
    /// When a file that is there can't be read.
    pub fn load(&self, request_path: &str) -> io::Result<Option<Arc<Asset>>> {
        let Some(relative) = relative_path(request_path) else { return Ok(None) };
        let path = self.root.join(&relative);
        let Some(plain) = stamp(&path)? else { return Ok(None) };
        if !path.canonicalize()?.starts_with(self.root.canonicalize()?) {
            return Ok(None);
        }
        let packed = with_br(&path);
        // A `.br` older than its file is left over from an earlier build, unless the name is a hash of both.
        let hashed = media::is_hashed(request_path);
        let packed_stamp = stamp(&packed)?.filter(|packed| hashed || packed.modified >= plain.modified);
        let stamp = (plain, packed_stamp);
        if let Some(asset) = self.cached(&path, stamp) {
            return Ok(Some(asset));
        }
        let asset = Arc::new(self.read(&path, packed_stamp.map(|_| packed.as_path()))?);
        self.keep(path, stamp, Arc::clone(&asset));
        Ok(Some(asset))
    }

    fn read(&self, path: &Path, packed: Option<&Path>) -> io::Result<Asset> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let bytes = std::fs::read(path)?;
        if let Some(text) = self.replaced(&name, &bytes) {
            let brotli = Some(Encoded::new(compress(text.as_bytes(), 9)));
            return Ok(Asset { name, plain: Encoded::new(text.into_bytes()), brotli });
        }
        let brotli = packed.map(std::fs::read).transpose()?.map(Encoded::new);
        Ok(Asset { name, plain: Encoded::new(bytes), brotli })
    }

    /// The text with markers replaced, or `None` where there are none.
    fn replaced(&self, name: &str, bytes: &[u8]) -> Option<String> {
        if self.replacements.is_empty() || !(name.ends_with(".html") || name == "sandglass-playground.js") {
            return None;
        }
        let text = std::str::from_utf8(bytes).ok()?;
        let holds = |(marker, _): &&(&str, String)| text.contains(marker);
        self.replacements.iter().any(|replacement| holds(&replacement)).then(|| {
            let start = text.to_owned();
            self.replacements.iter().fold(start, |text, (marker, value)| text.replace(marker, value))
        })
    }

    fn cached(&self, path: &Path, stamp: Stamp) -> Option<Arc<Asset>> {
        let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.assets.get(path).filter(|(kept, _)| *kept == stamp).map(|(_, asset)| Arc::clone(asset))
    }

    fn keep(&self, path: PathBuf, stamp: Stamp, asset: Arc<Asset>) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.bytes += asset.len();
        if cache.bytes > MEMORY_BYTES {
            cache.assets.clear();
            cache.bytes = asset.len();
        }
        if let Some((_, old)) = cache.assets.insert(path, (stamp, asset)) {
            cache.bytes = cache.bytes.saturating_sub(old.len());
        }
    }
}

impl Asset {
    fn len(&self) -> usize {
        self.plain.bytes.len() + self.brotli.as_ref().map_or(0, |brotli| brotli.bytes.len())
    }
}

/// Brotli at a quality from 0 to 11; writing to memory can't fail.
pub fn compress(bytes: &[u8], quality: u32) -> Vec<u8> {
    let mut packed = brotli::CompressorWriter::new(Vec::with_capacity(bytes.len() / 3), 64 << 10, quality, 22);
    packed.write_all(bytes).expect("a Vec takes every byte");
    packed.into_inner()
}

fn stamp(path: &Path) -> io::Result<Option<FileStamp>> {
    match std::fs::metadata(path) {
        Ok(data) if data.is_file() => Ok(Some(FileStamp { modified: data.modified()?, len: data.len() })),
        Ok(_) => Ok(None),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidFilename => Ok(None),
        Err(error) => Err(error),
    }
}

fn with_br(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".br");
    PathBuf::from(name)
}

/// `/a/b%20c.js` → `a/b c.js`. `None` for anything that is no plain way down into the folder.
fn relative_path(request_path: &str) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    for segment in request_path.strip_prefix('/')?.split('/') {
        let segment = percent_decoded(segment)?;
        let hidden = segment.is_empty() || segment.starts_with('.');
        if hidden || segment.contains(['/', '\\', '\0', ':']) {
            return None;
        }
        path.push(segment);
    }
    Some(path)
}

/// Decodes `%XX`; `None` if it is malformed or not UTF-8.
pub fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            let (high, low) = (digit(rest.next())?, digit(rest.next())?);
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_only_lead_down() {
        assert_eq!(relative_path("/a/b%20c.js"), Some(PathBuf::from("a/b c.js")));
        for path in [
            "a",
            "/",
            "/a/",
            "/../a",
            "/a/../b",
            "/%2e%2e/a",
            "/a%2f..%2fb",
            "/..%5ca",
            "/a//b",
            "/.git/config",
            "/a%00",
            "/%",
            "/%zz",
            "/%ff",
            "/c:/a",
        ] {
            assert_eq!(relative_path(path), None, "{path}");
        }
    }
}
