//! Source text → syntax tree, or problems in words.

use swc_common::{BytePos, Span};
use swc_ecma_ast::{EsVersion, Module};
use swc_ecma_parser::error::Error;
use swc_ecma_parser::{EsSyntax, Lexer, Parser, StringInput, TsSyntax};

use crate::detect::Syntax;
use crate::{Problem, depth};

/// swc keeps position 0 for nodes that stand nowhere.
const FIRST: u32 = 1;

/// Start of a span, in bytes of the source.
pub(crate) fn lo(span: Span) -> u32 {
    span.lo.0.saturating_sub(FIRST)
}

/// End of a span, in bytes of the source.
pub(crate) fn hi(span: Span) -> u32 {
    span.hi.0.saturating_sub(FIRST)
}

pub(crate) fn parse(source: &str, syntax: Syntax) -> Result<Module, Vec<Problem>> {
    if let Some(problem) = depth::check(source, syntax.jsx) {
        return Err(vec![problem]);
    }
    with_parser(source, syntax, Parser::parse_module)
}

fn with_parser<'s, T>(
    source: &'s str,
    syntax: Syntax,
    parse: impl FnOnce(&mut Parser<Lexer<'s>>) -> Result<T, Error>,
) -> Result<T, Vec<Problem>> {
    // The byte order mark is no part of the code; offsets count it still.
    let code = source.strip_prefix('\u{feff}').unwrap_or(source);
    let start = FIRST + (source.len() - code.len()) as u32;
    let input = StringInput::new(code, BytePos(start), BytePos(start + code.len() as u32));
    let lexer = Lexer::new(swc_syntax(syntax), EsVersion::EsNext, input, None);
    let mut parser = Parser::new_from(lexer);
    let parsed = parse(&mut parser);
    let mut errors = parser.take_errors();
    match parsed {
        Ok(parsed) if errors.is_empty() => return Ok(parsed),
        Ok(_) => {}
        Err(error) => errors.push(error),
    }
    errors.sort_by_key(|error| error_span(error).lo);
    errors.dedup_by_key(|error| error_span(error).lo);
    Err(errors.iter().map(|error| problem(error, source)).collect())
}

/// Whether a CommonJS file could be run, which isn't strict and may return.
pub(crate) fn check_script(source: &str) -> Result<(), Vec<Problem>> {
    if let Some(problem) = depth::check(source, false) {
        return Err(vec![problem]);
    }
    with_parser(source, Syntax { typescript: false, jsx: false, common_js: true }, Parser::parse_commonjs).map(drop)
}

fn error_span(error: &Error) -> Span {
    use swc_common::Spanned;
    error.span()
}

fn swc_syntax(syntax: Syntax) -> swc_ecma_parser::Syntax {
    if syntax.typescript {
        return swc_ecma_parser::Syntax::Typescript(TsSyntax {
            tsx: syntax.jsx,
            decorators: true,
            ..TsSyntax::default()
        });
    }
    swc_ecma_parser::Syntax::Es(EsSyntax {
        jsx: syntax.jsx,
        decorators: true,
        decorators_before_export: true,
        import_attributes: true,
        auto_accessors: true,
        explicit_resource_management: true,
        ..EsSyntax::default()
    })
}

fn problem(error: &Error, source: &str) -> Problem {
    let clamp = |at: u32| {
        let mut at = (at as usize).min(source.len());
        while !source.is_char_boundary(at) {
            at -= 1;
        }
        at as u32
    };
    let span = error_span(error);
    let start = clamp(lo(span));
    let message = error.kind().msg().into_owned();
    let remedy = remedy(&message, &source[start as usize..]);
    Problem { message: sentence(message), start, end: clamp(hi(span)).max(start), remedy: remedy.to_owned() }
}

fn sentence(mut message: String) -> String {
    // A list of all tokens there are helps nobody.
    const LONG: usize = 100;
    if let Some(end) = message.find(". Expected").filter(|_| message.len() > LONG) {
        message.truncate(end);
    }
    if !message.ends_with(['.', '!', '?']) {
        message.push('.');
    }
    message
}

fn remedy(message: &str, rest: &str) -> &'static str {
    if message.starts_with("Unterminated string") {
        "Close the string with the quote it began with."
    } else if message.starts_with("Unterminated template") {
        "Close the template with a back quote."
    } else if message.contains("'</'") || message.contains("JSX element") && message.contains("closing") {
        "Close the element, or write it as <Name />."
    } else if message.contains("'await'") || message.contains("await isn't allowed") {
        "Mark the function around it as async."
    } else if rest.starts_with("<<<<<<<") || rest.starts_with("=======") || rest.starts_with(">>>>>>>") {
        "This is a merge conflict: keep one side and remove the markers."
    } else {
        ""
    }
}
