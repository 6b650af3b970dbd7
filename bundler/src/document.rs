//! The document: what it starts, and how it reads with our scripts in it.
//!
//! In:  `<script type="module" src="/src/main.tsx"></script>`
//! Out: the runtime first in the head, linked chunks where the module stood.

use crate::build::Build;
use crate::diagnostic::Diagnostic;
use crate::files::{Bytes, Files, join};
use crate::hash;
use crate::html::{self, Tag, attribute_value, inline_script};
use crate::load::{self, Assets, data_url, extension, public_path};
use crate::project::{RuntimeScripts, Script};

/// Where a project starts if it doesn't say.
const DOCUMENT: &str = "/index.html";
/// Modules that a project without a document may start with.
const MODULES: [&str; 12] = [
    "/src/main.tsx",
    "/src/main.ts",
    "/src/main.jsx",
    "/src/main.js",
    "/src/index.tsx",
    "/src/index.ts",
    "/src/index.jsx",
    "/src/index.js",
    "/index.tsx",
    "/index.ts",
    "/index.jsx",
    "/index.js",
];

/// The document as the project has it, with what it loads.
pub(crate) struct Page {
    /// Its path.
    path: String,
    source: String,
    /// Module ids that it runs, in order.
    pub(crate) modules: Vec<String>,
    /// Paths of style sheets that it links.
    pub(crate) styles: Vec<String>,
    /// Byte ranges with their replacements, in order; those of links are left to `write`.
    removed: Vec<(usize, usize)>,
    tags: Vec<Tag>,
}

impl Page {
    /// Changes when the document has to be loaded again.
    pub(crate) fn hash(&self) -> String {
        hash::hex(self.source.as_bytes())
    }
}

/// Reads the document, or makes one for a project that has none.
pub(crate) fn page(files: &mut Files, entry: Option<&str>) -> Result<Page, Diagnostic> {
    let path = match entry {
        Some(entry) => entry.to_owned(),
        None => start(files).ok_or_else(nothing_to_start)?,
    };
    let Some(bytes) = files.get(&path).cloned() else {
        let remedy = "Name a file of the project as its entry.";
        return Err(Diagnostic::error(&path, format!("The entry {path} doesn't exist."), remedy));
    };
    if extension(&path) != "html" {
        return Ok(made_for(path));
    }
    let source = String::from_utf8_lossy(&bytes).into_owned();
    read(files, path, source)
}

fn start(files: &Files) -> Option<String> {
    std::iter::once(DOCUMENT).chain(MODULES).find(|path| files.get(path).is_some()).map(str::to_owned)
}

fn nothing_to_start() -> Diagnostic {
    Diagnostic::error(
        "",
        "The project has no /index.html and no module to start with.",
        "Add /index.html or /src/main.tsx.",
    )
}

fn made_for(module: String) -> Page {
    let source = "<!doctype html>\n<html><head><meta charset=\"utf-8\"></head><body><div id=\"root\"></div><div id=\"app\"></div></body></html>\n";
    Page {
        path: DOCUMENT.to_owned(),
        source: source.to_owned(),
        modules: vec![module],
        styles: Vec::new(),
        removed: Vec::new(),
        tags: html::tags(source),
    }
}

fn read(files: &mut Files, path: String, source: String) -> Result<Page, Diagnostic> {
    let tags = html::tags(&source);
    let mut page =
        Page { path, source, modules: Vec::new(), styles: Vec::new(), removed: Vec::new(), tags: Vec::new() };
    for tag in &tags {
        match tag.name.as_str() {
            "script" if tag.get("type").is_some_and(|kind| kind.eq_ignore_ascii_case("module")) => {
                module_script(files, &mut page, tag)?;
            }
            "link" if is_stylesheet(tag) => {
                if let Some(path) = local(&page.path, tag.get("href")).and_then(|path| public_path(files, &path)) {
                    page.styles.push(path);
                }
            }
            _ => {}
        }
    }
    page.tags = tags;
    Ok(page)
}

fn is_stylesheet(tag: &Tag) -> bool {
    tag.get("rel").is_some_and(|rel| rel.split_ascii_whitespace().any(|word| word.eq_ignore_ascii_case("stylesheet")))
}

fn module_script(files: &mut Files, page: &mut Page, tag: &Tag) -> Result<(), Diagnostic> {
    let Some((text_end, end)) = tag.raw else { return Ok(()) };
    if let Some(src) = tag.get("src") {
        let Some(path) = local(&page.path, Some(src)) else { return Ok(()) };
        let id = path.split(['?', '#']).next().unwrap_or("").to_owned();
        if files.get(&id).is_none() {
            let message = format!("{} loads {src}, which doesn't exist.", page.path);
            let found =
                Diagnostic::error(&page.path, message, "Correct the address of the script, or create the file.");
            return Err(found.at(&page.source, tag.start as u32, tag.end as u32));
        }
        page.modules.push(id);
    } else {
        let id = inline_path(&page.path, page.modules.len());
        // The script's own lines stay where they are in the document.
        let above = page.source[..tag.end].matches('\n').count();
        let text = "\n".repeat(above) + &page.source[tag.end..text_end];
        if files.get(&id).is_none_or(|old| **old != *text.as_bytes()) {
            files.insert(&id, Bytes::from(text.into_bytes()));
        }
        page.modules.push(id);
    }
    page.removed.push((tag.start, end));
    Ok(())
}

const INLINE: &str = ".script-";

/// The module that an inline script becomes; beside its document, so that its imports are relative to it.
fn inline_path(document: &str, index: usize) -> String {
    format!("{document}{INLINE}{index}.js")
}

/// `/index.html.script-0.js` → `/index.html`; other paths stay.
pub(crate) fn shown_path(path: &str) -> &str {
    match path.find(INLINE) {
        Some(at) if path[..at].ends_with(".html") => &path[..at],
        _ => path,
    }
}

/// The path an address of the document leads to, if it is one of the project.
fn local(document: &str, address: Option<&str>) -> Option<String> {
    let address = address?.trim();
    if address.is_empty() || address.starts_with(['#', '?']) || address.starts_with("//") || address.contains(':') {
        return None;
    }
    join(document, address)
}

/// Writes the document of a build.
pub(crate) fn write(page: &Page, build: &Build, scripts: &RuntimeScripts, files: &Files, assets: Assets) -> String {
    let mut edits: Vec<(usize, usize, String)> = Vec::new();
    let head = html::head_start(&page.source, &page.tags);
    edits.push((head, head, ours(build, scripts)));
    let chunks = chunk_scripts(build, assets);
    for (start, end) in &page.removed {
        edits.push((*start, *end, String::new()));
    }
    match assets {
        // Deferred scripts run after parsing, like the modules they stand for.
        Assets::ByUrl => edits.push((head, head, chunks)),
        Assets::Inline => {
            inline_assets(page, files, build, &mut edits);
            edits.push((page.source.len(), page.source.len(), chunks));
        }
    }
    edits.sort_by_key(|(start, ..)| *start);
    let mut out = String::with_capacity(page.source.len() + 1024);
    let mut at = 0;
    for (start, end, text) in edits {
        if start >= at {
            out.push_str(&page.source[at..start]);
            out.push_str(&text);
            at = end;
        }
    }
    out.push_str(&page.source[at..]);
    out
}

fn ours(build: &Build, scripts: &RuntimeScripts) -> String {
    let mut out = script(&scripts.runtime, "");
    out.push_str(&format!("<script>__sg.revision={}</script>", build.revision));
    if build.refresh {
        out.push_str(&script(&scripts.refresh, ""));
    }
    out
}

fn script(script: &Script, attributes: &str) -> String {
    match script {
        Script::Src(src) => format!("<script{attributes} src={}></script>", attribute_value(src)),
        Script::Text(text) => format!("<script>{}</script>", inline_script(text)),
    }
}

fn chunk_scripts(build: &Build, assets: Assets) -> String {
    let mut out = String::new();
    let chunks = build.prebuilt.iter().map(|chunk| (prebuilt_url(&chunk.key), &*chunk.text));
    for (url, text) in chunks.chain(std::iter::once((chunk_url(&build.chunk.key), build.chunk.text.as_str()))) {
        match assets {
            Assets::ByUrl => out.push_str(&script(&Script::Src(url), " defer")),
            Assets::Inline => out.push_str(&format!("<script>{}\n//# sourceURL={url}\n</script>", inline_script(text))),
        }
    }
    out
}

/// Where a chunk of the project's own modules is served.
pub(crate) fn chunk_url(key: &str) -> String {
    format!("/__sandglass/chunk/{key}.js")
}

/// Where a chunk of packages is served.
pub(crate) fn prebuilt_url(key: &str) -> String {
    format!("/__sandglass/npm/prebuilt/{key}.js")
}

/// Where nobody answers requests, everything local is written in.
fn inline_assets(page: &Page, files: &Files, build: &Build, edits: &mut Vec<(usize, usize, String)>) {
    for tag in &page.tags {
        if tag.name == "link" && is_stylesheet(tag) {
            let path = local(&page.path, tag.get("href")).and_then(|path| public_path(files, &path));
            if let Some((path, text)) = path.and_then(|path| build.styles.get(&path).map(|text| (path, text))) {
                let text = text.replace("</", "<\\/");
                let style = format!("<style data-sandglass-href={}>{text}</style>", attribute_value(&path));
                edits.push((tag.start, tag.end, style));
            }
            continue;
        }
        if tag.name == "script" && tag.get("type").is_none_or(|kind| kind.contains("javascript")) {
            classic_script(page, files, tag, edits);
            continue;
        }
        if !matches!(tag.name.as_str(), "a" | "script" | "base" | "form" | "iframe") {
            local_attributes(page, files, tag, edits);
        }
    }
}

fn classic_script(page: &Page, files: &Files, tag: &Tag, edits: &mut Vec<(usize, usize, String)>) {
    let path = local(&page.path, tag.get("src")).and_then(|path| public_path(files, &path));
    if let (Some((_, end)), Some(bytes)) = (tag.raw, path.and_then(|path| files.get(&path))) {
        let text = inline_script(&String::from_utf8_lossy(bytes));
        edits.push((tag.start, end, format!("<script>{text}</script>")));
    }
}

fn local_attributes(page: &Page, files: &Files, tag: &Tag, edits: &mut Vec<(usize, usize, String)>) {
    let mut changed = false;
    let attributes: Vec<String> = tag
        .attributes
        .iter()
        .map(|(name, value)| {
            let asset = matches!(name.as_str(), "src" | "href" | "poster" | "data")
                .then(|| local(&page.path, Some(value)))
                .flatten()
                .and_then(|path| public_path(files, &path));
            let value = match asset.and_then(|path| files.get(&path).map(|bytes| data_url(&path, bytes))) {
                Some(url) => {
                    changed = true;
                    url
                }
                None => value.clone(),
            };
            format!(" {name}={}", attribute_value(&value))
        })
        .collect();
    if changed {
        edits.push((tag.start, tag.end, format!("<{}{}>", tag.name, attributes.concat())));
    }
}

/// The text of each style sheet that the document links.
pub(crate) fn linked_styles(
    page: &Page,
    files: &Files,
    assets: Assets,
) -> Result<std::collections::BTreeMap<String, String>, Vec<Diagnostic>> {
    let sheets = page.styles.iter().filter(|path| extension(path) == "css");
    sheets.map(|path| Ok((path.clone(), load::sheet(files, path, assets)?.text))).collect()
}
