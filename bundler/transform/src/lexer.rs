//! Cuts JavaScript into tokens without parsing it.
//!
//! Whether `/` divides or begins a regular expression is told from the token
//! before and from what an open bracket belonged to. That is right for all code
//! people write and most code they don't; where it is wrong, tokens come out
//! wrong but the lexer goes on: it never fails and never panics.

use memchr::{memchr, memchr2, memchr3, memmem};

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A name or keyword.
    Word,
    /// A string literal.
    String,
    /// A piece of a template between its back quotes and `${`, `}`.
    Template,
    /// A number.
    Number,
    /// A regular expression.
    Regex,
    /// One byte of punctuation; `=>`, `==`, `++` and the like come as one token with the first byte.
    Punct(u8),
    /// The end of the source.
    End,
}

/// A token and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// An open bracket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Paren,
    /// The head of `if`, `while`, `for`, `with`: a statement follows.
    Head,
    Square,
    Block,
    Object,
    Template,
}

/// A lexer; cheap to clone where a look ahead is needed.
#[derive(Clone)]
pub(crate) struct Lexer<'s> {
    source: &'s str,
    at: usize,
    open: Vec<Open>,
    /// An operand may come next, so `/` begins a regular expression.
    operand: bool,
    previous: Token,
    before_previous: Token,
}

impl<'s> Lexer<'s> {
    pub(crate) fn new(source: &'s str, at: usize) -> Lexer<'s> {
        let none = Token { kind: Kind::Punct(b';'), start: at, end: at };
        Lexer { source, at, open: Vec::new(), operand: true, previous: none, before_previous: none }
    }

    /// The token before the last one.
    pub(crate) fn before(&self) -> Token {
        self.before_previous
    }

    /// How many brackets are open.
    pub(crate) fn depth(&self) -> usize {
        self.open.len()
    }

    /// A token's text.
    pub(crate) fn text(&self, token: Token) -> &'s str {
        self.source.get(token.start..token.end).unwrap_or("")
    }

    /// Whether a line ends between the last token and the one before.
    pub(crate) fn on_new_line(&self) -> bool {
        let between = self.source.as_bytes().get(self.before_previous.end..self.previous.start);
        between.is_some_and(|bytes| memchr2(b'\n', b'\r', bytes).is_some())
    }

    /// The next token.
    pub(crate) fn next(&mut self) -> Token {
        self.skip_trivia();
        let start = self.at;
        let kind = self.scan();
        let token = Token { kind, start, end: self.at };
        self.before_previous = self.previous;
        self.previous = token;
        token
    }

    fn bytes(&self) -> &'s [u8] {
        self.source.as_bytes()
    }

    fn byte(&self, at: usize) -> u8 {
        self.bytes().get(at).copied().unwrap_or(0)
    }

    fn skip_trivia(&mut self) {
        loop {
            match self.byte(self.at) {
                b' ' | b'\n' | b'\r' | b'\t' | 0x0b | 0x0c => self.at += 1,
                b'/' if self.byte(self.at + 1) == b'/' => {
                    self.at = find(self.bytes(), self.at, |rest| memchr2(b'\n', b'\r', rest));
                }
                b'/' if self.byte(self.at + 1) == b'*' => {
                    let from = self.at + 2;
                    let end = memmem::find(&self.bytes()[from.min(self.source.len())..], b"*/");
                    self.at = end.map_or(self.source.len(), |end| from + end + 2);
                }
                // Non-breaking space, byte order mark, line and paragraph separators.
                0xc2 if self.byte(self.at + 1) == 0xa0 => self.at += 2,
                0xef if self.bytes()[self.at..].starts_with(b"\xef\xbb\xbf") => self.at += 3,
                0xe2 if self.byte(self.at + 1) == 0x80 && matches!(self.byte(self.at + 2), 0xa8 | 0xa9) => self.at += 3,
                _ => return,
            }
        }
    }

    fn scan(&mut self) -> Kind {
        if self.at >= self.source.len() {
            return Kind::End;
        }
        let first = self.byte(self.at);
        match first {
            b'"' | b'\'' => {
                self.string(first);
                self.operand = false;
                Kind::String
            }
            b'`' => {
                self.at += 1;
                self.template();
                Kind::Template
            }
            b'}' if self.open.last() == Some(&Open::Template) => {
                self.open.pop();
                self.at += 1;
                self.template();
                Kind::Template
            }
            b'0'..=b'9' => self.number(),
            b'.' if self.byte(self.at + 1).is_ascii_digit() => self.number(),
            b'/' if self.operand => {
                self.regex();
                self.operand = false;
                Kind::Regex
            }
            _ if is_word(first) => self.word(),
            _ => self.punctuation(first),
        }
    }

    fn word(&mut self) -> Kind {
        let start = self.at;
        while is_word(self.byte(self.at)) {
            // `\u0061` and `\u{61}`: their digits are word bytes already, their braces aren't.
            if self.bytes()[self.at..].starts_with(b"\\u{") {
                self.at = find(self.bytes(), self.at, |rest| memchr(b'}', rest));
            }
            self.at += 1;
        }
        self.at = self.at.min(self.source.len());
        let property = self.previous.kind == Kind::Punct(b'.') && self.previous.end - self.previous.start == 1;
        self.operand = !property && takes_operand(&self.bytes()[start..self.at]);
        Kind::Word
    }

    fn number(&mut self) -> Kind {
        while is_word(self.byte(self.at))
            || self.byte(self.at) == b'.'
            || matches!(self.byte(self.at), b'+' | b'-')
                && matches!(self.byte(self.at - 1), b'e' | b'E')
                && !self.bytes()[..self.at].ends_with(b"xe")
        {
            self.at += 1;
        }
        self.operand = false;
        Kind::Number
    }

    fn string(&mut self, quote: u8) {
        self.at += 1;
        loop {
            let at = find(self.bytes(), self.at, |rest| memchr3(quote, b'\\', b'\n', rest));
            match self.byte(at) {
                b'\\' => self.at = self.after_escape(at),
                b'\n' | 0 => {
                    self.at = at;
                    return;
                }
                _ => {
                    self.at = at + 1;
                    return;
                }
            }
        }
    }

    /// After `\` and the character it escapes, which may have several bytes.
    fn after_escape(&self, at: usize) -> usize {
        let mut next = at + 2;
        if self.byte(at + 1) == b'\r' && self.byte(next) == b'\n' {
            next += 1;
        }
        while next < self.source.len() && !self.source.is_char_boundary(next) {
            next += 1;
        }
        next.min(self.source.len())
    }

    fn template(&mut self) {
        loop {
            let at = find(self.bytes(), self.at, |rest| memchr3(b'`', b'\\', b'$', rest));
            match self.byte(at) {
                b'\\' => self.at = self.after_escape(at),
                b'$' if self.byte(at + 1) == b'{' => {
                    self.at = at + 2;
                    self.open.push(Open::Template);
                    self.operand = true;
                    return;
                }
                b'$' => self.at = at + 1,
                _ => {
                    self.at = (at + 1).min(self.source.len());
                    self.operand = false;
                    return;
                }
            }
        }
    }

    fn regex(&mut self) {
        self.at += 1;
        let mut class = false;
        while self.at < self.source.len() {
            match self.byte(self.at) {
                b'\\' => {
                    self.at = self.after_escape(self.at);
                    continue;
                }
                b'[' => class = true,
                b']' => class = false,
                b'/' if !class => {
                    self.at += 1;
                    break;
                }
                b'\n' | b'\r' => return,
                _ => {}
            }
            self.at += 1;
        }
        while is_word(self.byte(self.at)) && self.byte(self.at) != b'\\' {
            self.at += 1;
        }
    }

    fn punctuation(&mut self, first: u8) -> Kind {
        self.at += 1;
        match first {
            b'(' => {
                let head = self.previous.kind == Kind::Word
                    && matches!(self.text(self.previous), "if" | "while" | "for" | "with")
                    && self.before_previous.kind != Kind::Punct(b'.');
                self.open(if head { Open::Head } else { Open::Paren });
            }
            b'[' => self.open(Open::Square),
            b'{' => {
                let open = if self.opens_object() { Open::Object } else { Open::Block };
                self.open(open);
            }
            b')' | b']' => self.operand = self.open.pop() == Some(Open::Head),
            b'}' => self.operand = self.open.pop() != Some(Open::Object),
            b'+' | b'-' if self.byte(self.at) == first => {
                // After an operand it is postfix and another operator follows.
                self.at += 1;
            }
            _ => {
                while is_operator(self.byte(self.at)) && is_operator(first) && self.byte(self.at) != b'/' {
                    // `=-1`, `&&!x`: the second one is unary.
                    if matches!(self.byte(self.at), b'-' | b'+' | b'!' | b'~') {
                        break;
                    }
                    self.at += 1;
                }
                if first == b'.' && self.bytes()[self.at..].starts_with(b"..") {
                    self.at += 2;
                }
                self.operand = true;
            }
        }
        Kind::Punct(first)
    }

    fn open(&mut self, open: Open) {
        self.open.push(open);
        self.operand = true;
    }

    /// Whether `{` begins an object literal, not a block, a body or a class.
    fn opens_object(&self) -> bool {
        match self.previous.kind {
            Kind::Word => self.operand && !matches!(self.text(self.previous), "else" | "do" | "try" | "finally"),
            Kind::Punct(b')' | b']' | b';' | b'{' | b'}') => false,
            Kind::Punct(b'=') => self.text(self.previous) != "=>",
            // `case 1: {`, `label: {` against `{a: {`.
            Kind::Punct(b':') => self.open.last() != Some(&Open::Block) && !self.open.is_empty(),
            Kind::Punct(_) => true,
            _ => self.operand,
        }
    }
}

fn find(bytes: &[u8], from: usize, search: impl Fn(&[u8]) -> Option<usize>) -> usize {
    let from = from.min(bytes.len());
    search(&bytes[from..]).map_or(bytes.len(), |at| from + at)
}

/// Bytes of names; every byte outside ASCII counts, as white space there was skipped.
fn is_word(byte: u8) -> bool {
    const TABLE: [bool; 256] = {
        let mut table = [false; 256];
        let mut byte = 0;
        while byte < 256 {
            let b = byte as u8;
            table[byte] = b.is_ascii_alphanumeric() || b == b'_' || b == b'$' || b == b'\\' || b == b'#' || b >= 0x80;
            byte += 1;
        }
        table
    };
    TABLE[byte as usize]
}

fn is_operator(byte: u8) -> bool {
    matches!(byte, b'=' | b'<' | b'>' | b'!' | b'&' | b'|' | b'?' | b'*' | b'%' | b'^' | b'+' | b'-')
}

/// Keywords after which an operand comes, so that `/` begins a regular expression.
fn takes_operand(word: &[u8]) -> bool {
    match word.len() {
        2 => matches!(word, b"do" | b"in" | b"of"),
        3 => word == b"new",
        4 => matches!(word, b"case" | b"else" | b"void"),
        5 => matches!(word, b"throw" | b"yield" | b"await"),
        6 => matches!(word, b"return" | b"typeof" | b"delete"),
        7 => word == b"extends" || word == b"default",
        10 => word == b"instanceof",
        _ => word == b"try" || word == b"finally",
    }
}
