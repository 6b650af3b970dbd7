//! Source maps: a word in the factory leads to the same word in the source.

use crate::check::Setup;

#[test]
fn words_lead_back() {
    let source = "import { used, other } from './x';\n\
        enum Colour { Red, Green = used }\n\
        const typed: Map<string, number> = other(used), 日本 = '😀' as any, late = 1;\n\
        export const Component = () => <div title={late}>\n  {inner}\n</div>;\n";
    check_map("/a.tsx", source, &["typed", "日本", "late", "Component", "inner", "title"]);
}

#[test]
fn words_of_common_js_lead_back() {
    let source = "#!/usr/bin/env node\nif (process.env.NODE_ENV) first;\nimport('x').then(second);\n";
    check_map("/node_modules/p/a.js", source, &["first", "second", "then"]);
}

#[test]
fn no_map_unless_asked() {
    assert_eq!(Setup::new("/a.js").transform("a;").map(|module| module.map), Ok(None));
}

/// Each word, at its last place in the factory, has to lead to its last place in the source.
fn check_map(path: &str, source: &str, words: &[&str]) {
    let module = Setup { map: true, ..Setup::new(path) }.transform(source).expect("the source is valid");
    let lines = decode(module.map.as_deref().expect("a map was asked for"));
    for word in words {
        let (line, column) = place(&module.factory, word);
        let segment = lines[line].iter().rev().find(|segment| segment.0 <= column).expect("a segment before the word");
        let found = (segment.1, segment.2 + column - segment.0);
        let wanted = place(source, word);
        assert_eq!(found, (wanted.0 as i64, wanted.1), "{word} in {}", module.factory);
    }
}

/// Line, and column in UTF-16 units.
fn place(text: &str, word: &str) -> (usize, i64) {
    let before = &text[..text.rfind(word).expect("the word is there")];
    let line = before.rsplit('\n').next().unwrap_or("");
    (before.matches('\n').count(), line.encode_utf16().count() as i64)
}

/// For each line, its segments: column, source line, source column.
fn decode(mappings: &str) -> Vec<Vec<(i64, i64, i64)>> {
    let (mut line, mut column) = (0, 0);
    let mut segments = |text: &str| {
        let mut at = 0;
        let segment = |text: &str| {
            let fields = fields(text);
            assert_eq!(fields.len(), 4, "{text}");
            assert_eq!(fields[1], 0, "there is one source");
            at += fields[0];
            line += fields[2];
            column += fields[3];
            (at, line, column)
        };
        text.split(',').filter(|text| !text.is_empty()).map(segment).collect()
    };
    mappings.split(';').map(&mut segments).collect()
}

fn fields(text: &str) -> Vec<i64> {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut fields = Vec::new();
    let (mut value, mut shift) = (0, 0);
    for digit in text.chars() {
        let digit = DIGITS.find(digit).expect("base 64") as i64;
        value |= (digit & 31) << shift;
        shift += 5;
        if digit & 32 == 0 {
            fields.push(if value & 1 == 1 { -(value >> 1) } else { value >> 1 });
            (value, shift) = (0, 0);
        }
    }
    fields
}
