//! A Rust that compiles to wasm, by the route that this machine offers.
//!
//! 1. The everyday toolchain, if it has the target.
//! 2. The same, after `rustup target add`.
//! 3. Debian's packages of Rust for browsers, with the standard library built
//!    from source, where rustup's downloads can't be had.

use std::env;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::process::{ask, capture, run, tail};

/// The target of every module.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// Names a route instead of looking for one.
pub const VARIABLE: &str = "SANDGLASS_WASM";

const PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld-19"];
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_SOURCES: &str = "/usr/lib/rustlib/src/rust/library/Cargo.toml";
const DEBIAN_LINKER: &str = "/usr/bin/wasm-ld-19";

/// How modules are compiled here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// The toolchain of everything else, with its own standard library.
    Rustup,
    /// Debian's packages.
    Debian,
}

impl Route {
    /// The route that is ready, if there is one.
    ///
    /// # Errors
    /// When a variable names a route that we don't know.
    pub fn find() -> anyhow::Result<Option<Self>> {
        let wanted = wanted()?;
        let ready = [Self::Rustup, Self::Debian].into_iter().find(|route| match route {
            Self::Rustup => wanted != Some(Self::Debian) && has_target(),
            Self::Debian => wanted != Some(Self::Rustup) && has_debian(),
        });
        Ok(ready)
    }

    /// The route that is ready, or is made so.
    ///
    /// # Errors
    /// Says what was tried, why it failed, and what to do.
    pub fn obtain() -> anyhow::Result<Self> {
        if let Some(route) = Self::find()? {
            return Ok(route);
        }
        let wanted = wanted()?;
        let mut tried = Vec::new();
        if wanted != Some(Self::Debian) {
            match add_target() {
                Ok(()) => return Ok(Self::Rustup),
                Err(error) => tried.push(format!("by rustup: {error:#}")),
            }
        }
        if wanted != Some(Self::Rustup) {
            match install(&PACKAGES) {
                Ok(()) if has_debian() => return Ok(Self::Debian),
                Ok(()) => tried.push("by apt: the packages are there, but not what we need of them".to_owned()),
                Err(error) => tried.push(format!("by apt: {error:#}")),
            }
        }
        bail!(
            "there is no Rust for {TARGET} here.\n{}\nremedy: with a network run `rustup target add {TARGET}`, \
             or on Debian `apt-get install {}`",
            tried.join("\n"),
            PACKAGES.join(" ")
        )
    }

    /// A cargo that compiles for the target, given `build`, `clippy` and so on.
    pub fn cargo(self, verb: &str) -> Command {
        let mut cargo = match self {
            Self::Rustup => Command::new("cargo"),
            Self::Debian => Command::new(DEBIAN_CARGO),
        };
        cargo.arg(verb).args(["--target", TARGET]);
        // Whatever reaches for randomness gets the browser's.
        cargo.env("RUSTFLAGS", "--cfg getrandom_backend=\"wasm_js\"");
        if self == Self::Debian {
            cargo.arg("-Zbuild-std=std,panic_abort");
            cargo.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1");
            cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", DEBIAN_LINKER);
            // Left by rustup's cargo, which may have started us: other libraries, another toolchain.
            for name in ["LD_LIBRARY_PATH", "RUSTUP_TOOLCHAIN", "CARGO", "RUSTDOC", "RUSTC_WRAPPER"] {
                cargo.env_remove(name);
            }
        }
        cargo
    }

    /// What names this compiler, for stamps and tables.
    ///
    /// # Errors
    /// When the compiler doesn't say.
    pub fn version(self) -> anyhow::Result<String> {
        let rustc = match self {
            Self::Rustup => "rustc",
            Self::Debian => DEBIAN_RUSTC,
        };
        ask(Command::new(rustc).arg("--version")).with_context(|| format!("`{rustc} --version` says nothing"))
    }

    /// The route in a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rustup => "rustup target",
            Self::Debian => "Debian's rustc-web",
        }
    }
}

/// Installs Debian packages, as root or by a sudo that asks no password.
///
/// # Errors
/// Gives the command that a person with the rights has to run.
pub fn install(packages: &[&str]) -> anyhow::Result<()> {
    let by_hand = format!("apt-get install {}", packages.join(" "));
    if !Path::new("/usr/bin/apt-get").is_file() {
        bail!("this machine has no apt, so `{by_hand}` is not for it");
    }
    let prefix: &[&str] = if ask(Command::new("id").arg("-u")).as_deref() == Some("0") {
        &[]
    } else if ask(Command::new("sudo").args(["-n", "true"])).is_some() {
        &["sudo", "-n"]
    } else {
        bail!("only root may install packages: run `sudo {by_hand}`");
    };
    let what = format!("install {}", packages.join(" "));
    let install = || apt(prefix, &[&["install", "-y", "--no-install-recommends"], packages].concat());
    let first = capture(&what, &mut install())?;
    if first.success {
        return Ok(());
    }
    // Fresh machines have no package lists, or lists that are too old.
    let lists = capture("update the package lists", &mut apt(prefix, &["update"]))?;
    let second = capture(&what, &mut install())?;
    if !second.success {
        let cause = if lists.success { second.text } else { lists.text };
        bail!("`{by_hand}` failed; is there a network?\n{}", tail(&cause));
    }
    Ok(())
}

fn apt(prefix: &[&str], args: &[&str]) -> Command {
    let words = [prefix, &["apt-get"], args].concat();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn wanted() -> anyhow::Result<Option<Route>> {
    match env::var(VARIABLE).ok().as_deref() {
        None | Some("") => Ok(None),
        Some("rustup") => Ok(Some(Route::Rustup)),
        Some("debian") => Ok(Some(Route::Debian)),
        Some(other) => bail!("{VARIABLE}={other} is no route: write rustup or debian"),
    }
}

fn has_target() -> bool {
    ask(Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]))
        .is_some_and(|folder| Path::new(&folder).is_dir())
}

fn has_debian() -> bool {
    [DEBIAN_RUSTC, DEBIAN_CARGO, DEBIAN_SOURCES, DEBIAN_LINKER].iter().all(|path| Path::new(path).is_file())
}

fn add_target() -> anyhow::Result<()> {
    if ask(Command::new("rustup").arg("--version")).is_none() {
        bail!("there is no rustup");
    }
    run("add the wasm target", Command::new("rustup").args(["target", "add", TARGET]))?;
    if !has_target() {
        bail!("rustup added the target, but to another toolchain than `rustc` is of");
    }
    Ok(())
}
