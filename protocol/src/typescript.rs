//! Keeps `static/client/protocol.ts` equal to the types of this crate.
//!
//! In: every type that derives `TS`. Out: one TypeScript module. The test
//! fails when the file differs; `UPDATE=1 cargo test -p protocol` rewrites it.

use std::path::Path;

use ts_rs::{Config, TS};

use crate::{
    ClientMessage, ConsoleLevel, ConsoleValue, Content, Diagnostic, Envelope, Frame, Mode, PreviewMessage, Project,
    Severity, UpdateKind, VERSION,
};

const HEADER: &str = "\
// Every message between a host page and a preview.
//
// Generated from `protocol/src/lib.rs`: change it there, then run
// `UPDATE=1 cargo test -p protocol`.
";

/// The text that `static/client/protocol.ts` must have.
fn module() -> String {
    let config = Config::default();
    let declarations = [
        declaration::<Content>(&config),
        declaration::<Project>(&config),
        declaration::<ClientMessage>(&config),
        declaration::<PreviewMessage>(&config),
        declaration::<Mode>(&config),
        declaration::<UpdateKind>(&config),
        declaration::<Severity>(&config),
        declaration::<Diagnostic>(&config),
        declaration::<Frame>(&config),
        declaration::<ConsoleLevel>(&config),
        declaration::<ConsoleValue>(&config),
        declaration::<Envelope<PreviewMessage>>(&config),
    ];
    format!(
        "{HEADER}\n/** The version that every envelope names. */\nexport const VERSION = {VERSION};\n\n{}",
        declarations.join("\n")
    )
}

/// One exported type with its documentation.
fn declaration<T: TS>(config: &Config) -> String {
    let docs = T::docs().unwrap_or_default();
    format!("{docs}export {}\n", T::decl(config))
}

#[test]
fn the_typescript_twin_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../static/client/protocol.ts");
    let wanted = module();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &wanted).expect("static/client is writable");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == wanted,
        "static/client/protocol.ts differs from protocol/src/lib.rs: run `UPDATE=1 cargo test -p protocol`"
    );
}
