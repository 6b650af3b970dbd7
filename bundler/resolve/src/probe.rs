//! From a path as it is written to the file that is meant: extensions and index files.

use crate::path::{extension_of, is_in_packages, package_folder};
use crate::{FileSystem, Kind};

/// What a project's imports leave out.
const IN_PROJECT: &[&str] = &["tsx", "ts", "jsx", "js", "mjs", "mts", "cjs", "cts", "css", "json"];

/// What a package's imports leave out: JavaScript first, as some ship their sources beside it.
const IN_PACKAGE: &[&str] = &["js", "json", "jsx", "mjs", "cjs", "css", "tsx", "ts", "mts", "cts"];

/// TypeScript's imports name the output: `./a.js` is made of `./a.ts`.
const OUTPUTS: &[(&str, &[&str])] = &[("js", &["ts", "tsx"]), ("jsx", &["tsx"]), ("mjs", &["mts"]), ("cjs", &["cts"])];

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    File(String),
    Empty,
    Url(String),
    /// A package's folder, and what to ask for.
    Pending {
        folder: String,
        request: String,
    },
}

/// Looks up files for one importer.
pub(crate) struct Probe<'a> {
    files: &'a dyn FileSystem,
    from_typescript: bool,
}

impl<'a> Probe<'a> {
    pub(crate) fn new(files: &'a dyn FileSystem, importer: &str) -> Self {
        let from_typescript = is_typescript(extension_of(importer)) && !is_in_packages(importer);
        Self { files, from_typescript }
    }

    /// The file of exactly this path.
    pub(crate) fn exact(&self, path: &str) -> Option<Found> {
        match self.files.kind(path) {
            Kind::File => Some(Found::File(path.to_owned())),
            Kind::Pending => {
                Some(Found::Pending { folder: package_folder(path)?.to_owned(), request: path.to_owned() })
            }
            Kind::Folder | Kind::Missing => None,
        }
    }

    /// The source that TypeScript would write to this path.
    pub(crate) fn source(&self, path: &str) -> Option<Found> {
        if !self.from_typescript {
            return None;
        }
        let (stem, extension) = path.rsplit_once('.')?;
        let (_, sources) = OUTPUTS.iter().find(|(output, _)| *output == extension)?;
        sources.iter().find_map(|source| self.exact(&format!("{stem}.{source}")))
    }

    /// The file of this path, with or without extension.
    pub(crate) fn file(&self, path: &str) -> Option<Found> {
        if path.is_empty() {
            return None;
        }
        self.exact(path).or_else(|| self.extended(path)).or_else(|| self.source(path))
    }

    /// The index file of a folder.
    pub(crate) fn index(&self, folder: &str) -> Option<Found> {
        self.extended(&format!("{folder}/index"))
    }

    fn extended(&self, path: &str) -> Option<Found> {
        extensions(path).iter().find_map(|extension| self.exact(&format!("{path}.{extension}")))
    }
}

/// The extensions that may be left out at a path, in order.
pub(crate) fn extensions(path: &str) -> &'static [&'static str] {
    if is_in_packages(path) { IN_PACKAGE } else { IN_PROJECT }
}

fn is_typescript(extension: &str) -> bool {
    matches!(extension, "ts" | "tsx" | "mts" | "cts")
}
