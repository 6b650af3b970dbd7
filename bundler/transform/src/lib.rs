//! One source file in, one linked module out.
//!
//! In:  `import { a } from "./a"; a();`
//! Out: `function*($m,$0){"use strict";yield;` … `(0,$0.a)();` … `}`
//!
//! A file is parsed, its scopes are resolved, and **edits are made on its text**:
//! nothing is printed from a tree, so every line stays where it was and the
//! whole compiler stays small. CommonJS isn't even parsed, only lexed.
//!
//! Pure and total: no file, clock or global is read, no input panics it, and
//! what is wrong with a file comes back as [`Problem`]s. It refuses to resolve
//! a specifier; that is the linker's work.

mod aliases;
mod bindings;
mod commonjs;
mod depth;
mod detect;
mod edit;
mod enums;
mod exports;
mod fold;
mod hoist;
mod jsx;
mod lexer;
mod linked;
mod namespaces;
mod parse;
mod refresh;
mod rewrite;
mod scan;
mod sourcemap;
mod text;
mod types;

pub use text::{is_identifier, quote};

/// What the transform depends on beside the text.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// Path of the file; its extension tells the language.
    pub path: &'a str,
    /// Which module system the file is in.
    pub format: Format,
    /// How JSX is written out, unless the file says so itself.
    pub jsx: &'a Jsx,
    /// Whether React Refresh registrations are wanted.
    pub refresh: bool,
    /// The value of `process.env.NODE_ENV`.
    pub node_env: &'a str,
    /// Whether [`Module::map`] is wanted.
    pub map: bool,
}

/// Which module system a file is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// An ES module if it has the syntax of one, else CommonJS.
    Auto,
    /// An ES module.
    Esm,
    /// CommonJS.
    CommonJs,
}

/// What JSX becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Jsx {
    /// Calls of functions that `import_source`'s `jsx-runtime` exports.
    Automatic {
        /// A package, e.g. `react`.
        import_source: String,
    },
    /// Calls of a function in scope.
    Classic {
        /// The function, e.g. `React.createElement`.
        pragma: String,
        /// The type of a fragment, e.g. `React.Fragment`.
        fragment: String,
    },
}

impl Default for Jsx {
    fn default() -> Jsx {
        Jsx::Automatic { import_source: "react".to_owned() }
    }
}

/// A file in the linked form, with everything a linker wants to know of it.
#[derive(Debug, Clone)]
pub struct Module {
    /// How its factory is run.
    pub kind: Kind,
    /// Whether it registers components with React Refresh.
    pub refresh: bool,
    /// The text of the factory, a function expression.
    pub factory: String,
    /// One for each distinct static specifier, in the order of `$0`, `$1`, ….
    pub imports: Vec<Import>,
    /// Everything else the module may ask for.
    pub requests: Vec<Request>,
    /// Names it exports itself; for CommonJS those a lexer can see.
    pub exports: Vec<String>,
    /// Indexes of [`Module::imports`] that are re-exported whole.
    pub stars: Vec<usize>,
    /// CommonJS: specifiers whose exports are re-exported.
    pub reexports_cjs: Vec<String>,
    /// `mappings` of a source map from the factory to the source.
    pub map: Option<String>,
}

/// How a factory is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Once, with `exports`, `module` and `require`.
    CommonJs,
    /// As a generator: hoisting first, then evaluation.
    Esm,
    /// As an async generator: the module has top-level await.
    EsmAsync,
}

/// A static import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// As written.
    pub specifier: String,
    /// Start of the specifier's literal in the source, in bytes.
    pub start: u32,
    /// Its end.
    pub end: u32,
    /// What is wanted from it by name.
    pub names: Vec<ImportedName>,
    /// `type` of the import's attributes.
    pub attribute_type: Option<String>,
}

/// A name that another module has to export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedName {
    /// As the other module exports it.
    pub name: String,
    /// Where it is asked for, in bytes.
    pub start: u32,
    /// The end of that.
    pub end: u32,
}

/// A module that is asked for at run time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// As written.
    pub specifier: String,
    /// In which way.
    pub kind: RequestKind,
    /// Start of the specifier's literal in the source, in bytes.
    pub start: u32,
    /// Its end.
    pub end: u32,
}

/// In which way a module is asked for at run time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind {
    /// `import("x")`
    Dynamic,
    /// `require("x")`
    Require,
    /// `require("x")` inside `try`
    OptionalRequire,
    /// `new URL("./x", import.meta.url)`
    Url,
    /// `new Worker(new URL("./x", import.meta.url))`
    Worker,
}

/// Something wrong in the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// One sentence saying what.
    pub message: String,
    /// Where it starts, in bytes.
    pub start: u32,
    /// Where it ends.
    pub end: u32,
    /// What to do about it; may be empty.
    pub remedy: String,
}

/// The largest source that is accepted: offsets are 32 bits wide, and a browser's
/// worker hasn't the memory for more.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Turns a source text into the linked form.
pub fn transform(source: &str, options: &Options<'_>) -> Result<Module, Vec<Problem>> {
    if source.len() > MAX_BYTES {
        let message = format!("The file has {} MiB; a module can have 64 MiB.", source.len() >> 20);
        return Err(vec![Problem { message, start: 0, end: 0, remedy: String::new() }]);
    }
    match detect::language(source, options) {
        detect::Language::CommonJs => on_deep_stack(|| commonjs::transform(source, options)),
        detect::Language::Module(syntax) => on_deep_stack(|| linked::transform(source, options, syntax)),
    }
}

/// Parsers recurse. A browser's wasm stack is what it is, and [`depth`] keeps
/// within it; natively frames are larger, above all in debug builds.
#[cfg(not(target_arch = "wasm32"))]
fn on_deep_stack<R>(work: impl FnOnce() -> R) -> R {
    const STACK_BYTES: usize = 64 * 1024 * 1024;
    stacker::maybe_grow(STACK_BYTES / 2, STACK_BYTES, work)
}

#[cfg(target_arch = "wasm32")]
fn on_deep_stack<R>(work: impl FnOnce() -> R) -> R {
    work()
}
