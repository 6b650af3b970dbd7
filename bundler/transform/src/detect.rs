//! Which language a file is in, told from its name and a look at its tokens.

use memchr::memmem;

use crate::lexer::{Kind, Lexer, Token};
use crate::{Format, Options};

/// A way to read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    /// CommonJS in plain JavaScript: lexed only.
    CommonJs,
    /// Something to be parsed.
    Module(Syntax),
}

/// What the parser has to expect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Syntax {
    /// TypeScript.
    pub(crate) typescript: bool,
    /// JSX.
    pub(crate) jsx: bool,
    /// Module syntax in the source becomes CommonJS: `.cts`.
    pub(crate) common_js: bool,
}

pub(crate) fn language(source: &str, options: &Options<'_>) -> Language {
    let path = options.path;
    let name = path.rsplit('/').next().unwrap_or(path);
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    let module = |typescript, jsx| Language::Module(Syntax { typescript, jsx, common_js: extension == "cts" });
    match extension {
        "ts" | "mts" | "cts" => module(true, false),
        "tsx" => module(true, true),
        "jsx" => module(false, true),
        // Packages ship no JSX in `.js`, and without it every `<` is plain.
        _ => match options.format {
            Format::CommonJs => Language::CommonJs,
            Format::Auto if extension == "cjs" || !is_module(source) => Language::CommonJs,
            _ => module(false, !path.contains("/node_modules/")),
        },
    }
}

/// Whether a source has the syntax of an ES module.
fn is_module(source: &str) -> bool {
    let bytes = source.as_bytes();
    let words: [&[u8]; 5] = [b"import", b"export", b"await", b" module", b" require"];
    if !words.iter().any(|word| memmem::find(bytes, word).is_some()) {
        return false;
    }
    let mut lexer = Lexer::new(source, crate::text::hashbang(source));
    loop {
        let token = lexer.next();
        match token.kind {
            Kind::End => return false,
            Kind::Word if is_module_word(&lexer, token) => return true,
            _ => {}
        }
    }
}

fn is_module_word(lexer: &Lexer<'_>, token: Token) -> bool {
    let word = lexer.text(token);
    if !matches!(word, "import" | "export" | "await" | "let" | "const" | "class")
        || lexer.before().kind == Kind::Punct(b'.')
    {
        return false;
    }
    let mut ahead = lexer.clone();
    let next = ahead.next();
    let text = ahead.text(next);
    let outside = lexer.depth() == 0;
    match word {
        "import" if next.kind == Kind::Punct(b'.') => {
            let meta = ahead.next();
            ahead.text(meta) == "meta"
        }
        "import" => outside && matches!(next.kind, Kind::String | Kind::Word | Kind::Punct(b'{' | b'*')),
        "export" => {
            outside
                && match next.kind {
                    Kind::Punct(b'{' | b'*') => true,
                    Kind::Word => {
                        matches!(text, "default" | "const" | "let" | "var" | "function" | "class" | "async")
                    }
                    _ => false,
                }
        }
        // Declared anew, these can't be what CommonJS means by them.
        "let" | "const" | "class" => outside && matches!(text, "module" | "exports" | "require"),
        // At the top level, and not a variable of that name.
        _ => {
            outside
                && matches!(next.kind, Kind::Word | Kind::Punct(b'(' | b'[') | Kind::String | Kind::Template)
                && text != "of"
                && text != "in"
        }
    }
}
