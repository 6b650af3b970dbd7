//! Reads playgrounds out of an example page, as the element itself does in a browser.
//!
//! In:  `<sandglass-playground template="react-ts"><pre data-path="/src/App.tsx">…</pre></sandglass-playground>`
//! Out: its attributes, and the texts of its children by path.
//!
//! Reads our own pages, not any HTML: attributes are quoted, and a file's
//! element holds none of its own kind.

use std::collections::BTreeMap;

const TAG: &str = "<sandglass-playground";
const END: &str = "</sandglass-playground>";

/// A playground in a page.
#[derive(Debug, PartialEq, Eq)]
pub struct Playground {
    /// Its attributes.
    pub attributes: BTreeMap<String, String>,
    /// Its files by path.
    pub files: BTreeMap<String, String>,
}

/// All playgrounds of a page, in order.
pub fn playgrounds(page: &str) -> Vec<Playground> {
    let mut found = Vec::new();
    let mut rest = page;
    while let Some(start) = rest.find(TAG) {
        let after = &rest[start + TAG.len()..];
        let Some((head, body)) = split_tag(after) else { break };
        let (body, next) = body.split_once(END).unwrap_or((body, ""));
        found.push(Playground { attributes: attributes(head), files: children(body) });
        rest = next;
    }
    found
}

/// The children with a path: `<NAME … data-path="PATH" …>TEXT</NAME>`.
fn children(body: &str) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let mut rest = body;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        let name_end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(rest.len());
        let name = &rest[..name_end];
        let Some((head, content)) = split_tag(&rest[name_end..]) else { break };
        if let Some(path) = attributes(head).remove("data-path") {
            let (text, next) = content.split_once(&format!("</{name}>")).unwrap_or((content, ""));
            files.insert(path, if name == "script" { text.to_owned() } else { plain(text) });
            rest = next;
        }
    }
    files
}

/// What stands in a tag, and what follows it; a `>` in quotes doesn't end it.
fn split_tag(text: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '>') => return Some((&text[..at], &text[at + 1..])),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    None
}

fn attributes(head: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut rest = head.trim_start();
    while !rest.is_empty() {
        let end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
        let name = rest[..end].to_owned();
        rest = rest[end..].trim_start();
        let mut value = String::new();
        if let Some(quoted) = rest.strip_prefix('=').map(str::trim_start) {
            let quote = quoted.chars().next().filter(|c| matches!(c, '"' | '\'')).unwrap_or(' ');
            let inner = quoted.strip_prefix(quote).unwrap_or(quoted);
            let (text, after) = inner.split_once(quote).unwrap_or((inner, ""));
            value = decoded(text);
            rest = after.trim_start();
        }
        if !name.is_empty() {
            found.insert(name, value);
        } else if value.is_empty() {
            break;
        }
    }
    found
}

/// Text without the tags in it, e.g. those of a highlighter.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, tag)) = rest.split_once('<') {
        out.push_str(before);
        rest = tag.split_once('>').map_or("", |(_, after)| after);
    }
    out.push_str(rest);
    decoded(&out)
}

/// Replaces the character references that escaping makes.
fn decoded(text: &str) -> String {
    let named = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&#123;", "{"), ("&#125;", "}")];
    // The ampersand last: what it makes must not be read again.
    let text = named.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    text.replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(page: &str, expected: &Expect) {
        expected.assert_debug_eq(&playgrounds(page));
    }

    #[test]
    fn files_and_attributes() {
        check(
            r#"<p>See</p><sandglass-playground template="react-ts" data-x lock='a.json'>
                 <pre data-path="/src/App.tsx" title="a > b"><code>let a = <b>1</b> &lt; 2 &amp;&amp; "&amp;lt;";</code></pre>
                 <p>text</p><script type="text/plain" data-path="/b.ts">a < b</script>
               </sandglass-playground><sandglass-playground></sandglass-playground>"#,
            &expect![[r#"
                [
                    Playground {
                        attributes: {
                            "data-x": "",
                            "lock": "a.json",
                            "template": "react-ts",
                        },
                        files: {
                            "/b.ts": "a < b",
                            "/src/App.tsx": "let a = 1 < 2 && \"&lt;\";",
                        },
                    },
                    Playground {
                        attributes: {},
                        files: {},
                    },
                ]
            "#]],
        );
    }

    #[test]
    fn a_broken_page_gives_what_there_is() {
        for page in [
            "<sandglass-playground",
            "<sandglass-playground a=",
            "<sandglass-playground =>",
            "<sandglass-playground><pre data-path='/a'>b",
        ] {
            assert!(playgrounds(page).len() <= 1, "{page}");
        }
    }
}
