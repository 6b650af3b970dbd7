//! Problems in a project, as values a developer can act on.
//!
//! In:  a file's text and a byte range. Out: line, column and a code frame.

/// How bad a diagnostic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The build has no result; the last good page stays.
    Error,
    /// The build goes on.
    Warning,
}

/// One problem, with its place and remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// One sentence saying what is wrong.
    pub message: String,
    /// Absolute path; empty where no file is to blame.
    pub file: String,
    /// From 1; 0 where unknown.
    pub line: u32,
    /// In UTF-16 units from 1; 0 where unknown.
    pub column: u32,
    /// The lines around with line numbers and a caret; may be empty.
    pub code_frame: String,
    /// What to do about it; may be empty.
    pub remedy: String,
}

impl Diagnostic {
    /// An error that no place in a file can be named for.
    pub fn error(file: &str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            file: file.to_owned(),
            line: 0,
            column: 0,
            code_frame: String::new(),
            remedy: remedy.into(),
        }
    }

    /// The same problem, placed at the byte offsets `start..end` of `source`.
    #[must_use]
    pub fn at(mut self, source: &str, start: u32, end: u32) -> Self {
        let place = Place::of(source, start as usize);
        self.line = place.line;
        self.column = place.column;
        self.code_frame = code_frame(source, &place, end.saturating_sub(start) as usize);
        self
    }
}

/// A position in a text.
struct Place {
    line: u32,
    /// UTF-16 units from 1, what browsers and editors count.
    column: u32,
    /// Byte offset in the line.
    offset: usize,
}

impl Place {
    fn of(source: &str, offset: usize) -> Self {
        let mut offset = offset.min(source.len());
        while !source.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &source[..offset];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before[line_start..].encode_utf16().count() + 1;
        Self { line: line as u32, column: column as u32, offset: offset - line_start }
    }
}

/// Longer lines (minified code) are cut around the caret.
const WIDTH: usize = 100;

/// Two lines before and after the place, numbered, with a caret below it.
///
/// `length` is the number of bytes to underline; the caret never leaves its line.
fn code_frame(source: &str, place: &Place, length: usize) -> String {
    let target = place.line as usize;
    let first = target.saturating_sub(2).max(1);
    let digits = (target + 2).to_string().len();
    let mut out = String::new();
    for (index, line) in source.split('\n').enumerate().skip(first - 1).take(target + 3 - first) {
        let number = index + 1;
        let line = line.trim_end_matches('\r');
        let (from, shown) = window(line, if number == target { place.offset } else { 0 });
        let mark = if number == target { '>' } else { ' ' };
        out.push_str(format!("{mark} {number:digits$} | {shown}").trim_end());
        out.push('\n');
        if number == target {
            let pad: String =
                line[from..place.offset.min(line.len())].chars().map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            let rest = line.get(place.offset..).unwrap_or("");
            let marked = rest.char_indices().take_while(|(at, _)| *at < length).count().clamp(1, 40);
            out.push_str(&format!("  {:digits$} | {pad}{}\n", "", "^".repeat(marked)));
        }
    }
    out
}

/// The part of a line that is shown: its start offset and text.
fn window(line: &str, focus: usize) -> (usize, &str) {
    if line.len() <= WIDTH {
        return (0, line);
    }
    let mut from = focus.min(line.len()).saturating_sub(WIDTH / 2);
    while !line.is_char_boundary(from) {
        from -= 1;
    }
    let mut to = (from + WIDTH).min(line.len());
    while !line.is_char_boundary(to) {
        to -= 1;
    }
    (from, &line[from..to])
}

#[cfg(test)]
mod tests {
    use super::Diagnostic;
    use expect_test::{Expect, expect};

    fn check(source: &str, needle: &str, expected: &Expect) {
        let start = source.find(needle).expect("needle is in the source") as u32;
        let found = Diagnostic::error("/a.ts", "", "").at(source, start, start + needle.len() as u32);
        expected.assert_eq(&format!("{}:{}\n{}", found.line, found.column, found.code_frame));
    }

    #[test]
    fn frame_marks_the_place() {
        check(
            "one\ntwo\nlet x = 💥 bad;\nfour",
            "bad",
            &expect![[r#"
                3:12
                  1 | one
                  2 | two
                > 3 | let x = 💥 bad;
                    |           ^^^
                  4 | four
            "#]],
        );
    }

    #[test]
    fn long_lines_are_cut() {
        let source = format!("{}bad{}", " ".repeat(500), "x".repeat(500));
        let found = Diagnostic::error("/a.ts", "", "").at(&source, 500, 503);
        assert!(found.code_frame.lines().all(|line| line.len() < 120), "{}", found.code_frame);
    }
}
