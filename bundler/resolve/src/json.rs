//! JSON that remembers the order of keys.
//!
//! The first condition of `exports` that holds decides, so order is meaning,
//! and `serde_json`'s own map may sort. Numbers mean nothing to a resolver.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Json {
    /// `null`, and every number: neither says anything here.
    Null,
    Bool(bool),
    String(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads strict JSON, with a byte order mark or not.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        serde_json::from_slice(bytes).map_err(|error| error.to_string())
    }

    /// Reads JSON with comments and trailing commas, as `tsconfig.json` has them.
    pub(crate) fn parse_lenient(bytes: &[u8]) -> Result<Self, String> {
        Self::parse(&without_comments(bytes))
    }

    /// The value at a key. The last wins where one is given twice, as in JavaScript.
    pub(crate) fn get(&self, key: &str) -> Option<&Json> {
        self.entries().iter().rev().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// An object's keys and values; of anything else, none.
    pub(crate) fn entries(&self) -> &[(String, Json)] {
        match self {
            Json::Object(entries) => entries,
            _ => &[],
        }
    }

    /// The text of a string that isn't empty.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Json::String(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Json, E> {
        Ok(Json::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut out = Vec::new();
        while let Some(item) = items.next_element()? {
            out.push(item);
        }
        Ok(Json::Array(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut out = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            out.push(entry);
        }
        Ok(Json::Object(out))
    }
}

/// `{/* a */ "b": 1,}` → `{ "b": 1}`. What is within strings stays.
fn without_comments(source: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(source.len());
    let mut at = 0;
    while let Some(&byte) = source.get(at) {
        let end = match (byte, source.get(at + 1)) {
            (b'"', _) => string_end(source, at),
            (b'/', Some(b'/')) => find(source, at + 2, b"\n"),
            (b'/', Some(b'*')) => find(source, at + 2, b"*/").saturating_add(2).min(source.len()),
            _ => at + 1,
        };
        match byte {
            b'/' if end > at + 1 => {}
            b'}' | b']' => {
                let kept = out.trim_ascii_end().strip_suffix(b",").map(<[u8]>::len);
                out.truncate(kept.unwrap_or(out.len()));
                out.push(byte);
            }
            _ => out.extend_from_slice(&source[at..end]),
        }
        at = end;
    }
    out
}

/// The offset behind a string that starts at `start`.
fn string_end(source: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = source.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    source.len()
}

/// The offset of `needle` from `start` on, or the end.
fn find(source: &[u8], start: usize, needle: &[u8]) -> usize {
    let rest = source.get(start..).unwrap_or(&[]);
    rest.windows(needle.len()).position(|window| window == needle).map_or(source.len(), |found| start + found)
}

#[cfg(test)]
mod tests {
    use super::Json;

    #[test]
    fn order_and_duplicates() {
        let json = Json::parse(br#"{"z": 1, "a": "x", "__proto__": "p", "a": "y"}"#).expect("valid JSON");
        let keys: Vec<&str> = json.entries().iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["z", "a", "__proto__", "a"]);
        assert_eq!(json.get("a").and_then(Json::text), Some("y"));
        assert_eq!(json.get("constructor"), None);
    }

    #[test]
    fn lenient() {
        let source = b"\xef\xbb\xbf// a\n{ \"b//\": [\"/* c */\", /* , */ ], // d\n \"e\\\"\": true, }/*";
        let strict = br#"{"b//": ["/* c */"], "e\"": true}"#;
        assert_eq!(Json::parse_lenient(source), Json::parse(strict));
        for broken in ["", "{", "\"", "\"\\", "/*", "/", "//", "{,,}", "[,"] {
            assert!(Json::parse_lenient(broken.as_bytes()).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn nesting_has_a_limit() {
        assert!(Json::parse("[".repeat(100_000).as_bytes()).is_err());
    }
}
