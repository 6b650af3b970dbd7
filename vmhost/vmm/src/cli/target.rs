//! Which VM is meant.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{anyhow, bail};
use clap::Args;
use vmm_control::Client;

use super::list::names;

/// A VM that works answers quickly; one that is stopped by a debugger shouldn't hang us.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where VMs have their directories.
#[derive(Debug, Clone, Default, Args)]
pub struct RunRoot {
    /// Where VMs have their directories [default: $XDG_RUNTIME_DIR/sandglass/vm]
    #[arg(long, value_name = "DIR", env = "VMM_RUN_ROOT", hide_env_values = true)]
    pub run_root: Option<PathBuf>,
}

impl RunRoot {
    /// The directory.
    ///
    /// # Errors
    /// When none is known.
    pub fn path(&self) -> anyhow::Result<PathBuf> {
        if let Some(root) = &self.run_root {
            return Ok(root.clone());
        }
        let user = rustix::process::geteuid();
        let runtime = match std::env::var_os("XDG_RUNTIME_DIR") {
            Some(directory) if !directory.is_empty() => PathBuf::from(directory),
            _ if user.is_root() => PathBuf::from("/run"),
            _ => PathBuf::from(format!("/run/user/{}", user.as_raw())),
        };
        if !runtime.is_dir() {
            bail!("{} is no directory: set XDG_RUNTIME_DIR or --run-root", runtime.display());
        }
        Ok(runtime.join("sandglass/vm"))
    }

    /// The directory of one VM.
    ///
    /// # Errors
    /// When it can't be a VM's name.
    pub fn of(&self, name: &str) -> anyhow::Result<PathBuf> {
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if name.is_empty() || name.len() > 64 || name.starts_with('.') || !name.bytes().all(fine) {
            bail!("`{name}` can't name a VM: use up to 64 letters, digits, `-`, `_`, `.`");
        }
        Ok(std::path::absolute(self.path()?.join(name))?)
    }
}

/// Which VM is meant.
#[derive(Debug, Clone, Args)]
pub struct Target {
    /// The VM by the name of its directory under the run root
    #[arg(long, value_name = "NAME", required_unless_present = "control")]
    pub vm: Option<String>,
    /// The VM by its control socket
    #[arg(long, value_name = "SOCKET", conflicts_with = "vm")]
    pub control: Option<PathBuf>,
    /// Where named VMs are
    #[command(flatten)]
    pub root: RunRoot,
}

/// A control socket's name in a VM's directory.
pub const SOCKET: &str = "control.sock";

impl Target {
    /// The control socket.
    ///
    /// # Errors
    /// When there can be none.
    pub fn socket(&self) -> anyhow::Result<PathBuf> {
        match (&self.control, &self.vm) {
            (Some(socket), _) => Ok(socket.clone()),
            (None, Some(name)) => Ok(self.root.of(name)?.join(SOCKET)),
            (None, None) => bail!("no VM is named: use --vm NAME or --control SOCKET"),
        }
    }

    /// The directory that the control socket lies in.
    ///
    /// # Errors
    /// When there is no socket.
    pub fn directory(&self) -> anyhow::Result<PathBuf> {
        let socket = self.socket()?;
        let parent = socket.parent().filter(|parent| !parent.as_os_str().is_empty());
        Ok(parent.unwrap_or(Path::new(".")).to_owned())
    }

    /// A connection that waits a while for each answer.
    ///
    /// # Errors
    /// When nobody answers; the message names those who might.
    pub fn connect(&self) -> anyhow::Result<Client> {
        let mut client = self.connect_patiently()?;
        client.set_timeout(Some(PATIENCE))?;
        Ok(client)
    }

    /// A connection that waits for ever.
    ///
    /// # Errors
    /// When nobody answers; the message names those who might.
    pub fn connect_patiently(&self) -> anyhow::Result<Client> {
        let error = match Client::connect(&self.socket()?) {
            Ok(client) => return Ok(client),
            Err(error) => error,
        };
        let others = if self.vm.is_some() { names(&self.root.path()?) } else { Vec::new() };
        match others.as_slice() {
            [] => Err(error.into()),
            names => Err(anyhow!("{error}; the VMs here are {}", names.join(", "))),
        }
    }
}
