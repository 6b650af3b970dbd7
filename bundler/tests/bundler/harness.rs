//! Drives a project as a worker does, with a registry made of the fixture's own packages.
//!
//! A fixture is text: `# /path` begins a file of the project, `# name@1.0.0/path` one of
//! a package. A package's `package.json` may leave out its name and version.

use std::collections::BTreeMap;

use base64::Engine as _;
use bundler::{Assets, Bytes, Change, Diagnostic, Need, Outcome, Project, RuntimeScripts, Script, Step};
use serde_json::{Value, json};
use sha2::Digest as _;

type Package = BTreeMap<String, String>;

/// Packages by name and version.
#[derive(Default)]
pub struct Registry {
    packages: BTreeMap<(String, String), Package>,
}

/// A project with everything around it.
pub struct Driver {
    pub project: Project,
    pub registry: Registry,
    /// Everything that was asked for, as text.
    pub needs: Vec<String>,
}

/// Mounts a fixture; nothing is built yet.
pub fn mount(fixture: &str, assets: Assets) -> Driver {
    let scripts = RuntimeScripts {
        runtime: Script::Src("/runtime.js".to_owned()),
        refresh: Script::Src("/refresh.js".to_owned()),
    };
    let mut driver =
        Driver { project: Project::new(assets, scripts), registry: Registry::default(), needs: Vec::new() };
    for (name, text) in sections(fixture) {
        match name.strip_prefix('/') {
            Some(_) => driver.write(&name, &text),
            None => driver.registry.add(&name, &text),
        }
    }
    driver
}

/// `(name, text)` of each `# name` section.
pub fn sections(fixture: &str) -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> = Vec::new();
    for line in fixture.lines() {
        match (line.strip_prefix("# "), out.last_mut()) {
            (Some(name), _) => out.push((name.trim().to_owned(), String::new())),
            (None, Some((_, text))) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => assert!(line.trim().is_empty(), "text before the first section: {line}"),
        }
    }
    out
}

impl Driver {
    pub fn write(&mut self, path: &str, text: &str) {
        self.project.write(path, Some(Bytes::from(text.as_bytes()))).expect("the fixture's paths are valid");
    }

    /// Builds, supplying what is asked for.
    pub fn build(&mut self) -> Outcome {
        for _ in 0..50 {
            match self.project.step() {
                Step::Done(outcome) => return outcome,
                Step::Needs(needs) => needs.into_iter().for_each(|need| self.supply(need)),
            }
        }
        panic!("the build asks without end: {:?}", self.needs);
    }

    fn supply(&mut self, need: Need) {
        match need {
            Need::Packument(name) => {
                self.needs.push(format!("packument {name}"));
                let bytes = self.registry.packument(&name);
                self.project.supply_packument(&name, Ok(bytes));
            }
            Need::Prebuilt { key, entries, .. } => {
                self.needs.push(format!("prebuilt {}", entries.join(" ")));
                self.project.supply_prebuilt(&key, None);
            }
            Need::Tarball(package) => {
                self.needs.push(format!("tarball {} {}", package.name, package.version));
                let bytes = self.registry.tarball(&package.name, &package.version);
                self.project.supply_tarball(&package.folder, bytes);
            }
        }
    }
}

impl Registry {
    fn add(&mut self, name: &str, text: &str) {
        let at = name[1..].find('@').expect("a package's section is name@version/path") + 1;
        let (version, path) = name[at + 1..].split_once('/').expect("a package's section is name@version/path");
        let package = self.packages.entry((name[..at].to_owned(), version.to_owned())).or_default();
        package.insert(path.to_owned(), text.to_owned());
    }

    fn manifest(&self, name: &str, version: &str) -> Value {
        let files = &self.packages[&(name.to_owned(), version.to_owned())];
        let text = files.get("package.json").map_or("{}", String::as_str);
        let mut manifest: Value = serde_json::from_str(text).expect("a fixture's package.json is JSON");
        manifest["name"] = name.into();
        manifest["version"] = version.into();
        manifest
    }

    fn packument(&self, name: &str) -> Option<Vec<u8>> {
        let mut versions = serde_json::Map::new();
        for (_, version) in self.packages.keys().filter(|(known, _)| known == name) {
            let tarball = self.tarball(name, version).expect("it is there");
            let mut manifest = self.manifest(name, version);
            manifest["dist"] = json!({ "integrity": integrity(&tarball) });
            versions.insert(version.clone(), manifest);
        }
        let latest = versions.keys().next_back()?.clone();
        let packument = json!({"name": name, "dist-tags": {"latest": latest}, "versions": versions});
        Some(packument.to_string().into_bytes())
    }

    pub fn tarball(&self, name: &str, version: &str) -> Result<Vec<u8>, String> {
        let key = (name.to_owned(), version.to_owned());
        let mut files = self.packages.get(&key).cloned().ok_or("the registry doesn't answer")?;
        files.insert("package.json".to_owned(), self.manifest(name, version).to_string());
        let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut archive = tar::Builder::new(encoder);
        for (path, text) in &files {
            let mut header = tar::Header::new_ustar();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            archive.append_data(&mut header, format!("package/{path}"), text.as_bytes()).expect("memory takes it");
        }
        Ok(archive.into_inner().and_then(flate2::write::GzEncoder::finish).expect("memory takes it"))
    }
}

pub fn integrity(bytes: &[u8]) -> String {
    format!("sha512-{}", base64::engine::general_purpose::STANDARD.encode(sha2::Sha512::digest(bytes)))
}

/// An outcome in lines.
pub fn shown(outcome: &Outcome) -> String {
    let mut out: String = outcome.diagnostics.iter().map(shown_diagnostic).collect();
    out.push_str(&match &outcome.change {
        Change::None => "change: none\n".to_owned(),
        Change::Load => "change: load\n".to_owned(),
        Change::Patch(patch) => {
            let styles: Vec<&str> = patch.styles.iter().map(|(path, _)| path.as_str()).collect();
            format!("change: patch {:?} removed {:?} styles {:?}\n", patch.changed, patch.removed, styles)
        }
    });
    out
}

pub fn shown_diagnostic(found: &Diagnostic) -> String {
    let mut out = format!("{:?} {}:{}:{} {}\n", found.severity, found.file, found.line, found.column, found.message);
    out.push_str(&found.code_frame);
    if !found.remedy.is_empty() {
        out.push_str(&format!("remedy: {}\n", found.remedy));
    }
    out
}
