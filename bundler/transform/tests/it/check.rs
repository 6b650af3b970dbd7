//! `check(path and source, expected text)`: everything a linker gets, as text.

use bundler_transform::{Format, Jsx, Module, Options, Problem, transform};
use expect_test::Expect;

/// How a test wants its file to be read; the rest is as a playground has it.
pub struct Setup<'a> {
    pub path: &'a str,
    pub jsx: Jsx,
    pub refresh: bool,
    pub map: bool,
}

impl<'a> Setup<'a> {
    pub fn new(path: &'a str) -> Setup<'a> {
        Setup { path, jsx: Jsx::default(), refresh: false, map: false }
    }

    pub fn transform(&self, source: &str) -> Result<Module, Vec<Problem>> {
        let format = match self.path.rsplit('.').next() {
            Some("mjs" | "mts") => Format::Esm,
            Some("cjs" | "cts") => Format::CommonJs,
            _ => Format::Auto,
        };
        transform(
            source,
            &Options {
                path: self.path,
                format,
                jsx: &self.jsx,
                refresh: self.refresh,
                node_env: "development",
                map: self.map,
            },
        )
    }

    pub fn check(&self, source: &str, expect: &Expect) {
        let result = self.transform(source);
        if let Ok(module) = &result {
            assert_lines_stay(source, module);
        }
        expect.assert_eq(&shown(source, &result));
    }
}

/// Transforms a file with the usual options and compares all that comes of it.
pub fn check(path: &str, source: &str, expect: &Expect) {
    Setup::new(path).check(source, expect);
}

/// Line *n* of the source is line *n* of the factory, with one more for its end.
fn assert_lines_stay(source: &str, module: &Module) {
    let lines = |text: &str| text.matches('\n').count();
    assert_eq!(lines(source) + 1, lines(&module.factory), "lines moved:\n{}", module.factory);
}

fn shown(source: &str, result: &Result<Module, Vec<Problem>>) -> String {
    let module = match result {
        Ok(module) => module,
        Err(problems) => return problems.iter().map(|problem| shown_problem(source, problem)).collect(),
    };
    let mut out = format!("{:?}", module.kind);
    if module.refresh {
        out.push_str(" refresh");
    }
    for import in &module.imports {
        let names: Vec<&str> = import.names.iter().map(|name| name.name.as_str()).collect();
        out.push_str(&format!(" import {:?} {{{}}}", import.specifier, names.join(",")));
        if let Some(kind) = &import.attribute_type {
            out.push_str(&format!(" as {kind}"));
        }
    }
    for request in &module.requests {
        out.push_str(&format!(" {:?} {:?}", request.kind, request.specifier));
        let literal = &source[request.start as usize..request.end as usize];
        assert!(literal.contains(&request.specifier) || literal.contains('\\'), "{literal} is no {request:?}");
    }
    if !module.exports.is_empty() {
        out.push_str(&format!(" exports {}", module.exports.join(",")));
    }
    if !module.stars.is_empty() {
        out.push_str(&format!(" stars {:?}", module.stars));
    }
    if !module.reexports_cjs.is_empty() {
        out.push_str(&format!(" reexports {:?}", module.reexports_cjs));
    }
    // What went leaves spaces behind; at line ends nobody sees them.
    let factory: Vec<&str> = module.factory.split('\n').map(str::trim_end).collect();
    format!("{out}\n{}\n", factory.join("\n"))
}

fn shown_problem(source: &str, problem: &Problem) -> String {
    let at = source.get(problem.start as usize..problem.end as usize).expect("a problem lies in the source");
    let line = source[..problem.start as usize].matches('\n').count() + 1;
    let remedy = if problem.remedy.is_empty() { String::new() } else { format!(" {}", problem.remedy) };
    format!("{line}: {at:?}: {}{remedy}\n", problem.message)
}
