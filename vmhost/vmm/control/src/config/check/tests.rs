use expect_test::{Expect, expect};

use super::*;

fn message(json: &str) -> String {
    match VmConfig::parse(json, "vm.json") {
        Ok(_) => "fine".into(),
        Err(error) => error.to_string(),
    }
}

#[allow(clippy::needless_pass_by_value, reason = "expectations are given away")]
fn check(json: &str, expected: Expect) {
    expected.assert_eq(&message(json));
}

/// A configuration that is right but for `rest`.
#[allow(clippy::needless_pass_by_value, reason = "expectations are given away")]
fn with(rest: &str, expected: Expect) {
    check(&format!("{{\n  \"boot\": {{\"kernel\": \"vmlinux\"}},\n  \"memory_mib\": 64,\n  {rest}\n}}"), expected);
}

#[test]
fn the_smallest_and_a_full_one_are_fine() {
    check(r#"{"boot":{"kernel":"vmlinux"},"memory_mib":32}"#, expect!["fine"]);
    with(
        r#""vcpus": 32, "huge_pages": true, "cpu": "portable", "console": {"file": "log"},
           "disks": [{"id": "root", "path": "a", "read_only": true}, {"id": "again", "path": "a", "overlay": "b"}],
           "networks": [{"id": "eth0", "backend": {"tap": "tap0"}, "mac": "02:00:00:00:00:01",
                         "send_rate": {"bytes": {"per_second": 1, "burst": 1}}}],
           "vsock": {"cid": 3, "socket": "v"}, "balloon": {"target_mib": 63}"#,
        expect!["fine"],
    );
}

#[test]
fn texts_that_are_no_configuration() {
    check(
        "{\"boot\": {\"kernel\": \"vmlinux\"},\n}",
        expect![
            "vm.json:2:1: trailing comma (remedy: write JSON: quoted names, no comma after the last item, no comments)"
        ],
    );
    check(
        r#"{"boot": {"kernel": "vmlinux"}}"#,
        expect!["vm.json:1:31: missing field `memory_mib` (remedy: add `memory_mib`)"],
    );
    with(
        r#""memroy": 1"#,
        expect![
            "vm.json:4:10: unknown field `memroy`, expected one of `boot`, `vcpus`, `memory_mib`, `huge_pages`, `cpu`, `console`, `disks`, `networks`, `vsock`, `balloon`, `entropy` (remedy: did you mean `memory_mib`?)"
        ],
    );
    with(
        r#""vpcus": 1"#,
        expect![
            "vm.json:4:9: unknown field `vpcus`, expected one of `boot`, `vcpus`, `memory_mib`, `huge_pages`, `cpu`, `console`, `disks`, `networks`, `vsock`, `balloon`, `entropy` (remedy: did you mean `vcpus`?)"
        ],
    );
    with(
        r#""vcpus": "two""#,
        expect![[
            r#"vm.json:4:16: invalid type: string "two", expected u8 (remedy: give a value of the expected type)"#
        ]],
    );
    with(
        r#""cpu": "hots""#,
        expect!["vm.json:4:15: unknown variant `hots`, expected `host` or `portable` (remedy: did you mean `host`?)"],
    );
    with(
        r#""networks": [{"id": "eth0", "backend": {"tap": "t"}, "mac": "03:00:00:00:00:01"}]"#,
        expect![
            "vm.json:4:82: `03:00:00:00:00:01` is no Ethernet address of one host: expected six pairs of hex digits like 02:00:00:00:00:01 (remedy: give a value of the expected form)"
        ],
    );
}

#[test]
fn values_out_of_range() {
    check(
        "{\n  \"memory_mib\": 16,\n  \"boot\": {\"kernel\": \"vmlinux\"}\n}",
        expect!["vm.json:2:17: memory_mib: 16 MiB are too little for any guest (remedy: give at least 32)"],
    );
    check(
        r#"{"boot":{"kernel":""},"memory_mib":64}"#,
        expect![
            "vm.json:1:19: boot.kernel: no kernel is named (remedy: name an ELF kernel with a PVH note, or a bzImage)"
        ],
    );
    check(
        r#"{"boot":{"kernel":"k","command_line":"a\nb"},"memory_mib":64}"#,
        expect![
            "vm.json:1:38: boot.command_line: the kernel takes no such characters (remedy: use printable ASCII only)"
        ],
    );
    with(r#""vcpus": 0"#, expect!["vm.json:4:12: vcpus: 0 vCPUs are not possible (remedy: ask for 1 to 32)"]);
    with(r#""vcpus": 33"#, expect!["vm.json:4:12: vcpus: 33 vCPUs are not possible (remedy: ask for 1 to 32)"]);
    with(
        r#""vsock": {"cid": 2, "socket": "v"}"#,
        expect!["vm.json:4:20: vsock.cid: context id 2 is reserved (remedy: choose one from 3 to 4294967294)"],
    );
    with(
        &format!(r#""vsock": {{"cid": 3, "socket": "{}"}}"#, "v".repeat(97)),
        expect![
            "vm.json:4:33: vsock.socket: a path of 97 bytes can't name a socket (remedy: use a path of 1 to 96 bytes)"
        ],
    );
    with(
        r#""balloon": {"target_mib": 64}"#,
        expect![
            "vm.json:4:29: balloon.target_mib: 64 MiB are all that the guest has (remedy: leave the guest something)"
        ],
    );
}

#[test]
fn disks_and_networks() {
    with(
        r#""disks": [{"id": "root", "path": "a"}, {"id": "root", "path": "b"}]"#,
        expect!["vm.json:4:49: disks[1].id: `root` is taken already (remedy: give each its own)"],
    );
    with(
        r#""disks": [{"id": "a-name-of-21-bytes-aa", "path": "a"}]"#,
        expect!["vm.json:4:20: disks[0].id: `a-name-of-21-bytes-aa` has 21 bytes (remedy: use 1 to 20 bytes)"],
    );
    with(
        r#""disks": [{"id": "../x", "path": "a"}]"#,
        expect![
            "vm.json:4:20: disks[0].id: `../x` has characters that names can't have (remedy: use letters, digits, `-`, `_`, `.`)"
        ],
    );
    with(
        r#""disks": [{"id": "a", "path": "a", "read_only": true, "overlay": "b"}]"#,
        expect![
            "vm.json:4:68: disks[0].overlay: a disk that is read-only has no writes for an overlay (remedy: leave out `overlay` or `read_only`)"
        ],
    );
    with(
        r#""disks": [{"id": "a", "path": "x"}, {"id": "b", "path": "x", "read_only": true}]"#,
        expect![
            "vm.json:4:33: disks[0].path: x is used twice, and written (remedy: give each disk that is written a file of its own)"
        ],
    );
    with(
        r#""disks": [{"id": "a", "path": "x", "overlay": "x"}]"#,
        expect![
            "vm.json:4:49: disks[0].overlay: x is used twice, and written (remedy: give each disk that is written a file of its own)"
        ],
    );
    with(
        r#""disks": [{"id": "a", "path": "x", "rate": {"bytes": {"per_second": 0, "burst": 5}}}]"#,
        expect![
            "vm.json:4:56: disks[0].rate.bytes: a bucket that is empty for ever lets nothing through (remedy: give both parts at least 1, or leave the limit out)"
        ],
    );
    let network = |id: &str, mac: u8| {
        format!(r#"{{"id": "{id}", "backend": {{"tap": "t"}}, "mac": "02:00:00:00:00:{mac:02x}"}}"#)
    };
    with(
        &format!(r#""networks": [{}, {}]"#, network("a", 1), network("b", 1)),
        expect!["vm.json:4:126: networks[1].mac: another interface has the same address (remedy: give each its own)"],
    );
    let many: Vec<String> = (0..17).map(|number| network(&format!("n{number}"), number)).collect();
    with(
        &format!(r#""networks": [{}]"#, many.join(", ")),
        expect![
            "vm.json:1:1: 18 devices are more than a machine has places for (remedy: have at most 17 disks, networks and others in all)"
        ],
    );
}

#[test]
fn the_host_is_a_limit() {
    let config: VmConfig = serde_json::from_str(r#"{"boot":{"kernel":"k"},"memory_mib":1025}"#).expect("JSON");
    assert_eq!(config.check_within(1025), Ok(()));
    let error = config.check_within(1024).expect_err("too much");
    expect!["memory_mib: 1025 MiB are more than the host's 1024 MiB (remedy: give less than the host has)"]
        .assert_eq(&error.to_string());
}
