//! A specifier and its importer in, a path of the virtual file system out.
//!
//! In:  `/src/App.tsx`, `"react-dom/client"`, [`Mode::Import`] and the files.
//! Out: `/node_modules/react-dom/client.js`, or an error with its remedy.
//!
//! Node's algorithm under a browser's conditions: `exports`, `imports`,
//! `browser`, `module` and `main` of `package.json`, extension and index
//! probing, `paths` and `baseUrl` of `tsconfig.json`.
//!
//! Pure and total: no input, file or clock is read beside [`FileSystem`], no
//! input panics or hangs it, and no result lies outside the root. It refuses to
//! guess: a path is only answered when the file is there, or its package is
//! known to come.

mod builtin;
mod error;
mod exports;
mod json;
mod package;
mod path;
mod probe;
mod resolver;
mod search;
mod specifier;
mod suggest;
mod tsconfig;

pub use error::{Import, ResolveError};
pub use package::Package;
pub use resolver::Resolver;

/// What a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A folder with something in it.
    Folder,
    /// In a package that will be there, but isn't yet: nobody knows what it is.
    Pending,
    /// Nothing.
    Missing,
}

/// Where paths are looked up. Absolute, `/`-separated, without trailing slash but for the root.
pub trait FileSystem {
    /// What a path is.
    fn kind(&self, path: &str) -> Kind;

    /// A file's bytes.
    fn read(&self, path: &str) -> Option<&[u8]>;

    /// Names of the files and folders in a folder, for suggestions in errors only.
    /// One that can't tell gets suggestions without them.
    fn names(&self, folder: &str) -> Vec<String> {
        let _ = folder;
        Vec::new()
    }
}

/// How a module is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// `import`, static or dynamic.
    Import,
    /// `require`.
    Require,
}

/// What a resolver is made with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Conditions of `exports` and `imports` that hold beside `default` and the mode's own.
    pub conditions: Vec<String>,
}

impl Default for Options {
    /// A browser, a bundler, a page in development.
    fn default() -> Self {
        Self { conditions: ["browser", "module", "development"].map(str::to_owned).to_vec() }
    }
}

/// Where a specifier leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// A file.
    File {
        /// Its path.
        path: String,
        /// What follows it in a module id, with its `?`: `?raw`, or nothing.
        query: String,
    },
    /// Replaced by nothing: `"browser": {"x": false}`.
    Empty,
    /// Somewhere on the network, or a `data:` URL. As it was written.
    Url(String),
    /// In a package that is locked but not unpacked.
    Pending {
        /// The package's folder.
        folder: String,
        /// What to ask for, whoever does so: a bare specifier, or a path where the importer named one.
        request: String,
    },
}
