//! The resolver: what is kept between two resolutions, and the order of a first look.

use std::rc::Rc;

use crate::error::{Import, ResolveError};
use crate::package::{Package, Packages};
use crate::path::join;
use crate::probe::Found;
use crate::search::Search;
use crate::specifier;
use crate::tsconfig::Aliases;
use crate::{FileSystem, Mode, Options, Resolution};

/// Resolves specifiers. Keeps what configuration files say until it is told that they changed.
#[derive(Debug)]
pub struct Resolver {
    options: Options,
    packages: Packages,
    aliases: Option<Rc<Aliases>>,
}

impl Resolver {
    /// A resolver that has read nothing yet.
    pub fn new(options: Options) -> Self {
        Self { options, packages: Packages::default(), aliases: None }
    }

    /// Where `specifier`, as it is written in the file `importer`, leads.
    ///
    /// # Errors
    /// Says why it leads nowhere, and what to do about it.
    pub fn resolve(
        &mut self,
        files: &dyn FileSystem,
        importer: &str,
        specifier: &str,
        mode: Mode,
    ) -> Result<Resolution, ResolveError> {
        if specifier::is_url(specifier) {
            return Ok(Resolution::Url(specifier.to_owned()));
        }
        let importer = &join("", importer.split('?').next().unwrap_or("")).unwrap_or_default();
        let import = || Import {
            importer: if files.read(importer).is_some() { importer.clone() } else { String::new() },
            specifier: specifier.chars().take(200).collect(),
        };
        if let Some(reason) = specifier::flaw(specifier) {
            return Err(ResolveError::InvalidSpecifier { import: import(), reason });
        }
        let (text, query) = specifier::split_query(specifier);
        let aliases = Rc::clone(self.aliases.get_or_insert_with(|| Rc::new(Aliases::read(files))));
        let conditions = &self.options.conditions;
        let mut search = Search::new(files, &mut self.packages, &aliases, conditions, importer, &import, mode);
        let found = search.run(text).or_else(|error| match specifier::without_fragment(text) {
            // A `#` may be part of a file's name, and if it isn't, it starts a fragment.
            Some(text) => search.run(text),
            None => Err(error),
        })?;
        Ok(match found {
            Found::File(path) => Resolution::File { path, query: query.to_owned() },
            Found::Empty => Resolution::Empty,
            Found::Url(url) => Resolution::Url(url),
            Found::Pending { folder, request } => Resolution::Pending { folder, request: request + query },
        })
    }

    /// The nearest `package.json` of a file, which need not exist.
    pub fn package_of(&mut self, files: &dyn FileSystem, path: &str) -> Option<Rc<Package>> {
        self.packages.of(files, path)
    }

    /// Forgets what was read from a file, after it was written, removed or unpacked.
    pub fn invalidate(&mut self, path: &str) {
        self.packages.forget(path);
        // Any of the project's JSON files may be part of a chain of `extends`.
        if path.ends_with(".json") {
            self.aliases = None;
        }
    }
}
