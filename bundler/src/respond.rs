//! Requests of a preview's document, answered from the last good build.

use std::sync::Arc;

use crate::document::{chunk_url, prebuilt_url};
use crate::load::{self, extension, public_path, quote};
use crate::media;
use crate::project::Project;
use crate::stack;

/// An answer, in HTTP's terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// Whether the address says what the content is, so that it can be kept for ever.
    pub immutable: bool,
    /// The body.
    pub body: Body,
}

/// A response's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Text.
    Text(Arc<str>),
    /// Anything else.
    Bytes(Arc<[u8]>),
}

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

impl Response {
    fn text(status: u16, content_type: &'static str, text: impl Into<Arc<str>>) -> Self {
        Self { status, content_type, immutable: false, body: Body::Text(text.into()) }
    }

    fn kept(mut self) -> Self {
        self.immutable = true;
        self
    }
}

impl Project {
    /// The document of the last good build.
    pub fn document(&self) -> Option<&str> {
        self.good.as_ref().map(|build| build.document.as_str())
    }

    /// Answers a GET of `path` (decoded, without query).
    pub fn respond(&self, path: &str, query: &str) -> Response {
        self.generated(path).or_else(|| self.file(path, query)).unwrap_or_else(|| self.not_found(path))
    }

    /// What a worker that wakes without memory should be able to answer: addresses with their responses.
    pub fn pack(&self) -> Vec<(String, Response)> {
        let Some(build) = &self.good else { return Vec::new() };
        let mut paths = vec!["/".to_owned(), chunk_url(&build.chunk.key)];
        paths.extend(build.prebuilt.iter().map(|chunk| prebuilt_url(&chunk.key)));
        paths.extend(build.styles.keys().cloned());
        paths.into_iter().map(|path| (path.clone(), self.respond(&path, ""))).collect()
    }

    fn generated(&self, path: &str) -> Option<Response> {
        let build = self.good.as_ref()?;
        if path == "/" || path == "/index.html" {
            return Some(Response::text(200, HTML, build.document.as_str()));
        }
        if let Some(name) = path.strip_prefix("/__sandglass/chunk/") {
            let key = name.strip_suffix(".js").or_else(|| name.strip_suffix(".js.map"))?;
            let chunk = std::iter::once(&build.chunk).chain(&build.older).find(|chunk| chunk.key == key)?;
            if name.ends_with(".map") {
                return Some(Response::text(200, media::content_type("a.json"), stack::chunk_map(self, chunk)));
            }
            let text = format!("{}//# sourceMappingURL={}.map\n", chunk.text, chunk_url(key));
            return Some(Response::text(200, SCRIPT, text).kept());
        }
        let prebuilt = build.prebuilt.as_ref().filter(|chunk| prebuilt_url(&chunk.key) == path)?;
        Some(Response::text(200, SCRIPT, Arc::clone(&prebuilt.text)).kept())
    }

    fn file(&self, path: &str, query: &str) -> Option<Response> {
        let id = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
        if let Some(response) = self.facade(&id).or_else(|| self.facade(path)) {
            return Some(response);
        }
        let path = public_path(&self.files, path)?;
        if extension(&path) == "css" {
            let text = match self.good.as_ref().and_then(|build| build.styles.get(&path)) {
                Some(text) => text.clone(),
                None => load::sheet(&self.files, &path, self.settings.assets).ok()?.text,
            };
            return Some(Response::text(200, media::content_type(&path), text));
        }
        let bytes = Arc::clone(self.files.get(&path)?);
        Some(Response {
            status: 200,
            content_type: media::content_type(&path),
            immutable: false,
            body: Body::Bytes(bytes),
        })
    }

    /// A module by its own address: the instance that the page has, as an ES module.
    fn facade(&self, id: &str) -> Option<Response> {
        let build = self.good.as_ref()?;
        build.module(id)?;
        if !media::content_type(load::split_id(id).0).starts_with("text/javascript") {
            return None;
        }
        // A name that no export has.
        let mut text = format!("const $sg = await __sg.run({});\nexport default $sg.default;\n", quote(id));
        for name in build.exported(id) {
            if name != "default" && bundler_transform::is_identifier(&name) {
                text.push_str(&format!("export const {name} = $sg.{name};\n"));
            }
        }
        Some(Response::text(200, SCRIPT, text))
    }

    /// A page's route of its own gets the document; a file that isn't there, a plain answer.
    fn not_found(&self, path: &str) -> Response {
        let route = extension(path).is_empty() && !path.starts_with("/__sandglass/");
        match self.good.as_ref().filter(|_| route) {
            Some(build) => Response::text(200, HTML, build.document.as_str()),
            None => {
                Response::text(404, media::content_type("a.txt"), format!("{path} is not a file of this project.\n"))
            }
        }
    }
}
