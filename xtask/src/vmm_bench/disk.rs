//! Throughput of a block device whose image is a file in memory.

use super::place::Place;
use super::samples::{Samples, Table};
use super::watch::{Watched, rate};
use super::{ours, qemu};

const MIB: usize = 128;
const IMAGE_MIB: usize = 64;
/// Bytes in all, block size, depth.
const SHAPES: [(&str, &str, usize); 4] = [("4M", "4K", 1), ("8M", "4K", 8), ("64M", "1M", 1), ("64M", "1M", 8)];
const VERBS: [(&str, &str); 2] = [("blk-read-bench", "read"), ("blk-write-bench", "write")];

/// Both sides in turns, all shapes in each boot; the first boot of each warms up.
pub fn run(place: &Place, runs: usize, table: &mut Table) -> anyhow::Result<()> {
    let places = || VERBS.iter().flat_map(|verb| SHAPES.iter().map(move |shape| (verb, shape)));
    let verb = |((verb, _), (bytes, size, depth)): (&(&str, &str), &(&str, &str, usize))| {
        format!("{verb},vda,{bytes},{size},{depth}")
    };
    let words = format!("quiet sandglass.do={};poweroff", places().map(verb).collect::<Vec<_>>().join(";"));
    let image = place.disk(IMAGE_MIB)?;
    let mut all = vec![[Samples::default(), Samples::default(), Samples::default()]; places().count()];
    for run in 0..=runs {
        if run == 1 {
            all.fill(Default::default());
        }
        let mut own = ours::command(place, &place.folder()?, MIB, &words);
        own.arg("--disk").arg(format!("disk={}", image.display()));
        let mut threads = qemu::command(place, MIB, &words, "")?;
        qemu::disk(&mut threads, &image, "threads");
        let mut uring = qemu::command(place, MIB, &words, "")?;
        qemu::disk(&mut uring, &image, "io_uring");
        for (side, command) in [own, threads, uring].iter_mut().enumerate() {
            let mut machine = Watched::start(command)?;
            for (rates, ((verb, _), _)) in all.iter_mut().zip(places()) {
                let (_, line) = machine.wait_for(&format!("sandglass-init: {verb}: "))?;
                rates[side].add(rate(&line)?);
            }
            machine.end()?;
        }
    }
    for ([ours, threads, uring], ((_, what), (_, size, depth))) in all.into_iter().zip(places()) {
        let what = format!("block {what}, {size} blocks, depth {depth}");
        table.compare(format!("{what}; theirs aio=threads"), "MiB/s", ours.clone(), threads);
        table.compare(format!("{what}; theirs aio=io_uring"), "MiB/s", ours, uring);
    }
    table.remark("block: MiB/s, so a ratio above 1 means that ours is faster; cache=writeback on both sides");
    Ok(())
}
