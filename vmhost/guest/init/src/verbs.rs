//! The verbs: what a request line may ask for.
//!
//! [`run`] is total: whatever the line, there is one reply line. The table knows each verb's
//! arguments, so that a wrong number of them is refused before anything happens.

mod args;
mod block;
mod block_bench;
mod block_random;
mod churn;
mod dhcp;
mod disk;
mod entropy;
mod files;
mod kernel;
mod memory;
mod net;
mod power;
mod vsock;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

pub(crate) use args::{Args, Failure, Step};
pub(crate) use churn::Churn;
pub(crate) use kernel::boot_id;
pub(crate) use memory::Filled;
pub(crate) use power::End;

use crate::Guest;

/// A reply line without its newline, and what has to happen once it is written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) text: String,
    pub(crate) end: Option<End>,
}

struct Verb {
    name: &'static str,
    /// Upper-case words; those in brackets may be missing, and dots take the rest of the line.
    usage: &'static str,
    run: Run,
}

enum Run {
    /// What comes after `ok` in the reply.
    Work(fn(&Arc<Guest>, Args<'_>) -> Result<String, Failure>),
    /// The same, refused outside a guest.
    GuestOnly(fn(&Arc<Guest>, Args<'_>) -> Result<String, Failure>),
    /// The reply is `ok`, and then this guest ends.
    End(End),
}

use Run::{GuestOnly, Work};

#[rustfmt::skip]
const VERBS: &[Verb] = &[
    Verb { name: "help", usage: "", run: Work(|_, _| Ok(help())) },
    Verb { name: "ping", usage: "", run: Work(|_, _| Ok("pong".to_owned())) },
    Verb { name: "uptime", usage: "", run: Work(kernel::uptime) },
    Verb { name: "clock", usage: "", run: Work(kernel::clock) },
    Verb { name: "generation", usage: "", run: Work(kernel::generation) },
    Verb { name: "cpus", usage: "", run: Work(kernel::cpus) },
    Verb { name: "meminfo", usage: "", run: Work(kernel::meminfo) },
    Verb { name: "cmdline", usage: "", run: Work(kernel::cmdline) },
    Verb { name: "interrupts", usage: "", run: Work(kernel::interrupts) },
    Verb { name: "dmesg", usage: "TEXT...", run: Work(kernel::dmesg) },
    Verb { name: "sleep", usage: "MS", run: Work(kernel::sleep) },

    Verb { name: "random", usage: "N", run: Work(entropy::random) },
    Verb { name: "hwrng", usage: "N", run: Work(entropy::hwrng) },

    Verb { name: "cat", usage: "PATH", run: Work(files::cat) },
    Verb { name: "write", usage: "PATH TEXT...", run: Work(files::write) },
    Verb { name: "mount", usage: "DEV DIR FSTYPE [ro]", run: GuestOnly(files::mount) },
    Verb { name: "umount", usage: "DIR", run: GuestOnly(files::umount) },

    Verb { name: "mem-fill", usage: "MIB SEED", run: Work(memory::fill) },
    Verb { name: "mem-check", usage: "", run: Work(memory::check) },
    Verb { name: "mem-free", usage: "", run: Work(memory::free) },
    Verb { name: "mem-churn", usage: "ON|OFF [SEED] [MIB]", run: Work(churn::switch) },
    Verb { name: "mem-churn-status", usage: "", run: Work(churn::status) },

    Verb { name: "blk-list", usage: "", run: Work(block::list) },
    Verb { name: "blk-write", usage: "DEV OFFSET LEN SEED", run: Work(block::write) },
    Verb { name: "blk-verify", usage: "DEV OFFSET LEN SEED", run: Work(block::verify) },
    Verb { name: "blk-flush", usage: "DEV", run: Work(block::flush) },
    Verb { name: "blk-discard", usage: "DEV OFFSET LEN", run: GuestOnly(block::discard) },
    Verb { name: "blk-zero", usage: "DEV OFFSET LEN", run: GuestOnly(block::zero) },
    Verb { name: "blk-random", usage: "DEV OPS|SECONDS SEED DEPTH", run: Work(block_random::run) },
    Verb { name: "blk-read-bench", usage: "DEV BYTES BS DEPTH [random]", run: Work(block_bench::read) },
    Verb { name: "blk-write-bench", usage: "DEV BYTES BS DEPTH [random]", run: Work(block_bench::write) },

    Verb { name: "vsock-connect", usage: "PORT BYTES SEED [CID]", run: Work(vsock::connect) },
    Verb { name: "vsock-many", usage: "PORT CONNS BYTES", run: Work(vsock::many) },

    Verb { name: "link", usage: "IFACE", run: Work(net::link) },
    Verb { name: "net-up", usage: "IFACE CIDR [GATEWAY]", run: GuestOnly(net::up) },
    Verb { name: "net-dhcp", usage: "IFACE", run: GuestOnly(dhcp::run) },
    Verb { name: "net-spoof", usage: "IFACE MAC", run: GuestOnly(net::spoof) },
    Verb { name: "tcp-echo-server", usage: "PORT", run: Work(net::tcp_echo_server) },
    Verb { name: "tcp-connect", usage: "HOST PORT BYTES SEED", run: Work(net::tcp_connect) },
    Verb { name: "udp-echo-server", usage: "PORT", run: Work(net::udp_echo_server) },
    Verb { name: "udp-ping", usage: "HOST PORT", run: Work(net::udp_ping) },

    Verb { name: "poweroff", usage: "", run: Run::End(End::PowerOff) },
    Verb { name: "reboot", usage: "", run: Run::End(End::Restart) },
    Verb { name: "triple-fault", usage: "", run: Run::End(End::TripleFault) },
    Verb { name: "panic", usage: "", run: Run::End(End::Panic) },
    Verb { name: "hang", usage: "", run: Run::End(End::Hang) },
];

/// Answers one request line.
pub(crate) fn run(guest: &Arc<Guest>, line: &str) -> Reply {
    let mut args = Args::new(line);
    let name = args.next().unwrap_or_default();
    let Some(verb) = VERBS.iter().find(|verb| verb.name == name) else {
        return Reply { text: format!("error unknown verb {}", crate::escape::escape(name.as_bytes())), end: None };
    };
    if !takes(verb.usage, args.count()) {
        return Reply { text: format!("error usage: {} {}", verb.name, verb.usage).trim_end().to_owned(), end: None };
    }
    let work = match verb.run {
        Work(work) => work,
        _ if !guest.is_init() => return Reply { text: format!("error {}", Failure::NotInit), end: None },
        GuestOnly(work) => work,
        Run::End(end) => return Reply { text: "ok".to_owned(), end: Some(end) },
    };
    let text = match catch_unwind(AssertUnwindSafe(|| work(guest, args))) {
        Ok(Ok(result)) if result.is_empty() => "ok".to_owned(),
        Ok(Ok(result)) => format!("ok {result}"),
        Ok(Err(failure)) => format!("error {failure}"),
        Err(_) => format!("error {} panicked", verb.name),
    };
    Reply { text, end: None }
}

/// Whether a verb of this usage takes so many words.
fn takes(usage: &str, count: usize) -> bool {
    let most = if usage.ends_with("...") { usize::MAX } else { usage.split_whitespace().count() };
    let least = usage.split_whitespace().filter(|word| !word.starts_with('[')).count();
    (least..=most).contains(&count)
}

fn help() -> String {
    VERBS
        .iter()
        .map(|verb| format!("{} {}", verb.name, verb.usage).trim_end().to_owned())
        .collect::<Vec<_>>()
        .join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_of_words() {
        for (usage, wanted) in [
            ("", [true, false, false, false]),
            ("A", [false, true, false, false]),
            ("A [B]", [false, true, true, false]),
            ("A TEXT...", [false, false, true, true]),
        ] {
            assert_eq!([0, 1, 2, 3].map(|count| takes(usage, count)), wanted, "{usage:?}");
        }
    }
}
