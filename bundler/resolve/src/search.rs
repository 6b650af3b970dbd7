//! One resolution: which lookups, in which order.

use crate::error::{Import, MissingHint, ResolveError};
use crate::exports::{self, Conditions, Failure};
use crate::json::Json;
use crate::package::{Package, Packages, Substitute};
use crate::path::{ancestors, extension_of, folder_of, is_in_packages, join, name_of, package_folder};
use crate::probe::{Found, Probe};
use crate::specifier::{self, Form, decoded, split_package};
use crate::tsconfig::Aliases;
use crate::{FileSystem, Kind, Mode, builtin, suggest};

type Result<T> = std::result::Result<T, ResolveError>;

/// Most `browser` maps that one import goes through.
const MAX_MAPS: usize = 8;

/// The lookups for one import.
pub(crate) struct Search<'a> {
    files: &'a dyn FileSystem,
    packages: &'a mut Packages,
    aliases: &'a Aliases,
    conditions: Conditions<'a>,
    importer: &'a str,
    import: &'a dyn Fn() -> Import,
    mode: Mode,
    probe: Probe<'a>,
    /// Packages whose `browser` map was followed.
    followed: Vec<String>,
}

impl<'a> Search<'a> {
    pub(crate) fn new(
        files: &'a dyn FileSystem,
        packages: &'a mut Packages,
        aliases: &'a Aliases,
        conditions: &'a [String],
        importer: &'a str,
        import: &'a dyn Fn() -> Import,
        mode: Mode,
    ) -> Self {
        let mut names: Vec<&str> = conditions.iter().map(String::as_str).collect();
        names.push(match mode {
            Mode::Import => "import",
            Mode::Require => "require",
        });
        if is_style(importer) {
            names.push("style");
        }
        let conditions = Conditions { names };
        let probe = Probe::new(files, importer);
        Self { files, packages, aliases, conditions, importer, import, mode, probe, followed: Vec::new() }
    }

    /// Looks up a specifier without its query.
    pub(crate) fn run(&mut self, text: &str) -> Result<Found> {
        self.followed.clear();
        match Form::of(text) {
            Form::Relative => {
                let path = join(folder_of(self.importer), text);
                self.path(path, is_folder(text))
            }
            Form::Absolute => match self.public_file(text) {
                Some(found) => Ok(found),
                None => self.path(join("", text), is_folder(text)),
            },
            Form::Internal => self.internal(text),
            Form::Bare => self.bare(text),
        }
    }

    /// `/logo.svg` is the document's way to write `/public/logo.svg`, and a file of the root comes first.
    fn public_file(&self, text: &str) -> Option<Found> {
        let path = join("", text)?;
        if path.is_empty() || self.files.kind(&path) != Kind::Missing {
            return None;
        }
        self.probe.exact(&format!("/public{path}"))
    }

    fn path(&mut self, path: Option<String>, only_folder: bool) -> Result<Found> {
        let Some(path) = path else { return Err(ResolveError::OutsideRoot { import: (self.import)() }) };
        let found = self.lookup(&path, only_folder).or_else(|| match self.mode {
            Mode::Import => self.lookup(&decoded(&path)?, only_folder),
            Mode::Require => None,
        });
        match found {
            Some(found) => self.substituted(found),
            None => self.substituted_missing(&path)?.ok_or_else(|| self.missing_file(path)),
        }
    }

    /// A file or folder at a normalised path.
    fn lookup(&mut self, path: &str, only_folder: bool) -> Option<Found> {
        let file = if only_folder { None } else { self.probe.file(path) };
        file.or_else(|| match self.files.kind(if path.is_empty() { "/" } else { path }) {
            Kind::Folder => self.folder(path),
            Kind::Pending => self.probe.exact(path),
            Kind::File | Kind::Missing => None,
        })
    }

    /// Where a folder starts: by its `package.json`, else its index file.
    fn folder(&mut self, folder: &str) -> Option<Found> {
        let package = self.packages.at(self.files, folder);
        let starts = package.iter().flat_map(|package| package.entries(self.mode, is_style(self.importer)));
        let mut starts = starts.filter_map(|start| join(folder, &format!("./{start}")));
        starts
            .find_map(|path| self.probe.file(&path).or_else(|| self.probe.index(&path)))
            .or_else(|| self.probe.index(folder))
    }

    fn bare(&mut self, text: &str) -> Result<Found> {
        if let Some(found) = self.alias(text) {
            return self.substituted(found);
        }
        if let Some(package) = self.packages.with_browser_map(self.files, self.importer)
            && let Some(substitute) = package.substitute_of_name(text)
        {
            return self.substitute(&package, substitute);
        }
        self.package(folder_of(self.importer), text)
    }

    /// What `tsconfig.json` maps a specifier to. Packages have been compiled, and mean what they say.
    fn alias(&mut self, text: &str) -> Option<Found> {
        if is_in_packages(self.importer) {
            return None;
        }
        let aliases = self.aliases;
        // A package that isn't there yet is left to its own name, by which it is asked for;
        // declarations are what some map packages to for the type checker's sake.
        let usable = |found: &Found| matches!(found, Found::File(path) if !path.ends_with(".d.ts"));
        aliases.candidates(text).iter().find_map(|path| self.lookup(path, text.ends_with('/')).filter(usable))
    }

    /// PACKAGE_IMPORTS_RESOLVE.
    fn internal(&mut self, text: &str) -> Result<Found> {
        if let Some(found) = self.alias(text) {
            return self.substituted(found);
        }
        let package = self.packages.of(self.files, self.importer);
        let Some((package, imports)) =
            package.as_deref().and_then(|package| Some((package, package.imports.as_ref()?)))
        else {
            let folder = package.map_or_else(String::new, |package| package.folder.clone());
            return Err(self.not_imported(&folder, text, &Json::Null));
        };
        match exports::imported(imports, text, &self.conditions) {
            Ok(target) if target.starts_with("./") => self.target(package, &target),
            Ok(target) if specifier::is_url(&target) => Ok(Found::Url(target)),
            Ok(target) => self.package(&package.folder, &target),
            Err(Failure::Absent) => Err(self.not_imported(&package.folder, text, imports)),
            Err(Failure::Invalid(target)) => Err(self.invalid_target(package, target)),
        }
    }

    /// PACKAGE_RESOLVE: `name` or `name/sub/path`, from a folder.
    fn package(&mut self, from: &str, text: &str) -> Result<Found> {
        let plain = text.strip_prefix("node:");
        let text = plain.unwrap_or(text);
        let Some((name, rest)) = split_package(text) else { return Err(self.no_package(text)) };
        if plain.is_none()
            && let Some(own) = self.packages.of(self.files, &format!("{from}/package.json"))
            && own.exports.is_some()
            && own.name.as_deref() == Some(name)
        {
            return self.exported(&own, rest);
        }
        if let Some(found) = self.installed(from, name, rest)? {
            return Ok(found);
        }
        let builtin_name = text.trim_end_matches('/');
        if plain.is_some() || builtin::is_builtin(builtin_name) {
            return self.stand_in(from, builtin_name);
        }
        self.loose_file(from, text).ok_or_else(|| self.missing_package(name))
    }

    /// A package in the nearest `node_modules` that has it.
    fn installed(&mut self, from: &str, name: &str, rest: &str) -> Result<Option<Found>> {
        let mut missing = None;
        for above in ancestors(from).filter(|above| !above.ends_with("/node_modules")) {
            let folder = format!("{above}/node_modules/{name}");
            match self.files.kind(&folder) {
                Kind::Pending => return Ok(Some(Found::Pending { folder, request: format!("{name}{rest}") })),
                Kind::Folder => match self.in_package(&folder, name, rest)? {
                    Ok(found) => return Ok(Some(found)),
                    // The folder may hold no more than another package's `node_modules`.
                    Err(error) => missing = missing.or(Some(error)),
                },
                Kind::File | Kind::Missing => {}
            }
        }
        missing.map_or(Ok(None), Err)
    }

    /// A module of an installed package. The inner error lets the lookup go on further up.
    fn in_package(&mut self, folder: &str, name: &str, rest: &str) -> Result<Result<Found>> {
        if let Some(package) = self.packages.at(self.files, folder) {
            if let Some(reason) = package.problem.clone() {
                let manifest = format!("{folder}/package.json");
                return Err(ResolveError::BrokenManifest { import: (self.import)(), manifest, reason });
            }
            if package.exports.is_some() {
                return self.exported(&package, rest).map(Ok);
            }
        }
        let (path, found) = if rest.trim_end_matches('/').is_empty() {
            (folder.to_owned(), self.folder(folder))
        } else {
            let path = join(folder, rest.trim_start_matches('/'));
            let path = path.ok_or_else(|| ResolveError::OutsideRoot { import: (self.import)() })?;
            let found = self.lookup(&path, rest.ends_with('/'));
            (path, found)
        };
        if let Some(found) = found {
            return self.substituted(found).map(Ok);
        }
        if let Some(found) = self.substituted_missing(&path)? {
            return Ok(Ok(found));
        }
        let import = (self.import)();
        let package = name.to_owned();
        Ok(Err(if path == folder {
            ResolveError::MissingEntry { import, package }
        } else {
            ResolveError::MissingSubpath { import, package, path }
        }))
    }

    /// A file that lies in `node_modules` without a folder of its own.
    fn loose_file(&self, from: &str, text: &str) -> Option<Found> {
        let folders = ancestors(from).filter(|above| !above.ends_with("/node_modules"));
        folders.filter_map(|above| join(above, &format!("node_modules/{text}"))).find_map(|path| self.probe.file(&path))
    }

    /// PACKAGE_EXPORTS_RESOLVE.
    fn exported(&mut self, package: &Package, rest: &str) -> Result<Found> {
        let subpath = if rest == "/" { ".".to_owned() } else { format!(".{rest}") };
        let exports = package.exports.as_ref().unwrap_or(&Json::Null);
        match exports::exported(exports, &subpath, &self.conditions) {
            Ok(target) => self.target(package, &target),
            Err(Failure::Invalid(target)) => Err(self.invalid_target(package, target)),
            Err(Failure::Absent) => {
                let name = shown_name(package);
                let keys = exports::keys(exports).into_iter().filter(|key| *key != subpath);
                let near = suggest::near(&subpath, keys);
                let near = near.iter().map(|key| format!("{name}{}", key.trim_start_matches('.'))).collect();
                Err(ResolveError::NotExported { import: (self.import)(), package: name, near })
            }
        }
    }

    /// A target of `exports` or `imports`: exactly that file, as in Node, or its source in the project.
    fn target(&mut self, package: &Package, target: &str) -> Result<Found> {
        let path = join(&package.folder, target).ok_or_else(|| self.invalid_target(package, target.to_owned()))?;
        let found = self.probe.exact(&path).or_else(|| self.probe.source(&path));
        match found.or_else(|| self.probe.exact(&decoded(&path)?)) {
            Some(found) => self.substituted(found),
            None if !is_in_packages(&path) => Err(self.missing_file(path)),
            None => {
                let package = shown_name(package);
                Err(ResolveError::MissingSubpath { import: (self.import)(), package, path })
            }
        }
    }

    /// The npm package that does a Node module's work.
    fn stand_in(&mut self, from: &str, name: &str) -> Result<Found> {
        let found = match builtin::stand_in(name) {
            Some(package) if package != name => self.installed(from, package, "")?,
            _ => None,
        };
        found.ok_or_else(|| ResolveError::NodeBuiltin { import: (self.import)(), name: name.to_owned() })
    }

    /// Applies the `browser` map to a file that was found.
    fn substituted(&mut self, found: Found) -> Result<Found> {
        let Found::File(path) = &found else { return Ok(found) };
        match self.substituted_missing(path)? {
            Some(found) => Ok(found),
            None => Ok(found),
        }
    }

    /// Applies the `browser` map to a path that may not exist: some leave out what a browser has no use for.
    fn substituted_missing(&mut self, path: &str) -> Result<Option<Found>> {
        let Some(package) = self.packages.with_browser_map(self.files, path) else { return Ok(None) };
        // Once for each package, so that maps in a circle come to an end, and not through many:
        // a chain made to be long would exhaust the stack.
        if self.followed.len() >= MAX_MAPS || self.followed.contains(&package.folder) {
            return Ok(None);
        }
        package.substitute_of_path(path).map(|by| self.substitute(&package, by)).transpose()
    }

    /// Looks up what a `browser` map says.
    fn substitute(&mut self, package: &Package, by: &Substitute) -> Result<Found> {
        let Substitute::Specifier(text) = by else { return Ok(Found::Empty) };
        self.followed.push(package.folder.clone());
        let local = join(&package.folder, &format!("./{text}"));
        if Form::of(text) != Form::Bare {
            let path = local.ok_or_else(|| self.invalid_target(package, format!("{text:?}")))?;
            return self.lookup(&path, is_folder(text)).ok_or_else(|| self.missing_file(path));
        }
        self.package(&package.folder, text)
            .or_else(|error| local.and_then(|path| self.lookup(&path, false)).ok_or(error))
    }
}

/// Errors, which cost more than a success and so are made last.
impl Search<'_> {
    fn missing_file(&self, path: String) -> ResolveError {
        let import = (self.import)();
        let path = if path.is_empty() { "/".to_owned() } else { path };
        // Nobody corrects what a package imports.
        let meant = if is_in_packages(self.importer) {
            None
        } else {
            suggest::file(self.files, self.importer, &import.specifier, &path)
        };
        ResolveError::MissingFile { import, path, meant }
    }

    fn no_package(&self, text: &str) -> ResolveError {
        let import = (self.import)();
        if let Some(scheme) = specifier::scheme(text) {
            return ResolveError::UnknownScheme { scheme: scheme.to_owned(), import };
        }
        if text.starts_with("@/") {
            return ResolveError::UnmappedAlias { import };
        }
        ResolveError::InvalidSpecifier { import, reason: "no package can have this name" }
    }

    fn missing_package(&mut self, name: &str) -> ResolveError {
        let import = (self.import)();
        if name.starts_with('~') {
            return ResolveError::UnmappedAlias { import };
        }
        let hint = self.missing_hint(name);
        ResolveError::MissingPackage { import, package: name.to_owned(), hint }
    }

    fn missing_hint(&self, name: &str) -> MissingHint {
        if let Some(folder) = package_folder(self.importer) {
            let folders = folder.rsplit("/node_modules/").next().unwrap_or(folder);
            return MissingHint::WantedBy(folders.to_owned());
        }
        let manifest = self.files.read("/package.json").and_then(|bytes| Json::parse(bytes).ok()).unwrap_or(Json::Null);
        let listed = ["devDependencies", "peerDependencies", "optionalDependencies"]
            .into_iter()
            .find(|key| manifest.get(key).is_some_and(|list| list.get(name).is_some()));
        if let Some(key) = listed {
            return MissingHint::ListedUnder(key);
        }
        let known = manifest.get("dependencies").map_or(&[][..], Json::entries);
        let near = suggest::nearest(name, known.iter().map(|(key, _)| key.as_str()));
        near.filter(|near| *near != name).map_or(MissingHint::None, |near| MissingHint::Near(near.to_owned()))
    }

    fn not_imported(&self, folder: &str, text: &str, imports: &Json) -> ResolveError {
        let near = suggest::near(text, exports::keys(imports).into_iter().filter(|key| key.starts_with('#')));
        ResolveError::NotImported { import: (self.import)(), manifest: format!("{folder}/package.json"), near }
    }

    fn invalid_target(&self, package: &Package, target: String) -> ResolveError {
        let manifest = format!("{}/package.json", package.folder);
        ResolveError::InvalidTarget { import: (self.import)(), manifest, target }
    }
}

fn shown_name(package: &Package) -> String {
    package.name.clone().unwrap_or_else(|| name_of(&package.folder).to_owned())
}

fn is_style(path: &str) -> bool {
    extension_of(path) == "css"
}

fn is_folder(text: &str) -> bool {
    matches!(name_of(text), "" | "." | "..")
}
