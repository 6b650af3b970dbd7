//! Tokens with a look ahead.

use std::collections::VecDeque;

use crate::lexer::{Kind, Lexer, Token};

/// A token with what surrounds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) kind: Kind,
    pub(super) start: u32,
    pub(super) end: u32,
    /// Brackets open before an opening one, after a closing one, and around any other token.
    pub(super) depth: usize,
    /// It is the first on its line.
    pub(super) new_line: bool,
}

/// The tokens of a file.
pub(super) struct Tokens<'s> {
    source: &'s str,
    lexer: Lexer<'s>,
    ahead: VecDeque<Item>,
    /// Tokens that were read, the last one first.
    read: [Item; 6],
    depth: usize,
    /// Brackets don't match, a literal doesn't end, or words follow each other as they can't.
    broken: bool,
    /// The token that was lexed last.
    lexed: Item,
}

impl<'s> Tokens<'s> {
    pub(super) fn new(source: &'s str, at: usize) -> Tokens<'s> {
        let none = Item { kind: Kind::Punct(b';'), start: 0, end: 0, depth: 0, new_line: true };
        Tokens {
            source,
            lexer: Lexer::new(source, at),
            ahead: VecDeque::new(),
            read: [none; 6],
            depth: 0,
            broken: false,
            lexed: none,
        }
    }

    pub(super) fn next(&mut self) -> Item {
        let item = match self.ahead.pop_front() {
            Some(item) => item,
            None => self.lex(),
        };
        self.read.rotate_right(1);
        self.read[0] = item;
        item
    }

    /// The token after the next `index` ones.
    pub(super) fn peek(&mut self, index: usize) -> Item {
        while self.ahead.len() <= index {
            let item = self.lex();
            self.ahead.push_back(item);
        }
        self.ahead[index]
    }

    pub(super) fn skip(&mut self, count: usize) {
        for _ in 0..count {
            self.next();
        }
    }

    /// The token that was read `index` tokens before the last one.
    pub(super) fn back(&self, index: usize) -> Item {
        self.read[index.min(self.read.len() - 1)]
    }

    /// Whether the last token stands after a dot.
    pub(super) fn is_property(&self) -> bool {
        self.text(self.read[1]) == "."
    }

    pub(super) fn text(&self, item: Item) -> &'s str {
        self.source.get(item.start as usize..item.end as usize).unwrap_or("")
    }

    /// The text of the token after the next `index` ones.
    pub(super) fn text_ahead(&mut self, index: usize) -> &'s str {
        let item = self.peek(index);
        self.text(item)
    }

    /// Whether the token after the next `index` ones is this word or punctuation.
    pub(super) fn is(&mut self, index: usize, text: &str) -> bool {
        let item = self.peek(index);
        matches!(item.kind, Kind::Word | Kind::Punct(_)) && self.text(item) == text
    }

    /// The value of a string, or of a template without substitutions.
    pub(super) fn literal(&self, item: Item) -> Option<String> {
        let text = self.text(item);
        let inner = match item.kind {
            Kind::String => text.strip_prefix(['"', '\''])?.strip_suffix(['"', '\''])?,
            Kind::Template => text.strip_prefix('`')?.strip_suffix('`')?,
            _ => return None,
        };
        unescaped(inner)
    }

    /// Whether a token compares, and whether for equality.
    pub(super) fn equality(&self, item: Item) -> Option<bool> {
        match self.text(item) {
            "===" | "==" => Some(true),
            "!==" | "!=" => Some(false),
            _ => None,
        }
    }

    /// Goes over `.env.NODE_ENV` after `process`, and says where it ends.
    pub(super) fn node_env(&mut self) -> Option<u32> {
        if !self.is(0, ".") || !self.is(1, "env") {
            return None;
        }
        let (next, name) = (self.peek(2), self.peek(3));
        let count = match next.kind {
            Kind::Punct(b'.') if self.text(name) == "NODE_ENV" => 4,
            Kind::Punct(b'[') if self.literal(name)? == "NODE_ENV" && self.is(4, "]") => 5,
            _ => return None,
        };
        let end = self.peek(count - 1).end;
        // To what comes after, all of it is one token.
        self.ahead.drain(..count);
        Some(end)
    }

    /// Whether something can't be right, once all is read.
    pub(super) fn is_broken(&self) -> bool {
        self.broken || self.depth != 0
    }

    /// Whether a word can't stand after what is on its line before it.
    fn is_adrift(&self, text: &str) -> bool {
        let follows = match self.lexed.kind {
            Kind::Word => !JOINING.contains(&self.text(self.lexed)),
            Kind::Number | Kind::String | Kind::Regex => true,
            _ => false,
        };
        follows && !self.lexer.on_new_line() && !JOINING.contains(&text)
    }

    fn lex(&mut self) -> Item {
        let token = self.lexer.next();
        let text = self.lexer.text(token);
        let (before, after) = (self.depth, self.lexer.depth());
        self.broken |= match token.kind {
            Kind::Punct(b')' | b']' | b'}') => before == 0,
            Kind::String => text.len() < 2 || !text.ends_with(&text[..1]),
            Kind::Template => !(text.len() > 1 && text.ends_with('`') || text.ends_with("${")),
            Kind::Regex => text.len() < 2,
            Kind::End => after != 0,
            Kind::Word => self.is_adrift(text),
            // An operator where an operand has to be: JSX.
            Kind::Punct(b'<') => text == "<" && matches!(self.lexed.kind, Kind::Punct(b'(' | b'=' | b',')),
            _ => false,
        };
        self.depth = after;
        let Token { kind, start, end } = token;
        let (start, end) = (start as u32, end as u32);
        self.lexed = Item { kind, start, end, depth: before.min(after), new_line: self.lexer.on_new_line() };
        self.lexed
    }
}

/// Words that another word can follow, or come after, on the same line.
const JOINING: &[&str] = &[
    "as",
    "async",
    "await",
    "break",
    "case",
    "class",
    "const",
    "continue",
    "default",
    "delete",
    "do",
    "else",
    "extends",
    "finally",
    "from",
    "function",
    "get",
    "if",
    "in",
    "instanceof",
    "let",
    "new",
    "of",
    "return",
    "set",
    "static",
    "throw",
    "try",
    "typeof",
    "using",
    "var",
    "void",
    "while",
    "yield",
];

/// A literal's value; escapes beyond the simple ones are nobody's specifier.
fn unescaped(text: &str) -> Option<String> {
    if !text.contains('\\') {
        return Some(text.to_owned());
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next()? {
            'n' => out.push('\n'),
            't' => out.push('\t'),
            'r' => out.push('\r'),
            'x' => out.push(code(&mut chars, 2)?),
            'u' => out.push(code(&mut chars, 4)?),
            '\n' => {}
            c if c.is_ascii_alphanumeric() => return None,
            c => out.push(c),
        }
    }
    Some(out)
}

fn code(chars: &mut std::str::Chars<'_>, digits: usize) -> Option<char> {
    let text: String = chars.take(digits).collect();
    char::from_u32(u32::from_str_radix(&text, 16).ok()?)
}
