//! Makes a compiled module loadable: `sandglass-glue IN.wasm OUT_DIR NAME`.
//!
//! In:  what rustc wrote, with wasm-bindgen's descriptions in it.
//! Out: `OUT_DIR/NAME.js`, an ES module, and `OUT_DIR/NAME_bg.wasm`.
//!
//! A crate of its own as its dependencies take minutes to compile, and pinned
//! to the version in `Cargo.lock`: both halves must be of one make.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use wasm_bindgen_cli_support::Bindgen;

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [input, out, name] = args.as_slice() else { bail!("use: sandglass-glue IN.wasm OUT_DIR NAME") };
    generate(Path::new(input), &PathBuf::from(out), name).with_context(|| format!("can't make the glue of {input}"))
}

fn generate(input: &Path, out: &Path, name: &str) -> anyhow::Result<()> {
    Bindgen::new()
        .input_path(input)
        .web(true)?
        .out_name(name)
        .typescript(false)
        // The name of the module isn't known here: it will carry a hash. Whoever starts it says where it is.
        .omit_default_module_path(true)
        .generate(out)
}
