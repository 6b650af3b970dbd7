//! Resolution over small trees of files.
//!
//! A fixture is text: `# /path` starts a file, `# /node_modules/x pending` a
//! package that is locked but not unpacked.

#![allow(clippy::needless_pass_by_value, reason = "an expectation is written where it is checked, and is used once")]

mod browser;
mod builtins;
mod errors;
mod exports;
mod fixture;
mod imports;
mod legacy;
mod odd;
mod paths;
mod state;
mod tsconfig;

use bundler_resolve::{Mode, Options, Resolution, ResolveError, Resolver};
use expect_test::Expect;
use fixture::Fixture;

/// Resolves one specifier in a fixture.
fn check(fixture: &str, importer: &str, specifier: &str, mode: Mode, expect: Expect) {
    let files = Fixture::parse(fixture);
    let found = Resolver::new(Options::default()).resolve(&files, importer, specifier, mode);
    expect.assert_eq(&shown(&found));
}

/// `import` from `/src/main.ts`, which most tests want.
fn check_import(fixture: &str, specifier: &str, expect: Expect) {
    let fixture = format!("{fixture}\n# /src/main.ts\n");
    check(&fixture, "/src/main.ts", specifier, Mode::Import, expect);
}

/// An error is its message and, on a line of its own, its remedy.
fn shown(found: &Result<Resolution, ResolveError>) -> String {
    match found {
        Ok(Resolution::File { path, query }) => format!("{path}{query}"),
        Ok(Resolution::Empty) => "empty".to_owned(),
        Ok(Resolution::Url(url)) => format!("url {url}"),
        Ok(Resolution::Pending { folder, request }) => format!("pending {folder} by {request}"),
        Err(error) => format!("{}\n{}", error.message(), error.remedy()),
    }
}
