//! Finds tokens that a syntax tree doesn't keep, by looking at the text.

use crate::text::{is_identifier_part, is_newline};

/// A source text to look into. Every offset is in bytes; one past the end finds nothing.
#[derive(Clone, Copy)]
pub(crate) struct Scan<'s>(pub(crate) &'s str);

impl<'s> Scan<'s> {
    pub(crate) fn byte(self, at: u32) -> u8 {
        self.0.as_bytes().get(at as usize).copied().unwrap_or(0)
    }

    pub(crate) fn rest(self, at: u32) -> &'s str {
        self.0.get(at as usize..).unwrap_or("")
    }

    pub(crate) fn slice(self, start: u32, end: u32) -> &'s str {
        self.0.get(start as usize..end as usize).unwrap_or("")
    }

    pub(crate) fn has_newline(self, start: u32, end: u32) -> bool {
        self.slice(start, end).contains(is_newline)
    }

    /// The first place at or after `at` that isn't white space or a comment.
    pub(crate) fn skip_trivia(self, mut at: u32) -> u32 {
        loop {
            let rest = self.rest(at);
            let next = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
            at += (rest.len() - next.len()) as u32;
            let comment = if next.starts_with("//") {
                next.find(is_newline).unwrap_or(next.len())
            } else if next.starts_with("/*") {
                next.find("*/").map_or(next.len(), |end| end + 2)
            } else {
                return at;
            };
            at += comment as u32;
        }
    }

    /// The place of a byte at or after `at`, where nothing but words, punctuation and
    /// comments can come before it.
    pub(crate) fn find(self, mut at: u32, byte: u8) -> Option<u32> {
        loop {
            at = self.skip_trivia(at);
            if at as usize >= self.0.len() {
                return None;
            }
            if self.byte(at) == byte {
                return Some(at);
            }
            at += self.rest(at).chars().next().map_or(1, |c| c.len_utf8() as u32);
        }
    }

    /// The end of the name that begins at `at`.
    pub(crate) fn word_end(self, at: u32) -> u32 {
        let rest = self.rest(at);
        let mut end = 0;
        let mut escape = false;
        for (offset, c) in rest.char_indices() {
            let part = is_identifier_part(c) || c == '\\' || (c == '#' && offset == 0);
            if !(part || escape && matches!(c, '{' | '}')) {
                break;
            }
            escape = c == '\\' || escape && c != '}';
            end = offset + c.len_utf8();
        }
        at + end as u32
    }

    /// The name or keyword that begins at `at`; empty where there is none.
    pub(crate) fn word(self, at: u32) -> &'s str {
        self.slice(at, self.word_end(at))
    }

    /// The end of what comes before `at`, white space left out.
    pub(crate) fn trim_before(self, at: u32) -> u32 {
        self.slice(0, at).trim_end().len() as u32
    }
}
