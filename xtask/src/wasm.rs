//! A crate → a module and its JavaScript half.
//!
//! In:  `sw` or `web`.
//! Out: `target/xtask/modules/PROFILE/sw.js` and `sw_bg.wasm`, optimised in release builds.

use std::path::PathBuf;
use std::process::Command;

use anyhow::bail;

use crate::process::run;
use crate::repo::{Profile, Repo};
use crate::steps::{Inputs, ensure, hash, read};
use crate::toolchain::{Route, TARGET};

/// What rustc may emit has to be named; the rest is what no engine needs.
const OPTIMISE: [&str; 11] = [
    "-O3",
    "--enable-bulk-memory",
    "--enable-bulk-memory-opt",
    "--enable-nontrapping-float-to-int",
    "--enable-sign-ext",
    "--enable-mutable-globals",
    "--enable-reference-types",
    "--enable-multivalue",
    "--enable-extended-const",
    "--strip-debug",
    "--strip-producers",
];

/// Everything outside of a crate's folders that its code depends on.
pub const SHARED: [&str; 3] = ["Cargo.toml", "Cargo.lock", ".cargo/config.toml"];

/// A crate that is compiled to wasm.
#[derive(Clone, Copy)]
pub struct Crate {
    name: &'static str,
    folders: &'static [&'static str],
}

/// The bundler in a worker.
pub const SW: Crate = Crate { name: "sw", folders: &["bundler", "protocol", "sw"] };

/// The front page.
pub const WEB: Crate = Crate { name: "web", folders: &["protocol", "static/templates", "web"] };

/// Both halves of a module.
pub struct Module {
    /// An ES module that starts it.
    pub js: PathBuf,
    /// The module.
    pub wasm: PathBuf,
}

/// Compiles a crate, unless that is done.
///
/// # Errors
/// Those of compiler, glue generator and optimiser.
pub fn module(repo: &Repo, route: Route, krate: Crate, profile: Profile) -> anyhow::Result<Module> {
    let Crate { name, .. } = krate;
    let compiled = compile(repo, route, krate, profile)?;
    let glue = glue(repo)?;
    let folder = repo.state("modules").join(profile.name());
    let module = Module { js: folder.join(format!("{name}.js")), wasm: folder.join(format!("{name}_bg.wasm")) };
    let inputs = Inputs::default()
        .text(&hash(&read(&compiled)?))
        .text(&hash(&read(&glue)?))
        .text(&OPTIMISE.join(" "))
        .path(&repo.at("static/node_modules/binaryen/package.json"))?;
    ensure(repo, &format!("glue-{name}-{}", profile.name()), inputs, &[&module.js, &module.wasm], || {
        run(&format!("glue of {name}"), Command::new(&glue).arg(&compiled).arg(&folder).arg(name))?;
        if profile == Profile::Release {
            optimise(repo, &module.wasm, name)?;
        }
        Ok(())
    })?;
    Ok(module)
}

fn compile(repo: &Repo, route: Route, Crate { name, folders }: Crate, profile: Profile) -> anyhow::Result<PathBuf> {
    // Apart from native builds: another compiler may be at work, and both can run at once.
    let target = repo.target("wasm");
    let compiled = target.join(TARGET).join(profile.wasm()).join(format!("{name}.wasm"));
    let inputs =
        Inputs::default().text(&route.version()?).text(profile.wasm()).paths(repo, &SHARED)?.paths(repo, folders)?;
    ensure(repo, &format!("compile-{name}-{}", profile.name()), inputs, &[&compiled], || {
        let mut cargo = route.cargo("build");
        cargo.args(["-p", name, "--lib", "--profile", profile.wasm(), "--target-dir"]).arg(&target);
        run(&format!("compile {name} to wasm ({})", profile.name()), cargo.current_dir(repo.root()))?;
        Ok(())
    })?;
    Ok(compiled)
}

/// The glue generator, compiled when it is first needed.
fn glue(repo: &Repo) -> anyhow::Result<PathBuf> {
    let program = repo.target("debug").join(format!("sandglass-glue{}", std::env::consts::EXE_SUFFIX));
    let inputs = Inputs::default().text(&locked(repo)?).paths(repo, &["xtask/glue", "Cargo.toml"])?;
    ensure(repo, "glue", inputs, &[&program], || {
        let mut cargo = Command::new("cargo");
        run("compile the glue generator", cargo.args(["build", "-p", "sandglass-glue"]).current_dir(repo.root()))?;
        Ok(())
    })?;
    Ok(program)
}

/// What the lock says about wasm-bindgen: other changes of it leave the generator as it is.
fn locked(repo: &Repo) -> anyhow::Result<String> {
    let lock = String::from_utf8_lossy(&read(&repo.at("Cargo.lock"))?).into_owned();
    let packages = lock.split("[[package]]").filter(|package| package.contains("name = \"wasm-bindgen"));
    Ok(packages.collect())
}

fn optimise(repo: &Repo, wasm: &std::path::Path, name: &str) -> anyhow::Result<()> {
    let program = repo.at("static/node_modules/binaryen/bin/wasm-opt");
    if !program.is_file() {
        bail!("the wasm optimiser isn't there. remedy: `cargo xtask setup` installs static/'s Node packages");
    }
    let mut node = Command::new("node");
    run(&format!("optimise {name}"), node.arg(&program).args(OPTIMISE).arg(wasm).arg("-o").arg(wasm))?;
    Ok(())
}
