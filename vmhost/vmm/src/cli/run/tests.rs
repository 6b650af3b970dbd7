use clap::Parser;
use expect_test::{Expect, expect};

use super::*;

#[derive(Parser)]
#[command(name = "run")]
struct Run {
    #[command(flatten)]
    arguments: RunArgs,
}

#[allow(clippy::needless_pass_by_value, reason = "expectations are given away")]
fn check(arguments: &str, expected: Expect) {
    let words = std::iter::once("run").chain(arguments.split_whitespace());
    let parsed = Run::try_parse_from(words).map_err(anyhow::Error::from);
    let found = match parsed.and_then(|run| run.arguments.options()) {
        Ok(options) => {
            let Source::Boot(config) = &options.source else { panic!("no boot") };
            let flags = format!("paused {} jail {}", options.paused, options.jail);
            let config = serde_json::to_string(config).expect("JSON");
            format!("{}\n{}\n{flags}\n{config}", options.run_directory.display(), options.control.display())
        }
        Err(error) => error.to_string(),
    };
    expected.assert_eq(found.trim_end());
}

#[test]
fn flags_become_a_configuration() {
    check(
        "--name a --run-root /r --kernel vmlinux",
        expect![[r#"
            /r/a
            /r/a/control.sock
            paused false jail true
            {"boot":{"kernel":"vmlinux","initramfs":null,"command_line":""},"vcpus":1,"memory_mib":256,"huge_pages":false,"cpu":"host","console":"off","disks":[],"networks":[],"vsock":null,"balloon":null,"entropy":true}"#]],
    );
    check(
        "--control /s/c.sock --paused --no-jail --kernel k --initramfs i --memory 64 --vcpus 2 --cmdline quiet --disk root=a,overlay=b \
         --disk d=c,ro --network eth0=tap:tap0,mac=02:00:00:00:00:07 --network eth1=passt:p --vsock 5 --balloon --console file:log",
        expect![[r#"
            /s
            /s/c.sock
            paused true jail false
            {"boot":{"kernel":"k","initramfs":"i","command_line":"quiet"},"vcpus":2,"memory_mib":64,"huge_pages":false,"cpu":"host","console":{"file":"log"},"disks":[{"id":"root","path":"a","read_only":false,"overlay":"b","rate":{"bytes":null,"operations":null}},{"id":"d","path":"c","read_only":true,"overlay":null,"rate":{"bytes":null,"operations":null}}],"networks":[{"id":"eth0","backend":{"tap":"tap0"},"mac":"02:00:00:00:00:07","send_rate":{"bytes":null,"operations":null},"receive_rate":{"bytes":null,"operations":null}},{"id":"eth1","backend":{"passt":"p"},"mac":"02:00:00:00:00:01","send_rate":{"bytes":null,"operations":null},"receive_rate":{"bytes":null,"operations":null}}],"vsock":{"cid":5,"socket":"/s/vsock.sock"},"balloon":{"target_mib":0,"free_page_reporting":true,"deflate_on_oom":false},"entropy":true}"#]],
    );
}

#[test]
fn mistakes_have_words() {
    check(
        "--name a --run-root /r --kernel k --memory 16",
        expect!["memory_mib: 16 MiB are too little for any guest (remedy: give at least 32)"],
    );
    check(
        "--name ../a --run-root /r --kernel k",
        expect!["`../a` can't name a VM: use up to 64 letters, digits, `-`, `_`, `.`"],
    );
    check(
        "--name a --run-root /r --config /missing.json",
        expect![
            "/missing.json: can't be read: No such file or directory (os error 2) (remedy: name a file with a VM's configuration in JSON)"
        ],
    );
    check(
        "--name a --run-root /r --kernel k --disk root=a,rw",
        expect![[r#"
        error: invalid value 'root=a,rw' for '--disk <ID=IMAGE[,ro][,overlay=FILE]>': `rw` is neither `ro` nor `overlay=FILE`

        For more information, try '--help'."#]],
    );
    check(
        "--name a --run-root /r --kernel k --network eth0=bridge",
        expect![[r#"
            error: invalid value 'eth0=bridge' for '--network <ID=tap:NAME|ID=passt:SOCKET[,mac=MAC]>': expected ID=tap:NAME or ID=passt:SOCKET, like eth0=passt:passt.sock

            For more information, try '--help'."#]],
    );
    check(
        "--name a --run-root /r --config c.json --kernel k",
        expect![[r#"
        error: the argument '--config <FILE>' cannot be used with '--kernel <FILE>'

        Usage: run --name <NAME> --run-root <DIR> <--config <FILE>|--config-fd <NUMBER>|--kernel <FILE>>

        For more information, try '--help'."#]],
    );
    check(
        "--name a --run-root /r",
        expect![[r#"
        error: the following required arguments were not provided:
          <--config <FILE>|--config-fd <NUMBER>|--kernel <FILE>>

        Usage: run --name <NAME> --run-root <DIR> <--config <FILE>|--config-fd <NUMBER>|--kernel <FILE>>

        For more information, try '--help'."#]],
    );
    check(
        "--kernel k",
        expect![[r#"
        error: the following required arguments were not provided:
          --name <NAME>

        Usage: run --name <NAME> <--config <FILE>|--config-fd <NUMBER>|--kernel <FILE>>

        For more information, try '--help'."#]],
    );
    check("--name a --run-root /r --kernel k --ready-fd 999", expect!["descriptor 999 is not open"]);
}
