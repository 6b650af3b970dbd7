//! QEMU's control protocol, as far as saving and resuming a machine needs it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

/// No command of ours takes longer, but for saving.
const LIMIT: Duration = Duration::from_secs(60);

/// A connection to one QEMU.
pub struct Qmp {
    stream: BufReader<UnixStream>,
}

impl Qmp {
    /// Greets QEMU on a connection that it has made.
    ///
    /// # Errors
    /// When it doesn't speak QMP in time.
    pub fn greet(stream: UnixStream) -> anyhow::Result<Self> {
        stream.set_read_timeout(Some(LIMIT)).context("can't limit QEMU's time")?;
        let mut qmp = Self { stream: BufReader::new(stream) };
        qmp.next()?;
        qmp.call("qmp_capabilities", &json!({}))?;
        Ok(qmp)
    }

    /// Leaves memory that lies in a shared file out of saved states, and tells when saving or resuming ends.
    ///
    /// # Errors
    /// When QEMU refuses.
    pub fn ignore_shared_memory(&mut self) -> anyhow::Result<()> {
        let on = |name: &str| json!({ "capability": name, "state": true });
        self.call("migrate-set-capabilities", &json!({ "capabilities": [on("x-ignore-shared"), on("events")] }))
    }

    /// Runs a command.
    ///
    /// # Errors
    /// When QEMU refuses it, with its reason.
    pub fn call(&mut self, command: &str, arguments: &Value) -> anyhow::Result<()> {
        let line = format!("{}\n", json!({ "execute": command, "arguments": arguments }));
        self.stream.get_mut().write_all(line.as_bytes()).context("QEMU is gone")?;
        loop {
            let answer = self.next()?;
            if let Some(error) = answer.get("error") {
                bail!("QEMU refuses {command}: {}", error["desc"].as_str().unwrap_or_default());
            }
            if answer.get("return").is_some() {
                return Ok(());
            }
        }
    }

    /// Waits for the end of a save or a resume.
    ///
    /// # Errors
    /// When it fails.
    pub fn migrated(&mut self) -> anyhow::Result<()> {
        loop {
            let event = self.next()?;
            match event["data"]["status"].as_str() {
                Some("completed") if event["event"] == "MIGRATION" => return Ok(()),
                Some("failed") => bail!("QEMU can't move the machine's state"),
                _ => {}
            }
        }
    }

    fn next(&mut self) -> anyhow::Result<Value> {
        let mut line = String::new();
        let read = self.stream.read_line(&mut line).context("QEMU doesn't answer")?;
        if read == 0 {
            bail!("QEMU is gone");
        }
        serde_json::from_str(&line).context("QEMU's answer is no JSON")
    }
}
