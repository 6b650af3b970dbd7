// Every message between a host page and a preview.
//
// Generated from `protocol/src/lib.rs`: change it there, then run
// `UPDATE=1 cargo test -p protocol`.

/** The version that every envelope names. */
export const VERSION = 1;

/**
 * A file's content: text, or bytes as `Uint8Array`.
 */
export type Content = string | Uint8Array;

/**
 * What starts a sandbox: a project as data.
 */
export type Project = { 
/**
 * Absolute path (`/src/App.tsx`) → content.
 */
files: { [key in string]: Content }, 
/**
 * The document or module to start with; `/index.html` unless given.
 */
entry: string | null, 
/**
 * An npm `package-lock.json` (version 3) text, kept beside the files.
 */
lock: string | null, };

/**
 * Host page → preview.
 */
export type ClientMessage = { "type": "mount", 
/**
 * The project.
 */
project: Project, } | { "type": "write", 
/**
 * Absolute path → content, or null.
 */
files: { [key in string]: Content | null }, } | { "type": "rename", 
/**
 * Old absolute path.
 */
from: string, 
/**
 * New absolute path.
 */
to: string, } | { "type": "readFile", 
/**
 * Absolute path.
 */
path: string, } | { "type": "list" } | { "type": "reload", 
/**
 * A path with query and hash, relative to the preview's root.
 */
path?: string | null, } | { "type": "stop" } | { "type": "evaluate", 
/**
 * JavaScript source.
 */
code: string, };

/**
 * Preview → host page.
 */
export type PreviewMessage = { "type": "reply", 
/**
 * What was asked for; null where there is nothing to say.
 */
value?: unknown, 
/**
 * Why it failed.
 */
error?: string | null, } | { "type": "mode", 
/**
 * The way.
 */
mode: Mode, 
/**
 * Why not by service worker, in words for a developer.
 */
reason?: string | null, } | { "type": "progress", 
/**
 * What is being done, e.g. `Installing react 19.2.0`.
 */
text: string, 
/**
 * Steps done.
 */
done: number, 
/**
 * Steps known.
 */
total: number, } | { "type": "ready", 
/**
 * The revision of the files it was built from.
 */
revision: number, } | { "type": "updated", 
/**
 * The revision of the files.
 */
revision: number, 
/**
 * How it got there.
 */
how: UpdateKind, 
/**
 * Paths that changed.
 */
paths: Array<string>, } | { "type": "diagnostics", 
/**
 * The revision of the files.
 */
revision: number, 
/**
 * Problems, errors first.
 */
diagnostics: Array<Diagnostic>, } | { "type": "console", 
/**
 * Which method was called.
 */
level: ConsoleLevel, 
/**
 * Its arguments.
 */
args: Array<ConsoleValue>, 
/**
 * Where it was called, source-mapped.
 */
at?: Frame | null, } | { "type": "error", 
/**
 * `TypeError: x is not a function`.
 */
message: string, 
/**
 * The stack, source-mapped, innermost first.
 */
frames: Array<Frame>, 
/**
 * The source around the first frame in the project.
 */
codeFrame?: string | null, } | { "type": "lock", 
/**
 * The text of a `package-lock.json`.
 */
lock: string, } | { "type": "location", 
/**
 * Path with query and hash.
 */
path: string, } | { "type": "alive" } | { "type": "lost" };

/**
 * How previews run.
 */
export type Mode = "worker" | "fallback";

/**
 * How a document got to a revision.
 */
export type UpdateKind = "hot" | "style" | "reload";

/**
 * How bad a diagnostic is.
 */
export type Severity = "error" | "warning";

/**
 * A problem in the project, as a developer wants to read it.
 */
export type Diagnostic = { 
/**
 * Error or warning.
 */
severity: Severity, 
/**
 * One sentence saying what is wrong.
 */
message: string, 
/**
 * Absolute path, or empty where no file is to blame.
 */
file: string, 
/**
 * From 1; 0 where unknown.
 */
line: number, 
/**
 * In UTF-16 units, from 1; 0 where unknown.
 */
column: number, 
/**
 * The lines around, with line numbers and a caret.
 */
codeFrame: string, 
/**
 * What to do about it; may be empty.
 */
remedy: string, };

/**
 * A call in a stack.
 */
export type Frame = { 
/**
 * The function's name; may be empty.
 */
function: string, 
/**
 * A path of the project, or a URL.
 */
file: string, 
/**
 * From 1.
 */
line: number, 
/**
 * From 1.
 */
column: number, };

/**
 * Console methods that are forwarded.
 */
export type ConsoleLevel = "debug" | "log" | "info" | "warn" | "error" | "clear";

/**
 * A JavaScript value, cut to a bounded depth and width.
 */
export type ConsoleValue = { "kind": "string", 
/**
 * The text, cut at a limit.
 */
text: string, } | { "kind": "atom", 
/**
 * Its `typeof`, or `null`, `date`, `regexp`, `element`.
 */
typeName: string, 
/**
 * How it reads.
 */
text: string, } | { "kind": "list", 
/**
 * Constructor name, with size: `Array(3)`.
 */
name: string, 
/**
 * The first items.
 */
items: Array<ConsoleValue>, 
/**
 * How many were left out.
 */
more: number, } | { "kind": "object", 
/**
 * Constructor name; `Object` for plain ones.
 */
name: string, 
/**
 * The first entries in order.
 */
entries: Array<[string, ConsoleValue]>, 
/**
 * How many were left out.
 */
more: number, } | { "kind": "error", 
/**
 * Stack or message.
 */
text: string, } | { "kind": "cut", 
/**
 * `[Circular]`, `{…}`.
 */
text: string, };

/**
 * What carries a message over a `MessagePort` or `postMessage`.
 */
export type Envelope<T> = { 
/**
 * Always [`VERSION`]; anything else is not for us.
 */
sandglass: number, 
/**
 * Set on a request; its [`PreviewMessage::Reply`] repeats it.
 */
id?: number | null, } & T;
