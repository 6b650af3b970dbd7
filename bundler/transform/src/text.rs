//! Small facts about JavaScript text.

/// Whether a name can be written without quotes as a binding or after a dot.
pub fn is_identifier(name: &str) -> bool {
    is_identifier_name(name) && !RESERVED.contains(&name)
}

/// The same, keywords included: enough for a property.
pub(crate) fn is_identifier_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|first| first == '$' || first == '_' || first.is_alphabetic())
        && chars.all(is_identifier_part)
}

/// Whether a character may stand inside a name. Unicode's letters and digits
/// are near enough to ID_Continue: a name in doubt is quoted.
pub(crate) fn is_identifier_part(c: char) -> bool {
    c == '$' || c == '_' || c.is_alphanumeric() || c == '\u{200c}' || c == '\u{200d}'
}

const RESERVED: &[&str] = &[
    "arguments",
    "await",
    "break",
    "case",
    "catch",
    "class",
    "const",
    "continue",
    "debugger",
    "default",
    "delete",
    "do",
    "else",
    "enum",
    "eval",
    "export",
    "extends",
    "false",
    "finally",
    "for",
    "function",
    "if",
    "implements",
    "import",
    "in",
    "instanceof",
    "interface",
    "let",
    "new",
    "null",
    "package",
    "private",
    "protected",
    "public",
    "return",
    "static",
    "super",
    "switch",
    "this",
    "throw",
    "true",
    "try",
    "typeof",
    "var",
    "void",
    "while",
    "with",
    "yield",
];

/// A string literal with this value, safe inside a `<script>` as well.
pub fn quote(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // `</script` and `<!--` would end or comment out an inline script.
            '<' if value.contains("</") || value.contains("<!--") => out.push_str("\\x3C"),
            c if (c as u32) < 0x20 || c == '\u{7f}' => out.push_str(&format!("\\x{:02x}", c as u32)),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            '\u{feff}' => out.push_str("\\ufeff"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// `.name`, or `["name"]` where that is needed.
pub(crate) fn member(name: &str) -> String {
    if is_identifier_name(name) { format!(".{name}") } else { format!("[{}]", quote(name)) }
}

/// A property's key: `name`, `"a-b"`, `["__proto__"]`.
pub(crate) fn key(name: &str) -> String {
    match name {
        // Plain, it would set the prototype.
        "__proto__" => "[\"__proto__\"]".to_owned(),
        _ if is_identifier_name(name) => name.to_owned(),
        _ => quote(name),
    }
}

/// Whether a character ends a line for JavaScript.
pub(crate) fn is_newline(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}')
}

/// Only the line ends of a text.
pub(crate) fn newlines(text: &str) -> String {
    text.chars().filter(|c| is_newline(*c)).collect()
}

/// Where the code begins: after a `#!` line.
pub(crate) fn hashbang(source: &str) -> usize {
    let text = source.strip_prefix('\u{feff}').unwrap_or(source);
    if !text.starts_with("#!") {
        return 0;
    }
    source.len() - text.len() + text.find(is_newline).unwrap_or(text.len())
}
