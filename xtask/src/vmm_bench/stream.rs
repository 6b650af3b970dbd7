//! Throughput of vsock. The guest hashes what it gets and computes what it sends: both are in the numbers.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, bail};

use super::ours::{self, Machine};
use super::place::Place;
use super::samples::{Samples, Table};

const MIB: usize = 16;
/// The guest reads to the end and answers with a hash; the guest sends so many bytes.
const DISCARD: u32 = 5001;
const SEND: u32 = 5002;
const CHUNK: usize = 256 << 10;

/// Ours, and why there is no peer.
pub fn run(place: &Place, runs: usize, table: &mut Table) -> anyhow::Result<()> {
    let machine = Machine::boot(place, 128, "quiet")?;
    let (mut into, mut out) = (Samples::default(), Samples::default());
    for run in 0..=runs {
        if run == 1 {
            (into, out) = Default::default();
        }
        into.add(send(machine.folder())?);
        out.add(receive(machine.folder())?);
    }
    table.alone("vsock, host to guest (the guest hashes)", "MiB/s", into);
    table.alone("vsock, guest to host (the guest computes)", "MiB/s", out);
    if Path::new("/dev/vhost-vsock").exists() {
        table.remark("vsock: not compared with QEMU's vhost-vsock, whose data path is the kernel's");
    } else {
        table.remark("vsock: no peer: QEMU has it by vhost-vsock only, which the lab's kernel doesn't have");
    }
    Ok(())
}

fn send(folder: &Path) -> anyhow::Result<f64> {
    let mut stream = ours::dial(folder, DISCARD)?;
    let chunk = vec![0xA5; CHUNK];
    let start = Instant::now();
    for _ in 0..(MIB << 20) / CHUNK {
        stream.write_all(&chunk).context("vsock")?;
    }
    stream.shutdown(Shutdown::Write).context("vsock")?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).context("vsock")?;
    if !reply.starts_with(&format!("ok bytes={}", MIB << 20)) {
        bail!("the guest got something else: {reply}");
    }
    Ok(MIB as f64 / start.elapsed().as_secs_f64())
}

fn receive(folder: &Path) -> anyhow::Result<f64> {
    let mut stream = ours::dial(folder, SEND)?;
    let start = Instant::now();
    writeln!(stream, "{} 7", MIB << 20).context("vsock")?;
    let (mut chunk, mut total) = (vec![0; CHUNK], 0);
    loop {
        match stream.read(&mut chunk).context("vsock")? {
            0 => break,
            count => total += count,
        }
    }
    if total != MIB << 20 {
        bail!("the guest sent {total} bytes");
    }
    Ok(MIB as f64 / start.elapsed().as_secs_f64())
}
