//! Puts a site together: what browsers load of both origins, in one folder.
//!
//! In:  both modules, `static/`.
//! Out: `target/site/PROFILE/{app,preview}` as ARCHITECTURE.md, "Site folder", has it.
//!
//! A site is made beside the one that is there and takes its place when whole,
//! so a running server never sends half of one.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::compress;
use crate::esbuild::{Bundle, Esbuild, define, flag};
use crate::markers;
use crate::process::work;
use crate::projects;
use crate::repo::{Profile, Repo};
use crate::steps::{Inputs, ensure, files, hash, read, write};
use crate::toolchain::Route;
use crate::wasm::{self, Module};

/// The most that the worker's module may weigh, in brotli.
const MODULE_BUDGET: u64 = 750_000;

/// Where a preview's immutable files are.
const PREVIEW_ASSETS: &str = "preview/__sandglass/assets";

/// The folder of an up-to-date site.
///
/// # Errors
/// Those of every tool on the way.
pub fn build(repo: &Repo, route: Route, profile: Profile) -> anyhow::Result<PathBuf> {
    let sw = wasm::module(repo, route, wasm::SW, profile)?;
    let web = wasm::module(repo, route, wasm::WEB, profile)?;
    let site = repo.site(profile);
    let inputs = [&sw, &web]
        .iter()
        .try_fold(Inputs::default(), |inputs, module| inputs.path(&module.js)?.path(&module.wasm))?
        // How a site is put together is written here.
        .paths(repo, &["static", "xtask/src"])?;
    ensure(repo, &format!("site-{}", profile.name()), inputs, &[&site], || {
        let fresh = repo.target(&format!("site/.{}-new", profile.name()));
        let _ = fs::remove_dir_all(&fresh);
        let builder = Builder { repo, esbuild: Esbuild::find(repo, profile)?, out: &fresh };
        builder.preview(&sw)?;
        builder.app(&web)?;
        work("compress", || compress::folder(repo, &fresh, compress::quality(profile)))?;
        swap(&fresh, &site)
    })?;
    Ok(site)
}

/// Checks that the worker's module, which every first visitor pays for, is within its budget.
///
/// # Errors
/// When it isn't.
pub fn weigh(repo: &Repo) -> anyhow::Result<()> {
    let all = files(&repo.site(Profile::Release).join(PREVIEW_ASSETS))?;
    let module = all.iter().find(|path| path.to_string_lossy().ends_with(".wasm.br")).context("there is no module")?;
    let size = fs::metadata(module)?.len();
    println!("the worker's module: {size} bytes in brotli, of {MODULE_BUDGET}");
    if size > MODULE_BUDGET {
        bail!("the worker's module has {size} bytes in brotli, more than {MODULE_BUDGET}");
    }
    Ok(())
}

/// Puts `fresh` where `place` is.
///
/// # Errors
/// When a folder can't be moved.
pub fn swap(fresh: &Path, place: &Path) -> anyhow::Result<()> {
    let old = fresh.with_extension("old");
    let _ = fs::remove_dir_all(&old);
    if place.exists() {
        fs::rename(place, &old).with_context(|| format!("can't move {}", place.display()))?;
    }
    fs::rename(fresh, place).with_context(|| format!("can't move {}", fresh.display()))?;
    let _ = fs::remove_dir_all(&old);
    Ok(())
}

struct Builder<'a> {
    repo: &'a Repo,
    esbuild: Esbuild<'a>,
    out: &'a Path,
}

/// URLs on the preview origin, which scripts know as `ASSETS`; empty while they aren't made.
#[derive(Default)]
struct Assets {
    runtime: String,
    refresh: String,
    wasm: String,
    worker: String,
    boot: String,
    version: String,
}

impl Assets {
    fn define(&self) -> String {
        let Self { runtime, refresh, wasm, worker, boot, version } = self;
        let value = json!({
            "runtime": runtime, "refresh": refresh, "wasm": wasm, "worker": worker, "boot": boot, "version": version,
        });
        define("ASSETS", &value)
    }

    fn seal(&mut self) {
        self.version =
            hash([&*self.runtime, &self.refresh, &self.wasm, &self.worker, &self.boot].join("\n").as_bytes());
    }
}

impl Builder<'_> {
    /// The preview origin, in the order in which parts name each other.
    fn preview(&self, sw: &Module) -> anyhow::Result<()> {
        let glue = format!("--alias:sw-glue={}", sw.js.display());
        let mut assets = Assets {
            runtime: self.preview_script("runtime", "runtime", &[])?,
            // Its production build is empty.
            refresh: self.preview_script(
                "refresh",
                "refresh",
                &[define("process.env.NODE_ENV", &json!("development"))],
            )?,
            wasm: self.asset(PREVIEW_ASSETS, "sw", "wasm", &read(&sw.wasm)?)?,
            ..Assets::default()
        };
        assets.worker = self.preview_script("dedicated", "worker", &[assets.define(), glue.clone()])?;
        assets.boot = self.preview_script("boot", "boot", &[assets.define()])?;
        assets.seal();
        let page = self.text("static/preview/boot.html")?;
        if !page.contains("{{boot}}") {
            bail!("static/preview/boot.html has no {{{{boot}}}} where its script goes");
        }
        self.write("preview/__sandglass/boot.html", page.replace("{{boot}}", &assets.boot).as_bytes())?;
        let out = self.out.join("preview/sandglass-sw.js");
        self.script("static/preview/service-worker.ts", &out, vec![assets.define(), glue])
    }

    /// The app origin.
    fn app(&self, web: &Module) -> anyhow::Result<()> {
        self.element()?;
        self.module("static/client/index.ts", &self.out.join("app/sandglass-client.js"))?;
        let (script, module) = self.front_page(web)?;
        let page = self.text("static/app/index.html")?;
        for marker in ["{{web}}", "{{web-wasm}}"] {
            if !page.contains(marker) {
                bail!("static/app/index.html has no {marker} where the front page's code goes");
            }
        }
        self.write("app/index.html", page.replace("{{web}}", &script).replace("{{web-wasm}}", &module).as_bytes())?;
        self.copy("static/app", "app", |name| !name.ends_with(".ts") && name != "index.html")?;
        self.copy("static/examples", "app/examples", |_| true)?;
        self.templates()?;
        let version = self.version("app")?;
        let define = define("ASSETS", &json!({ "version": version }));
        self.script("static/app/app-sw.ts", &self.out.join("app/app-sw.js"), vec![define])
    }

    /// `<sandglass-playground>` and the chunks that it loads when it comes into view.
    fn element(&self) -> anyhow::Result<()> {
        let flags = [
            "--format=esm",
            "--splitting",
            "--entry-names=sandglass-playground",
            "--chunk-names=assets/[name]-[hash]",
            &flag("outdir", &self.out.join("app")),
        ];
        let flags = flags.map(str::to_owned).to_vec();
        self.esbuild.bundle(Bundle { entry: "static/playground/index.ts", flags })?;
        let script = fs::read_to_string(self.out.join("app/sandglass-playground.js"))?;
        if !script.contains(markers::PREVIEW) {
            bail!("sandglass-playground.js holds no {} to write the preview's origin in", markers::PREVIEW);
        }
        Ok(())
    }

    /// The front page's module and a script that starts it: a page's policy allows no script within it.
    fn front_page(&self, web: &Module) -> anyhow::Result<(String, String)> {
        let module = self.asset("app/assets", "web", "wasm", &read(&web.wasm)?)?;
        let start = self.repo.state("modules").join("web-start.js");
        let glue = Value::from(web.js.to_string_lossy());
        let address = Value::from(module.as_str());
        write(&start, format!("import start from {glue};\nstart({{ module_or_path: {address} }});\n").as_bytes())?;
        let made = self.repo.state("scripts/web.js");
        self.module(&start.to_string_lossy(), &made)?;
        Ok((self.asset("app/assets", "web", "js", &read(&made)?)?, module))
    }

    fn templates(&self) -> anyhow::Result<()> {
        let mut list = Vec::new();
        for (name, template) in projects::templates(self.repo)? {
            self.write(&format!("app/templates/{name}.json"), template.to_string().as_bytes())?;
            list.push(json!({
                "name": name, "title": template["title"], "description": template["description"],
            }));
        }
        self.write("app/templates/index.json", Value::from(list).to_string().as_bytes())
    }

    /// A classic script of the preview origin; its URL.
    fn preview_script(&self, entry: &str, name: &str, flags: &[String]) -> anyhow::Result<String> {
        let made = self.repo.state("scripts").join(format!("{name}.js"));
        self.script(&format!("static/preview/{entry}.ts"), &made, flags.to_vec())?;
        self.asset(PREVIEW_ASSETS, name, "js", &read(&made)?)
    }

    fn script(&self, entry: &str, out: &Path, mut flags: Vec<String>) -> anyhow::Result<()> {
        flags.extend(["--format=iife".to_owned(), flag("outfile", out)]);
        self.esbuild.bundle(Bundle { entry, flags })
    }

    fn module(&self, entry: &str, out: &Path) -> anyhow::Result<()> {
        let flags = vec!["--format=esm".to_owned(), flag("outfile", out)];
        self.esbuild.bundle(Bundle { entry, flags })
    }

    /// Writes a file under a name that carries its content's hash; its URL.
    fn asset(&self, folder: &str, name: &str, extension: &str, bytes: &[u8]) -> anyhow::Result<String> {
        let path = format!("{folder}/{name}-{}.{extension}", hash(bytes));
        self.write(&path, bytes)?;
        let (_origin, url) = path.split_once('/').context("an asset lies below its origin's folder")?;
        Ok(format!("/{url}"))
    }

    fn copy(&self, from: &str, to: &str, wanted: impl Fn(&str) -> bool) -> anyhow::Result<()> {
        let from = self.repo.at(from);
        for path in files(&from)? {
            let inner = path.strip_prefix(&from)?.to_string_lossy().into_owned();
            if wanted(&inner) {
                self.write(&format!("{to}/{inner}"), &read(&path)?)?;
            }
        }
        Ok(())
    }

    /// A hash over all that is there of an origin so far.
    fn version(&self, origin: &str) -> anyhow::Result<String> {
        Ok(Inputs::default().path(&self.out.join(origin))?.key()[..16].to_owned())
    }

    fn text(&self, path: &str) -> anyhow::Result<String> {
        fs::read_to_string(self.repo.at(path)).with_context(|| format!("can't read {path}"))
    }

    fn write(&self, path: &str, bytes: &[u8]) -> anyhow::Result<()> {
        write(&self.out.join(path), bytes)
    }
}
