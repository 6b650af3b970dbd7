//! The project's `index.html`: finds what it loads and puts ours in.
//!
//! A tokenizer over tags and raw-text elements: enough to find scripts, style
//! sheets and the head of any document a browser would accept, and everything
//! else stays byte for byte.

/// A start tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// Lower-case name.
    pub name: String,
    /// Lower-case names with decoded values, in order.
    pub attributes: Vec<(String, String)>,
    /// Byte offset of `<`.
    pub start: usize,
    /// Past `>`.
    pub end: usize,
    /// For `script`, `style`, `title`, `textarea`: where the text ends and where the end tag ends.
    pub raw: Option<(usize, usize)>,
}

impl Tag {
    /// An attribute's value; `""` for one without.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// All start tags of a document in order.
pub fn tags(source: &str) -> Vec<Tag> {
    let bytes = source.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(offset) = source[at..].find('<') {
        at += offset;
        if source[at..].starts_with("<!--") {
            at = source[at + 4..].find("-->").map_or(source.len(), |n| at + 4 + n + 3);
        } else if bytes.get(at + 1).is_some_and(u8::is_ascii_alphabetic) {
            let tag = start_tag(source, at);
            at = tag.raw.map_or(tag.end, |(_, end)| end);
            out.push(tag);
        } else {
            at += 1;
        }
    }
    out
}

fn start_tag(source: &str, start: usize) -> Tag {
    let bytes = source.as_bytes();
    let mut at = start + 1;
    while at < bytes.len() && !bytes[at].is_ascii_whitespace() && !matches!(bytes[at], b'>' | b'/') {
        at += 1;
    }
    let name = source[start + 1..at].to_ascii_lowercase();
    let mut attributes = Vec::new();
    loop {
        while at < bytes.len() && (bytes[at].is_ascii_whitespace() || bytes[at] == b'/') {
            at += 1;
        }
        if at >= bytes.len() || bytes[at] == b'>' {
            break;
        }
        let (attribute, next) = attribute(source, at);
        attributes.push(attribute);
        at = next;
    }
    let end = (at + 1).min(source.len());
    let raw = matches!(name.as_str(), "script" | "style" | "title" | "textarea").then(|| raw_text(source, &name, end));
    Tag { name, attributes, start, end, raw }
}

fn attribute(source: &str, start: usize) -> ((String, String), usize) {
    let bytes = source.as_bytes();
    let mut at = start + 1;
    while at < bytes.len() && !bytes[at].is_ascii_whitespace() && !matches!(bytes[at], b'=' | b'>' | b'/') {
        at += 1;
    }
    let name = source.get(start..at).unwrap_or("").to_ascii_lowercase();
    let mut value_at = at;
    while value_at < bytes.len() && bytes[value_at].is_ascii_whitespace() {
        value_at += 1;
    }
    if bytes.get(value_at) != Some(&b'=') {
        return ((name, String::new()), at);
    }
    value_at += 1;
    while value_at < bytes.len() && bytes[value_at].is_ascii_whitespace() {
        value_at += 1;
    }
    let (from, to, next) = match bytes.get(value_at) {
        Some(quote @ (b'"' | b'\'')) => {
            let from = value_at + 1;
            let to = bytes[from..].iter().position(|b| b == quote).map_or(source.len(), |n| from + n);
            (from, to, (to + 1).min(source.len()))
        }
        _ => {
            let mut to = value_at;
            while to < bytes.len() && !bytes[to].is_ascii_whitespace() && bytes[to] != b'>' {
                to += 1;
            }
            (value_at, to, to)
        }
    };
    ((name, decode(source.get(from..to).unwrap_or(""))), next)
}

/// The entities that stand in addresses.
fn decode(value: &str) -> String {
    if !value.contains('&') {
        return value.to_owned();
    }
    value.replace("&quot;", "\"").replace("&#39;", "'").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// From `start`: where the element's text ends, and its end tag.
fn raw_text(source: &str, name: &str, start: usize) -> (usize, usize) {
    let bytes = source.as_bytes();
    let mut at = start;
    while let Some(offset) = source[at..].find("</") {
        let open = at + offset;
        let after = open + 2 + name.len();
        let same = bytes.get(open + 2..after).is_some_and(|text| text.eq_ignore_ascii_case(name.as_bytes()));
        if same && bytes.get(after).is_none_or(|b| b.is_ascii_whitespace() || matches!(b, b'>' | b'/')) {
            let end = source[after..].find('>').map_or(source.len(), |n| after + n + 1);
            return (open, end);
        }
        at = open + 2;
    }
    (source.len(), source.len())
}

/// Where our scripts go: first in the head.
pub fn head_start(source: &str, tags: &[Tag]) -> usize {
    let named = |name: &str| tags.iter().find(|tag| tag.name == name).map(|tag| tag.end);
    named("head").or_else(|| named("html")).unwrap_or_else(|| doctype_end(source))
}

fn doctype_end(source: &str) -> usize {
    let text = source.trim_start();
    if text.get(..9).is_some_and(|start| start.eq_ignore_ascii_case("<!doctype")) {
        let start = source.len() - text.len();
        return source[start..].find('>').map_or(source.len(), |n| start + n + 1);
    }
    0
}

/// Quotes an attribute's value.
pub fn attribute_value(value: &str) -> String {
    format!("\"{}\"", value.replace('&', "&amp;").replace('"', "&quot;"))
}

/// Script text that can't end its element: `</script` and `<!--` get a backslash,
/// which means the same in strings, templates and regular expressions.
pub fn inline_script(code: &str) -> String {
    if !code.contains("</") && !code.contains("<!--") {
        return code.to_owned();
    }
    let mut out = String::with_capacity(code.len() + 64);
    let mut rest = code;
    while let Some(at) = rest.find('<') {
        let tail = &rest[at..];
        out.push_str(&rest[..at]);
        let script = tail.get(..8).is_some_and(|s| s.eq_ignore_ascii_case("</script"));
        if script {
            out.push_str("<\\/");
            rest = &tail[2..];
        } else if let Some(after) = tail.strip_prefix("<!--") {
            out.push_str("<\\!--");
            rest = after;
        } else {
            out.push('<');
            rest = &tail[1..];
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(source: &str, expected: &Expect) {
        let mut out = String::new();
        for tag in tags(source) {
            let raw = tag.raw.map(|(end, _)| &source[tag.end..end]);
            out.push_str(&format!("{} {:?} {raw:?}\n", tag.name, tag.attributes));
        }
        expected.assert_eq(&out);
    }

    #[test]
    fn documents() {
        check(
            "<!DOCTYPE html><html lang=en><head><title><b></title><!-- <script> --><link rel=\"stylesheet\" href='/a.css?x&amp;y'></head><body><script type=module src=/m.ts></script><script>if (a<b) '</scr'</SCRIPT ><br/><input disabled>",
            &expect![[r#"
                html [("lang", "en")] None
                head [] None
                title [] Some("<b>")
                link [("rel", "stylesheet"), ("href", "/a.css?x&y")] None
                body [] None
                script [("type", "module"), ("src", "/m.ts")] Some("")
                script [] Some("if (a<b) '</scr'")
                br [] None
                input [("disabled", "")] None
            "#]],
        );
    }

    #[test]
    fn broken_documents() {
        for source in ["<", "<a", "<a b", "<a b=", "<a b='", "<script", "<script>", "<!--", "</", "<a\u{e9}=💥>"] {
            let found = tags(source);
            assert!(head_start(source, &found) <= source.len());
        }
    }

    #[test]
    fn script_text_is_closed_in() {
        assert_eq!(inline_script("'</script>' + '<!--' + a<b"), "'<\\/script>' + '<\\!--' + a<b");
    }
}
