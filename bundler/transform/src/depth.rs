//! Says no to code that nests deeper than a recursive parser can follow.
//!
//! A browser gives wasm about a megabyte of stack, and overflowing it ends the
//! worker. So depth is measured on tokens first: brackets, and chains such as
//! `a+b+c…` or `else if … else if …`, which become deep trees as well.

use crate::Problem;
use crate::lexer::{Kind, Lexer};
use crate::text::is_newline;

/// What a bracket costs, in links of a chain: about how their stack frames compare.
const BRACKET: u32 = 12;

/// What `else` costs: statements' frames are larger than expressions'.
const ELSE: u32 = 3;

/// The most a file may cost. Real code stays below a tenth of it.
const LIMIT: u32 = 3000;

/// A problem if the source nests too deep.
///
/// Quotes in JSX text mislead the lexer; where there may be some, a plain count
/// of brackets has to agree.
pub(crate) fn check(source: &str, jsx: bool) -> Option<Problem> {
    // No file of this size can reach the limit.
    if source.len() < (LIMIT / BRACKET) as usize {
        return None;
    }
    let at = too_deep(source)?;
    if jsx && !brackets_too_deep(source) {
        return None;
    }
    Some(Problem {
        message: "This code nests too deep to be parsed.".to_owned(),
        start: at as u32,
        end: at as u32 + 1,
        remedy: "Split the expression, or move generated data into a .json file.".to_owned(),
    })
}

/// What is open at one level of brackets.
#[derive(Default)]
struct Level {
    /// The length of the chain that is being read.
    chain: u32,
    /// What `else` has added, which semicolons don't end.
    elses: u32,
    /// A statement may have ended: unless `else` comes, it did.
    ended: bool,
}

fn too_deep(source: &str) -> Option<usize> {
    let mut lexer = Lexer::new(source, 0);
    let mut levels: Vec<Level> = vec![Level::default()];
    let mut total = 0;
    loop {
        let token = lexer.next();
        let text = lexer.text(token);
        let level = levels.last_mut().expect("the bottom one is never taken");
        if std::mem::take(&mut level.ended) && text != "else" {
            total -= std::mem::take(&mut level.elses);
        }
        match token.kind {
            Kind::End => return None,
            Kind::Punct(b'(' | b'[' | b'{') => {
                level.chain += 1;
                levels.push(Level::default());
                total += BRACKET + 1;
            }
            Kind::Punct(b')' | b']' | b'}') => total -= close(&mut levels, text == "}"),
            Kind::Punct(b';' | b',') => {
                total -= std::mem::take(&mut level.chain);
                level.ended = text == ";";
            }
            Kind::Template => {
                if text.starts_with('}') {
                    total -= close(&mut levels, false);
                }
                if text.ends_with("${") {
                    levels.push(Level::default());
                    total += BRACKET;
                }
            }
            Kind::Punct(_) => {
                level.chain += 1;
                total += 1;
            }
            Kind::Word => match text {
                "else" => {
                    level.elses += ELSE;
                    total += ELSE;
                }
                "new" | "typeof" | "void" | "delete" | "await" | "yield" | "in" | "instanceof" | "if" | "while"
                | "for" | "do" | "as" | "satisfies" | "extends" | "infer" | "keyof" => {
                    level.chain += 1;
                    total += 1;
                }
                "var" | "let" | "const" | "function" | "class" | "import" | "export" | "return" | "case" => {
                    total -= std::mem::take(&mut level.chain);
                }
                // A statement that no semicolon separates from the last.
                _ if level.chain > 0 && lexer.on_new_line() && ends_statement(lexer.before().kind) => {
                    total -= std::mem::take(&mut level.chain);
                }
                _ => {}
            },
            _ => {}
        }
        if total > LIMIT {
            return Some(token.start);
        }
    }
}

/// Closes a level, and says what it had cost.
fn close(levels: &mut Vec<Level>, brace: bool) -> u32 {
    if levels.len() == 1 {
        return 0;
    }
    let closed = levels.pop().unwrap_or_default();
    if let Some(outer) = levels.last_mut() {
        outer.ended = brace;
    }
    closed.chain + closed.elses + BRACKET
}

/// Whether a token can be a statement's last when a word follows on the next line.
/// `else` chains go on after `}`, and are words of their own above.
fn ends_statement(kind: Kind) -> bool {
    !matches!(kind, Kind::Punct(byte) if !matches!(byte, b')' | b']' | b'}'))
}

fn brackets_too_deep(source: &str) -> bool {
    let (mut depth, mut most) = (0u32, 0u32);
    for byte in source.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        most = most.max(depth);
    }
    most * BRACKET > LIMIT
        || source.split(is_newline).any(|line| line.len() > LIMIT as usize && too_deep(line).is_some())
}
