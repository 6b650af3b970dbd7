//! `vmm ls`: VMs by their directories.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use vmm_control::{Client, ClientError, Info};

use super::target::SOCKET;
use super::{Output, RunRoot};

/// A VM that doesn't answer must not keep the others from being listed.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Serialize)]
struct Entry {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    info: Option<Info>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Names of directories with a control socket, sorted.
pub fn names(root: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    let with_socket = entries.filter(|entry| entry.path().join(SOCKET).exists());
    let mut names: Vec<String> = with_socket.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// Lists them with what they do.
pub fn list(root: &RunRoot, out: Output) -> anyhow::Result<()> {
    let root = root.path()?;
    let ask = |name: String| {
        let answer = ask(&root.join(&name).join(SOCKET));
        match answer {
            Ok(info) => Entry { name, info: Some(info), error: None },
            Err(error) => Entry { name, info: None, error: Some(error.to_string()) },
        }
    };
    let entries: Vec<Entry> = names(&root).into_iter().map(ask).collect();
    out.print(&entries, |entries| table(entries))
}

fn ask(socket: &Path) -> Result<Info, ClientError> {
    let mut client = Client::connect_within(socket, PATIENCE)?;
    client.info()
}

fn table(entries: &[Entry]) -> String {
    let mut text = format!("{:<20} {:>8} {:<9} {:>5} {:>8} {:>10}\n", "NAME", "PID", "STATE", "VCPUS", "MEMORY", "UP");
    for entry in entries {
        let line = match &entry.info {
            Some(info) => format!(
                "{:<20} {:>8} {:<9} {:>5} {:>4} MiB {:>9}s",
                entry.name,
                info.pid,
                info.state.name(),
                info.config.vcpus,
                info.config.memory_mib,
                info.uptime_us / 1_000_000
            ),
            None => format!("{:<20} {:>8} {:<9}", entry.name, "-", "gone"),
        };
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
