//! What a VM is made of.
//!
//! Plain data that is read from JSON; paths are the host's, opened before the
//! process shuts itself in.

mod check;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use check::{ConfigError, MAX_DEVICES};

/// One VM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VmConfig {
    /// What it boots.
    pub boot: Boot,
    /// 1 to 32.
    #[serde(default = "one")]
    pub vcpus: u8,
    /// 32 and up, in MiB.
    pub memory_mib: u32,
    /// Back memory by 2 MiB pages.
    #[serde(default)]
    pub huge_pages: bool,
    /// Which CPU the guest sees.
    #[serde(default)]
    pub cpu: CpuTemplate,
    /// Where the serial console's output goes.
    #[serde(default)]
    pub console: Console,
    /// Disks; the first is `/dev/vda`.
    #[serde(default)]
    pub disks: Vec<Disk>,
    /// Network interfaces; the first is `eth0`.
    #[serde(default)]
    pub networks: Vec<Network>,
    /// Sockets between guest and host.
    #[serde(default)]
    pub vsock: Option<Vsock>,
    /// Memory that can be taken back.
    #[serde(default)]
    pub balloon: Option<Balloon>,
    /// Random numbers of the host for the guest.
    #[serde(default = "yes")]
    pub entropy: bool,
}

fn one() -> u8 {
    1
}

fn yes() -> bool {
    true
}

/// A kernel and what it is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Boot {
    /// An ELF with a PVH note, or a bzImage.
    pub kernel: PathBuf,
    /// Unpacked by the kernel as its first root.
    #[serde(default)]
    pub initramfs: Option<PathBuf>,
    /// Words for the kernel and for PID 1.
    #[serde(default)]
    pub command_line: String,
}

/// Which features of the host's CPU the guest sees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CpuTemplate {
    /// All but those that can't be saved and restored.
    #[default]
    Host,
    /// Those of x86-64-v3, so that snapshots move between hosts.
    Portable,
}

/// Where the serial console's output goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Console {
    /// Nowhere.
    #[default]
    Off,
    /// The process's standard output; its standard input is the console's input.
    Stdio,
    /// A file, appended to.
    File(PathBuf),
}

/// A disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    /// Unique in the VM; the disk's serial number for the guest (at most 20 bytes).
    pub id: String,
    /// A raw image, never written when `read_only` or when there is an `overlay`.
    pub path: PathBuf,
    /// The guest can't write.
    #[serde(default)]
    pub read_only: bool,
    /// Takes all writes instead of the image: a file that is made if missing.
    #[serde(default)]
    pub overlay: Option<PathBuf>,
    /// How fast it may be used.
    #[serde(default)]
    pub rate: RateLimit,
}

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Unique in the VM.
    pub id: String,
    /// Who carries the frames.
    pub backend: NetworkBackend,
    /// The interface's address; frames of any other sender are dropped.
    pub mac: Mac,
    /// How fast the guest may send.
    #[serde(default)]
    pub send_rate: RateLimit,
    /// How fast the guest may receive.
    #[serde(default)]
    pub receive_rate: RateLimit,
}

/// Who carries an interface's frames.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkBackend {
    /// A tap device that exists, by name.
    Tap(String),
    /// A stream socket of passt: each frame with its length before it.
    Passt(PathBuf),
}

/// An Ethernet address, `02:00:00:00:00:01` in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Mac(pub [u8; 6]);

impl From<Mac> for String {
    fn from(Mac(bytes): Mac) -> Self {
        bytes.map(|byte| format!("{byte:02x}")).join(":")
    }
}

/// A text that is no Ethernet address.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no Ethernet address of one host: expected six pairs of hex digits like 02:00:00:00:00:01")]
pub struct NotAMac(String);

impl TryFrom<String> for Mac {
    type Error = NotAMac;

    fn try_from(text: String) -> Result<Self, NotAMac> {
        let pair = |part: &str| (part.len() == 2).then(|| u8::from_str_radix(part, 16).ok()).flatten();
        let bytes: Option<Vec<u8>> = text.split(':').map(pair).collect();
        match bytes.and_then(|bytes| <[u8; 6]>::try_from(bytes).ok()) {
            // The lowest bit of the first byte marks a group.
            Some(bytes) if bytes[0] & 1 == 0 && bytes != [0; 6] => Ok(Self(bytes)),
            _ => Err(NotAMac(text)),
        }
    }
}

/// Sockets between guest and host.
///
/// The host connects to `socket` and writes `CONNECT port\n`; the answer is
/// `OK port\n`. A guest that connects to host port N reaches `{socket}_N`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vsock {
    /// The guest's context id, 3 and up.
    pub cid: u32,
    /// A unix socket, made at start; a relative path starts in the VM's own directory.
    pub socket: PathBuf,
}

/// Memory that can be taken back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Balloon {
    /// What the guest gives up at first, in MiB.
    #[serde(default)]
    pub target_mib: u32,
    /// The guest tells of pages it has freed, and they are given back to the host.
    #[serde(default)]
    pub free_page_reporting: bool,
    /// The guest may take back what it gave when it runs out of memory.
    #[serde(default)]
    pub deflate_on_oom: bool,
}

/// How fast something may be used; absent parts are without limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Bytes.
    #[serde(default)]
    pub bytes: Option<Bucket>,
    /// Requests, or frames.
    #[serde(default)]
    pub operations: Option<Bucket>,
}

/// A token bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bucket {
    /// What flows in.
    pub per_second: u64,
    /// What fits in; it starts full.
    pub burst: u64,
}
