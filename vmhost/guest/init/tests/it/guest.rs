//! A running `guest-init` and a folder for its sockets and files, both gone when it is dropped.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(20);

pub struct Guest {
    folder: PathBuf,
    process: Child,
}

impl Guest {
    pub fn start() -> Self {
        let mut guest = Self::spawn(|_| ());
        guest.wait();
        guest
    }

    /// Starts the program once the folder is prepared, without waiting for it.
    pub fn spawn(prepare: impl FnOnce(&Path)) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("guest-init-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).expect("make a folder");
        prepare(&folder);
        let process = Command::new(env!("CARGO_BIN_EXE_guest-init"))
            .arg("--serve-unix")
            .arg(folder.join("v"))
            .spawn()
            .expect("start guest-init");
        Self { folder, process }
    }

    /// Waits until the socket answers, which is the last that the program makes.
    fn wait(&mut self) {
        let start = Instant::now();
        while UnixStream::connect(self.path("v")).is_err() {
            assert!(start.elapsed() < DEADLINE, "guest-init doesn't serve");
            assert_eq!(self.process.try_wait().expect("ask for its state"), None, "guest-init ended");
            std::thread::yield_now();
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A file of `mib` MiB that stands for a disk.
    pub fn disk(&self, name: &str, mib: u64) -> PathBuf {
        let path = self.path(name);
        File::create(&path).and_then(|file| file.set_len(mib << 20)).expect("make a disk");
        path
    }

    /// A connection for requests, without lines.
    pub fn raw(&self) -> UnixStream {
        patient(&self.path("v"))
    }

    /// The raw stream service of a port.
    pub fn service(&self, port: u32) -> UnixStream {
        patient(&self.path(&format!("v_{port}")))
    }

    pub fn connect(&self) -> Connection {
        let writer = self.raw();
        Connection { reader: BufReader::new(writer.try_clone().expect("second handle")), writer }
    }

    /// One request on a connection of its own.
    pub fn ask(&self, line: &str) -> String {
        self.connect().ask(line)
    }
}

fn patient(path: &Path) -> UnixStream {
    let stream = UnixStream::connect(path).expect("connect");
    stream.set_read_timeout(Some(DEADLINE)).expect("set timeout");
    stream
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

pub struct Connection {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
}

impl Connection {
    pub fn ask(&mut self, line: &str) -> String {
        self.writer.write_all(format!("{line}\n").as_bytes()).expect("send a request");
        let mut reply = String::new();
        self.reader.read_line(&mut reply).expect("receive a reply");
        assert!(reply.ends_with('\n'), "{line}: a whole line, not {reply:?}");
        reply.trim_end_matches('\n').to_owned()
    }
}
