//! Package names and versions as they may stand in a path.

/// npm's own bound on a name.
const NAME_BYTES: usize = 214;
/// npm's own bound on a version.
const VERSION_BYTES: usize = 256;

/// Whether this is a package's name. One that is none could lead out of its folder.
pub(crate) fn is_name(text: &str) -> bool {
    let (scope, name) = match text.strip_prefix('@') {
        Some(scoped) => scoped.split_once('/').unwrap_or((scoped, "")),
        None => ("scope", text),
    };
    // A package of that name would make paths ambiguous; npm refuses it too.
    text.len() <= NAME_BYTES && is_word(scope) && is_word(name) && name != "node_modules"
}

/// Whether this looks like an exact version: it becomes part of an address.
pub(crate) fn is_version(text: &str) -> bool {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || b".+-".contains(&byte);
    let starts = text.bytes().next().is_some_and(|byte| byte.is_ascii_digit());
    starts && text.len() <= VERSION_BYTES && text.bytes().all(valid)
}

/// `node_modules/a/node_modules/@b/c` → `@b/c`; `None` if it isn't a path of that form.
pub(crate) fn name_of_path(path: &str) -> Option<&str> {
    let mut rest = path.strip_prefix("node_modules/")?;
    while let Some((name, inner)) = rest.split_once("/node_modules/") {
        if !is_name(name) {
            return None;
        }
        rest = inner;
    }
    is_name(rest).then_some(rest)
}

/// The start of a text that may be anything, for a message.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(120).map(|c| if c.is_control() { '·' } else { c }).collect()
}

fn is_word(text: &str) -> bool {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    !text.is_empty() && !text.starts_with('.') && text.bytes().all(valid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_packages() {
        assert_eq!(name_of_path("node_modules/a"), Some("a"));
        assert_eq!(name_of_path("node_modules/@a/b/node_modules/@c/d"), Some("@c/d"));
        for path in [
            "",
            "a",
            "packages/a",
            "node_modules",
            "node_modules/",
            "node_modules/..",
            "node_modules/@a",
            "node_modules/a/b",
            "node_modules/a/../b",
            "node_modules/../node_modules/a",
            "node_modules/a/node_modules/",
            "node_modules/node_modules",
            "/node_modules/a",
            "node_modules/a\\b",
        ] {
            assert_eq!(name_of_path(path), None, "{path}");
        }
    }
}
