//! The binary: what it prints, how settings add up, how it ends.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

use expect_test::{Expect, expect};
use serde_json::json;
use tokio::net::TcpStream;

use crate::client;
use crate::fixture::{Fixture, Folder};
use crate::registry::Behaviour;

/// The binary with nothing in its environment but what a test gives it.
fn sandglass(folder: &Folder) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sandglass"));
    command.env_clear().env("HOME", &folder.0).current_dir(&folder.0);
    command.env("npm_config_registry", "http://127.0.0.1:1/").env("npm_config_globalconfig", folder.0.join("none"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--listen-preview", "127.0.0.1:0"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Ends the process when a test fails.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The two lines that say it is ready.
fn ready(process: &mut Process) -> String {
    let mut lines = BufReader::new(process.0.stdout.take().unwrap()).lines();
    let mut line = || lines.next().unwrap().unwrap() + "\n";
    line() + &line()
}

fn check_refused(args: &[&str], expected: Expect) {
    let folder = Folder::new();
    folder.write("typo.toml", "builds = 2\nlissten = '127.0.0.1:80'\n");
    let output = sandglass(&folder).args(args).output().unwrap();
    assert!(!output.status.success());
    expected.assert_eq(&String::from_utf8(output.stderr).unwrap());
}

#[test]
fn flag_then_environment_then_file() {
    let folder = Folder::new();
    folder.write(
        "etc/sandglass.toml",
        "app-origin = 'http://file.test'\npreview-origin = 'http://{id}.file.test'\nsite = '../site'\ncache = '../cache'\n",
    );
    let mut command = sandglass(&folder);
    command.args(["--config", "etc/sandglass.toml"]);
    let expected = |command: &mut Command, expected: &str| {
        let mut process = Process(command.spawn().unwrap());
        assert_eq!(ready(&mut process), expected);
    };
    expected(&mut command, "app http://file.test/\npreview http://{id}.file.test\n");
    command.env("SANDGLASS_APP_ORIGIN", "http://environment.test");
    expected(&mut command, "app http://environment.test/\npreview http://{id}.file.test\n");
    command.args(["--app-origin", "http://flag.test"]);
    expected(&mut command, "app http://flag.test/\npreview http://{id}.file.test\n");
}

#[test]
fn wrong_settings_are_named() {
    check_refused(
        &["--site", "nowhere"],
        expect![[r#"
        sandglass: there is no site in nowhere: app/ is missing. Build one with `cargo xtask build`, or name its folder with --site
    "#]],
    );
    check_refused(
        &["--cache-size", "2 potatoes"],
        expect![[r#"
        sandglass: --cache-size: `2 potatoes` is no size: write 2GiB, 500MiB, 64KiB or a number of bytes
    "#]],
    );
    check_refused(
        &["--fresh", "10"],
        expect![[r#"
        sandglass: --fresh: `10` is no time: write 500ms, 10s, 5min or 2h
    "#]],
    );
    check_refused(
        &["--preview-origin", "http://preview.test"],
        expect![[r#"
        sandglass: --preview-origin: `http://preview.test` is not a preview pattern: its host must begin with `{id}.`, as in https://{id}.preview.example.net
    "#]],
    );
    check_refused(
        &["--app-origin", "http://app.preview.test", "--preview-origin", "http://{id}.preview.test"],
        expect![[r#"
        sandglass: the app origin http://app.preview.test lies inside the preview pattern http://{id}.preview.test: user code would share the app's origin
    "#]],
    );
    check_refused(
        &["--app-ancestors", "'self'; script-src *"],
        expect![[r#"
        sandglass: `'self'; script-src *` is not a list of frame ancestors: write 'self', 'none', * or origins, separated by spaces
    "#]],
    );
    check_refused(
        &["--config", "missing.toml"],
        expect![[r#"
        sandglass: can't read --config missing.toml: No such file or directory (os error 2)
    "#]],
    );
    check_refused(
        &["--config", "typo.toml"],
        expect![[r#"
        sandglass: --config typo.toml: TOML parse error at line 2, column 1
          |
        2 | lissten = '127.0.0.1:80'
          | ^^^^^^^
        unknown field `lissten`, expected one of `site`, `listen`, `listen-preview`, `app-origin`, `preview-origin`, `app-ancestors`, `preview-ancestors`, `trusted-types`, `npmrc`, `cache`, `cache-size`, `max-packument`, `max-tarball`, `connect-timeout`, `read-timeout`, `request-timeout`, `fresh`, `builds`, `log-format`
    "#]],
    );
}

#[test]
fn an_address_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = Folder::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sandglass"));
    let output =
        command.args(["serve", "--listen", &address, "--site", "site"]).current_dir(&folder.0).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.starts_with(&format!("sandglass: can't listen on {address}: choose another with --listen: ")),
        "{text}"
    );
}

#[cfg(unix)]
#[test]
fn a_signal_ends_it_in_order() {
    for signal in ["-INT", "-TERM"] {
        let folder = Folder::new();
        let mut process = Process(sandglass(&folder).arg("--log-format=json").spawn().unwrap());
        ready(&mut process);
        let sent = Command::new("kill").args([signal, &process.0.id().to_string()]).status().unwrap();
        assert!(sent.success());
        assert!(process.0.wait().unwrap().success(), "{signal}");
        let mut log = String::new();
        process.0.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        let last: serde_json::Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
        assert_eq!(last["message"], "stopping: running answers are finished first");
    }
}

#[tokio::test]
async fn running_answers_are_finished() {
    let mut fixture = Fixture::new().await;
    fixture.registry.publish("left", "1.0.0", &[("index.js", "1")], json!({}));
    fixture.registry.behave("/left", Behaviour::Gated(fixture.registry.bytes("/left")));
    let (preview, request) =
        (fixture.server.preview, "GET /__sandglass/npm/packument/left\nhost: box.sandglass.localhost");
    let asking = tokio::spawn(async move { client::send(preview, request).await });
    fixture.registry.next_hit().await;
    // A client that is connected and asks for nothing holds nothing up.
    let _idle = TcpStream::connect(fixture.server.app).await.unwrap();
    fixture.server.stop();
    while TcpStream::connect(preview).await.is_ok() {
        tokio::task::yield_now().await;
    }
    fixture.registry.open();
    let answer = asking.await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    fixture.server.stopped().await;
}
