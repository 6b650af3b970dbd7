//! Runs programs, and shows what is going on while they take their time.
//!
//! On a terminal one line is rewritten each second; elsewhere a line comes after
//! some seconds and then every half minute: a log shows life without filling up.

use std::io::{BufRead as _, BufReader, ErrorKind, IsTerminal as _, Read, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// What is shown of a failed program's output; the reason is at its end.
const TAIL_LINES: usize = 80;

/// A program that has ended.
pub struct Finished {
    /// Whether it ended well.
    pub success: bool,
    /// Both of its outputs, in the order they came.
    pub text: String,
}

/// Runs a program to its end.
///
/// # Errors
/// When it can't be started; how it ended is for the caller to judge.
pub fn capture(what: &str, command: &mut Command) -> anyhow::Result<Finished> {
    Running::start(command)?.finish(what)
}

/// A program at work, whose output is kept until somebody wants to know.
pub struct Running {
    child: Child,
    lines: Receiver<String>,
    shown: String,
    start: Instant,
}

impl Running {
    /// Starts a program beside whatever else is going on.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn start(command: &mut Command) -> anyhow::Result<Self> {
        let mut child = spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()))?;
        let lines = follow(&mut child);
        Ok(Self { child, lines, shown: shown(command), start: Instant::now() })
    }

    /// Shows it until its end.
    ///
    /// # Errors
    /// When nothing can be known about it.
    pub fn finish(mut self, what: &str) -> anyhow::Result<Finished> {
        let mut progress = Progress::start(what, self.start);
        let mut text = String::new();
        loop {
            match self.lines.recv_timeout(Duration::from_secs(1)) {
                Ok(line) => {
                    progress.line(&line);
                    text.push_str(&line);
                    text.push('\n');
                }
                Err(RecvTimeoutError::Timeout) => progress.tick(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let status = self.child.wait().context("waiting for a program")?;
        progress.end(status.success());
        Ok(Finished { success: status.success(), text })
    }

    /// The same, for one that must end well; gives its output.
    ///
    /// # Errors
    /// When it doesn't, with the end of its output.
    pub fn succeed(self, what: &str) -> anyhow::Result<String> {
        let shown = self.shown.clone();
        let finished = self.finish(what)?;
        if !finished.success {
            bail!("{what}: {shown} failed and said:\n{}", tail(&finished.text));
        }
        Ok(finished.text)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Nobody waits for it any more; one that has ended is not there to be killed.
        let _ = self.child.kill();
    }
}

/// Runs a program that must end well; gives its output.
///
/// # Errors
/// When it doesn't, with the end of its output.
pub fn run(what: &str, command: &mut Command) -> anyhow::Result<String> {
    Running::start(command)?.succeed(what)
}

/// What a program prints, if it is there and ends well.
pub fn ask(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Does work of our own, with the same signs of life at its start and end.
pub fn work<T>(what: &str, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let progress = Progress::start(what, Instant::now());
    let result = work().with_context(|| what.to_owned());
    progress.end(result.is_ok());
    result
}

/// The end of a long text.
pub fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

/// `12.3 s` or `4 min 05 s`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 100 {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}

/// Starts a program; a missing one is named with its remedy.
///
/// # Errors
/// When it can't be started.
pub fn spawn(command: &mut Command) -> anyhow::Result<Child> {
    let name = command.get_program().to_string_lossy().into_owned();
    match command.spawn() {
        Ok(child) => Ok(child),
        Err(error) if error.kind() == ErrorKind::NotFound => bail!("`{name}` isn't there: {}", remedy(&name)),
        Err(error) => Err(error).with_context(|| format!("can't start `{name}`")),
    }
}

/// What to do about a program that is missing.
pub fn remedy(program: &str) -> String {
    match program.rsplit('/').next().unwrap_or(program) {
        "node" | "npm" => "install Node.js 20 or newer, which brings npm".to_owned(),
        "git" => "install git".to_owned(),
        "cargo" | "rustc" => "install Rust by rustup".to_owned(),
        other => {
            format!("`cargo xtask setup` installs `{other}` where it can, `cargo xtask doctor` lists what is missing")
        }
    }
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let text = words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ");
    if text.len() > 300 { format!("{}…", text.chars().take(300).collect::<String>()) } else { text }
}

/// Lines of both outputs as they come; the channel closes with the last of them.
fn follow(child: &mut Child) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        read(stdout, sender.clone());
    }
    if let Some(stderr) = child.stderr.take() {
        read(stderr, sender);
    }
    receiver
}

fn read(stream: impl Read + Send + 'static, sender: Sender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
            if sender.send(line).is_err() {
                return;
            }
        }
    });
}

/// The line about a step that is under way.
struct Progress {
    what: String,
    start: Instant,
    shown: Instant,
    latest: String,
    terminal: bool,
}

impl Progress {
    fn start(what: &str, start: Instant) -> Self {
        let terminal = std::io::stdout().is_terminal();
        let progress = Self { what: what.to_owned(), start, shown: start, latest: String::new(), terminal };
        if terminal {
            progress.draw();
        }
        progress
    }

    fn line(&mut self, line: &str) {
        if !line.trim().is_empty() {
            line.trim().clone_into(&mut self.latest);
        }
        self.tick();
    }

    fn tick(&mut self) {
        let pause = match (self.terminal, self.shown == self.start) {
            (true, _) => Duration::from_secs(1),
            (false, true) => Duration::from_secs(5),
            (false, false) => Duration::from_secs(30),
        };
        if self.shown.elapsed() >= pause {
            self.shown = Instant::now();
            self.draw();
        }
    }

    fn draw(&self) {
        let latest: String = self.latest.chars().filter(|c| !c.is_control()).take(60).collect();
        let text = format!("  ..  {} · {} · {latest}", self.what, duration(self.start.elapsed()));
        if self.terminal {
            print!("\r\x1b[K{}", text.trim_end_matches([' ', '·']));
            let _ = std::io::stdout().flush();
        } else {
            println!("{}", text.trim_end_matches([' ', '·']));
        }
    }

    fn end(&self, success: bool) {
        if self.terminal {
            print!("\r\x1b[K");
        }
        let time = self.start.elapsed();
        // A dozen scripts are bundled in a second: nobody wants to read that.
        if !success || time >= Duration::from_secs(1) {
            println!("{:>6}  {} · {}", if success { "done" } else { "FAILED" }, self.what, duration(time));
        }
    }
}
