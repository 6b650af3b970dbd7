//! Where things are: the checkout, its target folder, what is built for which profile.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// A checkout.
pub struct Repo {
    root: PathBuf,
    target: PathBuf,
}

impl Repo {
    /// The checkout that this program was started in, or was compiled from.
    pub fn find() -> anyhow::Result<Self> {
        // Cargo says where `xtask` lies; started by hand, the working folder does.
        let named = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let start = named.map_or_else(env::current_dir, Ok).context("there is no working folder")?;
        let root = start
            .ancestors()
            .find(|folder| folder.join("xtask/Cargo.toml").is_file())
            .with_context(|| format!("{} is in no checkout of Sandglass", start.display()))?
            .to_owned();
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |named| root.join(named));
        Ok(Self { root, target })
    }

    /// The checkout's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A path within the checkout.
    pub fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// A path within the target folder.
    pub fn target(&self, path: &str) -> PathBuf {
        self.target.join(path)
    }

    /// A path within our own part of the target folder.
    pub fn state(&self, path: &str) -> PathBuf {
        self.target.join("xtask").join(path)
    }

    /// Where a site goes.
    pub fn site(&self, profile: Profile) -> PathBuf {
        self.target.join("site").join(profile.name())
    }
}

/// A path within the user's cache, for what is costly to make and the same in every checkout.
///
/// # Errors
/// When the user has no home.
pub fn cache(path: &str) -> anyhow::Result<PathBuf> {
    let named = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute());
    let home = || Some(PathBuf::from(env::var_os("HOME").filter(|home| !home.is_empty())?).join(".cache"));
    let folder = named.or_else(home).context("neither HOME nor XDG_CACHE_HOME says where to keep things")?;
    Ok(folder.join("sandglass").join(path))
}

/// Quick to build, or quick to load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// For the edit loop.
    Debug,
    /// For visitors, tests and benchmarks.
    Release,
}

impl Profile {
    /// By the `--release` flag.
    pub fn of(release: bool) -> Self {
        if release { Self::Release } else { Self::Debug }
    }

    /// `debug` or `release`: folders are named so.
    pub fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Release => "release",
        }
    }

    /// Cargo's profile for modules.
    pub fn wasm(self) -> &'static str {
        match self {
            Self::Debug => "wasm-dev",
            Self::Release => "wasm",
        }
    }

    /// Cargo's profile for native programs.
    pub fn native(self) -> &'static str {
        match self {
            Self::Debug => "dev",
            Self::Release => "release",
        }
    }
}
