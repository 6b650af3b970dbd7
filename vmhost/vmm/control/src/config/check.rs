//! Says what is wrong with a configuration, where, and what to do about it.
//!
//! In:  JSON by a person's hand, or a configuration that was built.
//! Out: the first mistake, with its file, line and column when there is a text.

mod place;

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use super::{Bucket, RateLimit, VmConfig};

/// A machine has so many places for devices.
pub const MAX_DEVICES: usize = 17;
/// As long as virtio's serial number of a disk, in bytes.
const MAX_ID: usize = 20;
/// A unix socket's path ends here; `_4294967295` must still fit behind it.
const MAX_SOCKET_PATH: usize = 107 - 11;
/// The kernel's limit with its closing zero, less what the VMM adds for the console and devices.
const MAX_COMMAND_LINE: usize = 3072;

/// What is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The file and the place in it: line and column, from 1.
    pub place: Option<(String, usize, usize)>,
    /// Like `disks[1].id`; empty when the text is no configuration at all.
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some((file, 0, _)) => write!(f, "{file}: ")?,
            Some((file, line, column)) => write!(f, "{file}:{line}:{column}: ")?,
            None => {}
        }
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        write!(f, "{} (remedy: {})", self.message, self.remedy)
    }
}

impl std::error::Error for ConfigError {}

impl VmConfig {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// The first mistake in it.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError {
            place: Some((file.clone(), 0, 0)),
            field: String::new(),
            message: format!("can't be read: {error}"),
            remedy: "name a file with a VM's configuration in JSON".into(),
        })?;
        Self::parse(&text, &file)
    }

    /// Reads and checks a text; `file` is what errors call it.
    ///
    /// # Errors
    /// The first mistake in it.
    pub fn parse(text: &str, file: &str) -> Result<Self, ConfigError> {
        let config: Self = serde_json::from_str(text).map_err(|error| place::of_parser(&error, file))?;
        config.check().map_err(|mut error| {
            error.place = place::of_field(text, &error.field).map(|(line, column)| (file.to_owned(), line, column));
            error
        })?;
        Ok(config)
    }

    /// Checks what types can't say.
    ///
    /// # Errors
    /// The first mistake.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.check_within(host_memory_mib())
    }

    /// The same on a host with so much memory.
    ///
    /// # Errors
    /// The first mistake.
    pub fn check_within(&self, host_mib: u32) -> Result<(), ConfigError> {
        self.check_boot()?;
        if !(1..=32).contains(&self.vcpus) {
            return wrong("vcpus", format!("{} vCPUs are not possible", self.vcpus), "ask for 1 to 32");
        }
        if self.memory_mib < 32 {
            let message = format!("{} MiB are too little for any guest", self.memory_mib);
            return wrong("memory_mib", message, "give at least 32");
        }
        if self.memory_mib > host_mib {
            let message = format!("{} MiB are more than the host's {host_mib} MiB", self.memory_mib);
            return wrong("memory_mib", message, "give less than the host has");
        }
        if self.huge_pages && !self.memory_mib.is_multiple_of(2) {
            let message = format!("{} MiB can't be made of pages of 2 MiB", self.memory_mib);
            return wrong("memory_mib", message, "give an even number, or leave `huge_pages` out");
        }
        self.check_disks()?;
        self.check_networks()?;
        self.check_rest()
    }

    fn check_boot(&self) -> Result<(), ConfigError> {
        if self.boot.kernel.as_os_str().is_empty() {
            return wrong("boot.kernel", "no kernel is named", "name an ELF kernel with a PVH note, or a bzImage");
        }
        let line = &self.boot.command_line;
        if line.len() > MAX_COMMAND_LINE {
            let message = format!("{} bytes are too long", line.len());
            return wrong("boot.command_line", message, &format!("stay below {MAX_COMMAND_LINE} bytes"));
        }
        if !line.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return wrong("boot.command_line", "the kernel takes no such characters", "use printable ASCII only");
        }
        Ok(())
    }

    fn check_disks(&self) -> Result<(), ConfigError> {
        let (mut ids, mut written) = (BTreeSet::new(), BTreeSet::new());
        for (index, disk) in self.disks.iter().enumerate() {
            let field = |name: &str| format!("disks[{index}].{name}");
            check_id(&field("id"), &disk.id, &mut ids)?;
            if disk.path.as_os_str().is_empty() {
                return wrong(&field("path"), "no image is named", "name a raw disk image");
            }
            if disk.read_only && disk.overlay.is_some() {
                let message = "a disk that is read-only has no writes for an overlay";
                return wrong(&field("overlay"), message, "leave out `overlay` or `read_only`");
            }
            let (name, target) = match &disk.overlay {
                Some(overlay) => ("overlay", overlay),
                None => ("path", &disk.path),
            };
            let collides = if disk.read_only {
                written.contains(target)
            } else {
                let shared = |other: &super::Disk| other.path == *target && !std::ptr::eq(other, disk);
                disk.overlay.as_ref() == Some(&disk.path)
                    || self.disks.iter().any(shared)
                    || !written.insert(target.clone())
            };
            if collides {
                let message = format!("{} is used twice, and written", target.display());
                return wrong(&field(name), message, "give each disk that is written a file of its own");
            }
            check_rate(&field("rate"), &disk.rate)?;
        }
        Ok(())
    }

    fn check_networks(&self) -> Result<(), ConfigError> {
        let (mut ids, mut macs) = (BTreeSet::new(), BTreeSet::new());
        for (index, network) in self.networks.iter().enumerate() {
            let field = |name: &str| format!("networks[{index}].{name}");
            check_id(&field("id"), &network.id, &mut ids)?;
            if !macs.insert(network.mac.0) {
                return wrong(&field("mac"), "another interface has the same address", "give each its own");
            }
            if let super::NetworkBackend::Tap(name) = &network.backend
                && (name.is_empty() || name.len() > 15)
            {
                let message = format!("`{name}` is no name of an interface");
                return wrong(&field("backend"), message, "name a tap device in 1 to 15 bytes");
            }
            check_rate(&field("send_rate"), &network.send_rate)?;
            check_rate(&field("receive_rate"), &network.receive_rate)?;
        }
        Ok(())
    }

    fn check_rest(&self) -> Result<(), ConfigError> {
        if let Some(vsock) = &self.vsock {
            if vsock.cid < 3 || vsock.cid == u32::MAX {
                let message = format!("context id {} is reserved", vsock.cid);
                return wrong("vsock.cid", message, "choose one from 3 to 4294967294");
            }
            let length = vsock.socket.as_os_str().len();
            if !(1..=MAX_SOCKET_PATH).contains(&length) {
                let message = format!("a path of {length} bytes can't name a socket");
                return wrong("vsock.socket", message, &format!("use a path of 1 to {MAX_SOCKET_PATH} bytes"));
            }
        }
        if let Some(balloon) = &self.balloon
            && balloon.target_mib >= self.memory_mib
        {
            let message = format!("{} MiB are all that the guest has", balloon.target_mib);
            return wrong("balloon.target_mib", message, "leave the guest something");
        }
        let others = [self.vsock.is_some(), self.balloon.is_some(), self.entropy];
        let devices = self.disks.len() + self.networks.len() + others.into_iter().filter(|is| *is).count();
        if devices > MAX_DEVICES {
            let message = format!("{devices} devices are more than a machine has places for");
            return wrong("", message, &format!("have at most {MAX_DEVICES} disks, networks and others in all"));
        }
        Ok(())
    }
}

fn check_id(field: &str, id: &str, seen: &mut BTreeSet<String>) -> Result<(), ConfigError> {
    if id.is_empty() || id.len() > MAX_ID {
        let message = format!("`{id}` has {} bytes", id.len());
        return wrong(field, message, &format!("use 1 to {MAX_ID} bytes"));
    }
    if !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) || id.starts_with('.') {
        return wrong(
            field,
            format!("`{id}` has characters that names can't have"),
            "use letters, digits, `-`, `_`, `.`",
        );
    }
    if !seen.insert(id.to_owned()) {
        return wrong(field, format!("`{id}` is taken already"), "give each its own");
    }
    Ok(())
}

fn check_rate(field: &str, rate: &RateLimit) -> Result<(), ConfigError> {
    for (name, bucket) in [("bytes", rate.bytes), ("operations", rate.operations)] {
        if let Some(Bucket { per_second, burst }) = bucket
            && (per_second == 0 || burst == 0)
        {
            let message = "a bucket that is empty for ever lets nothing through";
            return wrong(&format!("{field}.{name}"), message, "give both parts at least 1, or leave the limit out");
        }
    }
    Ok(())
}

fn wrong(field: &str, message: impl Into<String>, remedy: &str) -> Result<(), ConfigError> {
    Err(ConfigError { place: None, field: field.to_owned(), message: message.into(), remedy: remedy.to_owned() })
}

/// What the host has in all; without limit where it won't tell.
fn host_memory_mib() -> u32 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.and_then(|kib| u32::try_from(kib >> 10).ok()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
