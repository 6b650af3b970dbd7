//! Edits on a source text, applied once.
//!
//! Edits are made while walking a tree in the order of the source. Those at the
//! same place stay in the order they were made, so that what a parent opens
//! comes before what its child opens, and closes after it.

use crate::sourcemap::Map;
use crate::text::{is_newline, newlines};

/// The edits of one file.
pub(crate) struct Edits<'s> {
    source: &'s str,
    list: Vec<Edit>,
}

/// Replaces `start..end`; an insertion where both are equal.
#[derive(Debug, Clone)]
struct Edit {
    start: u32,
    end: u32,
    text: Text,
}

/// What comes in place of the old text.
#[derive(Debug, Clone)]
pub(crate) enum Text {
    /// Spaces, and the line ends of the old text.
    Blank,
    /// The same after a semicolon, which keeps the statements before and after apart.
    BlankStatement,
    /// This.
    Str(&'static str),
    /// This.
    Owned(String),
    /// The name of an import, whose number is known only at the end.
    Import(u32),
}

impl From<&'static str> for Text {
    fn from(text: &'static str) -> Text {
        Text::Str(text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Text {
        Text::Owned(text)
    }
}

impl<'s> Edits<'s> {
    pub(crate) fn new(source: &'s str) -> Edits<'s> {
        Edits { source, list: Vec::new() }
    }

    /// Puts a text before what stands at `at`.
    pub(crate) fn insert(&mut self, at: u32, text: impl Into<Text>) {
        self.replace(at, at, text);
    }

    /// Puts a text in the place of another. Lines stay only if the new text has as many.
    pub(crate) fn replace(&mut self, start: u32, end: u32, text: impl Into<Text>) {
        debug_assert!(start <= end);
        self.list.push(Edit { start, end: end.max(start), text: text.into() });
    }

    /// The same, with the old text's line ends after the new text.
    pub(crate) fn replace_keeping_lines(&mut self, start: u32, end: u32, text: &str) {
        let lines = newlines(self.slice(start, end));
        self.replace(start, end, format!("{text}{lines}"));
    }

    /// Leaves only white space.
    pub(crate) fn blank(&mut self, start: u32, end: u32) {
        if start < end {
            self.replace(start, end, Text::Blank);
        }
    }

    /// Leaves an empty statement.
    pub(crate) fn blank_statement(&mut self, start: u32, end: u32) {
        if start < end {
            self.replace(start, end, Text::BlankStatement);
        }
    }

    /// Where the list stands now, for [`Edits::take_since`].
    pub(crate) fn mark(&self) -> usize {
        self.list.len()
    }

    /// Puts a text before what stands at `at`, and before what was put there since a mark.
    pub(crate) fn insert_at_mark(&mut self, mark: usize, at: u32, text: impl Into<Text>) {
        let mark = mark.min(self.list.len());
        self.list.insert(mark, Edit { start: at, end: at, text: text.into() });
    }

    /// Takes back what was done to `start..end` since a mark, as pieces of text that
    /// can be put elsewhere.
    pub(crate) fn take_since(&mut self, mark: usize, start: u32, end: u32) -> Vec<Text> {
        let mut taken = self.list.split_off(mark);
        taken.sort_by_key(|edit| edit.start);
        let mut pieces = Vec::new();
        let mut at = start;
        for edit in taken {
            if edit.start < at {
                continue;
            }
            pieces.push(Text::Owned(self.slice(at, edit.start).to_owned()));
            pieces.push(match edit.text {
                Text::Blank | Text::BlankStatement => Text::Str(" "),
                text => text,
            });
            at = edit.end;
        }
        pieces.push(Text::Owned(self.slice(at, end).to_owned()));
        pieces
    }

    /// A part of the old text.
    pub(crate) fn slice(&self, start: u32, end: u32) -> &'s str {
        self.source.get(start as usize..end as usize).unwrap_or("")
    }

    /// The new text, appended to `out`.
    pub(crate) fn apply(mut self, out: &mut String, map: &mut Option<Map>, import: impl Fn(u32) -> String) {
        self.list.sort_by_key(|edit| edit.start);
        out.reserve(self.source.len() + self.list.len() * 8);
        let mut at = 0;
        for edit in &self.list {
            // What lies inside of a text that went is gone with it.
            if edit.start < at {
                continue;
            }
            self.copy(at, edit.start, out, map);
            if let Some(map) = map {
                map.point(self.source, edit.start, out);
            }
            let old = self.slice(edit.start, edit.end);
            match &edit.text {
                Text::Blank => blank(old, out),
                Text::BlankStatement => {
                    out.push(';');
                    let first = old.chars().next().map_or(0, char::len_utf8);
                    blank(&old[first..], out);
                }
                Text::Str(text) => out.push_str(text),
                Text::Owned(text) => out.push_str(text),
                Text::Import(index) => out.push_str(&import(*index)),
            }
            at = edit.end;
        }
        self.copy(at, self.source.len() as u32, out, map);
    }

    fn copy(&self, start: u32, end: u32, out: &mut String, map: &mut Option<Map>) {
        if start == end {
            return;
        }
        match map {
            Some(map) => map.copy(self.source, start, end, out),
            None => out.push_str(self.slice(start, end)),
        }
    }
}

fn blank(old: &str, out: &mut String) {
    for c in old.chars() {
        if is_newline(c) {
            out.push(c);
        } else {
            // Columns count UTF-16 units.
            out.push_str(if c.len_utf16() == 2 { "  " } else { " " });
        }
    }
}
