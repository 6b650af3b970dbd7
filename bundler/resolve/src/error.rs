//! Why a specifier leads nowhere, as values with a message and a remedy.

use std::fmt;

use crate::builtin;

/// An import, for sentences about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The importing file; empty where there is none, as for an entry.
    pub importer: String,
    /// As written; cut where it is very long.
    pub specifier: String,
}

impl fmt::Display for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.importer.is_empty() {
            write!(f, "{:?} is imported", self.specifier)
        } else {
            write!(f, "{} imports {:?}", self.importer, self.specifier)
        }
    }
}

/// A way that a resolution fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResolveError {
    /// The text can't be a specifier.
    InvalidSpecifier {
        /// What was imported where.
        import: Import,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// `npm:react`, `virtual:x`.
    UnknownScheme {
        /// What was imported where.
        import: Import,
        /// The text before the colon.
        scheme: String,
    },
    /// `../../..` above the root.
    OutsideRoot {
        /// What was imported where.
        import: Import,
    },
    /// A path of the project or within a package.
    MissingFile {
        /// What was imported where.
        import: Import,
        /// The path that was looked for.
        path: String,
        /// A file that may have been meant: the specifier to write, its path.
        meant: Option<(String, String)>,
    },
    /// No such package in `node_modules`.
    MissingPackage {
        /// What was imported where.
        import: Import,
        /// Its name.
        package: String,
        /// What is known about it.
        hint: MissingHint,
    },
    /// `@/a` or `~/a`, which no `paths` of `tsconfig.json` maps.
    UnmappedAlias {
        /// What was imported where.
        import: Import,
    },
    /// A package without `exports` has no such file.
    MissingSubpath {
        /// What was imported where.
        import: Import,
        /// The package's name.
        package: String,
        /// The path that was looked for.
        path: String,
    },
    /// The package has nothing to start with, such as one of types only.
    MissingEntry {
        /// What was imported where.
        import: Import,
        /// The package's name.
        package: String,
    },
    /// `exports` doesn't have it, or not for browsers.
    NotExported {
        /// What was imported where.
        import: Import,
        /// The package's name.
        package: String,
        /// What it does export that is spelt likewise.
        near: Vec<String>,
    },
    /// `#x` isn't in `imports` of the nearest `package.json`.
    NotImported {
        /// What was imported where.
        import: Import,
        /// Path of the `package.json` that should say so.
        manifest: String,
        /// What it does have that is spelt likewise.
        near: Vec<String>,
    },
    /// `exports` or `imports` has a target that can't be one.
    InvalidTarget {
        /// What was imported where.
        import: Import,
        /// Path of the `package.json`.
        manifest: String,
        /// The target.
        target: String,
    },
    /// A package's `package.json` isn't JSON.
    BrokenManifest {
        /// What was imported where.
        import: Import,
        /// Path of the `package.json`.
        manifest: String,
        /// What the parser says.
        reason: String,
    },
    /// A module that only Node has.
    NodeBuiltin {
        /// What was imported where.
        import: Import,
        /// Without `node:`.
        name: String,
    },
}

/// What is known about a package that isn't there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MissingHint {
    /// Nothing.
    None,
    /// It is under another key of the project's `package.json`.
    ListedUnder(&'static str),
    /// A dependency is spelt likewise.
    Near(String),
    /// A package wants it.
    WantedBy(String),
}

impl ResolveError {
    /// One sentence saying what is wrong.
    pub fn message(&self) -> String {
        match self {
            Self::InvalidSpecifier { import, reason } => format!("{import}, which can't be a module: {reason}."),
            Self::UnknownScheme { import, scheme } => {
                format!("{import}, but {scheme}: is not an address a browser can load modules from.")
            }
            Self::OutsideRoot { import } => format!("{import}, which is above the project's root."),
            Self::MissingFile { import, path, .. } => format!("{import}, but {path} doesn't exist."),
            Self::MissingPackage { import, package, .. } => {
                format!("{import}, but the npm package {package} is not in the dependencies.")
            }
            Self::UnmappedAlias { import } => format!("{import}, which is neither a package nor mapped to a folder."),
            Self::MissingSubpath { import, package, path } => {
                format!("{import}, but the package {package} has no file {path}.")
            }
            Self::MissingEntry { import, package } => {
                format!("{import}, but the package {package} has no module to start with.")
            }
            Self::NotExported { import, package, .. } => {
                format!("{import}, but the package {package} doesn't export that to browsers.")
            }
            Self::NotImported { import, manifest, .. } => {
                format!("{import}, but \"imports\" of {manifest} doesn't have it.")
            }
            Self::InvalidTarget { import, manifest, target } => {
                format!("{import}, but {manifest} maps it to {target}, which can't be a target.")
            }
            Self::BrokenManifest { import, manifest, reason } => {
                format!("{import}, but {manifest} isn't valid JSON: {reason}.")
            }
            Self::NodeBuiltin { import, name } => {
                format!("{import}, but {name} is a module of Node.js that browsers don't have.")
            }
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::InvalidSpecifier { .. } => {
                "Write a path such as \"./file\", the name of a package, or a URL.".to_owned()
            }
            Self::UnknownScheme { .. } => "Import an https: URL, or the name of a package alone.".to_owned(),
            Self::OutsideRoot { .. } => "Remove a \"../\", or write the path from the root: \"/src/file\".".to_owned(),
            Self::MissingFile { meant: Some((specifier, path)), .. } => {
                format!("Did you mean {specifier:?}? There is {path}.")
            }
            Self::MissingFile { .. } => "Correct the path, or create the file.".to_owned(),
            Self::MissingPackage { package, hint, .. } => missing_package(package, hint),
            Self::UnmappedAlias { import } => {
                let alias = import.specifier.split('/').next().unwrap_or("@");
                format!(
                    "Map it in tsconfig.json under \"compilerOptions\": \"paths\": {{\"{alias}/*\": [\"./src/*\"]}}."
                )
            }
            Self::MissingSubpath { package, .. } => {
                format!("Correct the path within {package}, or choose a version of it that has the file.")
            }
            Self::MissingEntry { package, .. } => {
                format!("If only types are wanted, write \"import type\"; else import a file of {package} by its path.")
            }
            Self::NotExported { package, near, .. } if near.is_empty() => {
                format!("Look up in the documentation of {package} what can be imported.")
            }
            Self::NotExported { near, .. } => format!("It does export {}.", listed(near)),
            Self::NotImported { manifest, near, .. } if near.is_empty() => {
                format!("Add it to \"imports\" of {manifest}.")
            }
            Self::NotImported { near, .. } => format!("It does have {}.", listed(near)),
            Self::InvalidTarget { .. } => {
                "A target starts with \"./\" and stays in its package; correct it, or choose another version."
                    .to_owned()
            }
            Self::BrokenManifest { .. } => "Correct it, or choose another version of the package.".to_owned(),
            Self::NodeBuiltin { name, .. } => match builtin::stand_in(name) {
                Some(package) => {
                    format!(
                        "Add the package {package:?}, which does the same in browsers, to \"dependencies\" in package.json."
                    )
                }
                None => "Do without it: use what browsers offer, or run this code on a server.".to_owned(),
            },
        }
    }
}

fn missing_package(package: &str, hint: &MissingHint) -> String {
    match hint {
        MissingHint::None => format!("Add {package:?} to \"dependencies\" in package.json."),
        MissingHint::ListedUnder(key) => {
            format!("Move {package:?} from {key:?} to \"dependencies\" in package.json.")
        }
        MissingHint::Near(name) => {
            format!("Did you mean {name:?}? Else add {package:?} to \"dependencies\" in package.json.")
        }
        MissingHint::WantedBy(other) => {
            format!("Add {package:?} to \"dependencies\" in package.json: {other} expects it to be there.")
        }
    }
}

/// `a`, `b` and `c`.
fn listed(items: &[String]) -> String {
    let quoted: Vec<String> = items.iter().map(|item| format!("{item:?}")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())
    }
}

impl std::error::Error for ResolveError {}
