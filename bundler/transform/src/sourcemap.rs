//! The `mappings` of a source map, written while the new text grows.
//!
//! Segments stand where lines start and where edits begin and end: between
//! these, columns run alike in both texts.

/// A map that grows with the text it describes.
pub(crate) struct Map {
    mappings: String,
    /// Byte length of the text that was accounted for.
    seen: usize,
    column: u32,
    /// Line and column in the source of the offset that was asked for last.
    source: Position,
    last: Segment,
    line_has_segment: bool,
}

#[derive(Clone, Copy, Default)]
struct Position {
    offset: u32,
    line: u32,
    column: u32,
}

#[derive(Clone, Copy, Default)]
struct Segment {
    column: u32,
    line: u32,
    source_column: u32,
}

impl Map {
    pub(crate) fn new() -> Map {
        Map {
            mappings: String::new(),
            seen: 0,
            column: 0,
            source: Position::default(),
            last: Segment::default(),
            line_has_segment: false,
        }
    }

    pub(crate) fn finish(mut self, out: &str) -> String {
        self.advance(out);
        self.mappings
    }

    /// The text that comes next stems from this offset of the source.
    pub(crate) fn point(&mut self, source: &str, offset: u32, out: &str) {
        self.advance(out);
        self.seek(source, offset);
        self.segment();
    }

    /// Copies a part of the source, with a segment at its start and at every line.
    pub(crate) fn copy(&mut self, source: &str, start: u32, end: u32, out: &mut String) {
        self.advance(out);
        self.seek(source, start);
        self.segment();
        let Some(text) = source.get(start as usize..end as usize) else { return };
        for line in text.split_inclusive('\n') {
            out.push_str(line);
            self.advance(out);
            let offset = line.as_ptr() as usize - source.as_ptr() as usize + line.len();
            self.seek(source, offset as u32);
            if line.ends_with('\n') && offset < end as usize {
                self.segment();
            }
        }
    }

    /// Accounts for text that was appended since.
    fn advance(&mut self, out: &str) {
        let (mut lines, mut column) = (0, self.column);
        step(&out[self.seen..], &mut lines, &mut column);
        for _ in 0..lines {
            self.mappings.push(';');
            self.line_has_segment = false;
        }
        if lines > 0 {
            self.last.column = 0;
        }
        self.column = column;
        self.seen = out.len();
    }

    fn seek(&mut self, source: &str, offset: u32) {
        if offset < self.source.offset {
            self.source = Position::default();
        }
        let Some(text) = source.get(self.source.offset as usize..offset as usize) else { return };
        step(text, &mut self.source.line, &mut self.source.column);
        self.source.offset = offset;
    }

    fn segment(&mut self) {
        let now = Segment { column: self.column, line: self.source.line, source_column: self.source.column };
        if self.line_has_segment {
            if now.column == self.last.column {
                return;
            }
            self.mappings.push(',');
        }
        self.line_has_segment = true;
        vlq(i64::from(now.column) - i64::from(self.last.column), &mut self.mappings);
        self.mappings.push('A');
        vlq(i64::from(now.line) - i64::from(self.last.line), &mut self.mappings);
        vlq(i64::from(now.source_column) - i64::from(self.last.source_column), &mut self.mappings);
        self.last = now;
    }
}

/// Moves a line and a column over a text.
fn step(text: &str, line: &mut u32, column: &mut u32) {
    for c in text.chars() {
        if c == '\n' {
            *line += 1;
            *column = 0;
        } else {
            *column += c.len_utf16() as u32;
        }
    }
}

fn vlq(value: i64, out: &mut String) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut rest = if value < 0 { ((-value) << 1) | 1 } else { value << 1 };
    loop {
        let digit = (rest & 31) as usize;
        rest >>= 5;
        out.push(char::from(DIGITS[if rest > 0 { digit | 32 } else { digit }]));
        if rest == 0 {
            return;
        }
    }
}
