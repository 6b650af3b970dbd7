//! Branches that `process.env.NODE_ENV` decides against.
//!
//! In:  `if (process.env.NODE_ENV === "production") { require("./a") } else { require("./b") }`
//! Out: the tokens of the branch that won't run are gone over.
//!
//! Knows a comparison that is the whole condition of an `if` or of `?:`, or the
//! left side of `&&` or `||`. Anything else counts as alive: the worst that comes of
//! it is a module that nobody needs.

use crate::lexer::Kind;

use super::tokens::{Item, Tokens};

/// What follows decided conditions and is still to come.
#[derive(Default)]
pub(super) struct Branches {
    waiting: Vec<Waiting>,
}

struct Waiting {
    depth: usize,
    until: Until,
}

#[derive(PartialEq)]
enum Until {
    /// The `}` of a live block, after which `else` is dead.
    Block,
    /// The end of a live statement, after which `else` is dead.
    Statement,
    /// The `:` after a live operand, with how many `?` came since.
    Colon(u32),
}

impl Branches {
    /// `process.env.NODE_ENV` was read: decides what a comparison with it decides.
    pub(super) fn node_env(&mut self, tokens: &mut Tokens<'_>, node_env: &str) {
        let (operator, literal) = (tokens.peek(0), tokens.peek(1));
        let after = tokens.equality(operator).zip(tokens.literal(literal));
        let before = tokens.equality(tokens.back(1)).zip(tokens.literal(tokens.back(2)));
        let ((equal, value), start) = match (after, before) {
            (Some(found), _) => {
                tokens.skip(2);
                (found, 3)
            }
            (None, Some(found)) => (found, 3),
            (None, None) => return,
        };
        self.decided(tokens, start, (value == node_env) == equal);
    }

    /// A condition has ended; the token before it was read `start` tokens ago.
    fn decided(&mut self, tokens: &mut Tokens<'_>, start: usize, value: bool) {
        let (before, next) = (tokens.text(tokens.back(start)), tokens.peek(0));
        let depth = next.depth;
        match tokens.text(next) {
            ")" if before == "(" && tokens.text(tokens.back(start + 1)) == "if" => {
                tokens.skip(1);
                self.branch(tokens, depth, value);
            }
            "?" if !matches!(before, "&&" | "||" | "??" | "!") => {
                tokens.skip(1);
                if value {
                    self.waiting.push(Waiting { depth, until: Until::Colon(0) });
                } else {
                    skip_operand(tokens, depth, &[":"]);
                }
            }
            "&&" if !value => skip_operand(tokens, depth, &["||", "??", "?"]),
            "||" if value && before != "&&" => skip_operand(tokens, depth, &["?"]),
            _ => {}
        }
    }

    /// After `if (…)`.
    fn branch(&mut self, tokens: &mut Tokens<'_>, depth: usize, value: bool) {
        if !value {
            // Its `else` is alive, and read on.
            skip_statement(tokens);
        } else if tokens.is(0, "{") {
            self.waiting.push(Waiting { depth, until: Until::Block });
        } else if !tokens.is(0, "if") {
            self.waiting.push(Waiting { depth, until: Until::Statement });
        }
    }

    /// Sees every token that was read, and goes over what is dead after it.
    pub(super) fn follow(&mut self, tokens: &mut Tokens<'_>, item: Item) {
        while self.waiting.pop_if(|waiting| waiting.depth > item.depth).is_some() {}
        let Some(waiting) = self.waiting.last_mut() else { return };
        if waiting.depth != item.depth {
            return;
        }
        match (&mut waiting.until, tokens.text(item)) {
            (Until::Block, "}") | (Until::Statement, "}" | ";") => {
                let until_block = waiting.until == Until::Block;
                let dead = tokens.is(0, "else");
                if dead || until_block || item.kind == Kind::Punct(b';') {
                    self.waiting.pop();
                }
                if dead {
                    tokens.skip(1);
                    skip_chain(tokens);
                }
            }
            (Until::Statement, "else") => {
                self.waiting.pop();
                skip_chain(tokens);
            }
            (Until::Colon(nested), "?") => *nested += 1,
            (Until::Colon(0), ":") => {
                self.waiting.pop();
                skip_operand(tokens, item.depth, &[]);
            }
            (Until::Colon(nested), ":") => *nested -= 1,
            (Until::Colon(_), ";") => {
                self.waiting.pop();
            }
            _ => {}
        }
    }
}

/// Goes over what `else` leads to, with all further `else`.
fn skip_chain(tokens: &mut Tokens<'_>) {
    skip_statement(tokens);
    while tokens.is(0, "else") {
        tokens.skip(1);
        skip_statement(tokens);
    }
}

/// Goes over a statement, without an `else` after it.
fn skip_statement(tokens: &mut Tokens<'_>) {
    while matches!(tokens.text_ahead(0), "if" | "while" | "for" | "with") {
        tokens.skip(1);
        skip_brackets(tokens);
    }
    let first = tokens.peek(0);
    if first.kind == Kind::Punct(b'{') {
        return skip_brackets(tokens);
    }
    skip_operand(tokens, first.depth, &["else"]);
    while tokens.is(0, ",") {
        tokens.skip(1);
        skip_operand(tokens, first.depth, &["else"]);
    }
    if tokens.is(0, ";") {
        tokens.skip(1);
    }
}

/// Goes over brackets with what is inside.
fn skip_brackets(tokens: &mut Tokens<'_>) {
    let depth = tokens.next().depth;
    loop {
        let item = tokens.next();
        if item.kind == Kind::End || item.depth <= depth && matches!(item.kind, Kind::Punct(b')' | b']' | b'}')) {
            return;
        }
    }
}

/// Goes over an expression up to where it ends or one of `stops` stands, which stays.
/// A `:` that is a stop is gone over as well.
fn skip_operand(tokens: &mut Tokens<'_>, depth: usize, stops: &[&str]) {
    let mut nested = 0;
    let mut first = true;
    loop {
        let item = tokens.peek(0);
        if item.kind == Kind::End || item.depth < depth {
            return;
        }
        if item.depth == depth {
            let text = tokens.text(item);
            match text {
                ";" | "," if !matches!(stops, [":"]) || text == ";" => return,
                ":" if nested == 0 && stops == [":"] => return tokens.skip(1),
                ":" if nested == 0 => return,
                ":" => nested -= 1,
                _ if !first && stops.contains(&text) => return,
                "?" => nested += 1,
                _ if !first && starts_statement(tokens, item) => return,
                _ => {}
            }
        }
        first = false;
        tokens.skip(1);
    }
}

/// Whether a word on a new line can only begin a statement.
fn starts_statement(tokens: &Tokens<'_>, item: Item) -> bool {
    let ended = match tokens.back(0).kind {
        Kind::Punct(byte) => matches!(byte, b')' | b']' | b'}'),
        _ => true,
    };
    item.new_line && item.kind == Kind::Word && ended && !matches!(tokens.text(item), "in" | "instanceof" | "else")
}
