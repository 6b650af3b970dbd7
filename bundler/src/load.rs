//! Turns one file into a module in the linked form, whatever its type.
//!
//! In:  `/src/logo.svg?raw`, the files. Out: a factory's text and what it imports.
//! Pure per file: nothing here resolves a specifier or looks at another module,
//! but for relative `@import`s of style sheets, which are inlined.

use base64::Engine as _;
use bundler_transform as transform;

use crate::css;
use crate::diagnostic::Diagnostic;
use crate::files::{Files, MAX_FILE_BYTES, join};
use crate::media;

/// `kind` bits of a registration; see "The linked form" in ARCHITECTURE.md.
pub mod kind {
    /// CommonJS.
    pub const COMMON_JS: u8 = 0;
    /// ES module.
    pub const ESM: u8 = 1;
    /// ES module with top-level await.
    pub const ESM_ASYNC: u8 = 2;
    /// Has React Refresh registrations.
    pub const REFRESH: u8 = 4;
    /// `default` of CommonJS is always `module.exports`.
    pub const NODE_INTEROP: u8 = 8;
}

/// How files that aren't modules reach the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assets {
    /// Under their own path; a worker answers.
    ByUrl,
    /// As `data:` URLs; nobody answers requests, or the file is a package's.
    Inline,
}

/// What the transform of a file depends on beside its text.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How JSX is written out.
    pub jsx: transform::Jsx,
    /// React Refresh registrations are wanted.
    pub refresh: bool,
    /// How assets are referred to.
    pub assets: Assets,
}

/// An import with its place in the file.
#[derive(Debug, Clone)]
pub struct Import {
    /// As written.
    pub specifier: String,
    /// Byte offsets in the file.
    pub range: (u32, u32),
    /// Names wanted from it, with their places.
    pub names: Vec<(String, (u32, u32))>,
}

/// A `require`, `import()` or the like.
#[derive(Debug, Clone)]
pub struct Request {
    /// As written.
    pub specifier: String,
    /// How it is asked for.
    pub kind: transform::RequestKind,
    /// Byte offsets in the file.
    pub range: (u32, u32),
}

/// Which names a module exports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exports {
    /// Exactly these, beside star exports.
    Known(Vec<String>),
    /// Only running it tells (CommonJS).
    Unknown,
}

/// A file as a module.
#[derive(Debug)]
pub struct Loaded {
    /// [`kind`] bits.
    pub kind: u8,
    /// The factory's text.
    pub factory: String,
    /// Static imports in the order of `$0`, `$1`, ….
    pub imports: Vec<Import>,
    /// Everything else that is asked for.
    pub requests: Vec<Request>,
    /// Own exports.
    pub exports: Exports,
    /// Indexes of imports that are re-exported whole.
    pub stars: Vec<usize>,
    /// Other files whose text is part of this one.
    pub inputs: Vec<String>,
}

/// `/a.svg?raw` → (`/a.svg`, `raw`).
pub fn split_id(id: &str) -> (&str, &str) {
    id.split_once('?').unwrap_or((id, ""))
}

/// What a file is by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Script,
    Style,
    Json,
    Asset,
}

fn type_of(path: &str) -> Type {
    match extension(path) {
        "js" | "mjs" | "cjs" | "jsx" | "ts" | "mts" | "cts" | "tsx" => Type::Script,
        "css" => Type::Style,
        "json" => Type::Json,
        // A package's file without an extension is a script, as in Node.
        "" if path.starts_with("/node_modules/") => Type::Script,
        _ if media::is_asset(path) => Type::Asset,
        _ if path.starts_with("/node_modules/") => Type::Script,
        _ => Type::Asset,
    }
}

/// The text after the last dot of the last segment.
pub fn extension(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map_or("", |(_, extension)| extension)
}

/// Loads a module id.
pub fn load(files: &Files, id: &str, settings: &Settings, module_type: ModuleType) -> Result<Loaded, Vec<Diagnostic>> {
    let (path, query) = split_id(id);
    let Some(bytes) = files.get(path) else {
        return Err(vec![Diagnostic::error(path, format!("{path} doesn't exist."), "")]);
    };
    if bytes.len() > MAX_FILE_BYTES {
        return Err(vec![too_large(path, bytes.len())]);
    }
    let flags: Vec<&str> = query.split('&').map(|pair| pair.split('=').next().unwrap_or("")).collect();
    if flags.contains(&"raw") {
        return Ok(default_export(&quote(text(path, bytes)?)));
    }
    if flags.contains(&"url") {
        return Ok(default_export(&quote(&asset_url(path, bytes, settings.assets))));
    }
    match type_of(path) {
        Type::Script => script(path, text(path, bytes)?, settings, module_type),
        Type::Json => json(path, text(path, bytes)?),
        Type::Style => style(files, path, settings, flags.contains(&"inline")),
        Type::Asset => Ok(default_export(&quote(&asset_url(path, bytes, settings.assets)))),
    }
}

fn too_large(path: &str, size: usize) -> Diagnostic {
    let mib = |bytes: usize| bytes / (1024 * 1024);
    Diagnostic::error(
        path,
        format!("{path} is {} MiB; a module can have {} MiB.", mib(size), mib(MAX_FILE_BYTES)),
        "Fetch data of this size at run time, or make it smaller.",
    )
}

fn text<'a>(path: &str, bytes: &'a [u8]) -> Result<&'a str, Vec<Diagnostic>> {
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let line = bytes[..at].iter().filter(|byte| **byte == b'\n').count() as u32 + 1;
        let mut found = Diagnostic::error(
            path,
            format!("{path} isn't valid UTF-8: byte {at} is 0x{:02x}.", bytes[at]),
            "Save the file as UTF-8, or import it with ?url if it is binary.",
        );
        found.line = line;
        vec![found]
    })
}

/// What `package.json` says about a `.js` file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModuleType {
    /// `"type": "module"`.
    Module,
    /// Nothing, or `commonjs`: syntax decides.
    Unmarked,
}

fn script(path: &str, source: &str, settings: &Settings, module_type: ModuleType) -> Result<Loaded, Vec<Diagnostic>> {
    let module = transform::transform(source, &transform_options(path, settings, module_type, false))
        .map_err(|problems| problems.into_iter().map(|problem| placed(path, source, problem)).collect::<Vec<_>>())?;
    let mut kind = match module.kind {
        transform::Kind::CommonJs => kind::COMMON_JS,
        transform::Kind::Esm => kind::ESM,
        transform::Kind::EsmAsync => kind::ESM_ASYNC,
    };
    if module.refresh {
        kind |= kind::REFRESH;
    }
    // Node's strict interop is for packages, which say what they are; in a
    // project `"type": "module"` is a template's default and means nothing.
    let package = path.starts_with("/node_modules/") && module_type == ModuleType::Module;
    if package || matches!(extension(path), "mjs" | "mts") {
        kind |= kind::NODE_INTEROP;
    }
    let exports = match module.kind {
        transform::Kind::CommonJs => Exports::Unknown,
        _ => Exports::Known(module.exports),
    };
    let imports = module.imports.into_iter().map(|import| Import {
        specifier: import.specifier,
        range: (import.start, import.end),
        names: import.names.into_iter().map(|name| (name.name, (name.start, name.end))).collect(),
    });
    let requests = module.requests.into_iter().map(|request| Request {
        specifier: request.specifier,
        kind: request.kind,
        range: (request.start, request.end),
    });
    Ok(Loaded {
        kind,
        factory: module.factory,
        imports: imports.collect(),
        requests: requests.collect(),
        exports,
        stars: module.stars,
        inputs: Vec::new(),
    })
}

/// The options a script is transformed with; again, with a map, when a stack is to be read.
pub fn transform_options<'a>(
    path: &'a str,
    settings: &'a Settings,
    module_type: ModuleType,
    map: bool,
) -> transform::Options<'a> {
    let package = path.starts_with("/node_modules/");
    let format = match extension(path) {
        "mjs" | "mts" => transform::Format::Esm,
        "cjs" | "cts" => transform::Format::CommonJs,
        "js" if package && module_type == ModuleType::Module => transform::Format::Esm,
        _ => transform::Format::Auto,
    };
    transform::Options {
        path,
        format,
        jsx: &settings.jsx,
        refresh: settings.refresh && !package,
        node_env: "development",
        map,
    }
}

fn placed(path: &str, source: &str, problem: transform::Problem) -> Diagnostic {
    Diagnostic::error(path, problem.message, problem.remedy).at(source, problem.start, problem.end)
}

fn json(path: &str, source: &str) -> Result<Loaded, Vec<Diagnostic>> {
    let source = source.trim_start_matches('\u{feff}');
    if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(source) {
        let line = source.split('\n').nth(error.line().saturating_sub(1)).unwrap_or("");
        let start = line.as_ptr() as usize - source.as_ptr() as usize;
        let at = (start + error.column().saturating_sub(1)).min(source.len()) as u32;
        let message = error.to_string();
        let message = message.split(" at line").next().unwrap_or(&message);
        return Err(vec![Diagnostic::error(path, format!("{path} isn't valid JSON: {message}."), "").at(
            source,
            at,
            at + 1,
        )]);
    }
    // An object literal would take `__proto__` for the prototype.
    let value =
        if source.contains("__proto__") { format!("JSON.parse({})", quote(source)) } else { source.trim().to_owned() };
    Ok(Loaded {
        kind: kind::COMMON_JS,
        factory: format!("function(exports,module){{module.exports={value};}}"),
        imports: Vec::new(),
        requests: Vec::new(),
        exports: Exports::Unknown,
        stars: Vec::new(),
        inputs: Vec::new(),
    })
}

fn default_export(expression: &str) -> Loaded {
    Loaded {
        kind: kind::ESM,
        factory: format!("function*($m){{\"use strict\";$m.x({{default:()=>$d}});yield;const $d={expression};}}"),
        imports: Vec::new(),
        requests: Vec::new(),
        exports: Exports::Known(vec!["default".to_owned()]),
        stars: Vec::new(),
        inputs: Vec::new(),
    }
}

/// A style sheet's text as the page gets it, with what it took in.
pub struct Sheet {
    /// Ready to be shown: imports inlined, addresses absolute.
    pub text: String,
    /// `@import`s of packages, which become modules before this one.
    pub bare: Vec<css::CssImport>,
    /// Paths of the files that were inlined.
    pub inputs: Vec<String>,
}

/// Reads a style sheet with everything it imports by relative path.
pub fn sheet(files: &Files, path: &str, assets: Assets) -> Result<Sheet, Vec<Diagnostic>> {
    let mut sheet = Sheet { text: String::new(), bare: Vec::new(), inputs: Vec::new() };
    sheet.text = sheet_text(files, path, assets, &mut sheet, &mut vec![path.to_owned()])?;
    Ok(sheet)
}

fn sheet_text(
    files: &Files,
    path: &str,
    assets: Assets,
    out: &mut Sheet,
    open: &mut Vec<String>,
) -> Result<String, Vec<Diagnostic>> {
    let bytes = files.get(path).ok_or_else(|| vec![Diagnostic::error(path, format!("{path} doesn't exist."), "")])?;
    let source = text(path, bytes)?;
    let scan = css::scan(source);
    let mut before = String::new();
    for import in &scan.imports {
        if is_external(&import.specifier) {
            before.push_str(&source[import.start as usize..import.end as usize]);
            before.push('\n');
            continue;
        }
        let Some(target) = style_target(files, path, &import.specifier) else {
            if import.specifier.starts_with(['.', '/']) {
                let message = format!("{path} imports {:?}, which doesn't exist.", import.specifier);
                let remedy = "Correct the path of the @import, or create the file.";
                return Err(vec![Diagnostic::error(path, message, remedy).at(source, import.start, import.end)]);
            }
            out.bare.push(import.clone());
            continue;
        };
        // A sheet that imports itself through others adds nothing the second time.
        if open.contains(&target) {
            continue;
        }
        out.inputs.push(target.clone());
        open.push(target.clone());
        let inner = sheet_text(files, &target, assets, out, open)?;
        open.pop();
        before.push_str(&wrapped(&inner, &import.conditions));
    }
    let body = css::rewrite(source, &scan, |target| url_target(files, path, target, assets));
    Ok(before + &body)
}

fn is_external(specifier: &str) -> bool {
    specifier.starts_with("http:") || specifier.starts_with("https:") || specifier.starts_with("//")
}

fn style_target(files: &Files, from: &str, specifier: &str) -> Option<String> {
    let direct = join(from, specifier)?;
    // `@import "theme.css"` is relative in CSS, a package in bundlers: the file wins.
    files.get(&direct).is_some().then_some(direct)
}

/// `@import … layer(a) supports(b) print` → the text in the blocks that mean the same.
fn wrapped(text: &str, conditions: &str) -> String {
    let mut rest = conditions.trim();
    if rest.is_empty() {
        return format!("{text}\n");
    }
    let mut open = String::new();
    let mut depth = 0;
    if let Some(after) = rest.strip_prefix("layer(") {
        let (name, tail) = after.split_once(')').unwrap_or((after, ""));
        open.push_str(&format!("@layer {name} {{"));
        depth += 1;
        rest = tail.trim();
    } else if rest == "layer" || rest.starts_with("layer ") {
        open.push_str("@layer {");
        depth += 1;
        rest = rest[5..].trim();
    }
    if let Some(after) = rest.strip_prefix("supports(") {
        let (test, tail) = after.split_once(')').unwrap_or((after, ""));
        open.push_str(&format!("@supports ({test}) {{"));
        depth += 1;
        rest = tail.trim();
    }
    if !rest.is_empty() {
        open.push_str(&format!("@media {rest} {{"));
        depth += 1;
    }
    format!("{open}{text}{}\n", "}".repeat(depth))
}

fn url_target(files: &Files, from: &str, target: &str, assets: Assets) -> Option<String> {
    if target.is_empty() || target.starts_with(['#', '/']) || target.contains(':') {
        // An absolute path may be a file of `/public`, inlined where nobody answers.
        let path = target.starts_with('/').then(|| public_path(files, target)).flatten()?;
        return (assets == Assets::Inline).then(|| data_url(&path, files.get(&path).map_or(&[][..], |b| b)));
    }
    let end = target.find(['?', '#']).unwrap_or(target.len());
    let path = public_path(files, &join(from, &target[..end])?)?;
    let bytes = files.get(&path)?;
    match assets {
        Assets::ByUrl => Some(format!("{}{}", public_address(&path), &target[end..])),
        Assets::Inline => Some(data_url(&path, bytes)),
    }
}

/// `/logo.svg` lies there or in `/public`.
pub fn public_path(files: &Files, path: &str) -> Option<String> {
    let path = &path[..path.find(['?', '#']).unwrap_or(path.len())];
    if files.get(path).is_some() {
        return Some(path.to_owned());
    }
    let public = format!("/public{path}");
    files.get(&public).is_some().then_some(public)
}

/// The other way round: `/public/logo.svg` has the address `/logo.svg`.
pub fn public_address(path: &str) -> &str {
    path.strip_prefix("/public").filter(|rest| rest.starts_with('/')).unwrap_or(path)
}

fn style(files: &Files, path: &str, settings: &Settings, inline: bool) -> Result<Loaded, Vec<Diagnostic>> {
    let assets = if path.starts_with("/node_modules/") { Assets::Inline } else { settings.assets };
    let mut sheet = sheet(files, path, assets)?;
    let imports: Vec<Import> = std::mem::take(&mut sheet.bare)
        .into_iter()
        .map(|import| Import { specifier: import.specifier, range: (import.start, import.end), names: Vec::new() })
        .collect();
    let params: String = (0..imports.len()).map(|index| format!(",${index}")).collect();
    let mut exports = vec!["default".to_owned()];
    let factory = if inline {
        format!(
            "function*($m{params}){{\"use strict\";$m.x({{default:()=>$d}});yield;const $d={};}}",
            quote(&sheet.text)
        )
    } else if path.ends_with(".module.css") {
        let (text, names) =
            css::scope_names(&sheet.text, &css::scan(&sheet.text), &crate::hash::short(path.as_bytes()));
        let object = serde_json::to_string(&names).unwrap_or_default();
        let mut getters = "default:()=>$d".to_owned();
        for name in names.keys().filter(|name| transform::is_identifier(name)) {
            getters.push_str(&format!(",{name}:()=>$d.{name}"));
            exports.push(name.clone());
        }
        format!(
            "function*($m{params}){{\"use strict\";$m.x({{{getters}}});yield;const $d={object};$m.css({});}}",
            quote(&text)
        )
    } else {
        format!(
            "function*($m{params}){{\"use strict\";$m.x({{default:()=>$d}});yield;const $d={};$m.css($d);$m.meta.hot.accept();}}",
            quote(&sheet.text)
        )
    };
    Ok(Loaded {
        kind: kind::ESM,
        factory,
        imports,
        requests: Vec::new(),
        exports: Exports::Known(exports),
        stars: Vec::new(),
        inputs: sheet.inputs,
    })
}

/// The address a page uses for an asset; its content is part of it, so that an edit shows.
fn asset_url(path: &str, bytes: &[u8], assets: Assets) -> String {
    if assets == Assets::Inline || path.starts_with("/node_modules/") {
        return data_url(path, bytes);
    }
    format!("{}?v={}", public_address(path), crate::hash::short(bytes))
}

/// The file as a `data:` URL.
pub fn data_url(path: &str, bytes: &[u8]) -> String {
    let mut out = format!("data:{};base64,", media::content_type(path).replace("; charset=utf-8", ""));
    base64::engine::general_purpose::STANDARD.encode_string(bytes, &mut out);
    out
}

/// A JavaScript string literal.
pub fn quote(text: &str) -> String {
    transform::quote(text)
}
