//! QEMU's microvm, as lean as its users run it.
//!
//! No option ROMs, no PIT, PIC or clock chip; qboot instead of SeaBIOS, which takes
//! longer. ACPI stays on: without it the kernel finds no virtio device.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::PATIENCE;
use super::place::{Place, Qemu};

const MACHINE: &str = "microvm,x-option-roms=off,pit=off,pic=off,isa-serial=on,rtc=off";
/// As our machine says to every kernel that has a console.
pub const WORDS: &str = "panic=-1 pci=off console=ttyS0";

/// A machine of `mib` that boots the same guest; `machine` is appended to the machine's options.
///
/// # Errors
/// When QEMU isn't installed.
pub fn command(place: &Place, mib: usize, words: &str, machine: &str) -> anyhow::Result<Command> {
    let Qemu { program, libraries, firmware } =
        place.qemu.as_ref().context("QEMU isn't installed: apt-get install qemu-system-x86")?;
    let mut command = Command::new(program);
    command.env("LD_LIBRARY_PATH", libraries).arg("-L").arg(firmware);
    command.args(["-bios", "qboot.rom", "-M", &format!("{MACHINE}{machine}"), "-accel", "kvm", "-cpu", "host"]);
    command.args(["-m", &mib.to_string(), "-smp", "1", "-nodefaults", "-no-user-config", "-nographic", "-no-reboot"]);
    command.args(["-serial", "stdio", "-device", "virtio-rng-device"]);
    command.arg("-kernel").arg(&place.kernel).arg("-initrd").arg(&place.initramfs);
    command.arg("-append").arg(format!("{WORDS} {words}"));
    Ok(command)
}

/// Adds a disk.
pub fn disk(command: &mut Command, image: &Path, aio: &str) {
    let drive = format!("if=none,id=disk,format=raw,cache=writeback,aio={aio},file={}", image.display());
    command.args(["-drive", &drive, "-device", "virtio-blk-device,drive=disk"]);
}

/// Lets it connect to a control socket that listens at `socket`.
pub fn monitor(command: &mut Command, socket: &Path) {
    command.arg("-chardev").arg(format!("socket,id=qmp,path={}", socket.display()));
    command.args(["-mon", "chardev=qmp,mode=control"]);
}

/// QEMU's control socket.
pub struct Qmp(BufReader<UnixStream>);

impl Qmp {
    /// QEMU connects to `listener` while it starts.
    ///
    /// # Errors
    /// When it ends instead.
    pub fn accept(listener: &UnixListener) -> anyhow::Result<Self> {
        let (stream, _) = listener.accept().context("QEMU's control socket")?;
        stream.set_read_timeout(Some(PATIENCE)).context("QEMU's control socket")?;
        let mut qmp = Self(BufReader::new(stream));
        qmp.line()?;
        qmp.call("qmp_capabilities", &json!({}))?;
        Ok(qmp)
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// When QEMU refuses.
    pub fn call(&mut self, name: &str, arguments: &Value) -> anyhow::Result<Value> {
        let request = json!({ "execute": name, "arguments": arguments });
        writeln!(self.0.get_mut(), "{request}").context("QEMU's control socket")?;
        loop {
            let answer = self.line()?;
            if let Some(error) = answer.get("error") {
                bail!("QEMU refuses `{name}`: {error}");
            }
            if let Some(value) = answer.get("return") {
                return Ok(value.clone());
            }
        }
    }

    /// Waits until the machine runs.
    ///
    /// # Errors
    /// When it ends instead.
    pub fn running(&mut self) -> anyhow::Result<()> {
        // The event may have come before anybody listened: an answer tells, too.
        while self.call("query-status", &json!({}))?["running"] != true {
            if self.line()?["event"] == "RESUME" {
                break;
            }
        }
        Ok(())
    }

    /// KVM's counters of the first processor.
    ///
    /// # Errors
    /// When QEMU is too old to tell.
    pub fn counters(&mut self) -> anyhow::Result<Value> {
        let answer = self.call("query-stats", &json!({ "target": "vcpu" }))?;
        Ok(answer[0]["stats"].clone())
    }

    fn line(&mut self) -> anyhow::Result<Value> {
        let mut line = String::new();
        if self.0.read_line(&mut line).context("QEMU's control socket")? == 0 {
            bail!("QEMU ended");
        }
        serde_json::from_str(&line).context("QEMU's control socket")
    }
}

/// Private and resident memory of a process without that of its guest, in KiB.
///
/// # Errors
/// When the process is gone, or nothing looks like a guest's memory.
pub fn beside_guest(id: u32, guest_mib: usize) -> anyhow::Result<(f64, f64)> {
    let text = fs::read_to_string(format!("/proc/{id}/smaps")).context("QEMU's mappings")?;
    let (mut private, mut resident, mut guest, mut found) = (0, 0, false, false);
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if let Some(name) = first.strip_suffix(':') {
            let kib: u64 = second.parse().unwrap_or(0);
            match name {
                "Rss" if !guest => resident += kib,
                "Private_Clean" | "Private_Dirty" if !guest => private += kib,
                _ => {}
            }
        } else if let Some((start, end)) = first.split_once('-') {
            let address = |hex| u64::from_str_radix(hex, 16).unwrap_or(0);
            guest = address(end).saturating_sub(address(start)) == (guest_mib as u64) << 20;
            found |= guest;
        }
    }
    if !found {
        bail!("no mapping of QEMU's is {guest_mib} MiB large");
    }
    Ok((private as f64, resident as f64))
}
