//! What text means in JSX: white space at line ends and entities.

use super::entities;

/// The value of a text between tags; nothing if it is only layout.
///
/// Lines are trimmed, empty ones go, and the rest is joined by single spaces.
pub(super) fn child(raw: &str) -> Option<String> {
    let lines: Vec<&str> = raw.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).collect();
    let space = [' ', '\t'];
    let last = lines.len() - 1;
    let mut out = String::new();
    for (index, line) in lines.iter().enumerate() {
        let line = if index > 0 { line.trim_start_matches(space) } else { line };
        let line = if index < last { line.trim_end_matches(space) } else { line };
        if line.is_empty() {
            continue;
        }
        if !out.is_empty() {
            out.push(' ');
        }
        entities::decode(line, &mut out);
    }
    (!out.is_empty()).then_some(out)
}

/// The value of an attribute between quotes. A line end and the indentation after it are one space.
pub(super) fn attribute(raw: &str) -> String {
    let mut joined = String::with_capacity(raw.len());
    for (index, line) in raw.split('\n').enumerate() {
        if index == 0 {
            joined.push_str(line.strip_suffix('\r').unwrap_or(line));
            continue;
        }
        joined.push(' ');
        joined.push_str(line.trim_start().trim_end_matches('\r'));
    }
    let mut out = String::with_capacity(joined.len());
    entities::decode(&joined, &mut out);
    out
}
