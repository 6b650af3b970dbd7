//! Style sheets: finds what one refers to and rewrites it.
//!
//! In:  `@import "./a.css" print; .b { background: url(c.png) }`
//! Out: the text with each `url()` replaced by what a callback says, imports
//! taken out and listed; for `*.module.css` class names made unique.
//!
//! A tokenizer, not a parser: it knows comments, strings, `url()` and blocks,
//! and passes everything else through as it is. Nesting, layers and new syntax
//! are the browser's business.

use std::collections::BTreeMap;

/// One `@import` rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CssImport {
    /// What is imported, unquoted.
    pub specifier: String,
    /// `layer(x) supports(…) print`, as written.
    pub conditions: String,
    /// Byte offsets of the whole rule.
    pub start: u32,
    /// The end of the rule, past its semicolon.
    pub end: u32,
}

/// What a style sheet refers to.
#[derive(Debug, Default)]
pub struct Scan {
    /// `@import` rules at the top level, in order.
    pub imports: Vec<CssImport>,
    /// `url()` targets: text and byte range of the whole `url(…)`.
    pub urls: Vec<(String, usize, usize)>,
    /// Class names in selectors: name and byte range without the dot.
    classes: Vec<(usize, usize)>,
    /// `composes:` declarations of CSS modules.
    composes: Vec<(usize, usize)>,
    /// `:global(`, `:local(` wrappers: byte ranges to remove.
    wrappers: Vec<(usize, usize)>,
}

/// Reads a style sheet's references.
pub fn scan(source: &str) -> Scan {
    let mut scanner = Scanner { source, at: 0, out: Scan::default() };
    scanner.block(0);
    scanner.out
}

/// How deep blocks may nest; deeper ones are passed over flat, which keeps the stack bounded.
const MAX_DEPTH: usize = 64;

struct Scanner<'a> {
    source: &'a str,
    at: usize,
    out: Scan,
}

impl Scanner<'_> {
    fn byte(&self) -> Option<u8> {
        self.source.as_bytes().get(self.at).copied()
    }

    fn starts_with(&self, text: &str) -> bool {
        self.source.as_bytes()[self.at..].starts_with(text.as_bytes())
    }

    /// Reads statements until the block's `}` or the end.
    fn block(&mut self, depth: usize) {
        let mut statement = self.at;
        while let Some(byte) = self.byte() {
            match byte {
                b'/' if self.starts_with("/*") => self.comment(),
                b'"' | b'\'' => {
                    self.string();
                }
                b'@' if depth == 0 && self.is_import() => {
                    self.import();
                    statement = self.at;
                }
                b'u' | b'U' if self.is_url() => self.url(),
                b';' => {
                    self.declaration(statement);
                    self.at += 1;
                    statement = self.at;
                }
                b'{' => {
                    self.selector(statement);
                    self.at += 1;
                    if depth < MAX_DEPTH {
                        self.block(depth + 1);
                    }
                    statement = self.at;
                }
                b'}' => {
                    self.declaration(statement);
                    self.at += 1;
                    if depth > 0 {
                        return;
                    }
                    statement = self.at;
                }
                b'\\' => self.at = (self.at + 2).min(self.source.len()),
                _ => self.at += 1,
            }
        }
    }

    fn comment(&mut self) {
        let rest = &self.source.as_bytes()[self.at + 2..];
        self.at = match rest.windows(2).position(|pair| pair == b"*/") {
            Some(length) => self.at + 2 + length + 2,
            None => self.source.len(),
        };
    }

    /// Passes a string, returns the range of its text.
    fn string(&mut self) -> (usize, usize) {
        let quote = self.byte();
        self.at += 1;
        let start = self.at;
        while let Some(byte) = self.byte() {
            if Some(byte) == quote {
                let end = self.at;
                self.at += 1;
                return (start, end);
            }
            if byte == b'\n' {
                break;
            }
            self.at = (self.at + 1 + usize::from(byte == b'\\')).min(self.source.len());
        }
        (start, self.at)
    }

    fn is_import(&self) -> bool {
        let rest = &self.source.as_bytes()[self.at..];
        rest.len() > 7
            && rest[..7].eq_ignore_ascii_case(b"@import")
            && matches!(rest[7], b' ' | b'\t' | b'\n' | b'\r' | b'"' | b'\'')
    }

    fn is_url(&self) -> bool {
        let bytes = self.source.as_bytes();
        let before = self.at.checked_sub(1).map(|at| bytes[at]);
        let ident = before.is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        !ident && bytes.len() > self.at + 4 && bytes[self.at..self.at + 4].eq_ignore_ascii_case(b"url(")
    }

    fn skip_space(&mut self) {
        while self.byte().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    /// At `url(`: returns the target's range and moves past `)`.
    fn url_target(&mut self) -> (usize, usize) {
        self.at += 4;
        self.skip_space();
        let range = if matches!(self.byte(), Some(b'"' | b'\'')) {
            self.string()
        } else {
            let start = self.at;
            while self.byte().is_some_and(|byte| !byte.is_ascii_whitespace() && byte != b')') {
                self.at += 1;
            }
            (start, self.at)
        };
        while self.byte().is_some_and(|byte| byte != b')') {
            self.at += 1;
        }
        self.at = (self.at + 1).min(self.source.len());
        range
    }

    fn url(&mut self) {
        let start = self.at;
        let (from, to) = self.url_target();
        if let Some(target) = self.source.get(from..to) {
            self.out.urls.push((target.to_owned(), start, self.at));
        }
    }

    fn import(&mut self) {
        let start = self.at;
        self.at += 7;
        self.skip_space();
        let (from, to) = match self.byte() {
            Some(b'"' | b'\'') => self.string(),
            _ if self.is_url() => self.url_target(),
            _ => return,
        };
        let conditions = self.at;
        while self.byte().is_some_and(|byte| !matches!(byte, b';' | b'{' | b'}')) {
            self.at += 1;
        }
        let text = self.source.get(conditions..self.at).unwrap_or("").trim().to_owned();
        if self.byte() == Some(b';') {
            self.at += 1;
        }
        if let Some(specifier) = self.source.get(from..to) {
            self.out.imports.push(CssImport {
                specifier: specifier.to_owned(),
                conditions: text,
                start: start as u32,
                end: self.at as u32,
            });
        }
    }

    /// A statement that ended in `{`: collects class names of a selector.
    fn selector(&mut self, start: usize) {
        let bytes = self.source.as_bytes();
        let mut at = start;
        while at < self.at && bytes[at].is_ascii_whitespace() {
            at += 1;
        }
        if bytes.get(at) == Some(&b'@') {
            return;
        }
        let mut globals = Vec::new();
        while at < self.at {
            match bytes[at] {
                b'/' if bytes[at..].starts_with(b"/*") => {
                    let end = self.source[at..self.at].find("*/").map_or(self.at, |n| at + n + 2);
                    at = end;
                    continue;
                }
                b'[' => at = self.source[at..self.at].find(']').map_or(self.at, |n| at + n),
                b':' if bytes[at..self.at].starts_with(b":global(") => {
                    self.out.wrappers.push((at, at + 8));
                    globals.push(true);
                    at += 8;
                    continue;
                }
                b':' if bytes[at..self.at].starts_with(b":local(") => {
                    self.out.wrappers.push((at, at + 7));
                    globals.push(false);
                    at += 7;
                    continue;
                }
                b'(' if !globals.is_empty() => {
                    // An inner parenthesis belongs to its own pseudo-class.
                    let close = matching(bytes, at, self.at);
                    at = close;
                }
                b')' if globals.pop().is_some() => self.out.wrappers.push((at, at + 1)),
                b'.' if globals.last() != Some(&true) => {
                    let name = at + 1;
                    let mut end = name;
                    while end < self.at
                        && (bytes[end].is_ascii_alphanumeric()
                            || matches!(bytes[end], b'-' | b'_')
                            || bytes[end] >= 0x80)
                    {
                        end += 1;
                    }
                    if end > name && !bytes[name].is_ascii_digit() {
                        self.out.classes.push((name, end));
                    }
                    at = end;
                    continue;
                }
                _ => {}
            }
            at += 1;
        }
    }

    fn declaration(&mut self, start: usize) {
        let Some(text) = self.source.get(start..self.at) else { return };
        let trimmed = text.trim_start();
        if trimmed.starts_with("composes") && trimmed[8..].trim_start().starts_with(':') {
            let end = self.at + usize::from(self.byte() == Some(b';'));
            self.out.composes.push((start + text.len() - trimmed.len(), end));
        }
    }
}

fn matching(bytes: &[u8], open: usize, limit: usize) -> usize {
    let mut depth = 0usize;
    for (at, byte) in bytes.iter().enumerate().take(limit).skip(open) {
        match byte {
            b'(' => depth += 1,
            b')' => {
                depth -= 1;
                if depth == 0 {
                    return at;
                }
            }
            _ => {}
        }
    }
    limit
}

/// The text with its imports taken out and its urls replaced.
///
/// `url` is given a target and returns its replacement, or `None` to leave it.
pub fn rewrite(source: &str, scan: &Scan, mut url: impl FnMut(&str) -> Option<String>) -> String {
    let mut edits: Vec<(usize, usize, String)> = scan
        .imports
        .iter()
        .map(|import| {
            let range = import.start as usize..import.end as usize;
            let lines = source[range.clone()].matches('\n').count();
            (range.start, range.end, "\n".repeat(lines))
        })
        .collect();
    for (target, start, end) in &scan.urls {
        if let Some(new) = url(target) {
            edits.push((*start, *end, format!("url({})", quote(&new))));
        }
    }
    apply(source, edits)
}

/// Local names → what stands in the document, of a CSS module.
pub type ModuleNames = BTreeMap<String, String>;

/// Makes class names unique by a suffix and resolves `composes` within the file.
///
/// `source` must be the text that `scan` was made of.
pub fn scope_names(source: &str, scan: &Scan, suffix: &str) -> (String, ModuleNames) {
    let mut names = ModuleNames::new();
    let mut edits = Vec::new();
    for (start, end) in &scan.classes {
        let name = &source[*start..*end];
        let scoped = format!("{name}_{suffix}");
        names.entry(name.to_owned()).or_insert_with(|| scoped.clone());
        edits.push((*start, *end, scoped));
    }
    edits.extend(scan.wrappers.iter().map(|(start, end)| (*start, *end, String::new())));
    for (start, end) in &scan.composes {
        edits.push((*start, *end, String::new()));
        let owner = scan.classes.iter().rev().find(|(class, _)| class < start);
        let Some((from, to)) = owner else { continue };
        let added = composed(&source[*start..*end], suffix);
        if let Some(value) = names.get_mut(&source[*from..*to]) {
            value.push(' ');
            value.push_str(&added);
        }
    }
    (apply(source, edits), names)
}

/// `composes: a b;` → `a_suffix b_suffix`; `from global` keeps names as they are.
fn composed(declaration: &str, suffix: &str) -> String {
    let value = declaration.split_once(':').map_or("", |(_, value)| value).trim().trim_end_matches(';').trim();
    let (list, global) = match value.split_once(" from ") {
        Some((list, from)) => (list, from.trim() == "global"),
        None => (value, false),
    };
    let scoped = |name: &str| if global { name.to_owned() } else { format!("{name}_{suffix}") };
    list.split_whitespace().map(scoped).collect::<Vec<_>>().join(" ")
}

fn apply(source: &str, mut edits: Vec<(usize, usize, String)>) -> String {
    edits.sort_by_key(|(start, ..)| *start);
    let mut out = String::with_capacity(source.len());
    let mut at = 0;
    for (start, end, text) in edits {
        if start < at {
            continue;
        }
        out.push_str(&source[at..start]);
        out.push_str(&text);
        at = end;
    }
    out.push_str(&source[at..]);
    out
}

fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\a "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(source: &str, expected: &Expect) {
        let found = scan(source);
        let mut out = String::new();
        for import in &found.imports {
            out.push_str(&format!("import {} [{}]\n", import.specifier, import.conditions));
        }
        out.push_str(&rewrite(source, &found, |target| {
            (!target.starts_with("data:")).then(|| format!("/abs/{target}"))
        }));
        expected.assert_eq(&out);
    }

    #[test]
    fn references() {
        check(
            "@import \"a.css\";\n@import url('b.css') layer(x) print;\n/* url(no.png) */\n.a { background: url( c.png ), url(\"d e.png\"), URL(data:x); content: 'url(no)'; }\n",
            &expect![[r#"
                import a.css []
                import b.css [layer(x) print]


                /* url(no.png) */
                .a { background: url("/abs/c.png"), url("/abs/d e.png"), URL(data:x); content: 'url(no)'; }
            "#]],
        );
    }

    #[test]
    fn modules() {
        let source = ".a:hover > .b, :global(.c) .d:not(.e) { color: red; .f & { x: 1.5em } }\n@media (min-width: 1.5em) { .a { composes: b; } }\n";
        let (text, names) = scope_names(source, &scan(source), "x1");
        expect![[r#"
            .a_x1:hover > .b_x1, .c .d_x1:not(.e_x1) { color: red; .f_x1 & { x: 1.5em } }
            @media (min-width: 1.5em) { .a_x1 {  } }
        "#]]
        .assert_eq(&text);
        expect![[r#"{"a": "a_x1 b_x1", "b": "b_x1", "d": "d_x1", "e": "e_x1", "f": "f_x1"}"#]]
            .assert_eq(&format!("{names:?}"));
    }

    #[test]
    fn broken_input_is_passed_through() {
        for source in
            ["url(", "@import", "@import 'a", "/*", "\"\\", ".a{b:url(x", "}}}{", ":global(", ".💥{a:url(💥)}"]
        {
            let found = scan(source);
            let _ = rewrite(source, &found, |_| None);
            let _ = scope_names(source, &found, "x");
        }
    }
}
