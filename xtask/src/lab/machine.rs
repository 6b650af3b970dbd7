//! One emulated machine: QEMU without hardware help, with an AMD processor that has virtualisation.
//!
//! Devices must be the same, in the same order, when a state is saved and when it
//! is resumed; only what lies behind them may differ.

use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{env, fs};

use anyhow::{Context as _, bail};

use super::clock;
use super::qmp::Qmp;
use super::temporary::Temporary;
use crate::process::spawn;

/// QEMU connects while it starts; later means that it failed to start.
const CONNECT: Duration = Duration::from_secs(20);
/// Between two looks at whether QEMU still lives.
const PAUSE: Duration = Duration::from_millis(2);

/// What a machine is made of.
pub struct Ingredients {
    /// The kernel, as an ELF file.
    pub kernel: PathBuf,
    /// The archive with PID 1.
    pub initramfs: PathBuf,
    /// An empty ext4 file system; writes to it are forgotten.
    pub disk: PathBuf,
    /// Size of its memory.
    pub memory_mib: u32,
    /// How many processors.
    pub cpus: u32,
}

/// Where memory comes from.
pub enum Memory<'a> {
    /// From nowhere: a machine that boots and is used at once.
    Fresh,
    /// A new file that keeps it, for a template.
    Into(&'a Path),
    /// The file of a template, copied where it is written to.
    From(&'a Path),
}

/// A running QEMU.
pub struct Machine {
    child: Child,
    qmp: Qmp,
    control: BufReader<UnixStream>,
    outputs: Vec<JoinHandle<()>>,
    folder: Temporary,
}

impl Machine {
    /// Starts QEMU; `share` is a folder of the host that the machine may write to.
    ///
    /// # Errors
    /// With what QEMU said, if it doesn't start.
    pub fn start(parts: &Ingredients, memory: &Memory<'_>, share: Option<&Path>) -> anyhow::Result<Self> {
        let folder = Temporary::new("lab")?;
        let listen = |name: &str| UnixListener::bind(folder.path().join(name)).context("can't make a socket");
        let (control, qmp) = (listen("control")?, listen("qmp")?);
        let mut child = spawn(&mut command(parts, memory, share.unwrap_or(folder.path()), folder.path()))?;
        let outputs = vec![
            forward(child.stdout.take().context("QEMU has no output")?, io::stdout()),
            forward(child.stderr.take().context("QEMU has no output")?, io::stderr()),
        ];
        let connected = accept(&control, &mut child).and_then(|control| Ok((control, accept(&qmp, &mut child)?)));
        let (control, qmp) = match connected {
            Ok(both) => both,
            Err(error) => {
                end(&mut child);
                return Err(error);
            }
        };
        let control = BufReader::new(control);
        match Qmp::greet(qmp) {
            Ok(qmp) => Ok(Self { child, qmp, control, outputs, folder }),
            Err(error) => {
                end(&mut child);
                Err(error)
            }
        }
    }

    /// QEMU's own control connection.
    pub fn qmp(&mut self) -> &mut Qmp {
        &mut self.qmp
    }

    /// A folder that goes with the machine.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Tells PID 1 something.
    ///
    /// # Errors
    /// When QEMU is gone.
    pub fn tell(&mut self, line: &str) -> anyhow::Result<()> {
        self.control.get_mut().write_all(line.as_bytes()).context("the lab machine is gone")
    }

    /// The next line that PID 1 says; `None` when time is up.
    ///
    /// # Errors
    /// When the machine ends instead, with the end of its console.
    pub fn hear(&mut self, limit: Duration) -> anyhow::Result<Option<String>> {
        self.control.get_ref().set_read_timeout(Some(limit.max(PAUSE))).context("can't limit the machine's time")?;
        let mut line = String::new();
        match self.control.read_line(&mut line) {
            Ok(0) => bail!("the lab machine ended by itself\n{}", self.console()),
            Ok(_) => Ok(Some(line.trim_end().to_owned())),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Ok(None),
            Err(error) => Err(error).context("can't hear the lab machine"),
        }
    }

    /// What its kernel said last.
    pub fn console(&self) -> String {
        let bytes = fs::read(self.folder().join("console")).unwrap_or_default();
        crate::process::tail(&String::from_utf8_lossy(&bytes))
    }

    /// Ends it, once all that it has printed is out.
    pub fn finish(mut self) {
        end(&mut self.child);
        for output in self.outputs.drain(..) {
            let _ = output.join();
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn end(child: &mut Child) {
    // One that has ended by itself isn't there to be killed.
    let _ = child.kill();
    let _ = child.wait();
}

fn command(parts: &Ingredients, memory: &Memory<'_>, share: &Path, folder: &Path) -> Command {
    // QEMU must not outlive us, however we end.
    let mut qemu = Command::new("setpriv");
    qemu.args(["--pdeathsig", "KILL", "qemu-system-x86_64"]);
    qemu.args(["-accel", "tcg,thread=multi", "-cpu", "max,+svm"]);
    qemu.args(["-smp", &parts.cpus.to_string(), "-m", &format!("{}M", parts.memory_mib)]);
    qemu.args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"]);
    qemu.args(["-M", "microvm,x-option-roms=off,rtc=on,acpi=off,memory-backend=m"]);
    qemu.arg("-object").arg(backend(memory, parts.memory_mib));
    if matches!(memory, Memory::From(_)) {
        qemu.args(["-incoming", "defer"]);
    }
    qemu.arg("-kernel").arg(&parts.kernel).arg("-initrd").arg(&parts.initramfs);
    // The clock is told, not measured; and nobody attacks this machine from within.
    let line = "console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable pci=off kvm_amd.nested=0";
    // A resumed kernel knows the rate already, and measuring it takes longer than resuming.
    let khz = if matches!(memory, Memory::From(_)) { 0 } else { clock::tsc_khz() };
    qemu.arg("-append").arg(format!("{line} tsc_early_khz={khz}"));
    let at = |prefix: &str, name: &str| joined(&[prefix.as_ref(), folder.join(name).as_os_str()]);
    qemu.arg("-serial").arg(at("file:", "console"));
    qemu.arg("-qmp").arg(at("unix:", "qmp"));
    qemu.args(["-global", "virtio-mmio.force-legacy=false", "-device", "virtio-serial-device"]);
    qemu.arg("-chardev").arg(at("socket,id=control,path=", "control"));
    qemu.args(["-chardev", "file,id=out,path=/dev/stdout,append=on"]);
    qemu.args(["-chardev", "file,id=err,path=/dev/stderr,append=on"]);
    for (number, port) in ["control", "out", "err"].iter().enumerate() {
        qemu.args(["-device", &format!("virtserialport,chardev={port},nr={}", number + 1)]);
    }
    qemu.args(["-fsdev", "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap"]);
    qemu.args(["-device", "virtio-9p-device,fsdev=host,mount_tag=host"]);
    let share = joined(&["local,id=share,security_model=none,multidevs=remap,path=".as_ref(), share.as_os_str()]);
    qemu.arg("-fsdev").arg(share).args(["-device", "virtio-9p-device,fsdev=share,mount_tag=share"]);
    let disk = "if=none,id=disk,format=raw,snapshot=on,cache=unsafe,file=";
    qemu.arg("-drive").arg(joined(&[disk.as_ref(), parts.disk.as_os_str()]));
    qemu.args(["-device", "virtio-blk-device,drive=disk"]);
    qemu.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Where it keeps what is written to the disk.
    qemu.env("TMPDIR", env::temp_dir());
    qemu
}

fn backend(memory: &Memory<'_>, memory_mib: u32) -> OsString {
    let size = format!("id=m,size={memory_mib}M");
    match memory {
        Memory::Fresh => format!("memory-backend-ram,{size}").into(),
        Memory::Into(file) => {
            joined(&[format!("memory-backend-file,{size},share=on,mem-path=").as_ref(), file.as_os_str()])
        }
        Memory::From(file) => {
            joined(&[format!("memory-backend-file,{size},share=off,mem-path=").as_ref(), file.as_os_str()])
        }
    }
}

fn joined(parts: &[&std::ffi::OsStr]) -> OsString {
    parts.iter().copied().collect()
}

fn accept(listener: &UnixListener, child: &mut Child) -> anyhow::Result<UnixStream> {
    listener.set_nonblocking(true).context("can't wait for QEMU")?;
    let start = Instant::now();
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).context("can't wait for QEMU")?;
                return Ok(stream);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("can't wait for QEMU"),
        }
        if let Some(status) = child.try_wait().context("can't wait for QEMU")? {
            bail!("QEMU ended before the machine started: {status}");
        }
        if start.elapsed() > CONNECT {
            bail!("QEMU didn't start within {} s", CONNECT.as_secs());
        }
        thread::sleep(PAUSE);
    }
}

/// Copies what a program prints to where we print, as it comes.
fn forward(mut from: impl Read + Send + 'static, mut to: impl Write + Send + 'static) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(read) = from.read(&mut buffer) {
            if read == 0 || to.write_all(&buffer[..read]).and_then(|()| to.flush()).is_err() {
                return;
            }
        }
    })
}
