//! Every message that crosses a boundary: host page ⇄ preview, preview ⇄ worker.
//!
//! Types only, no logic. The TypeScript twin in `static/client/protocol.ts` is
//! generated from here by a test, which fails when the two drift apart.
//!
//! Every message travels inside an [`Envelope`]. A receiver drops what it can't
//! parse and counts it; a field it doesn't know it ignores, so that an older
//! page can talk to a newer preview of the same [`VERSION`].

#[cfg(test)]
mod typescript;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The version of this protocol. It changes when an old reader would misread a new message.
pub const VERSION: u32 = 1;

/// What carries a message over a `MessagePort` or `postMessage`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Envelope<T> {
    /// Always [`VERSION`]; anything else is not for us.
    pub sandglass: u32,
    /// Set on a request; its [`PreviewMessage::Reply`] repeats it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u32>,
    /// The message itself, its fields beside the envelope's.
    #[serde(flatten)]
    pub message: T,
}

/// A file's content: text, or bytes as `Uint8Array`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(untagged)]
pub enum Content {
    /// UTF-8 text.
    Text(String),
    /// Raw bytes.
    Bytes(#[cfg_attr(test, ts(type = "Uint8Array"))] ByteBuf),
}

/// Bytes that cross `postMessage` as a `Uint8Array`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByteBuf(pub Vec<u8>);

impl Serialize for ByteBuf {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for ByteBuf {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = ByteBuf;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<ByteBuf, E> {
                Ok(ByteBuf(bytes.to_vec()))
            }
            fn visit_byte_buf<E: serde::de::Error>(self, bytes: Vec<u8>) -> Result<ByteBuf, E> {
                Ok(ByteBuf(bytes))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<ByteBuf, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = seq.next_element()? {
                    bytes.push(byte);
                }
                Ok(ByteBuf(bytes))
            }
        }
        deserializer.deserialize_byte_buf(Visitor)
    }
}

/// What starts a sandbox: a project as data.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", default)]
pub struct Project {
    /// Absolute path (`/src/App.tsx`) → content.
    pub files: BTreeMap<String, Content>,
    /// The document or module to start with; `/index.html` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
    /// An npm `package-lock.json` (version 3) text, kept beside the files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock: Option<String>,
}

/// Host page → preview.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ClientMessage {
    /// Replaces the whole project and loads its document. Replies when the document is built.
    Mount {
        /// The project.
        project: Project,
    },
    /// Writes files; `null` removes one. Replies with the new revision.
    Write {
        /// Absolute path → content, or null.
        files: BTreeMap<String, Option<Content>>,
    },
    /// Moves a file or folder. Replies with the new revision.
    Rename {
        /// Old absolute path.
        from: String,
        /// New absolute path.
        to: String,
    },
    /// Replies with the file's [`Content`].
    ReadFile {
        /// Absolute path.
        path: String,
    },
    /// Replies with a sorted list of paths.
    List,
    /// Loads the document again, or another path of the project.
    Reload {
        /// A path with query and hash, relative to the preview's root.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path: Option<String>,
    },
    /// Unloads the document and ends its scripts; files stay.
    Stop,
    /// Evaluates an expression in the preview document. Replies with a [`ConsoleValue`].
    Evaluate {
        /// JavaScript source.
        code: String,
    },
}

/// Preview → host page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum PreviewMessage {
    /// The answer to a request with an id.
    Reply {
        /// What was asked for; null where there is nothing to say.
        #[cfg_attr(test, ts(type = "unknown"))]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<Json>,
        /// Why it failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// Which way previews run here; sent once, before anything else.
    Mode {
        /// The way.
        mode: Mode,
        /// Why not by service worker, in words for a developer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A long step goes on.
    Progress {
        /// What is being done, e.g. `Installing react 19.2.0`.
        text: String,
        /// Steps done.
        done: u32,
        /// Steps known.
        total: u32,
    },
    /// The document of this revision has run its entry module.
    Ready {
        /// The revision of the files it was built from.
        revision: u32,
    },
    /// The document shows this revision now.
    Updated {
        /// The revision of the files.
        revision: u32,
        /// How it got there.
        how: UpdateKind,
        /// Paths that changed.
        paths: Vec<String>,
    },
    /// All build problems of a revision; an empty list says they are repaired.
    Diagnostics {
        /// The revision of the files.
        revision: u32,
        /// Problems, errors first.
        diagnostics: Vec<Diagnostic>,
    },
    /// A console call of the document.
    Console {
        /// Which method was called.
        level: ConsoleLevel,
        /// Its arguments.
        args: Vec<ConsoleValue>,
        /// Where it was called, source-mapped.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Frame>,
    },
    /// An uncaught error or rejection of the document.
    Error {
        /// `TypeError: x is not a function`.
        message: String,
        /// The stack, source-mapped, innermost first.
        frames: Vec<Frame>,
        /// The source around the first frame in the project.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code_frame: Option<String>,
    },
    /// Dependencies were solved: the lockfile to keep with the project.
    Lock {
        /// The text of a `package-lock.json`.
        lock: String,
    },
    /// The document is at this path now.
    Location {
        /// Path with query and hash.
        path: String,
    },
    /// The document's event loop turns; sent about every second while visible.
    Alive,
    /// The worker lost the project, mount it again.
    Lost,
}

/// Any JSON-like value of a reply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Json {
    /// A number.
    Number(f64),
    /// Text, or a file's content.
    Content(Content),
    /// A list of paths.
    Paths(Vec<String>),
    /// A console value.
    Value(ConsoleValue),
}

/// How previews run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// A service worker answers every request of the document.
    Worker,
    /// A dedicated worker builds one generated document.
    Fallback,
}

/// How a document got to a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum UpdateKind {
    /// Modules were replaced in place.
    Hot,
    /// Only styles were swapped.
    Style,
    /// The document was loaded again.
    Reload,
}

/// How bad a diagnostic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// The last good page stays.
    Error,
    /// The build goes on.
    Warning,
}

/// A problem in the project, as a developer wants to read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// One sentence saying what is wrong.
    pub message: String,
    /// Absolute path, or empty where no file is to blame.
    #[serde(default)]
    pub file: String,
    /// From 1; 0 where unknown.
    #[serde(default)]
    pub line: u32,
    /// In UTF-16 units, from 1; 0 where unknown.
    #[serde(default)]
    pub column: u32,
    /// The lines around, with line numbers and a caret.
    #[serde(default)]
    pub code_frame: String,
    /// What to do about it; may be empty.
    #[serde(default)]
    pub remedy: String,
}

/// A call in a stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Frame {
    /// The function's name; may be empty.
    #[serde(default)]
    pub function: String,
    /// A path of the project, or a URL.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// From 1.
    pub column: u32,
}

/// Console methods that are forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum ConsoleLevel {
    /// `console.debug`.
    Debug,
    /// `console.log`, `dir`, `table`, `count`, `timeEnd`, `group`.
    Log,
    /// `console.info`.
    Info,
    /// `console.warn`.
    Warn,
    /// `console.error`, `assert`, `trace`.
    Error,
    /// `console.clear`; no arguments.
    Clear,
}

/// A JavaScript value, cut to a bounded depth and width.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ConsoleValue {
    /// Text as it is.
    String {
        /// The text, cut at a limit.
        text: String,
    },
    /// number, bigint, boolean, null, undefined, symbol, function, Date, RegExp, …, as a console prints it.
    Atom {
        /// Its `typeof`, or `null`, `date`, `regexp`, `element`.
        type_name: String,
        /// How it reads.
        text: String,
    },
    /// Array, Set, typed array.
    List {
        /// Constructor name, with size: `Array(3)`.
        name: String,
        /// The first items.
        items: Vec<ConsoleValue>,
        /// How many were left out.
        more: u32,
    },
    /// Object, Map, class instance.
    Object {
        /// Constructor name; `Object` for plain ones.
        name: String,
        /// The first entries in order.
        entries: Vec<(String, ConsoleValue)>,
        /// How many were left out.
        more: u32,
    },
    /// An `Error` with its stack as text.
    Error {
        /// Stack or message.
        text: String,
    },
    /// Cut: a cycle or too deep.
    Cut {
        /// `[Circular]`, `{…}`.
        text: String,
    },
}
