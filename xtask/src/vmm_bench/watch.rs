//! A virtual machine's process, watched by what its console says.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::PATIENCE;
use crate::process::spawn;

/// The first line of the guest's PID 1 begins so.
pub const UP: &str = "sandglass-init: up at ";

/// A process whose standard output is a guest's console.
pub struct Watched {
    child: Child,
    lines: Receiver<(Instant, String)>,
    start: Instant,
    seen: String,
}

impl Watched {
    /// Starts it; the clock starts just before.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn start(command: &mut Command) -> anyhow::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let start = Instant::now();
        let mut child = spawn(command)?;
        let output = child.stdout.take().context("the process has no output")?;
        Ok(Self { child, lines: follow(output), start, seen: String::new() })
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line with `words` in it: when it came since the start, and the line from there on.
    ///
    /// # Errors
    /// When the console ends before, or nothing comes for long.
    pub fn wait_for(&mut self, words: &str) -> anyhow::Result<(Duration, String)> {
        let limit = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(limit.saturating_duration_since(Instant::now())) {
                Ok((when, line)) => {
                    self.seen.push_str(&line);
                    self.seen.push('\n');
                    if let Some(at) = line.find(words) {
                        return Ok((when - self.start, line[at..].trim_end().to_owned()));
                    }
                }
                Err(RecvTimeoutError::Timeout) => bail!("`{words}` didn't come; the console says:\n{}", self.seen),
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("the console ended without `{words}`; it says:\n{}", self.seen)
                }
            }
        }
    }

    /// Types a line on the console.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn say(&mut self, line: &str) -> anyhow::Result<()> {
        let input = self.child.stdin.as_mut().context("the process has no input")?;
        writeln!(input, "{line}").context("a machine's console")
    }

    /// The guest switches itself off: waits for the end of the process.
    ///
    /// # Errors
    /// When it doesn't end.
    pub fn end(mut self) -> anyhow::Result<Duration> {
        let limit = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(limit.saturating_duration_since(Instant::now())) {
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => bail!("the machine doesn't end"),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.child.wait().context("waiting for a machine's end")?;
        Ok(self.start.elapsed())
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lines with the time of their coming, taken by a thread that does nothing else.
fn follow(output: ChildStdout) -> Receiver<(Instant, String)> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        let mut reader = BufReader::new(output);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            if sender.send((Instant::now(), String::from_utf8_lossy(&line).trim_end().to_owned())).is_err() {
                return;
            }
            line.clear();
        }
    });
    lines
}

/// MiB a second by a reply's `bytes=` and `us=`.
///
/// # Errors
/// When the guest couldn't.
pub fn rate(reply: &str) -> anyhow::Result<f64> {
    Ok(number(reply, "bytes")? / number(reply, "us")? * 1e6 / f64::from(1 << 20))
}

/// The number after `key=` in a reply.
fn number(reply: &str, key: &str) -> anyhow::Result<f64> {
    let value = reply.split_whitespace().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    value.and_then(|value| value.parse().ok()).with_context(|| format!("`{reply}` has no number {key}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        let check = |reply, expected: &str| {
            let found = rate(reply).map_or_else(|error| error.to_string(), |rate| format!("{rate} MiB/s"));
            assert_eq!(found, expected);
        };
        check("blk-read-bench: ok bytes=4194304 ops=1024 us=2000000", "2 MiB/s");
        check("blk-read-bench: error nothing there", "`blk-read-bench: error nothing there` has no number bytes");
    }
}
