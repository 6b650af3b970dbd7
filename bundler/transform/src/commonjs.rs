//! A CommonJS file → its factory, by a look at its tokens alone.
//!
//! In:  `const a = require("./a"); exports.b = a;`
//! Out: `function(exports,module,require){const a = require("./a"); exports.b = a;` … `}`
//!
//! `require("x")` stays as it is: the runtime's `require` answers. What changes is
//! `process.env.NODE_ENV`, which becomes its value, and `import("x")`, which
//! becomes `require.import("x")` as a factory has no other tie to its module.
//! Branches that `NODE_ENV` decides against are left in place but ask for nothing.
//!
//! A package's file isn't parsed, since that would take most of the time of a
//! build; one of the project is, so that its mistakes are told.

mod dead;
mod exports;
mod tokens;

use crate::edit::Edits;
use crate::lexer::Kind as Is;
use crate::sourcemap::Map;
use crate::{Kind, Module, Options, Problem, Request, RequestKind, parse, quote, text};

use self::dead::Branches;
use self::exports::Exports;
use self::tokens::{Item, Tokens};

const HEAD: &str = "function(exports,module,require){";

pub(crate) fn transform(source: &str, options: &Options<'_>) -> Result<Module, Vec<Problem>> {
    let mut reader = Reader::new(source, options);
    reader.read();
    // The lexer may be misled; a parser has the last word on what would break a whole chunk.
    if reader.broken || !options.path.contains("/node_modules/") {
        parse::check_script(source)?;
    }
    Ok(reader.finish())
}

/// Reads a file once, from its first token to its last.
struct Reader<'s> {
    options: &'s Options<'s>,
    tokens: Tokens<'s>,
    edits: Edits<'s>,
    requests: Vec<Request>,
    exports: Exports,
    branches: Branches,
    /// For each `try` block around, how many brackets were open before it.
    tries: Vec<usize>,
    /// The same for functions with a parameter called `require`.
    shadows: Vec<usize>,
    /// Something can't be right about the tokens.
    broken: bool,
}

impl<'s> Reader<'s> {
    fn new(source: &'s str, options: &'s Options<'s>) -> Reader<'s> {
        let code = text::hashbang(source);
        let mut edits = Edits::new(source);
        if code > 0 {
            edits.blank(0, code as u32);
        } else if source.starts_with('\u{feff}') {
            edits.replace(0, '\u{feff}'.len_utf8() as u32, "");
        }
        Reader {
            options,
            tokens: Tokens::new(source, code),
            edits,
            requests: Vec::new(),
            exports: Exports::default(),
            branches: Branches::default(),
            tries: Vec::new(),
            shadows: Vec::new(),
            broken: false,
        }
    }

    fn read(&mut self) {
        loop {
            let item = self.tokens.next();
            match item.kind {
                Is::End => break,
                Is::Word if !self.tokens.is_property() => self.word(item),
                Is::Word => {}
                Is::Punct(b'}') => {
                    self.tries.pop_if(|depth| *depth >= item.depth);
                    self.shadows.pop_if(|depth| *depth >= item.depth);
                }
                _ => {}
            }
            self.branches.follow(&mut self.tokens, item);
        }
        self.broken = self.tokens.is_broken();
    }

    fn word(&mut self, item: Item) {
        match self.tokens.text(item) {
            "require" => self.require(item),
            "import" => self.import(item),
            "process" => self.process(item),
            "try" if self.tokens.peek(0).kind == Is::Punct(b'{') => self.tries.push(item.depth),
            "function" => self.function(item),
            "exports" => self.exports.exports(&mut self.tokens),
            "module" => self.exports.module(&mut self.tokens),
            "Object" => self.exports.define(&mut self.tokens),
            "__export" | "_export" => self.exports.helper(&mut self.tokens),
            _ => {}
        }
    }

    /// A literal argument, alone in its parentheses or before others.
    fn argument(&mut self) -> Option<(String, Item)> {
        let (open, literal) = (self.tokens.peek(0), self.tokens.peek(1));
        if open.kind != Is::Punct(b'(') || !matches!(self.tokens.peek(2).kind, Is::Punct(b')' | b',')) {
            return None;
        }
        Some((self.tokens.literal(literal)?, literal))
    }

    fn require(&mut self, item: Item) {
        let Some((specifier, literal)) = self.argument() else { return };
        // A parameter called `require` may be the real one or a bundle's own.
        let doubtful = !self.tries.is_empty() || self.shadows.iter().any(|depth| *depth < item.depth);
        let kind = if doubtful { RequestKind::OptionalRequire } else { RequestKind::Require };
        self.exports.required(&self.tokens, &specifier);
        self.request(specifier, kind, literal);
    }

    fn import(&mut self, item: Item) {
        if self.tokens.peek(0).kind != Is::Punct(b'(') || self.is_method() {
            return;
        }
        self.edits.replace(item.start, item.end, "require.import");
        if let Some((specifier, literal)) = self.argument() {
            self.request(specifier, RequestKind::Dynamic, literal);
        }
    }

    /// Whether a block follows the parentheses ahead: `import() {}` in a class.
    fn is_method(&mut self) -> bool {
        // More than a specifier and its attributes take.
        const MOST: usize = 32;
        let depth = self.tokens.peek(0).depth;
        let closing = (1..MOST).find(|index| {
            let item = self.tokens.peek(*index);
            item.kind == Is::Punct(b')') && item.depth == depth
        });
        closing.is_some_and(|index| self.tokens.is(index + 1, "{"))
    }

    fn request(&mut self, specifier: String, kind: RequestKind, literal: Item) {
        let (start, end) = (literal.start, literal.end);
        self.requests.push(Request { specifier, kind, start, end });
    }

    /// `process.env.NODE_ENV`
    fn process(&mut self, item: Item) {
        let Some(end) = self.tokens.node_env() else { return };
        let assigned = self.tokens.peek(0);
        if assigned.kind == Is::Punct(b'=') && assigned.end - assigned.start == 1 {
            return;
        }
        self.edits.replace_keeping_lines(item.start, end, &quote(self.options.node_env));
        self.branches.node_env(&mut self.tokens, self.options.node_env);
    }

    /// `function name(require, module, exports) {`
    fn function(&mut self, item: Item) {
        let mut at = 0;
        while matches!(self.tokens.peek(at).kind, Is::Word | Is::Punct(b'*')) && at < 2 {
            at += 1;
        }
        // More parameters than that are no module's.
        const MOST: usize = 16;
        for index in at..at + MOST {
            let parameter = self.tokens.peek(index);
            match parameter.kind {
                Is::Word if self.tokens.text(parameter) == "require" => return self.shadows.push(item.depth),
                Is::Word | Is::Punct(b'(' | b',') => {}
                _ => return,
            }
        }
    }

    fn finish(self) -> Module {
        let mut factory = HEAD.to_owned();
        let mut map = self.options.map.then(Map::new);
        self.edits.apply(&mut factory, &mut map, |_| String::new());
        factory.push_str("\n}");
        let (exports, reexports_cjs) = self.exports.finish();
        let map = map.map(|map| map.finish(&factory));
        Module {
            kind: Kind::CommonJs,
            refresh: false,
            factory,
            imports: Vec::new(),
            requests: self.requests,
            exports,
            stars: Vec::new(),
            reexports_cjs,
            map,
        }
    }
}
