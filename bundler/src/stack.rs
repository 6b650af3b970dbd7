//! Places in what we generated → places in the project's files.

use crate::build::Chunk;
use crate::document::shown_path;
use crate::load::{self, kind, split_id};
use crate::project::Project;
use crate::sourcemap;
use crate::walk::module_type;

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// Absolute path.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// From 1.
    pub column: u32,
}

impl Project {
    /// Maps a place of a stack (`url` as the stack has it, `line` and `column` from 1).
    /// `None`: the place isn't in the project's own files.
    pub fn locate(&self, url: &str, line: u32, column: u32) -> Option<Location> {
        let path = path_of(url);
        let (id, line, column) = match path.strip_prefix("/__sandglass/chunk/") {
            Some(name) => self.in_chunk(name.split('.').next()?, line, column)?,
            None => {
                let build = self.good.as_ref()?;
                let path = path.split(['?', '#']).next()?;
                let head = build.module(path)?.head.encode_utf16().count() as u32;
                (path.to_owned(), line, if line == 1 { column.saturating_sub(head) } else { column })
            }
        };
        let (line, column) = self.original(&id, line, column).unwrap_or((line, column.max(1)));
        Some(Location { file: shown_path(split_id(&id).0).to_owned(), line, column })
    }

    /// The code around a place, as in a diagnostic.
    pub fn code_frame(&self, location: &Location) -> Option<String> {
        let source = std::str::from_utf8(self.files.get(&location.file)?).ok()?;
        let before: usize = source.split_inclusive('\n').take(location.line as usize - 1).map(str::len).sum();
        let line = source.get(before..)?;
        let offset: usize = line
            .char_indices()
            .scan(0u32, |units, (at, c)| {
                *units += c.len_utf16() as u32;
                Some((at, *units))
            })
            .find(|(_, units)| *units >= location.column)
            .map_or(0, |(at, _)| at);
        let at = (before + offset) as u32;
        let found = crate::diagnostic::Diagnostic::error("", "", "").at(source, at, at + 1);
        Some(found.code_frame)
    }

    fn in_chunk(&self, key: &str, line: u32, column: u32) -> Option<(String, u32, u32)> {
        let build = self.good.as_ref()?;
        let chunk = std::iter::once(&build.chunk).chain(&build.older).find(|chunk| chunk.key == key)?;
        let index = chunk.layout.partition_point(|(first, ..)| *first <= line).checked_sub(1)?;
        let (first, head, id) = &chunk.layout[index];
        let line = line - first + 1;
        Some((id.clone(), line, if line == 1 { column.saturating_sub(*head) } else { column }))
    }

    /// Through the module's own map, made now: a stack is rare, a map with every build isn't.
    fn original(&self, id: &str, line: u32, column: u32) -> Option<(u32, u32)> {
        let lines = sourcemap::decode(&self.map_of(id)?);
        let segments = lines.get(line as usize - 1)?;
        let index = segments.partition_point(|segment| segment.column < column).checked_sub(1)?;
        let segment = segments.get(index)?;
        let (source_line, source_column) = segment.source?;
        let offset = column - 1 - segment.column;
        Some((source_line + 1, source_column + offset + 1))
    }

    fn map_of(&self, id: &str) -> Option<String> {
        let path = split_id(id).0;
        let source = std::str::from_utf8(self.files.get(path)?).ok()?;
        let mut resolver = bundler_resolve::Resolver::new(bundler_resolve::Options::default());
        let module_type = module_type(&mut resolver, &self.files, path);
        let options = load::transform_options(path, &self.settings, module_type, true);
        bundler_transform::transform(source, &options).ok()?.map
    }
}

/// `http://x.localhost:1/src/a.ts?t=1` → `/src/a.ts?t=1`.
fn path_of(url: &str) -> &str {
    match url.find("://") {
        Some(at) => url[at + 3..].find('/').map_or("/", |slash| &url[at + 3 + slash..]),
        None => url,
    }
}

/// The source map of a chunk, for developer tools.
pub(crate) fn chunk_map(project: &Project, chunk: &Chunk) -> String {
    let mut sections = Vec::new();
    for (line, head, id) in &chunk.layout {
        let path = split_id(id).0;
        let Some(source) = project.files.get(path) else { continue };
        let common = project
            .good
            .as_ref()
            .and_then(|build| build.module(id))
            .is_none_or(|m| m.head.contains(&format!(",{},", kind::COMMON_JS)));
        let mappings = project.map_of(id).filter(|_| !common || source.len() < 1024 * 1024);
        let Some(mappings) = mappings else { continue };
        sections.push(serde_json::json!({
            "offset": {"line": line - 1, "column": head},
            "map": {
                "version": 3,
                "sources": [shown_path(path)],
                "sourcesContent": [String::from_utf8_lossy(source)],
                "names": [],
                "mappings": mappings,
            },
        }));
    }
    serde_json::json!({"version": 3, "sections": sections}).to_string()
}
