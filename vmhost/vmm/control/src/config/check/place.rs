//! Where in a text a field is.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::ConfigError;

/// Line and column, from 1, of the value at a path like `disks[1].id`, or of the innermost part that exists.
pub fn of_field(text: &str, field: &str) -> Option<(usize, usize)> {
    let mut value: &RawValue = serde_json::from_str(text).ok()?;
    for part in field.split(['.', '[']) {
        let inner = match part.strip_suffix(']') {
            Some(index) => {
                let list: Option<Vec<&RawValue>> = serde_json::from_str(value.get()).ok();
                list.and_then(|list| list.get(index.parse::<usize>().ok()?).copied())
            }
            None => {
                let fields: Option<BTreeMap<Cow<'_, str>, &RawValue>> = serde_json::from_str(value.get()).ok();
                fields.and_then(|fields| fields.get(part).copied())
            }
        };
        let Some(inner) = inner else { break };
        value = inner;
    }
    // A raw value is a part of the text that it was read from.
    let offset = (value.get().as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    let before = text.get(..offset)?;
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|char| *char != '\n').count() + 1;
    Some((line, column))
}

/// The parser's complaint in our form.
pub fn of_parser(error: &serde_json::Error, file: &str) -> ConfigError {
    let text = error.to_string();
    let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    let remedy = match error.classify() {
        serde_json::error::Category::Data => data_remedy(message),
        _ => "write JSON: quoted names, no comma after the last item, no comments".to_owned(),
    };
    ConfigError {
        place: Some((file.to_owned(), error.line(), error.column())),
        field: String::new(),
        message: message.to_owned(),
        remedy,
    }
}

/// Serde's messages name what was found first, then what was expected, all in backticks.
fn data_remedy(message: &str) -> String {
    let mut names = message.split('`').skip(1).step_by(2);
    let Some(found) = names.next() else { return "give a value of the expected type".into() };
    if message.starts_with("missing field") {
        return format!("add `{found}`");
    }
    if !message.starts_with("unknown ") {
        return "give a value of the expected form".into();
    }
    // The end of a name may have been left out as well.
    let near = |name: &str| distance(found, name).min(1 + distance(found, name.get(..found.len()).unwrap_or(name)));
    let nearest = names.map(|name| (near(name), name)).min();
    match nearest {
        Some((distance, name)) if distance <= 1 + found.len() / 3 => format!("did you mean `{name}`?"),
        _ => "remove it, or use one of those names".into(),
    }
}

/// How many letters differ (Levenshtein).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, from) in left.chars().enumerate() {
        let mut last = index + 1;
        let mut next = vec![last];
        for (to, above) in right.iter().zip(row.windows(2)) {
            let changed = above[0] + usize::from(from != *to);
            last = changed.min(above[1] + 1).min(last + 1);
            next.push(last);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}
