//! Values on their way between JavaScript, `protocol` and `bundler`.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use bundler::{Body, Change, Diagnostic, Outcome, Response, Severity};
use protocol::{Content, PreviewMessage};
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;

/// Most bytes of all files in one message; a page that sends more is broken or hostile.
pub(crate) const MAX_MESSAGE_BYTES: usize = 512 * 1024 * 1024;

/// Rust → JavaScript: maps become objects, bytes `Uint8Array`, `None` is left out.
pub(crate) fn to_js<T: Serialize>(value: &T) -> JsValue {
    let serializer = serde_wasm_bindgen::Serializer::new().serialize_maps_as_objects(true);
    value.serialize(&serializer).unwrap_or(JsValue::UNDEFINED)
}

/// JavaScript → Rust, with an error that says which message was wrong.
pub(crate) fn from_js<T: for<'de> Deserialize<'de>>(value: JsValue) -> Result<T, JsError> {
    serde_wasm_bindgen::from_value(value).map_err(|error| JsError::new(&format!("The message can't be read: {error}")))
}

/// Requests of the boot page that a host page can't make.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum BootRequest {
    /// The document as text.
    Document,
    /// A stack's places in the project's files.
    MapFrames { frames: Vec<protocol::Frame> },
    /// A module that is loaded late, with what it needs, as script text.
    Chunk { entry: String },
    /// Makes the first edit quick.
    Warm,
}

/// What a `mapFrames` request is answered with.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MappedFrames {
    pub(crate) frames: Vec<protocol::Frame>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code_frame: Option<String>,
}

/// Tells the boot page what to do with a build.
#[derive(Serialize)]
#[serde(tag = "type", rename = "build", rename_all = "camelCase")]
pub(crate) struct BuildMessage {
    revision: u32,
    load: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<PatchMessage>,
}

#[derive(Serialize)]
struct PatchMessage {
    from: u32,
    to: u32,
    code: String,
    changed: Vec<String>,
    removed: Vec<String>,
    styles: Vec<StyleMessage>,
}

#[derive(Serialize)]
struct StyleMessage {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

/// The messages that an outcome becomes.
pub(crate) fn messages(outcome: Outcome) -> Vec<JsValue> {
    let mut out = Vec::new();
    if let Some(lock) = outcome.lock {
        out.push(to_js(&PreviewMessage::Lock { lock }));
    }
    let failed = outcome.diagnostics.iter().any(|found| found.severity == Severity::Error);
    let diagnostics = outcome.diagnostics.into_iter().map(diagnostic).collect();
    out.push(to_js(&PreviewMessage::Diagnostics { revision: outcome.revision, diagnostics }));
    match outcome.change {
        // The last good page stays, and with it its revision.
        Change::None if failed => {}
        // The page shows this revision as it is; the next patch starts from it.
        Change::None => out.push(to_js(&BuildMessage { revision: outcome.revision, load: false, patch: None })),
        Change::Load => out.push(to_js(&BuildMessage { revision: outcome.revision, load: true, patch: None })),
        Change::Patch(patch) => {
            let styles = patch.styles.into_iter().map(|(path, text)| StyleMessage { path, text }).collect();
            let patch = PatchMessage {
                from: patch.from,
                to: patch.to,
                code: patch.code,
                changed: patch.changed,
                removed: patch.removed,
                styles,
            };
            out.push(to_js(&BuildMessage { revision: outcome.revision, load: false, patch: Some(patch) }));
        }
    }
    out
}

fn diagnostic(found: Diagnostic) -> protocol::Diagnostic {
    protocol::Diagnostic {
        severity: match found.severity {
            Severity::Error => protocol::Severity::Error,
            Severity::Warning => protocol::Severity::Warning,
        },
        message: found.message,
        file: found.file,
        line: found.line,
        column: found.column,
        code_frame: found.code_frame,
        remedy: found.remedy,
    }
}

/// A file's content as the bundler holds it.
pub(crate) fn bytes(content: Content) -> Arc<[u8]> {
    match content {
        Content::Text(text) => text.into_bytes().into(),
        Content::Bytes(bytes) => bytes.0.into(),
    }
}

/// A file's content as a page wants it: text where it is text.
pub(crate) fn content(bytes: &[u8]) -> Content {
    match std::str::from_utf8(bytes) {
        Ok(text) => Content::Text(text.to_owned()),
        Err(_) => Content::Bytes(protocol::ByteBuf(bytes.to_vec())),
    }
}

#[derive(Serialize)]
struct ResponseParts<'a> {
    status: u16,
    headers: [(&'static str, &'static str); 3],
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
}

/// A response as the parts of a JavaScript `Response`.
pub(crate) fn response(response: &Response) -> JsValue {
    let cache = if response.immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
    let headers =
        [("content-type", response.content_type), ("cache-control", cache), ("x-content-type-options", "nosniff")];
    let (body, bytes) = match &response.body {
        Body::Text(text) => (Some(&**text), None),
        Body::Bytes(bytes) => (None, Some(js_sys::Uint8Array::from(&**bytes))),
    };
    let parts = to_js(&ResponseParts { status: response.status, headers, body });
    if let Some(bytes) = bytes {
        // Setting a property of a fresh plain object can't fail.
        let _ = js_sys::Reflect::set(&parts, &"body".into(), &bytes);
    }
    parts
}

/// A project as one record, for a worker that wakes without memory.
#[derive(Serialize, Deserialize)]
pub(crate) struct Record {
    entry: Option<String>,
    lock: Option<String>,
    /// Text files.
    text: BTreeMap<String, String>,
    /// Other files, base-64.
    binary: BTreeMap<String, String>,
}

impl Record {
    pub(crate) fn new(project: &bundler::Project, entry: Option<String>) -> Self {
        let mut record = Self { entry, lock: project.lock_text(), text: BTreeMap::new(), binary: BTreeMap::new() };
        for path in project.list() {
            let Some(bytes) = project.read(&path) else { continue };
            match content(bytes) {
                Content::Text(text) => record.text.insert(path, text),
                Content::Bytes(_) => {
                    record.binary.insert(path, base64::engine::general_purpose::STANDARD.encode(bytes))
                }
            };
        }
        record
    }

    pub(crate) fn into_project(self) -> protocol::Project {
        let text = self.text.into_iter().map(|(path, text)| (path, Content::Text(text)));
        let binary = self.binary.into_iter().filter_map(|(path, text)| {
            let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok()?;
            Some((path, Content::Bytes(protocol::ByteBuf(bytes))))
        });
        protocol::Project { files: text.chain(binary).collect(), entry: self.entry, lock: self.lock }
    }
}
