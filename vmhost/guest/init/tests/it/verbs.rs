//! Requests and their replies.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;

use super::guest::Guest;

/// Whether `reply` is `wanted`, in which `*` stands for any word without spaces.
fn matches(reply: &str, wanted: &str) -> bool {
    let (reply, wanted): (Vec<_>, Vec<_>) = (reply.split(' ').collect(), wanted.split(' ').collect());
    reply.len() == wanted.len()
        && reply.iter().zip(wanted).all(|(word, wanted)| match wanted.split_once('*') {
            Some((start, end)) => {
                word.len() >= start.len() + end.len() && word.starts_with(start) && word.ends_with(end)
            }
            None => *word == wanted,
        })
}

/// Sends requests on one connection and compares each reply. `DIR` is the test's folder.
#[track_caller]
fn check_in(guest: &Guest, exchange: &[(&str, &str)]) {
    let folder = guest.path("").to_string_lossy().trim_end_matches('/').to_owned();
    let mut connection = guest.connect();
    for (request, wanted) in exchange {
        let reply = connection.ask(&request.replace("DIR", &folder)).replace(&folder, "DIR");
        assert!(matches(&reply, wanted), "{request}\n   said {reply}\n wanted {wanted}");
    }
}

#[track_caller]
fn check(exchange: &[(&str, &str)]) {
    check_in(&Guest::start(), exchange);
}

#[test]
fn requests_and_mistakes() {
    check(&[
        ("ping", "ok pong"),
        ("  ping  ", "ok pong"),
        ("frobnicate 1", "error unknown verb frobnicate"),
        ("", "error unknown verb "),
        ("bad\u{7f}verb", "error unknown verb bad\\x7fverb"),
        ("ping twice", "error usage: ping"),
        ("mem-fill 1", "error usage: mem-fill MIB SEED"),
        ("random many", "error bad N: many"),
        ("random 1G", "error bad N: 1G"),
        ("sleep 1", "ok us=*"),
    ]);
}

#[test]
fn the_machine_is_described() {
    check(&[
        ("uptime", "ok monotonic_us=* realtime_ns=* boot_id=*"),
        ("clock", "ok realtime_ns=*"),
        ("cpus", "ok online=*"),
        ("meminfo", "ok total_kib=* free_kib=* available_kib=*"),
        ("link lo", "ok mac=00:00:00:00:00:00 mtu=* carrier=* state=* rx_packets=* tx_packets=*"),
        ("link ../../etc", "error bad IFACE: ../../etc"),
    ]);
}

#[test]
fn random_numbers_differ() {
    let guest = Guest::start();
    let (first, second) = (guest.ask("random 16"), guest.ask("random 16"));
    assert_eq!((first.len(), second.len()), (3 + 32, 3 + 32));
    assert_ne!(first, second);
}

#[test]
fn files_are_one_escaped_line() {
    check(&[
        ("write DIR/a one\\ntwo \\x00\\\\", "ok bytes=10"),
        ("cat DIR/a", "ok one\\ntwo \\x00\\\\"),
        ("cat DIR/none", "error read DIR/none: No such file or directory (os error 2)"),
    ]);
}

#[test]
fn a_process_leaves_its_machine_alone() {
    for request in [
        "poweroff",
        "reboot",
        "triple-fault",
        "panic",
        "hang",
        "mount a /b c",
        "net-up lo 1.2.3.4/8",
        "blk-discard a 0 1",
    ] {
        check(&[(request, "error refused outside a guest"), ("ping", "ok pong")]);
    }
}

#[test]
fn memory_keeps_its_pattern() {
    check(&[
        ("mem-check", "error nothing is filled"),
        ("mem-fill 2 7", "ok bytes=2097152 checksum=* us=*"),
        ("mem-check", "ok bytes=2097152 checksum=* us=*"),
        ("mem-fill 99999999 7", "error 99999999 MiB wanted, * KiB available"),
        ("mem-fill 1 8", "ok bytes=1048576 checksum=* us=*"),
        ("mem-free", "ok bytes=1048576"),
        ("mem-free", "error nothing is filled"),
    ]);
}

#[test]
fn churn_runs_until_told_to_stop() {
    let guest = Guest::start();
    check_in(
        &guest,
        &[
            ("mem-churn-status", "error it is off"),
            ("mem-churn maybe", "error bad ON|OFF: maybe"),
            ("mem-churn ON 5 1", "ok"),
            ("mem-churn ON 5 1", "error it is on already"),
        ],
    );
    let iterations = || {
        let reply = guest.ask("mem-churn-status");
        let count = reply.strip_prefix("ok iterations=").and_then(|rest| rest.strip_suffix(" errors=0"));
        count.unwrap_or_else(|| panic!("{reply}")).parse::<u64>().expect("a number")
    };
    let before = iterations();
    while iterations() == before {}
    check_in(&guest, &[("mem-churn OFF", "ok iterations=* errors=0"), ("mem-churn OFF", "error it is off")]);
}

#[test]
fn damage_on_a_disk_is_found() {
    let guest = Guest::start();
    let disk = guest.disk("disk", 4);
    check_in(
        &guest,
        &[
            ("blk-write DIR/disk 8K 2M 7", "ok bytes=2097152 us=*"),
            ("blk-verify DIR/disk 8K 2M 7", "ok bytes=2097152 us=*"),
            ("blk-verify DIR/disk 64K 4096 7", "ok bytes=4096 us=*"),
            ("blk-verify DIR/disk 8K 2M 8", "error mismatch at=0x2000 wanted=* found=*"),
            ("blk-verify DIR/disk 0 4096 7", "error mismatch at=0x0 wanted=* found=0x00"),
            ("blk-verify DIR/disk 0xffffffffffffffff 2 7", "error bad LEN: 2"),
            ("blk-flush DIR/disk", "ok us=*"),
        ],
    );
    let file = OpenOptions::new().read(true).write(true).open(&disk).expect("open the disk");
    let mut byte = [0];
    file.read_exact_at(&mut byte, 0x12345).expect("read");
    file.write_all_at(&[!byte[0]], 0x12345).expect("write");
    let wanted = format!("error mismatch at=0x12345 wanted={:#04x} found={:#04x}", byte[0], !byte[0]);
    check_in(&guest, &[("blk-verify DIR/disk 8K 2M 7", &wanted)]);
}

#[test]
fn random_writes_are_verified() {
    let guest = Guest::start();
    guest.disk("disk", 4);
    check_in(
        &guest,
        &[
            ("blk-random DIR/disk 100 1 4", "ok reads=* writes=* bytes=* us=*"),
            ("blk-random DIR/disk ten 1 4", "error bad OPS|SECONDS: ten"),
            ("blk-random DIR/none 1 1 1", "error open DIR/none: No such file or directory (os error 2)"),
            ("blk-write-bench DIR/disk 1M 64K 2", "ok bytes=1048576 ops=16 us=*"),
            ("blk-read-bench DIR/disk 8M 64K 3 random", "ok bytes=8388608 ops=128 us=*"),
            ("blk-read-bench DIR/disk 8M 64K 3 sideways", "error bad random: sideways"),
        ],
    );
    let bytes = fs::read(guest.path("disk")).expect("read the disk");
    assert!(bytes.iter().any(|&byte| byte != 0), "the disk was written");
}

#[test]
fn sequential_bench_reads_each_block_once() {
    let guest = Guest::start();
    guest.disk("disk", 1);
    check_in(&guest, &[("blk-write-bench DIR/disk 1M 4K 1", "ok bytes=1048576 ops=256 us=*")]);
    let bytes = fs::read(guest.path("disk")).expect("read the disk");
    assert!(bytes.chunks(4096).all(|block| block.iter().any(|&byte| byte != 0)), "every block was written");
}

#[test]
fn tcp_and_udp_echo() {
    let guest = Guest::start();
    let port = |verb: &str| guest.ask(&format!("{verb} 0")).strip_prefix("ok port=").expect("a port").to_owned();
    let (tcp, udp) = (port("tcp-echo-server"), port("udp-echo-server"));
    check_in(
        &guest,
        &[
            (&format!("tcp-connect 127.0.0.1 {tcp} 1M 3"), "ok bytes=1048576 us=*"),
            (&format!("tcp-connect localhost {tcp} 1M 3"), "error bad HOST: localhost"),
            (&format!("udp-ping 127.0.0.1 {udp}"), "ok us=* tries=*"),
        ],
    );
}

#[test]
fn help_lists_verbs_with_their_words() {
    let reply = Guest::start().ask("help");
    for wanted in ["ping;", "mem-fill MIB SEED;", "dmesg TEXT...;", "mem-churn ON|OFF [SEED] [MIB];"] {
        assert!(reply.contains(wanted), "{wanted} in {reply}");
    }
}
